//! A session as a pure state machine: no socket, task or clock.
//!
//! To drive it: hand it one input (`handle_*`, `submit`, `close`), drain
//! [`poll_output`](Session::poll_output) in order, write what
//! [`poll_transmit`](Session::poll_transmit) gives, and wake up again no later than
//! [`poll_timeout`](Session::poll_timeout). A spurious wake-up is harmless.

mod fallback;
mod handshake;
mod requests;
mod server_ops;
mod state;
#[cfg(test)]
mod tests;
mod timers;
mod watches;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::oneshot;
use zk_env::Mono;
use zk_proto::record::WatcherEvent;
use zk_proto::{
    Decode, Encode, ErrorCode, OpCode, Password, Reader, ReplyHeader, SessionId, Xid, Zxid,
};

use crate::error::{Error, Outcome};
use crate::reply::{RawReply, RawResult};
use crate::watcher::{WatchedEvent, WatcherId, WatcherQueue};
pub(crate) use requests::Limits;
use requests::{Deadline, Request, Requests, is_recent};
use server_ops::ServerOps;
pub(crate) use state::{Cause, Identity, Now, Phase};
pub use state::{Epoch, SessionState};
use timers::Timers;
pub(crate) use watches::{PendingWatch, Registration, WatchKind};
use watches::{Removal, Watches};

/// What a session is told at birth.
#[derive(Clone, Debug)]
pub(crate) struct SessionConfig {
    /// The timeout to ask for, on every connect.
    pub(crate) timeout: Duration,
    pub(crate) allow_read_only: bool,
    /// Whether expiry is followed by a new session.
    pub(crate) new_session_after_expiry: bool,
    pub(crate) resume: Option<(SessionId, Password)>,
    pub(crate) auths: Vec<AuthInfo>,
    pub(crate) limits: Limits,
    /// Where xids start; anywhere is legal.
    pub(crate) last_xid: Xid,
}

/// Credentials, replayed on every connection.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AuthInfo {
    pub(crate) scheme: String,
    pub(crate) auth: Bytes,
}

impl std::fmt::Debug for AuthInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthInfo")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

/// What the machine wants done, in order.
#[derive(Debug)]
pub(crate) enum Output {
    /// Answer a call.
    Reply(oneshot::Sender<RawResult>, RawResult),
    /// Queue an event.
    Event(Arc<WatcherQueue>, WatchedEvent),
    /// This watcher will hear nothing more.
    Detach(Arc<WatcherQueue>),
    /// Publish.
    State(SessionState),
    /// Drop the connection, then report it by `handle_disconnected`.
    Disconnect(Cause),
    /// There is room in the queue again, or the client is terminal.
    Wake(Waker),
}

/// One call: everything but its record.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) op: OpCode,
    pub(crate) watch: Option<Box<PendingWatch>>,
    pub(crate) deadline: Duration,
}

/// A recent operation, on its way alone to a server that may not know it.
#[derive(Debug)]
struct Probe {
    op: OpCode,
    frame: BytesMut,
}

/// `close` was called.
#[derive(Debug)]
struct Closing {
    deadline: Mono,
    after: Duration,
    is_sent: bool,
    waiting: Vec<oneshot::Sender<RawResult>>,
}

#[derive(Debug)]
pub(crate) struct Session {
    config: SessionConfig,
    phase: Phase,
    identity: Identity,
    requests: Requests,
    watches: Watches,
    auths: Vec<AuthInfo>,
    server_ops: ServerOps,
    probe: Option<Probe>,
    /// Re-registrations without an answer yet, and whether their operation is new
    /// to this server so that nothing may travel with them.
    set_watches_left: usize,
    is_probing_set_watches: bool,
    closing: Option<Closing>,
    /// Why the client is terminal, for calls to come.
    over: Option<Error>,
    /// The session's own frames, ahead of the queue.
    control: BytesMut,
    timers: Timers,
    waiting_for_room: Vec<Waker>,
    outputs: VecDeque<Output>,
}

