//! What clients called, were told, heard and knew of their sessions.

use std::collections::BTreeMap;

use crate::history::{At, Call, ClientId, Heard, History, Outcome, SessionSeen, StateSeen};

use super::{Kind, Line};

/// The lines of all clients.
pub(super) fn lines(history: &History, lines: &mut Vec<Line>) {
    let hosts = hosts(history);
    let mut line = |client: ClientId, at: At, kind: Kind, text: String| {
        let host = hosts.get(&client);
        let name = host.map_or_else(|| "?".to_owned(), |host| (*host).to_owned());
        lines.push(Line {
            at,
            kind,
            hosts: host.map(|host| (*host).to_owned()).into_iter().collect(),
            text: format!("{name}, client {}: {text}", client.0),
        });
    };
    for seen in &history.sessions {
        line(seen.client, seen.at, Kind::State, session(seen));
    }
    for seen in &history.states {
        line(seen.client, seen.at, Kind::State, state(seen));
    }
    for call in &history.calls {
        line(call.client, call.called, Kind::Call, called(call));
        if let Some((at, outcome)) = &call.ended {
            line(call.client, *at, Kind::Call, ended(call, outcome, *at));
        }
    }
    for heard in &history.heard {
        line(heard.client, heard.at, Kind::Call, event(heard));
    }
}

/// Where clients are, by the connections that spoke for their sessions.
fn hosts(history: &History) -> BTreeMap<ClientId, &str> {
    let by_session: BTreeMap<_, _> = history
        .connections
        .iter()
        .filter_map(|connection| Some((connection.session()?, &*connection.from)))
        .collect();
    let seen = history.sessions.iter();
    seen.filter_map(|seen| Some((seen.client, *by_session.get(&seen.session)?)))
        .collect()
}

fn session(seen: &SessionSeen) -> String {
    format!("has session {}, epoch {}", seen.session, seen.epoch)
}

fn state(seen: &StateSeen) -> String {
    format!("is {:?}", seen.state)
}

fn name(call: &Call) -> String {
    let xid = call
        .xid
        .map_or_else(|| "no xid".to_owned(), |xid| format!("xid {xid}"));
    format!("{:?} {} {xid}", call.op, call.path)
}

fn called(call: &Call) -> String {
    format!("calls {}", name(call))
}

fn ended(call: &Call, outcome: &Outcome, at: At) -> String {
    let told = match outcome {
        Outcome::Answer(record) => format!("ok, {} bytes", record.len()),
        Outcome::Refused(code) => format!("refused, {code}"),
        Outcome::NotApplied(why) => format!("not applied, {why}"),
        Outcome::Unknown(why) => format!("unknown, {why}"),
        Outcome::Applied(why) => format!("applied, {why}"),
        Outcome::Dropped => "dropped".to_owned(),
    };
    let took = at.saturating_sub(call.called).as_secs_f64();
    format!("{}: {told} (after {took:.3} s)", name(call))
}

fn event(heard: &Heard) -> String {
    let event = &heard.event;
    let zxid = event
        .zxid
        .map_or_else(String::new, |zxid| format!(", zxid {zxid}"));
    let (kind, state, path) = (event.event_type, event.state, &event.path);
    let watcher = heard.watcher.0;
    format!("watcher {watcher} has {kind:?} {path} ({state:?}){zxid}")
}
