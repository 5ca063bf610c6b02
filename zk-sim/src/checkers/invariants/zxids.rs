//! C3: what a session is answered never goes back, over all its connections.

use std::collections::BTreeMap;

use zk_proto::{Decode, Reader, ReplyHeader, SessionId, Xid, Zxid};

use crate::history::{At, Frame, History};
use crate::runner::{Invariant, SERVER};

/// The zxids of replies to a session, in the order in which they were written, do not
/// fall.
#[derive(Debug)]
pub struct Zxids;

impl Invariant for Zxids {
    fn name(&self) -> &'static str {
        "zxids"
    }

    fn check(&mut self, history: &History) -> Result<(), String> {
        // By session: when, which connection, the place in it, and the zxid.
        let mut told: BTreeMap<SessionId, Vec<(At, u64, usize, Zxid)>> = BTreeMap::new();
        let ours = history.connections.iter().filter(|line| line.to == SERVER);
        for line in ours {
            let Some(session) = line.session() else {
                continue;
            };
            let told = told.entry(session).or_default();
            let replies = line.replies.written.iter().enumerate().skip(1);
            told.extend(replies.filter_map(|(place, frame)| {
                Some((frame.at, line.id.0, place, zxid(frame)?))
            }));
        }
        told.into_iter()
            .try_for_each(|(session, told)| check(session, told))
    }
}

/// Of an ordinary reply: events speak of the past, and pings may.
fn zxid(frame: &Frame) -> Option<Zxid> {
    let header = ReplyHeader::decode(&mut Reader::new(&frame.payload)).ok()?;
    (header.xid > Xid(0) && header.zxid > Zxid(0)).then_some(header.zxid)
}

fn check(session: SessionId, mut told: Vec<(At, u64, usize, Zxid)>) -> Result<(), String> {
    told.sort_unstable();
    for pair in told.windows(2) {
        let [(_, _, _, before), (at, line, _, after)] = pair else {
            continue;
        };
        if after < before {
            return Err(format!(
                "session {session} was told of {after} at {at:?} on connection {line}, and of {before} before"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn told(zxids: &[(u64, i64)]) -> Result<(), String> {
        let told = zxids
            .iter()
            .enumerate()
            .map(|(place, (ms, zxid))| (Duration::from_millis(*ms), 0, place, Zxid(*zxid)))
            .collect();
        check(SessionId(1), told)
    }

    #[test]
    fn a_zxid_that_goes_back_is_found() {
        assert_eq!(told(&[(1, 5), (2, 5), (3, 7)]), Ok(()));
        assert!(told(&[(1, 5), (2, 7), (3, 6)]).is_err());
    }
}
