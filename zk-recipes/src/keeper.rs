//! What an ownership is, from what happens to its session, its znode and its proofs: pure.
//!
//! One rule drives it: one input, then [`state`](Keeper::state) is published and
//! [`poll_request`](Keeper::poll_request) is sent, one at a time; look again at
//! [`poll_timeout`](Keeper::poll_timeout).

use zk_client::{Epoch, SessionState, WatchedEvent, Zxid};
use zk_env::Boot;

use crate::ownership::{OwnershipState, Why};
use crate::proof::{Proof, QuorumRule, soft_validity};

mod task;
pub(crate) use task::{LOOK_EVERY, keep};

/// What it wants sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Which proof suits the server.
    AskEnsemble,
    /// The own znode, with a watch; synced if what the server knows may be old.
    Read { is_synced: bool },
    /// A quorum write that checks the own znode.
    Check,
}

/// Why a request has no good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The znode is not there.
    Missing,
    /// No verdict.
    Passing,
}

/// The state of one ownership.
#[derive(Debug)]
pub(crate) struct Keeper {
    epoch: Epoch,
    czxid: Zxid,
    /// The kind in force; unknown until the server has been asked.
    proof: Option<Proof>,
    rule: QuorumRule,
    /// The newest soft proof's end.
    soft_until: Boot,
    /// Under `Quorum`: the soft proof may stand in for the first quorum proof, within a timeout
    /// of the grant and until the first doubt.
    is_provisional: bool,
    provisional_from: Boot,
    is_connected: bool,
    /// Since when it needs to be verified before it is held again.
    doubted_since: Option<Boot>,
    wants_read: bool,
    /// After a read that failed.
    read_not_before: Boot,
    /// A server that may lag behind what this session knows of others.
    is_read_synced: bool,
    lost: Option<Why>,
}

impl Keeper {
    /// Of a znode just found to be the owner's, the answered create of which the rule starts
    /// from. Without a `proof`, the server is asked.
    pub(crate) const fn new(
        epoch: Epoch,
        czxid: Zxid,
        rule: QuorumRule,
        proof: Option<Proof>,
        now: Boot,
    ) -> Self {
        Self {
            epoch,
            czxid,
            proof,
            rule,
            soft_until: Boot::ZERO,
            is_provisional: true,
            provisional_from: now,
            is_connected: true,
            doubted_since: None,
            wants_read: true,
            read_not_before: Boot::ZERO,
            is_read_synced: false,
            lost: None,
        }
    }

    /// The client's session is in this state, and its last answered request was sent at `proof`.
    pub(crate) fn handle_session(&mut self, state: SessionState, proof: Option<Boot>, now: Boot) {
        match state {
            SessionState::Connected { epoch } => {
                if self.is_own(epoch) {
                    let is_new = !self.is_connected;
                    self.is_connected = true;
                    self.wants_read |= is_new;
                }
            }
            SessionState::ConnectedReadOnly { epoch } | SessionState::Suspended { epoch, .. } => {
                if self.is_own(epoch) {
                    self.is_connected = false;
                    self.doubt(now);
                }
            }
            SessionState::Connecting => {
                self.is_connected = false;
                self.doubt(now);
            }
            SessionState::Expired { .. } => self.lose(Why::EpochEnded),
            SessionState::AuthFailed | SessionState::Closed => self.lose(Why::ClientClosed),
        }
        if let Some(sent) = proof {
            self.soft_until = self
                .soft_until
                .max(sent + soft_validity(self.rule.timeout()));
        }
    }

    /// The client has begun to end its session.
    pub(crate) fn handle_closing(&mut self) {
        self.lose(Why::ClientClosed);
    }

    fn is_own(&mut self, epoch: Epoch) -> bool {
        if epoch != self.epoch {
            self.lose(Why::EpochEnded);
        }
        epoch == self.epoch
    }

    /// Whether the server is one of several; `None` if it does not say.
    pub(crate) fn handle_ensemble(&mut self, is_ensemble: Option<bool>) {
        let proof = match is_ensemble {
            Some(false) => Proof::Soft,
            Some(true) | None => Proof::Quorum,
        };
        self.proof.get_or_insert(proof);
    }

