//! `srvr`, `stat` and `srst`: the server as a whole.

use std::fmt::Write as _;

use super::connections::{self, Detail};
use super::java_text;
use crate::net::{Serving, Shell};
use crate::quorum::{Leading, QuorumView};
use crate::zookeeper_server::ConnId;

/// Apache's layout, `<version>-<revision>, built on <date>`. The version is the one
/// whose behaviour this server has, because clients read it to know what they may
/// send; the revision says who it really is. There is no date in it, so that equal
/// sources give equal binaries.
pub(crate) const VERSION: &str = concat!(
    "3.9.5-zk_server_",
    env!("CARGO_PKG_VERSION"),
    ", built on <NA>"
);

pub(super) fn srvr(serving: &Serving) -> String {
    format!("Zookeeper version: {VERSION}\n{}", counters(serving))
}

pub(super) fn stat(serving: &Serving, asker: ConnId, shell: &Shell) -> String {
    let mut text = format!("Zookeeper version: {VERSION}\nClients:\n");
    connections::list(&mut text, serving, asker, shell, Detail::Brief);
    text.push('\n');
    text.push_str(&counters(serving));
    text
}

pub(super) fn srst(serving: &mut Serving) -> String {
    serving.reset_stats();
    "Server stats reset.\n".to_owned()
}

fn counters(serving: &Serving) -> String {
    let (stats, zks) = (&serving.stats, &serving.zks);
    let latency = &stats.latency;
    let mean = java_text::double(latency.mean_in_ten_thousandths());
    let mut text = String::new();
    if zks.is_read_only() {
        text.push_str("READ-ONLY mode; serving only read-only clients\n");
    }
    // Requests are answered as they are handled: none is outstanding in between.
    let _ = write!(
        text,
        "Latency min/avg/max: {}/{mean}/{}\n\
         Received: {}\n\
         Sent: {}\n\
         Connections: {}\n\
         Outstanding: 0\n\
         Zxid: {}\n\
         Mode: {}\n\
         Node count: {}\n",
        latency.min(),
        latency.max(),
        stats.packets_received,
        stats.packets_sent,
        serving.cnxns.len(),
        zks.last_zxid(),
        mode(serving),
        zks.node_count(),
    );
    if let Some(leading) = leading(serving) {
        let [last, min, max] = leading.proposals.last_min_max();
        let _ = writeln!(text, "Proposal sizes last/min/max: {last}/{min}/{max}");
    }
    text
}

/// What the server is to its clients.
pub(crate) fn mode(serving: &Serving) -> &'static str {
    if serving.zks.is_read_only() {
        return "read-only";
    }
    let view = serving.quorum.as_ref();
    view.map_or("standalone", QuorumView::mode)
}

/// What only a leader has.
pub(crate) fn leading(serving: &Serving) -> Option<&Leading> {
    serving.quorum.as_ref()?.leading.as_ref()
}
