//! The sessions a server knows (Apache's `SessionTracker`).

mod local;

use std::collections::BTreeSet;
use std::time::Duration;

use rustc_hash::FxHashMap;
use zk_env::Mono;
use zk_proto::{ErrorCode, SessionId};

use super::expiry::{Bucket, ExpiryQueue};
use crate::conn::ConnId;
use crate::quorum::LearnerId;

pub(crate) use local::{LocalSessions, Strangers};

/// All sessions that have not ended.
#[derive(Debug)]
pub(crate) struct Sessions {
    by_id: FxHashMap<SessionId, Session>,
    expiry: Expiry,
    strangers: Strangers,
}

#[derive(Debug)]
struct Session {
    scope: Scope,
    timeout_ms: i32,
    bucket: Bucket,
    /// Its end has been decided; nothing more is done in its name.
    closing: bool,
    /// The connection that speaks for it now.
    conn: Option<ConnId>,
    /// The transaction that opens it has been applied.
    is_committed: bool,
    /// By which way its requests come; not known before the first of them.
    origin: Option<Origin>,
}

/// Who knows a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// All of the ensemble, or will once a transaction has told it.
    Global,
    /// This server alone.
    Local,
}

/// Whose sessions end here when they run out of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiring {
    All,
    /// Of the others the leader decides.
    Local,
}

/// When sessions expire.
#[derive(Debug)]
struct Expiry {
    global: ExpiryQueue,
    local: ExpiryQueue,
}

impl Expiry {
    fn new(tick: Duration) -> Self {
        Self {
            global: ExpiryQueue::new(tick),
            local: ExpiryQueue::new(tick),
        }
    }

    const fn of(&mut self, scope: Scope) -> &mut ExpiryQueue {
        match scope {
            Scope::Global => &mut self.global,
            Scope::Local => &mut self.local,
        }
    }

    fn next(&self, expiring: Expiring) -> Option<Mono> {
        let local = self.local.next();
        match expiring {
            Expiring::All => local.into_iter().chain(self.global.next()).min(),
            Expiring::Local => local,
        }
    }

    fn take_due(&mut self, expiring: Expiring, now: Mono) -> Option<BTreeSet<SessionId>> {
        let local = self.local.take_due(now);
        match expiring {
            Expiring::All => local.or_else(|| self.global.take_due(now)),
            Expiring::Local => local,
        }
    }

    fn clear(&mut self) {
        self.global.clear();
        self.local.clear();
    }

    /// Every session with its bucket, in order of expiry.
    fn sorted(&self) -> Vec<(Bucket, SessionId)> {
        let mut all: Vec<_> = self.global.iter().chain(self.local.iter()).collect();
        all.sort_unstable();
        all
    }
}

/// By which way a request has come to whoever prepares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// On a connection of this server's.
    Here,
    /// Through a learner.
    Learner(LearnerId),
}

/// A session as `dump` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionInfo {
    /// Which.
    pub(crate) session: SessionId,
    /// When its bucket expires.
    pub(crate) expires: Mono,
    /// The negotiated timeout in milliseconds.
    pub(crate) timeout_ms: i32,
}

impl Sessions {
    /// None yet; they will expire at multiples of `tick`.
    pub(crate) fn new(tick: Duration) -> Self {
        Self {
            by_id: FxHashMap::default(),
            expiry: Expiry::new(tick),
            strangers: Strangers::default(),
        }
    }

    /// A session begins, with the connection that asked for it.
    pub(crate) fn add(&mut self, id: SessionId, timeout_ms: i32, conn: ConnId, now: Mono) {
        let session = self.insert(id, Scope::Global, timeout_ms, now);
        session.conn = Some(conn);
        session.origin = Some(Origin::Here);
    }

    /// A session begins at a learner.
    pub(crate) fn add_remote(
        &mut self,
        id: SessionId,
        timeout_ms: i32,
        learner: LearnerId,
        now: Mono,
    ) {
        let session = self.insert(id, Scope::Global, timeout_ms, now);
        session.origin = Some(Origin::Learner(learner));
    }

