//! A session, a driver without a runtime and a server that says what the test tells
//! it, on a virtual clock.

mod calls;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::oneshot;
use zk_env::{Boot, Mono, Probe, ScriptedProbe};
use zk_proto::{DEFAULT_FRAME_LIMIT, EventType, SessionId, Xid, Zxid};

use crate::error::{Error, Outcome};
use crate::reply::{RawReply, RawResult};
use crate::session::{Cause, Epoch, Limits, Now, Output, Session, SessionConfig, SessionState};
use crate::watcher::{WatcherHome, WatcherId};

pub(super) use calls::credentials;
pub(super) use server::{Seen, auth_of, granted, stat};

/// The session timeout that servers grant here: pings every 2 s, read timeout 6 s.
pub(super) const TIMEOUT: Duration = Duration::from_secs(9);
/// The session id they give.
pub(super) const ID: SessionId = SessionId(0x1234);
/// How long a handshake may take.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(3);

/// A call made through a [`Pair`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CallId(pub(super) usize);

/// What reached the client's user or driver, in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Delivered {
    Answer(CallId),
    Event(EventType, String),
    Detached,
    State(SessionState),
    Dropped(Cause),
    Woken,
}

struct Waiting {
    answer: oneshot::Receiver<RawResult>,
    result: Option<RawResult>,
}

pub(super) struct Pair {
    pub(super) session: Session,
    now: Duration,
    /// The connection's server.
    link: Option<SocketAddr>,
    /// Transmitted and not written yet.
    unwritten: BytesMut,
    /// Written and not read by the server yet.
    inbox: BytesMut,
    /// Whether the socket takes everything at once.
    pub(super) writes_at_once: bool,
    /// The server's last transaction.
    pub(super) zxid: Zxid,
    /// Of the calls to come.
    pub(super) deadline: Duration,
    calls: Vec<Waiting>,
    attached: Vec<WatcherId>,
    home: Arc<dyn WatcherHome>,
    pub(super) log: Vec<Delivered>,
}

/// Tests drop watchers by [`Pair::drop_watcher`].
#[derive(Debug)]
struct Home;

impl WatcherHome for Home {
    fn forget(&self, _: WatcherId) {}
}

struct NoWake;

impl Wake for NoWake {
    fn wake(self: Arc<Self>) {}
}

pub(super) fn config() -> SessionConfig {
    SessionConfig {
        timeout: TIMEOUT,
        allow_read_only: false,
        new_session_after_expiry: true,
        resume: None,
        auths: Vec::new(),
        sasl: None,
        limits: Limits {
            queued_requests: 1000,
            queued_bytes: 1 << 20,
            in_flight: 100,
            frame: DEFAULT_FRAME_LIMIT,
        },
        last_xid: Xid(0),
        probe: Probe::default(),
    }
}

/// The address of server `n`.
pub(super) fn server(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 2181))
}

impl Pair {
    /// Not connected.
    pub(super) fn new(config: SessionConfig) -> Self {
        Self {
            session: Session::new(config),
            now: Duration::from_secs(1000),
            link: None,
            unwritten: BytesMut::new(),
            inbox: BytesMut::new(),
            writes_at_once: true,
            zxid: Zxid(0x10),
            deadline: Duration::from_secs(30),
            calls: Vec::new(),
            attached: Vec::new(),
            home: Arc::new(Home),
            log: Vec::new(),
        }
    }

    /// As `serving`, seen and disturbed by `probe`.
    pub(super) fn probed(probe: &Arc<ScriptedProbe>) -> Self {
        Self::serving_with(SessionConfig {
            probe: Probe::new(Arc::<ScriptedProbe>::clone(probe)),
            ..config()
        })
    }

    /// With a session on server 1, and nothing in the log.
    pub(super) fn serving() -> Self {
        Self::serving_with(config())
    }

    pub(super) fn serving_with(config: SessionConfig) -> Self {
        let mut pair = Self::new(config);
        pair.resume(1);
        pair.log.clear();
        pair
    }

    /// Both clocks; that they differ shows which one is used.
    pub(super) fn now(&self) -> Now {
        Now {
            mono: self.mono(),
            boot: self.boot(),
        }
    }

    pub(super) fn mono(&self) -> Mono {
        Mono::from_origin(self.now)
    }

    pub(super) fn boot(&self) -> Boot {
        Boot::from_origin(self.now + Duration::from_secs(1_000_000))
    }

    /// A connection to server `n` is up.
    pub(super) fn connect(&mut self, n: u8) {
        assert!(self.link.is_none(), "one connection at a time");
        self.link = Some(server(n));
        self.unwritten.clear();
        self.inbox.clear();
        let deadline = self.mono() + HANDSHAKE;
        self.session
            .handle_connected(self.now(), server(n), deadline);
        self.settle();
    }

    /// Connects to server `n`, which grants or resumes session [`ID`].
    pub(super) fn resume(&mut self, n: u8) {
        self.connect(n);
        self.take_connect_request();
        self.grant(&granted(ID));
    }

    /// The connection breaks.
    pub(super) fn lose(&mut self) {
        self.lose_by(Cause::ClosedByServer);
    }

    pub(super) fn lose_by(&mut self, cause: Cause) {
        assert!(self.link.is_some(), "there is no connection to lose");
        self.drop_link(cause);
        self.settle();
    }

    fn drop_link(&mut self, cause: Cause) {
        self.link = None;
        self.unwritten.clear();
        self.session.handle_disconnected(self.now(), &cause);
        self.log.push(Delivered::Dropped(cause));
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.link.is_some()
    }

