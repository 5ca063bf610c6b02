//! Writing jute.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

/// A value that can be written as jute bytes. Writing cannot fail: whoever frames
/// the result checks its size.
pub trait Encode {
    /// Appends the value to `out`.
    fn encode(&self, out: &mut BytesMut);
}

/// Lengths travel as `i32`. What does not fit is far over every frame limit, so
/// saturating here leaves the refusal to the frame check.
fn put_len(out: &mut BytesMut, len: usize) {
    out.put_i32(i32::try_from(len).unwrap_or(i32::MAX));
}

fn put_null(out: &mut BytesMut) {
    out.put_i32(-1);
}

impl Encode for bool {
    #[inline]
    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(u8::from(*self));
    }
}

impl Encode for i32 {
    #[inline]
    fn encode(&self, out: &mut BytesMut) {
        out.put_i32(*self);
    }
}

impl Encode for i64 {
    #[inline]
    fn encode(&self, out: &mut BytesMut) {
        out.put_i64(*self);
    }
}

impl Encode for [u8] {
    #[inline]
    fn encode(&self, out: &mut BytesMut) {
        put_len(out, self.len());
        out.put_slice(self);
    }
}

impl Encode for Bytes {
    #[inline]
    fn encode(&self, out: &mut BytesMut) {
        self[..].encode(out);
    }
}

impl Encode for Cow<'_, [u8]> {
    #[inline]
    fn encode(&self, out: &mut BytesMut) {
        self[..].encode(out);
    }
}

impl Encode for str {
    #[inline]
    fn encode(&self, out: &mut BytesMut) {
        self.as_bytes().encode(out);
    }
}

impl Encode for String {
    #[inline]
    fn encode(&self, out: &mut BytesMut) {
        self.as_str().encode(out);
    }
}

impl Encode for Cow<'_, str> {
    #[inline]
    fn encode(&self, out: &mut BytesMut) {
        self.as_bytes().encode(out);
    }
}

impl<T: Encode> Encode for Vec<T> {
    #[inline]
    fn encode(&self, out: &mut BytesMut) {
        put_len(out, self.len());
        for element in self {
            element.encode(out);
        }
    }
}

impl<T: Encode> Encode for Option<T> {
    #[inline]
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Some(value) => value.encode(out),
            None => put_null(out),
        }
    }
}

/// Nothing, for operations that are a header alone.
impl Encode for () {
    #[inline]
    fn encode(&self, _: &mut BytesMut) {}
}

/// One after the other: a header and its body.
impl<A: Encode, B: Encode> Encode for (A, B) {
    #[inline]
    fn encode(&self, out: &mut BytesMut) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    #[inline]
    fn encode(&self, out: &mut BytesMut) {
        (**self).encode(out);
    }
}
