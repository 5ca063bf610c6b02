//! One election of one peer: its proposal, the votes it has heard, its deadlines.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use zk_env::Mono;

use super::vote::{Candidate, PeerState, Vote};
use crate::quorum::{QuorumVerifier, ServerId};

/// The committed configuration and, while one is being agreed on, the proposed one.
/// What needs a quorum needs one in both.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) committed: QuorumVerifier,
    pub(super) last_seen: Option<QuorumVerifier>,
}

impl View {
    pub(super) fn new(committed: QuorumVerifier, last_seen: Option<QuorumVerifier>) -> Self {
        let last_seen = last_seen.filter(|seen| seen.version() > committed.version());
        Self {
            committed,
            last_seen,
        }
    }

    fn verifiers(&self) -> impl Iterator<Item = &QuorumVerifier> {
        [&self.committed].into_iter().chain(&self.last_seen)
    }

    pub(super) fn is_voter(&self, id: ServerId) -> bool {
        self.verifiers().any(|verifier| verifier.is_voter(id))
    }

    /// The voters of both, each once.
    pub(super) fn voters(&self) -> BTreeSet<ServerId> {
        self.verifiers().flat_map(QuorumVerifier::voters).collect()
    }

    pub(super) fn contains_quorums(&self, acks: &BTreeSet<ServerId>) -> bool {
        self.verifiers()
            .all(|verifier| verifier.contains_quorum(acks))
    }
}

/// From the start of looking to the decision.
#[derive(Clone, Debug)]
pub(super) struct Election {
    /// The vote for oneself that every round starts from.
    pub(super) initial: Candidate,
    pub(super) proposal: Candidate,
    /// Votes of the current round. One per voter.
    pub(super) received: BTreeMap<ServerId, Vote>,
    /// Votes of those who have a leader, whatever their round: `outofelection`. One
    /// per voter.
    pub(super) settled: BTreeMap<ServerId, Vote>,
    /// Voters whose list could elect another leader beside ours.
    pub(super) conflicts: BTreeSet<ServerId>,
    pub(super) resend_interval: Duration,
    pub(super) resend_at: Mono,
    /// Set while a quorum has sent our proposal.
    pub(super) finalize_at: Option<Mono>,
}

impl Election {
    pub(super) fn new(initial: Candidate, resend_interval: Duration, now: Mono) -> Self {
        Self {
            initial,
            proposal: initial,
            received: BTreeMap::new(),
            settled: BTreeMap::new(),
            conflicts: BTreeSet::new(),
            resend_interval,
            resend_at: now + resend_interval,
            finalize_at: None,
        }
    }

    /// Whether the initial vote says that there is no data to speak of: such a voter
    /// hears no votes and has none that counts.
    pub(super) fn is_void(&self) -> bool {
        self.initial.zxid == -1
    }

    /// Whether `new` is to be preferred. Servers without weight are never elected.
    pub(super) fn is_better(&self, new: Candidate, than: Candidate, view: &View) -> bool {
        view.committed.weight(new.leader) != 0 && new > than
    }

    /// Those of the current round who vote as we do.
    pub(super) fn supporters(&self, round: i64) -> BTreeSet<ServerId> {
        supporters(&self.received, &Vote::looking(self.proposal, round))
    }
}

/// Who among `votes` agrees with `vote`.
pub(super) fn supporters(votes: &BTreeMap<ServerId, Vote>, vote: &Vote) -> BTreeSet<ServerId> {
    let agreeing = votes.iter().filter(|(_, other)| vote.agrees_with(other));
    agreeing.map(|(id, _)| *id).collect()
}

/// Whether `vote` is for a leader that says itself it leads, or for `me` in my own
/// round: nobody follows a dead leader on hearsay.
pub(super) fn is_leader_known(
    votes: &BTreeMap<ServerId, Vote>,
    vote: &Vote,
    me: ServerId,
    round: i64,
) -> bool {
    if vote.leader == me {
        return vote.round == round;
    }
    let leaders = votes.get(&vote.leader);
    leaders.is_some_and(|leaders| leaders.state == PeerState::Leading)
}
