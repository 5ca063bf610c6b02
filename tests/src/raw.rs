//! One blocking connection that speaks frames and nothing more: no session, no
//! pings, no matching of replies. For tests that want to see exactly what a
//! server sends.

#![expect(
    clippy::disallowed_methods,
    reason = "a blocking socket outside of any runtime has the system's clock"
)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use zk_proto::{Encode, FrameDecoder, encode_frame};

/// Replies may be larger than any request: servers do not limit them.
const REPLY_LIMIT: usize = 64 << 20;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_CHUNK: usize = 64 << 10;

/// What came, or did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A frame's payload.
    Frame(Bytes),
    /// The peer ended the connection. FIN, RST and a length word that no server
    /// sends are one to whoever waits for an answer.
    Closed,
    /// Nothing within the time given; the connection is as it was.
    TimedOut,
}

/// A connection that sends and receives whole frames.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
    frames: FrameDecoder,
    input: BytesMut,
}

impl RawConnection {
    /// Connects. Nothing is sent.
    ///
    /// # Errors
    ///
    /// Nobody listens there, or the system refuses.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            frames: FrameDecoder::new(REPLY_LIMIT),
            input: BytesMut::new(),
        })
    }

    /// Sends `payload` as one frame.
    ///
    /// # Errors
    ///
    /// The connection is broken; what the peer sent before can still be received.
    pub fn send(&mut self, payload: &impl Encode) -> io::Result<()> {
        let mut frame = BytesMut::new();
        encode_frame(&mut frame, payload);
        self.send_bytes(&frame)
    }

    /// Sends bytes as they are, length word included or not.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Waits for the next frame, up to `patience`.
    pub fn receive(&mut self, patience: Duration) -> Received {
        let deadline = Instant::now() + patience;
        loop {
            match self.frames.decode(&mut self.input) {
                Ok(Some(frame)) => return Received::Frame(frame),
                Ok(None) => {}
                Err(_) => return Received::Closed,
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Received::TimedOut;
            }
            match self.read(left) {
                Ok(0) => return Received::Closed,
                Ok(_) => {}
                Err(error) if is_timeout(&error) => return Received::TimedOut,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Received::Closed,
            }
        }
    }

    fn read(&mut self, patience: Duration) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(patience))?;
        let mut chunk = [0; READ_CHUNK];
        let count = self.stream.read(&mut chunk)?;
        self.input.extend_from_slice(&chunk[..count]);
        Ok(count)
    }
}

/// Unix says one, Windows the other.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
