//! What stands in the data of packets.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;
use zk_proto::data::AclId;
use zk_proto::{OpCode, SessionId, Xid, Zxid};

use super::{PacketType, QuorumPacket};
use crate::quorum::ServerId;

/// What every server since 3.4 says it speaks.
pub(crate) const LEARNER_PROTOCOL_VERSION: i32 = 0x1_0000;

/// What ends a snapshot on the wire, as a jute string.
pub(crate) const SNAP_SIGNATURE: &str = "BenWasHere";

/// Data that does not suit its packet. The connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{packet} with data of {len} bytes")]
pub(crate) struct PayloadError {
    /// Which packet.
    pub(crate) packet: &'static str,
    /// How much came with it.
    pub(crate) len: usize,
}

fn short<E>(packet: &'static str, len: usize) -> impl FnOnce(E) -> PayloadError {
    move |_| PayloadError { packet, len }
}

/// How a learner introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LearnerInfo {
    /// Its id; `None` from servers so old that they do not tell.
    pub(crate) server_id: Option<ServerId>,
    /// [`LEARNER_PROTOCOL_VERSION`], or less from servers before 3.4.
    pub(crate) protocol_version: i32,
    /// The version of the configuration it has.
    pub(crate) config_version: i64,
}

impl LearnerInfo {
    /// The twenty bytes every server since 3.5 sends.
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(20);
        bytes.put_i64(self.server_id.map_or(-1, |id| id.0));
        bytes.put_i32(self.protocol_version);
        bytes.put_i64(self.config_version);
        bytes.freeze()
    }

    /// Reads as much as is there; older servers send less.
    pub(crate) fn decode(mut data: &[u8]) -> Self {
        Self {
            server_id: data.try_get_i64().ok().map(ServerId),
            protocol_version: data.try_get_i32().unwrap_or(0),
            config_version: data.try_get_i64().unwrap_or(0),
        }
    }
}

/// The data of LEADERINFO and ACKEPOCH: one number.
pub(crate) fn encode_epoch(number: i32) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// The learner's current epoch in ACKEPOCH; −1 says that it has accepted the leader's
/// epoch before, and that this acknowledgement does not count.
///
/// # Errors
///
/// Fewer than four bytes.
pub(crate) fn decode_current_epoch(mut data: &[u8]) -> Result<i32, PayloadError> {
    let len = data.len();
    data.try_get_i32().map_err(short("ACKEPOCH", len))
}

/// The designated leader of COMMITANDACTIVATE.
///
/// # Errors
///
/// Fewer than eight bytes.
pub(crate) fn decode_server_id(mut data: &[u8]) -> Result<ServerId, PayloadError> {
    let len = data.len();
    let id = data.try_get_i64().map_err(short("COMMITANDACTIVATE", len));
    id.map(ServerId)
}

/// The data of COMMITANDACTIVATE.
pub(crate) fn encode_server_id(id: ServerId) -> Bytes {
    Bytes::copy_from_slice(&id.0.to_be_bytes())
}

/// The data of INFORMANDACTIVATE.
pub(crate) fn encode_informed(leader: ServerId, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(8 + payload.len());
    bytes.put_i64(leader.0);
    bytes.put_slice(payload);
    bytes.freeze()
}

/// The designated leader and the transaction of INFORMANDACTIVATE.
///
/// # Errors
///
/// Fewer than eight bytes.
pub(crate) fn decode_informed(mut data: Bytes) -> Result<(ServerId, Bytes), PayloadError> {
    let len = data.len();
    let id = data
        .try_get_i64()
        .map_err(short("INFORMANDACTIVATE", len))?;
    Ok((ServerId(id), data))
}

/// A session that has shown life, and how long it may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Touch {
    /// Which session.
    pub(crate) session: SessionId,
    /// Its timeout in milliseconds.
    pub(crate) timeout_ms: i32,
}

const TOUCH_BYTES: usize = 12;

/// The data of a learner's PING.
pub(crate) fn encode_touch_table(touches: impl ExactSizeIterator<Item = Touch>) -> Bytes {
    let mut bytes = BytesMut::with_capacity(touches.len() * TOUCH_BYTES);
    for touch in touches {
        bytes.put_i64(touch.session.0);
        bytes.put_i32(touch.timeout_ms);
    }
    bytes.freeze()
}