    /// A session that was stored; nobody speaks for it yet.
    pub(crate) fn load(&mut self, id: SessionId, timeout_ms: i32, now: Mono) {
        self.insert(id, Scope::Global, timeout_ms, now).is_committed = true;
    }

    /// The transaction that opens a session is about to be applied; it may have begun
    /// elsewhere.
    pub(crate) fn learn(&mut self, id: SessionId, timeout_ms: i32, now: Mono) {
        if !self.by_id.contains_key(&id) {
            self.insert(id, Scope::Global, timeout_ms, now);
        }
    }

    /// The transaction that opens a session has been applied.
    pub(crate) fn set_committed(&mut self, id: SessionId) {
        if let Some(session) = self.by_id.get_mut(&id) {
            session.is_committed = true;
        }
    }

    fn insert(&mut self, id: SessionId, scope: Scope, timeout_ms: i32, now: Mono) -> &mut Session {
        self.remove(id);
        let queue = self.expiry.of(scope);
        let bucket = queue.bucket(now, timeout(timeout_ms));
        queue.insert(bucket, id);
        self.by_id.entry(id).or_insert(Session {
            scope,
            timeout_ms,
            bucket,
            closing: false,
            conn: None,
            is_committed: false,
            origin: None,
        })
    }

    /// The leader has found a session alive that a client presents here; the transaction
    /// that opens it may still be on its way.
    pub(crate) fn attach(&mut self, id: SessionId, timeout_ms: i32, conn: ConnId, now: Mono) {
        if !self.by_id.contains_key(&id) {
            self.insert(id, Scope::Global, timeout_ms, now);
        }
        self.renew(id, timeout_ms, conn, now);
    }

    /// Requests of a session come by this way from now on.
    pub(crate) fn set_origin(&mut self, id: SessionId, origin: Origin) {
        if let Some(session) = self.by_id.get_mut(&id) {
            session.origin = Some(origin);
        }
    }

    /// A request of a session has come by this way: from now on all have to.
    pub(crate) fn claim(&mut self, id: SessionId, origin: Origin) {
        if let Some(session) = self.by_id.get_mut(&id) {
            session.origin.get_or_insert(origin);
        }
    }

    /// Forgets everything but the sessions that transactions have opened: nobody speaks
    /// for them, and none is about to end.
    pub(crate) fn forget_uncommitted(&mut self, now: Mono) {
        let committed = self.timeouts();
        self.by_id.clear();
        self.expiry.clear();
        for (id, timeout_ms) in committed {
            self.load(id, timeout_ms, now);
        }
    }

