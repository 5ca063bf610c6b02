//! C5: until when a suspended client vouches for its session. An answer proves that the
//! session was alive when its request was sent, and no later.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use zk_client::SessionState;
use zk_proto::{Decode, Reader, ReplyHeader, RequestHeader, SessionId, Xid};

use crate::history::{At, History, StateSeen, WireConnection};
use crate::runner::{Invariant, is_server};

/// Clocks differ by at most this part of what they measure, a little more than any
/// fault makes them.
const DRIFT: f64 = 0.03;
/// Timers and the simulated clock count whole milliseconds.
const GRAIN: Duration = Duration::from_millis(10);

/// No client vouches for its session for longer than three quarters of the timeout, from
/// the sending of its last answered request.
#[derive(Debug)]
pub struct ProofOfLife;

/// An answered request: when it was sent, and when its answer had arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Proof {
    answered: At,
    sent: At,
}

#[derive(Debug, Default)]
struct Proofs {
    timeout: Duration,
    all: Vec<Proof>,
}

impl Invariant for ProofOfLife {
    fn name(&self) -> &'static str {
        "proof of life"
    }

    fn check(&mut self, history: &History) -> Result<(), String> {
        let mut proofs: BTreeMap<SessionId, Proofs> = BTreeMap::new();
        let mut garbled = BTreeSet::new();
        for line in history
            .connections
            .iter()
            .filter(|line| is_server(&line.to))
        {
            let Some(session) = line.session() else {
                continue;
            };
            proofs.entry(session).or_default().add(line);
            if !line.replies.garbled.is_empty() || !line.requests.garbled.is_empty() {
                garbled.insert(session);
            }
        }
        proofs.retain(|session, _| !garbled.contains(session));
        let sessions: BTreeMap<_, _> = history
            .sessions
            .iter()
            .map(|seen| ((seen.client, seen.epoch), seen.session))
            .collect();
        for seen in &history.states {
            if let SessionState::Suspended { epoch, .. } = seen.state
                && let Some(session) = sessions.get(&(seen.client, epoch))
                && let Some(proofs) = proofs.get(session)
            {
                proofs.check(seen)?;
            }
        }
        Ok(())
    }
}

impl Proofs {
    fn add(&mut self, line: &WireConnection) {
        if let Some(response) = line.connect_response() {
            let ms = u64::try_from(response.timeout_ms).unwrap_or(0);
            self.timeout = self.timeout.max(Duration::from_millis(ms));
        }
        // What has the same number is answered in the order in which it was sent.
        let mut sent: BTreeMap<Xid, Vec<At>> = BTreeMap::new();
        for frame in line.requests.written.iter().skip(1).rev() {
            if let Ok(header) = RequestHeader::decode(&mut Reader::new(&frame.payload)) {
                sent.entry(header.xid).or_default().push(frame.at);
            }
        }
        let greeting = line
            .requests
            .written
            .first()
            .zip(line.replies.arrived.first());
        self.all.extend(greeting.map(|(request, reply)| Proof {
            answered: reply.at,
            sent: request.at,
        }));
        for frame in line.replies.arrived.iter().skip(1) {
            if let Ok(header) = ReplyHeader::decode(&mut Reader::new(&frame.payload))
                && let Some(sent) = sent.get_mut(&header.xid).and_then(Vec::pop)
            {
                let answered = frame.at;
                self.all.push(Proof { answered, sent });
            }
        }
    }

    fn check(&self, seen: &StateSeen) -> Result<(), String> {
        let SessionState::Suspended { until, .. } = seen.state else {
            return Ok(());
        };
        let ahead = until.since(seen.boot);
        let known = self.all.iter().filter(|proof| proof.answered <= seen.at);
        let (true, Some(sent)) = (ahead > Duration::ZERO, known.map(|proof| proof.sent).max())
        else {
            return Ok(());
        };
        let lasts = self.timeout.mul_f64(0.75 + DRIFT);
        let claimed = seen.at + ahead.mul_f64(1.0 - DRIFT);
        if claimed <= sent + lasts + GRAIN {
            return Ok(());
        }
        Err(format!(
            "client {} vouched at {:?} for {ahead:?} of a session of {:?}, whose last answered request was sent at {sent:?}",
            seen.client.0, seen.at, self.timeout
        ))
    }
}

#[cfg(test)]
mod tests {
    use zk_client::Epoch;
    use zk_env::Boot;

    use super::*;
    use crate::history::ClientId;

    /// Seen at 3 s, two seconds after the last answered request was sent.
    fn vouching_until(ms: u64) -> Result<(), String> {
        let proofs = Proofs {
            timeout: Duration::from_secs(4),
            all: vec![Proof {
                answered: Duration::from_millis(2_900),
                sent: Duration::from_secs(1),
            }],
        };
        proofs.check(&StateSeen {
            at: Duration::from_secs(3),
            boot: Boot::from_origin(Duration::from_secs(3)),
            client: ClientId(0),
            state: SessionState::Suspended {
                epoch: Epoch::default(),
                until: Boot::from_origin(Duration::from_millis(ms)),
            },
        })
    }

    #[test]
    fn it_counts_from_the_sending() {
        assert_eq!(vouching_until(4_000), Ok(()));
        assert!(vouching_until(5_900).is_err());
        assert_eq!(vouching_until(2_000), Ok(()));
    }
}