/// Reads a learner's PING, in order.
///
/// # Errors
///
/// A length that is no multiple of twelve.
pub(crate) fn decode_touch_table(data: &[u8]) -> Result<Vec<Touch>, PayloadError> {
    if !data.len().is_multiple_of(TOUCH_BYTES) {
        return Err(short("PING", data.len())(()));
    }
    let touch = |mut entry: &[u8]| Touch {
        session: SessionId(entry.get_i64()),
        timeout_ms: entry.get_i32(),
    };
    Ok(data.chunks_exact(TOUCH_BYTES).map(touch).collect())
}

/// A learner asks for a session that a client presents to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Revalidate {
    /// Which session.
    pub(crate) session: SessionId,
    /// The timeout it was granted, in milliseconds.
    pub(crate) timeout_ms: i32,
}

impl Revalidate {
    /// As a packet.
    pub(crate) fn packet(&self) -> QuorumPacket {
        let mut data = BytesMut::with_capacity(TOUCH_BYTES);
        data.put_i64(self.session.0);
        data.put_i32(self.timeout_ms);
        QuorumPacket::with_data(PacketType::Revalidate, Zxid(-1), data)
    }

    /// Reads a packet's data.
    ///
    /// # Errors
    ///
    /// Fewer than twelve bytes.
    pub(crate) fn decode(mut data: &[u8]) -> Result<Self, PayloadError> {
        let len = data.len();
        Ok(Self {
            session: SessionId(data.try_get_i64().map_err(short("REVALIDATE", len))?),
            timeout_ms: data.try_get_i32().map_err(short("REVALIDATE", len))?,
        })
    }
}

/// The leader's answer to [`Revalidate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Revalidated {
    /// Which session.
    pub(crate) session: SessionId,
    /// Whether it lives, and then it belongs to the learner that asked.
    pub(crate) is_valid: bool,
}

impl Revalidated {
    /// As a packet.
    pub(crate) fn packet(&self) -> QuorumPacket {
        let mut data = BytesMut::with_capacity(9);
        data.put_i64(self.session.0);
        data.put_u8(u8::from(self.is_valid));
        QuorumPacket::with_data(PacketType::Revalidate, Zxid(-1), data)
    }

    /// Reads a packet's data.
    ///
    /// # Errors
    ///
    /// Fewer than nine bytes.
    pub(crate) fn decode(mut data: &[u8]) -> Result<Self, PayloadError> {
        let len = data.len();
        Ok(Self {
            session: SessionId(data.try_get_i64().map_err(short("REVALIDATE", len))?),
            is_valid: data.try_get_u8().map_err(short("REVALIDATE", len))? != 0,
        })
    }
}

/// A client's request on its way from a learner to the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ForwardedRequest {
    /// Whose.
    pub(crate) session: SessionId,
    /// The client's number for it.
    pub(crate) cxid: Xid,
    /// The operation's number, as it came.
    pub(crate) op: i32,
    /// The request record, as it came.
    pub(crate) body: Bytes,
    /// Whom the client has shown itself to be.
    pub(crate) ids: Vec<AclId>,
}

impl ForwardedRequest {
    /// As a packet.
    pub(crate) fn packet(self) -> QuorumPacket {
        let mut data = BytesMut::with_capacity(16 + self.body.len());
        data.put_i64(self.session.0);
        data.put_i32(self.cxid.0);
        data.put_i32(self.op);
        data.put_slice(&self.body);
        QuorumPacket {
            authinfo: Some(self.ids),
            ..QuorumPacket::with_data(PacketType::Request, Zxid(-1), data)
        }
    }

    /// Whether a packet hands on a `sync`.
    pub(crate) fn is_sync(packet: &QuorumPacket) -> bool {
        const OP: std::ops::Range<usize> = 12..16;
        let op = packet.data.as_ref().and_then(|data| data.get(OP));
        packet.packet_type == PacketType::Request
            && op == Some(&i32::from(OpCode::Sync).to_be_bytes()[..])
    }

