//! Ways to cut a stream.

/// How a stream comes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pieces {
    /// At once.
    Whole,
    /// Byte by byte.
    Bytes,
    /// In pieces of up to 32 bytes, from a seed.
    Random(u8),
}

impl Pieces {
    /// All of them.
    pub(super) fn every(seed: u8) -> [Self; 3] {
        [Self::Whole, Self::Bytes, Self::Random(seed)]
    }

    /// Takes the next piece off `stream`, which is not empty.
    pub(super) fn next<'s>(&mut self, stream: &mut &'s [u8]) -> &'s [u8] {
        let len = match self {
            Self::Whole => usize::MAX,
            Self::Bytes => 1,
            Self::Random(state) => {
                *state = state.wrapping_mul(29).wrapping_add(113);
                1 + usize::from(*state >> 3)
            }
        };
        let (piece, rest) = stream.split_at(len.min(stream.len()));
        *stream = rest;
        piece
    }
}
