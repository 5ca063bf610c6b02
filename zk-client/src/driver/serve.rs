//! One connection, from the handshake to its end.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::AsyncWrite;
use tokio_util::io::poll_read_buf;
use zk_env::BoxStream;
use zk_proto::{FrameDecoder, FrameError, Xid};

use super::Driver;
use super::connect::Connection;
use super::read_write::ReadWriteSearch;
use crate::metrics;
use crate::session::{Cause, Now};

/// Room made for what is received. A `Bytes` that a caller keeps pins the chunk it
/// came in.
const CHUNK: usize = 64 * 1024;
/// Bytes of replies handed out per turn. Then others have theirs: what they ask
/// next leaves while the server still works on what is in flight, and a flood
/// from the server does not keep the task.
const BYTES_PER_TURN: usize = 16 * 1024;
/// The same while a single frame is larger than that.
const MAX_BYTES_PER_TURN: usize = 4 * CHUNK;

/// What a simulator calls few bytes: less than a length word and an xid.
const FEW_BYTES: usize = 7;

/// The connection's buffers.
struct Link {
    stream: BoxStream,
    frames: FrameDecoder,
    input: BytesMut,
    output: BytesMut,
    needs_flush: bool,
    is_established: bool,
    /// A simulator made the last turn end early.
    has_yielded: bool,
}

impl Driver {
    /// Drives the session over this connection and says why it ended.
    pub(super) async fn serve(&mut self, connection: Connection) -> Cause {
        let Connection {
            stream,
            host,
            address,
            timeout,
        } = connection;
        let mut link = Link {
            stream,
            frames: FrameDecoder::new(self.frame_limit),
            input: BytesMut::new(),
            output: BytesMut::new(),
            needs_flush: false,
            is_established: false,
            has_yielded: false,
        };
        let now = self.shared.now();
        self.shared
            .session()
            .handle_connected(now, address, now.mono + timeout);
        self.shared.host_book().current = Some(host);
        let mut search = ReadWriteSearch::new();
        poll_fn(|cx| self.poll_serve(&mut link, &mut search, cx)).await
    }

    /// One turn: read, answer, write, timer.
    fn poll_serve(
        &mut self,
        link: &mut Link,
        search: &mut ReadWriteSearch,
        cx: &mut Context<'_>,
    ) -> Poll<Cause> {
        self.shared.driver.register(cx.waker());
        loop {
            // Read once: both clocks cost more than the rest of a short turn.
            let now = self.shared.now();
            let reading = self.poll_read(link, now, cx);
            if let Some(cause) = self.carry_out() {
                return Poll::Ready(cause);
            }
            if let Poll::Ready(Err(cause)) = reading {
                self.note_cut(link);
                return Poll::Ready(cause);
            }
            self.note_established(link);
            if self.yields(link, cx) {
                return Poll::Pending;
            }
            if let Poll::Ready(Err(cause)) = self.poll_write(link, now, cx) {
                return Poll::Ready(cause);
            }
            if let Some(cause) = self.carry_out() {
                return Poll::Ready(cause);
            }
            if self.shared.take_move() || self.leaves(link) {
                return Poll::Ready(Cause::Rebalanced);
            }
            if search.poll(self, cx).is_ready() {
                return Poll::Ready(Cause::ReadWriteFound);
            }
            if self.poll_timer(cx).is_ready() {
                continue;
            }
            if reading.is_ready() {
                // More to read, but others want their turn.
                cx.waker().wake_by_ref();
            } else {
                let awaited = self.shared.session().awaited();
                if self.busy_poll.should_look_again(now.mono, awaited) {
                    self.shared.env.look_again(cx);
                }
            }
            return Poll::Pending;
        }
    }

    /// A simulator may let others have their turn here, but not twice in a row.
    fn yields(&self, link: &mut Link, cx: &Context<'_>) -> bool {
        let probe = &self.shared.probe;
        link.has_yielded = !link.has_yielded && probe.buggify("client: yield before writing");
        if link.has_yielded {
            cx.waker().wake_by_ref();
        }
        link.has_yielded
    }

    /// A simulator may send the client to another server, as a new list would.
    fn leaves(&self, link: &Link) -> bool {
        let probe = &self.shared.probe;
        link.is_established && probe.buggify("client: leave for another server")
    }

    /// Tells a simulator where the server's bytes end.
    fn note_cut(&self, link: &Link) {
        if !link.input.is_empty() {
            self.shared
                .probe
                .reached("client: cut within a frame of the server");
        }
    }

