//! How things end: a connection, a session epoch, the client.

use std::time::Duration;

use tokio::sync::oneshot;
use zk_env::Mono;
use zk_proto::{Password, SessionId, Zxid};

use super::timers::Pings;
use super::{Cause, Closing, Epoch, Now, Output, Phase, Session, SessionState, closed};
use crate::error::{Error, Outcome};
use crate::reply::RawResult;

impl Session {
    /// Ends the session once all calls so far are answered, or at the latest after
    /// the session timeout: then the server will end it by itself. `patience` is for a
    /// server that has granted a timeout nobody asked for.
    pub(crate) fn close(&mut self, now: Mono, patience: Duration) -> oneshot::Receiver<RawResult> {
        let (slot, answer) = oneshot::channel();
        if self.over.is_some() {
            // The driver has gone, so this is answered here.
            let _ = slot.send(closed());
            return answer;
        }
        if let Some(closing) = &mut self.closing {
            closing.waiting.push(slot);
            return answer;
        }
        let after = self.identity.timeout.min(patience);
        self.closing = Some(Closing {
            deadline: now + after,
            after,
            is_sent: false,
            waiting: vec![slot],
        });
        let is_resuming =
            self.identity.epoch == Epoch::default() && self.identity.id != SessionId::NONE;
        if is_resuming || (!self.has_session() && matches!(self.phase, Phase::Down)) {
            self.end(Error::Closed, SessionState::Closed, closed());
        }
        answer
    }

    /// Whether there is a session to end: one that a server has granted, and did
    /// not make up because it is read-only.
    fn has_session(&self) -> bool {
        self.identity.id != SessionId::NONE && !self.identity.is_makeshift
    }

    /// The connection is gone, or was dropped as asked. Everything unanswered fails
    /// in the order of the calls.
    pub(crate) fn handle_disconnected(&mut self, now: Now, cause: &Cause) {
        let was_serving = matches!(self.phase, Phase::Serving { .. });
        if matches!(self.phase, Phase::Down | Phase::Over) {
            return;
        }
        tracing::info!(session = %self.identity.id, %cause, "disconnected");
        self.note_disconnection(cause);
        self.phase = Phase::Down;
        self.is_leaving = false;
        self.control.clear();
        self.trial = None;
        self.set_watches_left = 0;
        self.is_probing_set_watches = false;
        self.timers.pings = Pings::default();
        self.requests
            .fail_all(cause.is_planned() || !was_serving, &mut self.outputs);
        if let Some(closing) = &mut self.closing {
            closing.is_sent = false;
            if !self.has_session() {
                return self.end(Error::Closed, SessionState::Closed, closed());
            }
        }
        if was_serving && *cause != Cause::Expired {
            let until = self.identity.proof.unwrap_or(now.boot) + self.identity.timeout * 3 / 4;
            self.publish(SessionState::Suspended {
                epoch: self.identity.epoch,
                until,
            });
        }
    }

    /// Tells a simulator what the end of a connection meets.
    fn note_disconnection(&mut self, cause: &Cause) {
        let probe = &self.config.probe;
        self.requests.note_cut(probe);
        self.has_lost_write |= self.requests.has_unanswered_write();
        if let Some(place) = cause.place() {
            probe.reached(place);
        }
        let place = match (&self.phase, cause) {
            (Phase::Handshake { .. }, Cause::ClosedByServer) => {
                "client: refused without an answer to the handshake"
            }
            (Phase::Handshake { .. }, Cause::Io(_)) => "client: cut in the handshake",
            (Phase::Sasl(_), _) => "client: cut in the SASL exchange",
            (Phase::Authenticating { .. }, _) => "client: cut while authenticating",
            (Phase::Serving { .. }, _) if self.set_watches_left > 0 => {
                "client: cut while watches were registered again"
            }
            (Phase::Serving { .. }, cause) if cause.is_planned() && !self.requests.is_idle() => {
                "client: moved with calls in flight"
            }
            _ => return,
        };
        probe.reached(place);
    }

    /// The server said that the session is gone.
    pub(super) fn expire(&mut self) {
        let epoch = self.identity.epoch;
        self.requests.fail_all(true, &mut self.outputs);
        if !self
            .config
            .probe
            .has_planted("write replayed into a new session")
        {
            self.requests
                .fail_queued(&Error::EpochEnded, &mut self.outputs);
        }
        self.watches.end_epoch(&mut self.outputs);
        self.identity.id = SessionId::NONE;
        self.identity.password = Password::none();
        self.identity.timeout = self.config.timeout;
        self.identity.last_zxid = Zxid::ZERO;
        self.identity.proof = None;
        let expired = SessionState::Expired { epoch };
        if self.closing.is_some() {
            self.publish(expired);
            self.end(Error::Closed, SessionState::Closed, closed());
        } else if !self.config.new_session_after_expiry || epoch == Epoch::default() {
            self.end(Error::SessionExpired, expired, closed());
        } else {
            self.publish(expired);
            // Calls from now on belong to the session to come.
            self.identity.epoch.0 += 1;
        }
    }

    /// Whether the server has refused a session that it could have resumed, without
    /// saying why.
    pub(crate) fn is_refused(&self, cause: &Cause) -> bool {
        let is_silent = matches!(cause, Cause::ClosedByServer | Cause::Io(_));
        let is_handshake = matches!(self.phase, Phase::Handshake { .. });
        is_silent && is_handshake && self.identity.last_zxid > Zxid::ZERO
    }

    /// No server has what this session has seen, and `newest` is the most that any
    /// has: the ensemble that the session belonged to is gone. A new session would
    /// find another history, which is for the user to decide about.
    pub(crate) fn handle_regressed(&mut self, newest: Zxid) {
        if self.over.is_some() {
            return;
        }
        let (epoch, seen) = (self.identity.epoch, self.identity.last_zxid);
        tracing::error!(session = %self.identity.id, %seen, %newest, "the ensemble has lost what this session has seen");
        self.watches.end_epoch(&mut self.outputs);
        let error = Error::EnsembleRegressed { seen, newest };
        self.end(error, SessionState::Expired { epoch }, closed());
    }

    /// The driver is gone before its time: its runtime has shut down, or it panicked.
    /// Nobody else could answer.
    pub(crate) fn abandon(&mut self) {
        if self.over.is_none() {
            let outcome = Outcome::Unknown;
            let close = Err(Error::ConnectionLost { outcome });
            self.end(Error::Closed, SessionState::Closed, close);
        }
    }

    /// Enters the terminal state: every call and watcher is told.
    pub(super) fn end(&mut self, error: Error, state: SessionState, close: RawResult) {
        self.phase = Phase::Over;
        self.requests.fail_all(true, &mut self.outputs);
        self.requests.fail_queued(&error, &mut self.outputs);
        self.watches.end(&mut self.outputs);
        self.over = Some(error);
        self.publish(state);
        if let Some(closing) = self.closing.take() {
            let answers = closing
                .waiting
                .into_iter()
                .map(|slot| Output::Reply(slot, close.clone()));
            self.outputs.extend(answers);
        }
        self.outputs
            .extend(self.waiting_for_room.take().into_iter().map(Output::Wake));
        self.disconnect(Cause::Closed);
    }

    pub(super) fn check_close_deadline(&mut self, now: Mono) {
        if let Some(closing) = &self.closing
            && closing.deadline <= now
        {
            let error = Error::DeadlineExceeded {
                deadline: closing.after,
                outcome: Outcome::Unknown,
            };
            self.end(Error::Closed, SessionState::Closed, Err(error));
        }
    }
}
