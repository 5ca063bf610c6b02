//! C5: what a client says of its session. Epochs rise by one session at a time, an
//! expired one is never connected again, and nothing follows the end.

use std::collections::{BTreeMap, BTreeSet};

use zk_client::{Epoch, SessionState};
use zk_proto::record::ConnectResponse;
use zk_proto::{Decode, Reader, SessionId};

use crate::history::{ClientId, History, SessionSeen, StateSeen, Step};
use crate::runner::Invariant;

/// The states of a client are those of one life, in order.
#[derive(Debug, Default)]
pub struct SessionStates {
    lives: BTreeMap<ClientId, Life>,
    sessions: BTreeMap<(ClientId, Epoch), SessionId>,
}

impl Invariant for SessionStates {
    fn name(&self) -> &'static str {
        "session states"
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        match step {
            Step::State(seen) => {
                // Whether it was misled shows in the end.
                self.lives.entry(seen.client).or_default().is_misled = true;
                self.live(seen)
            }
            Step::Session(seen) => self.have(seen),
            _ => Ok(()),
        }
    }

    fn check(&mut self, history: &History) -> Result<(), String> {
        self.lives = misled(history);
        history.states.iter().try_for_each(|seen| self.live(seen))?;
        history.sessions.iter().try_for_each(|seen| self.have(seen))
    }
}

impl SessionStates {
    fn live(&mut self, seen: &StateSeen) -> Result<(), String> {
        let life = self.lives.entry(seen.client).or_default();
        life.go_on(seen).map_err(|why| {
            let (client, at) = (seen.client.0, seen.at);
            format!("client {client} was {:?} at {at:?}: {why}", seen.state)
        })
    }

    fn have(&mut self, seen: &SessionSeen) -> Result<(), String> {
        let other = self
            .sessions
            .insert((seen.client, seen.epoch), seen.session);
        if other.is_some_and(|other| other != seen.session) {
            let (client, epoch) = (seen.client.0, seen.epoch);
            return Err(format!("client {client} had two sessions in epoch {epoch}"));
        }
        Ok(())
    }
}

/// The lives of clients that may have read another timeout than the server granted, as the
/// network changed its answer (seed 2452).
fn misled(history: &History) -> BTreeMap<ClientId, Life> {
    let connections = history.connections.iter();
    let sessions: BTreeSet<SessionId> = connections
        .filter_map(|connection| {
            let answer = connection.replies.arrived.first()?;
            let is_garbled = *connection.replies.garbled.first()? < answer.end;
            let read = ConnectResponse::decode(&mut Reader::new(&answer.payload)).ok()?;
            is_garbled.then_some(read.session_id)
        })
        .collect();
    let seen = history.sessions.iter();
    let misled = seen.filter(|seen| sessions.contains(&seen.session));
    misled
        .map(|seen| {
            let life = Life {
                is_misled: true,
                ..Life::default()
            };
            (seen.client, life)
        })
        .collect()
}

/// A client's life so far.
#[derive(Debug, Default)]
struct Life {
    /// About how long its sessions live without it.
    is_misled: bool,
    epoch: Epoch,
    expired: Option<Epoch>,
    is_over: bool,
}

impl Life {
    fn go_on(&mut self, seen: &StateSeen) -> Result<(), String> {
        if self.is_over {
            return Err("it was over before".to_owned());
        }
        let epoch = match seen.state {
            SessionState::Connecting => return Ok(()),
            SessionState::Connected { epoch } | SessionState::ConnectedReadOnly { epoch } => epoch,
            SessionState::Suspended { epoch, until } => {
                // Three quarters of the longest session timeout of an embedded server.
                let ahead = until.since(seen.boot);
                if ahead.as_secs() > 45 && !self.is_misled {
                    return Err(format!("vouched for {ahead:?} ahead"));
                }
                epoch
            }
            SessionState::Expired { epoch } => return self.expire(epoch),
            SessionState::AuthFailed | SessionState::Closed => {
                self.is_over = true;
                return Ok(());
            }
        };
        if epoch < self.epoch {
            return Err(format!("after epoch {}", self.epoch));
        }
        if self.expired.is_some_and(|expired| epoch <= expired) {
            return Err("its session had expired".to_owned());
        }
        self.epoch = epoch;
        Ok(())
    }

    fn expire(&mut self, epoch: Epoch) -> Result<(), String> {
        if self.expired.is_some_and(|expired| epoch <= expired) {
            return Err("it had expired before".to_owned());
        }
        self.expired = Some(epoch);
        self.epoch = self.epoch.max(epoch);
        Ok(())
    }
}
