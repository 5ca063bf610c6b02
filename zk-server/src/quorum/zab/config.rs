//! What a quorum is while the ensemble changes.

use std::collections::BTreeSet;

use zk_proto::Zxid;

use crate::quorum::{QuorumVerifier, ServerId};

/// The configurations that a server knows of.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The configuration in force.
    pub(crate) committed: QuorumVerifier,
    /// One that was proposed after it, of which a quorum is needed as well. Nothing where
    /// reconfigurations are disabled, or what is left of an old one would keep the
    /// ensemble from deciding anything (ZOOKEEPER-3829).
    pub(crate) last_seen: Option<QuorumVerifier>,
}

impl Config {
    /// Whether these are enough, in every configuration.
    pub(super) fn contains_quorum(&self, acks: &BTreeSet<ServerId>) -> bool {
        let newer = self.newer();
        self.committed.contains_quorum(acks)
            && newer.is_none_or(|config| config.contains_quorum(acks))
    }

    /// Whether these are enough for the proposal `zxid`. The next configuration has a say
    /// in its own proposal and in those behind it, none in those before: they have been
    /// acknowledged by servers that were not asked yet.
    pub(super) fn decides(&self, zxid: Zxid, acks: &BTreeSet<ServerId>) -> bool {
        match self.newer() {
            Some(newer) if zxid.0 < newer.version() => self.committed.contains_quorum(acks),
            Some(_) | None => self.contains_quorum(acks),
        }
    }

    /// The configuration that was proposed and is not in force.
    pub(super) fn newer(&self) -> Option<&QuorumVerifier> {
        let newer = self.last_seen.as_ref();
        newer.filter(|config| config.version() > self.committed.version())
    }

    /// The newest one there is.
    pub(super) fn newest(&self) -> &QuorumVerifier {
        self.newer().unwrap_or(&self.committed)
    }

    /// Whether `id` has a vote in any of them.
    pub(super) fn is_voter(&self, id: ServerId) -> bool {
        self.committed.is_voter(id) || self.newer().is_some_and(|config| config.is_voter(id))
    }

    /// `next` is in force. Returns the one before.
    pub(super) fn commit(&mut self, next: QuorumVerifier) -> QuorumVerifier {
        std::mem::replace(&mut self.committed, next)
    }
}
