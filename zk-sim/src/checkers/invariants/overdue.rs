//! S25: a server that runs undisturbed ends a session soon after its timeout, whether or
//! not there is a connection.

use std::collections::BTreeMap;
use std::time::Duration;

use zk_proto::{OpCode, SessionId};

use crate::history::{At, History};
use crate::runner::{Invariant, SERVER};

/// Clocks differ by at most this part, a little more than any fault makes them.
const DRIFT: f64 = 0.03;
/// Ticks, and what failpoints add to them.
const GRACE: Duration = Duration::from_millis(500);
/// Faults that stop the server's time, or give every session its full timeout again.
const DISTURBANCES: [&str; 4] = ["pause: ", "suspend: ", "kill: ", "restart: "];

/// No session is served past its expiry.
#[derive(Debug)]
pub struct Overdue;

/// What the server heard and said of a session.
#[derive(Debug, Default)]
struct Life {
    timeout: Duration,
    /// When something arrived from its client or was written to it.
    signs: Vec<At>,
}

impl Invariant for Overdue {
    fn name(&self) -> &'static str {
        "overdue"
    }

    fn check(&mut self, history: &History) -> Result<(), String> {
        let disturbed = disturbed(history);
        let mut lives = lives(history);
        for made in &history.transactions {
            if made.op == OpCode::CloseSession
                && let Some(life) = lives.get_mut(&made.session)
            {
                life.signs.retain(|at| *at <= made.at);
                life.signs.push(made.at);
            }
        }
        for (session, mut life) in lives {
            life.signs.sort_unstable();
            check(session, &life, &disturbed)?;
        }
        Ok(())
    }
}

/// From when until when the server did not run as it should.
fn disturbed(history: &History) -> Vec<(At, At)> {
    let ours = history.faults.iter().filter(|fault| {
        let of_kind = |kind: &&str| fault.what.strip_prefix(*kind) == Some(SERVER);
        DISTURBANCES.iter().any(of_kind)
    });
    let mut spans: Vec<(At, At)> = Vec::new();
    for fault in ours {
        if fault.begins {
            spans.push((fault.at, At::MAX));
        } else if let Some(span) = spans.iter_mut().find(|span| span.1 == At::MAX) {
            span.1 = fault.at;
        }
    }
    spans.extend(history.server_restarts.iter().map(|at| (*at, *at)));
    spans
}

fn lives(history: &History) -> BTreeMap<SessionId, Life> {
    let mut lives: BTreeMap<SessionId, Life> = BTreeMap::new();
    for line in history.connections.iter().filter(|line| line.to == SERVER) {
        // A session is renewed by the request, whether or not there is an answer.
        let asked = line.connect_request().map(|request| request.session_id);
        let asked = asked.filter(|session| *session != SessionId::NONE);
        let Some(session) = line.session().or(asked) else {
            continue;
        };
        let life = lives.entry(session).or_default();
        if let Some(response) = line.connect_response() {
            let ms = u64::try_from(response.timeout_ms).unwrap_or(0);
            life.timeout = life.timeout.max(Duration::from_millis(ms));
        }
        let heard = line.requests.arrived.iter();
        life.signs
            .extend(heard.chain(&line.replies.written).map(|frame| frame.at));
    }
    lives
}

fn check(session: SessionId, life: &Life, disturbed: &[(At, At)]) -> Result<(), String> {
    let longest = life.timeout.mul_f64(1.0 + DRIFT) + GRACE;
    for pair in life.signs.windows(2) {
        let [before, after] = pair else { continue };
        let is_disturbed = disturbed
            .iter()
            .any(|(from, to)| from <= after && to >= before);
        if *after - *before > longest && !is_disturbed {
            return Err(format!(
                "session {session} of {:?} was there at {after:?}, and unheard of since {before:?}",
                life.timeout
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent_until(seconds: u64, disturbed: &[(At, At)]) -> Result<(), String> {
        let life = Life {
            timeout: Duration::from_secs(4),
            signs: vec![Duration::from_secs(10), Duration::from_secs(seconds)],
        };
        check(SessionId(1), &life, disturbed)
    }

    #[test]
    fn a_session_that_outlives_its_timeout_is_found() {
        assert_eq!(silent_until(14, &[]), Ok(()));
        assert!(silent_until(15, &[]).is_err());
    }

    #[test]
    fn a_server_that_did_not_run_is_excused() {
        let span = |from, to| [(Duration::from_secs(from), Duration::from_secs(to))];
        assert_eq!(silent_until(15, &span(12, 13)), Ok(()));
        assert!(silent_until(15, &span(7, 9)).is_err());
    }
}
