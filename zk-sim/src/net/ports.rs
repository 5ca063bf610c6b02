//! Binding, dialling and accepting.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::connection::{Connection, End, Ending, Payload, Presence};
use super::traffic::remember;
use crate::observe::{ConnectionId, Observation, Side};
use crate::world::{HostId, World};

/// The first port given to those who do not choose, as on Linux.
pub(crate) const FIRST: u16 = 32_768;

/// A bound port, of all that ever were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListenerId(u64);

/// A bound port and those who wait behind it.
#[derive(Debug)]
pub(crate) struct Backlog {
    id: ListenerId,
    ip: IpAddr,
    /// Established, for the listener to take.
    waiting: VecDeque<ConnectionId>,
    /// Dialled when the queue was full. Some may be gone by now.
    outside: VecDeque<ConnectionId>,
    waker: Option<Waker>,
}

impl Backlog {
    pub(crate) fn take_waker(&mut self) -> Option<Waker> {
        self.waker.take()
    }
}

/// What comes of dialling.
#[derive(Debug)]
pub(crate) enum Dialled {
    /// The first segment is on its way.
    Calling(ConnectionId),
    /// A router will say, after this time, that nobody has the address.
    Unreachable(Duration),
    /// Nobody has the address, and nobody says so.
    Unanswered,
}

