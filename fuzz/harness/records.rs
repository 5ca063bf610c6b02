//! F2: arbitrary bytes as every record.

use std::cell::OnceCell;
use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use zk_proto::record::*;
use zk_proto::{Acl, AclId, Decode, DecodeError, Encode, Reader, Stat};

/// The longest a byte can become: as invalid UTF-8 it turns into U+FFFD.
const GROWTH: usize = '\u{fffd}'.len_utf8();

/// Reads `input` as each record in turn. Nothing panics, an error says where it
/// is, and what decodes is the same after a second round.
pub(crate) fn check(input: &[u8]) {
    let input = Bytes::copy_from_slice(input);
    macro_rules! each {
        ($($record:ident)*) => {
            $(round_trip(stringify!($record), &input, &OnceCell::new(), $record::decode);)*
        };
    }
    every_record!(each);
}

fn round_trip<'a, T: Encode + Debug + PartialEq>(
    name: &str,
    input: &'a Bytes,
    second_round: &'a OnceCell<Bytes>,
    decode: impl Fn(&mut Reader<'a>) -> Result<T, DecodeError>,
) {
    let mut reader = Reader::new(input);
    let value = match decode(&mut reader) {
        Ok(value) => value,
        Err(error) => return assert_named(name, &error),
    };
    let taken = input.len() - reader.remaining();
    let mut out = BytesMut::new();
    value.encode(&mut out);
    assert!(
        out.len() <= GROWTH * taken,
        "{name} grew from {taken} to {} bytes",
        out.len()
    );

    let mut reader = Reader::new(second_round.get_or_init(|| out.freeze()));
    let again = decode(&mut reader);
    assert_eq!(again.as_ref(), Ok(&value), "{name}");
    assert_eq!(reader.remaining(), 0, "{name} left bytes of its own");
}

fn assert_named(name: &str, error: &DecodeError) {
    assert!(
        !error.record.is_empty() && !error.field.is_empty(),
        "{name} fails without saying where: {error}"
    );
}
