//! What stands in front of every body.

use crate::error_code::ErrorCode;
use crate::ids::{Xid, Zxid};
use crate::jute::record;

record! {
    /// Starts every request after the handshake.
    pub struct RequestHeader {
        /// The client's number for the request.
        pub xid: Xid,
        /// The operation's code; not an [`OpCode`](crate::OpCode), because a
        /// server must be able to name the ones it does not know.
        pub op: i32,
    }
}

record! {
    /// Starts every reply after the handshake. A body follows only if `err` is
    /// `Ok`.
    pub struct ReplyHeader {
        /// The request's number, or a reserved one.
        pub xid: Xid,
        /// The server's last applied transaction when the reply was made. Only
        /// positive values of ordinary replies count as seen.
        pub zxid: Zxid,
        /// The verdict.
        pub err: ErrorCode,
    }
}

record! {
    /// Stands in front of every operation and result inside a multi, and ends
    /// the list.
    pub struct MultiHeader {
        /// The operation's code, −1 for an error result and for the end.
        pub op: i32,
        /// Whether the list ends here.
        pub done: bool,
        /// The result's verdict; −1 in requests.
        pub err: i32,
    }
}

impl MultiHeader {
    /// The end of the list.
    pub const END: Self = Self {
        op: -1,
        done: true,
        err: -1,
    };
}
