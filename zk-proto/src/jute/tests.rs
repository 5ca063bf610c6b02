use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::{Decode, DecodeReason, Encode, Reader};

fn encoded(value: &impl Encode) -> Bytes {
    let mut out = BytesMut::new();
    value.encode(&mut out);
    out.freeze()
}

fn reason<'a, T: Decode<'a> + std::fmt::Debug>(bytes: &'a Bytes) -> DecodeReason {
    T::decode(&mut Reader::new(bytes)).unwrap_err().reason
}

#[test]
fn null_and_empty_are_distinct() {
    assert_eq!(&encoded(&None::<Bytes>)[..], [255, 255, 255, 255]);
    assert_eq!(&encoded(&Some(Bytes::new()))[..], [0, 0, 0, 0]);
    let null = Bytes::from_static(&[255; 4]);
    let empty = Bytes::from_static(&[0; 4]);
    assert_eq!(Option::<Bytes>::decode(&mut Reader::new(&null)), Ok(None));
    assert_eq!(
        Option::<Bytes>::decode(&mut Reader::new(&empty)),
        Ok(Some(Bytes::new()))
    );
    assert_eq!(
        Option::<Vec<i32>>::decode(&mut Reader::new(&null)),
        Ok(None)
    );
    assert_eq!(
        Option::<Vec<i32>>::decode(&mut Reader::new(&empty)),
        Ok(Some(vec![]))
    );
}

#[test]
fn a_null_where_a_value_is_required_is_an_error() {
    let null = Bytes::from_static(&[255; 4]);
    assert_eq!(reason::<String>(&null), DecodeReason::Null);
    assert_eq!(reason::<Vec<i32>>(&null), DecodeReason::Null);
}

#[test]
fn a_length_beyond_the_input_is_refused_before_anything_is_taken() {
    let huge = Bytes::from_static(&[0x7f, 255, 255, 255, 1, 2]);
    assert_eq!(
        reason::<String>(&huge),
        DecodeReason::Truncated {
            needed: 0x7fff_ffff,
            left: 2
        }
    );
    assert_eq!(
        reason::<Option<Bytes>>(&huge),
        DecodeReason::Truncated {
            needed: 0x7fff_ffff,
            left: 2
        }
    );
}

#[test]
fn a_huge_vector_count_ends_with_the_input() {
    let huge = Bytes::from_static(&[0x7f, 255, 255, 255, 0, 0, 0, 1]);
    assert_eq!(
        reason::<Vec<i32>>(&huge),
        DecodeReason::Truncated { needed: 4, left: 0 }
    );
}

#[test]
fn negative_lengths_other_than_null_fail_for_buffers_and_mean_empty_for_vectors() {
    let minus_two = Bytes::from_static(&[255, 255, 255, 254]);
    assert_eq!(
        reason::<Option<Bytes>>(&minus_two),
        DecodeReason::NegativeLength(-2)
    );
    assert_eq!(
        reason::<String>(&minus_two),
        DecodeReason::NegativeLength(-2)
    );
    assert_eq!(Vec::<i32>::decode(&mut Reader::new(&minus_two)), Ok(vec![]));
}

#[test]
fn any_non_zero_byte_is_true() {
    let byte = Bytes::from_static(&[7]);
    assert_eq!(bool::decode(&mut Reader::new(&byte)), Ok(true));
}

#[test]
fn invalid_utf8_becomes_the_replacement_character() {
    let bytes = Bytes::from_static(&[0, 0, 0, 2, b'/', 0xff]);
    assert_eq!(
        String::decode(&mut Reader::new(&bytes)).unwrap(),
        "/\u{fffd}"
    );
}

#[test]
fn buffers_share_the_frames_memory() {
    let frame = encoded(&Bytes::from_static(b"payload"));
    let data = Option::<Bytes>::decode(&mut Reader::new(&frame))
        .unwrap()
        .unwrap();
    assert_eq!(data.as_ptr(), frame[4..].as_ptr());
}

proptest! {
    #[test]
    fn primitives_round_trip(flag: bool, int: i32, long: i64, text: Option<String>, list: Option<Vec<i64>>) {
        let bytes = encoded(&(((flag, int), (long, text.clone())), list.clone()));
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(bool::decode(&mut reader).unwrap(), flag);
        prop_assert_eq!(i32::decode(&mut reader).unwrap(), int);
        prop_assert_eq!(i64::decode(&mut reader).unwrap(), long);
        prop_assert_eq!(Option::<Cow<'_, str>>::decode(&mut reader).unwrap(), text.map(Cow::Owned));
        prop_assert_eq!(Option::<Vec<i64>>::decode(&mut reader).unwrap(), list);
        prop_assert_eq!(reader.remaining(), 0);
    }
}