impl World {
    /// Starts to listen; the address with the port chosen.
    pub(crate) fn bind(
        &mut self,
        host: HostId,
        address: SocketAddr,
    ) -> io::Result<(ListenerId, SocketAddr)> {
        self.check_up(host)?;
        let ip = address.ip();
        if !ip.is_unspecified() && self.host_at(host, ip) != Some(host) {
            let message = format!("{ip} is not an address of this host");
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, message));
        }
        let port = match address.port() {
            0 => self.free_port(host),
            port => port,
        };
        if self.listeners.contains_key(&(host, port)) {
            let message = format!("port {port} is already bound");
            return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
        }
        let id = ListenerId(self.next_listener);
        self.next_listener += 1;
        let backlog = Backlog {
            id,
            ip,
            waiting: VecDeque::new(),
            outside: VecDeque::new(),
            waker: None,
        };
        self.listeners.insert((host, port), backlog);
        Ok((id, SocketAddr::new(ip, port)))
    }

    /// Stops to listen; those not yet accepted find their connection closed, and
    /// those who found the queue full are refused. A listener whose host was killed
    /// is gone already, and its port may be another's.
    pub(crate) fn unbind(&mut self, host: HostId, port: u16, listener: ListenerId) {
        let Some(backlog) = self.backlog(host, port, listener) else {
            return;
        };
        let waiting = std::mem::take(&mut backlog.waiting);
        let outside = std::mem::take(&mut backlog.outside);
        let waker = backlog.take_waker();
        self.wakes.add(waker);
        self.listeners.remove(&(host, port));
        for id in waiting {
            self.close(id, Side::Acceptor);
        }
        for id in outside {
            if self.is_knocking(id) {
                self.reset_peer(id, Side::Acceptor);
            }
        }
    }

    fn backlog(&mut self, host: HostId, port: u16, id: ListenerId) -> Option<&mut Backlog> {
        let backlog = self.listeners.get_mut(&(host, port))?;
        (backlog.id == id).then_some(backlog)
    }

    pub(crate) fn poll_accept(
        &mut self,
        host: HostId,
        port: u16,
        listener: ListenerId,
        waker: &Waker,
    ) -> Poll<io::Result<(ConnectionId, SocketAddr)>> {
        let Some(backlog) = self.backlog(host, port, listener) else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        };
        let Some(id) = backlog.waiting.pop_front() else {
            remember(&mut backlog.waker, waker);
            return Poll::Pending;
        };
        self.admit(host, port);
        let peer = self.connection(id).end(Side::Connector).address;
        Poll::Ready(Ok((id, peer)))
    }

    /// Sends the first segment of a new connection from `host` to `address`.
    pub(crate) fn dial(&mut self, host: HostId, address: SocketAddr) -> io::Result<Dialled> {
        self.check_up(host)?;
        let Some(target) = self.host_at(host, address.ip()) else {
            return Ok(self.dial_nobody(address.ip()));
        };
        let own_ip = if address.ip().is_loopback() {
            address.ip()
        } else {
            self.host_ref(host).ip
        };
        let local = SocketAddr::new(own_ip, self.free_port(host));
        let links @ [there, back] = self.links.between(host, target);
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        let connection = Connection::new(
            End::new(host, local, Presence::Open),
            End::new(target, address, Presence::Absent),
            links,
            self.now,
        );
        self.connections.insert(id, connection);
        self.tell_dialled(id, local.ip(), address.port());
        if self.links.get(there).faults.cuts > 0 {
            // The refusal takes a round trip, or a caller that tries again at
            // once would do so forever without the clock moving.
            let due = self.now + self.links.round_trip(there, back);
            self.connection(id).sent_by(Side::Acceptor).sent_end = Some(Ending::Reset);
            self.send_until(id, Side::Acceptor, Payload::Reset, due);
            self.tell(&Observation::Closed {
                connection: id,
                side: Side::Acceptor,
                is_reset: true,
            });
        } else {
            self.send(id, Side::Connector, Payload::Syn);
        }
        Ok(Dialled::Calling(id))
    }

    /// Every other address without a host is known to some router as such.
    fn dial_nobody(&self, ip: IpAddr) -> Dialled {
        let last = match ip {
            IpAddr::V4(ip) => ip.octets()[3],
            IpAddr::V6(ip) => ip.octets()[15],
        };
        if last % 2 == 0 {
            return Dialled::Unanswered;
        }
        Dialled::Unreachable(self.links.usual_round_trip())
    }

    fn tell_dialled(&mut self, id: ConnectionId, ip: IpAddr, port: u16) {
        let at = self.since_origin();
        let (from, to) = self.connections[&id].hosts(Side::Connector);
        let name = |host: HostId| self.hosts[usize::from(host.0)].name.as_str();
        let dialled = Observation::Dialled {
            connection: id,
            from: name(from),
            ip,
            to: name(to),
            port,
        };
        self.observers.tell(at, &dialled);
    }

    /// The first segment has arrived: into the listener's queue, or refused.
    pub(crate) fn knock(&mut self, id: ConnectionId) {
        let connection = self.connection(id);
        let is_own = connection.end(Side::Connector).host == connection.end(Side::Acceptor).host;
        let end = connection.end(Side::Acceptor);
        let (host, address) = (end.host, end.address);
        let faults = &self.hosts[usize::from(host.0)].faults;
        let refuses = !is_own && faults.refusals > 0;
        let closes = !is_own && faults.hang_ups > 0;
        let backlog = self
            .listeners
            .get_mut(&(host, address.port()))
            .filter(|backlog| backlog.ip.is_unspecified() || backlog.ip == address.ip())
            .filter(|_| !refuses);
        match backlog {
            None => self.reset_peer(id, Side::Acceptor),
            Some(_) if closes => self.hang_up(id),
            Some(backlog) => {
                backlog.outside.push_back(id);
                self.admit(host, address.port());
            }
        }
    }

    /// Accepts a connection and closes it.
    fn hang_up(&mut self, id: ConnectionId) {
        self.send(id, Side::Acceptor, Payload::SynAck);
        self.send_fin(id, Side::Acceptor);
        self.connection(id).end_mut(Side::Acceptor).presence = Presence::Gone;
    }

    /// Lets those outside into a listener's queue, as long as that has room.
    pub(crate) fn admit(&mut self, host: HostId, port: u16) {
        let places = if self.host_ref(host).faults.full_queues > 0 {
            0
        } else {
            self.accept_queue
        };
        while let Some(backlog) = self.listeners.get_mut(&(host, port))
            && backlog.waiting.len() < places
            && let Some(id) = backlog.outside.pop_front()
        {
            if !self.is_knocking(id) {
                continue;
            }
            if let Some(backlog) = self.listeners.get_mut(&(host, port)) {
                backlog.waiting.push_back(id);
                let waker = backlog.take_waker();
                self.wakes.add(waker);
            }
            self.connection(id).end_mut(Side::Acceptor).presence = Presence::Open;
            self.send(id, Side::Acceptor, Payload::SynAck);
        }
    }

    /// The same for every listener there is.
    pub(crate) fn admit_all(&mut self) {
        let ports: Vec<_> = self.listeners.keys().copied().collect();
        for (host, port) in ports {
            self.admit(host, port);
        }
    }

    /// Whether one who waited outside still does.
    fn is_knocking(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(|connection| {
            connection.is_dialling() && !connection.end(Side::Acceptor).broken
        })
    }

    /// Whether the dialled connection stands.
    pub(crate) fn poll_established(
        &mut self,
        id: ConnectionId,
        waker: &Waker,
    ) -> Poll<io::Result<()>> {
        let connection = self.living(id, Side::Connector)?;
        if connection.established {
            return Poll::Ready(Ok(()));
        }
        let incoming = connection.read_by(Side::Connector);
        if incoming.end == Some(Ending::Reset) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        remember(&mut incoming.reader, waker);
        Poll::Pending
    }

    /// On a host that is down nothing can be opened. Only what outlived the host's
    /// death finds out.
    fn check_up(&self, host: HostId) -> io::Result<()> {
        if self.host_ref(host).is_up {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::NetworkDown,
            "the host was killed",
        ))
    }

    /// Who `ip` is, seen from `host`.
    fn host_at(&self, host: HostId, ip: IpAddr) -> Option<HostId> {
        if ip.is_loopback() {
            return Some(host);
        }
        HostId::at(ip).filter(|id| usize::from(id.0) < self.hosts.len())
    }

    /// The next port of `host` on which nobody listens.
    fn free_port(&mut self, host: HostId) -> u16 {
        loop {
            let port = self.host_mut(host).next_port;
            self.host_mut(host).next_port = port.checked_add(1).unwrap_or(FIRST);
            if !self.listeners.contains_key(&(host, port)) {
                return port;
            }
        }
    }
}
