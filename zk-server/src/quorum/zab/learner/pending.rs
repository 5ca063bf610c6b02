//! Transactions between a learner's connection and its tree.

use std::collections::VecDeque;

use thiserror::Error;
use zk_proto::Zxid;

use crate::quorum::zab::Proposal;

/// A stream of transactions that is not what a leader sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum OrderError {
    /// A transaction is missing, or one comes that is older.
    #[error("proposal {zxid} after {last}")]
    Gap {
        /// The one before.
        last: Zxid,
        /// What came.
        zxid: Zxid,
    },
    /// Another transaction is committed than is next.
    #[error("commit of {zxid} where {expected:?} is next")]
    Commit {
        /// The next that can be committed.
        expected: Option<Zxid>,
        /// What came.
        zxid: Zxid,
    },
}

/// Transactions in order, from the first that is not both committed and durable. Each of
/// the counts says how many, from the front, have come so far:
///
/// ```text
/// received  ▶ handed to the log ▶ durable ─┐
///           ▶ committed ───────────────────┴▶ delivered
/// ```
///
/// A transaction is delivered when it is both, so that the tree is never ahead of the
/// log (ZOOKEEPER-4882).
#[derive(Debug)]
pub(super) struct Pending {
    queue: VecDeque<Proposal>,
    committed: usize,
    appended: usize,
    durable: usize,
    /// The history that synchronisation began with ends here; it is not sent again.
    base: Zxid,
    /// The last received.
    last: Zxid,
    /// The last committed; what the history began with is.
    last_committed: Zxid,
    /// Bytes committed and not handed to the log yet.
    held_bytes: usize,
    /// Bytes handed to the log and not durable yet.
    undurable_bytes: usize,
}

impl Pending {
    /// Nothing yet, behind a history that ends with `base`.
    pub(super) fn new(base: Zxid) -> Self {
        Self {
            queue: VecDeque::new(),
            committed: 0,
            appended: 0,
            durable: 0,
            base,
            last: base,
            last_committed: base,
            held_bytes: 0,
            undurable_bytes: 0,
        }
    }

    /// Bytes committed and not handed to the log.
    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Bytes handed to the log and not durable.
    pub(super) fn undurable_bytes(&self) -> usize {
        self.undurable_bytes
    }

    /// Whether all that was handed to the log is durable.
    pub(super) fn is_durable(&self) -> bool {
        self.durable == self.appended
    }

    /// The last transaction that is known to be committed.
    pub(super) fn last_committed(&self) -> Zxid {
        self.last_committed
    }

    /// Whether the history that synchronisation began with has it.
    pub(super) fn is_known(&self, zxid: Zxid) -> bool {
        zxid <= self.base
    }

    /// Takes a transaction: the next of its epoch, or one of a later epoch. What the
    /// history has already is ignored.
    pub(super) fn receive(&mut self, proposal: Proposal) -> Result<(), OrderError> {
        let (last, zxid) = (self.last, proposal.zxid);
        if self.is_known(zxid) {
            return Ok(());
        }
        let is_next = zxid.epoch() == last.epoch() && zxid.0 == last.0 + 1;
        if !is_next && zxid.epoch() <= last.epoch() {
            return Err(OrderError::Gap { last, zxid });
        }
        self.last = zxid;
        self.queue.push_back(proposal);
        Ok(())
    }

    /// The next transaction is committed.
    pub(super) fn commit(&mut self, zxid: Zxid) -> Result<(), OrderError> {
        if self.is_known(zxid) {
            return Ok(());
        }
        let next = self.queue.get(self.committed);
        match next.filter(|next| next.zxid == zxid) {
            Some(next) => {
                if self.appended <= self.committed {
                    self.held_bytes += next.payload.len();
                }
                self.committed += 1;
                self.last_committed = zxid;
                Ok(())
            }
            None => Err(OrderError::Commit {
                expected: next.map(|next| next.zxid),
                zxid,
            }),
        }
    }

    /// What of the committed ones is to be handed to the log.
    pub(super) fn append_committed(&mut self) -> Vec<Proposal> {
        self.append_up_to(self.committed)
    }

    /// Whatever is to be handed to the log.
    pub(super) fn append_all(&mut self) -> Vec<Proposal> {
        self.append_up_to(self.queue.len())
    }

