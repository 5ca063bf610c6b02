//! S25: the server ends a session not before its timeout has passed since it last heard
//! of its client.

use std::collections::BTreeMap;
use std::time::Duration;

use zk_proto::{OpCode, SessionId, Xid};

use crate::checkers::FASTEST;
use crate::history::{At, Frame, History, WireConnection};
use crate::runner::{Invariant, SERVER};

/// How faults by which a session is ended by hand begin.
const BY_HAND: &str = "expire session";

/// No session expires early.
#[derive(Debug)]
pub struct Expiry;

/// What is known of a session.
#[derive(Clone, Copy, Debug)]
struct Known {
    timeout: Duration,
    /// When something of its client last arrived at the server.
    heard: At,
}

impl Invariant for Expiry {
    fn name(&self) -> &'static str {
        "expiry"
    }

    fn check(&mut self, history: &History) -> Result<(), String> {
        let by_hand: Vec<At> = history
            .faults
            .iter()
            .filter(|fault| fault.begins && fault.what.starts_with(BY_HAND))
            .map(|fault| fault.at)
            .collect();
        let mut lines: BTreeMap<SessionId, Vec<&WireConnection>> = BTreeMap::new();
        for line in history.connections.iter().filter(|line| line.to == SERVER) {
            if let Some(session) = line.session() {
                lines.entry(session).or_default().push(line);
            }
        }
        for made in &history.transactions {
            let is_expiry = made.op == OpCode::CloseSession && made.cxid.0 == 0;
            if !is_expiry || by_hand.contains(&made.at) {
                continue;
            }
            let lines = lines.get(&made.session).into_iter().flatten();
            let known = lines.filter_map(|line| known(line, made.at));
            if let Some(known) = known.max_by_key(|known| known.heard) {
                check(made.session, known, made.at)?;
            }
        }
        Ok(())
    }
}

fn check(session: SessionId, known: Known, at: At) -> Result<(), String> {
    let Known { timeout, heard } = known;
    let least = timeout * 1_000 / FASTEST;
    let silence = at.saturating_sub(heard);
    if silence < least {
        return Err(format!(
            "session {session} of {timeout:?} expired at {at:?}, {silence:?} after its client was heard"
        ));
    }
    Ok(())
}

/// What a connection tells of its session, until then. A request counts only if it was
/// read, which shows in an answer: every request has one, in their order, the handshake
/// included. An event shows nothing.
fn known(line: &WireConnection, until: At) -> Option<Known> {
    let response = line.connect_response()?;
    let timeout_ms = u64::try_from(response.timeout_ms).ok()?;
    let told = line.replies.written.iter().filter(|frame| frame.at < until);
    let answers = told.filter(|frame| !has_xid(frame, Xid::NOTIFICATION));
    let read = line.requests.arrived.iter().take(answers.count());
    // Credentials do not touch a session, in Apache's server as in ours.
    let last = read.rev().find(|frame| !has_xid(frame, Xid::AUTH))?;
    Some(Known {
        timeout: Duration::from_millis(timeout_ms),
        heard: last.at,
    })
}

/// Handshakes begin with a version, which is 0, where others have their xid.
fn has_xid(frame: &Frame, xid: Xid) -> bool {
    frame.payload.starts_with(&xid.0.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expired_after(ms: u64) -> Result<(), String> {
        let known = Known {
            timeout: Duration::from_secs(4),
            heard: Duration::from_secs(10),
        };
        let at = known.heard + Duration::from_millis(ms);
        check(SessionId(1), known, at)
    }

    #[test]
    fn a_session_has_its_whole_timeout() {
        assert!(expired_after(3_800).is_err());
        assert_eq!(expired_after(4_000), Ok(()));
        assert_eq!(expired_after(4_200), Ok(()));
    }
}
