//! The task of one client connection: the only one that touches its socket.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use zk_env::{BoxFuture, BoxStream, Mono, Timer};
use zk_proto::FrameDecoder;

use super::handshake::{HANDSHAKE_FAILURE, HANDSHAKE_OF_TLS};
use super::inbound::InboundShare;
use super::outbox::{End, Outbox, Parcel};
use super::read_buffer::ReadBuffer;
use super::shell::{Shell, Turn};
use super::write_queue::WriteQueue;
use crate::four_letter::{self, FirstBytes, Word};
use crate::storage::DirSizes;
use crate::zookeeper_server::ConnId;

/// Steps in one poll, after which other tasks get their turn.
const STEPS_PER_POLL: u32 = 16;
/// How long the last replies of a connection may take to write.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);
/// How long, and how much, a client may go on sending after its last reply.
const LINGER_LIMIT: Duration = Duration::from_millis(500);
const LINGER_BYTES: usize = 1 << 20;

/// A connection and everything it needs to run.
pub(super) struct CnxnTask {
    /// Dropped before the socket is.
    admitted: Admitted,
    shell: Arc<Shell>,
    peer: SocketAddr,
    stream: BoxStream,
    outbox: Arc<Outbox>,
    frames: FrameDecoder,
    input: ReadBuffer,
    share: InboundShare,
    /// When `input` last grew.
    arrived: Mono,
    /// A frame that could not be handled when it was offered.
    kept: Option<Bytes>,
    /// Nothing has been decoded: the first four bytes may be a word.
    is_fresh: bool,
    /// What a word that needs it waits for.
    sizes: Option<BoxFuture<DirSizes>>,
    writes: WriteQueue,
    phase: Phase,
    timer: Box<dyn Timer>,
    armed: Mono,
    /// The silence after which the connection is closed.
    timeout: Duration,
    /// When to look whether it was silent. Moved when it is reached, not with every
    /// byte, which would cost a look at the clock each.
    idle_deadline: Mono,
    /// Whether anything was written since that was last moved.
    has_written: bool,
}

/// How far the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Requests are read and handled.
    Open,
    /// Nothing is read any more (ZOOKEEPER-4907); what is queued is written until then.
    Flushing { end: End, until: Mono },
    /// All is written; the client's remaining input is swallowed until then.
    Lingering { left: usize, until: Mono },
}

/// What one step came to.
enum Step {
    /// Something was done: there may be more.
    Again,
    /// Nothing can be done before a wake-up.
    Wait,
    /// The connection is over.
    Over,
}

impl CnxnTask {
    pub(super) fn new(
        shell: Arc<Shell>,
        admitted: Admitted,
        peer: SocketAddr,
        stream: BoxStream,
    ) -> Self {
        let now = shell.env.now();
        let timeout = shell.config.sessionless_timeout;
        let outbox = admitted.outbox();
        Self {
            admitted,
            peer,
            stream,
            outbox,
            frames: FrameDecoder::new(shell.config.frame_limit),
            input: ReadBuffer::new(shell.probe.clone()),
            share: InboundShare::new(Arc::clone(&shell.inbound)),
            arrived: now,
            kept: None,
            is_fresh: true,
            sizes: None,
            writes: WriteQueue::new(shell.probe.clone()),
            phase: Phase::Open,
            timer: shell.env.timer(),
            armed: Mono::MAX,
            timeout,
            idle_deadline: shell.idle_deadline(now, timeout),
            has_written: false,
            shell,
        }
    }

