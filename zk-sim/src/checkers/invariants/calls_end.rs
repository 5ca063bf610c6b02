//! C6: no call stays open. Clients are closed, killed or dropped before a run ends, and
//! every call of theirs has an answer, an error or nobody who waits.

use crate::history::History;
use crate::runner::Invariant;

/// Every call has ended.
#[derive(Debug)]
pub struct CallsEnd;

impl Invariant for CallsEnd {
    fn name(&self) -> &'static str {
        "calls end"
    }

    fn check(&mut self, history: &History) -> Result<(), String> {
        let mut open = history.calls.iter().filter(|call| call.ended.is_none());
        match open.next() {
            None => Ok(()),
            Some(call) => Err(format!(
                "{:?} of {:?} by client {}, called at {:?}, has no end, and {} others",
                call.op,
                call.path,
                call.client.0,
                call.called,
                open.count()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use zk_proto::OpCode;

    use super::*;
    use crate::history::{Call, ClientId, Outcome};

    fn history(ended: Option<(Duration, Outcome)>) -> History {
        let call = Call {
            client: ClientId(0),
            xid: None,
            op: OpCode::GetData,
            path: "/a".into(),
            watcher: None,
            called: Duration::ZERO,
            ended,
        };
        History {
            calls: vec![call],
            ..History::default()
        }
    }

    #[test]
    fn an_open_call_is_found() {
        assert!(CallsEnd.check(&history(None)).is_err());
        let ended = Some((Duration::from_secs(1), Outcome::Dropped));
        assert_eq!(CallsEnd.check(&history(ended)), Ok(()));
    }
}
