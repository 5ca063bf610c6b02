//! Binding, dialling and accepting.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Poll, Waker};

use super::connection::{Connection, End, Ending, Payload, Presence, Side};
use crate::world::{Backlog, ConnectionId, HostId, World};

/// The first port given to those who do not choose, as on Linux.
pub(crate) const FIRST: u16 = 32_768;

/// Connections that may wait to be accepted; those above it are refused.
const BACKLOG: usize = 128;

impl World {
    /// Starts to listen; the address with the port chosen.
    pub(crate) fn bind(&mut self, host: HostId, address: SocketAddr) -> io::Result<SocketAddr> {
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
        let backlog = Backlog {
            ip,
            waiting: VecDeque::new(),
            waker: None,
        };
        self.listeners.insert((host, port), backlog);
        Ok(SocketAddr::new(ip, port))
    }

    /// Stops to listen; those not yet accepted find their connection closed.
    pub(crate) fn unbind(&mut self, host: HostId, port: u16) {
        if let Some(backlog) = self.listeners.remove(&(host, port)) {
            for id in backlog.waiting {
                self.close(id, Side::Acceptor);
            }
        }
    }

    pub(crate) fn poll_accept(
        &mut self,
        host: HostId,
        port: u16,
        waker: &Waker,
    ) -> Poll<(ConnectionId, SocketAddr)> {
        let backlog = self
            .listeners
            .get_mut(&(host, port))
            .expect("a port stays bound as long as its listener lives");
        let Some(id) = backlog.waiting.pop_front() else {
            backlog.waker = Some(waker.clone());
            return Poll::Pending;
        };
        Poll::Ready((id, self.connection(id).end(Side::Connector).address))
    }

    /// Sends the first segment of a new connection from `host` to `address`.
    pub(crate) fn dial(&mut self, host: HostId, address: SocketAddr) -> io::Result<ConnectionId> {
        let Some(target) = self.host_at(host, address.ip()) else {
            let message = format!("no host has the address {}", address.ip());
            return Err(io::Error::new(io::ErrorKind::HostUnreachable, message));
        };
        let own_ip = if address.ip().is_loopback() {
            address.ip()
        } else {
            self.host_mut(host).ip
        };
        let local = SocketAddr::new(own_ip, self.free_port(host));
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        let connection = Connection::new(
            End::new(host, local, Presence::Open),
            End::new(target, address, Presence::Absent),
            self.now,
        );
        self.connections.insert(id, connection);
        if self.links.is_cut(host, target) {
            // The refusal takes a round trip, or a caller that tries again at
            // once would do so forever without the clock moving.
            let round_trip = self.links.draw(host, target) + self.links.draw(target, host);
            self.send_delayed(id, Side::Acceptor, Payload::Reset, round_trip);
        } else {
            self.send(id, Side::Connector, Payload::Syn);
        }
        Ok(id)
    }

    /// The first segment has arrived: into the listener's queue, or refused.
    pub(crate) fn knock(&mut self, id: ConnectionId) {
        let end = self.connection(id).end(Side::Acceptor);
        let (host, address) = (end.host, end.address);
        let backlog = self
            .listeners
            .get_mut(&(host, address.port()))
            .filter(|backlog| backlog.ip.is_unspecified() || backlog.ip == address.ip())
            .filter(|backlog| backlog.waiting.len() < BACKLOG);
        let Some(backlog) = backlog else {
            self.reset_peer(id, Side::Acceptor);
            return;
        };
        backlog.waiting.push_back(id);
        let waker = backlog.waker.take();
        self.wakes.extend(waker);
        self.connection(id).end_mut(Side::Acceptor).presence = Presence::Open;
        self.send(id, Side::Acceptor, Payload::SynAck);
    }

    /// Whether the dialled connection stands.
    pub(crate) fn poll_established(
        &mut self,
        id: ConnectionId,
        waker: &Waker,
    ) -> Poll<io::Result<()>> {
        let connection = self.connection(id);
        if connection.established {
            return Poll::Ready(Ok(()));
        }
        let incoming = connection.read_by(Side::Connector);
        if incoming.end == Some(Ending::Reset) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        incoming.reader = Some(waker.clone());
        Poll::Pending
    }

    /// Who `ip` is, seen from `host`.
    fn host_at(&self, host: HostId, ip: IpAddr) -> Option<HostId> {
        if ip.is_loopback() {
            return Some(host);
        }
        let index = self.hosts.iter().position(|other| other.ip == ip)?;
        u16::try_from(index).ok().map(HostId)
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
