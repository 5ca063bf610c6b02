//! Bytes as they arrive, in chunks that follow the traffic.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, BytesMut};
use tokio_util::io::poll_read_buf;
use zk_env::{BoxStream, Probe};

/// What an idle connection keeps; a few hundred pings.
const SMALL_CHUNK: usize = 4 << 10;
/// The most that is read at once, and so the most a retained frame can pin.
const LARGE_CHUNK: usize = 64 << 10;

/// What a simulator calls few: less than a length word and an xid.
const FEW_BYTES: usize = 7;

/// The input of one connection that has not been split into frames yet.
#[derive(Debug)]
pub(super) struct ReadBuffer {
    pub(super) bytes: BytesMut,
    chunk: usize,
    probe: Probe,
}

impl ReadBuffer {
    pub(super) fn new(probe: Probe) -> Self {
        Self {
            bytes: BytesMut::new(),
            chunk: SMALL_CHUNK,
            probe,
        }
    }

    /// Reads once, at most one chunk; 0 is the end of the stream.
    pub(super) fn poll_read(
        &mut self,
        stream: &mut BoxStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.make_room();
        let limit = if self.probe.buggify("server: read few bytes") {
            FEW_BYTES
        } else {
            self.chunk
        };
        let mut room = (&mut self.bytes).limit(limit);
        let read = ready!(poll_read_buf(Pin::new(stream), cx, &mut room))?;
        if read == self.chunk {
            self.chunk = LARGE_CHUNK;
        } else if read < SMALL_CHUNK {
            self.chunk = SMALL_CHUNK;
        }
        Poll::Ready(Ok(read))
    }

    /// Room for one chunk. Memory of a burst that is over goes back.
    fn make_room(&mut self) {
        if self.bytes.is_empty() && self.bytes.capacity() > self.chunk * 4 {
            self.bytes = BytesMut::new();
        }
        self.bytes.reserve(self.chunk);
    }
}
