//! The server's state behind one lock, and everything its tasks do to it.
//!
//! The lock is short and never held across an await. Under it an outbox may be
//! filled, which has a lock of its own; the other way round never happens.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use zk_env::{BoxFuture, Env, Mono, Probe};
use zk_proto::{SessionId, Zxid};

use super::cnxns::{Cnxn, Cnxns, Refusal};
use super::handshake::RefusalLog;
use super::inbound::Inbound;
use super::outbox::{End, Outbox, Parcel};
use super::storage::Storage;
use crate::config::{EnsembleConfig, ServerConfig};
use crate::error::ServerError;
use crate::observe::TransactionObserver;
use crate::quorum::QuorumView;
use crate::stats::{CnxnStats, ServerStats};
use crate::storage::{DirSizes, Recovered};
use crate::txn::Txn;
use crate::zookeeper_server::{ConnId, Output, ZooKeeperServer};

/// Frames of one connection handled under one hold of the lock, so that the
/// others get their turn.
const FRAMES_PER_TURN: u32 = 128;

/// For how long a simulator may hold frames back.
const HELD_BACK: Duration = Duration::from_millis(20);

/// What all tasks of one server share.
#[derive(Debug)]
pub(crate) struct Shell {
    pub(crate) env: Arc<dyn Env>,
    pub(crate) config: ServerConfig,
    /// What a simulator sees and disturbs.
    pub(super) probe: Probe,
    pub(super) serving: Mutex<Serving>,
    /// What waits for the rest of its request.
    pub(super) inbound: Arc<Inbound>,
    /// Cancelled when the server has failed.
    pub(crate) broken: CancellationToken,
    /// Transactions wait for the log.
    pub(crate) appended: Arc<Notify>,
    /// What was stored, between runs; the log's task has it while it runs.
    pub(super) storage: Mutex<Option<Storage>>,
    /// The next timeout has moved closer, or a pause has ended.
    pub(super) rearmed: Notify,
    /// Connections neither read nor write.
    is_frozen: AtomicBool,
    /// Nothing is done at all.
    is_paused: AtomicBool,
    resumed: Notify,
}

/// What the lock protects.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) zks: ZooKeeperServer,
    pub(crate) cnxns: Cnxns,
    pub(crate) stats: ServerStats,
    /// The ensemble this server is a member of; `None` is a standalone server.
    pub(crate) quorum: Option<QuorumView>,
    /// `gtmk` and `stmk`; nothing else looks at it.
    pub(crate) trace_mask: i64,
    pub(crate) started: Mono,
    /// As bound last, 0 before the first start.
    pub(crate) client_port: u16,
    /// The same of `secureClientPort`, if there is one.
    pub(crate) secure_client_port: Option<u16>,
    /// Connections in the middle of a handshake of TLS.
    pub(crate) outstanding_handshakes: usize,
    handshake_log: RefusalLog,
    /// New connections are taken.
    is_open: bool,
    /// Why the server has stopped for good: nothing of this is used any more.
    pub(super) failed: Option<ServerError>,
    /// Wakes the log.
    appended: Arc<Notify>,
    /// A connection's frames wait for a commit.
    is_holding_back: bool,
    /// How much later than made replies and events are written.
    delay: Duration,
    /// What the ticker sleeps until.
    armed: Mono,
    outbox_limit: usize,
    probe: Probe,
}

/// What became of a connection's frames.
#[derive(Debug)]
pub(super) enum Turn {
    /// They have been handled; the connection is closed after this much silence.
    Handled { timeout: Duration },
    /// The server is paused, or enough of the connection's requests wait for their
    /// commit: offer this one again later.
    Later(Bytes),
    /// The connection is not the server's any more.
    Gone,
}

