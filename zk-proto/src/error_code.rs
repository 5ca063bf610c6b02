//! Error codes (`KeeperException.Code`).

use std::fmt;

use bytes::BytesMut;

use crate::jute::{Decode, DecodeError, Encode, Reader};

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// A server's verdict. Codes this list does not know survive as `Other`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
            /// A code unknown to this library.
            Other(i32),
        }

        impl ErrorCode {
            /// Every code with a name.
            pub const NAMED: &'static [Self] = &[$(Self::$name),*];

            /// The number on the wire.
            pub const fn code(self) -> i32 {
                match self {
                    $(Self::$name => $code,)*
                    Self::Other(code) => code,
                }
            }
        }

        impl From<i32> for ErrorCode {
            fn from(code: i32) -> Self {
                match code {
                    $($code => Self::$name,)*
                    other => Self::Other(other),
                }
            }
        }

        impl fmt::Display for ErrorCode {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name => f.write_str($text),)*
                    Self::Other(code) => write!(f, "error {code}"),
                }
            }
        }
    };
}

error_codes! {
    /// No error.
    Ok = 0, "ok";
    /// Marks the range of system errors; never sent.
    SystemError = -1, "system error";
    /// An operation of a multi that was not reached because an earlier one failed.
    RuntimeInconsistency = -2, "not reached because another operation of the transaction failed";
    /// Never sent.
    DataInconsistency = -3, "data inconsistency";
    /// Client side: the connection broke.
    ConnectionLoss = -4, "connection loss";
    /// The server could not decode the request.
    MarshallingError = -5, "request could not be decoded";
    /// The server does not know the operation.
    Unimplemented = -6, "operation not implemented by this server";
    /// Client side: no answer in time.
    OperationTimeout = -7, "operation timeout";
    /// An argument is invalid.
    BadArguments = -8, "bad arguments";
    /// The session vanished before the request was prepared.
    UnknownSession = -12, "unknown session";
    /// No synced quorum of the new configuration.
    NewConfigNoQuorum = -13, "no quorum of the new configuration is connected and up to date";
    /// A reconfiguration is under way.
    ReconfigInProgress = -14, "another reconfiguration is in progress";
    /// Marks the range of API errors; never sent.
    ApiError = -100, "api error";
    /// The znode, or for create and delete its parent, does not exist.
    NoNode = -101, "no such znode";
    /// The ACL refuses.
    NoAuth = -102, "not authorised";
    /// The expected version is not the current one.
    BadVersion = -103, "version does not match";
    /// Ephemeral znodes have no children.
    NoChildrenForEphemerals = -108, "ephemeral znodes cannot have children";
    /// The znode exists already.
    NodeExists = -110, "znode exists";
    /// The znode has children.
    NotEmpty = -111, "znode has children";
    /// The session has expired.
    SessionExpired = -112, "session expired";
    /// Client side.
    InvalidCallback = -113, "invalid callback";
    /// The ACL is empty, malformed or names nobody.
    InvalidAcl = -114, "invalid acl";
    /// Credentials were refused.
    AuthFailed = -115, "authentication failed";
    /// Client side, C library.
    Closing = -116, "closing";
    /// Client side, C library: nothing to process.
    Nothing = -117, "nothing";
    /// The session moved to another server.
    SessionMoved = -118, "session moved to another server";
    /// A write, or sync, on a read-only server.
    NotReadOnly = -119, "write refused by a read-only server";
    /// An ephemeral znode asked for on a local session.
    EphemeralOnLocalSession = -120, "ephemeral znodes need a global session";
    /// There was no such watch.
    NoWatcher = -121, "no such watch";
    /// Client side: the request's deadline passed.
    RequestTimeout = -122, "request timeout";
    /// `reconfigEnabled` is off.
    ReconfigDisabled = -123, "reconfiguration is disabled";
    /// The server insists on authentication.
    SessionClosedRequireSaslAuth = -124, "the server requires authentication";
    /// A hard quota would be exceeded.
    QuotaExceeded = -125, "quota exceeded";
    /// The request waited too long in the server and was not executed.
    ThrottledOp = -127, "throttled, not executed";
}

impl Encode for ErrorCode {
    fn encode(&self, out: &mut BytesMut) {
        self.code().encode(out);
    }
}

impl<'a> Decode<'a> for ErrorCode {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        i32::decode(reader).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_map_both_ways() {
        for &code in ErrorCode::NAMED {
            assert_eq!(ErrorCode::from(code.code()), code);
        }
        assert_eq!(ErrorCode::from(-99_999), ErrorCode::Other(-99_999));
        assert_eq!(ErrorCode::Other(-126).code(), -126);
    }
}
