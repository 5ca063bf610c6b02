//! Connections of the election port as a function of bytes and time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use zk_env::Mono;

use super::handshake;
use crate::quorum::election::LinkEvent;
use crate::quorum::{HostPort, ServerId};

/// The longest message; Apache closes the connection above it.
const MAX_MESSAGE_BYTES: usize = 524_288;
/// Accepted connections that have not said who they are. The oldest makes room: a
/// peer says so at once, whoever only connects does not.
const MAX_NAMELESS: usize = 64;
/// Peers that are in no list (joiners, strangers) of which anything is kept.
const MAX_UNLISTED: usize = 64;
/// Addresses to try for one peer.
const MAX_ADDRS: usize = 32;

/// What does not change while a peer runs.
#[derive(Clone, Debug)]
pub(in crate::quorum::election) struct CnxOptions {
    /// This peer.
    pub(in crate::quorum::election) id: ServerId,
    /// Its own election addresses, as the list has them.
    pub(in crate::quorum::election) addrs: Vec<HostPort>,
    /// Whether the handshake names all of them, `multiAddress.enabled`.
    pub(in crate::quorum::election) is_multi_address: bool,
    /// How long an accepted connection may take to say who it is; a bounded wait is
    /// all that matters, Apache's is `tickTime * syncLimit`.
    pub(in crate::quorum::election) handshake_timeout: Duration,
}

/// A connection, from the dial or accept on. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::quorum::election) struct ConnId(u64);

/// How a dial failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::quorum::election) enum DialError {
    /// The machine says that nobody listens.
    Refused,
    /// Anything else.
    Unreachable,
}

/// What to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::quorum::election) enum Output {
    /// Dial, one address after the other, within `cnxTimeout` each.
    Dial {
        conn: ConnId,
        peer: ServerId,
        addrs: Vec<HostPort>,
    },
    /// Write, then report [`CnxManager::handle_written`]. One write at a time waits on a
    /// connection.
    Write { conn: ConnId, bytes: Bytes },
    /// Close once what was to be written has been.
    Close(ConnId),
    /// A whole message.
    Deliver { from: ServerId, message: Bytes },
    /// What the election should know.
    Link { peer: ServerId, event: LinkEvent },
}

/// The connections of one peer, Apache's `QuorumCnxManager`.
///
/// Drive it by one rule: one input, then every [`poll_output`](Self::poll_output) in
/// order, then sleep until [`poll_timeout`](Self::poll_timeout).
///
/// Between two peers there is one connection, dialled by the one with the larger sid; the
/// other one only knocks. A new one replaces the one there was, which is how a peer that
/// has been restarted is found again. What waits for a peer is its newest message
/// alone, and the last one that was sent is sent again on a new connection.
#[derive(Debug)]
pub(in crate::quorum::election) struct CnxManager {
    options: CnxOptions,
    /// Where the members of the list are.
    listed: BTreeMap<ServerId, Vec<HostPort>>,
    peers: BTreeMap<ServerId, Peer>,
    conns: BTreeMap<ConnId, Conn>,
    next_conn: u64,
    /// What the next observer without a number is called.
    next_observer: i64,
    outputs: VecDeque<Output>,
}

/// What is kept of one peer.
#[derive(Debug, Default)]
struct Peer {
    link: Option<ConnId>,
    dialing: Option<ConnId>,
    /// The newest message that has not been written.
    waiting: Option<Bytes>,
    /// The last one given to a connection, whether it arrived or not.
    last_sent: Option<Bytes>,
    /// Where it says it is.
    told: Vec<HostPort>,
    knock: Knock,
}

/// What came of a dial to a peer that has to dial back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Knock {
    #[default]
    None,
    /// It should have dialled back by then.
    Waiting { until: Mono },
    /// It has not, and was dialled once more.
    Repeated,
}

/// How long a peer that accepted a connection may take to dial back before it is dialled
/// once more. A process that is being killed may still have had its port when its
/// connections were gone already: its system accepts, and nobody ever dials back.
const KNOCK_PATIENCE: Duration = Duration::from_millis(20);

#[derive(Debug)]
struct Conn {
    stage: Stage,
    /// At most one message and its length are held.
    input: BytesMut,
    /// A write has not been reported as done.
    is_writing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Accepted, says who it is until then.
    Nameless {
        until: Mono,
    },
    Dialing(ServerId),
    Linked(ServerId),
}

