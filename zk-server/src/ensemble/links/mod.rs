//! The network between the peers of an ensemble, with everything that can be wrong with it.
//!
//! Peers know one another by the addresses in their configuration. Those are never bound:
//! [`Links`] knows whose they are and makes the connections. Each pair of peers has a link
//! in each direction, which may hold what is sent or let it arrive late.

mod link;
mod listener;
mod pipe;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use zk_env::{BoxStream, Env, Listener, sleep_until};

use self::link::{Condition, Link};
use self::listener::{BACKLOG, Dialled, PeerListener, Source};
use self::stream::LinkStream;
use crate::quorum::ServerId;

/// What carries bytes between the peers of an [`Ensemble`](super::Ensemble).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Bounded pipes in memory.
    #[default]
    Memory,
    /// TCP on loopback, on ports that the system chooses.
    Tcp,
}

/// What becomes of connections that a partition cuts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// Nothing arrives until the partition is healed, and then everything does: bytes are
    /// held, and so is the news that a connection was closed. Dials hang.
    #[default]
    Silence,
    /// Connections are reset at once. Later dials hang.
    Reset,
}

/// Who listens where, and the links between all.
pub(crate) struct Links {
    /// The world outside, in which the links' own tasks run.
    env: Arc<dyn Env>,
    transport: Transport,
    state: Mutex<State>,
    /// A link has changed.
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// From the first to the second.
    links: BTreeMap<(ServerId, ServerId), Arc<Link>>,
    /// Whose addresses there are, whether somebody listens there or not.
    owners: BTreeMap<SocketAddr, ServerId>,
    listening: BTreeMap<SocketAddr, Listening>,
    /// The port that the next one to dial seems to have.
    next_port: u16,
    /// Dials wait until all are there who are about to listen.
    are_dials_suspended: bool,
    is_closed: bool,
}

#[derive(Clone)]
enum Listening {
    Memory(mpsc::Sender<Dialled>),
    /// What the address stands for.
    Tcp(SocketAddr),
}

/// The first of the ports that those who dial seem to have.
const FIRST_PORT: u16 = 49_152;