    /// Serves the connection to its end.
    pub(super) async fn run(mut self) {
        tracing::debug!(peer = %self.peer, "connection accepted");
        std::future::poll_fn(|cx| self.poll_run(cx)).await;
        tracing::debug!(peer = %self.peer, "connection closed");
    }

    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_short = self.shell.probe.buggify("server: one step per poll");
        let steps = if is_short { 1 } else { STEPS_PER_POLL };
        for _ in 0..steps {
            match self.step(cx) {
                Step::Again => {}
                Step::Wait if self.sleep(cx) => return Poll::Pending,
                Step::Wait => {}
                Step::Over => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// In this order: how it ends, write, close, handle, read.
    fn step(&mut self, cx: &mut Context<'_>) -> Step {
        if self.fetch() == Some(End::Abort) {
            return Step::Over;
        }
        if self.shell.is_held() {
            return Step::Wait;
        }
        match self.write(cx) {
            Ok(true) => return Step::Again,
            Ok(false) => {}
            Err(error) => return self.lost(&error),
        }
        match self.phase {
            Phase::Open => self.serve(cx),
            Phase::Flushing { end, .. } => self.finish(end, cx),
            Phase::Lingering { left, until } => self.swallow(left, until, cx),
        }
    }

    /// Fetches what there is to write, and learns whether the end has come.
    fn fetch(&mut self) -> Option<End> {
        let end = self.writes.fetch(&self.outbox);
        if let (Phase::Open, Some(end)) = (self.phase, end) {
            let until = self.shell.env.now() + self.shell.delay() + FLUSH_LIMIT;
            self.phase = Phase::Flushing { end, until };
        }
        end
    }

    /// Writes what can be written; whether that was anything.
    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let env = &self.shell.env;
        match self.writes.poll_write(&mut self.stream, cx, || env.now()) {
            Poll::Ready(Ok(progress)) => {
                self.has_written |= progress;
                Ok(progress)
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(false),
        }
    }

    /// Handles what has arrived, or else reads more, unless the client owes reading.
    fn serve(&mut self, cx: &mut Context<'_>) -> Step {
        let waiting = self.writes.len() + self.outbox.len();
        if waiting > self.shell.config.outbox_pause_bytes {
            self.shell
                .probe
                .reached("server: not reading from a slow reader");
            return Step::Wait;
        }
        if self.is_fresh {
            return self.read_first_bytes(cx);
        }
        let next = match self.kept.take() {
            Some(frame) => Ok(Some(frame)),
            None => self.frames.decode(&mut self.input.bytes),
        };
        match next {
            Ok(Some(frame)) => self.handle(frame),
            Ok(None) if self.has_room() => self.read(cx),
            Ok(None) => {
                tracing::warn!(peer = %self.peer, "too many incomplete requests, closing connection");
                self.shell.probe.reached("server: inbound limit reached");
                self.retire(End::Abort)
            }
            Err(error) => {
                tracing::debug!(peer = %self.peer, %error, "closing connection");
                self.shell.probe.reached("server: frame length refused");
                self.retire(End::Reply)
            }
        }
    }

    /// Whether what is incomplete here is not too much.
    fn has_room(&mut self) -> bool {
        let limit = self.shell.config.inbound_limit_bytes;
        self.share.set(self.input.bytes.len(), limit)
    }

    /// Answers a four-letter word, if that is what the client begins with.
    fn read_first_bytes(&mut self, cx: &mut Context<'_>) -> Step {
        match four_letter::recognise(&self.input.bytes) {
            FirstBytes::TooFew => self.read(cx),
            FirstBytes::Length if self.input.bytes.starts_with(&HANDSHAKE_OF_TLS) => {
                self.refuse_handshake()
            }
            FirstBytes::Length => {
                self.is_fresh = false;
                Step::Again
            }
            FirstBytes::Word(word) => {
                let Poll::Ready(sizes) = self.poll_sizes(word, cx) else {
                    return Step::Wait;
                };
                self.shell.probe.reached("server: four-letter word");
                let bytes = four_letter::answer(word, self.admitted.id, sizes, &self.shell).into();
                let due = Mono::ZERO;
                self.writes.push(Parcel { due, bytes });
                self.retire(End::Reply)
            }
        }
    }

    /// No request has such a length: this is TLS, on a port or inside a stream without.
    fn refuse_handshake(&mut self) -> Step {
        let reason = "TLS on a port without: have the client connect to secureClientPort, or \
                      set client.portUnification=true";
        self.shell.handshake_refused(self.peer, reason);
        let bytes = HANDSHAKE_FAILURE.into();
        let due = Mono::ZERO;
        self.writes.push(Parcel { due, bytes });
        self.retire(End::Reply)
    }

    /// How much is stored, if the word's answer says so.
    fn poll_sizes(&mut self, word: Word, cx: &mut Context<'_>) -> Poll<DirSizes> {
        if !four_letter::shows_sizes(word, &self.shell) {
            return Poll::Ready(DirSizes::default());
        }
        let shell = &self.shell;
        let sizes = self.sizes.get_or_insert_with(|| shell.dir_sizes());
        sizes.as_mut().poll(cx)
    }

    fn handle(&mut self, frame: Bytes) -> Step {
        let (frames, input) = (&self.frames, &mut self.input.bytes);
        // An unfit length word stays in the input and is met again after this turn.
        let following = || frames.decode(input).ok().flatten();
        match self
            .shell
            .handle_frames(self.admitted.id, self.arrived, frame, following)
        {
            Turn::Handled { timeout } => {
                if timeout != self.timeout {
                    self.timeout = timeout;
                    self.idle_deadline = self.shell.idle_deadline(self.arrived, timeout);
                }
                Step::Again
            }
            Turn::Later(frame) => {
                self.kept = Some(frame);
                Step::Wait
            }
            Turn::Gone => Step::Over,
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Step {
        match self.input.poll_read(&mut self.stream, cx) {
            Poll::Ready(Ok(0)) => {
                if !self.input.bytes.is_empty() {
                    self.shell
                        .probe
                        .reached("server: cut within a frame of the client");
                }
                self.shell.lock().stats.connections_dropped += 1;
                self.retire(End::Flush)
            }
            Poll::Ready(Ok(_)) => {
                self.arrived = self.shell.env.now();
                Step::Again
            }
            Poll::Ready(Err(error)) => self.lost(&error),
            Poll::Pending => Step::Wait,
        }
    }

    /// Takes no more requests; what is queued is still written.
    fn retire(&self, end: End) -> Step {
        self.shell.disconnected(self.admitted.id);
        self.outbox.finish(end);
        Step::Again
    }

    fn lost(&self, error: &io::Error) -> Step {
        tracing::debug!(peer = %self.peer, %error, "connection lost");
        Step::Over
    }

    /// Closes our direction once everything is written.
    fn finish(&mut self, end: End, cx: &mut Context<'_>) -> Step {
        if !self.writes.is_done() || self.outbox.len() > 0 {
            return Step::Wait;
        }
        match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Ready(Ok(())) if end == End::Reply && !self.has_no_patience() => {
                let until = self.shell.env.now() + LINGER_LIMIT;
                let left = LINGER_BYTES;
                self.phase = Phase::Lingering { left, until };
                Step::Again
            }
            Poll::Ready(_) => Step::Over,
            Poll::Pending => Step::Wait,
        }
    }

    /// A simulator may have the socket closed over what the client still sends.
    fn has_no_patience(&self) -> bool {
        self.shell.probe.buggify("server: close without lingering")
    }

    fn swallow(&mut self, left: usize, until: Mono, cx: &mut Context<'_>) -> Step {
        self.input.bytes.clear();
        match self.input.poll_read(&mut self.stream, cx) {
            Poll::Ready(Ok(read)) if read > 0 && read < left => {
                let place = "server: client sent on behind its last reply";
                self.shell.probe.reached(place);
                let left = left - read;
                self.phase = Phase::Lingering { left, until };
                Step::Again
            }
            Poll::Ready(_) => Step::Over,
            Poll::Pending => Step::Wait,
        }
    }

    /// Arranges to be woken by time or by the outbox. False if there is a reason
    /// to look again at once.
    fn sleep(&mut self, cx: &mut Context<'_>) -> bool {
        let is_held = self.shell.is_held();
        if !is_held && self.is_due(cx) {
            return false;
        }
        let known = match self.phase {
            Phase::Open => None,
            Phase::Flushing { end, .. } => Some(end),
            Phase::Lingering { .. } => Some(End::Reply),
        };
        let wants_parcels = self.writes.is_done() && !is_held;
        self.outbox.sleep(cx.waker(), known, wants_parcels) && is_held == self.shell.is_held()
    }

    /// Whether a deadline has passed. Those that end the connection do so.
    fn is_due(&mut self, cx: &mut Context<'_>) -> bool {
        let deadline = self.deadline();
        if deadline != self.armed {
            self.armed = deadline;
            self.timer.reset(deadline);
        }
        if self.timer.poll_expired(cx).is_pending() {
            return false;
        }
        let now = self.shell.env.now();
        if self.phase == Phase::Open && now >= self.idle_deadline {
            let wrote = std::mem::take(&mut self.has_written);
            let last_active = if wrote { now } else { self.arrived };
            self.idle_deadline = self.shell.idle_deadline(last_active, self.timeout);
        }
        if now >= self.fatal_deadline() {
            tracing::debug!(peer = %self.peer, phase = ?self.phase, "connection timed out");
            if self.phase == Phase::Open {
                self.shell.probe.reached("server: idle connection closed");
                self.shell.lock().stats.idle_connections_expired += 1;
            }
            self.outbox.finish(End::Abort);
        }
        true
    }

    fn deadline(&self) -> Mono {
        let held_until = self.writes.held_until(|| self.shell.env.now());
        held_until.unwrap_or(Mono::MAX).min(self.fatal_deadline())
    }

    fn fatal_deadline(&self) -> Mono {
        match self.phase {
            Phase::Open => self.idle_deadline,
            Phase::Flushing { until, .. } | Phase::Lingering { until, .. } => until,
        }
    }
}

/// A connection that counts. However its task ends, the machine learns that it is gone.
pub(super) struct Admitted {
    shell: Arc<Shell>,
    id: ConnId,
    outbox: Arc<Outbox>,
}

impl Admitted {
    pub(super) fn new(shell: Arc<Shell>, (id, outbox): (ConnId, Arc<Outbox>)) -> Self {
        Self { shell, id, outbox }
    }

    pub(super) fn id(&self) -> ConnId {
        self.id
    }

    pub(super) fn outbox(&self) -> Arc<Outbox> {
        Arc::clone(&self.outbox)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.shell.ended(self.id);
    }
}
