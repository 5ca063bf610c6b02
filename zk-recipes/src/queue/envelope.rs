//! What Curator's queues put around items: one znode may hold several.
//!
//! ```text
//! i32 0x00010001,  then for each item  01, i32 length, bytes,  then 02      (big-endian)
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};

const VERSION: u32 = 0x0001_0001;
const ITEM: u8 = 1;
const END: u8 = 2;

/// The items, wrapped up.
///
/// # Panics
///
/// An item is longer than `i32::MAX`, which no frame could carry.
pub(super) fn wrap<'i>(items: impl IntoIterator<Item = &'i [u8]>) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u32(VERSION);
    for item in items {
        out.put_u8(ITEM);
        out.put_i32(i32::try_from(item.len()).expect("an item fits into a frame"));
        out.put_slice(item);
    }
    out.put_u8(END);
    out.freeze()
}

/// The items of a znode, copied; or what is wrong with its bytes.
pub(super) fn unwrap(mut data: &[u8]) -> Result<Vec<Bytes>, &'static str> {
    if data.try_get_u32() != Ok(VERSION) {
        return Err("it does not begin as Curator's queues do");
    }
    let mut items = Vec::new();
    loop {
        match data.try_get_u8() {
            Ok(ITEM) => {}
            Ok(END) if data.is_empty() => return Ok(items),
            Ok(END) => return Err("there is something behind its end"),
            Ok(_) => return Err("it holds something that is no item"),
            Err(_) => return Err("it ends too early"),
        }
        let length = data.try_get_i32().ok();
        let length = length.and_then(|length| usize::try_from(length).ok());
        let Some((item, rest)) = length.and_then(|length| data.split_at_checked(length)) else {
            return Err("an item's length is wrong");
        };
        items.push(Bytes::copy_from_slice(item));
        data = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_wrapped_as_by_curator() {
        let two: [&[u8]; 2] = [b"ab", b""];
        let wrapped = wrap(two);
        let expected = b"\0\x01\0\x01\x01\0\0\0\x02ab\x01\0\0\0\0\x02";
        assert_eq!(&wrapped[..], expected);
        assert_eq!(unwrap(&wrapped), Ok(vec!["ab".into(), Bytes::new()]));
        assert_eq!(unwrap(&wrap([])), Ok(vec![]));
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        let good = wrap([&b"ab"[..]]);
        for length in 0..good.len() {
            assert!(unwrap(&good[..length]).is_err(), "{length}");
        }
        for (at, byte) in [(0, 9), (4, 3), (5, 0x80), (8, 9)] {
            let mut bad = good.to_vec();
            bad[at] = byte;
            assert!(unwrap(&bad).is_err(), "{at}");
        }
        assert!(unwrap(&[&good[..], b"x"].concat()).is_err());
        assert!(unwrap(b"raw").is_err());
    }
}