    fn append_up_to(&mut self, end: usize) -> Vec<Proposal> {
        let start = self.appended.min(end);
        let next: Vec<_> = self.queue.range(start..end).cloned().collect();
        self.appended = self.appended.max(end);
        self.held_bytes = 0;
        self.undurable_bytes += next.iter().map(|p| p.payload.len()).sum::<usize>();
        next
    }

    /// The log is durable up to `zxid`: which transactions are so since the last time.
    pub(super) fn durable_through(&mut self, zxid: Zxid) -> Vec<Zxid> {
        let mut news = Vec::new();
        while let Some(next) = self.queue.get(self.durable) {
            if self.durable == self.appended || next.zxid > zxid {
                break;
            }
            self.undurable_bytes -= next.payload.len();
            news.push(next.zxid);
            self.durable += 1;
        }
        news
    }

    /// The next transaction that is committed and durable.
    pub(super) fn deliver(&mut self) -> Option<Proposal> {
        if self.committed == 0 || self.durable == 0 {
            return None;
        }
        self.committed -= 1;
        self.durable -= 1;
        self.appended -= 1;
        self.queue.pop_front()
    }

    /// The last committed transaction that waits for the disk; `None` if none does.
    pub(super) fn last_undelivered(&self) -> Option<Zxid> {
        let last = self.committed.checked_sub(1)?;
        self.queue.get(last).map(|proposal| proposal.zxid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(zxids: &[i64]) -> Pending {
        let mut pending = Pending::new(Zxid(0));
        for zxid in zxids {
            pending.receive(Proposal::new(Zxid(*zxid), "txn")).unwrap();
        }
        pending
    }

    fn zxids(proposals: &[Proposal]) -> Vec<i64> {
        proposals.iter().map(|proposal| proposal.zxid.0).collect()
    }

    #[test]
    fn delivered_is_what_is_both_committed_and_durable() {
        let mut pending = received(&[1, 2, 3]);
        pending.commit(Zxid(1)).unwrap();
        assert_eq!(zxids(&pending.append_committed()), [1]);
        assert!(pending.deliver().is_none(), "not durable");
        assert_eq!(zxids(&pending.append_all()), [2, 3]);
        assert_eq!(pending.durable_through(Zxid(2)), [Zxid(1), Zxid(2)]);
        assert_eq!(pending.deliver().unwrap().zxid, Zxid(1));
        assert!(pending.deliver().is_none(), "not committed");
        assert!(!pending.is_durable());
        assert_eq!(pending.durable_through(Zxid(9)), [Zxid(3)]);
        assert!(pending.is_durable());
        assert_eq!(pending.undurable_bytes(), 0);
        pending.commit(Zxid(2)).unwrap();
        assert_eq!(pending.last_undelivered(), Some(Zxid(2)));
        assert_eq!(pending.deliver().unwrap().zxid, Zxid(2));
        assert_eq!(pending.last_undelivered(), None);
    }

    #[test]
    fn holes_and_wrong_commits_are_refused() {
        let mut pending = received(&[1, 2]);
        let gap = |last, zxid| {
            Err(OrderError::Gap {
                last: Zxid(last),
                zxid: Zxid(zxid),
            })
        };
        let proposal = |zxid| Proposal::new(Zxid(zxid), "");
        assert_eq!(pending.receive(proposal(4)), gap(2, 4));
        assert_eq!(pending.receive(proposal(2)), gap(2, 2));
        assert_eq!(pending.receive(proposal(0)), Ok(()), "known");
        assert_eq!(pending.receive(proposal(1 << 32 | 1)), Ok(()));
        assert_eq!(pending.receive(proposal(3)), gap(1 << 32 | 1, 3));
        assert!(pending.commit(Zxid(2)).is_err());
        assert_eq!(pending.commit(Zxid(0)), Ok(()), "known");
        assert_eq!(pending.commit(Zxid(1)), Ok(()));
        assert!(pending.commit(Zxid(1)).is_err());
    }

    #[test]
    fn bytes_are_counted_until_they_are_durable() {
        let mut pending = received(&[1, 2]);
        pending.commit(Zxid(1)).unwrap();
        assert_eq!((pending.held_bytes(), pending.undurable_bytes()), (3, 0));
        pending.append_committed();
        assert_eq!((pending.held_bytes(), pending.undurable_bytes()), (0, 3));
        pending.append_all();
        pending.commit(Zxid(2)).unwrap();
        assert_eq!((pending.held_bytes(), pending.undurable_bytes()), (0, 6));
        pending.durable_through(Zxid(1));
        assert_eq!(pending.undurable_bytes(), 3);
    }
}