impl CnxManager {
    /// A peer without connections. `listed` is where the others are.
    pub(in crate::quorum::election) fn new(
        options: CnxOptions,
        listed: BTreeMap<ServerId, Vec<HostPort>>,
    ) -> Self {
        Self {
            options,
            listed,
            peers: BTreeMap::new(),
            conns: BTreeMap::new(),
            next_conn: 0,
            next_observer: -1,
            outputs: VecDeque::new(),
        }
    }

    /// A list has changed: where to dial from now on.
    pub(in crate::quorum::election) fn set_listed(
        &mut self,
        listed: BTreeMap<ServerId, Vec<HostPort>>,
    ) {
        self.listed = listed;
    }

    /// Sends the newest message to a peer, by the connection there is or by one that is
    /// made for it.
    pub(in crate::quorum::election) fn send(&mut self, to: ServerId, message: &[u8]) {
        let size = u32::try_from(message.len()).unwrap_or(u32::MAX);
        if to == self.options.id || message.len() > MAX_MESSAGE_BYTES {
            return;
        }
        self.make_room_for(to);
        let mut frame = BytesMut::with_capacity(4 + message.len());
        frame.put_u32(size);
        frame.put_slice(message);
        self.peer(to).waiting = Some(frame.freeze());
        self.connect(to);
        self.write_waiting(to);
    }

    /// Dials a peer that there is neither a connection nor a dial with.
    pub(in crate::quorum::election) fn connect(&mut self, to: ServerId) {
        if to == self.options.id {
            return;
        }
        self.make_room_for(to);
        let peer = self.peers.entry(to).or_default();
        if peer.link.is_some() || peer.dialing.is_some() {
            return;
        }
        let mut addrs = peer.told.clone();
        for addr in self.listed.get(&to).into_iter().flatten() {
            if !addrs.contains(addr) {
                addrs.push(addr.clone());
            }
        }
        addrs.truncate(MAX_ADDRS);
        if addrs.is_empty() {
            tracing::debug!(peer = %to, "nobody knows where it is");
            return;
        }
        let conn = self.new_conn(Stage::Dialing(to));
        self.peer(to).dialing = Some(conn);
        self.outputs.push_back(Output::Dial {
            conn,
            peer: to,
            addrs,
        });
    }

    /// Gives up the connection there is with a peer, if any, and dials.
    pub(in crate::quorum::election) fn reconnect(&mut self, to: ServerId) {
        let link = self.peers.get(&to).and_then(|peer| peer.link);
        if let Some(conn) = link {
            tracing::info!(peer = %to, "nothing is heard from it, connecting anew");
            self.close(conn);
        }
        self.connect(to);
    }

    /// A dial has succeeded.
    pub(in crate::quorum::election) fn handle_dialed(&mut self, conn: ConnId, now: Mono) {
        let Some(Stage::Dialing(peer)) = self.stage(conn) else {
            return;
        };
        self.peer(peer).dialing = None;
        if self.is_linked(peer) {
            // It was faster, and would take a knock for the end of its connection.
            self.close(conn);
            return;
        }
        let CnxOptions {
            id,
            addrs,
            is_multi_address,
            ..
        } = &self.options;
        let bytes = handshake::encode(*id, addrs, *is_multi_address);
        let is_ours = peer < *id;
        self.write(conn, bytes);
        if is_ours {
            self.link_event(peer, LinkEvent::Up);
            self.link(peer, conn);
        } else {
            // It will dial back, which is what shows that it is there.
            self.close(conn);
            let state = self.peer(peer);
            if state.knock == Knock::None {
                let until = now + KNOCK_PATIENCE;
                state.knock = Knock::Waiting { until };
            }
        }
    }

    /// A dial has failed.
    pub(in crate::quorum::election) fn handle_dial_failed(
        &mut self,
        conn: ConnId,
        error: DialError,
    ) {
        let Some(Stage::Dialing(peer)) = self.stage(conn) else {
            return;
        };
        self.conns.remove(&conn);
        self.peer(peer).dialing = None;
        self.peer(peer).knock = Knock::None;
        let event = match error {
            DialError::Refused => LinkEvent::Refused,
            DialError::Unreachable => LinkEvent::Unreachable,
        };
        if self.peer(peer).link.is_none() {
            self.link_event(peer, event);
        }
        // What a peer said of itself may be wrong; the list is asked next time.
        if self.listed.contains_key(&peer) {
            self.peer(peer).told.clear();
        }
        self.prune();
    }

