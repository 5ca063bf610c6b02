//! Where clients write down what they called and what they were told.
//!
//! A [`RecordedClient`] is a [`zk_client::Client`] with the same operations. Each
//! becomes a [`Call`](super::Call) when it is called, and its
//! [`Outcome`](super::Outcome) is noted when its future is ready or dropped. What
//! watchers hand out and the states the session goes through are noted as well.

#[expect(
    clippy::ptr_arg,
    reason = "answers are taken as they come, by functions of one shape"
)]
mod answer;
mod calls;
mod client;
mod reply;
#[cfg(test)]
mod tests;
mod transaction;
mod watcher;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zk_client::{Epoch, SessionState, WatchedEvent};
use zk_env::Boot;
use zk_proto::{OpCode, SessionId, Xid};

pub use client::RecordedClient;
pub use reply::Recorded;
pub use transaction::RecordedTransaction;
pub use watcher::RecordedWatcher;

use super::step::{Listener, Step};
use super::{At, Call, ClientId, Outcome};

/// A watcher of a run, numbered in the order in which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatcherId(pub u32);

/// An event that was taken from a watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When it was taken.
    pub at: At,
    /// Whose watcher.
    pub client: ClientId,
    /// Which of them.
    pub watcher: WatcherId,
    /// What happened, with the path as the server has it.
    pub event: WatchedEvent,
}

/// A state in which a client's session was seen. Short ones may be missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateSeen {
    /// When.
    pub at: At,
    /// The same on the client host's clock that runs through machine suspend.
    pub boot: Boot,
    /// Whose.
    pub client: ClientId,
    /// The state.
    pub state: SessionState,
}

/// A session that a client had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSeen {
    /// When the client was first seen with it.
    pub at: At,
    /// Whose.
    pub client: ClientId,
    /// Which of the client's.
    pub epoch: Epoch,
    /// The server's name for it.
    pub session: SessionId,
}

/// What all clients of a run called and were told. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    clients: u32,
    watchers: u32,
    calls: Vec<Call>,
    open: usize,
    heard: Vec<Heard>,
    states: Vec<StateSeen>,
    sessions: Vec<SessionSeen>,
    listener: Listener,
}

/// A call in the book.
#[derive(Clone, Copy, Debug)]
struct CallIndex(usize);

impl Recorder {
    /// The calls so far, in the order in which they were made.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// How many calls were made so far.
    pub fn call_count(&self) -> usize {
        self.lock().calls.len()
    }

    /// How many calls wait for their end.
    pub fn open_calls(&self) -> usize {
        self.lock().open
    }

    /// The events taken from watchers so far, in that order.
    pub fn heard(&self) -> Vec<Heard> {
        self.lock().heard.clone()
    }

    /// The states seen so far, in that order.
    pub fn states(&self) -> Vec<StateSeen> {
        self.lock().states.clone()
    }

    /// The sessions that clients had so far, in the order in which they were seen.
    pub fn sessions(&self) -> Vec<SessionSeen> {
        self.lock().sessions.clone()
    }

    /// Who is told of each step.
    pub(crate) fn listener(&self) -> Listener {
        self.lock().listener.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_client(&self) -> ClientId {
        let mut book = self.lock();
        book.clients += 1;
        ClientId(book.clients - 1)
    }

    fn new_watcher(&self) -> WatcherId {
        let mut book = self.lock();
        book.watchers += 1;
        WatcherId(book.watchers - 1)
    }

    fn called(
        &self,
        client: ClientId,
        xid: Option<Xid>,
        op: OpCode,
        path: String,
        called: At,
    ) -> CallIndex {
        let mut book = self.lock();
        book.open += 1;
        book.calls.push(Call {
            client,
            xid,
            op,
            path,
            watcher: None,
            called,
            ended: None,
        });
        CallIndex(book.calls.len() - 1)
    }

    /// The call made last was to leave a watch.
    fn leaves_watch(&self, watcher: WatcherId) {
        if let Some(call) = self.lock().calls.last_mut() {
            call.watcher = Some(watcher);
        }
    }

    fn ended(&self, index: CallIndex, at: At, outcome: Outcome) {
        let mut book = self.lock();
        book.open -= 1;
        book.calls[index.0].ended = Some((at, outcome));
        book.listener.tell(&Step::Ended(&book.calls[index.0]));
    }

    fn hear(&self, heard: Heard) {
        let mut book = self.lock();
        book.listener.tell(&Step::Heard(&heard));
        book.heard.push(heard);
    }

    fn see(&self, seen: StateSeen) {
        let mut book = self.lock();
        book.listener.tell(&Step::State(&seen));
        book.states.push(seen);
    }

    fn had(&self, seen: SessionSeen) {
        let mut book = self.lock();
        book.listener.tell(&Step::Session(&seen));
        book.sessions.push(seen);
    }
}
