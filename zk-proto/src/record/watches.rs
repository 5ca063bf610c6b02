//! Watch events and the registration of watches.

use std::borrow::Cow;

use crate::ids::Zxid;
use crate::jute::record;

record! {
    /// A watch event, sent by the server unasked.
    pub struct WatcherEvent<'a> {
        /// An [`EventType`](crate::EventType).
        pub event_type: i32,
        /// A [`KeeperState`](crate::KeeperState).
        pub state: i32,
        /// The znode.
        pub path: Cow<'a, str>,
    }
}

record! {
    /// setWatches: re-registers one-shot watches after a reconnect. The server
    /// answers at once for paths that have changed since `relative_zxid`.
    pub struct SetWatches<'a> {
        /// The newest transaction the client has seen.
        pub relative_zxid: Zxid,
        /// Watches left on znodes that existed.
        pub data_watches: Vec<Cow<'a, str>>,
        /// Watches left by exists on znodes that were missing.
        pub exist_watches: Vec<Cow<'a, str>>,
        /// Watches on lists of children.
        pub child_watches: Vec<Cow<'a, str>>,
    }
}

record! {
    /// setWatches2: setWatches with persistent watches. Since 3.6.0.
    pub struct SetWatches2<'a> {
        /// The newest transaction the client has seen.
        pub relative_zxid: Zxid,
        /// Watches left on znodes that existed.
        pub data_watches: Vec<Cow<'a, str>>,
        /// Watches left by exists on znodes that were missing.
        pub exist_watches: Vec<Cow<'a, str>>,
        /// Watches on lists of children.
        pub child_watches: Vec<Cow<'a, str>>,
        /// Persistent watches.
        pub persistent_watches: Vec<Cow<'a, str>>,
        /// Persistent recursive watches.
        pub persistent_recursive_watches: Vec<Cow<'a, str>>,
    }
}

record! {
    /// addWatch. Answered by [`ErrorResponse`] with 0.
    pub struct AddWatchRequest<'a> {
        /// Path; need not exist.
        pub path: Cow<'a, str>,
        /// An [`AddWatchMode`](crate::data::AddWatchMode).
        pub mode: i32,
    }
}

record! {
    /// checkWatches. The answer has no body.
    pub struct CheckWatchesRequest<'a> {
        /// Path.
        pub path: Cow<'a, str>,
        /// A [`WatcherType`](crate::WatcherType).
        pub watcher_type: i32,
    }
}

record! {
    /// removeWatches. The answer has no body.
    pub struct RemoveWatchesRequest<'a> {
        /// Path.
        pub path: Cow<'a, str>,
        /// A [`WatcherType`](crate::WatcherType).
        pub watcher_type: i32,
    }
}

record! {
    /// A bare error code: addWatch's answer, and a failed operation of a multi.
    pub struct ErrorResponse {
        /// The code.
        pub err: i32,
    }
}
