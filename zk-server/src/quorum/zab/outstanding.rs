//! Proposals that are not decided yet, and who has them on disk.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use zk_env::Mono;
use zk_proto::Zxid;

use super::Proposal;
use crate::quorum::ServerId;

/// How many proposals may be undecided. With clients held to their share it is never
/// reached; it stands for what a broken one could do.
pub(crate) const MAX_OUTSTANDING: usize = 65_536;

/// The last counter that is used: 0xffffffff would be followed by the first zxid of the
/// next epoch (ZOOKEEPER-1277).
const LAST_COUNTER: u32 = u32::MAX - 1;

/// One proposal and its acks.
#[derive(Debug)]
struct Undecided {
    proposal: Proposal,
    acks: BTreeSet<ServerId>,
}

/// The proposals of one epoch from the first undecided one on, without gaps.
#[derive(Debug)]
pub(crate) struct Outstanding {
    undecided: VecDeque<Undecided>,
    last_proposed: Zxid,
    last_committed: Zxid,
}

impl Outstanding {
    /// None yet, in an epoch that begins with `zxid`.
    pub(crate) fn new(zxid: Zxid) -> Self {
        Self {
            undecided: VecDeque::new(),
            last_proposed: zxid,
            last_committed: zxid,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.undecided.len()
    }

    pub(crate) fn last_proposed(&self) -> Zxid {
        self.last_proposed
    }

    pub(crate) fn last_committed(&self) -> Zxid {
        self.last_committed
    }

    /// The zxid of the next proposal; `None` when the epoch is used up.
    pub(crate) fn next_zxid(&self) -> Option<Zxid> {
        let is_last = self.last_proposed.counter() == LAST_COUNTER;
        (!is_last).then_some(Zxid(self.last_proposed.0 + 1))
    }

    /// Adds the proposal that [`next_zxid`](Self::next_zxid) was asked for.
    pub(crate) fn push(&mut self, zxid: Zxid, payload: Bytes) -> Proposal {
        debug_assert_eq!(Some(zxid), self.next_zxid(), "zxids are given in order");
        let proposal = Proposal { zxid, payload };
        self.last_proposed = zxid;
        self.undecided.push_back(Undecided {
            proposal: proposal.clone(),
            acks: BTreeSet::new(),
        });
        proposal
    }

    /// In order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Proposal> {
        self.undecided.iter().map(|undecided| &undecided.proposal)
    }

    /// One server has one proposal on disk. Decided and unknown ones are ignored.
    pub(crate) fn ack(&mut self, server: ServerId, zxid: Zxid) {
        let place = zxid.0.checked_sub(self.last_committed.0 + 1);
        let place = place.and_then(|place| usize::try_from(place).ok());
        if let Some(undecided) = place.and_then(|place| self.undecided.get_mut(place)) {
            undecided.acks.insert(server);
        }
    }

    /// One server has all proposals up to `zxid` on disk.
    pub(crate) fn ack_through(&mut self, server: ServerId, zxid: Zxid) {
        for undecided in &mut self.undecided {
            if undecided.proposal.zxid > zxid {
                break;
            }
            undecided.acks.insert(server);
        }
    }

    /// One server is about to replace the end of its log: what it has acknowledged and is
    /// undecided may not be there for a while, and will be acknowledged again.
    pub(crate) fn withdraw_acks(&mut self, server: ServerId) {
        for undecided in &mut self.undecided {
            undecided.acks.remove(&server);
        }
    }

    /// Takes the first one, with its acks, if they satisfy `is_quorum`. Never one before
    /// another.
    pub(crate) fn pop_decided(
        &mut self,
        is_quorum: impl FnOnce(Zxid, &BTreeSet<ServerId>) -> bool,
    ) -> Option<(Proposal, BTreeSet<ServerId>)> {
        let first = self.undecided.front()?;
        if !is_quorum(first.proposal.zxid, &first.acks) {
            return None;
        }
        let Undecided { proposal, acks } = self.undecided.pop_front()?;
        self.last_committed = proposal.zxid;
        Some((proposal, acks))
    }

