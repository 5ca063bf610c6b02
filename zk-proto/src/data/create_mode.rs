//! The kinds of znode a client can create.

use std::time::Duration;

use crate::op_code::OpCode;

/// The longest time to live: 40 bits of milliseconds, about 34.8 years.
pub const MAX_TTL: Duration = Duration::from_millis(0xff_ffff_ffff);

/// What kind of znode to create. On the wire an enumeration, not a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CreateMode {
    /// Lives until it is deleted.
    #[default]
    Persistent,
    /// Dies with the session that created it. Has no children.
    Ephemeral,
    /// Persistent, with the parent's counter appended to its name.
    PersistentSequential,
    /// Ephemeral, with the parent's counter appended to its name.
    EphemeralSequential,
    /// Deleted by the server some time after its last child is gone. Since 3.5.1.
    Container,
    /// Deleted by the server once it has had no children and no change of data for
    /// this long, in whole milliseconds from 1 to [`MAX_TTL`]. Since 3.5.3; needs
    /// `extendedTypesEnabled` on the server, which otherwise answers `Unimplemented`.
    PersistentWithTtl(Duration),
    /// As `PersistentWithTtl`, with the parent's counter appended to its name.
    PersistentSequentialWithTtl(Duration),
}

impl CreateMode {
    /// The wire's `flags`.
    pub const fn flags(self) -> i32 {
        match self {
            Self::Persistent => 0,
            Self::Ephemeral => 1,
            Self::PersistentSequential => 2,
            Self::EphemeralSequential => 3,
            Self::Container => 4,
            Self::PersistentWithTtl(_) => 5,
            Self::PersistentSequentialWithTtl(_) => 6,
        }
    }

    /// The mode that `flags` name; `ttl` is used by the TTL modes alone.
    pub const fn from_flags(flags: i32, ttl: Duration) -> Option<Self> {
        match flags {
            0 => Some(Self::Persistent),
            1 => Some(Self::Ephemeral),
            2 => Some(Self::PersistentSequential),
            3 => Some(Self::EphemeralSequential),
            4 => Some(Self::Container),
            5 => Some(Self::PersistentWithTtl(ttl)),
            6 => Some(Self::PersistentSequentialWithTtl(ttl)),
            _ => None,
        }
    }

    /// The operation that creates this kind; `with_stat` asks for the new znode's
    /// `Stat` in the reply, which containers and TTL znodes send in any case.
    pub const fn op_code(self, with_stat: bool) -> OpCode {
        match self {
            Self::Persistent
            | Self::Ephemeral
            | Self::PersistentSequential
            | Self::EphemeralSequential => {
                if with_stat {
                    OpCode::Create2
                } else {
                    OpCode::Create
                }
            }
            Self::Container => OpCode::CreateContainer,
            Self::PersistentWithTtl(_) | Self::PersistentSequentialWithTtl(_) => OpCode::CreateTtl,
        }
    }

    /// Whether the znode dies with its session.
    pub const fn is_ephemeral(self) -> bool {
        matches!(self, Self::Ephemeral | Self::EphemeralSequential)
    }

    /// Whether the server appends a counter to the name.
    pub const fn is_sequential(self) -> bool {
        matches!(
            self,
            Self::PersistentSequential
                | Self::EphemeralSequential
                | Self::PersistentSequentialWithTtl(_)
        )
    }

    /// The time to live, for the modes that have one.
    pub const fn ttl(self) -> Option<Duration> {
        match self {
            Self::PersistentWithTtl(ttl) | Self::PersistentSequentialWithTtl(ttl) => Some(ttl),
            Self::Persistent
            | Self::Ephemeral
            | Self::PersistentSequential
            | Self::EphemeralSequential
            | Self::Container => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_modes_map_both_ways() {
        let ttl = Duration::from_millis(5);
        for flags in 0..=6 {
            assert_eq!(
                CreateMode::from_flags(flags, ttl).map(CreateMode::flags),
                Some(flags)
            );
        }
        assert_eq!(CreateMode::from_flags(7, ttl), None);
        assert_eq!(CreateMode::from_flags(-1, ttl), None);
    }
}
