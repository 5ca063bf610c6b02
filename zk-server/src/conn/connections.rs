//! All connections, and what is to be done about them.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use rustc_hash::FxHashMap;
use zk_env::{EnvRng, Probe};
use zk_proto::sasl::{NONCE_BYTES, nonce};
use zk_proto::{Acl, Perms, SessionId, Zxid};

use super::{ConnId, Connection};
use crate::auth::{SaslExchange, Schemes};
use crate::tree::{WatchSink, WatchedEvent};

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Write these bytes: whole frames with their length words.
    Send {
        /// To whom.
        conn: ConnId,
        /// What.
        frames: Bytes,
        /// How many frames that is, for statistics.
        count: u32,
    },
    /// Close once everything sent before has been written. Nothing more comes
    /// for this connection; the machine has forgotten it, `handle_closed` is not needed.
    Close {
        /// Which.
        conn: ConnId,
    },
}

/// A connection as `cons` and `dump` show it.
#[derive(Clone, Debug)]
pub(crate) struct ConnInfo {
    /// Its session, `SessionId::NONE` before the handshake.
    pub(crate) session: SessionId,
    /// The negotiated timeout in milliseconds, 0 before the handshake.
    pub(crate) timeout_ms: i32,
    /// Apache's name for the last request answered, `NA` before the first.
    pub(crate) last_op: &'static str,
    /// The xid of the last request answered, −1 before the first.
    pub(crate) last_cxid: i32,
    /// The zxid of the last reply, −1 before the first.
    pub(crate) last_zxid: Zxid,
}

/// The connections of a server.
#[derive(Debug)]
pub(crate) struct Connections {
    by_id: FxHashMap<ConnId, Slot>,
    /// Those with output or about to close, in the order in which they got there.
    ready: VecDeque<ConnId>,
    /// Bytes that wait to be sent, on all connections.
    queued_bytes: usize,
    schemes: Schemes,
    /// Where nonces for SASL come from; without it there is none.
    nonces: Option<EnvRng>,
    probe: Probe,
}

#[derive(Debug)]
struct Slot {
    connection: Connection,
    /// Whether it is listed in `ready`.
    is_ready: bool,
    /// Its part of `queued_bytes`.
    queued_bytes: usize,
}

impl Connections {
    pub(crate) fn new(schemes: Schemes) -> Self {
        Self {
            by_id: FxHashMap::default(),
            ready: VecDeque::new(),
            queued_bytes: 0,
            schemes,
            nonces: None,
            probe: Probe::default(),
        }
    }

    /// A client has shown a certificate with this subject.
    pub(crate) fn certified(&mut self, conn: ConnId, subject: &str) {
        if let Some(slot) = self.by_id.get_mut(&conn) {
            slot.connection.certified(subject, &self.schemes);
        }
    }

    /// Draws the nonces of SASL from `rng`, which nobody else may guess.
    pub(crate) fn nonces_from(&mut self, rng: EnvRng) {
        self.nonces = Some(rng);
    }

    /// Lets a simulator see what happens.
    pub(crate) fn observed_by(&mut self, probe: Probe) {
        self.probe = probe;
    }

    pub(crate) const fn schemes(&self) -> &Schemes {
        &self.schemes
    }

    pub(crate) fn add(&mut self, conn: ConnId, peer: SocketAddr) {
        let slot = Slot {
            connection: Connection::new(peer, self.begin_sasl()),
            is_ready: false,
            queued_bytes: 0,
        };
        self.by_id.insert(conn, slot);
    }

    fn begin_sasl(&mut self) -> Option<SaslExchange> {
        self.schemes.sasl_users()?;
        let mut random = [0; NONCE_BYTES];
        self.nonces.as_mut()?.fill(&mut random);
        Some(SaslExchange::new(nonce(&random)))
    }

    /// The socket is gone: forgets the connection and what it was to be sent.
    pub(crate) fn remove(&mut self, conn: ConnId) -> Option<Connection> {
        let slot = self.by_id.remove(&conn)?;
        self.queued_bytes -= slot.queued_bytes;
        Some(slot.connection)
    }

    pub(crate) fn get(&self, conn: ConnId) -> Option<&Connection> {
        self.by_id.get(&conn).map(|slot| &slot.connection)
    }

    /// A connection to act upon, with the schemes it is judged by. Whoever leaves
    /// output in it, or closes it, says [`mark_ready`](Self::mark_ready).
    pub(crate) fn get_mut(&mut self, conn: ConnId) -> Option<(&mut Connection, &Schemes)> {
        let slot = self.by_id.get_mut(&conn)?;
        Some((&mut slot.connection, &self.schemes))
    }

    /// The connection may have something to send, or be about to close.
    pub(crate) fn mark_ready(&mut self, conn: ConnId) {
        let Some(slot) = self.by_id.get_mut(&conn) else {
            return;
        };
        let queued = slot.connection.queued_bytes();
        self.queued_bytes = self.queued_bytes - slot.queued_bytes + queued;
        slot.queued_bytes = queued;
        if !slot.is_ready {
            slot.is_ready = true;
            self.ready.push_back(conn);
        }
    }

    /// Bytes that wait to be sent, on all connections.
    pub(crate) const fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// The next thing to do.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        loop {
            let conn = *self.ready.front()?;
            if let Some(output) = self.output_of(conn) {
                return Some(output);
            }
            self.ready.pop_front();
        }
    }

    /// `None` if there is nothing to do any more; then it is not ready.
    fn output_of(&mut self, conn: ConnId) -> Option<Output> {
        let slot = self.by_id.get_mut(&conn)?;
        if slot.connection.queued_bytes() > 0 {
            self.queued_bytes -= std::mem::take(&mut slot.queued_bytes);
            let (frames, count) = slot.connection.take_output();
            return Some(Output::Send {
                conn,
                frames,
                count,
            });
        }
        if slot.connection.is_closing() {
            self.by_id.remove(&conn);
            return Some(Output::Close { conn });
        }
        slot.is_ready = false;
        None
    }

    /// One connection.
    pub(crate) fn info(&self, conn: ConnId) -> Option<ConnInfo> {
        let connection = self.get(conn)?;
        let last = connection.last();
        Some(ConnInfo {
            session: connection.session(),
            timeout_ms: connection.timeout_ms(),
            last_op: last.op,
            last_cxid: last.cxid,
            last_zxid: last.zxid,
        })
    }
}

/// Events come only to those who may read the znode (CVE-2024-23944).
impl WatchSink for Connections {
    fn deliver(&mut self, conn: ConnId, event: WatchedEvent<'_>, acl: &[Acl]) {
        let Some((connection, schemes)) = self.get_mut(conn) else {
            return;
        };
        let may_read = schemes.permits(acl, Perms::READ, connection.identities());
        if !may_read {
            self.probe.reached("server: ACL refused at event delivery");
            return;
        }
        if !connection.is_closing() {
            connection.notify(event);
            self.mark_ready(conn);
        }
    }
}
