//! Sessions that no transaction has opened (Apache's `LocalSessionTracker` and
//! `UpgradeableSessionTracker`): they cost the ensemble nothing, and end with the role of the
//! one server that knows them.

use zk_env::Mono;
use zk_proto::{ErrorCode, SessionId};

use super::{Origin, Scope, Sessions};
use crate::conn::ConnId;
use crate::session::SessionIds;

/// Whether new sessions are local.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LocalSessions {
    /// Never.
    #[default]
    Off,
    /// Always, and they have no ephemerals; `localSessionsEnabled`.
    On,
    /// As long as they have no ephemerals; `localSessionsUpgradingEnabled`.
    Upgradeable,
}

/// What a session is taken for that is not known here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Strangers {
    /// It is unknown: a standalone server's clients have no other.
    #[default]
    Unknown,
    /// It has ended: a leader knows all that live.
    Ended,
    /// It is another server's local session, unless its id is one of `own`'s.
    Elsewhere {
        /// The leader's id, as sessions bear it.
        own: u8,
    },
}

impl Strangers {
    /// Of a leader.
    pub(crate) fn of_leader(local: LocalSessions, own: u8) -> Self {
        match local {
            LocalSessions::Off => Self::Ended,
            LocalSessions::On | LocalSessions::Upgradeable => Self::Elsewhere { own },
        }
    }

    pub(super) fn admit(self, session: SessionId) -> Result<(), ErrorCode> {
        match self {
            Self::Unknown => Err(ErrorCode::UnknownSession),
            Self::Elsewhere { own } if SessionIds::server_of(session) != own => Ok(()),
            Self::Ended | Self::Elsewhere { .. } => Err(ErrorCode::SessionExpired),
        }
    }
}

impl Sessions {
    /// What sessions are taken for that are not known here.
    pub(crate) const fn set_strangers(&mut self, strangers: Strangers) {
        self.strangers = strangers;
    }

    /// A session begins that nobody else hears of.
    pub(crate) fn add_local(&mut self, id: SessionId, timeout_ms: i32, conn: ConnId, now: Mono) {
        let session = self.insert(id, Scope::Local, timeout_ms, now);
        session.conn = Some(conn);
        session.origin = Some(Origin::Here);
    }

    /// Whether this server alone knows the session.
    pub(crate) fn is_local(&self, id: SessionId) -> bool {
        self.scope(id) == Some(Scope::Local)
    }

    /// Whether all of the ensemble knows the session, or is about to.
    pub(crate) fn is_global(&self, id: SessionId) -> bool {
        self.scope(id) == Some(Scope::Global)
    }

    fn scope(&self, id: SessionId) -> Option<Scope> {
        Some(self.by_id.get(&id)?.scope)
    }

    /// The ensemble is about to hear of a local session: its timeout in milliseconds.
    /// `None` if it is none.
    pub(crate) fn upgrade(&mut self, id: SessionId) -> Option<i32> {
        let session = self.by_id.get_mut(&id)?;
        if session.scope == Scope::Global {
            return None;
        }
        session.scope = Scope::Global;
        self.expiry.local.remove(session.bucket, id);
        self.expiry.global.insert(session.bucket, id);
        Some(session.timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::session::Expiring;

    const S: SessionId = SessionId(0x0100_0000_0000_0007);
    const A: ConnId = ConnId(1);

    const fn at(ms: u64) -> Mono {
        Mono::from_origin(Duration::from_millis(ms))
    }

    fn one_local() -> Sessions {
        let mut sessions = Sessions::new(Duration::from_millis(1000));
        sessions.add_local(S, 4000, A, at(500));
        sessions
    }

    #[test]
    fn a_local_session_expires_here_and_is_in_no_snapshot() {
        let mut sessions = one_local();
        sessions.load(SessionId(8), 2000, at(500));
        assert_eq!(sessions.next_expiry(Expiring::Local), Some(at(5000)));
        assert_eq!(sessions.next_expiry(Expiring::All), Some(at(3000)));
        assert_eq!(sessions.timeouts(), [(SessionId(8), 2000)]);
        let expired = sessions.take_expired(Expiring::Local, at(6000), false);
        assert_eq!(expired, [S], "the other is its leader's");
        let order: Vec<_> = one_local().infos().iter().map(|s| s.session).collect();
        assert_eq!(order, [S]);
    }

    #[test]
    fn an_upgraded_session_is_the_leaders_to_expire() {
        let mut sessions = one_local();
        let ephemeral = sessions.check_global(S, Origin::Here);
        assert_eq!(ephemeral, Err(ErrorCode::SessionExpired));
        assert_eq!(sessions.upgrade(S), Some(4000));
        assert_eq!(sessions.upgrade(S), None, "once");
        assert!(sessions.is_global(S) && !sessions.is_local(S));
        assert_eq!(sessions.check_global(S, Origin::Here), Ok(()));
        assert_eq!(sessions.next_expiry(Expiring::Local), None);
        assert!(sessions.touch(S, at(3000)));
        assert_eq!(sessions.next_expiry(Expiring::All), Some(at(8000)));
    }

    #[test]
    fn a_role_takes_its_local_sessions_along() {
        let mut sessions = one_local();
        sessions.forget_uncommitted(at(900));
        assert!(!sessions.contains(S));
        assert_eq!(sessions.next_expiry(Expiring::All), None);
    }

    #[test]
    fn strangers_may_be_local_elsewhere() {
        let mut sessions = one_local();
        let (own, other) = (SessionId(S.0 + 1), SessionId(0x0200_0000_0000_0001));
        let expired = Err(ErrorCode::SessionExpired);
        let unknown = Err(ErrorCode::UnknownSession);
        for (strangers, of_own, of_other) in [
            (Strangers::Unknown, unknown, unknown),
            (
                Strangers::of_leader(LocalSessions::Off, 1),
                expired,
                expired,
            ),
            (Strangers::of_leader(LocalSessions::On, 1), expired, Ok(())),
        ] {
            sessions.set_strangers(strangers);
            assert_eq!(sessions.check(own, Origin::Here), of_own);
            assert_eq!(sessions.check(other, Origin::Here), of_other);
            assert_eq!(sessions.check_global(other, Origin::Here), expired);
        }
    }
}
