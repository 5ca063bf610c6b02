//! What a member can tell of itself and its ensemble, for four-letter words, the admin
//! server and metrics.

use std::net::SocketAddr;
use std::sync::Arc;

use zk_env::Mono;

use super::{LearnerType, PeerState, QuorumVerifier, ServerId};
use crate::config::EnsembleConfig;
use crate::stats::Summary;

/// A member's state as of now. The peer keeps it, under the lock of what serves clients;
/// nothing is decided by it.
#[derive(Clone, Debug)]
pub(crate) struct QuorumView {
    /// What does not change.
    pub(crate) config: Arc<EnsembleConfig>,
    /// The members, by the configuration in force.
    pub(crate) verifier: QuorumVerifier,
    pub(crate) state: PeerState,
    pub(crate) zab_state: ZabState,
    /// Clients are served in this role.
    pub(crate) is_serving: bool,
    /// Whom it follows, or itself.
    pub(crate) leader: Option<ServerId>,
    /// From whom it learns: the leader, or an observer's observer master.
    pub(crate) learner_master: Option<ServerId>,
    /// Who observes here while it follows.
    pub(crate) observers: Vec<LearnerView>,
    /// `acceptedEpoch`
    pub(crate) accepted_epoch: i64,
    /// `currentEpoch`
    pub(crate) current_epoch: i64,
    /// How often it has begun to look for a leader.
    pub(crate) looking_count: u64,
    /// What only a leader has.
    pub(crate) leading: Option<Leading>,
}

/// How far a role has come, Apache's `ZabState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ZabState {
    Election,
    Discovery,
    Synchronization,
    Broadcast,
}

/// A leader's part of the view; gone with the role.
#[derive(Clone, Debug)]
pub(crate) struct Leading {
    /// When it began to lead.
    pub(crate) since: Mono,
    /// Whoever is connected as a learner, in sync or not.
    pub(crate) learners: Vec<LearnerView>,
    /// `sync`s that wait for a proposal.
    pub(crate) pending_syncs: usize,
    /// Since it leads, or since `srst`.
    pub(crate) proposals: ProposalStats,
}

/// A learner as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LearnerView {
    pub(crate) id: ServerId,
    /// An observer, or one that is no member, has no vote.
    pub(crate) learner_type: LearnerType,
    /// It has the leader's history and gets new transactions.
    pub(crate) is_synced: bool,
    /// The far end of its connection.
    pub(crate) addr: SocketAddr,
    /// Wall-clock time of the connection's begin, in milliseconds.
    pub(crate) established_ms: i64,
}

/// Bytes of proposals as they stand in the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProposalStats {
    last: Option<u64>,
    sizes: Summary,
}

impl QuorumView {
    /// A member that looks for a leader.
    pub(crate) fn new(config: Arc<EnsembleConfig>) -> Self {
        Self {
            verifier: config.verifier.clone(),
            config,
            state: PeerState::Looking,
            zab_state: ZabState::Election,
            is_serving: false,
            leader: None,
            learner_master: None,
            observers: Vec::new(),
            accepted_epoch: 0,
            current_epoch: 0,
            looking_count: 1,
            leading: None,
        }
    }

    /// Another role, which does not serve yet.
    pub(crate) fn enter(&mut self, state: PeerState, leader: Option<ServerId>, now: Mono) {
        self.state = state;
        self.leader = leader;
        self.learner_master = None;
        self.observers.clear();
        self.is_serving = false;
        self.zab_state = match state {
            PeerState::Looking => ZabState::Election,
            PeerState::Following | PeerState::Leading | PeerState::Observing => ZabState::Discovery,
        };
        self.looking_count += u64::from(state == PeerState::Looking);
        self.leading = (state == PeerState::Leading).then(|| Leading {
            since: now,
            learners: Vec::new(),
            pending_syncs: 0,
            proposals: ProposalStats::default(),
        });
    }

    /// A leader has proposed a transaction of this many bytes.
    pub(crate) fn proposed(&mut self, bytes: u64) {
        if let Some(leading) = &mut self.leading {
            leading.proposals.last = Some(bytes);
            leading.proposals.sizes.add(bytes, 1);
        }
    }

    /// This member.
    pub(crate) fn id(&self) -> ServerId {
        self.config.id
    }

