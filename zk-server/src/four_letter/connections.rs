//! `cons`, `crst` and the connection lines of `stat`.

use std::fmt::Write as _;

use zk_proto::SessionId;

use crate::net::{Cnxn, Serving, Shell};
use crate::zookeeper_server::{ConnId, ConnInfo};

/// How much of a connection is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    Brief,
    Full,
}

pub(super) fn cons(serving: &Serving, asker: ConnId, shell: &Shell) -> String {
    let mut text = String::new();
    list(&mut text, serving, asker, shell, Detail::Full);
    text.push('\n');
    text
}

pub(super) fn crst(serving: &mut Serving) -> String {
    for (_, cnxn) in serving.cnxns.iter_mut() {
        cnxn.stats.reset();
    }
    "Connection stats reset.\n".to_owned()
}

/// A line for every connection, the oldest first.
pub(super) fn list(
    text: &mut String,
    serving: &Serving,
    asker: ConnId,
    shell: &Shell,
    detail: Detail,
) {
    for (id, cnxn) in serving.cnxns.iter() {
        let ops = if id == asker {
            0
        } else {
            interest_ops(cnxn, shell)
        };
        let stats = &cnxn.stats;
        let _ = write!(
            text,
            " /{}[{ops:x}](queued=0,recved={},sent={}",
            cnxn.peer, stats.packets_received, stats.packets_sent
        );
        let info = serving.zks.connection(id);
        if let Some(info) = info.filter(|info| info.session != SessionId::NONE)
            && detail == Detail::Full
        {
            write_session(text, cnxn, &info);
        }
        text.push_str(")\n");
    }
}

/// Java's `SelectionKey` bits: 1 reads, 4 has something to write. The connection
/// that asks has been taken off the selector.
fn interest_ops(cnxn: &Cnxn, shell: &Shell) -> u32 {
    let waiting = cnxn.outbox.len();
    let reads = u32::from(waiting <= shell.config.outbox_pause_bytes);
    let writes = if waiting > 0 { 4 } else { 0 };
    reads | writes
}

fn write_session(text: &mut String, cnxn: &Cnxn, info: &ConnInfo) {
    let stats = &cnxn.stats;
    // `crst` forgets the last operation and its zxid becomes −1.
    let (last_op, last_cxid, last_zxid) = if stats.is_reset {
        ("NA", -1, -1)
    } else {
        (info.last_op, info.last_cxid, info.last_zxid.0)
    };
    let _ = write!(
        text,
        ",sid={},lop={last_op},est={},to={}",
        info.session, cnxn.established_ms, info.timeout_ms
    );
    if last_cxid >= 0 {
        let _ = write!(text, ",lcxid={last_cxid:#x}");
    }
    let _ = write!(
        text,
        ",lzxid={last_zxid:#x},lresp={},llat={},minlat={},avglat={},maxlat={}",
        stats.last_response.since_origin().as_millis(),
        stats.last_latency,
        stats.latency.min(),
        stats.latency.whole_mean(),
        stats.latency.max(),
    );
}
