//! Reading and writing data, sync, check, reconfig.

use std::borrow::Cow;

use bytes::Bytes;

use crate::data::Stat;
use crate::jute::record;

record! {
    /// exists.
    pub struct ExistsRequest<'a> {
        /// Path.
        pub path: Cow<'a, str>,
        /// Leave a one-shot watch, also if the znode is missing.
        pub watch: bool,
    }
}

record! {
    /// Answers exists.
    pub struct ExistsResponse {
        /// The znode's metadata.
        pub stat: Stat,
    }
}

record! {
    /// getData.
    pub struct GetDataRequest<'a> {
        /// Path.
        pub path: Cow<'a, str>,
        /// Leave a one-shot watch, if the znode exists.
        pub watch: bool,
    }
}

record! {
    /// Answers getData and reconfig.
    pub struct GetDataResponse {
        /// Data; null and empty are distinct. A slice of the received frame.
        pub data: Option<Bytes>,
        /// The znode's metadata.
        pub stat: Stat,
    }
}

record! {
    /// setData.
    pub struct SetDataRequest<'a> {
        /// Path.
        pub path: Cow<'a, str>,
        /// New data; null and empty are distinct.
        pub data: Option<Cow<'a, [u8]>>,
        /// Version the data must have, −1 for any.
        pub version: i32,
    }
}

record! {
    /// Answers setData.
    pub struct SetDataResponse {
        /// Metadata right after the change.
        pub stat: Stat,
    }
}

record! {
    /// check, inside a multi only.
    pub struct CheckVersionRequest<'a> {
        /// Path.
        pub path: Cow<'a, str>,
        /// Version the data must have, −1 for any.
        pub version: i32,
    }
}

record! {
    /// sync.
    pub struct SyncRequest<'a> {
        /// Any text; echoed.
        pub path: Cow<'a, str>,
    }
}

record! {
    /// Answers sync.
    pub struct SyncResponse<'a> {
        /// What the request said.
        pub path: Cow<'a, str>,
    }
}

record! {
    /// reconfig, incremental (`joining`, `leaving`) or whole (`new_members`).
    /// Answered by [`GetDataResponse`] with the new configuration.
    pub struct ReconfigRequest<'a> {
        /// Servers to add, `server.N=…` joined by commas.
        pub joining_servers: Option<Cow<'a, str>>,
        /// Ids of servers to remove, joined by commas.
        pub leaving_servers: Option<Cow<'a, str>>,
        /// The whole new membership; excludes the two above.
        pub new_members: Option<Cow<'a, str>>,
        /// The version the configuration must have, −1 for any.
        pub config_id: i64,
    }
}