impl Shell {
    /// A server that takes no connections yet; an empty one if nothing was `stored`. `seed`
    /// keys its hash tables.
    pub(crate) fn new(
        config: ServerConfig,
        env: Arc<dyn Env>,
        on_transaction: TransactionObserver,
        seed: u64,
        stored: Option<(Storage, Recovered)>,
    ) -> Self {
        let now = env.now();
        let probe = env.probe();
        let zks = ZooKeeperServer::new(&config, now, wall_ms(&*env), seed)
            .observed_by(probe.clone(), on_transaction)
            .with_nonces(env.rng("zk-server sasl"));
        let (zks, storage) = match stored {
            Some((storage, recovered)) => {
                let zks = zks.recovered(recovered, now).defer_commits();
                (zks, Some(storage))
            }
            None => (zks, None),
        };
        let appended = Arc::new(Notify::new());
        let serving = Serving {
            zks,
            appended: Arc::clone(&appended),
            is_holding_back: false,
            cnxns: Cnxns::default(),
            stats: ServerStats::default(),
            quorum: None,
            trace_mask: DEFAULT_TRACE_MASK,
            started: now,
            client_port: 0,
            secure_client_port: None,
            outstanding_handshakes: 0,
            handshake_log: RefusalLog::default(),
            is_open: false,
            failed: None,
            delay: Duration::ZERO,
            armed: Mono::MAX,
            outbox_limit: config.outbox_limit_bytes,
            probe: probe.clone(),
        };
        Self {
            env,
            config,
            probe,
            serving: Mutex::new(serving),
            inbound: Arc::default(),
            appended,
            storage: Mutex::new(storage),
            broken: CancellationToken::new(),
            rearmed: Notify::new(),
            is_frozen: AtomicBool::new(false),
            is_paused: AtomicBool::new(false),
            resumed: Notify::new(),
        }
    }

    /// A member of an ensemble, which has this stored and serves nobody yet.
    pub(crate) fn for_peer(
        config: ServerConfig,
        env: Arc<dyn Env>,
        on_transaction: TransactionObserver,
        (seed, ensemble): (u64, Arc<EnsembleConfig>),
        recovered: Recovered,
    ) -> Self {
        let mut shell = Self::new(config, env, on_transaction, seed, None);
        let (now, wall) = (shell.env.now(), shell.wall_ms());
        // Session ids have room for the low byte.
        let server_id = ensemble.id.0 as u8;
        let serving = shell.serving.get_mut();
        let serving = serving.unwrap_or_else(std::sync::PoisonError::into_inner);
        let zks = std::mem::replace(
            &mut serving.zks,
            ZooKeeperServer::new(&shell.config, now, wall, seed),
        );
        serving.zks = zks
            .in_ensemble(server_id, wall, seed)
            .with_local_sessions(ensemble.settings.local_sessions())
            .recovered(recovered, now);
        serving.quorum = Some(QuorumView::new(ensemble));
        shell
    }

    /// How much is stored.
    pub(crate) fn dir_sizes(&self) -> BoxFuture<DirSizes> {
        let (data_dir, log_dir) = (&self.config.data_dir, &self.config.data_log_dir);
        let sizes = DirSizes::of(self.env.disk(), data_dir.clone(), log_dir.clone());
        Box::pin(sizes)
    }

    /// Wall-clock time in milliseconds, as znodes carry it.
    pub(crate) fn wall_ms(&self) -> i64 {
        wall_ms(&*self.env)
    }

    /// Takes connections on `client_port` from now on. Nothing is disturbed any
    /// more, and the sessions of an earlier run get their full timeout.
    pub(crate) fn open(&self, client_port: u16, secure_client_port: Option<u16>) {
        let mut serving = self.lock_for("starting to serve");
        if serving.failed.is_some() {
            return;
        }
        let restarted = serving.client_port != 0;
        serving.client_port = client_port;
        serving.secure_client_port = secure_client_port;
        serving.is_open = true;
        serving.delay = Duration::ZERO;
        if restarted {
            serving.zks.handle_restarted(self.env.now());
        }
    }

    /// Takes no more connections and ends those there are, at once where writing
    /// has been disturbed on purpose. Sessions live on.
    pub(crate) fn close(&self, end: End) {
        let mut serving = self.lock_for("stopping");
        if serving.failed.is_some() {
            return;
        }
        if serving.cnxns.len() > 0 {
            self.probe.reached("server: stopped with connections");
        }
        let is_disturbed = self.is_held() || !serving.delay.is_zero();
        let end = if is_disturbed { End::Abort } else { end };
        serving.is_open = false;
        self.end_disturbances();
        serving.disconnect_all(end);
        if end == End::Abort {
            serving.abort_all();
        }
    }

    /// Ends every connection at once, for good.
    pub(crate) fn abort(&self) {
        self.end_disturbances();
        self.lock_for("ending at once").abort_all();
    }

    /// Ends freezes and pauses.
    pub(super) fn end_disturbances(&self) {
        self.is_frozen.store(false, Ordering::SeqCst);
        self.is_paused.store(false, Ordering::SeqCst);
        self.resumed.notify_waiters();
    }

