//! Which znodes do not live for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zk_proto::SessionId;

use super::znode::EphemeralType;

/// The paths of ephemerals by session, of containers and of TTL znodes.
#[derive(Debug, Default)]
pub(crate) struct Ephemerals {
    by_session: BTreeMap<SessionId, BTreeSet<Arc<str>>>,
    containers: BTreeSet<Arc<str>>,
    ttls: BTreeSet<Arc<str>>,
}

impl Ephemerals {
    /// A znode of this kind has been created at `path`.
    pub(crate) fn add(&mut self, path: &Arc<str>, kind: EphemeralType) {
        let paths = match kind {
            EphemeralType::Void => return,
            EphemeralType::Normal(session) => self.by_session.entry(session).or_default(),
            EphemeralType::Container => &mut self.containers,
            EphemeralType::Ttl { .. } => &mut self.ttls,
        };
        paths.insert(Arc::clone(path));
    }

    /// The znode at `path` is gone. Its session stays listed until it ends, as
    /// the `dump` of Apache has it.
    pub(crate) fn remove(&mut self, path: &str, kind: EphemeralType) {
        let paths = match kind {
            EphemeralType::Void => return,
            EphemeralType::Normal(session) => match self.by_session.get_mut(&session) {
                Some(paths) => paths,
                None => return,
            },
            EphemeralType::Container => &mut self.containers,
            EphemeralType::Ttl { .. } => &mut self.ttls,
        };
        paths.remove(path);
    }

    /// The session has ended; what it still owned.
    pub(crate) fn remove_session(&mut self, session: SessionId) -> BTreeSet<Arc<str>> {
        self.by_session.remove(&session).unwrap_or_default()
    }

    /// The session's ephemerals, in order.
    pub(crate) fn of_session(&self, session: SessionId) -> impl Iterator<Item = &Arc<str>> {
        self.by_session.get(&session).into_iter().flatten()
    }

    /// Every session that has had an ephemeral, in order, with its paths.
    pub(crate) fn by_session(&self) -> impl Iterator<Item = (SessionId, &BTreeSet<Arc<str>>)> {
        self.by_session
            .iter()
            .map(|(session, paths)| (*session, paths))
    }

    /// How many ephemerals there are.
    pub(crate) fn count(&self) -> usize {
        self.by_session.values().map(BTreeSet::len).sum()
    }

    /// Containers, in order.
    pub(crate) fn containers(&self) -> impl Iterator<Item = &Arc<str>> {
        self.containers.iter()
    }

    /// TTL znodes, in order.
    pub(crate) fn ttls(&self) -> impl Iterator<Item = &Arc<str>> {
        self.ttls.iter()
    }
}
