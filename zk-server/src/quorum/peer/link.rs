//! One connection of the quorum port: packets, and at times a snapshot between them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, WriteHalf};
use tokio::sync::mpsc;
use zk_env::BoxStream;
use zk_proto::{Encode as _, Zxid};

use crate::net::{Serving, Shell};
use crate::quorum::LearnerId;
use crate::quorum::packet::{PacketType, QuorumPacket};
use crate::storage::{SnapshotBeginning, SnapshotSource, send_snapshot};
use crate::tree::DataTree;

/// Bytes that may wait to be sent on one connection. Most of them are shared with the
/// committed log; who falls further behind is cut off and comes again.
const MAX_QUEUED_BYTES: usize = 256 << 20;

/// Bytes that are written together.
const WRITE_BYTES: usize = 64 << 10;

/// What is read at once, and into one piece of memory: packets are slices of it.
const READ_BYTES: usize = 64 << 10;

/// Room for less than this is not worth reading into.
const LEAST_READ_BYTES: usize = 4 << 10;

/// What a packet costs in memory beside its data.
const PACKET_OVERHEAD: usize = 64;

/// What happens on the quorum port of a leader.
pub(super) enum Event {
    Connected(BoxStream, SocketAddr),
    Packet(LearnerId, QuorumPacket),
    /// Another part of a snapshot has gone out.
    SnapshotProgressed(LearnerId),
    SnapshotSent(LearnerId),
    Lost(LearnerId),
}

enum Outgoing {
    Packet(QuorumPacket),
    Snapshot(Zxid),
}

/// The sending end of a connection.
pub(super) struct Outbound {
    queue: mpsc::UnboundedSender<Outgoing>,
    bytes: Arc<AtomicUsize>,
}

/// The task that writes what is sent.
pub(super) struct Writer {
    shell: Arc<Shell>,
    stream: WriteHalf<BoxStream>,
    queue: mpsc::UnboundedReceiver<Outgoing>,
    bytes: Arc<AtomicUsize>,
}

/// Splits the work on a stream's sending half.
pub(super) fn outbound(shell: &Arc<Shell>, stream: WriteHalf<BoxStream>) -> (Outbound, Writer) {
    let (sender, queue) = mpsc::unbounded_channel();
    let bytes = Arc::new(AtomicUsize::new(0));
    let outbound = Outbound {
        queue: sender,
        bytes: Arc::clone(&bytes),
    };
    let writer = Writer {
        shell: Arc::clone(shell),
        stream,
        queue,
        bytes,
    };
    (outbound, writer)
}

fn weight(packet: &QuorumPacket) -> usize {
    PACKET_OVERHEAD + packet.data.as_ref().map_or(0, Bytes::len)
}

impl Outbound {
    /// Queues a packet. False if the other end does not keep up, or is gone.
    pub(super) fn send(&self, packet: QuorumPacket) -> bool {
        let weight = weight(&packet);
        let queued = self.bytes.fetch_add(weight, Ordering::Relaxed) + weight;
        queued <= MAX_QUEUED_BYTES && self.queue.send(Outgoing::Packet(packet)).is_ok()
    }

    /// How many bytes wait to be sent.
    pub(super) fn queued_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Queues a SNAP packet and the tree behind it.
    pub(super) fn send_snapshot(&self, zxid: Zxid) -> bool {
        self.queue.send(Outgoing::Snapshot(zxid)).is_ok()
    }
}

impl Writer {
    /// Writes until the connection breaks or nothing more can come, and tells of every
    /// snapshot that has been sent.
    pub(super) async fn run(
        mut self,
        report: Option<(mpsc::Sender<Event>, LearnerId)>,
    ) -> io::Result<()> {
        let mut buffer = BytesMut::new();
        while let Some(next) = self.queue.recv().await {
            let mut snapshot = self.encode(next, &mut buffer);
            while snapshot.is_none() && buffer.len() < WRITE_BYTES {
                let Ok(next) = self.queue.try_recv() else {
                    break;
                };
                snapshot = self.encode(next, &mut buffer);
            }
            self.stream.write_all(&buffer).await?;
            buffer.clear();
            if let Some(zxid) = snapshot {
                self.write_snapshot(zxid, report.as_ref()).await?;
                if let Some((report, learner)) = &report {
                    let _ = report.send(Event::SnapshotSent(*learner)).await;
                }
            }
            self.stream.flush().await?;
        }
        self.stream.shutdown().await
    }

    /// Adds a packet to what is written next. A snapshot has to be written by itself.
    fn encode(&self, next: Outgoing, buffer: &mut BytesMut) -> Option<Zxid> {
        match next {
            Outgoing::Packet(packet) => {
                self.bytes.fetch_sub(weight(&packet), Ordering::Relaxed);
                packet.encode(buffer);
                None
            }
            Outgoing::Snapshot(zxid) => {
                QuorumPacket::bare(PacketType::Snap, zxid).encode(buffer);
                Some(zxid)
            }
        }
    }

    async fn write_snapshot(
        &mut self,
        zxid: Zxid,
        report: Option<&(mpsc::Sender<Event>, LearnerId)>,
    ) -> io::Result<()> {
        let mut source = ServingTree(Arc::clone(&self.shell));
        let began = self.shell.env.now();
        // Whoever has no time to hear of this part hears of a later one.
        let progressed = || {
            if let Some((report, learner)) = report {
                let _ = report.try_send(Event::SnapshotProgressed(*learner));
            }
        };
        send_snapshot(&mut source, &mut self.stream, progressed).await?;
        let took = self.shell.env.now().since(began);
        tracing::info!(%zxid, ?took, "snapshot sent");
        Ok(())
    }
}

/// The tree of a peer, lent for short times.
struct ServingTree(Arc<Shell>);

impl SnapshotSource for ServingTree {
    fn begin(&mut self) -> SnapshotBeginning {
        let serving = self.0.lock_for("beginning a snapshot for a learner");
        let serving: &Serving = &serving;
        serving.zks.snapshot_beginning()
    }

    fn with_tree(&mut self, look: &mut dyn FnMut(&DataTree)) {
        look(self.0.lock_for("sending a snapshot").zks.tree());
    }
}

/// Reads what there is behind what has been read. False at the end of the stream.
/// Cancel safe.
pub(super) async fn read_more(
    stream: &mut (impl AsyncRead + Unpin),
    input: &mut BytesMut,
) -> io::Result<bool> {
    if input.capacity() - input.len() < LEAST_READ_BYTES {
        input.reserve(READ_BYTES);
    }
    Ok(stream.read_buf(input).await? > 0)
}
