//! Who was given a session, and who was refused one.

use std::collections::BTreeMap;

use zk_proto::record::{ConnectRequest, ConnectResponse};
use zk_proto::{Decode, OpCode, Password, Reader, SessionId, Zxid};

use crate::history::{At, Transaction, WireConnection};

/// A session, by the log and by the first answer that gave it to somebody.
#[derive(Debug)]
struct Life {
    opened: At,
    closed: Option<At>,
    password: Option<Password>,
}

/// An answered ConnectRequest.
struct Handshake<'h> {
    wire: &'h WireConnection,
    request: ConnectRequest,
    arrived: At,
    response: ConnectResponse,
    answered: At,
}

/// Checks every handshake.
pub(super) fn check(
    wires: &[&WireConnection],
    log: &[Transaction],
    is_ensemble: bool,
) -> Result<(), String> {
    let mut lives = lives(log);
    let mut handshakes: Vec<_> = wires
        .iter()
        .filter_map(|wire| Handshake::of(wire))
        .collect();
    handshakes.sort_by_key(|handshake| handshake.answered);
    for handshake in &handshakes {
        handshake
            .check(&mut lives, log, is_ensemble)
            .map_err(|what| {
                format!(
                    "connection {} from {}: {what}",
                    handshake.wire.id.0, handshake.wire.from
                )
            })?;
    }
    Ok(())
}

fn lives(log: &[Transaction]) -> BTreeMap<SessionId, Life> {
    let mut lives = BTreeMap::new();
    for made in log {
        if made.op == OpCode::CreateSession {
            let life = Life {
                opened: made.at,
                closed: None,
                password: None,
            };
            lives.insert(made.session, life);
        } else if made.op == OpCode::CloseSession
            && let Some(life) = lives.get_mut(&made.session)
        {
            life.closed = Some(made.at);
        }
    }
    lives
}

impl<'h> Handshake<'h> {
    fn of(wire: &'h WireConnection) -> Option<Self> {
        let asked = wire.requests.arrived.first()?;
        let request = ConnectRequest::decode(&mut Reader::new(&asked.payload)).ok()?;
        let answered = wire.replies.written.first()?.at;
        Some(Self {
            request,
            arrived: asked.at,
            response: wire.connect_response()?,
            answered,
            wire,
        })
    }

    fn check(
        &self,
        lives: &mut BTreeMap<SessionId, Life>,
        log: &[Transaction],
        is_ensemble: bool,
    ) -> Result<(), String> {
        let made = log.partition_point(|made| made.at <= self.answered);
        let last = made
            .checked_sub(1)
            .map_or(Zxid::ZERO, |last| log[last].zxid);
        let mut seen = self.request.last_zxid_seen;
        if is_ensemble {
            // The beginning of an epoch changes nothing.
            let before = log.partition_point(|made| made.zxid <= seen);
            seen = before.checked_sub(1).map_or(Zxid::ZERO, |at| log[at].zxid);
        }
        if seen > last {
            return Err(format!(
                "answered to a client that has seen zxid {seen} when there was only {last}"
            ));
        }
        if self.response.timeout_ms > 0 {
            self.check_given(lives, is_ensemble)
        } else if is_ensemble {
            // A leader that has begun to end a session refuses it, and may come to an end
            // itself before that is committed: as Apache's do.
            Ok(())
        } else {
            self.check_refused(lives)
        }
    }

    fn check_given(
        &self,
        lives: &mut BTreeMap<SessionId, Life>,
        is_ensemble: bool,
    ) -> Result<(), String> {
        let (wanted, session) = (self.request.session_id, self.response.session_id);
        let Some(life) = lives.get_mut(&session) else {
            return Err(format!(
                "got session {session}, which the log does not open"
            ));
        };
        if life.opened > self.answered {
            return Err(format!("got session {session} before the log opens it"));
        }
        if wanted == SessionId::NONE {
            return match life.password.replace(self.response.password.clone()) {
                Some(_) => Err(format!("got session {session}, which others had before")),
                None => Ok(()),
            };
        }
        if wanted != session {
            return Err(format!("got session {session} instead of {wanted}"));
        }
        if let Some(closed) = life.closed
            && closed < self.arrived
            // A leader that was cut off has not heard of the end.
            && !is_ensemble
        {
            return Err(format!(
                "asked at {:?} for session {session}, which had ended at {closed:?}, and got it",
                self.arrived
            ));
        }
        match &life.password {
            Some(password) if *password != self.request.password => {
                Err(format!("got session {session} without its password"))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_refused(&self, lives: &BTreeMap<SessionId, Life>) -> Result<(), String> {
        let session = self.request.session_id;
        if session == SessionId::NONE {
            return Err("asked for a new session and was refused".to_owned());
        }
        let Some(life) = lives.get(&session) else {
            return Ok(());
        };
        let had_begun = life.opened < self.arrived;
        let goes_on = life.closed.is_none_or(|closed| closed > self.answered);
        let is_owner = life.password.as_ref() == Some(&self.request.password);
        if had_begun && goes_on && is_owner {
            return Err(format!(
                "was told that session {session} has ended while it was open"
            ));
        }
        Ok(())
    }
}