    /// A connection from `peer` has been accepted: its number, and the outbox to
    /// empty. `None` if it has to be closed at once.
    pub(super) fn admit(&self, peer: SocketAddr) -> Option<(ConnId, Arc<Outbox>)> {
        let mut serving = self.lock_for("accepting a connection");
        if !serving.is_open || self.probe.buggify("server: refuse the connection") {
            return None;
        }
        if let Err(refusal) = serving.cnxns.check_limits(peer.ip(), &self.config) {
            self.probe.reached("server: connection limit reached");
            serving.stats.connections_rejected += 1;
            log_refusal(peer, refusal, &self.config);
            return None;
        }
        serving.stats.connections_accepted += 1;
        let outbox = Arc::new(Outbox::default());
        let id = serving.cnxns.add(Cnxn {
            peer,
            outbox: Arc::clone(&outbox),
            stats: CnxnStats::default(),
            established_ms: self.wall_ms(),
            has_sent: false,
            timeout: None,
            idle_deadline: self.idle_deadline(self.env.now(), self.config.sessionless_timeout),
        });
        serving.zks.handle_accepted(id, peer);
        Some((id, outbox))
    }

    /// A connection's client has shown a certificate with this subject.
    pub(super) fn certified(&self, id: ConnId, subject: &str) {
        let mut serving = self.lock_for("taking a certificate");
        if serving.failed.is_none() {
            serving.zks.handle_certified(id, subject);
        }
    }

    /// A handshake of TLS has come to nothing, or has no place where it was begun.
    pub(super) fn handshake_refused(&self, peer: SocketAddr, reason: &str) {
        self.probe.reached("server: handshake refused");
        let mut serving = self.lock();
        serving.stats.unsuccessful_handshakes += 1;
        if let Some(untold) = serving.handshake_log.tell(self.env.now()) {
            drop(serving);
            tracing::warn!(%peer, untold, "TLS handshake refused: {reason}");
        }
    }

    /// Handles `frame` and as many of those that follow as are one connection's
    /// turn.
    pub(super) fn handle_frames(
        &self,
        id: ConnId,
        arrived: Mono,
        frame: Bytes,
        following: impl FnMut() -> Option<Bytes>,
    ) -> Turn {
        let mut guard = self.lock_for("handling requests");
        let serving = &mut *guard;
        if serving.failed.is_some() {
            return Turn::Gone;
        }
        let (now, wall) = (self.env.now(), self.wall_ms());
        self.catch_up(serving, now, wall);
        if !serving.serves() {
            // Nobody knows what the ensemble has agreed on.
            if let Some(cnxn) = serving.forget(id) {
                cnxn.outbox.finish(End::Abort);
            }
            return Turn::Gone;
        }
        let Some(cnxn) = serving.cnxns.get_mut(id) else {
            self.probe
                .reached("server: frames behind the end of their connection");
            return Turn::Gone;
        };
        if self.is_paused() {
            return Turn::Later(frame);
        }
        if !serving.zks.wants_frames(id) {
            serving.is_holding_back = true;
            return Turn::Later(frame);
        }
        if !cnxn.has_sent {
            cnxn.has_sent = true;
            serving.stats.connection_requests += 1;
        }
        let frames = std::iter::once(frame).chain(std::iter::from_fn(following));
        let (mut count, mut bytes) = (0, 0);
        for frame in frames.take(self.frames_per_turn()) {
            serving.zks.handle_frame(id, &frame, now, wall);
            count += 1;
            bytes += 4 + frame.len() as u64;
            if serving.zks.queued_bytes() > self.config.outbox_pause_bytes
                || !serving.zks.wants_frames(id)
            {
                break;
            }
        }
        serving.carry_out(now);
        let answered = self.env.now();
        serving.record(id, count, bytes, arrived, answered);
        self.end_early(serving, id);
        self.rearm(serving);
        let timeout = serving
            .timeout(id)
            .unwrap_or(self.config.sessionless_timeout);
        if let Some(cnxn) = serving.cnxns.get_mut(id) {
            cnxn.idle_deadline = self.idle_deadline(answered, timeout);
        }
        Turn::Handled { timeout }
    }

    /// Lets expire what is due before anything else is done in its name, should the
    /// ticker be late: after a pause of the process nobody knows which task runs first.
    fn catch_up(&self, serving: &mut Serving, now: Mono, wall: i64) {
        if serving.armed <= now && !self.is_paused() {
            self.probe
                .reached("server: timeout handled ahead of a late ticker");
            serving.zks.handle_timeout(now, wall);
            serving.carry_out(now);
            serving.armed = serving.zks.poll_timeout().unwrap_or(Mono::MAX);
        }
    }

