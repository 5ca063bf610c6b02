//! A session of an ensemble ends by itself not before its timeout has passed since one of the
//! servers has last heard of its client and said so: an election gives it its full timeout
//! again, and what a follower heard goes to the leader with the next ping.

use std::collections::BTreeMap;
use std::time::Duration;

use zk_proto::{OpCode, SessionId, Xid};

use crate::checkers::FASTEST;
use crate::history::{At, FaultSeen, History, WireConnection};
use crate::runner::{Invariant, is_server};

/// How faults by which a session is ended by hand begin.
const BY_HAND: &str = "expire session";
/// What a follower has heard and not handed over is lost with it, see E32. A leader asks at
/// every half tick; a slow or silent link between the two can lose more, and a follower that
/// hears no leader stops answering only after `syncLimit`.
const PASSING_ON: Duration = Duration::from_millis(1_000);

/// Faults that let what servers tell each other crawl: it arrives packet by packet, so that the
/// leader misses nobody, and later and later, without a bound that could be stated here.
const CRAWL: [&str; 3] = ["trickle: ", "slow: ", "bandwidth: "];

/// No session expires early.
#[derive(Debug)]
pub struct PeerExpiry;

impl Invariant for PeerExpiry {
    fn name(&self) -> &'static str {
        "peer expiry"
    }

    fn check(&mut self, history: &History) -> Result<(), String> {
        let by_hand = history
            .faults
            .iter()
            .filter(|fault| fault.begins && fault.what.starts_with(BY_HAND));
        let by_hand: Vec<At> = by_hand.map(|fault| fault.at).collect();
        let mut lines: BTreeMap<SessionId, Vec<&WireConnection>> = BTreeMap::new();
        for line in history
            .connections
            .iter()
            .filter(|line| is_server(&line.to))
        {
            if let Some(session) = line.session() {
                lines.entry(session).or_default().push(line);
            }
        }
        for made in &history.transactions {
            let is_expiry = made.op == OpCode::CloseSession && made.cxid == Xid(0);
            // One that was asked for by hand is committed a little later.
            let asked = |at: &At| *at <= made.at && made.at - *at < PASSING_ON * 5;
            if !is_expiry || by_hand.iter().any(asked) {
                continue;
            }
            let lines = lines.get(&made.session).into_iter().flatten();
            let heard = lines.filter_map(|line| heard(line, made.at)).max();
            if let Some((heard, timeout)) = heard
                && !crawled(&history.faults, heard, made.at)
            {
                check(made.session, heard, timeout, made.at)?;
            }
        }
        Ok(())
    }
}

/// Whether what servers told each other between these times may have crawled.
fn crawled(faults: &[FaultSeen], from: At, until: At) -> bool {
    let mut lasting = 0_u32;
    for fault in faults.iter().filter(|fault| is_crawl(&fault.what)) {
        if fault.at > until {
            break;
        }
        if !fault.begins {
            lasting = lasting.saturating_sub(1);
        }
        if fault.at >= from {
            return true;
        }
        lasting += u32::from(fault.begins);
    }
    lasting > 0
}

fn is_crawl(what: &str) -> bool {
    let hosts = CRAWL.iter().find_map(|fault| what.strip_prefix(fault));
    hosts.is_some_and(|hosts| hosts.split(", ").take(2).all(is_server))
}

fn check(session: SessionId, heard: At, timeout: Duration, at: At) -> Result<(), String> {
    let least = (timeout * 1_000 / FASTEST).saturating_sub(PASSING_ON);
    let silence = at.saturating_sub(heard);
    if silence < least {
        return Err(format!(
            "session {session} of {timeout:?} expired at {at:?}, {silence:?} after its client was heard"
        ));
    }
    Ok(())
}

/// When a server has last heard of the client and answered it, and the session's timeout.
fn heard(line: &WireConnection, until: At) -> Option<(At, Duration)> {
    let response = line.connect_response()?;
    let timeout_ms = u64::try_from(response.timeout_ms).ok()?;
    let told = line.replies.written.iter().filter(|frame| frame.at < until);
    let answers = told.filter(|frame| !frame.has_xid(Xid::NOTIFICATION));
    let read = line.requests.arrived.iter().take(answers.count());
    let last = read.rev().find(|frame| !frame.has_xid(Xid::AUTH))?;
    Some((last.at, Duration::from_millis(timeout_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crawling_links_between_servers_count_while_they_last() {
        let fault = |secs, what: &str, begins| FaultSeen {
            at: Duration::from_secs(secs),
            what: what.to_owned(),
            begins,
        };
        let faults = [
            fault(1, "trickle: locks-1, peer-2", true),
            fault(2, "slow: peer-1, peer-2, 80ms", true),
            fault(4, "slow: peer-1, peer-2, 80ms", false),
        ];
        let during = |from, until| {
            crawled(
                &faults,
                Duration::from_secs(from),
                Duration::from_secs(until),
            )
        };
        assert!(!during(0, 1));
        assert!(during(1, 2));
        assert!(during(3, 3));
        assert!(during(3, 9));
        assert!(!during(5, 9));
    }

    #[test]
    fn a_session_has_its_timeout_but_for_what_was_not_handed_over() {
        let checked = |ms| {
            let (heard, timeout) = (Duration::from_secs(10), Duration::from_secs(4));
            check(
                SessionId(1),
                heard,
                timeout,
                heard + Duration::from_millis(ms),
            )
        };
        assert!(checked(2_800).is_err());
        assert_eq!(checked(3_000), Ok(()));
        assert_eq!(checked(4_200), Ok(()));
    }
}
