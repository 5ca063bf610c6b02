//! Frames: a length word of four bytes, then that many bytes of payload.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::jute::Encode;

/// `jute.maxbuffer`'s default in Apache ZooKeeper since 3.6: 1 MiB − 1. A frame
/// of exactly this size is legal, one byte more is not.
pub const DEFAULT_FRAME_LIMIT: usize = 0xf_ffff;

const LENGTH_WORD: usize = 4;

/// A length word that no sane peer sends. The stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("frame of {length} bytes is not within 0 to {limit}")]
pub struct FrameError {
    /// What the length word says.
    pub length: i32,
    /// The largest payload accepted.
    pub limit: usize,
}

/// Splits a byte stream into frames, however it was chunked.
#[derive(Clone, Debug)]
pub struct FrameDecoder {
    limit: usize,
}

impl FrameDecoder {
    /// Accepts payloads of up to `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self { limit }
    }

    /// Takes the next whole frame's payload off the front of `input`; `None` when
    /// more bytes are needed. The payload shares `input`'s memory. Nothing is
    /// reserved for a frame that has only been announced.
    ///
    /// # Errors
    ///
    /// A length word that is negative or over the limit; `input` is left as it was.
    pub fn decode(&self, input: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let Some(word) = input.first_chunk::<LENGTH_WORD>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(*word);
        let len = usize::try_from(length)
            .ok()
            .filter(|len| *len <= self.limit)
            .ok_or(FrameError {
                length,
                limit: self.limit,
            })?;
        if input.len() - LENGTH_WORD < len {
            return Ok(None);
        }
        input.advance(LENGTH_WORD);
        Ok(Some(input.split_to(len).freeze()))
    }
}

/// Appends `payload` as one frame and returns the payload's length, for whoever
/// has a limit to check.
pub fn encode_frame(out: &mut BytesMut, payload: &impl Encode) -> usize {
    let start = out.len();
    out.put_i32(0);
    payload.encode(out);
    let len = out.len() - start - LENGTH_WORD;
    let word = i32::try_from(len).unwrap_or(i32::MAX);
    out[start..start + LENGTH_WORD].copy_from_slice(&word.to_be_bytes());
    len
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_limit_itself_is_legal_and_one_more_is_not() {
        let decoder = FrameDecoder::new(3);
        let mut exact = BytesMut::from(&[0, 0, 0, 3, 1, 2, 3][..]);
        assert_eq!(
            decoder.decode(&mut exact),
            Ok(Some(Bytes::from_static(&[1, 2, 3])))
        );
        let mut over = BytesMut::from(&[0, 0, 0, 4][..]);
        assert_eq!(
            decoder.decode(&mut over),
            Err(FrameError {
                length: 4,
                limit: 3
            })
        );
    }

    #[test]
    fn a_negative_length_is_refused() {
        let mut input = BytesMut::from(&[255; 4][..]);
        let refused = FrameDecoder::new(9).decode(&mut input);
        assert_eq!(
            refused,
            Err(FrameError {
                length: -1,
                limit: 9
            })
        );
    }

    proptest! {
        #[test]
        fn chunking_does_not_matter(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..10),
            chunk in 1usize..20,
        ) {
            let mut stream = BytesMut::new();
            for payload in &payloads {
                encode_frame(&mut stream, &RawBytes(payload));
            }
            let (decoder, mut input, mut frames) = (FrameDecoder::new(64), BytesMut::new(), Vec::new());
            for piece in stream.chunks(chunk) {
                input.extend_from_slice(piece);
                while let Some(frame) = decoder.decode(&mut input).unwrap() {
                    frames.push(frame.to_vec());
                }
            }
            prop_assert_eq!(frames, payloads);
        }
    }

    struct RawBytes<'a>(&'a [u8]);

    impl Encode for RawBytes<'_> {
        fn encode(&self, out: &mut BytesMut) {
            out.put_slice(self.0);
        }
    }
}