    /// Reads a REQUEST.
    ///
    /// # Errors
    ///
    /// Fewer than sixteen bytes of data.
    pub(crate) fn decode(packet: QuorumPacket) -> Result<Self, PayloadError> {
        let mut data = packet.data.unwrap_or_default();
        let len = data.len();
        Ok(Self {
            session: SessionId(data.try_get_i64().map_err(short("REQUEST", len))?),
            cxid: Xid(data.try_get_i32().map_err(short("REQUEST", len))?),
            op: data.try_get_i32().map_err(short("REQUEST", len))?,
            body: data,
            ids: packet.authinfo.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learners_of_every_age_are_understood() {
        let info = LearnerInfo {
            server_id: Some(ServerId(2)),
            protocol_version: LEARNER_PROTOCOL_VERSION,
            config_version: 0x1_0000_0003,
        };
        let bytes = info.encode();
        assert_eq!(
            bytes[..],
            *b"\0\0\0\0\0\0\0\x02\0\x01\0\0\0\0\0\x01\0\0\0\x03"
        );
        assert_eq!(LearnerInfo::decode(&bytes), info);
        let part = |len| LearnerInfo::decode(&bytes[..len]);
        assert_eq!(part(0).server_id, None);
        assert_eq!(part(8).server_id, Some(ServerId(2)));
        assert_eq!(
            (part(8).protocol_version, part(12).protocol_version),
            (0, 0x1_0000)
        );
        assert_eq!(part(12).config_version, 0);
    }

    #[test]
    fn a_touch_table_is_pairs_back_to_back() {
        let touch = |session, timeout_ms| Touch {
            session: SessionId(session),
            timeout_ms,
        };
        let table = [touch(0x0100_0000_0000_0001, 4000), touch(-1, 1)];
        let bytes = encode_touch_table(table.iter().copied());
        assert_eq!(
            bytes[..],
            *b"\x01\0\0\0\0\0\0\x01\0\0\x0f\xa0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x01"
        );
        assert_eq!(decode_touch_table(&bytes), Ok(table.to_vec()));
        assert_eq!(decode_touch_table(&[]), Ok(Vec::new()));
        assert!(decode_touch_table(&bytes[..13]).is_err());
    }

    #[test]
    fn sessions_are_asked_for_and_answered() {
        let asked = Revalidate {
            session: SessionId(7),
            timeout_ms: 4000,
        };
        let packet = asked.packet();
        assert_eq!(packet.zxid, Zxid(-1));
        assert_eq!(packet.bytes()[..], *b"\0\0\0\0\0\0\0\x07\0\0\x0f\xa0");
        assert_eq!(Revalidate::decode(&packet.bytes()), Ok(asked));
        assert!(Revalidate::decode(&packet.bytes()[..11]).is_err());

        let answer = Revalidated {
            session: SessionId(7),
            is_valid: true,
        };
        assert_eq!(answer.packet().bytes()[..], *b"\0\0\0\0\0\0\0\x07\x01");
        assert_eq!(Revalidated::decode(&answer.packet().bytes()), Ok(answer));
        assert!(Revalidated::decode(&[0; 8]).is_err());
    }

    #[test]
    fn a_request_travels_as_it_came() {
        let request = ForwardedRequest {
            session: SessionId(0x0100_0000_0000_0001),
            cxid: Xid(5),
            op: 1,
            body: Bytes::from_static(b"record"),
            ids: vec![AclId::anyone()],
        };
        let packet = request.clone().packet();
        assert_eq!(
            packet.bytes()[..],
            *b"\x01\0\0\0\0\0\0\x01\0\0\0\x05\0\0\0\x01record"
        );
        assert_eq!(
            ForwardedRequest::decode(packet.clone()),
            Ok(request.clone())
        );
        assert!(!ForwardedRequest::is_sync(&packet));
        let sync = ForwardedRequest { op: 9, ..request };
        assert!(ForwardedRequest::is_sync(&sync.packet()));
        let cut = QuorumPacket {
            data: Some(packet.bytes().slice(..15)),
            ..packet
        };
        assert!(ForwardedRequest::decode(cut).is_err());
    }

    #[test]
    fn an_activation_names_a_leader() {
        let data = Bytes::from_static(b"\0\0\0\0\0\0\0\x03txn");
        assert_eq!(encode_informed(ServerId(3), b"txn"), data);
        assert_eq!(encode_server_id(ServerId(3)), data[..8]);
        assert_eq!(decode_server_id(&data), Ok(ServerId(3)));
        let (leader, txn) = decode_informed(data).unwrap();
        assert_eq!((leader, &txn[..]), (ServerId(3), &b"txn"[..]));
        assert!(decode_informed(Bytes::from_static(b"short")).is_err());
    }
}
