//! S1: what a client was told is done was committed when it was told.

use std::collections::{BTreeMap, BTreeSet};

use zk_proto::{ErrorCode, OpCode, SessionId, Xid};

use crate::history::{Call, ClientId, History, Outcome, Step};
use crate::runner::Invariant;

/// No write is acknowledged before a server has applied it.
#[derive(Debug, Default)]
pub struct Acknowledged {
    owners: BTreeMap<SessionId, ClientId>,
    /// What was applied, by session; of those that have an owner, by client.
    unowned: BTreeMap<SessionId, Vec<Xid>>,
    applied: BTreeSet<(ClientId, Xid)>,
}

impl Invariant for Acknowledged {
    fn name(&self) -> &'static str {
        "acknowledged"
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        match step {
            Step::Session(seen) => {
                self.owners.insert(seen.session, seen.client);
                let early = self.unowned.remove(&seen.session).unwrap_or_default();
                let early = early.into_iter().map(|xid| (seen.client, xid));
                self.applied.extend(early);
                Ok(())
            }
            Step::Applied(applied) => {
                let made = &applied.transaction;
                // That a multi has failed is an answer as well.
                if made.err != ErrorCode::Ok && made.op != OpCode::Multi {
                    return Ok(());
                }
                match self.owners.get(&made.session) {
                    Some(client) => _ = self.applied.insert((*client, made.cxid)),
                    None => self
                        .unowned
                        .entry(made.session)
                        .or_default()
                        .push(made.cxid),
                }
                Ok(())
            }
            Step::Ended(call) => self.look(call),
            _ => Ok(()),
        }
    }

    /// The replay compares all calls with all that was committed.
    fn check(&mut self, _: &History) -> Result<(), String> {
        Ok(())
    }
}

impl Acknowledged {
    fn look(&self, call: &Call) -> Result<(), String> {
        let (Some((at, Outcome::Answer(_))), Some(xid)) = (&call.ended, call.xid) else {
            return Ok(());
        };
        if !is_write(call.op) || self.applied.contains(&(call.client, xid)) {
            return Ok(());
        }
        Err(format!(
            "{:?} of {:?} by client {}, xid {}, was acknowledged at {at:?} and is applied nowhere",
            call.op, call.path, call.client.0, xid.0
        ))
    }
}

/// Whether what is acknowledged is a transaction. A multi may be one of checks alone.
const fn is_write(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::SetData
            | OpCode::SetAcl
            | OpCode::Multi
            | OpCode::Reconfig
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answered(op: OpCode, xid: i32) -> Call {
        Call {
            client: ClientId(1),
            xid: Some(Xid(xid)),
            op,
            path: "/a".into(),
            watcher: None,
            called: Duration::ZERO,
            ended: Some((Duration::ZERO, Outcome::Answer(bytes::Bytes::new()))),
        }
    }

    #[test]
    fn a_write_is_acknowledged_after_it_was_applied() {
        let mut invariant = Acknowledged::default();
        invariant.applied.insert((ClientId(1), Xid(1)));
        assert_eq!(
            invariant.step(&Step::Ended(&answered(OpCode::Create, 1))),
            Ok(())
        );
        assert!(
            invariant
                .step(&Step::Ended(&answered(OpCode::Create, 2)))
                .is_err()
        );
        assert_eq!(
            invariant.step(&Step::Ended(&answered(OpCode::GetData, 2))),
            Ok(())
        );
    }
}
