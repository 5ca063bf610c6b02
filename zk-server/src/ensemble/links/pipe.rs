//! One direction of a connection between peers: bytes on their way over a link.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, BytesMut};
use tokio::io::ReadBuf;
use zk_env::{Env, Mono, Timer};

use super::link::Link;

/// What is on its way at most; a writer waits for room. About what a socket holds.
pub(super) const CAPACITY: usize = 256 << 10;

/// Bytes in order, each with the time when it arrives. Both ends see a reset at once.
#[derive(Debug)]
pub(super) struct Pipe {
    link: Arc<Link>,
    /// While this is locked the link may be asked for its condition, never changed.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In the order of their arrival.
    segments: VecDeque<Segment>,
    /// In all segments.
    bytes: usize,
    /// When the last segment or the end arrives: nothing overtakes.
    last_arrival: Mono,
    /// The writer has written all.
    is_ended: bool,
    /// Nobody reads any more.
    is_abandoned: bool,
    is_reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Debug)]
struct Segment {
    arrival: Mono,
    bytes: BytesMut,
}

impl State {
    /// What the reader can see now, or when.
    fn next_arrival(&self) -> Option<Mono> {
        let end = self.is_ended.then_some(self.last_arrival);
        self.segments.front().map(|first| first.arrival).or(end)
    }

    fn take_wakers(&mut self) -> [Option<Waker>; 2] {
        [self.reader.take(), self.writer.take()]
    }

    fn push(&mut self, bytes: &[u8], arrival: Mono) {
        self.bytes += bytes.len();
        match self.segments.back_mut() {
            Some(last) if last.arrival == arrival => last.bytes.extend_from_slice(bytes),
            Some(_) | None => self.segments.push_back(Segment {
                arrival,
                bytes: bytes.into(),
            }),
        }
    }

    /// Moves what fits of the first segment.
    fn pop(&mut self, room: &mut ReadBuf<'_>) {
        let Some(first) = self.segments.front_mut() else {
            return;
        };
        let count = first.bytes.len().min(room.remaining());
        room.put_slice(&first.bytes[..count]);
        first.bytes.advance(count);
        self.bytes -= count;
        if first.bytes.is_empty() {
            self.segments.pop_front();
        }
    }
}

impl Pipe {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who waits at either end, to look again.
    pub(super) fn take_wakers(&self) -> impl Iterator<Item = Waker> + use<> {
        self.lock().take_wakers().into_iter().flatten()
    }

    /// Loses what is on its way; both ends fail from now on.
    pub(super) fn reset(&self) -> impl Iterator<Item = Waker> + use<> {
        let mut state = self.lock();
        state.is_reset = true;
        state.segments.clear();
        state.bytes = 0;
        state.take_wakers().into_iter().flatten()
    }

    /// Reads what has arrived; `timer` is the reader's own.
    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
        env: &dyn Env,
        timer: &mut Option<Box<dyn Timer>>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        if state.is_reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let arrival = match state.next_arrival() {
            Some(arrival) if !self.link.condition().is_held => arrival,
            Some(_) | None => {
                state.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
        };
        if !has_come(arrival, cx, env, timer) {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.pop(room);
        let writer = state.writer.take();
        drop(state);
        wake(writer);
        Poll::Ready(Ok(()))
    }

    /// Takes as much as there is room for.
    pub(super) fn poll_write(
        &self,
        cx: &Context<'_>,
        bytes: &[u8],
        env: &dyn Env,
    ) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        if state.is_reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        // Across a link that holds everything nobody learns that the reader has gone.
        let is_known_abandoned = state.is_abandoned && !self.link.condition().is_held;
        if state.is_ended || is_known_abandoned {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(CAPACITY - state.bytes);
        if count == 0 && !bytes.is_empty() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.last_arrival = self.arrival(&state, env);
        let arrival = state.last_arrival;
        state.push(&bytes[..count], arrival);
        let reader = state.reader.take();
        drop(state);
        wake(reader);
        Poll::Ready(Ok(count))
    }

    /// The writer has written all.
    pub(super) fn end(&self, env: &dyn Env) {
        let mut state = self.lock();
        if state.is_ended {
            return;
        }
        state.last_arrival = self.arrival(&state, env);
        state.is_ended = true;
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }

    /// The reader reads no more.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.is_abandoned = true;
        let writer = state.writer.take();
        drop(state);
        wake(writer);
    }

    /// When something written now arrives. Without a delay nobody looks at a clock.
    fn arrival(&self, state: &State, env: &dyn Env) -> Mono {
        let delay = self.link.condition().delay;
        if delay.is_zero() {
            state.last_arrival
        } else {
            state.last_arrival.max(env.now() + delay)
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Whether it is `arrival`; if not, the timer wakes the task then.
fn has_come(
    arrival: Mono,
    cx: &mut Context<'_>,
    env: &dyn Env,
    timer: &mut Option<Box<dyn Timer>>,
) -> bool {
    if arrival <= Mono::ZERO || arrival <= env.now() {
        return true;
    }
    let timer = timer.get_or_insert_with(|| env.timer());
    timer.reset(arrival);
    timer.poll_expired(cx).is_ready()
}
