//! The first bytes on an election connection, from the one who dialled.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::quorum::{HostPort, ServerId};

/// One address, 3.5 and later.
const V1: i64 = -65536;
/// Any number of them, 3.6 and later.
const V2: i64 = -65535;
/// The longest list of addresses.
const MAX_ADDRS_BYTES: usize = 2048;
/// What an old observer calls itself.
const OBSERVER_ID: ServerId = ServerId(i64::MAX);

/// Who dials, and where it can be dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Handshake {
    /// `None` for an observer from before 3.5, which has no number.
    pub(super) sid: Option<ServerId>,
    /// Its election addresses; wildcards are left out (ZOOKEEPER-2164).
    pub(super) addrs: Vec<HostPort>,
}

/// Why a connection is closed before anything was said.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum HandshakeError {
    #[error("unknown protocol version {0}")]
    Version(i64),
    #[error("{0} bytes of addresses")]
    Length(i32),
    #[error("addresses that cannot be read")]
    Addrs,
}

/// The bytes to send in one write: Apache reads the addresses with one call and gives
/// up when they come in pieces.
pub(super) fn encode(sid: ServerId, addrs: &[HostPort], is_multi_address: bool) -> Bytes {
    let shown = if is_multi_address {
        addrs
    } else {
        &addrs[..addrs.len().min(1)]
    };
    let shown: Vec<_> = shown.iter().map(ToString::to_string).collect();
    let shown = shown.join("|");
    let mut bytes = BytesMut::with_capacity(20 + shown.len());
    bytes.put_i64(if is_multi_address { V2 } else { V1 });
    bytes.put_i64(sid.0);
    bytes.put_i32(i32::try_from(shown.len()).unwrap_or(i32::MAX));
    bytes.put_slice(shown.as_bytes());
    bytes.freeze()
}

/// Takes a handshake off the front of `input`; `None` if there is more of it to come.
pub(super) fn decode(input: &mut BytesMut) -> Result<Option<Handshake>, HandshakeError> {
    let mut bytes = &input[..];
    let Ok(version) = bytes.try_get_i64() else {
        return Ok(None);
    };
    if version >= 0 {
        // Before 3.5 the number was all.
        input.advance(8);
        return Ok(Some(Handshake {
            sid: numbered(ServerId(version)),
            addrs: Vec::new(),
        }));
    }
    if version != V1 && version != V2 {
        return Err(HandshakeError::Version(version));
    }
    let (Ok(sid), Ok(len)) = (bytes.try_get_i64(), bytes.try_get_i32()) else {
        return Ok(None);
    };
    let fits = usize::try_from(len)
        .ok()
        .filter(|len| (1..=MAX_ADDRS_BYTES).contains(len));
    let size = fits.ok_or(HandshakeError::Length(len))?;
    let Some(text) = bytes.get(..size) else {
        return Ok(None);
    };
    let text = str::from_utf8(text).map_err(|_| HandshakeError::Addrs)?;
    let addrs: Result<Vec<HostPort>, ()> = text.split('|').map(str::parse).collect();
    let mut addrs = addrs.map_err(|()| HandshakeError::Addrs)?;
    addrs.retain(|addr| !addr.is_wildcard());
    addrs.truncate(MAX_ADDRS);
    input.advance(20 + size);
    Ok(Some(Handshake {
        sid: numbered(ServerId(sid)),
        addrs,
    }))
}

/// Addresses that are kept of a stranger's list.
const MAX_ADDRS: usize = 16;

fn numbered(sid: ServerId) -> Option<ServerId> {
    (sid != OBSERVER_ID).then_some(sid)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn addrs(texts: &[&str]) -> Vec<HostPort> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// Seen on a 3.9.5 ensemble.
    #[test]
    fn the_bytes_are_apaches() {
        let bytes = encode(ServerId(1), &addrs(&["127.0.0.1:33881", "h:1"]), false);
        let expected = [
            &[
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 15,
            ][..],
            b"127.0.0.1:33881",
        ]
        .concat();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn handshakes_read_back_in_pieces() {
        let all = addrs(&["a:1", "[::1]:2"]);
        for (is_multi, expected) in [(false, &all[..1]), (true, &all[..])] {
            let bytes = encode(ServerId(7), &all, is_multi);
            let mut input = BytesMut::new();
            for byte in &bytes[..bytes.len() - 1] {
                input.put_u8(*byte);
                assert_eq!(decode(&mut input), Ok(None));
            }
            input.put_slice(&bytes[bytes.len() - 1..]);
            input.put_slice(b"rest");
            let read = decode(&mut input).unwrap().unwrap();
            assert_eq!((read.sid, &read.addrs[..]), (Some(ServerId(7)), expected));
            assert_eq!(&input[..], b"rest");
        }
    }

    #[test]
    fn old_peers_send_a_number() {
        let mut input = BytesMut::from(&[0, 0, 0, 0, 0, 0, 0, 5, 9][..]);
        let read = decode(&mut input).unwrap().unwrap();
        assert_eq!(
            (read.sid, read.addrs, input.len()),
            (Some(ServerId(5)), vec![], 1)
        );
        let mut input = BytesMut::from(&i64::MAX.to_be_bytes()[..]);
        assert_eq!(decode(&mut input).unwrap().unwrap().sid, None);
    }

    #[test]
    fn wildcards_are_no_addresses() {
        let mut input =
            BytesMut::from(&encode(ServerId(7), &addrs(&["0.0.0.0:1", "a:2"]), true)[..]);
        assert_eq!(decode(&mut input).unwrap().unwrap().addrs, addrs(&["a:2"]));
    }

    #[test]
    fn nonsense_is_refused() {
        let with = |version: i64, len: i32, text: &[u8]| {
            let mut input = BytesMut::new();
            input.put_i64(version);
            input.put_i64(1);
            input.put_i32(len);
            input.put_slice(text);
            decode(&mut input).unwrap_err()
        };
        assert_eq!(with(-1, 3, b"a:1"), HandshakeError::Version(-1));
        assert_eq!(with(V1, 0, b""), HandshakeError::Length(0));
        assert_eq!(with(V1, 2049, b""), HandshakeError::Length(2049));
        assert_eq!(with(V1, -1, b""), HandshakeError::Length(-1));
        assert_eq!(with(V1, 1, b"a"), HandshakeError::Addrs);
        assert_eq!(with(V1, 3, b"\xff:1"), HandshakeError::Addrs);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&mut BytesMut::from(&bytes[..]));
        }
    }
}
