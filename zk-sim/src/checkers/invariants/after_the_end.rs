//! S26, S32: once a session has ended nothing more is done on its behalf.

use std::collections::BTreeMap;

use zk_proto::{OpCode, SessionId, Zxid};

use crate::history::{History, Step, Transaction};
use crate::runner::Invariant;

/// A session's transactions lie between its beginning and its end.
#[derive(Debug, Default)]
pub struct AfterTheEnd {
    ended: BTreeMap<SessionId, Zxid>,
}

impl Invariant for AfterTheEnd {
    fn name(&self) -> &'static str {
        "after the end"
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        match step {
            Step::Transaction(made) => self.go_on(made),
            _ => Ok(()),
        }
    }

    fn check(&mut self, history: &History) -> Result<(), String> {
        history
            .transactions
            .iter()
            .try_for_each(|made| self.go_on(made))
    }
}

impl AfterTheEnd {
    fn go_on(&mut self, made: &Transaction) -> Result<(), String> {
        if made.op == OpCode::CreateSession || made.session == SessionId::NONE {
            return Ok(());
        }
        // What is refused because the session is gone is logged as an error.
        if let Some(end) = self.ended.get(&made.session)
            && made.op != OpCode::Error
        {
            return Err(format!(
                "{:?} is transaction {} of session {}, which ended with {end}",
                made.op, made.zxid, made.session
            ));
        }
        if made.op == OpCode::CloseSession {
            self.ended.insert(made.session, made.zxid);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use zk_proto::{ErrorCode, Xid};

    use super::*;

    fn checked(ops: &[OpCode]) -> Result<(), String> {
        let transactions = (1..).zip(ops).map(|(zxid, op)| Transaction {
            zxid: Zxid(zxid),
            session: SessionId(7),
            cxid: Xid(1),
            time_ms: 0,
            op: *op,
            err: ErrorCode::Ok,
            path: None,
            config: None,
            at: Duration::ZERO,
        });
        AfterTheEnd::default().check(&History {
            transactions: transactions.collect(),
            ..History::default()
        })
    }

    #[test]
    fn nothing_follows_the_end() {
        use OpCode::{CloseSession, Create, CreateSession};
        assert_eq!(checked(&[CreateSession, Create, CloseSession]), Ok(()));
        assert!(checked(&[CreateSession, CloseSession, Create]).is_err());
        assert!(checked(&[CreateSession, CloseSession, CloseSession]).is_err());
    }
}