    /// Whether there is such a session.
    pub(crate) fn contains(&self, id: SessionId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// All sessions that transactions have opened, with their timeouts in milliseconds.
    pub(crate) fn timeouts(&self) -> Vec<(SessionId, i32)> {
        let by_id = self
            .by_id
            .iter()
            .filter(|(_, session)| session.is_committed);
        let mut all: Vec<_> = by_id
            .map(|(id, session)| (*id, session.timeout_ms))
            .collect();
        all.sort_unstable();
        all
    }

    /// The client has shown life: the session gets its full timeout from `now`.
    /// False if it is gone or about to be.
    pub(crate) fn touch(&mut self, id: SessionId, now: Mono) -> bool {
        let Some(session) = self.by_id.get_mut(&id).filter(|session| !session.closing) else {
            return false;
        };
        let queue = self.expiry.of(session.scope);
        let bucket = queue.bucket(now, timeout(session.timeout_ms));
        if bucket != session.bucket {
            queue.remove(session.bucket, id);
            queue.insert(bucket, id);
            session.bucket = bucket;
        }
        true
    }

    /// As [`touch`](Self::touch), under the timeout that the client was granted where it is
    /// connected; from now on this is the session's.
    pub(crate) fn touch_for(&mut self, id: SessionId, timeout_ms: i32, now: Mono) -> bool {
        let Some(session) = self.by_id.get_mut(&id).filter(|session| !session.closing) else {
            return false;
        };
        session.timeout_ms = timeout_ms;
        self.touch(id, now)
    }

    /// Another connection speaks for the session, under a timeout negotiated
    /// afresh. False if the session is gone or about to be.
    pub(crate) fn renew(
        &mut self,
        id: SessionId,
        timeout_ms: i32,
        conn: ConnId,
        now: Mono,
    ) -> bool {
        let Some(session) = self.by_id.get_mut(&id).filter(|session| !session.closing) else {
            return false;
        };
        session.timeout_ms = timeout_ms;
        session.conn = Some(conn);
        self.touch(id, now)
    }

    /// Whether something that has come by `origin` may be done in the session's name.
    ///
    /// # Errors
    ///
    /// What the client is told.
    pub(crate) fn check(&self, id: SessionId, origin: Origin) -> Result<(), ErrorCode> {
        match self.by_id.get(&id) {
            None => self.strangers.admit(id),
            Some(session) if session.closing => Err(ErrorCode::SessionExpired),
            Some(session) if session.origin.is_some_and(|own| own != origin) => {
                Err(ErrorCode::SessionMoved)
            }
            Some(_) => Ok(()),
        }
    }

    /// As [`check`](Self::check), for what only a session known to all of the
    /// ensemble may do: create ephemerals.
    ///
    /// # Errors
    ///
    /// What the client is told.
    pub(crate) fn check_global(&self, id: SessionId, origin: Origin) -> Result<(), ErrorCode> {
        match self.by_id.get(&id).map(|session| session.scope) {
            Some(Scope::Global) => self.check(id, origin),
            Some(Scope::Local) | None => Err(ErrorCode::SessionExpired),
        }
    }

    /// The session's end has been decided. False if it was, or is gone.
    pub(crate) fn set_closing(&mut self, id: SessionId) -> bool {
        let session = self.by_id.get_mut(&id);
        session.is_some_and(|session| !std::mem::replace(&mut session.closing, true))
    }

    /// The session has ended.
    pub(crate) fn remove(&mut self, id: SessionId) {
        if let Some(session) = self.by_id.remove(&id) {
            self.expiry.of(session.scope).remove(session.bucket, id);
        }
    }

    /// The negotiated timeout in milliseconds.
    pub(crate) fn timeout_ms(&self, id: SessionId) -> Option<i32> {
        Some(self.by_id.get(&id)?.timeout_ms)
    }

    /// The connection that speaks for the session.
    pub(crate) fn conn(&self, id: SessionId) -> Option<ConnId> {
        self.by_id.get(&id)?.conn
    }

    /// `conn` speaks for the session no longer; another may do so already.
    pub(crate) fn disconnect(&mut self, id: SessionId, conn: ConnId) {
        if let Some(session) = self.by_id.get_mut(&id)
            && session.conn == Some(conn)
        {
            session.conn = None;
        }
    }

    /// The sessions that have run out of time, each once; they are closing from now on.
    /// To spare those with a connection, which may be dead, is a bug that simulators
    /// plant.
    pub(crate) fn take_expired(
        &mut self,
        expiring: Expiring,
        now: Mono,
        spares_connected: bool,
    ) -> Vec<SessionId> {
        let mut expired = Vec::new();
        while let Some(due) = self.expiry.take_due(expiring, now) {
            for id in due {
                if spares_connected && self.conn(id).is_some() {
                    self.prolong(id, now);
                } else if self.set_closing(id) {
                    expired.push(id);
                }
            }
        }
        expired
    }

    fn prolong(&mut self, id: SessionId, now: Mono) {
        if let Some(session) = self.by_id.get_mut(&id) {
            let queue = self.expiry.of(session.scope);
            session.bucket = queue.bucket(now, timeout(session.timeout_ms));
            queue.insert(session.bucket, id);
        }
    }

    /// Every session starts over with its full timeout.
    pub(crate) fn restart_timers(&mut self, now: Mono) {
        let ids: Vec<_> = self.by_id.keys().copied().collect();
        for id in ids {
            self.touch(id, now);
        }
    }

    /// When the next session may expire.
    pub(crate) fn next_expiry(&self, expiring: Expiring) -> Option<Mono> {
        self.expiry.next(expiring)
    }

    /// How many sessions there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// All sessions, in order of expiry.
    pub(crate) fn infos(&self) -> Vec<SessionInfo> {
        let sorted = self.expiry.sorted().into_iter();
        sorted
            .filter_map(|(bucket, id)| {
                let session = self.by_id.get(&id)?;
                Some(SessionInfo {
                    session: id,
                    expires: bucket.time(),
                    timeout_ms: session.timeout_ms,
                })
            })
            .collect()
    }
}

/// Negotiated timeouts are positive.
fn timeout(timeout_ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: SessionId = SessionId(7);
    const A: ConnId = ConnId(1);
    const B: ConnId = ConnId(2);

    const fn at(ms: u64) -> Mono {
        Mono::from_origin(Duration::from_millis(ms))
    }

    fn one_session() -> Sessions {
        let mut sessions = Sessions::new(Duration::from_millis(1000));
        sessions.add(S, 4000, A, at(500));
        sessions
    }

    #[test]
    fn a_session_expires_in_the_tick_after_its_timeout() {
        let mut sessions = one_session();
        assert_eq!(sessions.next_expiry(Expiring::All), Some(at(5000)));
        assert!(
            sessions
                .take_expired(Expiring::All, at(4999), false)
                .is_empty()
        );
        assert_eq!(sessions.take_expired(Expiring::All, at(5000), false), [S]);
        assert!(
            sessions
                .take_expired(Expiring::All, at(9000), false)
                .is_empty(),
            "once"
        );
        assert_eq!(
            sessions.check(S, Origin::Here),
            Err(ErrorCode::SessionExpired)
        );
        sessions.remove(S);
        assert_eq!(
            sessions.check(S, Origin::Here),
            Err(ErrorCode::UnknownSession)
        );
        assert_eq!(
            sessions.check_global(S, Origin::Here),
            Err(ErrorCode::SessionExpired)
        );
    }

    #[test]
    fn a_touch_postpones_and_a_closing_session_cannot_be_touched() {
        let mut sessions = one_session();
        assert!(sessions.touch(S, at(600)));
        assert_eq!(
            sessions.next_expiry(Expiring::All),
            Some(at(5000)),
            "same bucket"
        );
        assert!(sessions.touch(S, at(3000)));
        assert_eq!(sessions.next_expiry(Expiring::All), Some(at(8000)));
        assert!(sessions.set_closing(S));
        assert!(!sessions.set_closing(S));
        assert!(!sessions.touch(S, at(3001)));
        assert!(!sessions.renew(S, 4000, B, at(3001)));
        assert!(!sessions.touch(SessionId(8), at(3001)));
    }

    #[test]
    fn renewal_moves_the_session_and_takes_the_new_timeout() {
        let mut sessions = one_session();
        assert!(sessions.renew(S, 9000, B, at(1000)));
        assert_eq!(sessions.conn(S), Some(B));
        assert_eq!(sessions.next_expiry(Expiring::All), Some(at(11_000)));
        sessions.disconnect(S, A);
        assert_eq!(sessions.conn(S), Some(B), "the old connection closes late");
        sessions.disconnect(S, B);
        assert_eq!(sessions.conn(S), None);
    }

    #[test]
    fn a_restart_gives_every_session_its_full_timeout() {
        let mut sessions = one_session();
        sessions.restart_timers(at(60_000));
        assert_eq!(sessions.infos()[0].expires, at(65_000));
        assert_eq!(sessions.len(), 1);
    }
}
