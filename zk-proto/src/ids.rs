//! Identifiers as types, so that a zxid is never mistaken for a session id.

use std::fmt;

use bytes::BytesMut;

use crate::jute::{Decode, DecodeError, Encode, Reader};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl Encode for $name {
            #[inline]
            fn encode(&self, out: &mut BytesMut) {
                self.0.encode(out);
            }
        }

        impl<'a> Decode<'a> for $name {
            const MIN_LEN: usize = <$inner>::MIN_LEN;

            #[inline]
            fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
                <$inner>::decode(reader).map(Self)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id! {
    /// A transaction id: the ensemble's epoch in the high 32 bits, a counter in
    /// the low. Orders every change the ensemble ever made.
    Zxid(i64)
}

id! {
    /// The number a client gives a request; the reply carries it back.
    Xid(i32)
}

id! {
    /// A session's id. Signed on the wire; zero means "none yet".
    SessionId(i64)
}

impl Zxid {
    /// "Nothing seen yet".
    pub const ZERO: Self = Self(0);

    /// The ensemble's epoch.
    pub const fn epoch(self) -> i64 {
        self.0 >> 32
    }

    /// The counter within the epoch.
    pub const fn counter(self) -> u32 {
        self.0 as u32
    }
}

impl Xid {
    /// A watch event, sent by the server unasked.
    pub const NOTIFICATION: Self = Self(-1);
    /// A ping; its reply carries this xid whatever the request used.
    pub const PING: Self = Self(-2);
    /// An auth packet; its reply may overtake others.
    pub const AUTH: Self = Self(-4);
    /// The re-registration of watches after a reconnect.
    pub const SET_WATCHES: Self = Self(-8);

    /// The next ordinary xid. Wraps to 1, clear of the reserved values (ZOOKEEPER-3253).
    #[must_use]
    pub const fn next(self) -> Self {
        if self.0 <= 0 || self.0 == i32::MAX {
            Self(1)
        } else {
            Self(self.0 + 1)
        }
    }
}

impl SessionId {
    /// Asks for a new session; in a reply, says that the session is gone.
    pub const NONE: Self = Self(0);
}

/// As operators know them: hexadecimal.
impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// As operators know them: hexadecimal.
impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// The secret that lets a client resume its session. Never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Password(Vec<u8>);

impl Password {
    /// What a client without a session sends: sixteen zeros.
    pub fn none() -> Self {
        Self(vec![0; 16])
    }

    /// A password as it came from the server or from storage.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The secret itself, to store it or compare it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl Encode for Password {
    fn encode(&self, out: &mut BytesMut) {
        self.0[..].encode(out);
    }
}

/// Null reads as empty: no server accepts either.
impl<'a> Decode<'a> for Password {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let bytes = Option::<std::borrow::Cow<'a, [u8]>>::decode(reader)?;
        Ok(Self(bytes.unwrap_or_default().into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xids_wrap_clear_of_the_reserved_values() {
        assert_eq!(Xid(0).next(), Xid(1));
        assert_eq!(Xid(i32::MAX - 1).next(), Xid(i32::MAX));
        assert_eq!(Xid(i32::MAX).next(), Xid(1));
        assert_eq!(Xid(-8).next(), Xid(1));
    }

    #[test]
    fn ids_print_as_operators_know_them() {
        assert_eq!(Zxid(0x1_0000_0002).to_string(), "0x100000002");
        assert_eq!(SessionId(-1).to_string(), "0xffffffffffffffff");
        assert_eq!(
            (Zxid(0x1_0000_0002).epoch(), Zxid(0x1_0000_0002).counter()),
            (1, 2)
        );
    }

    #[test]
    fn a_password_does_not_show() {
        assert_eq!(
            format!("{:?}", Password::new(*b"0123456789abcdef")),
            "Password(..)"
        );
    }
}
