//! Counters and histograms through the `metrics` facade; nothing without the feature.
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `zk_client_request_seconds` | histogram, from call to answer | `op`, `outcome` = ok or error |
//! | `zk_client_requests_lost_total` | counter, no answer came | `op` |
//! | `zk_client_in_flight` | gauge | |
//! | `zk_client_bytes_sent_total`, `zk_client_bytes_received_total` | counter | |
//! | `zk_client_connections_total` | counter | |
//! | `zk_client_disconnections_total` | counter | `cause` |
//! | `zk_client_watch_events_total` | counter | |

#[cfg(feature = "metrics")]
pub(crate) use recorded::*;
#[cfg(not(feature = "metrics"))]
pub(crate) use unrecorded::*;

#[cfg(feature = "metrics")]
mod recorded {
    use std::time::Duration;

    use metrics::{counter, gauge, histogram};
    use zk_proto::{ErrorCode, OpCode};

    use crate::session::Cause;

    pub(crate) fn answered(op: OpCode, err: ErrorCode, took: Duration) {
        let outcome = if err == ErrorCode::Ok { "ok" } else { "error" };
        let op = name(op);
        histogram!("zk_client_request_seconds", "op" => op, "outcome" => outcome).record(took);
    }

    pub(crate) fn lost(op: OpCode) {
        counter!("zk_client_requests_lost_total", "op" => name(op)).increment(1);
    }

    pub(crate) fn in_flight(requests: usize) {
        gauge!("zk_client_in_flight").set(requests as f64);
    }

    pub(crate) fn connected() {
        counter!("zk_client_connections_total").increment(1);
    }

    pub(crate) fn disconnected(cause: &Cause) {
        counter!("zk_client_disconnections_total", "cause" => cause.label()).increment(1);
    }

    pub(crate) fn sent(bytes: usize) {
        counter!("zk_client_bytes_sent_total").increment(bytes as u64);
    }

    pub(crate) fn received(bytes: usize) {
        counter!("zk_client_bytes_received_total").increment(bytes as u64);
    }

    pub(crate) fn watch_event() {
        counter!("zk_client_watch_events_total").increment(1);
    }

    const fn name(op: OpCode) -> &'static str {
        match op {
            OpCode::Notification => "notification",
            OpCode::Create => "create",
            OpCode::Delete => "delete",
            OpCode::Exists => "exists",
            OpCode::GetData => "get_data",
            OpCode::SetData => "set_data",
            OpCode::GetAcl => "get_acl",
            OpCode::SetAcl => "set_acl",
            OpCode::GetChildren => "get_children",
            OpCode::Sync => "sync",
            OpCode::Ping => "ping",
            OpCode::GetChildren2 => "get_children2",
            OpCode::Check => "check",
            OpCode::Multi => "multi",
            OpCode::Create2 => "create2",
            OpCode::Reconfig => "reconfig",
            OpCode::CheckWatches => "check_watches",
            OpCode::RemoveWatches => "remove_watches",
            OpCode::CreateContainer => "create_container",
            OpCode::DeleteContainer => "delete_container",
            OpCode::CreateTtl => "create_ttl",
            OpCode::MultiRead => "multi_read",
            OpCode::Auth => "auth",
            OpCode::SetWatches => "set_watches",
            OpCode::Sasl => "sasl",
            OpCode::GetEphemerals => "get_ephemerals",
            OpCode::GetAllChildrenNumber => "get_all_children_number",
            OpCode::SetWatches2 => "set_watches2",
            OpCode::AddWatch => "add_watch",
            OpCode::WhoAmI => "who_am_i",
            OpCode::CreateSession => "create_session",
            OpCode::CloseSession => "close_session",
            OpCode::Error => "error",
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod unrecorded {
    use std::time::Duration;

    use zk_proto::{ErrorCode, OpCode};

    use crate::session::Cause;

    pub(crate) const fn answered(_: OpCode, _: ErrorCode, _: Duration) {}
    pub(crate) const fn lost(_: OpCode) {}
    pub(crate) const fn in_flight(_: usize) {}
    pub(crate) const fn connected() {}
    pub(crate) const fn disconnected(_: &Cause) {}
    pub(crate) const fn sent(_: usize) {}
    pub(crate) const fn received(_: usize) {}
    pub(crate) const fn watch_event() {}
}
