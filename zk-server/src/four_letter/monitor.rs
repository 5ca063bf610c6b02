//! The numbers a monitoring system collects: as `mntr` shows them, and for whoever shows
//! them otherwise.

use std::fmt::{self, Write as _};

use super::java_text;
use super::server::{self, VERSION};
use crate::net::{Serving, Shell};
use crate::quorum::{Leading, PeerState, QuorumView};
use crate::stats::ServerStats;

/// One of Apache's keys, without the `zk_` of `mntr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metric {
    pub(crate) key: &'static str,
    pub(crate) value: Value,
}

/// What stands behind a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    /// Goes up and down.
    Gauge(i64),
    /// Goes up, until `srst`.
    Counter(u64),
    /// A mean, in ten-thousandths.
    Mean(u64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Gauge(number) => number.fmt(f),
            Self::Counter(number) => number.fmt(f),
            Self::Mean(ten_thousandths) => f.write_str(&java_text::double(*ten_thousandths)),
        }
    }
}

pub(super) fn mntr(serving: &Serving, shell: &Shell) -> String {
    let mut text = String::new();
    for Metric { key, value } in metrics(serving, shell) {
        let _ = writeln!(text, "zk_{key}\t{value}");
    }
    text
}

/// Apache's keys as far as they mean something here. Apache lists them in the
/// order of a hash table, so that readers go by name.
pub(crate) fn metrics(serving: &Serving, shell: &Shell) -> Vec<Metric> {
    let mut metrics = Metrics::default();
    metrics.text("version", VERSION);
    metrics.text("server_state", server::mode(serving));
    if let Some(view) = &serving.quorum {
        metrics.text("peer_state", &view.peer_state());
    }
    metrics.requests(&serving.stats);
    metrics.tree(serving);
    metrics.connections(serving);
    let uptime = shell.env.now().since(serving.started);
    metrics.gauge("uptime", uptime.as_millis());
    if let Some(view) = &serving.quorum {
        metrics.ensemble(view, shell);
    }
    metrics.0
}

#[derive(Default)]
struct Metrics(Vec<Metric>);

impl Metrics {
    fn put(&mut self, key: &'static str, value: Value) {
        self.0.push(Metric { key, value });
    }

    fn text(&mut self, key: &'static str, value: &str) {
        self.put(key, Value::Text(value.to_owned()));
    }

    fn gauge(&mut self, key: &'static str, value: impl TryInto<i64>) {
        self.put(key, Value::Gauge(value.try_into().unwrap_or(i64::MAX)));
    }

    fn counter(&mut self, key: &'static str, value: u64) {
        self.put(key, Value::Counter(value));
    }

    fn requests(&mut self, stats: &ServerStats) {
        let latency = &stats.latency;
        self.put(
            "avg_latency",
            Value::Mean(latency.mean_in_ten_thousandths()),
        );
        self.gauge("max_latency", latency.max());
        self.gauge("min_latency", latency.min());
        self.counter("packets_received", stats.packets_received);
        self.counter("packets_sent", stats.packets_sent);
        self.counter("bytes_received_count", stats.bytes_received);
        self.gauge("outstanding_requests", 0);
        let [last, min, max] = stats.last_min_max_response();
        self.gauge("last_client_response_size", last);
        self.gauge("max_client_response_size", max);
        self.gauge("min_client_response_size", min);
    }

    fn tree(&mut self, serving: &Serving) {
        let zks = &serving.zks;
        self.gauge("znode_count", zks.node_count());
        self.gauge("watch_count", zks.watch_count());
        self.gauge("ephemerals_count", zks.ephemerals_count());
        self.gauge("approximate_data_size", zks.approximate_data_size());
        self.gauge("global_sessions", zks.session_count());
        self.gauge("local_sessions", 0);
    }

    fn connections(&mut self, serving: &Serving) {
        let stats = &serving.stats;
        self.gauge("num_alive_connections", serving.cnxns.len());
        self.counter("connection_request_count", stats.connection_requests);
        self.counter("connection_rejected", stats.connections_rejected);
        self.counter("connection_drop_count", stats.connections_dropped);
        self.put("connection_drop_probability", Value::Mean(0));
        self.counter(
            "sessionless_connections_expired",
            stats.idle_connections_expired,
        );
        self.gauge("outstanding_tls_handshake", serving.outstanding_handshakes);
        self.counter("unsuccessful_handshake", stats.unsuccessful_handshakes);
        self.gauge("non_mtls_remote_conn_count", 0);
        self.gauge("non_mtls_local_conn_count", 0);
    }

    fn ensemble(&mut self, view: &QuorumView, shell: &Shell) {
        self.gauge("quorum_size", view.verifier.voters().count());
        self.counter("looking_count", view.looking_count);
        match (view.state, view.learner_master) {
            (PeerState::Observing, Some(master)) => self.gauge("observer_master_id", master.0),
            (PeerState::Following, _) => {
                let observers = view.observers.iter().filter(|observer| observer.is_synced);
                self.gauge("synced_observers", observers.count());
            }
            _ => {}
        }
        if let Some(leading) = &view.leading {
            self.leader(leading, view, shell);
        }
    }

    fn leader(&mut self, leading: &Leading, view: &QuorumView, shell: &Shell) {
        let synced = leading.synced(&view.verifier);
        let uptime = shell.env.now().since(leading.since);
        let [last, min, max] = leading.proposals.last_min_max();
        self.gauge("learners", leading.learners.len());
        self.gauge("synced_followers", synced.followers);
        self.gauge("synced_non_voting_followers", synced.non_voting_followers);
        self.gauge("synced_observers", synced.observers);
        self.gauge("pending_syncs", leading.pending_syncs);
        self.gauge("leader_uptime", uptime.as_millis());
        self.gauge("last_proposal_size", last);
        self.gauge("max_proposal_size", max);
        self.gauge("min_proposal_size", min);
        self.counter("proposal_count", leading.proposals.count());
    }
}