impl Session {
    pub(crate) fn new(config: SessionConfig) -> Self {
        let (id, password) = config
            .resume
            .clone()
            .unwrap_or((SessionId::NONE, Password::none()));
        Self {
            phase: Phase::Down,
            identity: Identity {
                id,
                password,
                timeout: config.timeout,
                epoch: Epoch::default(),
                last_zxid: Zxid::ZERO,
                is_makeshift: false,
                proof: None,
            },
            requests: Requests::new(config.limits, config.last_xid),
            watches: Watches::default(),
            auths: config.auths.clone(),
            server_ops: ServerOps::default(),
            probe: None,
            set_watches_left: 0,
            is_probing_set_watches: false,
            closing: None,
            over: None,
            control: BytesMut::new(),
            timers: Timers::default(),
            waiting_for_room: Vec::new(),
            outputs: VecDeque::new(),
            config,
        }
    }

    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) const fn phase(&self) -> &Phase {
        &self.phase
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// Why the client is terminal.
    pub(crate) const fn over(&self) -> Option<&Error> {
        self.over.as_ref()
    }

    /// Requests on the wire.
    pub(crate) fn in_flight(&self) -> usize {
        self.requests.in_flight()
    }

    /// Takes a call's place in line. The answer comes through the receiver; a
    /// record too large or a full queue fails at once.
    pub(crate) fn submit(
        &mut self,
        now: Mono,
        call: Call,
        path: &str,
        record: &impl Encode,
    ) -> Result<oneshot::Receiver<RawResult>, Error> {
        self.check_open()?;
        let (slot, answer) = oneshot::channel();
        let mut request = Request::new(call.op);
        request.slot = Some(slot);
        request.deadline = Deadline {
            at: now + call.deadline,
            after: call.deadline,
        };
        request.watch = call.watch;
        self.requests.push(request, path, record)?;
        Ok(answer)
    }

    /// As `submit`, and the credentials are presented on every later connection.
    pub(crate) fn submit_auth(
        &mut self,
        now: Mono,
        auth: AuthInfo,
        deadline: Duration,
        record: &impl Encode,
    ) -> Result<oneshot::Receiver<RawResult>, Error> {
        let answer = self.submit(
            now,
            Call {
                op: OpCode::Auth,
                watch: None,
                deadline,
            },
            "",
            record,
        )?;
        if !self.auths.contains(&auth) {
            self.auths.push(auth);
        }
        Ok(answer)
    }

    fn check_open(&self) -> Result<(), Error> {
        match (&self.over, &self.closing) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(_)) => Err(Error::Closed),
            (None, None) => Ok(()),
        }
    }

    /// Whether a call would be taken; if not, `waker` is woken once that changes.
    pub(crate) fn poll_ready(&mut self, waker: &Waker) -> Option<Result<(), Error>> {
        match self.check_open() {
            Err(error) => Some(Err(error)),
            Ok(()) if self.requests.has_room() => Some(Ok(())),
            Ok(()) => {
                if !self
                    .waiting_for_room
                    .iter()
                    .any(|known| known.will_wake(waker))
                {
                    self.waiting_for_room.push(waker.clone());
                }
                None
            }
        }
    }

    /// Ends the session once all calls so far are answered, or at the latest after
    /// the session timeout: then the server will end it by itself.
    pub(crate) fn close(&mut self, now: Mono) -> oneshot::Receiver<RawResult> {
        let (slot, answer) = oneshot::channel();
        if self.over.is_some() {
            self.outputs.push_back(Output::Reply(slot, closed()));
            return answer;
        }
        if let Some(closing) = &mut self.closing {
            closing.waiting.push(slot);
            return answer;
        }
        let after = self.identity.timeout;
        self.closing = Some(Closing {
            deadline: now + after,
            after,
            is_sent: false,
            waiting: vec![slot],
        });
        let has_session = self.identity.id != SessionId::NONE;
        if !has_session && matches!(self.phase, Phase::Down) {
            self.end(Error::Closed, SessionState::Closed, closed());
        }
        answer
    }

    /// A watcher was passed to this session for the first time.
    pub(crate) fn attach(&mut self, watcher: &Arc<WatcherQueue>) {
        if self.over.is_some() {
            self.outputs.push_back(Output::Detach(Arc::clone(watcher)));
        } else {
            self.watches.attach(watcher);
        }
    }

    /// A watcher was dropped.
    pub(crate) fn forget(&mut self, watcher: WatcherId) {
        for pending in self.requests.pending_watches() {
            if pending
                .registration
                .as_ref()
                .is_some_and(|at| at.watcher.id() == watcher)
            {
                pending.registration = None;
            }
        }
        for removal in self.watches.forget(watcher) {
            self.remove_watch(&removal);
        }
    }

    /// Takes a watch off the server if nobody, now or by a call on its way, needs it.
    fn remove_watch(&mut self, removal: &Removal) {
        let is_awaited = self
            .requests
            .pending_watches()
            .any(|pending| pending.path == removal.path && pending.registration.is_some());
        let is_serving = matches!(self.phase, Phase::Serving { .. });
        if is_serving && !is_awaited && self.closing.is_none() && self.watches.may_remove(removal) {
            let request = Request::new(OpCode::RemoveWatches);
            // Nobody waits for it; a path that fitted a registration fits a removal.
            let _ = self
                .requests
                .push_unbounded(request, &removal.path, &removal.request());
        }
    }

    /// The next thing to do.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Appends to `out` what is to be written now.
    pub(crate) fn poll_transmit(&mut self, now: Now, out: &mut BytesMut) {
        let before = out.len();
        if !self.control.is_empty() {
            self.requests.count_control(self.control.len());
            out.extend_from_slice(&self.control);
            self.control.clear();
        }
        if let Phase::Serving {
            is_read_only,
            server,
        } = self.phase
        {
            if is_read_only {
                self.refuse_writes();
            }
            self.release(now, server, out);
            self.release_close(now, out);
        }
        if out.len() > before {
            self.timers.last_sent = now.mono;
        }
        if !self.waiting_for_room.is_empty() && self.requests.has_room() {
            self.outputs
                .extend(self.waiting_for_room.drain(..).map(Output::Wake));
        }
    }

    /// `len` bytes of what `poll_transmit` gave were written.
    pub(crate) const fn handle_written(&mut self, len: usize) {
        self.requests.handle_written(len);
    }

    /// A read-only server would answer a write out of order and cost the connection.
    fn refuse_writes(&mut self) {
        self.requests.refuse(&mut self.outputs, |request| {
            let is_refused = requests::is_write(request.op) || request.op == OpCode::Sync;
            is_refused.then_some(Error::ReadOnly)
        });
    }

    fn release(&mut self, now: Now, server: std::net::SocketAddr, out: &mut BytesMut) {
        let is_held = |session: &Self| {
            session.probe.is_some()
                || (session.is_probing_set_watches && session.set_watches_left > 0)
        };
        while !is_held(self) {
            self.requests.transmit(now.boot, out);
            let Some(front) = self.requests.front() else {
                return;
            };
            let (op, is_step) = (front.op, front.step.is_some());
            if !is_recent(op) && !is_step {
                return; // the window is full
            }
            if is_step {
                if self.requests.is_idle() {
                    self.requests.transmit_one(now.boot, out);
                }
                return;
            }
            match self.server_ops.get(server, op) {
                Some(true) if self.requests.in_flight() < self.config.limits.in_flight => {
                    self.requests.transmit_one(now.boot, out);
                }
                Some(true) => return,
                Some(false) => fallback::begin(&mut self.requests, &self.auths, &mut self.outputs),
                None if self.requests.is_idle() && self.set_watches_left == 0 => {
                    self.probe = Some(Probe {
                        op,
                        frame: self.requests.front_frame(),
                    });
                    self.requests.transmit_one(now.boot, out);
                }
                None => return,
            }
        }
    }

    fn release_close(&mut self, now: Now, out: &mut BytesMut) {
        let Some(closing) = &mut self.closing else {
            return;
        };
        if !closing.is_sent && self.requests.queued() == 0 {
            closing.is_sent = true;
            self.requests
                .push_front(Request::new(OpCode::CloseSession), &());
            self.requests.transmit_one(now.boot, out);
        }
    }

    /// Bytes arrived, whole frames or not: the connection is alive.
    pub(crate) const fn handle_read(&mut self, now: Mono) {
        self.timers.last_read = now;
    }

    /// A frame arrived.
    pub(crate) fn handle_frame(&mut self, now: Now, frame: &Bytes) {
        match self.phase {
            Phase::Handshake {
                server,
                deadline,
                sent_at,
            } => {
                self.handle_connect_response(now, frame, (server, deadline), sent_at);
            }
            Phase::Authenticating { .. } | Phase::Serving { .. } => self.handle_reply(now, frame),
            Phase::Down | Phase::Over => {}
        }
    }

    fn handle_reply(&mut self, now: Now, frame: &Bytes) {
        let mut reader = Reader::new(frame);
        let header = match ReplyHeader::decode(&mut reader) {
            Ok(header) => header,
            Err(error) => return self.disconnect(Cause::BadBytes(error.to_string())),
        };
        tracing::trace!(xid = %header.xid, zxid = %header.zxid, err = ?header.err, "reply");
        match header.xid {
            Xid::NOTIFICATION => match WatcherEvent::decode(&mut reader) {
                Ok(event) => self
                    .watches
                    .handle_event(&event, header.zxid, &mut self.outputs),
                Err(error) => self.disconnect(Cause::BadBytes(error.to_string())),
            },
            Xid::PING => {
                if self.see_zxid(header.zxid) {
                    self.identity.proof = self.timers.ping_sent.take().or(self.identity.proof);
                }
            }
            Xid::AUTH => self.handle_auth_reply(now, header.err),
            Xid::SET_WATCHES => self.handle_set_watches_reply(&header),
            _ => self.handle_answer(&header, reader.rest()),
        }
    }

    /// Adopts the zxid of an ordinary reply; false if the server went back in time.
    fn see_zxid(&mut self, zxid: Zxid) -> bool {
        if zxid <= Zxid::ZERO {
            return true;
        }
        if zxid < self.identity.last_zxid {
            self.disconnect(Cause::ServerBehind);
            return false;
        }
        self.identity.last_zxid = zxid;
        true
    }

    fn handle_answer(&mut self, header: &ReplyHeader, body: Bytes) {
        if !self.requests_front_is(header.xid) {
            return self.disconnect(Cause::OutOfOrder);
        }
        if !self.see_zxid(header.zxid) {
            return;
        }
        let Some(mut request) = self.requests.answer(header.xid) else {
            return;
        };
        if let Some(probe) = self.probe.take()
            && self.is_unknown_operation(probe.op, header)
        {
            self.requests.put_back(request, probe.frame);
            return self.disconnect(Cause::OperationUnknown);
        }
        self.identity.proof = Some(request.sent_at);
        if let Some(watch) = request.watch.take()
            && let Some(removal) = self
                .watches
                .handle_answer(*watch, header.err, &mut self.outputs)
        {
            self.remove_watch(&removal);
        }
        let reply = RawReply {
            err: header.err,
            body,
        };
        if request.op == OpCode::CloseSession {
            self.end(Error::Closed, SessionState::Closed, closed());
        } else if request.step.is_some() {
            fallback::handle_answer(request, reply, &mut self.requests, &mut self.outputs);
        } else if let Some(slot) = request.slot {
            self.outputs.push_back(Output::Reply(slot, Ok(reply)));
        }
    }

    fn requests_front_is(&self, xid: Xid) -> bool {
        self.requests.first_in_flight() == Some(xid)
    }

    /// Learns from the answer to a probe whether the server knows the operation.
    fn is_unknown_operation(&mut self, op: OpCode, header: &ReplyHeader) -> bool {
        let Phase::Serving { server, .. } = self.phase else {
            return false;
        };
        // A known operation that is switched off (TTL) carries a real zxid.
        let is_unknown = header.err == ErrorCode::Unimplemented && header.zxid.0 == -1;
        self.server_ops.learn(server, op, !is_unknown);
        is_unknown
    }

    /// The connection is gone, or was dropped as asked. Everything unanswered fails
    /// in the order of the calls.
    pub(crate) fn handle_disconnected(&mut self, now: Now, cause: &Cause) {
        let was_serving = matches!(
            self.phase,
            Phase::Serving { .. } | Phase::Authenticating { .. }
        );
        if matches!(self.phase, Phase::Down | Phase::Over) {
            return;
        }
        tracing::info!(session = %self.identity.id, %cause, "disconnected");
        self.phase = Phase::Down;
        self.control.clear();
        self.probe = None;
        self.set_watches_left = 0;
        self.is_probing_set_watches = false;
        self.timers.ping_sent = None;
        self.requests
            .fail_all(cause.is_planned() || !was_serving, &mut self.outputs);
        if let Some(closing) = &mut self.closing {
            closing.is_sent = false;
            if self.identity.id == SessionId::NONE {
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

    /// Asks the driver to drop the connection.
    pub(crate) fn disconnect(&mut self, cause: Cause) {
        self.outputs.push_back(Output::Disconnect(cause));
    }

    fn publish(&mut self, state: SessionState) {
        tracing::info!(session = %self.identity.id, epoch = %self.identity.epoch, state = state.name(), "session state");
        self.outputs.push_back(Output::State(state));
    }

    /// The server said that the session is gone.
    fn expire(&mut self) {
        let epoch = self.identity.epoch;
        self.requests.fail_all(true, &mut self.outputs);
        self.requests
            .fail_queued(&Error::EpochEnded, &mut self.outputs);
        self.watches.end_epoch(&mut self.outputs);
        self.identity.id = SessionId::NONE;
        self.identity.password = Password::none();
        self.identity.timeout = self.config.timeout;
        self.identity.last_zxid = Zxid::ZERO;
        self.identity.proof = None;
        self.publish(SessionState::Expired { epoch });
        if self.closing.is_some() {
            self.end(Error::Closed, SessionState::Closed, closed());
        } else if !self.config.new_session_after_expiry || epoch == Epoch::default() {
            self.end(
                Error::SessionExpired,
                SessionState::Expired { epoch },
                closed(),
            );
        }
    }

    /// Enters the terminal state: every call and watcher is told.
    fn end(&mut self, error: Error, state: SessionState, close: RawResult) {
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
            .extend(self.waiting_for_room.drain(..).map(Output::Wake));
        self.disconnect(Cause::Closed);
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Now) {
        self.requests.expire(now.mono, &mut self.outputs);
        self.check_close_deadline(now.mono);
        match self.phase {
            Phase::Handshake { deadline, .. } | Phase::Authenticating { deadline, .. } => {
                if deadline <= now.mono {
                    self.disconnect(Cause::HandshakeTimeout);
                }
            }
            Phase::Serving { .. } => self.check_connection(now),
            Phase::Down | Phase::Over => {}
        }
    }

    fn check_connection(&mut self, now: Now) {
        if self.timers.read_deadline(self.identity.timeout) <= now.mono {
            let read_timeout = timers::read_timeout(self.identity.timeout);
            self.disconnect(Cause::ReadTimeout(read_timeout));
        } else if self.timers.ping_due(self.identity.timeout) <= now.mono {
            self.ping(now);
        }
    }

    fn check_close_deadline(&mut self, now: Mono) {
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

    /// When to call `handle_timeout` at the latest.
    pub(crate) fn poll_timeout(&self) -> Mono {
        let phase = match self.phase {
            Phase::Handshake { deadline, .. } | Phase::Authenticating { deadline, .. } => deadline,
            Phase::Serving { .. } => {
                let timeout = self.identity.timeout;
                self.timers
                    .read_deadline(timeout)
                    .min(self.timers.ping_due(timeout))
            }
            Phase::Down | Phase::Over => Mono::MAX,
        };
        let closing = self
            .closing
            .as_ref()
            .map_or(Mono::MAX, |closing| closing.deadline);
        phase.min(closing).min(self.requests.earliest_deadline())
    }
}

fn closed() -> RawResult {
    Ok(RawReply {
        err: ErrorCode::Ok,
        body: Bytes::new(),
    })
}
