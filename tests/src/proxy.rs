//! A TCP proxy that misbehaves on request.
#![expect(
    clippy::disallowed_methods,
    reason = "fixtures stand outside the seam, on real sockets and real time"
)]

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::wire::reset_on_drop;

/// Bytes held per direction and connection; beyond that the sender feels it, as
/// with full socket buffers.
const HELD: usize = 256 << 10;

/// Read at a time.
const CHUNK: usize = 16 << 10;

/// A direction through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What the client sends.
    ToServer,
    /// What the server sends.
    ToClient,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// With resets on both sides, as when a middlebox loses its state.
    Reset,
    /// With an orderly end of stream on both sides.
    Fin,
}

/// What the proxy does to one direction of every connection.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    silent: bool,
    delay: Duration,
    bytes_per_second: Option<u32>,
    /// Cuts when this many bytes have passed since the proxy started.
    cut_at: Option<(u64, Cut)>,
}

#[derive(Clone, Debug)]
struct Rules {
    to_server: Lane,
    to_client: Lane,
    refuse: bool,
    /// Connections of earlier generations are cut.
    generation: u64,
    cut: Cut,
}

#[derive(Debug)]
struct Shared {
    rules: watch::Sender<Rules>,
    to_server: AtomicU64,
    to_client: AtomicU64,
    accepted: AtomicUsize,
    open: AtomicUsize,
}

/// Sits between client and server on a loopback port of its own. All rules apply
/// to the connections that are open and to those that come.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy in front of `host`.
    ///
    /// # Panics
    ///
    /// If no loopback port can be had.
    pub async fn start(host: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a loopback port");
        let upstream = host.to_owned();
        let shared = Arc::new(Shared::new());
        Self {
            addr: listener.local_addr().expect("a bound address"),
            listener: tokio::spawn(accept(listener, upstream, Arc::clone(&shared))),
            shared,
        }
    }

    /// Where clients connect: `host:port`.
    pub fn host(&self) -> String {
        self.addr.to_string()
    }

    /// Ends every open connection. New ones are welcome.
    pub fn cut(&self, cut: Cut) {
        self.change(|rules| {
            rules.generation += 1;
            rules.cut = cut;
        });
    }

    /// Resets new connections as soon as they are made, or stops doing so.
    pub fn refuse(&self, refuse: bool) {
        self.change(|rules| rules.refuse = refuse);
    }

    /// Holds back all bytes of a direction, the end of the stream too: both
    /// directions silent make a half-open connection. What was held is delivered
    /// when the silence ends, as TCP would.
    pub fn silence(&self, direction: Direction, silent: bool) {
        self.change(|rules| rules.lane_mut(direction).silent = silent);
    }

    /// [`silence`](Self::silence) in both directions.
    pub fn freeze(&self, frozen: bool) {
        self.change(|rules| {
            rules.to_server.silent = frozen;
            rules.to_client.silent = frozen;
        });
    }

    /// Adds latency to a direction.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        self.change(|rules| rules.lane_mut(direction).delay = delay);
    }

    /// Limits a direction's rate; `None` lifts the limit.
    pub fn throttle(&self, direction: Direction, bytes_per_second: Option<u32>) {
        self.change(|rules| rules.lane_mut(direction).bytes_per_second = bytes_per_second);
    }

    /// Lets `bytes` more bytes of a direction pass, then cuts that connection,
    /// once.
    pub fn cut_after(&self, direction: Direction, bytes: u64, cut: Cut) {
        let cut_at = Some((self.forwarded(direction) + bytes, cut));
        self.change(|rules| rules.lane_mut(direction).cut_at = cut_at);
    }

    /// Bytes forwarded in a direction since the start.
    pub fn forwarded(&self, direction: Direction) -> u64 {
        self.shared.counter(direction).load(Ordering::SeqCst)
    }

    /// Connections accepted since the start, the refused ones too.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    fn change(&self, change: impl FnOnce(&mut Rules)) {
        self.shared.rules.send_modify(change);
    }
}

/// Ends the proxy and resets its connections.
impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.cut(Cut::Reset);
    }
}

impl Rules {
    fn lane(&self, direction: Direction) -> Lane {
        match direction {
            Direction::ToServer => self.to_server,
            Direction::ToClient => self.to_client,
        }
    }

