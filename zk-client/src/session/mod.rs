//! A session as a pure state machine: no socket, task or clock.
//!
//! To drive it: hand it one input (`handle_*`, `submit`, `close`), drain
//! [`poll_output`](Session::poll_output) in order, write what
//! [`poll_transmit`](Session::poll_transmit) gives, and wake up again no later than
//! [`poll_timeout`](Session::poll_timeout). A spurious wake-up is harmless.

mod ending;
mod fallback;
mod handshake;
mod release;
mod replies;
mod requests;
mod sasl;
mod server_ops;
mod state;
#[cfg(test)]
mod tests;
mod timers;
mod watches;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::oneshot;
use zk_env::{Mono, Probe};
use zk_proto::{Encode, ErrorCode, OpCode, Password, SessionId, Xid, Zxid};

use crate::error::{Error, QueueLimit};
use crate::reply::{RawReply, RawResult};
use crate::sasl::Sasl;
use crate::wakers::{Ticket, Wakers};
use crate::watcher::{WatchedEvent, WatcherId, WatcherQueue};
pub(crate) use requests::Limits;
use requests::{Deadline, Request, Requests};
use sasl::SaslRound;
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
    /// By which each connection begins, if at all.
    pub(crate) sasl: Option<Sasl>,
    pub(crate) limits: Limits,
    /// Where xids start; anywhere is legal.
    pub(crate) last_xid: Xid,
    /// What a simulator sees and disturbs.
    pub(crate) probe: Probe,
}

/// Credentials remembered: each costs a packet on every connection.
const MAX_AUTHS: usize = 256;

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

/// A call has been queued.
#[derive(Debug)]
pub(crate) struct Queued {
    /// Its number in line.
    pub(crate) xid: Xid,
    /// Where its answer comes.
    pub(crate) answer: oneshot::Receiver<RawResult>,
}

/// A recent operation, on its way alone to a server that may not know it.
#[derive(Debug)]
struct Trial {
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
    trial: Option<Trial>,
    /// Re-registrations without an answer yet, and whether their operation is new
    /// to this server so that nothing may travel with them.
    set_watches_left: usize,
    is_probing_set_watches: bool,
    closing: Option<Closing>,
    /// Why the client is terminal, for calls to come.
    over: Option<Error>,
    /// A connection of this session was lost over an unanswered write.
    has_lost_write: bool,
    /// The session's own frames, ahead of the queue.
    control: BytesMut,
    /// The connection is being dropped: what else it brings does not count.
    is_leaving: bool,
    timers: Timers,
    waiting_for_room: Wakers,
    outputs: VecDeque<Output>,
}

