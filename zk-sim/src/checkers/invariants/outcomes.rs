//! C1: which outcomes there are. A read has no effect, so it is never in doubt; a call
//! that took no place in line was not applied. Whether an outcome is true is for the
//! replay to say.

use zk_proto::OpCode;

use crate::history::{Call, History, Outcome, Step};
use crate::runner::Invariant;

/// Every outcome is one that its operation may have.
#[derive(Debug)]
pub struct Outcomes;

impl Invariant for Outcomes {
    fn name(&self) -> &'static str {
        "outcomes"
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        match step {
            Step::Ended(call) => check(call),
            _ => Ok(()),
        }
    }

    fn check(&mut self, history: &History) -> Result<(), String> {
        history.calls.iter().try_for_each(check)
    }
}

fn check(call: &Call) -> Result<(), String> {
    let Some((at, outcome)) = &call.ended else {
        return Ok(());
    };
    let is_possible = match outcome {
        Outcome::Unknown(_) => is_write(call.op) && call.xid.is_some(),
        Outcome::Answer(_) | Outcome::Applied(_) | Outcome::Refused(_) => {
            call.xid.is_some() || call.op == OpCode::Auth
        }
        Outcome::NotApplied(_) | Outcome::Dropped => true,
    };
    if is_possible && *at >= call.called {
        return Ok(());
    }
    Err(format!(
        "{:?} of {:?} by client {}, called at {:?}, ended at {at:?} as {outcome:?}",
        call.op, call.path, call.client.0, call.called
    ))
}

/// Whether an operation can change something.
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

    use zk_proto::Xid;

    use super::*;
    use crate::history::ClientId;

    fn ended(op: OpCode, xid: Option<i32>, outcome: Outcome) -> Result<(), String> {
        check(&Call {
            client: ClientId(0),
            xid: xid.map(Xid),
            op,
            path: "/a".into(),
            watcher: None,
            called: Duration::ZERO,
            ended: Some((Duration::from_millis(1), outcome)),
        })
    }

    #[test]
    fn only_writes_are_in_doubt() {
        let unknown = || Outcome::Unknown("lost".into());
        assert_eq!(ended(OpCode::SetData, Some(1), unknown()), Ok(()));
        assert!(ended(OpCode::GetData, Some(1), unknown()).is_err());
        assert!(ended(OpCode::Sync, Some(1), unknown()).is_err());
    }

    #[test]
    fn who_took_no_place_in_line_was_not_applied() {
        let answer = || Outcome::Answer(bytes::Bytes::new());
        assert!(ended(OpCode::Delete, None, answer()).is_err());
        assert_eq!(ended(OpCode::Delete, Some(1), answer()), Ok(()));
        assert_eq!(ended(OpCode::Auth, None, answer()), Ok(()));
        let refused = Outcome::NotApplied("queue is full".into());
        assert_eq!(ended(OpCode::Delete, None, refused), Ok(()));
    }
}
