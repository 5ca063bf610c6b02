//! `cons`, `crst` and the connection lines of `stat`.

use std::fmt::Write as _;

use zk_proto::SessionId;

use crate::net::{Cnxn, Serving, Shell};
use crate::stats::CnxnStats;
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
    reset(serving);
    "Connection stats reset.\n".to_owned()
}

/// Every connection starts counting again.
pub(crate) fn reset(serving: &mut Serving) {
    for (_, cnxn) in serving.cnxns.iter_mut() {
        cnxn.stats.reset();
    }
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
pub(crate) fn interest_ops(cnxn: &Cnxn, shell: &Shell) -> u32 {
    let waiting = cnxn.outbox.len();
    let reads = u32::from(waiting <= shell.config.outbox_pause_bytes);
    let writes = if waiting > 0 { 4 } else { 0 };
    reads | writes
}

/// The last request that was answered.
pub(crate) struct Answered {
    pub(crate) op: &'static str,
    pub(crate) cxid: i64,
    pub(crate) zxid: i64,
}

impl Answered {
    /// `crst` forgets the last operation, and its zxid becomes −1.
    pub(crate) fn last(stats: &CnxnStats, info: &ConnInfo) -> Self {
        if stats.is_reset {
            return Self {
                op: "NA",
                cxid: -1,
                zxid: -1,
            };
        }
        Self {
            op: info.last_op,
            cxid: info.last_cxid.into(),
            zxid: info.last_zxid.0,
        }
    }
}

fn write_session(text: &mut String, cnxn: &Cnxn, info: &ConnInfo) {
    let stats = &cnxn.stats;
    let last = Answered::last(stats, info);
    let _ = write!(
        text,
        ",sid={},lop={},est={},to={}",
        info.session, last.op, cnxn.established_ms, info.timeout_ms
    );
    if last.cxid >= 0 {
        let _ = write!(text, ",lcxid={:#x}", last.cxid);
    }
    let _ = write!(
        text,
        ",lzxid={:#x},lresp={},llat={},minlat={},avglat={},maxlat={}",
        last.zxid,
        stats.last_response.since_origin().as_millis(),
        stats.last_latency,
        stats.latency.min(),
        stats.latency.whole_mean(),
        stats.latency.max(),
    );
}
