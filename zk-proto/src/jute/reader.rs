//! Reading jute.

use std::borrow::Cow;

use bytes::Bytes;

use super::text::decode_text;
use super::{DecodeError, DecodeReason};

/// What stands in front of a buffer, a string or a vector.
const LENGTH_WORD: usize = size_of::<i32>();

/// Reads jute fields from one frame. Buffers come out as slices of the frame,
/// without a copy.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    frame: &'a Bytes,
    at: usize,
}

/// A value that can be read from jute bytes.
pub trait Decode<'a>: Sized {
    /// No value takes fewer bytes. At least 1: a vector reserves room for no more
    /// elements than could be there.
    const MIN_LEN: usize = 1;

    /// Reads one value and moves past it. Bytes behind the value stay unread.
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError>;
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `frame`.
    pub const fn new(frame: &'a Bytes) -> Self {
        Self { frame, at: 0 }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.frame.len() - self.at
    }

    /// The bytes not read yet, as a slice that shares the frame's memory.
    #[inline]
    pub fn rest(&self) -> Bytes {
        self.frame.slice(self.at..)
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        match self.frame[self.at..].get(..len) {
            Some(bytes) => {
                self.at += len;
                Ok(bytes)
            }
            None => Err(self.truncated(len)),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.frame[self.at..].first_chunk() {
            Some(array) => {
                self.at += N;
                Ok(*array)
            }
            None => Err(self.truncated(N)),
        }
    }

    /// Apart from the rest, which is hot.
    #[cold]
    fn truncated(&self, needed: usize) -> DecodeError {
        let left = self.remaining();
        DecodeError::new(DecodeReason::Truncated { needed, left })
    }

    /// The bytes of a buffer or string; `None` for null. The length is checked
    /// against the bytes that are there before anything is taken.
    #[inline]
    fn counted(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        let len = i32::decode(self)?;
        if len == -1 {
            return Ok(None);
        }
        let len = usize::try_from(len)
            .map_err(|_| DecodeError::new(DecodeReason::NegativeLength(len)))?;
        self.take(len).map(Some)
    }
}

fn required<T>(value: Option<T>) -> Result<T, DecodeError> {
    value.ok_or(const { DecodeError::new(DecodeReason::Null) })
}

impl<'a> Decode<'a> for bool {
    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.array::<1>().map(|[byte]| byte != 0)
    }
}

impl<'a> Decode<'a> for i32 {
    const MIN_LEN: usize = size_of::<Self>();

    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.array().map(Self::from_be_bytes)
    }
}

impl<'a> Decode<'a> for i64 {
    const MIN_LEN: usize = size_of::<Self>();

    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.array().map(Self::from_be_bytes)
    }
}

impl<'a> Decode<'a> for Option<Bytes> {
    const MIN_LEN: usize = LENGTH_WORD;

    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let bytes = reader.counted()?;
        Ok(bytes.map(|bytes| reader.frame.slice_ref(bytes)))
    }
}

impl<'a> Decode<'a> for Option<Cow<'a, [u8]>> {
    const MIN_LEN: usize = LENGTH_WORD;

    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(reader.counted()?.map(Cow::Borrowed))
    }
}

/// Invalid UTF-8 becomes U+FFFD, as in Java's decoder, sequence for sequence; in a
/// path that character is forbidden, so it cannot be mistaken for a valid name.
impl<'a> Decode<'a> for Option<Cow<'a, str>> {
    const MIN_LEN: usize = LENGTH_WORD;

    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(reader.counted()?.map(decode_text))
    }
}

impl<'a> Decode<'a> for Cow<'a, str> {
    const MIN_LEN: usize = LENGTH_WORD;

    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        required(Option::decode(reader)?)
    }
}

impl<'a> Decode<'a> for String {
    const MIN_LEN: usize = LENGTH_WORD;

    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Cow::decode(reader).map(Cow::into_owned)
    }
}

impl<'a> Decode<'a> for Option<String> {
    const MIN_LEN: usize = LENGTH_WORD;

    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Option::<Cow<'a, str>>::decode(reader)?.map(Cow::into_owned))
    }
}

/// −1 is null; any other negative count reads as empty, as in Java's
/// `BinaryInputArchive`. The bytes that are there bound the loop and the
/// allocation, whatever the count claims.
impl<'a, T: Decode<'a>> Decode<'a> for Option<Vec<T>> {
    const MIN_LEN: usize = LENGTH_WORD;

    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        const { assert!(T::MIN_LEN > 0, "an element takes no bytes") };
        let count = i32::decode(reader)?;
        if count == -1 {
            return Ok(None);
        }
        let count = usize::try_from(count).unwrap_or(0);
        let mut elements = Vec::with_capacity(count.min(reader.remaining() / T::MIN_LEN));
        for _ in 0..count {
            elements.push(T::decode(reader)?);
        }
        Ok(Some(elements))
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Vec<T> {
    const MIN_LEN: usize = LENGTH_WORD;

    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        required(Option::decode(reader)?)
    }
}
