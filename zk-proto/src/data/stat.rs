//! A znode's metadata.

use crate::ids::{SessionId, Zxid};
use crate::jute::record;

record! {
    /// A znode's metadata, 68 bytes on the wire.
    ///
    /// After a delete and recreate, versions start over: compare `czxid`, `mzxid`
    /// and `pzxid` to tell two states apart.
    #[derive(Copy, Default, Hash)]
    pub struct Stat {
        /// The transaction that created the znode.
        pub czxid: Zxid,
        /// The transaction that last changed its data.
        pub mzxid: Zxid,
        /// Creation time, milliseconds since the Unix epoch by the leader's clock.
        pub ctime: i64,
        /// Time of the last change of its data, in the same unit.
        pub mtime: i64,
        /// Counts changes of its data. Not always positive: it wraps, and is −1
        /// on `/zookeeper/config`.
        pub version: i32,
        /// Counts creations and deletions of children.
        pub cversion: i32,
        /// Counts changes of its ACL.
        pub aversion: i32,
        /// The session that owns it if it is ephemeral, else zero.
        pub ephemeral_owner: SessionId,
        /// Length of its data in bytes.
        pub data_length: i32,
        /// Number of direct children.
        pub num_children: i32,
        /// The transaction that last created or deleted a child.
        pub pzxid: Zxid,
    }
}

impl Stat {
    /// Whether the znode dies with a session.
    pub const fn is_ephemeral(&self) -> bool {
        self.ephemeral_owner.0 != 0
    }
}
