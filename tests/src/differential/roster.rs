//! The run's sessions, as the reference has them.

use super::observation::{Line, Observation, Seen};
use super::op::{OBSERVER, Op, Ordinal, PasswordChoice};
use super::side::Side;

/// Who is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster {
    members: Vec<Member>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    is_alive: bool,
    is_connected: bool,
    /// Operations since it lost its connection.
    alone_for: usize,
}

impl Roster {
    /// Takes in what an operation did on the reference.
    pub(crate) fn learn(&mut self, op: &Op, seen: &[Observation], side: &Side) {
        if has_ended(op, seen)
            && let Some(session) = op.needs_session()
        {
            self.members[session.0].is_alive = false;
        }
        for at in self.members.len()..side.session_ids().count() {
            self.members.push(Member {
                is_alive: true,
                is_connected: side.is_connected(Ordinal(at)),
                alone_for: 0,
            });
        }
        for (at, member) in self.members.iter_mut().enumerate() {
            member.is_connected = side.is_connected(Ordinal(at));
            member.alone_for = if member.is_connected {
                0
            } else {
                member.alone_for + 1
            };
        }
    }

    /// Whether what the operation needs is there.
    pub(crate) fn permits(&self, op: &Op) -> bool {
        let member = |session: Ordinal| self.members.get(session.0);
        op.needs_session()
            .is_none_or(|session| member(session).is_some_and(|it| it.is_alive))
            && op
                .needs_end()
                .is_none_or(|session| member(session).is_some_and(|it| !it.is_alive))
            && op
                .needs_connection()
                .is_none_or(|session| member(session).is_some_and(|it| it.is_connected))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Sessions that live, connected or not.
    pub(crate) fn alive(&self) -> impl Iterator<Item = Ordinal> {
        self.select(|member| member.is_alive)
    }

    /// Sessions that have ended.
    pub(crate) fn ended(&self) -> impl Iterator<Item = Ordinal> {
        self.select(|member| !member.is_alive)
    }

    /// Sessions that can send, the observer among them.
    pub(crate) fn connected(&self) -> impl Iterator<Item = Ordinal> {
        self.select(|member| member.is_alive && member.is_connected)
    }

    /// Sessions that may lose their connection or their life.
    pub(crate) fn expendable(&self) -> impl Iterator<Item = Ordinal> {
        self.connected().filter(|session| *session != OBSERVER)
    }

    /// Sessions without a connection, for at least so many operations.
    pub(crate) fn alone_for(&self, operations: usize) -> impl Iterator<Item = Ordinal> {
        self.select(move |member| {
            member.is_alive && !member.is_connected && member.alone_for >= operations
        })
    }

    fn select(&self, which: impl Fn(&Member) -> bool) -> impl Iterator<Item = Ordinal> {
        let members = self.members.iter().enumerate();
        members
            .filter(move |(_, member)| which(member))
            .map(|(at, _)| Ordinal(at))
    }
}

fn has_ended(op: &Op, seen: &[Observation]) -> bool {
    match op {
        Op::Expire { .. } => true,
        // The server says so; nobody should have to hear it.
        Op::Resume { password, .. } if *password == PasswordChoice::Right => {
            seen.iter().any(|observation| {
                matches!(&observation.seen, Seen::Connected(response, _)
                    if observation.on == Line::New && response.timeout_ms <= 0)
            })
        }
        _ => op.ends().is_some(),
    }
}
