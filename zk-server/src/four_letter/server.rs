//! `srvr`, `stat` and `srst`: the server as a whole.

use std::fmt::Write as _;

use super::connections::{self, Detail};
use super::java_text;
use crate::net::{Serving, Shell};
use crate::zookeeper_server::ConnId;

/// Apache's layout, `<version>-<revision>, built on <date>`. The version is the one
/// whose behaviour this server has, because clients read it to know what they may
/// send; the revision says who it really is. There is no date in it, so that equal
/// sources give equal binaries.
pub(super) const VERSION: &str = concat!(
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
    serving.stats.reset();
    "Server stats reset.\n".to_owned()
}

fn counters(serving: &Serving) -> String {
    let (stats, zks) = (&serving.stats, &serving.zks);
    let latency = &stats.latency;
    let mean = java_text::double(latency.mean_in_ten_thousandths());
    let mut text = String::new();
    // Requests are answered as they are handled: none is outstanding in between.
    let _ = write!(
        text,
        "Latency min/avg/max: {}/{mean}/{}\n\
         Received: {}\n\
         Sent: {}\n\
         Connections: {}\n\
         Outstanding: 0\n\
         Zxid: {}\n\
         Mode: standalone\n\
         Node count: {}\n",
        latency.min(),
        latency.max(),
        stats.packets_received,
        stats.packets_sent,
        serving.cnxns.len(),
        zks.last_zxid(),
        zks.node_count(),
    );
    text
}
