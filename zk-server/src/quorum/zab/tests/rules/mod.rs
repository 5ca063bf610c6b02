//! Single rules, each with one machine and a script.

mod leading;
mod learning;
mod observer_master;
mod reconfiguring;

use std::time::Duration;

use bytes::Bytes;
use zk_env::Mono;
use zk_proto::{OpCode, SessionId, Xid, Zxid};

use super::TIMING;
use crate::quorum::packet::{ForwardedRequest, PacketType, QuorumPacket};
use crate::quorum::zab::History;

const T: Mono = Mono::from_origin(Duration::ZERO);
const EMPTY: History = History {
    accepted_epoch: 0,
    current_epoch: 0,
    last_zxid: Zxid(0),
};

fn after(ticks: f64) -> Mono {
    T + TIMING.tick_time.mul_f64(ticks)
}

const fn zxid(epoch: i64, counter: i64) -> Zxid {
    Zxid(epoch << 32 | counter)
}

fn bare(packet_type: PacketType, zxid: Zxid) -> QuorumPacket {
    QuorumPacket::bare(packet_type, zxid)
}

fn request(op: OpCode) -> ForwardedRequest {
    ForwardedRequest {
        session: SessionId(7),
        cxid: Xid(1),
        op: op as i32,
        body: Bytes::from_static(b"record"),
        ids: Vec::new(),
    }
}