    /// What `srvr` calls the mode of a member that serves.
    pub(crate) fn mode(&self) -> &'static str {
        match self.state {
            PeerState::Looking => "looking",
            PeerState::Following => "follower",
            PeerState::Leading => "leader",
            PeerState::Observing => "observer",
        }
    }

    /// State and how far it has come, as `mntr` spells it.
    pub(crate) fn peer_state(&self) -> String {
        let state = match self.state {
            PeerState::Looking => "looking",
            PeerState::Following => "following",
            PeerState::Leading => "leading",
            PeerState::Observing => "observing",
        };
        format!("{state} - {}", self.zab_state.name())
    }

    /// `srst` and its like.
    pub(crate) fn reset(&mut self) {
        self.looking_count = 0;
        if let Some(leading) = &mut self.leading {
            leading.proposals = ProposalStats::default();
        }
    }
}

impl ZabState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Election => "election",
            Self::Discovery => "discovery",
            Self::Synchronization => "synchronization",
            Self::Broadcast => "broadcast",
        }
    }
}

impl Leading {
    /// Learners in sync: followers that vote, followers that do not, observers.
    pub(crate) fn synced(&self, verifier: &QuorumVerifier) -> Synced {
        let mut synced = Synced::default();
        for learner in self.learners.iter().filter(|learner| learner.is_synced) {
            match learner.learner_type {
                LearnerType::Observer => synced.observers += 1,
                LearnerType::Participant if verifier.is_voter(learner.id) => synced.followers += 1,
                LearnerType::Participant => synced.non_voting_followers += 1,
            }
        }
        synced
    }
}

/// How many learners are in sync, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) followers: usize,
    pub(crate) non_voting_followers: usize,
    pub(crate) observers: usize,
}

impl ProposalStats {
    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.sizes.count()
    }

    /// Last, least and greatest size; −1 stands for "none yet".
    pub(crate) fn last_min_max(&self) -> [i64; 3] {
        let known = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
        self.last.map_or([-1; 3], |last| {
            [last, self.sizes.min(), self.sizes.max()].map(known)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Mono = Mono::ZERO;

    /// Server 1 of three voters and an observer.
    fn view() -> QuorumView {
        let text = "initLimit=10\nsyncLimit=5\nserver.1=a:1:2;3\nserver.2=b:1:2\nserver.3=c:1:2\n\
                    server.4=d:1:2:observer";
        QuorumView::new(Arc::new(EnsembleConfig::parse(text, 1).unwrap()))
    }

    fn learner(id: i64, learner_type: LearnerType, is_synced: bool) -> LearnerView {
        LearnerView {
            id: ServerId(id),
            learner_type,
            is_synced,
            addr: ([127, 0, 0, 1], 1).into(),
            established_ms: 0,
        }
    }

    #[test]
    fn a_role_begins_in_discovery_and_serves_later() {
        let mut view = view();
        assert_eq!(view.peer_state(), "looking - election");
        view.is_serving = true;
        view.enter(PeerState::Following, Some(ServerId(3)), NOW);
        assert_eq!(
            (view.mode(), view.peer_state().as_str(), view.is_serving),
            ("follower", "following - discovery", false)
        );
        assert_eq!((view.leader, view.looking_count), (Some(ServerId(3)), 1));
        view.enter(PeerState::Looking, None, NOW);
        assert_eq!((view.leader, view.looking_count), (None, 2));
    }

    #[test]
    fn learners_in_sync_are_counted_by_kind() {
        let mut view = view();
        view.enter(PeerState::Leading, Some(ServerId(1)), NOW);
        let leading = view.leading.as_mut().unwrap();
        leading.learners = vec![
            learner(2, LearnerType::Participant, true),
            learner(3, LearnerType::Participant, false),
            learner(4, LearnerType::Observer, true),
            learner(9, LearnerType::Participant, true),
        ];
        let expected = Synced {
            followers: 1,
            non_voting_followers: 1,
            observers: 1,
        };
        assert_eq!(view.leading.unwrap().synced(&view.verifier), expected);
    }

    #[test]
    fn proposals_are_counted_by_a_leader_until_they_are_reset() {
        let mut view = view();
        view.proposed(7);
        assert!(view.leading.is_none());
        view.enter(PeerState::Leading, Some(ServerId(1)), NOW);
        let stats = |view: &QuorumView| view.leading.as_ref().unwrap().proposals.clone();
        assert_eq!(stats(&view).last_min_max(), [-1; 3]);
        for bytes in [48, 88, 50] {
            view.proposed(bytes);
        }
        assert_eq!(stats(&view).last_min_max(), [50, 48, 88]);
        assert_eq!(stats(&view).count(), 3);
        view.reset();
        assert_eq!(stats(&view).last_min_max(), [-1; 3]);
    }
}