    /// Who has each of them on disk, in order.
    pub(crate) fn acks(&self) -> impl Iterator<Item = &BTreeSet<ServerId>> {
        self.undecided.iter().map(|undecided| &undecided.acks)
    }

    /// As if that many transactions had been proposed and decided.
    #[cfg(test)]
    pub(crate) fn skip_to(&mut self, counter: u32) {
        assert!(self.undecided.is_empty());
        let zxid = Zxid(self.last_proposed.epoch() << 32 | i64::from(counter));
        (self.last_proposed, self.last_committed) = (zxid, zxid);
    }
}

/// Since when one learner owes an ack. Two moments are enough: what is dropped between
/// them only makes the debt look younger.
#[derive(Debug, Default)]
pub(crate) struct ProposalAge {
    oldest: Option<(Zxid, Mono)>,
    newest: Option<(Zxid, Mono)>,
}

impl ProposalAge {
    pub(crate) fn proposed(&mut self, zxid: Zxid, now: Mono) {
        if self.oldest.is_none() {
            self.oldest = Some((zxid, now));
        } else {
            self.newest = Some((zxid, now));
        }
    }

    pub(crate) fn acked(&mut self, zxid: Zxid) {
        if self.oldest.is_some_and(|(oldest, _)| oldest <= zxid) {
            self.oldest = self.newest.take().filter(|(newest, _)| *newest > zxid);
        }
    }

    /// When the oldest proposal that waits was made.
    pub(crate) fn since(&self) -> Option<Mono> {
        self.oldest.map(|(_, since)| since)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(secs: u64) -> Mono {
        Mono::from_origin(Duration::from_secs(secs))
    }

    fn two(_: Zxid, acks: &BTreeSet<ServerId>) -> bool {
        acks.len() >= 2
    }

    #[test]
    fn proposals_are_decided_in_order() {
        let mut outstanding = Outstanding::new(Zxid(1 << 32));
        for _ in 0..2 {
            let zxid = outstanding.next_zxid().unwrap();
            outstanding.push(zxid, Bytes::new());
        }
        let second = outstanding.last_proposed();
        outstanding.ack(ServerId(2), second);
        outstanding.ack(ServerId(3), second);
        assert_eq!(outstanding.pop_decided(two), None);
        outstanding.ack(ServerId(4), Zxid(second.0 - 1));
        outstanding.ack(ServerId(5), Zxid(second.0 - 1));
        outstanding.withdraw_acks(ServerId(4));
        outstanding.withdraw_acks(ServerId(5));
        assert_eq!(outstanding.pop_decided(two), None, "withdrawn");
        outstanding.ack_through(ServerId(1), second);
        outstanding.ack(ServerId(2), Zxid(second.0 - 1));
        outstanding.ack(ServerId(2), Zxid(second.0 + 1));
        outstanding.ack(ServerId(2), Zxid(i64::MIN));
        assert_eq!(outstanding.pop_decided(two).unwrap().0.zxid.counter(), 1);
        assert_eq!(outstanding.pop_decided(two).unwrap().0.zxid, second);
        assert_eq!(outstanding.pop_decided(two), None);
        assert_eq!(outstanding.last_committed(), second);
    }

    #[test]
    fn an_epoch_ends_before_its_zxids_run_into_the_next() {
        let mut outstanding = Outstanding::new(Zxid(1 << 32));
        outstanding.skip_to(u32::MAX - 2);
        let last = outstanding.next_zxid().unwrap();
        assert_eq!(last, Zxid(0x1_ffff_fffe));
        outstanding.push(last, Bytes::new());
        assert_eq!(outstanding.next_zxid(), None);
    }

    #[test]
    fn a_debt_is_as_old_as_what_is_certainly_unpaid() {
        let mut age = ProposalAge::default();
        assert_eq!(age.since(), None);
        for n in 1..=3 {
            age.proposed(Zxid(n), at(n.unsigned_abs()));
        }
        assert_eq!(age.since(), Some(at(1)));
        age.acked(Zxid(1));
        assert_eq!(age.since(), Some(at(3)));
        age.acked(Zxid(3));
        assert_eq!(age.since(), None);
    }
}
