//! Replies: the futures that operations return.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::oneshot;
use zk_proto::{Chroot, ErrorCode, Xid};

use crate::error::{Error, Outcome};
use crate::session::Queued;

/// A reply as it came off the wire: the verdict and the body's bytes.
#[derive(Clone, Debug)]
pub(crate) struct RawReply {
    pub(crate) err: ErrorCode,
    pub(crate) body: Bytes,
}

pub(crate) type RawResult = Result<RawReply, Error>;

/// A call that may fail before anything is queued.
pub(crate) fn attempt<T>(call: impl FnOnce() -> Result<Reply<T>, Error>) -> Reply<T> {
    call().unwrap_or_else(Reply::failed)
}

/// What it takes to read a reply: the caller's path, for messages, and the chroot
/// that paths in the body are relative to.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) path: Box<str>,
    pub(crate) chroot: Chroot,
    /// Operations in a multiRead, each of which must have its result.
    pub(crate) ops: usize,
}

/// The answer to one operation, a future that borrows nothing.
///
/// The request took its place in line when the method was called; awaiting only
/// waits for the answer. Replies of one client become ready in the order of the
/// calls.
///
/// # Cancel safety
///
/// Dropping it stops the waiting, not the request: whether the operation took
/// effect is then unknown, as with a lost reply. A reply that is never polled is
/// still sent. The body is decoded in the task that awaits.
#[must_use = "the request is sent in any case, but only awaiting tells whether it succeeded"]
pub struct Reply<T> {
    /// Where the request stands in line, if it was queued.
    xid: Option<Xid>,
    state: State<T>,
}

enum State<T> {
    Failed(Option<Error>),
    Waiting {
        /// An answer that must come first and be good (sync before a read).
        first: Option<oneshot::Receiver<RawResult>>,
        answer: oneshot::Receiver<RawResult>,
        asked: Asked,
        read: Read<T>,
    },
}

/// For an answer that was dropped on the way, which only a panic could do.
const LOST: Error = Error::ConnectionLost {
    outcome: Outcome::Unknown,
};

/// Turns a raw reply into the operation's value.
pub(crate) type Read<T> = fn(RawReply, &Asked) -> Result<T, Error>;

impl<T> Reply<T> {
    pub(crate) const fn failed(error: Error) -> Self {
        Self {
            xid: None,
            state: State::Failed(Some(error)),
        }
    }

    pub(crate) fn waiting(queued: Queued, asked: Asked, read: Read<T>) -> Self {
        let Queued { xid, answer } = queued;
        Self {
            xid: Some(xid),
            state: State::Waiting {
                first: None,
                answer,
                asked,
                read,
            },
        }
    }

    /// The number under which the request was queued, for matching calls with the
    /// server's log; `None` if it never was. Numbers go on over reconnects and sessions;
    /// credentials all have −4. Where a server lacks the operation, what is sent
    /// instead has numbers of its own.
    #[doc(hidden)]
    pub const fn xid(&self) -> Option<Xid> {
        self.xid
    }

    /// The answer to this many operations in one request.
    pub(crate) fn of(mut self, ops: usize) -> Self {
        if let State::Waiting { asked, .. } = &mut self.state {
            asked.ops = ops;
        }
        self
    }

    /// Whether the call found no room in the queue.
    pub(crate) const fn found_no_room(&self) -> bool {
        matches!(self.state, State::Failed(Some(Error::QueueFull { .. })))
    }

    /// Good only if `other`, called before it, is.
    pub(crate) fn after<U>(mut self, other: Reply<U>) -> Self {
        match (&mut self.state, other.state) {
            (State::Waiting { first, .. }, State::Waiting { answer, .. }) => *first = Some(answer),
            (State::Failed(_), _) => {}
            (_, State::Failed(error)) => self.state = State::Failed(error),
        }
        self
    }
}

impl<T> Future for Reply<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            // A finished future may not be polled again; say so rather than hang.
            State::Failed(error) => Poll::Ready(Err(error.take().unwrap_or(Error::Closed))),
            State::Waiting {
                first,
                answer,
                asked,
                read,
            } => {
                if let Some(before) = first {
                    let before = ready!(Pin::new(before).poll(cx)).unwrap_or(Err(LOST));
                    *first = None;
                    if let Err(error) = before.and_then(|raw| raw.ok(asked)) {
                        self.state = State::Failed(None);
                        return Poll::Ready(Err(error));
                    }
                }
                // The session answers every request before it goes.
                let raw = ready!(Pin::new(answer).poll(cx)).unwrap_or(Err(LOST));
                let result = raw
                    .map_err(|error| error.about(&asked.path))
                    .and_then(|raw| read(raw, asked));
                self.state = State::Failed(None);
                Poll::Ready(result)
            }
        }
    }
}

// Nothing in it is pinned.
impl<T> Unpin for Reply<T> {}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Failed(_) => "failed",
            State::Waiting { .. } => "waiting",
        };
        f.debug_tuple("Reply").field(&state).finish()
    }
}

impl RawReply {
    /// The body, or the server's verdict as an error.
    pub(crate) fn ok(self, asked: &Asked) -> Result<Bytes, Error> {
        match self.err {
            ErrorCode::Ok => Ok(self.body),
            code => Err(Error::Server {
                code,
                path: asked.path.clone(),
            }),
        }
    }
}
