//! The one message of an election, in every form that is in use.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

use super::vote::{PeerState, Vote};
use crate::quorum::ServerId;

/// What peers since 3.5 send.
pub(crate) const VERSION: i32 = 2;

/// 3.4.5 and older: nothing after the round.
const LEGACY_BYTES: usize = 28;
/// 3.4.6 to 3.4.14: an epoch and a version. Apache takes the version for 0.
const UNREAD_VERSION_BYTES: usize = 40;

/// What a peer thinks, Apache's `Notification`. Who sent it is not in it: that is
/// whose connection it came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    /// The sender's state, the leader it proposes or has, and its round.
    pub(crate) vote: Vote,
    /// The text of the sender's committed configuration, from version 2 on.
    pub(crate) config: Option<String>,
}

/// Why a message is dropped. The connection lives on (ZOOKEEPER-3769).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum NotificationError {
    /// It ends before its time.
    #[error("{0} bytes, too short")]
    Short(usize),
    /// No such state.
    #[error("unknown state {0}")]
    State(i32),
    /// A length that does not fit the rest.
    #[error("a configuration of {0} bytes does not fit")]
    ConfigLength(i32),
    /// Not UTF-8.
    #[error("the configuration is no text")]
    ConfigText,
}

impl Notification {
    /// The bytes of version 2, without the length of the frame.
    pub(crate) fn encode(&self) -> Bytes {
        let config = self.config.as_deref().unwrap_or_default();
        let mut bytes = BytesMut::with_capacity(44 + config.len());
        let vote = &self.vote;
        bytes.put_i32(vote.state.number());
        bytes.put_i64(vote.leader.0);
        bytes.put_i64(vote.zxid);
        bytes.put_i64(vote.round);
        bytes.put_i64(vote.peer_epoch);
        bytes.put_i32(VERSION);
        // The frame limit of the port, 512 KiB, is far below.
        bytes.put_i32(i32::try_from(config.len()).unwrap_or(i32::MAX));
        bytes.put_slice(config.as_bytes());
        bytes.freeze()
    }

    /// Reads a message of any version.
    ///
    /// # Errors
    ///
    /// Whatever Apache would drop, and text that is not UTF-8.
    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Self, NotificationError> {
        let size = bytes.len();
        let short = |_| NotificationError::Short(size);
        let state = bytes.try_get_i32().map_err(short)?;
        let leader = ServerId(bytes.try_get_i64().map_err(short)?);
        let zxid = bytes.try_get_i64().map_err(short)?;
        let round = bytes.try_get_i64().map_err(short)?;
        let state = PeerState::from_number(state).ok_or(NotificationError::State(state))?;
        let mut vote = Vote {
            version: 0,
            leader,
            zxid,
            round,
            peer_epoch: zxid >> 32,
            state,
        };
        if size > LEGACY_BYTES {
            vote.peer_epoch = bytes.try_get_i64().map_err(short)?;
            let version = bytes.try_get_i32().map_err(short)?;
            if size != UNREAD_VERSION_BYTES {
                vote.version = version;
            }
        }
        let config = if vote.version > 1 {
            Some(
                decode_config(bytes)
                    .map_err(|error| error.unwrap_or(NotificationError::Short(size)))?,
            )
        } else {
            None
        };
        Ok(Self { vote, config })
    }
}

/// `None` where the length itself is missing.
fn decode_config(mut bytes: &[u8]) -> Result<String, Option<NotificationError>> {
    let len = bytes.try_get_i32().map_err(|_| None)?;
    let config = usize::try_from(len).ok().and_then(|len| bytes.get(..len));
    let config = config.ok_or(NotificationError::ConfigLength(len))?;
    let config = str::from_utf8(config).map_err(|_| NotificationError::ConfigText)?;
    Ok(config.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn notification() -> Notification {
        Notification {
            vote: Vote {
                version: VERSION,
                leader: ServerId(3),
                zxid: 0x2_0000_0007,
                round: 9,
                peer_epoch: 5,
                state: PeerState::Leading,
            },
            config: Some("server.1=a:1:2:participant\nversion=0".to_owned()),
        }
    }

    /// A message of `size` bytes, whose config length is what fits.
    fn cut(size: usize) -> Result<Notification, NotificationError> {
        let mut bytes = notification().encode().to_vec();
        bytes.truncate(size);
        if size >= 44 {
            bytes[40..44].copy_from_slice(&(size as i32 - 44).to_be_bytes());
        }
        Notification::decode(&bytes)
    }

    #[test]
    fn version_2_reads_back() {
        let bytes = notification().encode();
        assert_eq!(bytes.len(), 44 + 36);
        assert_eq!(Notification::decode(&bytes), Ok(notification()));
    }

    #[test]
    fn the_layout_is_apaches() {
        let bytes = notification().encode();
        let expected = [
            &[0, 0, 0, 2][..],
            &3i64.to_be_bytes(),
            &0x2_0000_0007i64.to_be_bytes(),
            &9i64.to_be_bytes(),
            &5i64.to_be_bytes(),
            &[0, 0, 0, 2],
            &[0, 0, 0, 36],
            b"server.1=a:1:2:participant\nversion=0",
        ]
        .concat();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn every_size_has_its_rule() {
        for size in 0..28 {
            assert_eq!(cut(size), Err(NotificationError::Short(size)));
        }
        let legacy = cut(28).unwrap();
        assert_eq!((legacy.vote.version, legacy.vote.peer_epoch), (0, 2));
        for size in 29..40 {
            assert_eq!(cut(size), Err(NotificationError::Short(size)));
        }
        let unread = cut(40).unwrap();
        assert_eq!((unread.vote.version, unread.vote.peer_epoch), (0, 5));
        assert_eq!(unread.config, None);
        for size in 41..44 {
            assert_eq!(cut(size), Err(NotificationError::Short(size)));
        }
        assert_eq!(cut(44).unwrap().config.as_deref(), Some(""));
    }

    #[test]
    fn version_1_with_more_behind_it_has_no_config() {
        let mut bytes = notification().encode().to_vec();
        bytes[36..40].copy_from_slice(&1i32.to_be_bytes());
        let read = Notification::decode(&bytes).unwrap();
        assert_eq!((read.vote.version, read.config), (1, None));
    }

    #[test]
    fn nonsense_is_named() {
        let with = |at: usize, value: i32| {
            let mut bytes = notification().encode().to_vec();
            bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
            Notification::decode(&bytes).unwrap_err()
        };
        assert_eq!(with(0, 4), NotificationError::State(4));
        assert_eq!(with(0, -1), NotificationError::State(-1));
        assert_eq!(with(40, -1), NotificationError::ConfigLength(-1));
        assert_eq!(with(40, 37), NotificationError::ConfigLength(37));
        assert_eq!(with(44, -1), NotificationError::ConfigText);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            let _ = Notification::decode(&bytes);
        }
    }
}
