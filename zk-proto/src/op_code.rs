//! Operation codes (`ZooDefs.OpCode`).

macro_rules! op_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal),* $(,)?) => {
        /// What a request asks for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum OpCode {
            $($(#[$doc])* $name = $code),*
        }

        impl OpCode {
            /// Every operation, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }

        /// The code itself comes back when no operation has it.
        impl TryFrom<i32> for OpCode {
            type Error = i32;

            fn try_from(code: i32) -> Result<Self, i32> {
                match code {
                    $($code => Ok(Self::$name),)*
                    other => Err(other),
                }
            }
        }
    };
}

op_codes! {
    /// A watch event; never a request.
    Notification = 0,
    /// Creates a znode; replies with its path.
    Create = 1,
    /// Deletes a znode.
    Delete = 2,
    /// Reads a znode's `Stat`, or that it is missing.
    Exists = 3,
    /// Reads a znode's data.
    GetData = 4,
    /// Replaces a znode's data.
    SetData = 5,
    /// Reads a znode's ACL.
    GetAcl = 6,
    /// Replaces a znode's ACL.
    SetAcl = 7,
    /// Lists children.
    GetChildren = 8,
    /// Waits until the server has caught up with the leader.
    Sync = 9,
    /// Keeps the session alive.
    Ping = 11,
    /// Lists children, with the parent's `Stat`.
    GetChildren2 = 12,
    /// Checks a version. Only inside a multi: sent alone it damages the log of
    /// servers before 3.8.5 and 3.9.3 (ZOOKEEPER-2623).
    Check = 13,
    /// Several writes as one transaction.
    Multi = 14,
    /// Creates a znode; replies with path and `Stat`. Since 3.5.0.
    Create2 = 15,
    /// Changes the ensemble's membership.
    Reconfig = 16,
    /// Asks whether this connection has a watch.
    CheckWatches = 17,
    /// Removes a watch.
    RemoveWatches = 18,
    /// Creates a container. Since 3.5.1.
    CreateContainer = 19,
    /// Deletes a container or TTL znode; the server's own reaper alone may.
    DeleteContainer = 20,
    /// Creates a znode with a time to live. Since 3.5.3.
    CreateTtl = 21,
    /// Several reads in one request. Since 3.6.0.
    MultiRead = 22,
    /// Presents credentials.
    Auth = 100,
    /// Re-registers one-shot watches.
    SetWatches = 101,
    /// A step of a SASL exchange.
    Sasl = 102,
    /// Lists this session's ephemerals. Since 3.6.0.
    GetEphemerals = 103,
    /// Counts all descendants. Since 3.6.0.
    GetAllChildrenNumber = 104,
    /// Re-registers watches, persistent ones too. Since 3.6.0.
    SetWatches2 = 105,
    /// Adds a persistent watch. Since 3.6.0.
    AddWatch = 106,
    /// Lists the connection's identities. Since 3.7.0.
    WhoAmI = 107,
    /// Opens a session; server-internal.
    CreateSession = -10,
    /// Ends the session.
    CloseSession = -11,
    /// Marks an error inside a multi's results and the end of its list.
    Error = -1,
}

impl From<OpCode> for i32 {
    fn from(op: OpCode) -> Self {
        op as Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_operations_map_both_ways() {
        for &op in OpCode::ALL {
            assert_eq!(OpCode::try_from(i32::from(op)), Ok(op));
        }
        assert_eq!(OpCode::try_from(10), Err(10));
        assert_eq!(OpCode::try_from(23), Err(23));
    }
}
