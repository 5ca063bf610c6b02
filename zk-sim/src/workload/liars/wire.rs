//! Frames over a connection, for whoever writes them by hand.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zk_env::BoxStream;
use zk_proto::{Encode, FrameDecoder, encode_frame};

/// No client sends more.
const LIMIT: usize = 1 << 20;

pub(super) struct Wire {
    stream: BoxStream,
    input: BytesMut,
    frames: FrameDecoder,
}

impl Wire {
    pub(super) fn new(stream: BoxStream) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            frames: FrameDecoder::new(LIMIT),
        }
    }

    /// The next frame; an error at the end of the connection.
    pub(super) async fn read(&mut self) -> io::Result<Bytes> {
        loop {
            let frame = self.frames.decode(&mut self.input);
            if let Some(frame) = frame.map_err(|_| io::ErrorKind::InvalidData)? {
                return Ok(frame);
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Whether the peer begins with this instead of a frame.
    pub(super) async fn begins_with(&mut self, word: &[u8]) -> io::Result<bool> {
        while self.input.len() < word.len() {
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.input.starts_with(word))
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }
}

/// The value as a frame.
pub(super) fn frame(value: &impl Encode) -> BytesMut {
    let mut out = BytesMut::new();
    encode_frame(&mut out, value);
    out
}

/// Bytes as they are.
pub(super) struct Plain<'a>(pub(super) &'a [u8]);

impl Encode for Plain<'_> {
    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(self.0);
    }
}
