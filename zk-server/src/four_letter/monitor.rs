//! `mntr`: the numbers a monitoring system collects.

use std::fmt::{Display, Write as _};

use super::java_text;
use super::server::{self, VERSION};
use crate::net::{Serving, Shell};
use crate::quorum::{Leading, PeerState, QuorumView};
use crate::stats::ServerStats;

/// Apache's keys as far as they mean something here. Apache lists them in the
/// order of a hash table, so that readers go by name.
pub(super) fn mntr(serving: &Serving, shell: &Shell) -> String {
    let mut text = String::new();
    let mut put = |key: &str, value: &dyn Display| {
        let _ = writeln!(text, "zk_{key}\t{value}");
    };
    put("version", &VERSION);
    put("server_state", &server::mode(serving));
    if let Some(view) = &serving.quorum {
        put("peer_state", &view.peer_state());
    }
    put_requests(&mut put, serving);
    put_tree(&mut put, serving);
    put_connections(&mut put, serving);
    let uptime = shell.env.now().since(serving.started).as_millis();
    put("uptime", &uptime);
    if let Some(view) = &serving.quorum {
        put_ensemble(&mut put, view, shell);
    }
    text
}

fn put_ensemble(put: &mut impl FnMut(&str, &dyn Display), view: &QuorumView, shell: &Shell) {
    put("quorum_size", &view.verifier.voters().count());
    put("looking_count", &view.looking_count);
    if let (PeerState::Observing, Some(leader)) = (view.state, view.leader) {
        put("observer_master_id", &leader);
    }
    if let Some(leading) = &view.leading {
        put_leader(put, leading, view, shell);
    }
}

fn put_leader(
    put: &mut impl FnMut(&str, &dyn Display),
    leading: &Leading,
    view: &QuorumView,
    shell: &Shell,
) {
    let synced = leading.synced(&view.verifier);
    let uptime = shell.env.now().since(leading.since).as_millis();
    let [last, min, max] = leading.proposals.last_min_max();
    put("learners", &leading.learners.len());
    put("synced_followers", &synced.followers);
    put("synced_non_voting_followers", &synced.non_voting_followers);
    put("synced_observers", &synced.observers);
    put("pending_syncs", &leading.pending_syncs);
    put("leader_uptime", &uptime);
    put("last_proposal_size", &last);
    put("max_proposal_size", &max);
    put("min_proposal_size", &min);
    put("proposal_count", &leading.proposals.count());
}

fn put_requests(put: &mut impl FnMut(&str, &dyn Display), serving: &Serving) {
    let stats = &serving.stats;
    let mean = java_text::double(stats.latency.mean_in_ten_thousandths());
    put("avg_latency", &mean);
    put("max_latency", &stats.latency.max());
    put("min_latency", &stats.latency.min());
    put("packets_received", &stats.packets_received);
    put("packets_sent", &stats.packets_sent);
    put("bytes_received_count", &stats.bytes_received);
    put("outstanding_requests", &0);
    put_response_sizes(put, stats);
}

/// −1 stands for "none yet".
fn put_response_sizes(put: &mut impl FnMut(&str, &dyn Display), stats: &ServerStats) {
    let sizes = if stats.response_size.is_empty() {
        [-1; 3].map(i128::from)
    } else {
        let size = &stats.response_size;
        [stats.last_response_size, size.max(), size.min()].map(i128::from)
    };
    put("last_client_response_size", &sizes[0]);
    put("max_client_response_size", &sizes[1]);
    put("min_client_response_size", &sizes[2]);
}

fn put_tree(put: &mut impl FnMut(&str, &dyn Display), serving: &Serving) {
    let zks = &serving.zks;
    put("znode_count", &zks.node_count());
    put("watch_count", &zks.watch_count());
    put("ephemerals_count", &zks.ephemerals_count());
    put("approximate_data_size", &zks.approximate_data_size());
    put("global_sessions", &zks.session_count());
    put("local_sessions", &0);
}

fn put_connections(put: &mut impl FnMut(&str, &dyn Display), serving: &Serving) {
    let stats = &serving.stats;
    put("num_alive_connections", &serving.cnxns.len());
    put("connection_request_count", &stats.connection_requests);
    put("connection_rejected", &stats.connections_rejected);
    put("connection_drop_count", &stats.connections_dropped);
    put("connection_drop_probability", &"0.0");
    put(
        "sessionless_connections_expired",
        &stats.idle_connections_expired,
    );
    put("outstanding_tls_handshake", &0);
    put("non_mtls_remote_conn_count", &0);
    put("non_mtls_local_conn_count", &0);
}
