//! PrefixConsistency, TotalOrder, Agreement, Integrity, LocalPrimaryOrder, GlobalPrimaryOrder:
//! all servers apply parts of one sequence, each without leaving anything out.

use std::collections::BTreeMap;
use std::sync::Arc;

use zk_proto::Zxid;

use crate::history::{Applied, History, PeerSeen, Step, Transaction};
use crate::runner::Invariant;

/// The servers' sequences of transactions are parts of one.
#[derive(Debug, Default)]
pub struct Prefixes {
    /// What anybody applied.
    all: BTreeMap<Zxid, Transaction>,
    /// Which transaction came next, where a server has applied both.
    next: BTreeMap<Zxid, Zxid>,
    /// The last that each server has applied in the role it has.
    last: BTreeMap<Arc<str>, Zxid>,
}

impl Invariant for Prefixes {
    fn name(&self) -> &'static str {
        "prefixes"
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        match step {
            Step::Applied(applied) => self.apply(applied),
            Step::Peer(seen) => {
                self.change(seen);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What was committed in the end has no gap within an epoch.
    fn check(&mut self, history: &History) -> Result<(), String> {
        for pair in history.transactions.windows(2) {
            let [before, made] = pair else { continue };
            if !follows(before.zxid, made.zxid) {
                return Err(format!("{} is followed by {}", before.zxid, made.zxid));
            }
        }
        Ok(())
    }
}

/// Whether a transaction can be the next one.
fn follows(before: Zxid, next: Zxid) -> bool {
    let is_next = before.epoch() == next.epoch() && next.counter() == before.counter() + 1;
    is_next || (next.epoch() > before.epoch() && next.counter() == 1)
}

impl Prefixes {
    /// With a new role a server may have got a whole tree.
    fn change(&mut self, seen: &PeerSeen) {
        if !seen.is_serving {
            self.last.remove(&seen.peer);
        }
    }

    fn apply(&mut self, applied: &Applied) -> Result<(), String> {
        let Applied { peer, transaction } = applied;
        let zxid = transaction.zxid;
        self.agree(peer, transaction)?;
        if let Some(before) = self.last.insert(Arc::clone(peer), zxid) {
            self.go_on(peer, before, zxid)?;
        }
        // Somebody went from before it to behind it.
        if let Some((before, next)) = self.next.range(..zxid).next_back()
            && *next > zxid
        {
            return Err(format!(
                "{peer} has applied {zxid}, where another server went from {before} to {next}"
            ));
        }
        Ok(())
    }

    /// It is what others have applied under this zxid.
    fn agree(&mut self, peer: &str, transaction: &Transaction) -> Result<(), String> {
        let known = self
            .all
            .entry(transaction.zxid)
            .or_insert_with(|| transaction.clone());
        if is_same(known, transaction) {
            return Ok(());
        }
        Err(format!(
            "{peer} has applied {transaction:?}, another server {known:?}"
        ))
    }

    fn go_on(&mut self, peer: &str, before: Zxid, zxid: Zxid) -> Result<(), String> {
        if !follows(before, zxid) {
            return Err(format!("{peer} has applied {zxid} after {before}"));
        }
        let after = (
            std::ops::Bound::Excluded(before),
            std::ops::Bound::Excluded(zxid),
        );
        if let Some((skipped, _)) = self.all.range(after).next() {
            return Err(format!(
                "{peer} went from {before} to {zxid} without {skipped}, which another server has applied"
            ));
        }
        match self.next.insert(before, zxid) {
            Some(other) if other != zxid => Err(format!(
                "{peer} went from {before} to {zxid}, another server to {other}"
            )),
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether two servers mean the same: one may not know what a refused reaper wanted.
fn is_same(a: &Transaction, b: &Transaction) -> bool {
    let of = |made: &Transaction| {
        let Transaction {
            session,
            cxid,
            time_ms,
            op,
            err,
            ..
        } = *made;
        (session, cxid, time_ms, op, err)
    };
    of(a) == of(b) && a.config == b.config
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use zk_proto::{ErrorCode, OpCode, SessionId, Xid};

    use super::*;

    fn applied(peer: &str, zxid: i64, cxid: i32) -> Applied {
        Applied {
            peer: peer.into(),
            transaction: Transaction {
                zxid: Zxid(zxid),
                session: SessionId(1),
                cxid: Xid(cxid),
                time_ms: 0,
                op: OpCode::Create,
                err: ErrorCode::Ok,
                path: None,
                config: None,
                at: Duration::ZERO,
            },
        }
    }

    fn checked(steps: &[(&str, i64, i32)]) -> Result<(), String> {
        let mut prefixes = Prefixes::default();
        steps.iter().try_for_each(|(peer, zxid, cxid)| {
            prefixes.step(&Step::Applied(&applied(peer, *zxid, *cxid)))
        })
    }

    const EPOCH: i64 = 1 << 32;

    #[test]
    fn servers_apply_the_same_in_the_same_order() {
        assert_eq!(
            checked(&[("a", 1, 1), ("a", 2, 2), ("b", 1, 1), ("b", 2, 2)]),
            Ok(())
        );
        assert!(checked(&[("a", 1, 1), ("b", 1, 2)]).is_err(), "another one");
        assert!(checked(&[("a", 2, 2), ("a", 1, 1)]).is_err(), "backwards");
        assert!(checked(&[("a", 1, 1), ("a", 3, 3)]).is_err(), "a gap");
    }

    #[test]
    fn nothing_is_skipped_between_epochs() {
        let lost = [("a", 1, 1), ("a", 2, 2), ("b", 1, 1), ("b", EPOCH + 1, 3)];
        assert!(checked(&lost).unwrap_err().contains("without"));
        let late = [("b", 1, 1), ("b", EPOCH + 1, 3), ("a", 2, 2)];
        assert!(checked(&late).unwrap_err().contains("another server went"));
        assert_eq!(checked(&[("a", 1, 1), ("a", EPOCH + 1, 3)]), Ok(()));
    }

    #[test]
    fn a_server_in_another_role_may_have_got_a_tree() {
        let mut prefixes = Prefixes::default();
        let looking = PeerSeen {
            at: Duration::ZERO,
            peer: "a".into(),
            state: crate::history::PeerState::Looking,
            is_serving: false,
            epoch: 0,
            accepted_epoch: 0,
            last_zxid: Zxid::ZERO,
        };
        assert_eq!(prefixes.step(&Step::Applied(&applied("a", 1, 1))), Ok(()));
        assert_eq!(prefixes.step(&Step::Peer(&looking)), Ok(()));
        assert_eq!(prefixes.step(&Step::Applied(&applied("a", 9, 9))), Ok(()));
    }
}