    /// A simulator may have a connection end as soon as its requests were handled,
    /// with the replies or without.
    fn end_early(&self, serving: &mut Serving, id: ConnId) {
        let end = if self.probe.buggify("server: close right after a reply") {
            End::Flush
        } else if self.probe.buggify("server: close before a reply") {
            End::Abort
        } else {
            return;
        };
        if let Some(cnxn) = serving.forget(id) {
            cnxn.outbox.finish(end);
        }
    }

    fn frames_per_turn(&self) -> usize {
        if self.probe.buggify("server: one frame per turn") {
            return 1;
        }
        FRAMES_PER_TURN.min(self.config.global_outstanding_limit) as usize
    }

    /// A connection's task is gone.
    pub(super) fn ended(&self, id: ConnId) {
        self.disconnected(id);
        self.lock_for("closing a connection").cnxns.ended(id);
    }

    /// A connection has to go: the machine forgets it. Its session lives on.
    /// Harmless if that was known.
    pub(super) fn disconnected(&self, id: ConnId) {
        let mut serving = self.lock_for("closing a connection");
        if serving.forget(id).is_some() {
            serving.carry_out(self.env.now());
        }
    }

    /// Closes the connection of a session, or every connection, without a word.
    /// Returns how many there were. Sessions live on.
    pub(crate) fn drop_connections(&self, session: Option<SessionId>) -> usize {
        let mut serving = self.lock_for("dropping connections");
        let Some(session) = session else {
            return serving.disconnect_all(End::Abort);
        };
        let id = serving.zks.session_conn(session);
        let Some(cnxn) = id.and_then(|id| serving.forget(id)) else {
            return 0;
        };
        cnxn.outbox.finish(End::Abort);
        serving.carry_out(self.env.now());
        1
    }

    /// Ends a session as its expiry would. False if there is no such session.
    pub(crate) fn expire_session(&self, session: SessionId) -> bool {
        let (now, wall) = (self.env.now(), self.wall_ms());
        let mut serving = self.lock_for("expiring a session by request");
        if serving.failed.is_some() {
            return false;
        }
        let existed = serving.zks.expire_session(session, wall);
        serving.carry_out(now);
        existed
    }

    /// When to call [`tick`](Self::tick); never while paused.
    pub(super) fn next_tick(&self) -> Mono {
        let mut serving = self.lock_for("looking for the next timeout");
        if self.is_paused() || serving.failed.is_some() {
            serving.armed = Mono::MAX;
            return Mono::MAX;
        }
        serving.armed = serving.zks.poll_timeout().unwrap_or(Mono::MAX);
        // Sessions may end up to two ticks late, and buckets take one of them.
        if self.probe.buggify("server: tick late") {
            return serving.armed + self.config.tick_time;
        }
        serving.armed
    }

    /// Hands transactions to the log: gives each to `append`, until that has enough. The last
    /// one's zxid.
    pub(crate) fn take_txns(&self, mut append: impl FnMut(&Txn) -> bool) -> Option<Zxid> {
        let mut serving = self.lock_for("handing transactions to the log");
        if serving.failed.is_some() {
            return None;
        }
        let mut last = None;
        while let Some(txn) = serving.zks.poll_txn() {
            last = Some(txn.header.zxid);
            if !append(txn) {
                break;
            }
        }
        last
    }

    /// Everything up to `zxid` is durable.
    pub(super) fn committed(&self, zxid: Zxid) {
        let now = self.env.now();
        let mut guard = self.lock_for("committing");
        let serving = &mut *guard;
        if serving.failed.is_some() {
            return;
        }
        serving.zks.handle_committed(zxid);
        serving.carry_out(now);
        if std::mem::take(&mut serving.is_holding_back) {
            serving.wake_all();
        }
        self.rearm(serving);
    }

    /// Has something done to the machine, and carries out what comes of it; nothing once
    /// the server has failed.
    pub(crate) fn act<R>(
        &self,
        stage: &'static str,
        act: impl FnOnce(&mut ZooKeeperServer, Mono, i64) -> R,
    ) -> Option<R> {
        let (now, wall) = (self.env.now(), self.wall_ms());
        let mut guard = self.lock_for(stage);
        let serving = &mut *guard;
        if serving.failed.is_some() {
            return None;
        }
        let done = act(&mut serving.zks, now, wall);
        serving.carry_out(now);
        if std::mem::take(&mut serving.is_holding_back) {
            serving.wake_all();
        }
        self.rearm(serving);
        Some(done)
    }

