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

/// The connection's buffers.
struct Link {
    stream: BoxStream,
    frames: FrameDecoder,
    input: BytesMut,
    output: BytesMut,
    needs_flush: bool,
    is_established: bool,
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
                return Poll::Ready(cause);
            }
            self.note_established(link);
            if let Poll::Ready(Err(cause)) = self.poll_write(link, now, cx) {
                return Poll::Ready(cause);
            }
            if let Some(cause) = self.carry_out() {
                return Poll::Ready(cause);
            }
            if self.shared.take_move() {
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
            match ready!(link.poll_fill(cx)) {
                Ok(0) => return Poll::Ready(Err(Cause::ClosedByServer)),
                Ok(len) => {
                    metrics::received(len);
                    self.busy_poll.handle_read();
                    read += len;
                }
                Err(error) => return Poll::Ready(Err(Cause::Io(error.to_string()))),
            }
            match self.hand_over(link, now) {
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
                Err(FrameError { length, limit }) if length > 0 => {
                    // Whose reply it is stands right behind the length.
                    let head = link.input.first_chunk::<8>();
                    let xid = head.map(|[_, _, _, _, xid @ ..]| Xid(i32::from_be_bytes(*xid)));
                    session.handle_oversized_reply(xid, length.unsigned_abs() as usize, limit);
                    return Ok(had_frame);
                }
                Err(error) => return Err(Cause::BadBytes(error.to_string())),
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
            match ready!(Pin::new(&mut link.stream).poll_write(cx, &link.output)) {
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
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        if self.input.capacity() - self.input.len() < BYTES_PER_TURN {
            self.input.reserve(CHUNK);
        }
        let mut room = (&mut self.input).limit(BYTES_PER_TURN);
        poll_read_buf(Pin::new(&mut self.stream), cx, &mut room)
    }
}
