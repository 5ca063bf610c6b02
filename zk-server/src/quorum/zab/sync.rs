//! How a learner gets what it lacks: DIFF, TRUNC or SNAP, and which transactions.
//!
//! A table, as a function. Apache's conditions in Apache's order; what they mean is
//! said at [`decide`].

use zk_proto::Zxid;

use super::Proposal;
use super::committed_log::CommittedLog;

/// The packet a synchronisation begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyncOp {
    /// Nothing the learner has is wrong. The zxid is for the record.
    Diff(Zxid),
    /// What the learner has behind this zxid was never committed.
    Trunc(Zxid),
    /// Everything anew.
    Snap,
}

/// What to send a learner, apart from what is outstanding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyncPlan {
    /// First this.
    pub(crate) op: SyncOp,
    /// Then these, each with its commit.
    pub(crate) proposals: Vec<Proposal>,
}

/// What is known when it has to be decided.
#[derive(Debug)]
pub(crate) struct SyncState<'a> {
    /// The last transaction in the learner's log.
    pub(crate) peer_last: Zxid,
    /// The last transaction applied here.
    pub(crate) last_processed: Zxid,
    /// The newest transactions committed here.
    pub(crate) committed: &'a CommittedLog,
    /// What is on disk before those.
    pub(crate) disk: DiskLog,
}

/// The log on disk, as far as it has been asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DiskLog {
    /// It is not used: `snapshotSizeFactor` is negative.
    Disabled,
    /// Not asked yet.
    NotRead,
    /// It does not reach back to the learner's last transaction, or sending so much of
    /// it would cost more than a snapshot.
    Unavailable,
    /// What it holds, in order: from the newest transaction that is not newer than the
    /// learner's last, up to where the committed log had ended when it was asked.
    Read(Vec<Proposal>),
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SyncDecision {
    /// Send this.
    Send(SyncPlan),
    /// Read the log from `from` (see [`DiskLog::Read`]) to `through`, and ask again.
    ReadLog {
        /// The learner's last transaction.
        from: Zxid,
        /// The newest that is of use.
        through: Zxid,
    },
}

/// A server whose last "transaction" is the beginning of an epoch has nothing of that
/// epoch, so that nothing in its log can be wrong that comes before.
const fn begins_epoch(zxid: Zxid) -> bool {
    zxid.counter() == 0
}

/// What to send a learner whose log ends with `peer_last`.
///
/// | the learner | gets |
/// |---|---|
/// | is where we are | an empty DIFF |
/// | has more than was committed | TRUNC |
/// | ends within the committed log | the rest of that; after TRUNC, if its last transaction is not ours |
/// | ends within the log on disk | the rest of that and the committed log; likewise |
/// | anything else, or a TRUNC that would have to cross an epoch | SNAP |
pub(crate) fn decide(state: &SyncState<'_>) -> SyncDecision {
    let peer = state.peer_last;
    let min = state.committed.min().unwrap_or(state.last_processed);
    let max = state.committed.max().unwrap_or(state.last_processed);
    let empty = |op| {
        SyncDecision::Send(SyncPlan {
            op,
            proposals: Vec::new(),
        })
    };
    if state.last_processed == peer {
        return empty(SyncOp::Diff(peer));
    }
    if peer > max && !begins_epoch(peer) {
        return empty(SyncOp::Trunc(max));
    }
    let mut queue = Queue::new(peer, max);
    if (min..=max).contains(&peer) {
        queue.extend(state.committed.iter());
    } else if peer < min {
        match &state.disk {
            DiskLog::NotRead => {
                return SyncDecision::ReadLog {
                    from: peer,
                    through: max,
                };
            }
            DiskLog::Disabled | DiskLog::Unavailable => {}
            DiskLog::Read(log) => queue.extend_from_disk(log, state.committed, min),
        }
    }
    SyncDecision::Send(queue.into_plan())
}

/// A plan being made.
#[derive(Debug)]
struct Queue {
    peer: Zxid,
    max: Zxid,
    op: Option<SyncOp>,
    proposals: Vec<Proposal>,
    /// The last transaction that the learner will have.
    last: Zxid,
}

impl Queue {
    fn new(peer: Zxid, max: Zxid) -> Self {
        Self {
            peer,
            max,
            op: None,
            proposals: Vec::new(),
            last: peer,
        }
    }

    /// Goes through a part of the history, Apache's `queueCommittedProposals`. The first
    /// one that is not before the learner's last decides how to begin.
    fn extend<'p>(&mut self, history: impl Iterator<Item = &'p Proposal>) {
        let mut before = None;
        for proposal in history {
            let zxid = proposal.zxid;
            if zxid < self.peer {
                before = Some(zxid);
                continue;
            }
            if self.op.is_none() {
                match self.begin(zxid, before) {
                    Some(op) => self.op = Some(op),
                    None => return,
                }
            }
            if zxid > self.last {
                self.proposals.push(proposal.clone());
                self.last = zxid;
            }
        }
        if self.op.is_none() && begins_epoch(self.peer) {
            self.op = Some(SyncOp::Diff(self.max));
        }
    }

    /// How to begin when `zxid` is the first that is not before the learner's last and
    /// `before` the one in front of it.
    fn begin(&mut self, zxid: Zxid, before: Option<Zxid>) -> Option<SyncOp> {
        if zxid == self.peer || begins_epoch(self.peer) {
            return Some(SyncOp::Diff(self.max));
        }
        // The learner's last transaction is unknown here. It has to go, unless that
        // would take more than this epoch with it.
        let before = before.filter(|_| zxid.epoch() == self.peer.epoch())?;
        self.last = before;
        Some(SyncOp::Trunc(before))
    }

    /// The log on disk, then the committed log; nothing, if there is a gap between them.
    fn extend_from_disk(&mut self, log: &[Proposal], committed: &CommittedLog, min: Zxid) {
        if log.first().is_none_or(|first| first.zxid > self.peer) {
            return;
        }
        let max = self.max;
        self.extend(log.iter().take_while(|proposal| proposal.zxid <= max));
        if self.last < min {
            *self = Self::new(self.peer, self.max);
        } else if self.op.is_some() {
            let last = self.last;
            self.extend(committed.iter().filter(|proposal| proposal.zxid > last));
        }
    }

    /// What is not served otherwise gets a snapshot.
    fn into_plan(self) -> SyncPlan {
        match self.op {
            Some(op) => SyncPlan {
                op,
                proposals: self.proposals,
            },
            None => SyncPlan {
                op: SyncOp::Snap,
                proposals: Vec::new(),
            },
        }
    }
}
