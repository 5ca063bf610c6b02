//! `connections`, and `dump`.

use std::collections::BTreeMap;

use serde::Serialize;
use zk_proto::SessionId;

use crate::four_letter::{Answered, interest_ops, is_learner, reset_connections};
use crate::net::{Cnxn, Serving, Shell};
use crate::zookeeper_server::ConnInfo;

#[derive(Serialize)]
pub(in crate::admin) struct Connections<C> {
    connections: Vec<C>,
    /// There is no TLS yet.
    secure_connections: [(); 0],
}

/// What is known of every connection.
#[derive(Serialize)]
pub(in crate::admin) struct Brief {
    remote_socket_address: String,
    interest_ops: u32,
    outstanding_requests: u32,
    packets_received: u64,
    packets_sent: u64,
}

/// What is known of one with a session.
#[derive(Serialize)]
pub(in crate::admin) struct Full {
    #[serde(flatten)]
    brief: Brief,
    #[serde(flatten)]
    session: Option<Session>,
}

#[derive(Serialize)]
struct Session {
    session_id: i64,
    last_operation: &'static str,
    established: i64,
    session_timeout: i32,
    last_cxid: i64,
    last_zxid: i64,
    last_response_time: u128,
    last_latency: u64,
    min_latency: u64,
    avg_latency: u64,
    max_latency: u64,
}

pub(in crate::admin) fn connections(serving: &Serving, shell: &Shell) -> Connections<Full> {
    let cnxns = serving.cnxns.iter().map(|(id, cnxn)| {
        let info = serving.zks.connection(id);
        let info = info.filter(|info| info.session != SessionId::NONE);
        Full {
            brief: Brief::of(cnxn, shell),
            session: info.map(|info| Session::of(cnxn, &info)),
        }
    });
    list(cnxns.collect())
}

/// As `stats` shows them.
pub(super) fn brief(serving: &Serving, shell: &Shell) -> Connections<Brief> {
    let cnxns = serving.cnxns.iter();
    list(cnxns.map(|(_, cnxn)| Brief::of(cnxn, shell)).collect())
}

fn list<C>(connections: Vec<C>) -> Connections<C> {
    Connections {
        connections,
        secure_connections: [],
    }
}

impl Brief {
    fn of(cnxn: &Cnxn, shell: &Shell) -> Self {
        Self {
            remote_socket_address: cnxn.peer.to_string(),
            interest_ops: interest_ops(cnxn, shell),
            outstanding_requests: 0,
            packets_received: cnxn.stats.packets_received,
            packets_sent: cnxn.stats.packets_sent,
        }
    }
}

impl Session {
    fn of(cnxn: &Cnxn, info: &ConnInfo) -> Self {
        let stats = &cnxn.stats;
        let last = Answered::last(stats, info);
        Self {
            session_id: info.session.0,
            last_operation: last.op,
            established: cnxn.established_ms,
            session_timeout: info.timeout_ms,
            last_cxid: last.cxid,
            last_zxid: last.zxid,
            last_response_time: stats.last_response.since_origin().as_millis(),
            last_latency: stats.last_latency,
            min_latency: stats.latency.min(),
            avg_latency: stats.latency.whole_mean(),
            max_latency: stats.latency.max(),
        }
    }
}

pub(in crate::admin) fn reset(serving: &mut Serving) {
    reset_connections(serving);
}

#[derive(Serialize)]
pub(in crate::admin) struct Dump<'s> {
    /// By the monotonic clock, in milliseconds; a learner does not know.
    expiry_time_to_session_ids: BTreeMap<u128, Vec<i64>>,
    session_id_to_ephemeral_paths: BTreeMap<i64, Vec<&'s str>>,
}

pub(in crate::admin) fn dump(serving: &Serving) -> Dump<'_> {
    let mut by_expiry: BTreeMap<_, Vec<_>> = BTreeMap::new();
    if !is_learner(serving) {
        for info in serving.zks.sessions() {
            let expires = info.expires.since_origin().as_millis();
            by_expiry.entry(expires).or_default().push(info.session.0);
        }
    }
    let ephemerals = serving.zks.ephemerals().into_iter();
    Dump {
        expiry_time_to_session_ids: by_expiry,
        session_id_to_ephemeral_paths: ephemerals
            .map(|(session, paths)| (session.0, paths))
            .collect(),
    }
}
