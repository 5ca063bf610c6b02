//! Counters and histograms through the `metrics` facade; nothing without the feature.
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `zk_client_requests_total` | counter | `op`, `outcome` = ok, error or lost |
//! | `zk_client_request_seconds` | histogram | `op` |
//! | `zk_client_in_flight` | gauge | |
//! | `zk_client_bytes_sent_total`, `zk_client_bytes_received_total` | counter | |
//! | `zk_client_connections_total` | counter | |
//! | `zk_client_disconnections_total` | counter | `cause` |
//! | `zk_client_watch_events_total` | counter | |

use crate::session::Cause;

/// The client's instruments.
#[derive(Debug)]
pub(crate) struct Metrics;

impl Metrics {
    pub(crate) const fn new() -> Self {
        Self
    }
}

#[cfg(feature = "metrics")]
impl Metrics {
    pub(crate) fn connected(&self) {
        metrics::counter!("zk_client_connections_total").increment(1);
    }

    pub(crate) fn disconnected(&self, cause: &Cause) {
        metrics::counter!("zk_client_disconnections_total", "cause" => cause.label()).increment(1);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        metrics::counter!("zk_client_bytes_sent_total").increment(bytes as u64);
    }

    pub(crate) fn received(&self, bytes: usize) {
        metrics::counter!("zk_client_bytes_received_total").increment(bytes as u64);
    }

    pub(crate) fn watch_event(&self) {
        metrics::counter!("zk_client_watch_events_total").increment(1);
    }
}

#[cfg(not(feature = "metrics"))]
impl Metrics {
    pub(crate) const fn connected(&self) {}
    pub(crate) const fn disconnected(&self, _: &Cause) {}
    pub(crate) const fn sent(&self, _: usize) {}
    pub(crate) const fn received(&self, _: usize) {}
    pub(crate) const fn watch_event(&self) {}
}
