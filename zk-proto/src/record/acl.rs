//! Reading and changing ACLs.

use std::borrow::Cow;

use crate::data::{Acl, Stat};
use crate::jute::record;

record! {
    /// getACL.
    pub struct GetAclRequest<'a> {
        /// Path.
        pub path: Cow<'a, str>,
    }
}

record! {
    /// Answers getACL.
    pub struct GetAclResponse {
        /// The ACL; digest ids are masked from those without ADMIN.
        pub acl: Vec<Acl>,
        /// The znode's metadata.
        pub stat: Stat,
    }
}

record! {
    /// setACL.
    pub struct SetAclRequest<'a> {
        /// Path.
        pub path: Cow<'a, str>,
        /// The new ACL; the server refuses a null or empty one.
        pub acl: Option<Vec<Acl>>,
        /// The `aversion` the znode must have, −1 for any.
        pub version: i32,
    }
}

record! {
    /// Answers setACL.
    pub struct SetAclResponse {
        /// Metadata right after the change.
        pub stat: Stat,
    }
}
