//! What a run reached: an agreement about nothing proves nothing.

use std::collections::BTreeMap;
use std::fmt;

use zk_proto::record::MultiResult;
use zk_proto::{ErrorCode, OpCode};

use super::observation::{Observation, Seen};
use super::op::Op;
use super::reply::{Body, Incoming};

/// Counts of what the reference was seen to do.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    counts: BTreeMap<String, usize>,
}

impl Coverage {
    pub(crate) fn add(&mut self, op: &Op, seen: &[Observation]) {
        self.count(kind(op).to_owned());
        for observation in seen {
            self.add_seen(&observation.seen);
        }
    }

    /// Adds what another run reached.
    pub fn merge(&mut self, other: &Self) {
        for (what, count) in &other.counts {
            *self.counts.entry(what.clone()).or_default() += count;
        }
    }

    /// The reaper's work, which no operation shows.
    pub(crate) fn add_reaped(&mut self, count: usize) {
        for _ in 0..count {
            self.count("reaped".into());
        }
    }

    fn add_seen(&mut self, seen: &Seen) {
        match seen {
            Seen::Frame(Incoming::Event { event, .. }, _) => {
                self.count(format!("event {}", event.event_type));
            }
            Seen::Closed => self.count("closed".into()),
            Seen::Frame(..)
            | Seen::Connected(..)
            | Seen::Refused
            | Seen::Silence
            | Seen::Calm(_)
            | Seen::Overdue(_) => {}
        }
        let Some((reply, op)) = seen.reply() else {
            return;
        };
        self.count(reply_name(op, reply.header.err));
        if let Body::Multi(response) = reply.body(op) {
            for result in &response.results {
                if let MultiResult::Error(err) = result {
                    self.count(format!("within multi {err:?}"));
                }
            }
        }
    }

    fn count(&mut self, what: String) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// What a run of ten thousand operations is expected to reach and this one
    /// did not.
    pub fn missing(&self) -> Vec<String> {
        expected()
            .filter(|what| !self.counts.contains_key(what))
            .collect()
    }
}

/// One line for each thing reached.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.counts {
            writeln!(f, "{count:>8}  {what}")?;
        }
        Ok(())
    }
}

const fn kind(op: &Op) -> &'static str {
    match op {
        Op::Open(_) => "op open",
        Op::Resume { .. } => "op resume",
        Op::Visit { .. } => "op visit",
        Op::Late { .. } => "op late",
        Op::Stranger { .. } => "op stranger",
        Op::Intrude(_) => "op intrude",
        Op::Disconnect(_) => "op disconnect",
        Op::Request(..) => "op request",
        Op::Pipeline(..) => "op pipeline",
        Op::Garble(..) => "op garble",
        Op::Expire { .. } => "op expire",
    }
}

fn reply_name(op: i32, err: ErrorCode) -> String {
    match OpCode::try_from(op) {
        Ok(op) => format!("{op:?} {err:?}"),
        Err(_) => format!("no operation {err:?}"),
    }
}

const OPS: [&str; 11] = [
    "op open",
    "op resume",
    "op visit",
    "op late",
    "op stranger",
    "op intrude",
    "op disconnect",
    "op request",
    "op pipeline",
    "op garble",
    "op expire",
];

const EVENTS: [&str; 4] = ["event 1", "event 2", "event 3", "event 4"];

const VERDICTS: [(OpCode, ErrorCode); 65] = {
    use {ErrorCode as E, OpCode as O};
    [
        (O::Create, E::Ok),
        (O::Create, E::NodeExists),
        (O::Create, E::NoNode),
        (O::Create, E::NoAuth),
        (O::Create, E::InvalidAcl),
        (O::Create, E::BadArguments),
        (O::Create, E::NoChildrenForEphemerals),
        (O::Create, E::MarshallingError),
        (O::Create2, E::Ok),
        (O::Create2, E::QuotaExceeded),
        (O::CreateContainer, E::Ok),
        (O::CreateContainer, E::BadArguments),
        (O::CreateTtl, E::Ok),
        (O::CreateTtl, E::BadArguments),
        (O::Delete, E::Ok),
        (O::Delete, E::NoNode),
        (O::Delete, E::NotEmpty),
        (O::Delete, E::BadVersion),
        (O::Delete, E::NoAuth),
        (O::Delete, E::BadArguments),
        (O::SetData, E::Ok),
        (O::SetData, E::NoNode),
        (O::SetData, E::BadVersion),
        (O::SetData, E::NoAuth),
        (O::SetData, E::BadArguments),
        (O::SetData, E::QuotaExceeded),
        (O::SetAcl, E::Ok),
        (O::SetAcl, E::InvalidAcl),
        (O::SetAcl, E::BadVersion),
        (O::SetAcl, E::NoNode),
        (O::SetAcl, E::NoAuth),
        (O::Exists, E::Ok),
        (O::Exists, E::NoNode),
        (O::Exists, E::NoAuth),
        (O::Exists, E::BadArguments),
        (O::GetData, E::Ok),
        (O::GetData, E::NoNode),
        (O::GetData, E::NoAuth),
        (O::GetAcl, E::Ok),
        (O::GetAcl, E::NoAuth),
        (O::GetChildren, E::Ok),
        (O::GetChildren, E::NoNode),
        (O::GetChildren2, E::Ok),
        (O::GetAllChildrenNumber, E::Ok),
        (O::GetEphemerals, E::Ok),
        (O::Sync, E::Ok),
        (O::Multi, E::Ok),
        (O::Multi, E::MarshallingError),
        (O::MultiRead, E::Ok),
        (O::MultiRead, E::MarshallingError),
        (O::Reconfig, E::ReconfigDisabled),
        (O::AddWatch, E::Ok),
        (O::AddWatch, E::MarshallingError),
        (O::CheckWatches, E::Ok),
        (O::CheckWatches, E::NoWatcher),
        (O::RemoveWatches, E::Ok),
        (O::RemoveWatches, E::NoWatcher),
        (O::SetWatches, E::Ok),
        (O::SetWatches2, E::Ok),
        (O::SetWatches2, E::MarshallingError),
        (O::Auth, E::Ok),
        (O::Auth, E::AuthFailed),
        (O::Sasl, E::Ok),
        (O::WhoAmI, E::Ok),
        (O::CloseSession, E::Ok),
    ]
};

fn expected() -> impl Iterator<Item = String> {
    let verdicts = VERDICTS.iter();
    verdicts
        .map(|(op, err)| reply_name((*op).into(), *err))
        .chain(OPS.iter().chain(&EVENTS).map(|what| (*what).to_owned()))
        .chain(["closed".into(), "reaped".into()])
        .chain(["no operation Unimplemented".into(), "Ping Ok".into()])
        .chain([
            "Check Unimplemented".into(),
            "within multi Ok".into(),
            "within multi RuntimeInconsistency".into(),
        ])
}