impl Links {
    pub(super) fn new(env: Arc<dyn Env>, transport: Transport) -> Arc<Self> {
        Arc::new(Self {
            env,
            transport,
            state: Mutex::default(),
            changed: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `peer` will listen on `addr`.
    pub(super) fn assign(&self, addr: SocketAddr, peer: ServerId) {
        self.lock().owners.insert(addr, peer);
    }

    /// Whether the address is one that peers have among themselves.
    pub(super) fn knows(&self, addr: SocketAddr) -> bool {
        self.lock().owners.contains_key(&addr)
    }

    /// Listens on an address that was [assigned](Self::assign).
    ///
    /// # Errors
    ///
    /// `AddrInUse` if somebody does, and the system's for a socket.
    pub(super) async fn bind(self: Arc<Self>, addr: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let (source, listening) = match self.transport {
            Transport::Memory => {
                let (sender, queue) = mpsc::channel(BACKLOG);
                (Source::Memory(queue), Listening::Memory(sender))
            }
            Transport::Tcp => {
                let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                let socket = self.env.bind(any_port).await?;
                let real = socket.local_addr()?;
                (Source::Tcp(socket), Listening::Tcp(real))
            }
        };
        let mut state = self.lock();
        if state.listening.contains_key(&addr) {
            let message = format!("{addr}: another listens there");
            return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
        }
        state.listening.insert(addr, listening);
        drop(state);
        Ok(Box::new(PeerListener {
            source,
            addr,
            links: self,
        }))
    }

    fn unbind(&self, addr: SocketAddr) {
        let listening = self.lock().listening.remove(&addr);
        drop(listening);
    }

    /// Dials: `from` connects to whoever has `addr`. Hangs while a link between the two
    /// holds what is sent.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` if nobody listens there.
    pub(super) async fn connect(
        self: Arc<Self>,
        from: ServerId,
        addr: SocketAddr,
    ) -> io::Result<BoxStream> {
        let to = self.lock().owners.get(&addr).copied();
        let to = to.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (there, back) = (self.link(from, to), self.link(to, from));
        self.round_trip(&there, &back).await;
        let listening = self.lock().listening.get(&addr).cloned();
        let (near, far) = stream::pair(&there, &back, &self.env);
        match listening {
            None => return Err(io::ErrorKind::ConnectionRefused.into()),
            Some(Listening::Memory(queue)) => {
                let dialled = (Box::new(far) as BoxStream, self.caller(addr));
                let sent = queue.send(dialled).await;
                sent.map_err(|_| io::ErrorKind::ConnectionRefused)?;
            }
            Some(Listening::Tcp(real)) => {
                let socket = self.env.connect(real).await?;
                let carried = carry(far, socket);
                // Ends with the connection.
                let _detached = self.env.spawn("ensemble link", Box::pin(carried));
            }
        }
        if self.lock().is_closed {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(Box::new(near))
    }

    /// Ends when a message has got there and another one back.
    async fn round_trip(&self, there: &Link, back: &Link) {
        loop {
            let changed = self.changed.notified();
            let conditions = [there.condition(), back.condition()];
            let is_held = conditions.iter().any(|condition| condition.is_held);
            if is_held || self.lock().are_dials_suspended {
                changed.await;
                continue;
            }
            let delay: Duration = conditions.iter().map(|condition| condition.delay).sum();
            if delay.is_zero() {
                return;
            }
            let mut timer = self.env.timer();
            sleep_until(&mut *timer, self.env.now() + delay).await;
            if ![there, back].iter().any(|link| link.condition().is_held) {
                return;
            }
        }
    }

    /// The address that somebody seems to dial from.
    fn caller(&self, addr: SocketAddr) -> SocketAddr {
        let mut state = self.lock();
        let port = state.next_port.max(FIRST_PORT);
        state.next_port = port.wrapping_add(1);
        SocketAddr::new(addr.ip(), port)
    }

    fn link(&self, from: ServerId, to: ServerId) -> Arc<Link> {
        let mut state = self.lock();
        Arc::clone(state.links.entry((from, to)).or_default())
    }

    /// Nothing that one of `from` sends arrives at one of `to` any more.
    pub(super) fn cut(&self, from: &[ServerId], to: &[ServerId], cut: Cut) {
        self.change(from, to, |condition| condition.is_held = true);
        if cut == Cut::Reset {
            for (from, to) in pairs(from, to) {
                self.link(from, to).reset();
                self.link(to, from).reset();
            }
        }
    }

    /// What one of `from` sends to one of `to` arrives so much later.
    pub(super) fn delay(&self, from: &[ServerId], to: &[ServerId], delay: Duration) {
        self.change(from, to, |condition| condition.delay = delay);
    }

    /// Ends every cut; delays stay.
    pub(super) fn heal(&self) {
        let links: Vec<_> = self.lock().links.values().cloned().collect();
        for link in links {
            link.change(|condition| condition.is_held = false);
        }
        self.changed.notify_waiters();
    }

    /// Dials hang from now on.
    pub(super) fn suspend_dials(&self) {
        self.lock().are_dials_suspended = true;
    }

    /// Dials that hung go on.
    pub(super) fn resume_dials(&self) {
        self.lock().are_dials_suspended = false;
        self.changed.notify_waiters();
    }

    /// Resets every connection there is or will be, so that no task of theirs is left.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let links: Vec<_> = state.links.values().cloned().collect();
        drop(state);
        for link in links {
            link.reset();
        }
        self.heal();
    }

    fn change(&self, from: &[ServerId], to: &[ServerId], change: impl Fn(&mut Condition)) {
        for (from, to) in pairs(from, to) {
            self.link(from, to).change(&change);
        }
        self.changed.notify_waiters();
    }
}

/// Everyone of the first with everyone of the second, but nobody with itself.
fn pairs(from: &[ServerId], to: &[ServerId]) -> impl Iterator<Item = (ServerId, ServerId)> {
    from.iter()
        .flat_map(|from| to.iter().map(|to| (*from, *to)))
        .filter(|(from, to)| from != to)
}

/// Copies between the end of a link and a socket until both directions have ended.
async fn carry(mut link_end: LinkStream, mut socket: BoxStream) {
    let copied = tokio::io::copy_bidirectional(&mut link_end, &mut socket).await;
    if let Err(error) = copied {
        tracing::debug!(%error, "a connection between peers broke");
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links")
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}
