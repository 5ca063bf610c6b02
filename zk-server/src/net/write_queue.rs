//! Parcels on their way into one socket.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use tokio::io::AsyncWrite;
use zk_env::{BoxStream, Mono, Probe};

use super::outbox::{End, Outbox, Parcel};

/// Parcels handed to the system in one call.
const PARCELS_PER_WRITE: usize = 16;

/// What a simulator calls few: less than a length word and an xid.
const FEW_BYTES: usize = 7;

/// What one connection's task has taken from its outbox and not written yet.
#[derive(Debug, Default)]
pub(super) struct WriteQueue {
    parcels: VecDeque<Parcel>,
    bytes: usize,
    needs_flush: bool,
    probe: Probe,
}

impl WriteQueue {
    pub(super) fn new(probe: Probe) -> Self {
        Self {
            probe,
            ..Self::default()
        }
    }

    /// Whether everything is written and flushed.
    pub(super) fn is_done(&self) -> bool {
        self.parcels.is_empty() && !self.needs_flush
    }

    /// How many bytes there are still to write.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    /// Fetches what is in the outbox, once all before is written, so that what
    /// waits for a client that does not read is bounded there. Returns how the
    /// connection is to end, if it is.
    pub(super) fn fetch(&mut self, outbox: &Outbox) -> Option<End> {
        if !self.is_done() {
            return outbox.end();
        }
        let (bytes, end) = outbox.take(&mut self.parcels);
        self.bytes = bytes;
        end
    }

    /// Adds one more thing to write.
    pub(super) fn push(&mut self, parcel: Parcel) {
        self.bytes += parcel.bytes.len();
        self.parcels.push_back(parcel);
    }

    /// Until when the next parcel is held back.
    pub(super) fn held_until(&self, now: impl FnOnce() -> Mono) -> Option<Mono> {
        let due = self.parcels.front()?.due;
        (due > Mono::ZERO && due > now()).then_some(due)
    }

    /// Writes what is due; ready when that is done, and whether it was anything.
    pub(super) fn poll_write(
        &mut self,
        stream: &mut BoxStream,
        cx: &mut Context<'_>,
        now: impl Fn() -> Mono,
    ) -> Poll<io::Result<bool>> {
        let mut progress = false;
        while !self.parcels.is_empty() && self.held_until(&now).is_none() {
            let written = {
                let mut slices = [IoSlice::new(&[]); PARCELS_PER_WRITE];
                let mut count = self.due_slices(&mut slices, &now);
                if self.probe.buggify("server: write few bytes") {
                    count = 1;
                    let front = &self.parcels[0].bytes;
                    slices[0] = IoSlice::new(&front[..front.len().min(FEW_BYTES)]);
                }
                let stream = Pin::new(&mut *stream);
                ready!(stream.poll_write_vectored(cx, &slices[..count]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
            self.needs_flush = true;
            progress = true;
        }
        if self.needs_flush {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.needs_flush = false;
        }
        Poll::Ready(Ok(progress))
    }

    fn due_slices<'a>(
        &'a self,
        slices: &mut [IoSlice<'a>; PARCELS_PER_WRITE],
        now: impl Fn() -> Mono,
    ) -> usize {
        let is_due = |parcel: &&Parcel| parcel.due == Mono::ZERO || parcel.due <= now();
        let due = self.parcels.iter().take_while(is_due);
        let mut count = 0;
        for (slice, parcel) in slices.iter_mut().zip(due) {
            *slice = IoSlice::new(&parcel.bytes);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(front) = self.parcels.front_mut() {
            if front.bytes.len() > written {
                front.bytes.advance(written);
                return;
            }
            written -= front.bytes.len();
            self.parcels.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use bytes::Bytes;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn queue(parcels: &[(u64, &'static [u8])]) -> WriteQueue {
        let mut queue = WriteQueue::default();
        for (due, bytes) in parcels {
            queue.push(Parcel {
                due: at(*due),
                bytes: Bytes::from_static(bytes),
            });
        }
        queue
    }

    fn at(seconds: u64) -> Mono {
        Mono::from_origin(Duration::from_secs(seconds))
    }

    #[tokio::test]
    async fn everything_goes_out_in_order_however_little_fits() {
        let parcels: Vec<_> = (0..40).map(|_| (0, &b"0123456789"[..])).collect();
        let mut queue = queue(&parcels);
        assert_eq!(queue.len(), 400);
        let (ours, mut theirs) = tokio::io::duplex(7);
        let mut stream: BoxStream = Box::new(ours);
        let mut received = vec![0; 400];
        let write = poll_fn(|cx| queue.poll_write(&mut stream, cx, || at(0)));
        let (written, read) = tokio::join!(write, theirs.read_exact(&mut received));
        assert!(written.unwrap());
        assert_eq!(read.unwrap(), 400);
        assert_eq!(received, b"0123456789".repeat(40));
        assert!(queue.is_done() && queue.len() == 0);
    }

    #[tokio::test]
    async fn what_is_not_due_is_held_back_with_all_that_follows() {
        let mut queue = queue(&[(0, b"now"), (5, b"later"), (0, b"after")]);
        let (ours, mut theirs) = tokio::io::duplex(100);
        let mut stream: BoxStream = Box::new(ours);
        let mut received = [0; 100];
        let now = || at(4);
        let progress = poll_fn(|cx| queue.poll_write(&mut stream, cx, now)).await;
        assert!(progress.unwrap());
        assert_eq!(queue.held_until(now), Some(at(5)));
        assert_eq!(theirs.read(&mut received).await.unwrap(), 3);
        let progress = poll_fn(|cx| queue.poll_write(&mut stream, cx, || at(5))).await;
        assert!(progress.unwrap() && queue.is_done());
        let read = theirs.read(&mut received).await.unwrap();
        assert_eq!(received[..read], *b"laterafter");
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_an_error() {
        let mut queue = queue(&[(0, b"x")]);
        let (ours, theirs) = tokio::io::duplex(100);
        drop(theirs);
        let mut stream: BoxStream = Box::new(ours);
        let result = poll_fn(|cx| queue.poll_write(&mut stream, cx, || at(0))).await;
        assert!(result.is_err());
    }
}
