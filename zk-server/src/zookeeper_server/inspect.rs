//! What statistics, four-letter words and embedders ask.

use zk_proto::{SessionId, Zxid};

use super::{ConnId, ConnInfo, SessionInfo, WatchSummary, ZooKeeperServer};

impl ZooKeeperServer {
    /// The last transaction applied.
    pub(crate) fn last_zxid(&self) -> Zxid {
        self.tree.last_processed()
    }

    /// Znodes, the root counted twice, as Apache does.
    pub(crate) fn node_count(&self) -> usize {
        self.tree.node_count()
    }

    /// Bytes of paths and data.
    pub(crate) fn approximate_data_size(&self) -> u64 {
        self.tree.data_size()
    }

    /// Ephemeral znodes.
    pub(crate) fn ephemerals_count(&self) -> usize {
        self.tree.ephemerals().count()
    }

    /// Ephemeral znodes by session, in ascending order. As in Apache a session
    /// whose last ephemeral was deleted is still listed.
    pub(crate) fn ephemerals(&self) -> Vec<(SessionId, Vec<&str>)> {
        let by_session = self.tree.ephemerals().by_session();
        by_session
            .map(|(session, paths)| (session, paths.iter().map(|path| &**path).collect()))
            .collect()
    }

    /// Sessions in ascending order of expiry.
    pub(crate) fn sessions(&self) -> Vec<SessionInfo> {
        self.sessions.infos()
    }

    /// Sessions in ascending order, with their timeouts in milliseconds.
    pub(crate) fn session_timeouts(&self) -> Vec<(SessionId, i32)> {
        self.sessions.timeouts()
    }

    /// How many sessions there are.
    pub(crate) fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// The connection that holds `session` now.
    pub(crate) fn session_conn(&self, session: SessionId) -> Option<ConnId> {
        self.sessions.conn(session)
    }

    /// Bytes that wait for [`poll_output`](Self::poll_output), on all connections.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.connections.queued_bytes()
    }

    /// One connection.
    pub(crate) fn connection(&self, conn: ConnId) -> Option<ConnInfo> {
        self.connections.info(conn)
    }

    /// Watches of both tables (`mntr`'s `watch_count`).
    pub(crate) fn watch_count(&self) -> usize {
        self.watches.len()
    }

    /// Data watches, as `wchs` counts them.
    pub(crate) fn watch_summary(&self) -> WatchSummary {
        self.watches.data().summary()
    }

    /// Data watches by session, as `wchc` lists them.
    pub(crate) fn watches_by_session(&self) -> Vec<(SessionId, Vec<&str>)> {
        let by_conn = self.watches.data().by_conn().into_iter();
        by_conn
            .map(|(conn, paths)| (self.session_of(conn), paths))
            .collect()
    }

    /// Data watches by path, as `wchp` lists them.
    pub(crate) fn watches_by_path(&self) -> Vec<(&str, Vec<SessionId>)> {
        let by_path = self.watches.data().by_path().into_iter();
        by_path
            .map(|(path, conns)| {
                let sessions = conns.into_iter().map(|conn| self.session_of(conn));
                (path, sessions.collect())
            })
            .collect()
    }

    fn session_of(&self, conn: ConnId) -> SessionId {
        let connection = self.connections.get(conn);
        connection.map_or(SessionId::NONE, |connection| connection.session())
    }
}
