//! `watches`, `watches_by_path` and `watch_summary`. Like Apache they show data watches only.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::net::Serving;

#[derive(Serialize)]
pub(in crate::admin) struct BySession<'s> {
    session_id_to_watched_paths: BTreeMap<i64, Vec<&'s str>>,
}

#[derive(Serialize)]
pub(in crate::admin) struct ByPath<'s> {
    path_to_session_ids: BTreeMap<&'s str, Vec<i64>>,
}

#[derive(Serialize)]
pub(in crate::admin) struct Summary {
    num_connections: usize,
    num_paths: usize,
    num_total_watches: usize,
}

pub(in crate::admin) fn by_session(serving: &Serving) -> BySession<'_> {
    let by_session = serving.zks.watches_by_session().into_iter();
    BySession {
        session_id_to_watched_paths: by_session
            .map(|(session, paths)| (session.0, paths))
            .collect(),
    }
}

pub(in crate::admin) fn by_path(serving: &Serving) -> ByPath<'_> {
    let by_path = serving.zks.watches_by_path().into_iter();
    ByPath {
        path_to_session_ids: by_path
            .map(|(path, sessions)| (path, sessions.into_iter().map(|id| id.0).collect()))
            .collect(),
    }
}

pub(in crate::admin) fn summary(serving: &Serving) -> Summary {
    let summary = serving.zks.watch_summary();
    Summary {
        num_connections: summary.connections,
        num_paths: summary.paths,
        num_total_watches: summary.watches,
    }
}