    /// The answer to a read called at `called`.
    pub(crate) fn handle_read(&mut self, called: Boot, read: Result<Zxid, Failure>, now: Boot) {
        match read {
            Ok(czxid) if czxid == self.czxid => {
                if self.kind() == Proof::Soft {
                    self.verify(called);
                }
            }
            // Another znode under a name of ours is somebody's forgery.
            Ok(_) | Err(Failure::Missing) => self.lose(Why::Deleted),
            Err(Failure::Passing) => {
                self.wants_read = true;
                self.read_not_before = now + self.rule.retry_pause();
            }
        }
    }

    /// The answer to a check called at `called`.
    pub(crate) fn handle_check(&mut self, called: Boot, check: Result<(), Failure>, now: Boot) {
        match check {
            Ok(()) => {
                self.rule.handle_answered(called, now);
                if self.rule.valid_until().is_some_and(|until| now < until) {
                    self.verify(called);
                }
            }
            Err(Failure::Missing) => self.lose(Why::Deleted),
            Err(Failure::Passing) => self.rule.handle_failed(now),
        }
    }

    /// Something happened to the own znode.
    pub(crate) const fn handle_event(&mut self, event: &WatchedEvent) {
        // What it was, the read tells; the session's end is told by the session.
        self.wants_read |= !matches!(event.event_type, zk_client::EventType::None);
    }

    /// What to send now. Nothing while disconnected or lost.
    pub(crate) fn poll_request(&mut self, now: Boot) -> Option<Request> {
        if self.lost.is_some() || !self.is_connected {
            return None;
        }
        if self.wants_read && now >= self.read_not_before {
            self.wants_read = false;
            let is_synced = std::mem::replace(&mut self.is_read_synced, true);
            return Some(Request::Read { is_synced });
        }
        match self.proof {
            None => Some(Request::AskEnsemble),
            Some(Proof::Quorum) if now >= self.rule.next_write() => Some(Request::Check),
            Some(Proof::Soft | Proof::Quorum) => None,
        }
    }

    /// When the state changes, or a request is due, by the passing of time alone.
    pub(crate) fn poll_timeout(&mut self, now: Boot) -> Option<Boot> {
        let ends = match self.state(now) {
            OwnershipState::Held { valid_until, .. } => Some(valid_until),
            OwnershipState::InDoubt | OwnershipState::Lost(_) => None,
        };
        let read = self.wants_read.then_some(self.read_not_before);
        let write = (self.kind() == Proof::Quorum).then(|| self.rule.next_write());
        let requests = [read, write].into_iter().flatten();
        let requests = requests.filter(|_| self.lost.is_none() && self.is_connected);
        requests.chain(ends).min()
    }

    /// The state at `now`. What came into doubt stays there until it is verified.
    pub(crate) fn state(&mut self, now: Boot) -> OwnershipState {
        if let Some(why) = self.lost {
            return OwnershipState::Lost(why);
        }
        let (valid_until, proof) = self.proven();
        if now >= valid_until {
            self.doubt(now);
        }
        match self.doubted_since {
            Some(_) => OwnershipState::InDoubt,
            None => OwnershipState::Held { valid_until, proof },
        }
    }

    fn proven(&self) -> (Boot, Proof) {
        match (self.kind(), self.rule.valid_until()) {
            (Proof::Soft, _) => (self.soft_until, Proof::Soft),
            (Proof::Quorum, Some(until)) => (until, Proof::Quorum),
            (Proof::Quorum, None) if self.is_provisional => {
                let limit = self.provisional_from + self.rule.timeout();
                (self.soft_until.min(limit), Proof::Soft)
            }
            (Proof::Quorum, None) => (Boot::ZERO, Proof::Quorum),
        }
    }

    fn kind(&self) -> Proof {
        self.proof.unwrap_or(Proof::Quorum)
    }

    fn doubt(&mut self, now: Boot) {
        if self.doubted_since.is_none() {
            self.doubted_since = Some(now);
            self.is_provisional = false;
            self.wants_read = true;
        }
    }

    /// The znode was seen by a request made after the doubt arose.
    fn verify(&mut self, called: Boot) {
        if self.is_connected && self.doubted_since.is_some_and(|since| called >= since) {
            self.doubted_since = None;
        }
    }

    fn lose(&mut self, why: Why) {
        self.lost.get_or_insert(why);
    }
}

#[cfg(test)]
mod tests;