    fn lane_mut(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

impl Shared {
    fn new() -> Self {
        let rules = Rules {
            to_server: Lane::default(),
            to_client: Lane::default(),
            refuse: false,
            generation: 0,
            cut: Cut::Reset,
        };
        Self {
            rules: watch::Sender::new(rules),
            to_server: AtomicU64::new(0),
            to_client: AtomicU64::new(0),
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        }
    }

    fn counter(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }
}

async fn accept(listener: TcpListener, upstream: String, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        let rules = shared.rules.subscribe();
        if rules.borrow().refuse {
            reset_on_drop(&client);
            continue;
        }
        let (upstream, shared) = (upstream.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            shared.open.fetch_add(1, Ordering::SeqCst);
            // An upstream that cannot be reached resets the client.
            match TcpStream::connect(&upstream).await {
                Ok(server) => carry(client, server, rules, &shared).await,
                Err(_) => reset_on_drop(&client),
            }
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// One connection, from both ends being there to both being gone.
async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    mut rules: watch::Receiver<Rules>,
    shared: &Shared,
) {
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let birth = rules.borrow().generation;
    let cut = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = Pump::new(Direction::ToServer, shared);
        let down = Pump::new(Direction::ToClient, shared);
        let both = async {
            tokio::try_join!(
                up.run(from_client, to_server),
                down.run(from_server, to_client)
            )
        };
        tokio::select! {
            // A cut comes before the end of a silence made in the same breath.
            biased;
            Ok(rules) = rules.wait_for(|rules| rules.generation > birth) => rules.cut,
            ended = both => match ended {
                Ok(_) => Cut::Fin,
                Err(cut) => cut,
            },
        }
    };
    match cut {
        Cut::Reset => {
            reset_on_drop(&client);
            reset_on_drop(&server);
        }
        Cut::Fin => {
            let _ = client.shutdown().await;
            let _ = server.shutdown().await;
        }
    }
}

/// One direction of one connection.
struct Pump<'a> {
    direction: Direction,
    shared: &'a Shared,
    rules: watch::Receiver<Rules>,
    /// What has arrived, and when.
    held: VecDeque<(Instant, Bytes)>,
    held_bytes: usize,
    /// The rate limit lets nothing pass before.
    not_before: Instant,
    ended: bool,
}

impl<'a> Pump<'a> {
    fn new(direction: Direction, shared: &'a Shared) -> Self {
        Self {
            direction,
            shared,
            rules: shared.rules.subscribe(),
            held: VecDeque::new(),
            held_bytes: 0,
            not_before: Instant::now(),
            ended: false,
        }
    }

    /// Carries until the sender's end of stream has been passed on, or says how
    /// to end the whole connection.
    async fn run(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Result<(), Cut> {
        let mut buffer = BytesMut::new();
        loop {
            let lane = self.rules.borrow_and_update().lane(self.direction);
            let due = self.next_due(&lane);
            if due.is_some_and(|due| due <= Instant::now()) {
                self.forward(&lane, &mut to).await?;
                continue;
            }
            if self.ended && self.held.is_empty() && !lane.silent {
                return to.shutdown().await.map_err(|_| Cut::Reset);
            }
            buffer.reserve(CHUNK);
            tokio::select! {
                changed = self.rules.changed() => changed.map_err(|_| Cut::Reset)?,
                read = from.read_buf(&mut buffer), if !self.ended && self.held_bytes < HELD => {
                    self.take(read, &mut buffer)?;
                }
                () = sleep_until(due.unwrap_or(self.not_before)), if due.is_some() => {}
            }
        }
    }

    fn take(&mut self, read: io::Result<usize>, buffer: &mut BytesMut) -> Result<(), Cut> {
        if read.map_err(|_| Cut::Reset)? == 0 {
            self.ended = true;
        } else {
            self.held_bytes += buffer.len();
            self.held
                .push_back((Instant::now(), buffer.split().freeze()));
        }
        Ok(())
    }

    /// When the next byte may pass; `None` if there is none or the lane is silent.
    fn next_due(&self, lane: &Lane) -> Option<Instant> {
        let (arrived, _) = self.held.front().filter(|_| !lane.silent)?;
        Some((*arrived + lane.delay).max(self.not_before))
    }

    /// Passes on as much of the oldest chunk as rate and cut allow.
    async fn forward(&mut self, lane: &Lane, to: &mut WriteHalf<'_>) -> Result<(), Cut> {
        let Some((_, chunk)) = self.held.front_mut() else {
            return Ok(());
        };
        let counter = self.shared.counter(self.direction);
        let mut len = chunk.len();
        if let Some(rate) = lane.bytes_per_second {
            // Twenty portions a second.
            len = len.min((rate as usize / 20).max(1));
            self.not_before =
                Instant::now() + Duration::from_secs_f64(len as f64 / f64::from(rate));
        }
        let cut = lane
            .cut_at
            .filter(|(at, _)| counter.load(Ordering::SeqCst) + len as u64 >= *at);
        if let Some((at, _)) = cut {
            len = (at.saturating_sub(counter.load(Ordering::SeqCst)) as usize).min(len);
        }
        to.write_all(&chunk[..len]).await.map_err(|_| Cut::Reset)?;
        chunk.advance(len);
        if chunk.is_empty() {
            self.held.pop_front();
        }
        self.held_bytes -= len;
        counter.fetch_add(len as u64, Ordering::SeqCst);
        match cut {
            Some((_, cut)) => {
                let direction = self.direction;
                self.shared
                    .rules
                    .send_modify(|rules| rules.lane_mut(direction).cut_at = None);
                Err(cut)
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
