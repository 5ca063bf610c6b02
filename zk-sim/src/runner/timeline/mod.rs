//! A run as people read it: who said what to whom, what clients called and were
//! told, what state they were in, and what went wrong when.

mod calls;
mod frames;
mod wire;

use std::collections::BTreeSet;
use std::fmt;

use crate::history::{At, FaultSeen, History, PeerSeen, Transaction};

/// What a line of a timeline is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A fault begins or ends, or the server starts again.
    Fault,
    /// A connection is dialled, stands, or ends.
    Connection,
    /// Something is said over a connection.
    Wire,
    /// A server logs a transaction.
    Log,
    /// What a server of an ensemble does.
    Peer,
    /// The state of a client's session.
    State,
    /// A client calls, is told, or takes an event from a watcher.
    Call,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: At,
    /// What it is about.
    pub kind: Kind,
    /// The hosts that it concerns; none if it concerns all.
    pub hosts: Vec<String>,
    /// What happened.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12.6}  {}", self.at.as_secs_f64(), self.text)
    }
}

/// Everything that happened in a run, in the order of time.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    lines: Vec<Line>,
}

/// What to show of a timeline. Everything unless told otherwise.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only what concerns these hosts.
    pub hosts: BTreeSet<String>,
    /// Nothing before this.
    pub from: Option<At>,
    /// Nothing after this.
    pub to: Option<At>,
    /// Only these kinds.
    pub kinds: BTreeSet<Kind>,
}

impl Filter {
    fn shows(&self, line: &Line) -> bool {
        let concerns = |host: &String| self.hosts.contains(host);
        self.from.is_none_or(|from| line.at >= from)
            && self.to.is_none_or(|to| line.at <= to)
            && (self.kinds.is_empty() || self.kinds.contains(&line.kind))
            && (self.hosts.is_empty() || line.hosts.is_empty() || line.hosts.iter().any(concerns))
    }
}

impl Timeline {
    /// The timeline of `history`.
    pub fn new(history: &History) -> Self {
        let mut lines = Vec::new();
        lines.extend(history.faults.iter().map(fault));
        lines.extend(history.server_restarts.iter().map(|at| restart(*at)));
        lines.extend(history.transactions.iter().map(transaction));
        lines.extend(history.peers.iter().map(peer));
        wire::lines(&history.connections, &mut lines);
        calls::lines(history, &mut lines);
        // Stable, so that what happens at the same time stays in the order in which
        // it was seen.
        lines.sort_by_key(|line| (line.at, line.kind));
        Self { lines }
    }

    /// What `filter` shows.
    pub fn show<'t>(&'t self, filter: &'t Filter) -> impl Iterator<Item = &'t Line> {
        self.lines.iter().filter(|line| filter.shows(line))
    }
}

fn fault(fault: &FaultSeen) -> Line {
    let verb = if fault.begins { "begins" } else { "ends" };
    Line {
        at: fault.at,
        kind: Kind::Fault,
        hosts: Vec::new(),
        text: format!("== {} {verb}", fault.what),
    }
}

fn peer(seen: &PeerSeen) -> Line {
    Line {
        at: seen.at,
        kind: Kind::Peer,
        hosts: vec![seen.peer.to_string()],
        text: format!("{} is {seen}", seen.peer),
    }
}

fn restart(at: At) -> Line {
    Line {
        at,
        kind: Kind::Fault,
        hosts: Vec::new(),
        text: "== the server starts again".to_owned(),
    }
}

fn transaction(transaction: &Transaction) -> Line {
    let Transaction {
        zxid,
        session,
        cxid,
        op,
        err,
        path,
        config,
        at,
        time_ms: _,
    } = transaction;
    let mut text = format!("log: {op:?} zxid {zxid} session {session} cxid {cxid}");
    if *err != zk_proto::ErrorCode::Ok {
        text.push_str(&format!(", {err}"));
    }
    if let Some(path) = path {
        text.push_str(&format!(" {path}"));
    }
    if let Some(config) = config {
        let members = config.lines().collect::<Vec<_>>().join(" ");
        text.push_str(&format!(": {members}"));
    }
    Line {
        at: *at,
        kind: Kind::Log,
        hosts: vec![crate::runner::SERVER.to_owned()],
        text,
    }
}
