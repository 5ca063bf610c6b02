//! Frames over a real socket, for whoever plays one end of the protocol.
#![expect(
    clippy::disallowed_methods,
    reason = "fixtures stand outside the seam, on real sockets"
)]

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zk_proto::{Encode, FrameDecoder, encode_frame};

/// Well above every frame a test sends on purpose.
const FRAME_LIMIT: usize = 16 << 20;

/// A connection that speaks frames.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    input: BytesMut,
    frames: FrameDecoder,
}

impl Wire {
    /// Connects to `host`, a `host:port`.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub async fn connect(host: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        Ok(Self::new(stream))
    }

    /// Frames over a stream that is connected already.
    pub fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            frames: FrameDecoder::new(FRAME_LIMIT),
        }
    }

    /// The next frame's payload; `None` when the peer has closed, also in the
    /// middle of a frame.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// Those of the socket, and a length word beyond all reason.
    pub async fn read_frame(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let frame = self.frames.decode(&mut self.input);
            if let Some(frame) = frame.map_err(io::Error::other)? {
                return Ok(Some(frame));
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Everything the peer sends until it closes.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub async fn read_to_end(&mut self) -> io::Result<Bytes> {
        while self.stream.read_buf(&mut self.input).await? != 0 {}
        Ok(self.input.split().freeze())
    }

    /// Writes one frame.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub async fn write_frame(&mut self, payload: &impl Encode) -> io::Result<()> {
        let mut out = BytesMut::new();
        encode_frame(&mut out, payload);
        self.stream.write_all(&out).await
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub async fn write_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Closes so that the peer sees a reset instead of an end of stream.
    pub fn reset(self) {
        reset_on_drop(&self.stream);
    }

    /// Ends what this side sends; the peer may go on.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}

/// Makes the coming close of `stream` a reset.
pub(crate) fn reset_on_drop(stream: &TcpStream) {
    // Fails only on a socket that is gone already.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