    /// Clients are welcome from now on.
    pub(crate) fn begin_serving(&self) {
        let mut serving = self.lock_for("starting to serve");
        serving.started = self.env.now();
        if let Some(view) = &mut serving.quorum {
            view.is_serving = true;
        }
    }

    /// Has what a member tells of itself changed.
    pub(crate) fn with_view(&self, change: impl FnOnce(&mut QuorumView)) {
        if let Some(view) = &mut self.lock_for("telling of the ensemble").quorum {
            change(view);
        }
    }

    /// Clients are not served any more, and their connections end, once they have got what
    /// they were told. Sessions live on.
    pub(crate) fn end_serving(&self) {
        let mut serving = self.lock_for("ceasing to serve");
        if let Some(view) = &mut serving.quorum {
            view.is_serving = false;
        }
        if serving.failed.is_none() {
            serving.disconnect_all(End::Flush);
        }
    }

    /// Lets expire and reaps what is due, unless paused.
    pub(super) fn tick(&self) {
        let (now, wall) = (self.env.now(), self.wall_ms());
        let mut serving = self.lock_for("letting time pass");
        if !self.is_paused() && serving.failed.is_none() {
            serving.zks.handle_timeout(now, wall);
            serving.carry_out(now);
        }
    }

    /// Wakes the ticker if a timeout lies before what it sleeps until.
    fn rearm(&self, serving: &mut Serving) {
        if let Some(next) = serving.zks.poll_timeout()
            && next < serving.armed
        {
            serving.armed = next;
            self.rearmed.notify_one();
        }
    }

    /// Stops or resumes all reading and writing, unless the server is stopped.
    pub(crate) fn set_frozen(&self, frozen: bool) {
        let serving = self.lock();
        self.is_frozen
            .store(frozen && serving.is_open, Ordering::SeqCst);
        serving.wake_all();
    }

    /// Stops everything, unless the server is stopped. Requests being handled are
    /// handled before this returns.
    pub(crate) fn pause(&self) {
        let serving = self.lock();
        self.is_paused.store(serving.is_open, Ordering::SeqCst);
    }

    /// Ends a pause: first what timed out during it, then what the clients sent.
    pub(crate) fn resume(&self) {
        if self.is_paused.swap(false, Ordering::SeqCst) {
            self.tick();
            self.rearmed.notify_one();
            self.resumed.notify_waiters();
            self.lock().wake_all();
        }
    }

    /// Waits for the end of a pause, if there is one.
    pub(crate) async fn resumed(&self) {
        loop {
            let mut resumed = pin!(self.resumed.notified());
            resumed.as_mut().enable();
            if !self.is_paused() {
                return;
            }
            resumed.await;
        }
    }

    /// Writes what is made from now on this much later.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// How much later than made replies and events are written.
    pub(super) fn delay(&self) -> Duration {
        self.lock().delay
    }

    /// Nothing is done at all.
    pub(super) fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::SeqCst)
    }

    /// Connections neither read nor write.
    pub(super) fn is_held(&self) -> bool {
        self.is_paused() || self.is_frozen.load(Ordering::SeqCst)
    }

    /// Apache looks for idle connections once in every sessionless timeout, so
    /// that they live up to one longer than they may be silent.
    pub(super) fn idle_deadline(&self, now: Mono, timeout: Duration) -> Mono {
        let bucket = self.config.sessionless_timeout.as_millis().max(1);
        let due = (now.since_origin() + timeout).as_millis();
        let rounded = (due / bucket + 1) * bucket;
        u64::try_from(rounded).map_or(Mono::MAX, |ms| Mono::from_origin(Duration::from_millis(ms)))
    }
}

impl Serving {
    /// Whether clients are served: by a standalone server always, by a member in its role,
    /// or in read-only mode.
    pub(crate) fn serves(&self) -> bool {
        let serves = self.quorum.as_ref().is_none_or(|view| view.is_serving);
        serves || self.zks.is_read_only()
    }

    /// Counting starts again.
    pub(crate) fn reset_stats(&mut self) {
        self.stats.reset();
        if let Some(view) = &mut self.quorum {
            view.reset();
        }
    }

