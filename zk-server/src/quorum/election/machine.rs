//! Fast leader election as a function of messages and time.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use zk_env::Mono;

use super::links::{LinkEvent, Links};
use super::notification::Notification;
use super::round::{Election, View, is_leader_known, supporters};
use super::vote::{Candidate, PeerState, Vote};
use crate::quorum::{LearnerType, QuorumVerifier, ServerId};
use crate::storage::NO_HISTORY;

/// How long a quorum's proposal stands before it is decided on, so that a better
/// vote that is under way can still arrive. Fixed in Apache.
const FINALIZE_WAIT: Duration = Duration::from_millis(200);

/// After votes have been repeated three times, without a sign of life, connections are made
/// anew: then the next repetition comes after this many of the first interval.
const SILENT_INTERVALS: u32 = 8;

/// What does not change while a peer runs.
#[derive(Clone, Debug)]
pub(crate) struct ElectionOptions {
    /// This peer.
    pub(crate) id: ServerId,
    /// Whether it follows or observes whom it elects.
    pub(crate) learner_type: LearnerType,
    /// Whether newer configurations of others are adopted, `reconfigEnabled`.
    pub(crate) reconfig_enabled: bool,
    /// The first wait before votes are sent again, doubled each time;
    /// `fastleader.minNotificationInterval`.
    pub(crate) min_notification_interval: Duration,
    /// Its end, `fastleader.maxNotificationInterval`.
    pub(crate) max_notification_interval: Duration,
}

impl ElectionOptions {
    /// Apache's intervals, for a participant.
    pub(crate) fn new(id: ServerId) -> Self {
        Self {
            id,
            learner_type: LearnerType::Participant,
            reconfig_enabled: false,
            min_notification_interval: Duration::from_millis(200),
            max_notification_interval: Duration::from_secs(60),
        }
    }
}

/// What a peer has to show for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InitialVote {
    /// The last logged transaction.
    pub(crate) zxid: i64,
    /// `currentEpoch`.
    pub(crate) peer_epoch: i64,
}

/// How an election ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Whom to follow, or this peer.
    pub(crate) leader: ServerId,
    /// `Leading`, `Following` or `Observing`; it stands in the vote as well.
    pub(crate) role: PeerState,
    /// The vote that won.
    pub(crate) vote: Vote,
}

/// What to do, in this order.
#[derive(Clone, Debug)]
pub(crate) enum Output {
    /// Tell one peer. A newer message to it replaces one that is not under way yet.
    Send {
        /// Never this peer itself.
        to: ServerId,
        /// What to tell.
        notification: Notification,
    },
    /// Dial a peer whose connection was lost or refused once more.
    Redial(ServerId),
    /// Nothing is heard from a peer: give up the connection there is and make another. One
    /// whose other end is gone without a sign looks like one that is silent, for as long as
    /// TCP goes on sending (in Apache a quarter of an hour).
    Reconnect(ServerId),
    /// The election is over; nothing of it follows.
    Decided(Decision),
    /// A peer had a newer configuration and the election goes on with that one.
    ConfigAdopted(QuorumVerifier),
    /// A voter's list and ours, both from files, could elect a leader each: while it
    /// is heard from, no votes are counted here.
    ConfigConflict {
        /// Whose list.
        from: ServerId,
        /// That list.
        theirs: QuorumVerifier,
    },
    /// While we lead, a voter is in an election with this vote (ZOOKEEPER-3109).
    VoterIsLooking {
        /// The voter.
        from: ServerId,
        /// Its vote.
        vote: Vote,
    },
}

/// Fast leader election of one peer, for as long as it runs.
///
/// Drive it by one rule: one input (`handle_*`, `look`), then every
/// [`poll_output`](Self::poll_output) in order, then sleep until
/// [`poll_timeout`](Self::poll_timeout). Between elections it answers peers that are
/// looking, so it needs their messages then too.
///
/// Where this differs from Apache no other peer has to know: votes are sent again on a
/// fixed schedule that other messages do not postpone; a worse vote of the same round is
/// answered with ours, since its sender may have begun to look after we sent it; the
/// 200 ms before a decision are not prolonged by what changes nothing, and end early when
/// every other voter has sent the same vote or is known to be gone.
#[derive(Debug)]
pub(crate) struct FastLeaderElection {
    options: ElectionOptions,
    view: View,
    state: PeerState,
    /// What peers are told that are not part of an election of ours.
    current_vote: Vote,
    /// The logical clock. Not kept on disk: a peer that starts anew learns it from others.
    round: i64,
    election: Option<Election>,
    links: Links,
    /// Whom this election has heard from since connections were made anew.
    heard: BTreeSet<ServerId>,
    /// Bounded by what one input causes, since outputs are drained after each.
    outputs: VecDeque<Output>,
}

