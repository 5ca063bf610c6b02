//! What happens, at the moment it is written down.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::{Applied, Call, Heard, PeerSeen, SessionSeen, StateSeen, Transaction, TreeSeen};

/// One thing more that has happened in a run.
#[derive(Clone, Copy, Debug)]
pub enum Step<'s> {
    /// A call has come to its end.
    Ended(&'s Call),
    /// A client's session was seen in another state.
    State(&'s StateSeen),
    /// A client has a session.
    Session(&'s SessionSeen),
    /// An event was taken from a watcher.
    Heard(&'s Heard),
    /// The server has applied a transaction; of several servers the first.
    Transaction(&'s Transaction),
    /// A server of an ensemble has applied a transaction.
    Applied(&'s Applied),
    /// A server of an ensemble was seen in another state.
    Peer(&'s PeerSeen),
    /// The tree of a server of an ensemble was looked at.
    Tree(&'s TreeSeen),
}

type Listen = dyn Fn(&Step<'_>) + Send + Sync;

/// Who is told of each step, if anybody. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Listener(Arc<OnceLock<Arc<Listen>>>);

impl Listener {
    /// `listen` is called while what is written down is locked: it must not look there.
    pub(crate) fn set(&self, listen: Arc<Listen>) {
        // The first one stays.
        let _ = self.0.set(listen);
    }

    pub(crate) fn tell(&self, step: &Step<'_>) {
        if let Some(listen) = self.0.get() {
            listen(step);
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener")
            .field(&self.0.get().is_some())
            .finish()
    }
}