    fn note_established(&self, link: &mut Link) {
        if !link.is_established && self.shared.state.borrow().is_connected() {
            link.is_established = true;
            let mut book = self.shared.host_book();
            book.hosts.connected();
            book.attempts.clear();
            metrics::connected();
        }
    }

    /// Reads what is there and hands it to the session. Ready if there may be more.
    fn poll_read(
        &mut self,
        link: &mut Link,
        now: Now,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Cause>> {
        let (mut read, mut budget) = (0, MAX_BYTES_PER_TURN);
        while read < budget {
            let probe = &self.shared.probe;
            let room = if probe.buggify("client: read few bytes") {
                FEW_BYTES
            } else {
                BYTES_PER_TURN
            };
            match ready!(link.poll_fill(room, cx)) {
                Ok(0) => return Poll::Ready(Err(Cause::ClosedByServer)),
                Ok(len) => {
                    metrics::received(len);
                    self.busy_poll.handle_read();
                    read += len;
                }
                Err(error) => return Poll::Ready(Err(Cause::Io(error.to_string()))),
            }
            match self.hand_over(link, now) {
                Ok(true)
                    if self
                        .shared
                        .probe
                        .buggify("client: end the turn after one read") =>
                {
                    break;
                }
                Ok(true) => budget = BYTES_PER_TURN,
                Ok(false) => {}
                Err(cause) => return Poll::Ready(Err(cause)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Whether there was a whole frame.
    fn hand_over(&self, link: &mut Link, now: Now) -> Result<bool, Cause> {
        let mut session = self.shared.session();
        session.handle_read(now.mono);
        let mut had_frame = false;
        loop {
            match link.frames.decode(&mut link.input) {
                Ok(Some(frame)) => {
                    had_frame = true;
                    session.handle_frame(now, &frame);
                }
                Ok(None) => return Ok(had_frame),
                // An alert, in answer to a handshake that was none of TLS.
                Err(_) if link.input.starts_with(&[0x15, 0x03]) && !link.is_established => {
                    return Err(Cause::SpeaksTls);
                }
                Err(FrameError { length, limit }) if length > 0 => {
                    self.shared.probe.reached("client: frame length refused");
                    // Whose reply it is stands right behind the length.
                    let head = link.input.first_chunk::<8>();
                    let xid = head.map(|[_, _, _, _, xid @ ..]| Xid(i32::from_be_bytes(*xid)));
                    session.handle_oversized_reply(xid, length.unsigned_abs() as usize, limit);
                    return Ok(had_frame);
                }
                Err(error) => {
                    self.shared.probe.reached("client: frame length refused");
                    return Err(Cause::BadBytes(error.to_string()));
                }
            }
        }
    }

    /// Writes what the session gives until there is nothing more or the socket is
    /// full; a full socket stops taking requests from the queue.
    fn poll_write(
        &self,
        link: &mut Link,
        now: Now,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Cause>> {
        loop {
            if link.output.is_empty() {
                self.shared.session().poll_transmit(now, &mut link.output);
            }
            if link.output.is_empty() {
                break;
            }
            let probe = &self.shared.probe;
            let bytes = if probe.buggify("client: write few bytes") {
                &link.output[..link.output.len().min(FEW_BYTES)]
            } else {
                &link.output
            };
            let writing = Pin::new(&mut link.stream).poll_write(cx, bytes);
            if writing.is_pending() {
                probe.reached("client: socket full");
            }
            match ready!(writing) {
                Ok(0) => return Poll::Ready(Err(Cause::ClosedByServer)),
                Ok(len) => {
                    link.output.advance(len);
                    link.needs_flush = true;
                    self.shared.session().handle_written(len);
                    metrics::sent(len);
                }
                Err(error) => return Poll::Ready(Err(Cause::Io(error.to_string()))),
            }
        }
        if link.needs_flush {
            match ready!(Pin::new(&mut link.stream).poll_flush(cx)) {
                Ok(()) => link.needs_flush = false,
                Err(error) => return Poll::Ready(Err(Cause::Io(error.to_string()))),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Link {
    /// Reads up to `limit` bytes.
    fn poll_fill(&mut self, limit: usize, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        if self.input.capacity() - self.input.len() < BYTES_PER_TURN {
            self.input.reserve(CHUNK);
        }
        let mut room = (&mut self.input).limit(limit);
        poll_read_buf(Pin::new(&mut self.stream), cx, &mut room)
    }
}
