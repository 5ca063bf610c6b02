//! The newest committed proposals, from which learners that are a little behind are
//! served without a look at the disk.

use std::collections::VecDeque;

use zk_proto::Zxid;

use super::Proposal;

/// How many proposals are kept; `commitLogCount`.
pub(crate) const DEFAULT_COMMITTED_LOG_COUNT: usize = 500;

/// A window on the end of the committed history, contiguous within each epoch.
///
/// A hole in it would spread to every learner that is served from it
/// (ZOOKEEPER-4925), so what does not follow begins the window anew.
#[derive(Clone, Debug)]
pub(crate) struct CommittedLog {
    proposals: VecDeque<Proposal>,
    limit: usize,
}

impl CommittedLog {
    /// Keeps up to `limit` proposals, at least one.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            proposals: VecDeque::new(),
            limit: limit.max(1),
        }
    }

    /// Adds what was committed last. One that is in it already is ignored.
    pub(crate) fn push(&mut self, proposal: Proposal) {
        if let Some(last) = self.proposals.back().map(|p| p.zxid) {
            if proposal.zxid <= last {
                return;
            }
            if proposal.zxid.epoch() == last.epoch() && proposal.zxid.0 != last.0 + 1 {
                tracing::error!(%last, zxid = %proposal.zxid, "a hole in the committed log");
                self.proposals.clear();
            }
        }
        if self.proposals.len() == self.limit {
            self.proposals.pop_front();
        }
        self.proposals.push_back(proposal);
    }

    /// The oldest zxid in it.
    pub(crate) fn min(&self) -> Option<Zxid> {
        self.proposals.front().map(|proposal| proposal.zxid)
    }

    /// The newest zxid in it.
    pub(crate) fn max(&self) -> Option<Zxid> {
        self.proposals.back().map(|proposal| proposal.zxid)
    }

    /// In order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Proposal> {
        self.proposals.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(limit: usize, zxids: &[i64]) -> CommittedLog {
        let mut log = CommittedLog::new(limit);
        for zxid in zxids {
            log.push(Proposal::new(Zxid(*zxid), "x"));
        }
        log
    }

    fn zxids(log: &CommittedLog) -> Vec<i64> {
        log.iter().map(|proposal| proposal.zxid.0).collect()
    }

    #[test]
    fn it_keeps_the_newest_and_ignores_the_known() {
        assert_eq!(zxids(&log(3, &[1, 2, 2, 1, 3, 4])), [2, 3, 4]);
        assert_eq!(log(3, &[]).min(), None);
        assert_eq!(log(2, &[1, 2, 3]).min(), Some(Zxid(2)));
        assert_eq!(log(2, &[1, 2, 3]).max(), Some(Zxid(3)));
    }

    #[test]
    fn a_hole_is_never_served() {
        assert_eq!(zxids(&log(9, &[1, 2, 5, 6])), [5, 6]);
        assert_eq!(zxids(&log(9, &[1, 1 << 32 | 1])), [1, 1 << 32 | 1]);
    }
}