impl FastLeaderElection {
    /// A peer that has not looked for a leader yet.
    pub(crate) fn new(options: ElectionOptions, committed: QuorumVerifier) -> Self {
        Self {
            options,
            view: View::new(committed, None),
            state: PeerState::Looking,
            current_vote: Vote::looking(Candidate::NOBODY, -1),
            round: 0,
            election: None,
            links: Links::default(),
            heard: BTreeSet::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Starts an election, in a new round. One that is under way is given up.
    pub(crate) fn look(&mut self, initial: InitialVote, now: Mono) {
        let initial = self.initial_candidate(initial);
        self.state = PeerState::Looking;
        self.current_vote = Vote::looking(
            Candidate {
                leader: self.options.id,
                ..initial
            },
            -1,
        );
        self.heard.clear();
        self.start_election(initial, now);
    }

    /// Gives up an election without a decision.
    pub(crate) fn stop_looking(&mut self) {
        self.election = None;
    }

    /// What `initial` makes of this peer: nobody, if it has no vote. One in the proposed
    /// configuration is enough (not for Apache): if the leader crashed with less of its log
    /// than the newcomer has, nobody else may be able to lead. Both ensembles have to agree.
    fn initial_candidate(&self, initial: InitialVote) -> Candidate {
        match self.options.learner_type {
            LearnerType::Observer => Candidate::NOBODY,
            LearnerType::Participant => Candidate {
                peer_epoch: initial.peer_epoch,
                zxid: initial.zxid,
                leader: if self.view.is_voter(self.options.id) {
                    self.options.id
                } else {
                    Candidate::NOBODY.leader
                },
            },
        }
    }

    fn start_election(&mut self, initial: Candidate, now: Mono) {
        let interval = self.options.min_notification_interval;
        self.election = Some(Election::new(initial, interval, now));
        self.enter_round(self.round.saturating_add(1));
        self.propose(initial);
        self.count(now);
    }

    fn enter_round(&mut self, round: i64) {
        self.round = round;
        self.links.forget();
        if let Some(election) = &mut self.election {
            election.received.clear();
            election.finalize_at = None;
        }
    }

    /// Adopts a proposal and tells every voter, oneself included.
    fn propose(&mut self, proposal: Candidate) {
        let Some(election) = &mut self.election else {
            return;
        };
        election.proposal = proposal;
        election.finalize_at = None;
        let me = self.options.id;
        if self.view.is_voter(me) && !election.is_void() && proposal.zxid != NO_HISTORY.0 {
            election
                .received
                .insert(me, Vote::looking(proposal, self.round));
        }
        self.send_proposal();
    }

    fn send_proposal(&mut self) {
        let Some(election) = &self.election else {
            return;
        };
        let vote = Vote::looking(election.proposal, self.round);
        for to in self.view.voters() {
            if to != self.options.id {
                self.send(to, vote);
            }
        }
    }

    fn send(&mut self, to: ServerId, vote: Vote) {
        let notification = Notification {
            vote,
            config: Some(self.view.committed.to_text()),
        };
        self.outputs.push_back(Output::Send { to, notification });
    }

    /// Takes a message that came by the connection with `from`, in any state.
    pub(crate) fn handle_notification(
        &mut self,
        from: ServerId,
        notification: Notification,
        now: Mono,
    ) {
        if from == self.options.id {
            return;
        }
        self.links.is_up(from);
        if self.election.is_some() {
            self.heard.insert(from);
        }
        if let Some(text) = &notification.config {
            match QuorumVerifier::parse(text) {
                Ok(theirs) => self.handle_config(from, theirs, now),
                // As Apache: the vote counts all the same.
                Err(error) => {
                    tracing::warn!(%from, %error, "a peer's configuration cannot be read");
                }
            }
        }
        let vote = notification.vote;
        if !self.view.is_voter(from) {
            let vote = Vote {
                round: self.round,
                state: self.state,
                ..self.current_vote
            };
            self.send(from, vote);
            return;
        }
        match self.state {
            PeerState::Looking => self.handle_vote(from, vote, now),
            PeerState::Following | PeerState::Leading | PeerState::Observing => {
                self.answer(from, vote);
            }
        }
    }

    /// Tells a peer that is looking about the leader there is.
    fn answer(&mut self, from: ServerId, vote: Vote) {
        if vote.state != PeerState::Looking {
            return;
        }
        if self.state == PeerState::Leading {
            self.outputs
                .push_back(Output::VoterIsLooking { from, vote });
        }
        let vote = Vote {
            state: self.state,
            ..self.current_vote
        };
        self.send(from, vote);
    }

    fn handle_config(&mut self, from: ServerId, theirs: QuorumVerifier, now: Mono) {
        if self.options.reconfig_enabled {
            let is_newer = theirs.version() > self.view.committed.version();
            if is_newer && self.state == PeerState::Looking {
                self.adopt_config(from, theirs, now);
            }
            return;
        }
        let Some(election) = &mut self.election else {
            return;
        };
        // Files say nothing about which of two lists is newer.
        let committed = &self.view.committed;
        let is_conflict = self.view.is_voter(from)
            && theirs.version() == committed.version()
            && !committed.always_meets(&theirs);
        if !is_conflict {
            if election.conflicts.remove(&from) {
                self.count(now);
            }
        } else if election.conflicts.insert(from) {
            self.outputs
                .push_back(Output::ConfigConflict { from, theirs });
        }
    }

    fn adopt_config(&mut self, from: ServerId, theirs: QuorumVerifier, now: Mono) {
        tracing::info!(%from, version = %format_args!("{:x}", theirs.version()), "newer configuration adopted");
        let is_changed = !theirs.has_same_members(&self.view.committed);
        let last_seen = self.view.last_seen.take();
        self.view = View::new(theirs.clone(), last_seen);
        self.outputs.push_back(Output::ConfigAdopted(theirs));
        let Some(election) = self.election.as_ref().filter(|_| is_changed) else {
            return;
        };
        let initial = self.initial_candidate(InitialVote {
            zxid: election.initial.zxid,
            peer_epoch: election.initial.peer_epoch,
        });
        self.start_election(initial, now);
    }

    /// A message of a voter while we are looking.
    fn handle_vote(&mut self, from: ServerId, vote: Vote, now: Mono) {
        let Some(election) = &self.election else {
            return;
        };
        let is_late = vote.state == PeerState::Looking && vote.round < self.round;
        if is_late {
            let proposal = Vote::looking(election.proposal, self.round);
            self.send(from, proposal);
        }
        if !self.view.is_voter(vote.leader) {
            return;
        }
        match vote.state {
            PeerState::Looking if is_late => {}
            PeerState::Looking => self.handle_looking(from, vote, now),
            PeerState::Following | PeerState::Leading => self.handle_settled(from, vote),
            PeerState::Observing => {}
        }
    }

    /// A vote of this round or of a later one.
    fn handle_looking(&mut self, from: ServerId, vote: Vote, now: Mono) {
        let Some(election) = &mut self.election else {
            return;
        };
        if election.is_void() || vote.zxid == NO_HISTORY.0 {
            return;
        }
        let candidate = vote.candidate();
        if vote.round > self.round {
            // About to decide, only a better vote makes us start over; whoever is ahead
            // of us hears of the decision when it sends again.
            let is_better = election.is_better(candidate, election.proposal, &self.view);
            if election.finalize_at.is_some() && !is_better {
                return;
            }
            let initial = election.initial;
            let is_better = election.is_better(candidate, initial, &self.view);
            self.enter_round(vote.round);
            self.propose(if is_better { candidate } else { initial });
        } else if election.is_better(candidate, election.proposal, &self.view) {
            self.propose(candidate);
        } else if election.received.get(&from) != Some(&vote.forget_version())
            && election.is_better(election.proposal, candidate, &self.view)
        {
            // It began to look after we had sent ours. Answered once per vote, so that
            // peers with different lists cannot keep each other busy.
            let proposal = Vote::looking(election.proposal, self.round);
            self.send(from, proposal);
        }
        if let Some(election) = &mut self.election {
            election.received.insert(from, vote.forget_version());
        }
        self.count(now);
    }

    /// Counts the votes for our proposal.
    fn count(&mut self, now: Mono) {
        let Some(election) = &mut self.election else {
            return;
        };
        let supporters = election.supporters(self.round);
        if !election.conflicts.is_empty() || !self.view.contains_quorums(&supporters) {
            election.finalize_at = None;
            return;
        }
        election.finalize_at.get_or_insert(now + FINALIZE_WAIT);
        let me = self.options.id;
        let is_accounted = |id| id == me || supporters.contains(&id) || self.links.is_gone(id);
        if self.view.voters().into_iter().all(is_accounted) {
            let vote = Vote::looking(election.proposal, self.round);
            self.decide(vote);
        }
    }

    /// A vote of somebody who has a leader.
    fn handle_settled(&mut self, from: ServerId, vote: Vote) {
        let me = self.options.id;
        let Some(election) = &mut self.election else {
            return;
        };
        let has_quorum = |votes: &_| {
            self.view.contains_quorums(&supporters(votes, &vote))
                && is_leader_known(votes, &vote, me, self.round)
        };
        if vote.round == self.round {
            election.received.insert(from, vote.forget_version());
            if has_quorum(&election.received) {
                self.decide(vote);
                return;
            }
        }
        election.settled.insert(from, vote);
        if has_quorum(&election.settled) {
            self.round = vote.round;
            self.decide(vote);
        }
    }

    fn decide(&mut self, vote: Vote) {
        self.election = None;
        self.state = if vote.leader == self.options.id {
            PeerState::Leading
        } else {
            match self.options.learner_type {
                LearnerType::Participant => PeerState::Following,
                LearnerType::Observer => PeerState::Observing,
            }
        };
        self.current_vote = Vote {
            state: self.state,
            ..vote.forget_version()
        };
        self.outputs.push_back(Output::Decided(Decision {
            leader: vote.leader,
            role: self.state,
            vote: self.current_vote,
        }));
    }

    /// Takes note of what happened to the connection with `peer`.
    pub(crate) fn handle_link(&mut self, peer: ServerId, event: LinkEvent, now: Mono) {
        let Some(election) = &mut self.election else {
            return;
        };
        if !self.view.is_voter(peer) || peer == self.options.id {
            return;
        }
        if self.links.handle(peer, event) {
            self.outputs.push_back(Output::Redial(peer));
        }
        // Whoever cannot be reached stands in nobody's way.
        if event != LinkEvent::Up {
            election.conflicts.remove(&peer);
            self.count(now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn poll_timeout(&self) -> Option<Mono> {
        let election = self.election.as_ref()?;
        let finalize_at = election.finalize_at.unwrap_or(Mono::MAX);
        Some(election.resend_at.min(finalize_at))
    }

    /// Lets time pass; too early does nothing.
    pub(crate) fn handle_timeout(&mut self, now: Mono) {
        let Some(election) = &mut self.election else {
            return;
        };
        if election.finalize_at.is_some_and(|at| at <= now) {
            let vote = Vote::looking(election.proposal, self.round);
            self.decide(vote);
        } else if election.resend_at <= now {
            let doubled = election.resend_interval.saturating_mul(2);
            election.resend_interval = doubled.min(self.options.max_notification_interval);
            election.resend_at = now + election.resend_interval;
            let patience = self.options.min_notification_interval * SILENT_INTERVALS;
            if doubled >= patience {
                self.reconnect_silent();
            }
            self.send_proposal();
        }
    }

    /// Makes new connections with voters that have not been heard from since the last time.
    fn reconnect_silent(&mut self) {
        let heard = std::mem::take(&mut self.heard);
        let id = self.options.id;
        let voters = self.view.voters();
        for silent in voters.difference(&heard).filter(|voter| **voter != id) {
            self.outputs.push_back(Output::Reconnect(*silent));
        }
    }

    /// The next thing to do.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The epoch of the leader has become the current one: peers that are looking are
    /// told this epoch from now on, with zxid and round as they were elected.
    pub(crate) fn set_peer_epoch(&mut self, epoch: i64) {
        self.current_vote.peer_epoch = epoch;
    }

    /// A reconfiguration hands leadership over without an election.
    pub(crate) fn set_leader(&mut self, leader: ServerId, zxid: i64, role: PeerState) {
        self.election = None;
        self.state = role;
        self.current_vote = Vote {
            version: 0,
            leader,
            zxid,
            round: -1,
            peer_epoch: -1,
            state: role,
        };
    }

    /// The configuration in force and the one that is being agreed on, if any. Used from
    /// the next message on; an election that is under way keeps its proposal. Whether this
    /// peer votes follows from them: who observes and has a vote in neither does not, and
    /// who is in no list any more follows on.
    pub(crate) fn set_config(
        &mut self,
        committed: QuorumVerifier,
        last_seen: Option<QuorumVerifier>,
    ) {
        let own = committed.member(self.options.id);
        let is_observer = own.is_some_and(|own| !own.is_participant());
        self.view = View::new(committed, last_seen);
        self.options.learner_type = if is_observer && !self.view.is_voter(self.options.id) {
            LearnerType::Observer
        } else {
            LearnerType::Participant
        };
    }

    /// What the peer is doing.
    pub(crate) fn state(&self) -> PeerState {
        self.state
    }

    /// The logical clock.
    pub(crate) fn round(&self) -> i64 {
        self.round
    }

    /// What peers are told between elections.
    pub(crate) fn current_vote(&self) -> Vote {
        self.current_vote
    }
}