    /// Somebody has connected.
    pub(in crate::quorum::election) fn handle_accepted(&mut self, now: Mono) -> ConnId {
        let nameless = |conn: &Conn| matches!(conn.stage, Stage::Nameless { .. });
        let count = self.conns.values().filter(|conn| nameless(conn)).count();
        if count >= MAX_NAMELESS {
            let oldest = self.conns.iter().find(|(_, conn)| nameless(conn));
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                self.close(oldest);
            }
        }
        let until = now + self.options.handshake_timeout;
        self.new_conn(Stage::Nameless { until })
    }

    /// Bytes have arrived.
    pub(in crate::quorum::election) fn handle_bytes(&mut self, conn: ConnId, bytes: &[u8]) {
        if let Some(entry) = self.conns.get_mut(&conn) {
            entry.input.extend_from_slice(bytes);
        }
        // Each step takes something off the input, or is the last one.
        while self.take(conn) {}
    }

    /// Takes a handshake or a message off the input; false when there is none.
    fn take(&mut self, conn: ConnId) -> bool {
        let Some(entry) = self.conns.get_mut(&conn) else {
            return false;
        };
        match entry.stage {
            Stage::Nameless { .. } => match handshake::decode(&mut entry.input) {
                Ok(None) => false,
                Ok(Some(handshake)) => {
                    self.handle_handshake(conn, handshake);
                    true
                }
                Err(error) => {
                    tracing::warn!(%error, "an election connection is closed");
                    self.close(conn);
                    false
                }
            },
            Stage::Dialing(_) => false,
            Stage::Linked(from) => match take_frame(&mut entry.input) {
                Ok(None) => false,
                Ok(Some(message)) => {
                    self.outputs.push_back(Output::Deliver { from, message });
                    true
                }
                Err(size) => {
                    tracing::warn!(peer = %from, size, "a message of impossible size");
                    self.close(conn);
                    self.link_event(from, LinkEvent::Lost);
                    false
                }
            },
        }
    }

    /// Somebody who dialled us has said who it is.
    fn handle_handshake(&mut self, conn: ConnId, handshake: handshake::Handshake) {
        let me = self.options.id;
        let peer = handshake.sid.unwrap_or_else(|| {
            self.next_observer = self.next_observer.saturating_sub(1);
            ServerId(self.next_observer + 1)
        });
        if peer == me {
            tracing::warn!(sid = %peer, "somebody else says it is this server");
            self.close(conn);
            return;
        }
        self.make_room_for(peer);
        self.peer(peer).told = handshake.addrs;
        if peer > me {
            self.link(peer, conn);
            self.link_event(peer, LinkEvent::Up);
            return;
        }
        // It may only knock. What there was is of an earlier life of that peer.
        self.close(conn);
        if let Some(link) = self.peer(peer).link {
            self.close(link);
        }
        self.link_event(peer, LinkEvent::Up);
        self.connect(peer);
    }

    /// Makes `conn` the connection with `peer`.
    fn link(&mut self, peer: ServerId, conn: ConnId) {
        if let Some(old) = self.peer(peer).link {
            self.close(old);
        }
        if let Some(entry) = self.conns.get_mut(&conn) {
            entry.stage = Stage::Linked(peer);
        }
        let state = self.peer(peer);
        state.link = Some(conn);
        state.knock = Knock::None;
        if state.waiting.is_none() {
            state.waiting.clone_from(&state.last_sent);
        }
        self.write_waiting(peer);
    }

    /// A write has been done.
    pub(in crate::quorum::election) fn handle_written(&mut self, conn: ConnId) {
        let Some(entry) = self.conns.get_mut(&conn) else {
            return;
        };
        entry.is_writing = false;
        if let Stage::Linked(peer) = entry.stage {
            self.write_waiting(peer);
        }
    }

    /// A connection has ended, by the other side or by an error.
    pub(in crate::quorum::election) fn handle_closed(&mut self, conn: ConnId) {
        let stage = self.stage(conn);
        self.forget(conn);
        if let Some(Stage::Linked(peer)) = stage {
            self.link_event(peer, LinkEvent::Lost);
        }
        self.prune();
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(in crate::quorum::election) fn poll_timeout(&self) -> Option<Mono> {
        let deadlines = self.conns.values().filter_map(|conn| match conn.stage {
            Stage::Nameless { until } => Some(until),
            Stage::Dialing(_) | Stage::Linked(_) => None,
        });
        let knocks = self.peers.values().filter_map(|peer| match peer.knock {
            Knock::Waiting { until } => Some(until),
            Knock::None | Knock::Repeated => None,
        });
        deadlines.chain(knocks).min()
    }

    /// Closes whoever did not say in time who it is, and dials again who did not dial back.
    pub(in crate::quorum::election) fn handle_timeout(&mut self, now: Mono) {
        let is_late = |conn: &Conn| matches!(conn.stage, Stage::Nameless { until } if until <= now);
        let late = self.conns.iter().filter(|(_, conn)| is_late(conn));
        for conn in late.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.close(conn);
        }
        let is_due = |peer: &Peer| matches!(peer.knock, Knock::Waiting { until } if until <= now);
        let due = self.peers.iter().filter(|(_, peer)| is_due(peer));
        for peer in due.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.peer(peer).knock = Knock::Repeated;
            self.connect(peer);
        }
    }

    /// The next thing to do.
    pub(in crate::quorum::election) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether there is a connection with `peer`.
    pub(in crate::quorum::election) fn is_linked(&self, peer: ServerId) -> bool {
        self.peers
            .get(&peer)
            .is_some_and(|peer| peer.link.is_some())
    }

    fn peer(&mut self, peer: ServerId) -> &mut Peer {
        self.peers.entry(peer).or_default()
    }

    fn stage(&self, conn: ConnId) -> Option<Stage> {
        self.conns.get(&conn).map(|entry| entry.stage)
    }

    fn new_conn(&mut self, stage: Stage) -> ConnId {
        let id = ConnId(self.next_conn);
        self.next_conn += 1;
        let conn = Conn {
            stage,
            input: BytesMut::new(),
            is_writing: false,
        };
        self.conns.insert(id, conn);
        id
    }

    /// Makes room to keep something of `peer`: of those in no list, the one whose
    /// connection is the oldest gives way.
    fn make_room_for(&mut self, peer: ServerId) {
        if self.listed.contains_key(&peer) || self.peers.contains_key(&peer) {
            return;
        }
        let listed = &self.listed;
        let unlisted = self.peers.iter().filter(|(id, _)| !listed.contains_key(id));
        if unlisted.clone().count() < MAX_UNLISTED {
            return;
        }
        let oldest = unlisted.min_by_key(|(_, peer)| peer.link.max(peer.dialing));
        let Some(oldest) = oldest.map(|(id, _)| *id) else {
            return;
        };
        tracing::warn!(peer = %oldest, "too many peers that are in no list, one gives way");
        if let Some(Peer { link, dialing, .. }) = self.peers.remove(&oldest) {
            for conn in link.into_iter().chain(dialing) {
                self.close(conn);
            }
        }
    }

    /// Forgets peers that are in no list and not connected.
    fn prune(&mut self) {
        let listed = &self.listed;
        self.peers.retain(|id, peer| {
            listed.contains_key(id) || peer.link.is_some() || peer.dialing.is_some()
        });
    }

    /// Gives the newest message to the connection, once that has nothing else to write.
    fn write_waiting(&mut self, to: ServerId) {
        let peer = self.peers.entry(to).or_default();
        let Some(conn) = peer.link else {
            return;
        };
        let is_busy = self.conns.get(&conn).is_none_or(|entry| entry.is_writing);
        if is_busy {
            return;
        }
        if let Some(bytes) = peer.waiting.take() {
            peer.last_sent = Some(bytes.clone());
            self.write(conn, bytes);
        }
    }

    fn write(&mut self, conn: ConnId, bytes: Bytes) {
        if let Some(entry) = self.conns.get_mut(&conn) {
            entry.is_writing = true;
            self.outputs.push_back(Output::Write { conn, bytes });
        }
    }

    fn close(&mut self, conn: ConnId) {
        self.forget(conn);
        self.outputs.push_back(Output::Close(conn));
    }

    fn forget(&mut self, conn: ConnId) {
        self.conns.remove(&conn);
        for peer in self.peers.values_mut() {
            if peer.link == Some(conn) {
                peer.link = None;
            }
            if peer.dialing == Some(conn) {
                peer.dialing = None;
            }
        }
    }

    fn link_event(&mut self, peer: ServerId, event: LinkEvent) {
        self.outputs.push_back(Output::Link { peer, event });
    }
}

/// Takes a message off the front; an error is a size that none has.
fn take_frame(input: &mut BytesMut) -> Result<Option<Bytes>, i32> {
    let mut bytes = &input[..];
    let Ok(size) = bytes.try_get_i32() else {
        return Ok(None);
    };
    let fits = usize::try_from(size)
        .ok()
        .filter(|size| (1..=MAX_MESSAGE_BYTES).contains(size));
    let fits = fits.ok_or(size)?;
    if bytes.len() < fits {
        return Ok(None);
    }
    input.advance(4);
    Ok(Some(input.split_to(fits).freeze()))
}