    /// Puts everything the machine has to say where it belongs.
    fn carry_out(&mut self, now: Mono) {
        if self.failed.is_some() {
            return;
        }
        if self.zks.has_txns() || self.zks.has_upstream() {
            self.appended.notify_one();
        }
        let due = if self.delay.is_zero() {
            Mono::ZERO
        } else {
            now + self.delay
        };
        while let Some(output) = self.zks.poll_output() {
            match output {
                Output::Send {
                    conn,
                    frames,
                    count,
                } => self.send(conn, frames, count, (now, due)),
                Output::Close { conn } => {
                    if let Some(cnxn) = self.cnxns.remove(conn) {
                        cnxn.outbox.finish(End::Reply);
                    }
                }
            }
        }
    }

    /// Queues frames, or drops a connection whose client has not read for long.
    fn send(&mut self, id: ConnId, frames: Bytes, count: u32, (now, due): (Mono, Mono)) {
        let Some(cnxn) = self.cnxns.get_mut(id) else {
            return;
        };
        self.stats.record_responses(&frames, count);
        cnxn.stats.packets_sent += u64::from(count);
        let due = if self.probe.buggify("server: hold frames back") {
            due.max(now + HELD_BACK)
        } else {
            due
        };
        let parcel = Parcel { due, bytes: frames };
        if !cnxn.outbox.push(parcel, self.outbox_limit) {
            self.probe.reached("server: slow reader closed");
            let limit = self.outbox_limit;
            tracing::warn!(peer = %cnxn.peer, limit, "client does not read, closing its connection");
            cnxn.outbox.finish(End::Abort);
            self.forget(id);
        }
    }

    /// Counts one turn of a connection.
    fn record(&mut self, id: ConnId, requests: u64, bytes: u64, arrived: Mono, answered: Mono) {
        let latency = answered.since(arrived).as_millis();
        let latency = u64::try_from(latency).unwrap_or(u64::MAX);
        self.stats.packets_received += requests;
        self.stats.bytes_received += bytes;
        self.stats.latency.add(latency, requests);
        let Some(cnxn) = self.cnxns.get_mut(id) else {
            return;
        };
        cnxn.stats.record_answers(requests, latency, answered);
    }

    /// How long a connection may be silent: its session's timeout, once it has one.
    fn timeout(&mut self, id: ConnId) -> Option<Duration> {
        let cnxn = self.cnxns.get_mut(id)?;
        if cnxn.timeout.is_none() {
            let ms = self.zks.connection(id)?.timeout_ms;
            cnxn.timeout = u64::try_from(ms)
                .ok()
                .filter(|ms| *ms > 0)
                .map(Duration::from_millis);
        }
        cnxn.timeout
    }

    /// Forgets a connection on both sides.
    fn forget(&mut self, id: ConnId) -> Option<Cnxn> {
        let cnxn = self.cnxns.remove(id)?;
        if self.failed.is_none() {
            self.zks.handle_closed(id);
        }
        Some(cnxn)
    }

    fn disconnect_all(&mut self, end: End) -> usize {
        let ids: Vec<_> = self.cnxns.iter().map(|(id, _)| id).collect();
        for id in &ids {
            if let Some(cnxn) = self.forget(*id) {
                cnxn.outbox.finish(end);
            }
        }
        ids.len()
    }

    /// Every connection ends at once, and none is taken. The machine is not told.
    pub(super) fn abort_all(&mut self) {
        self.is_open = false;
        let connected = self.cnxns.iter().map(|(_, cnxn)| &*cnxn.outbox);
        for outbox in connected.chain(self.cnxns.ending()) {
            outbox.finish(End::Abort);
        }
    }

    fn wake_all(&self) {
        let connected = self.cnxns.iter().map(|(_, cnxn)| &*cnxn.outbox);
        for outbox in connected.chain(self.cnxns.ending()) {
            outbox.wake();
        }
    }
}

/// What `gtmk` shows before any `stmk`.
const DEFAULT_TRACE_MASK: i64 = 306;

fn wall_ms(env: &dyn Env) -> i64 {
    match env.wall().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

fn log_refusal(peer: SocketAddr, refusal: Refusal, config: &ServerConfig) {
    match refusal {
        Refusal::TooMany => {
            tracing::warn!(%peer, limit = config.max_cnxns, "too many connections");
        }
        Refusal::TooManyFromAddress => {
            tracing::warn!(%peer, limit = config.max_client_cnxns, "too many connections from this address");
        }
    }
}
