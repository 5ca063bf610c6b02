//! `dump`: sessions, ephemerals and connections, by when they expire.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use zk_env::Mono;
use zk_proto::SessionId;

use super::{java_text, server};
use crate::net::{Serving, Shell};

pub(super) fn dump(serving: &Serving, shell: &Shell) -> String {
    let mut text = "SessionTracker dump:\n".to_owned();
    write_sessions(&mut text, serving, shell);
    text.push_str("ephemeral nodes dump:\n");
    write_ephemerals(&mut text, serving);
    text.push_str("Connections dump:\nConnections ");
    let cnxns = serving.cnxns.iter().map(|(id, cnxn)| {
        let info = serving.zks.connection(id);
        let session = info.map_or(SessionId::NONE, |info| info.session);
        let line = format!("ip: /{} sessionId: {session}", cnxn.peer);
        (cnxn.idle_deadline, line)
    });
    write_sets(&mut text, cnxns, shell);
    text
}

/// Whether another server decides when sessions expire.
pub(crate) fn is_learner(serving: &Serving) -> bool {
    serving.quorum.is_some() && server::leading(serving).is_none()
}

/// A learner knows whose sessions there are; when they expire is their leader's.
fn write_sessions(text: &mut String, serving: &Serving, shell: &Shell) {
    if is_learner(serving) {
        let sessions = serving.zks.session_timeouts();
        let _ = writeln!(text, "Global Sessions({}):", sessions.len());
        for (session, timeout_ms) in sessions {
            let _ = writeln!(text, "{session}\t{timeout_ms}ms");
        }
        return;
    }
    text.push_str("Session ");
    let sessions = serving.zks.sessions().into_iter();
    write_sets(
        text,
        sessions.map(|info| (info.expires, info.session)),
        shell,
    );
}

fn write_ephemerals(text: &mut String, serving: &Serving) {
    let ephemerals = serving.zks.ephemerals();
    let _ = writeln!(text, "Sessions with Ephemerals ({}):", ephemerals.len());
    for (session, paths) in ephemerals {
        let _ = writeln!(text, "{session}:");
        for path in paths {
            let _ = writeln!(text, "\t{path}");
        }
    }
}

/// What expires together, the next first, under the time at which it will.
fn write_sets<T: Display>(
    text: &mut String,
    items: impl Iterator<Item = (Mono, T)>,
    shell: &Shell,
) {
    let mut sets: BTreeMap<Mono, Vec<T>> = BTreeMap::new();
    let mut count = 0;
    for (deadline, item) in items {
        sets.entry(deadline).or_default().push(item);
        count += 1;
    }
    let (now, wall_ms) = (shell.env.now(), shell.wall_ms());
    let _ = writeln!(text, "Sets ({})/({count}):", sets.len());
    for (deadline, items) in sets {
        let date = java_text::date(wall_at(deadline, now, wall_ms));
        let _ = writeln!(text, "{} expire at {date}:", items.len());
        for item in items {
            let _ = writeln!(text, "\t{item}");
        }
    }
}

/// The wall-clock time of a monotonic deadline, in milliseconds.
fn wall_at(deadline: Mono, now: Mono, wall_ms: i64) -> i64 {
    let millis = |duration: std::time::Duration| i64::try_from(duration.as_millis());
    let ahead = millis(deadline.since(now)).unwrap_or(i64::MAX);
    let behind = millis(now.since(deadline)).unwrap_or(i64::MAX);
    wall_ms.saturating_add(ahead).saturating_sub(behind)
}
