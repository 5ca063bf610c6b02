//! Enumerations around watches.

use bytes::BytesMut;

use crate::jute::{Decode, DecodeError, DecodeReason, Encode, Reader};

macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $code),*
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
        }

        /// The number itself comes back when no value has it.
        impl TryFrom<i32> for $name {
            type Error = i32;

            fn try_from(code: i32) -> Result<Self, i32> {
                match code {
                    $($code => Ok(Self::$variant),)*
                    other => Err(other),
                }
            }
        }

        impl From<$name> for i32 {
            fn from(value: $name) -> Self {
                value as Self
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut BytesMut) {
                i32::from(*self).encode(out);
            }
        }

        impl<'a> Decode<'a> for $name {
            fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
                Self::try_from(i32::decode(reader)?)
                    .map_err(|code| DecodeError::new(DecodeReason::UnknownValue(code.into())))
            }
        }
    };
}

wire_enum! {
    /// What happened to a znode, or to a watch.
    EventType {
        /// Nothing happened to a znode: the event tells of the session's state.
        None = -1,
        /// The znode was created.
        NodeCreated = 1,
        /// The znode was deleted.
        NodeDeleted = 2,
        /// Its data was set.
        NodeDataChanged = 3,
        /// A child was created or deleted.
        NodeChildrenChanged = 4,
        /// A data watch was removed; made by the client.
        DataWatchRemoved = 5,
        /// A child watch was removed; made by the client.
        ChildWatchRemoved = 6,
        /// A persistent watch was removed; made by the client.
        PersistentWatchRemoved = 7,
    }
}

wire_enum! {
    /// The session's state as an event carries it.
    KeeperState {
        /// Unknown.
        Unknown = -1,
        /// Not connected.
        Disconnected = 0,
        /// Not used since 3.1.
        NoSyncConnected = 1,
        /// Connected.
        SyncConnected = 3,
        /// Credentials were refused.
        AuthFailed = 4,
        /// Connected to a read-only server.
        ConnectedReadOnly = 5,
        /// SASL succeeded.
        SaslAuthenticated = 6,
        /// The client was closed.
        Closed = 7,
        /// The session has expired.
        Expired = -112,
    }
}

wire_enum! {
    /// Which watches checkWatches and removeWatches speak of.
    WatcherType {
        /// One-shot child watches.
        Children = 1,
        /// One-shot data watches, those of exists among them.
        Data = 2,
        /// Every watch of the path.
        Any = 3,
        /// Persistent watches. Since 3.9.0; older servers answer `MarshallingError`.
        Persistent = 4,
        /// Persistent recursive watches. Since 3.9.0, as above.
        PersistentRecursive = 5,
    }
}

wire_enum! {
    /// How far a persistent watch reaches.
    AddWatchMode {
        /// The znode and its list of children.
        Persistent = 0,
        /// The znode and all its descendants; no child events.
        PersistentRecursive = 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_values_map_both_ways() {
        for &event in EventType::ALL {
            assert_eq!(EventType::try_from(i32::from(event)), Ok(event));
        }
        for &state in KeeperState::ALL {
            assert_eq!(KeeperState::try_from(i32::from(state)), Ok(state));
        }
        assert_eq!(WatcherType::try_from(6), Err(6));
        assert_eq!(AddWatchMode::try_from(2), Err(2));
    }
}
