//! F1: a byte stream, cut into pieces in every possible way, as frames.

use bytes::{Bytes, BytesMut};
use zk_proto::{FrameDecoder, FrameError};

/// The first byte of the input times this is the frame limit.
const LIMIT_UNIT: usize = 16;

/// The first byte gives the frame limit, the second the sizes of the pieces, the
/// rest is the stream. However it is cut, the frames are those found by reading
/// the whole stream at once, and so are the end or the refusal.
pub(crate) fn check(input: &[u8]) {
    let &[limit, pieces, ref stream @ ..] = input else {
        return;
    };
    let limit = usize::from(limit) * LIMIT_UNIT;
    let expected = by_index(stream, limit);
    for cut in [Pieces::Whole, Pieces::Bytes, Pieces::Random(pieces)] {
        assert_eq!(
            by_pieces(stream, limit, cut),
            expected,
            "limit {limit}, {cut:?}"
        );
    }
}

#[derive(Debug, PartialEq)]
struct Split {
    frames: Vec<Bytes>,
    /// The bytes behind the last frame, or the refusal of the next.
    end: Result<Bytes, FrameError>,
}

/// The splitter's model: it sees everything and keeps no state.
fn by_index(stream: &[u8], limit: usize) -> Split {
    let mut frames = Vec::new();
    let mut at = 0;
    let end = loop {
        let rest = &stream[at..];
        let Some((word, payload)) = rest.split_first_chunk() else {
            break Ok(Bytes::copy_from_slice(rest));
        };
        let length = i32::from_be_bytes(*word);
        if length < 0 || length as usize > limit {
            break Err(FrameError { length, limit });
        }
        let Some(payload) = payload.get(..length as usize) else {
            break Ok(Bytes::copy_from_slice(rest));
        };
        frames.push(Bytes::copy_from_slice(payload));
        at += word.len() + payload.len();
    };
    Split { frames, end }
}

#[derive(Clone, Copy, Debug)]
enum Pieces {
    Whole,
    Bytes,
    Random(u8),
}

impl Pieces {
    /// The length of the next piece.
    fn next(&mut self) -> usize {
        match self {
            Self::Whole => usize::MAX,
            Self::Bytes => 1,
            Self::Random(state) => {
                *state = state.wrapping_mul(29).wrapping_add(113);
                1 + usize::from(*state >> 3)
            }
        }
    }
}

fn by_pieces(stream: &[u8], limit: usize, mut pieces: Pieces) -> Split {
    let decoder = FrameDecoder::new(limit);
    let (mut input, mut frames, mut rest) = (BytesMut::new(), Vec::new(), stream);
    loop {
        let room = input.capacity();
        match decoder.decode(&mut input) {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) if rest.is_empty() => {
                return Split {
                    frames,
                    end: Ok(input.freeze()),
                };
            }
            Ok(None) => {
                assert_eq!(
                    input.capacity(),
                    room,
                    "memory is reserved for an announcement"
                );
                let (piece, later) = rest.split_at(pieces.next().min(rest.len()));
                input.extend_from_slice(piece);
                rest = later;
            }
            Err(error) => {
                let held = input.len();
                assert_eq!(decoder.decode(&mut input), Err(error), "a refusal stands");
                assert_eq!(input.len(), held, "a refusal takes nothing");
                return Split {
                    frames,
                    end: Err(error),
                };
            }
        }
    }
}