impl Session {
    pub(crate) fn new(config: SessionConfig) -> Self {
        let (id, password) = config
            .resume
            .clone()
            .unwrap_or_else(|| (SessionId::NONE, Password::none()));
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
            trial: None,
            set_watches_left: 0,
            is_probing_set_watches: false,
            closing: None,
            over: None,
            has_lost_write: false,
            control: BytesMut::new(),
            is_leaving: false,
            timers: Timers::default(),
            waiting_for_room: Wakers::default(),
            outputs: VecDeque::new(),
            config,
        }
    }

    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// How many calls are on the wire without an answer.
    pub(crate) fn awaited(&self) -> usize {
        self.requests.in_flight()
    }

    /// Whether it is being closed, or over.
    pub(crate) const fn is_closing(&self) -> bool {
        self.closing.is_some() || self.is_over()
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// Why the client is terminal, if it is.
    pub(crate) const fn over(&self) -> Option<&Error> {
        self.over.as_ref()
    }

    /// Takes a call's place in line. A
    /// record too large or a full queue fails at once.
    pub(crate) fn submit(
        &mut self,
        now: Mono,
        call: Call,
        path: &str,
        record: &impl Encode,
    ) -> Result<Queued, Error> {
        self.check_open()?;
        if self.config.probe.buggify("client: queue found full") {
            let limit = QueueLimit::Requests(self.config.limits.queued_requests);
            return Err(Error::QueueFull { limit });
        }
        let (slot, answer) = oneshot::channel();
        let mut request = Request::new(call.op);
        request.slot = Some(slot);
        request.deadline = Deadline {
            at: now + call.deadline,
            after: call.deadline,
        };
        request.watch = call.watch;
        let probe = &self.config.probe;
        let xid = self
            .requests
            .push(request, path, record)
            .inspect_err(|error| {
                if matches!(error, Error::QueueFull { .. }) {
                    probe.reached("client: queue full");
                }
            })?;
        if xid == Xid(1) && self.config.last_xid != Xid(0) {
            probe.reached("client: xid wrapped");
        }
        Ok(Queued { xid, answer })
    }

    /// As `submit`, and the credentials are presented on every later connection.
    pub(crate) fn submit_auth(
        &mut self,
        now: Mono,
        auth: AuthInfo,
        deadline: Duration,
        record: &impl Encode,
    ) -> Result<Queued, Error> {
        let is_new = !self.auths.contains(&auth);
        if is_new && self.auths.len() >= MAX_AUTHS {
            let reason =
                format!("{MAX_AUTHS} credentials are presented on every connection already");
            return Err(Error::invalid("auth", reason));
        }
        let queued = self.submit(
            now,
            Call {
                op: OpCode::Auth,
                watch: None,
                deadline,
            },
            "",
            record,
        )?;
        if is_new {
            self.auths.push(auth);
        }
        Ok(queued)
    }

    fn check_open(&self) -> Result<(), Error> {
        match (&self.over, &self.closing) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(_)) => Err(Error::Closed),
            (None, None) => Ok(()),
        }
    }

    /// Whether a call would be taken; if not, `waker` is woken once that changes.
    pub(crate) fn poll_ready(
        &mut self,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
    ) -> Poll<Result<(), Error>> {
        match self.check_open() {
            Err(error) => Poll::Ready(Err(error)),
            Ok(()) if self.requests.has_room() => Poll::Ready(Ok(())),
            Ok(()) => {
                self.waiting_for_room.register(ticket, waker);
                Poll::Pending
            }
        }
    }

    /// Whoever had it does not wait for room any more.
    pub(crate) fn forget_ticket(&mut self, ticket: Option<Ticket>) {
        self.waiting_for_room.forget(ticket);
    }

    /// A watcher was passed to this session for the first time.
    pub(crate) fn attach(&mut self, watcher: &Arc<WatcherQueue>) {
        if self.over.is_some() {
            watcher.detach();
        } else {
            self.watches.attach(watcher);
        }
    }

    /// A watcher was dropped.
    pub(crate) fn forget(&mut self, watcher: WatcherId) {
        let probe = &self.config.probe;
        for pending in self.requests.pending_watches() {
            if pending
                .registration
                .as_ref()
                .is_some_and(|at| at.watcher.id() == watcher)
            {
                pending.registration = None;
                probe.reached("client: watcher dropped over its call");
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
            .any(|pending| removal.is_needed_by(pending));
        let is_serving = matches!(self.phase, Phase::Serving { .. });
        if is_serving && !is_awaited && self.closing.is_none() && self.watches.may_remove(removal) {
            self.config
                .probe
                .reached("client: watch removed that nobody waits for");
            let mut request = Request::new(OpCode::RemoveWatches);
            request.watch = Some(Box::new(removal.pending()));
            // Nobody waits for it; a path that fitted a registration fits a removal.
            let _ = self
                .requests
                .push_unbounded(request, &removal.path, &removal.request());
        }
    }

    /// The next thing to do.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        if self.outputs.is_empty() {
            self.wake_waiting();
        }
        self.outputs.pop_front()
    }

    /// Whatever made room, or made waiting for it pointless.
    fn wake_waiting(&mut self) {
        if !self.waiting_for_room.is_empty()
            && (self.requests.has_room() || self.check_open().is_err())
        {
            self.outputs
                .extend(self.waiting_for_room.take().into_iter().map(Output::Wake));
        }
    }

    /// Bytes arrived, whole frames or not: the connection is alive.
    pub(crate) fn handle_read(&mut self, now: Mono) {
        let limit = timers::read_timeout(self.identity.timeout);
        let is_serving = matches!(self.phase, Phase::Serving { .. });
        if is_serving && self.timers.is_alive_by_parts(limit, now) {
            self.config
                .probe
                .reached("client: kept alive by part of a reply");
        }
        self.timers.last_read = now;
    }

    /// A frame arrived.
    pub(crate) fn handle_frame(&mut self, now: Now, frame: &Bytes) {
        self.timers.last_frame = now.mono;
        if self.is_leaving {
            return;
        }
        match self.phase {
            Phase::Handshake {
                server,
                deadline,
                sent_at,
            } => {
                self.handle_connect_response(now, frame, (server, deadline), sent_at);
            }
            Phase::Sasl(_) | Phase::Authenticating { .. } | Phase::Serving { .. } => {
                self.handle_reply(now, frame);
            }
            Phase::Down | Phase::Over => {}
        }
    }

    /// Asks the driver to drop the connection.
    pub(crate) fn disconnect(&mut self, cause: Cause) {
        self.is_leaving = true;
        self.outputs.push_back(Output::Disconnect(cause));
    }

    fn publish(&mut self, state: SessionState) {
        tracing::info!(session = %self.identity.id, epoch = %self.identity.epoch, state = state.name(), "session state");
        self.outputs.push_back(Output::State(state));
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Now) {
        self.note_clocks(now);
        self.requests
            .expire(now.mono, &self.config.probe, &mut self.outputs);
        self.check_close_deadline(now.mono);
        match self.phase {
            Phase::Handshake { deadline, .. }
            | Phase::Sasl(SaslRound { deadline, .. })
            | Phase::Authenticating { deadline, .. } => {
                if deadline <= now.mono {
                    self.disconnect(Cause::HandshakeTimeout);
                }
            }
            Phase::Serving { .. } => self.check_connection(now),
            Phase::Down | Phase::Over => {}
        }
    }

    /// Tells a simulator of what no answer may be lost over: the process, or the
    /// whole machine, has slept.
    fn note_clocks(&mut self, now: Now) {
        let (probe, timeout) = (&self.config.probe, self.identity.timeout);
        if matches!(self.phase, Phase::Serving { .. })
            && self.timers.last_read + timeout <= now.mono
        {
            probe.reached("client: slept past the session timeout");
        }
        if self.timers.note_suspend(now) >= timeout {
            probe.reached("client: machine suspended past the session timeout");
        }
    }

    fn check_connection(&mut self, now: Now) {
        let probe = &self.config.probe;
        if self.timers.read_deadline(self.identity.timeout) <= now.mono
            || probe.buggify("client: lose patience with the server")
        {
            let read_timeout = timers::read_timeout(self.identity.timeout);
            self.disconnect(Cause::ReadTimeout(read_timeout));
        } else if self.timers.ping_due(self.identity.timeout) <= now.mono
            || probe.buggify("client: ping early")
        {
            self.ping(now);
        }
    }

    /// When to call `handle_timeout` at the latest.
    pub(crate) fn poll_timeout(&self) -> Mono {
        let phase = match self.phase {
            Phase::Handshake { deadline, .. }
            | Phase::Sasl(SaslRound { deadline, .. })
            | Phase::Authenticating { deadline, .. } => deadline,
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
