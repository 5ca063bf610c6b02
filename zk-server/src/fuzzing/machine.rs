//! The pure machine that serves clients.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use zk_env::Mono;

use crate::config::ServerConfig;
use crate::zookeeper_server::{ConnId, Output, ZooKeeperServer};

/// The wall clock's reading when the machine starts.
const START_WALL_MS: i64 = 1_700_000_000_000;

/// A server without sockets, tasks or clocks.
#[derive(Debug)]
pub struct Machine {
    zks: ZooKeeperServer,
    now: Mono,
}

/// What a driver would do.
#[derive(Debug)]
pub enum Action {
    /// Write these bytes, whole frames.
    Send {
        /// To which connection.
        conn: u64,
        /// What.
        frames: Bytes,
    },
    /// Close this connection. The machine has forgotten it.
    Close {
        /// Which.
        conn: u64,
    },
}

/// What clients hold in the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Sessions.
    pub sessions: usize,
    /// Ephemeral znodes.
    pub ephemerals: usize,
    /// Watches.
    pub watches: usize,
    /// Bytes that wait to be sent.
    pub queued_bytes: usize,
}

impl Machine {
    /// A server with an empty tree.
    pub fn new(config: &ServerConfig) -> Self {
        Self {
            zks: ZooKeeperServer::new(config, Mono::ZERO, START_WALL_MS, 0),
            now: Mono::ZERO,
        }
    }

    /// A client has connected, under a number not used before.
    pub fn accept(&mut self, conn: u64) {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        self.zks.handle_accepted(ConnId(conn), peer);
    }

    /// A frame's payload has arrived.
    pub fn frame(&mut self, conn: u64, frame: &Bytes) {
        let wall_ms = self.wall_ms();
        let conn = ConnId(conn);
        self.zks.handle_frame(conn, frame, self.now, wall_ms);
    }

    /// The client is gone.
    pub fn closed(&mut self, conn: u64) {
        self.zks.handle_closed(ConnId(conn));
    }

    /// Time passes, and what falls due meanwhile happens.
    pub fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        while let Some(due) = self.zks.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.zks.handle_timeout(self.now, self.wall_ms());
            let next = self.zks.poll_timeout();
            assert!(next > Some(due), "the same deadline again: {next:?}");
        }
        self.now = until;
    }

    /// What to do next.
    pub fn poll(&mut self) -> Option<Action> {
        self.zks.poll_output().map(|output| match output {
            Output::Send { conn, frames, .. } => Action::Send {
                conn: conn.0,
                frames,
            },
            Output::Close { conn } => Action::Close { conn: conn.0 },
        })
    }

    /// What clients hold now.
    pub fn usage(&self) -> Usage {
        Usage {
            sessions: self.zks.session_count(),
            ephemerals: self.zks.ephemerals_count(),
            watches: self.zks.watch_count(),
            queued_bytes: self.zks.queued_bytes(),
        }
    }

    fn wall_ms(&self) -> i64 {
        let elapsed = self.now.since(Mono::ZERO).as_millis();
        START_WALL_MS.saturating_add(i64::try_from(elapsed).unwrap_or(i64::MAX))
    }
}
