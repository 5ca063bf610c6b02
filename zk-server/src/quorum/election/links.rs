//! What the election connections say about who is still there.

use std::collections::BTreeMap;

use crate::quorum::ServerId;

/// What happened to the connection with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkEvent {
    /// The peer has accepted a connection, or made one.
    Up,
    /// The connection there was has ended.
    Lost,
    /// The peer's machine says that nobody listens.
    Refused,
    /// A dial came to nothing in another way: no answer, no route, no such name.
    Unreachable,
}

/// Who need not be waited for in the current round.
///
/// A peer that refuses connections twice is not there, and a vote it never sent
/// cannot turn out to be the better one. One that merely does not answer may be slow.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    suspects: BTreeMap<ServerId, Suspicion>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suspicion {
    /// Lost or refused in this round.
    Down,
    /// And a redial has failed.
    Gone,
}

impl Links {
    /// A round begins, and with it the evidence.
    pub(super) fn forget(&mut self) {
        self.suspects.clear();
    }

    /// The peer is there after all.
    pub(super) fn is_up(&mut self, peer: ServerId) {
        self.suspects.remove(&peer);
    }

    /// Takes note; true asks for a redial, the first time in a round.
    pub(super) fn handle(&mut self, peer: ServerId, event: LinkEvent) -> bool {
        match (event, self.suspects.get(&peer)) {
            (LinkEvent::Up, _) => {
                self.suspects.remove(&peer);
                false
            }
            (LinkEvent::Lost | LinkEvent::Refused, None) => {
                self.suspects.insert(peer, Suspicion::Down);
                true
            }
            (LinkEvent::Refused | LinkEvent::Unreachable, Some(_)) => {
                self.suspects.insert(peer, Suspicion::Gone);
                false
            }
            (LinkEvent::Lost, Some(_)) | (LinkEvent::Unreachable, None) => false,
        }
    }

    /// Whether the peer is known not to be there.
    pub(super) fn is_gone(&self, peer: ServerId) -> bool {
        self.suspects.get(&peer) == Some(&Suspicion::Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_gone_once_a_redial_has_failed() {
        use LinkEvent::{Lost, Refused, Unreachable, Up};
        for (events, expected) in [
            (&[Refused, Refused][..], true),
            (&[Lost, Refused], true),
            (&[Lost, Unreachable], true),
            (&[Lost], false),
            (&[Refused], false),
            (&[Lost, Lost], false),
            (&[Unreachable, Unreachable], false),
            (&[Refused, Refused, Up], false),
            (&[Refused, Up, Refused], false),
        ] {
            let mut links = Links::default();
            for event in events {
                links.handle(ServerId(1), *event);
            }
            assert_eq!(links.is_gone(ServerId(1)), expected, "{events:?}");
        }
    }

    #[test]
    fn one_redial_is_asked_for_in_a_round() {
        let mut links = Links::default();
        assert!(links.handle(ServerId(1), LinkEvent::Refused));
        assert!(!links.handle(ServerId(1), LinkEvent::Refused));
        links.forget();
        assert!(links.handle(ServerId(1), LinkEvent::Lost));
    }
}
