//! Creating and deleting znodes.

use std::borrow::Cow;

use crate::data::{Acl, Stat};
use crate::jute::record;

record! {
    /// create, create2 and createContainer.
    pub struct CreateRequest<'a> {
        /// Path, or its prefix for sequential modes.
        pub path: Cow<'a, str>,
        /// Data; null and empty are distinct.
        pub data: Option<Cow<'a, [u8]>>,
        /// ACL; the server refuses a null or empty one.
        pub acl: Option<Vec<Acl>>,
        /// The mode's number, see [`CreateMode`](crate::CreateMode).
        pub flags: i32,
    }
}

record! {
    /// createTTL.
    pub struct CreateTtlRequest<'a> {
        /// Path, or its prefix for the sequential mode.
        pub path: Cow<'a, str>,
        /// Data; null and empty are distinct.
        pub data: Option<Cow<'a, [u8]>>,
        /// ACL; the server refuses a null or empty one.
        pub acl: Option<Vec<Acl>>,
        /// The mode's number.
        pub flags: i32,
        /// Time to live in milliseconds.
        pub ttl_ms: i64,
    }
}

record! {
    /// Answers create.
    pub struct CreateResponse<'a> {
        /// The path created, with its counter.
        pub path: Cow<'a, str>,
    }
}

record! {
    /// Answers create2, createContainer and createTTL.
    pub struct Create2Response<'a> {
        /// The path created, with its counter.
        pub path: Cow<'a, str>,
        /// The new znode's metadata.
        pub stat: Stat,
    }
}

record! {
    /// delete. The answer has no body.
    pub struct DeleteRequest<'a> {
        /// Path.
        pub path: Cow<'a, str>,
        /// Version its data must have, −1 for any.
        pub version: i32,
    }
}

record! {
    /// deleteContainer, which only a server's own reaper may ask for.
    pub struct DeleteContainerRequest<'a> {
        /// Path, as bytes.
        pub path: Option<Cow<'a, [u8]>>,
    }
}
