//! Listing and counting znodes.

use std::borrow::Cow;

use crate::data::Stat;
use crate::jute::record;

record! {
    /// getChildren.
    pub struct GetChildrenRequest<'a> {
        /// Path.
        pub path: Cow<'a, str>,
        /// Leave a one-shot child watch, if the znode exists.
        pub watch: bool,
    }
}

record! {
    /// Answers getChildren.
    pub struct GetChildrenResponse {
        /// Names, in no order.
        pub children: Vec<String>,
    }
}

record! {
    /// getChildren2.
    pub struct GetChildren2Request<'a> {
        /// Path.
        pub path: Cow<'a, str>,
        /// Leave a one-shot child watch, if the znode exists.
        pub watch: bool,
    }
}

record! {
    /// Answers getChildren2.
    pub struct GetChildren2Response {
        /// Names, in no order.
        pub children: Vec<String>,
        /// The parent's metadata.
        pub stat: Stat,
    }
}

record! {
    /// getAllChildrenNumber.
    pub struct GetAllChildrenNumberRequest<'a> {
        /// Path.
        pub path: Cow<'a, str>,
    }
}

record! {
    /// Answers getAllChildrenNumber.
    pub struct GetAllChildrenNumberResponse {
        /// Descendants, the znode itself not counted.
        pub total_number: i32,
    }
}

record! {
    /// getEphemerals.
    pub struct GetEphemeralsRequest<'a> {
        /// Only paths that start with this text; null, blank or `/` for all.
        pub prefix_path: Option<Cow<'a, str>>,
    }
}

record! {
    /// Answers getEphemerals.
    pub struct GetEphemeralsResponse {
        /// Full server paths, in no order.
        pub ephemerals: Vec<String>,
    }
}