    /// The socket takes `len` bytes.
    pub(super) fn write(&mut self, len: usize) {
        let written = self.unwritten.split_to(len.min(self.unwritten.len()));
        self.session.handle_written(written.len());
        self.inbox.extend_from_slice(&written);
        self.settle();
    }

    /// Bytes waiting for the socket.
    pub(super) fn unwritten(&self) -> usize {
        self.unwritten.len()
    }

    /// Lets time pass, with the wake-ups that the session asks for.
    pub(super) fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        let mut wakes = 0;
        while self.session.poll_timeout().since_origin() <= end {
            self.now = self.now.max(self.session.poll_timeout().since_origin());
            self.session.handle_timeout(self.now());
            self.settle();
            wakes += 1;
            assert!(wakes < 10_000, "the session asks to be woken for nothing");
        }
        self.now = end;
        // A spurious wake-up does no harm.
        self.session.handle_timeout(self.now());
        self.settle();
    }

    /// Lets time pass without a wake-up, as on a machine that is busy elsewhere.
    pub(super) fn stall(&mut self, by: Duration) {
        self.now += by;
    }

    /// Drains every output, as a driver does after each input.
    pub(super) fn settle(&mut self) {
        loop {
            let cause = self.carry_out();
            if let Some(cause) = cause.filter(|_| self.link.is_some()) {
                self.drop_link(cause);
                continue;
            }
            if self.transmit() == 0 && self.session_is_quiet() {
                return;
            }
        }
    }

    fn session_is_quiet(&mut self) -> bool {
        match self.session.poll_output() {
            None => true,
            Some(output) => {
                let cause = self.deliver(output);
                assert_eq!(cause, None, "transmitting drops no connection");
                false
            }
        }
    }

    fn carry_out(&mut self) -> Option<Cause> {
        let mut cause = None;
        while let Some(output) = self.session.poll_output() {
            let why = self.deliver(output);
            cause = cause.or(why);
        }
        cause
    }

    fn transmit(&mut self) -> usize {
        // As the driver: no more is taken before the last was written.
        if self.link.is_none() || !self.unwritten.is_empty() {
            return 0;
        }
        self.session.poll_transmit(self.now(), &mut self.unwritten);
        let len = self.unwritten.len();
        if self.writes_at_once && len > 0 {
            let written = self.unwritten.split();
            self.session.handle_written(len);
            self.inbox.extend_from_slice(&written);
        }
        len
    }

    fn deliver(&mut self, output: Output) -> Option<Cause> {
        match output {
            Output::Reply(slot, result) => {
                // The caller may have gone.
                let _ = slot.send(result);
                self.note_answers();
            }
            Output::Event(watcher, event) => {
                self.log
                    .push(Delivered::Event(event.event_type, event.path.clone()));
                watcher.push(event);
            }
            Output::Detach(watcher) => {
                watcher.detach();
                self.log.push(Delivered::Detached);
            }
            Output::State(state) => self.log.push(Delivered::State(state)),
            Output::Disconnect(cause) => return Some(cause),
            Output::Wake(waker) => {
                waker.wake();
                self.log.push(Delivered::Woken);
            }
        }
        None
    }

    fn note_answers(&mut self) {
        for (id, call) in self.calls.iter_mut().enumerate() {
            if call.result.is_none()
                && let Ok(result) = call.answer.try_recv()
            {
                call.result = Some(result);
                self.log.push(Delivered::Answer(CallId(id)));
            }
        }
    }

    // --- Looking at the client -------------------------------------------------------

    /// The answer to a call, if there is one.
    pub(super) fn result(&self, call: CallId) -> Option<&RawResult> {
        self.calls[call.0].result.as_ref()
    }

    pub(super) fn is_waiting(&self, call: CallId) -> bool {
        self.result(call).is_none()
    }

    /// The good answer to a call.
    #[track_caller]
    pub(super) fn reply(&self, call: CallId) -> RawReply {
        match self.result(call) {
            Some(Ok(reply)) => reply.clone(),
            other => panic!("{call:?}: {other:?}"),
        }
    }

    /// The error of a call.
    #[track_caller]
    pub(super) fn error(&self, call: CallId) -> Error {
        match self.result(call) {
            Some(Err(error)) => error.clone(),
            other => panic!("{call:?}: {other:?}"),
        }
    }

    /// Takes the calls answered since the last time, in order.
    pub(super) fn take_answered(&mut self) -> Vec<CallId> {
        let log = std::mem::take(&mut self.log);
        let answered = log.iter().filter_map(|entry| match entry {
            Delivered::Answer(call) => Some(*call),
            _ => None,
        });
        answered.collect()
    }

    /// Every state published, in order.
    pub(super) fn states(&self) -> Vec<SessionState> {
        let states = self.log.iter().filter_map(|entry| match entry {
            Delivered::State(state) => Some(*state),
            _ => None,
        });
        states.collect()
    }

    /// Why connections were dropped, in order.
    pub(super) fn causes(&self) -> Vec<Cause> {
        let causes = self.log.iter().filter_map(|entry| match entry {
            Delivered::Dropped(cause) => Some(cause.clone()),
            _ => None,
        });
        causes.collect()
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.session.identity().epoch
    }

    /// Somebody new asks for room, and waits if there is none.
    pub(super) fn poll_ready(&mut self) -> Poll<Result<(), Error>> {
        self.session.poll_ready(&mut None, &Self::waker())
    }

    /// A waker for `poll_ready`; its wake-up shows up in the log.
    pub(super) fn waker() -> Waker {
        Waker::from(Arc::new(NoWake))
    }
}

/// What a connection loss says of an outcome.
pub(super) const fn lost(outcome: Outcome) -> Error {
    Error::ConnectionLost { outcome }
}
