//! C3: what a session is answered never goes back, over all its connections.

use std::collections::BTreeMap;

use zk_proto::{Decode, Reader, ReplyHeader, SessionId, Xid, Zxid};

use crate::history::{At, Frame, History, WireConnection};
use crate::runner::{Invariant, is_server};

/// The zxids of replies that a session's client took do not fall.
#[derive(Debug)]
pub struct Zxids;

impl Invariant for Zxids {
    fn name(&self) -> &'static str {
        "zxids"
    }

    fn check(&mut self, history: &History) -> Result<(), String> {
        // In the order of the connections, of which a client has one at a time.
        let mut newest: BTreeMap<SessionId, Zxid> = BTreeMap::new();
        for line in history.connections.iter().filter(|line| is_plain(line)) {
            let Some(session) = line.session() else {
                continue;
            };
            let newest = newest.entry(session).or_default();
            check(newest, taken(line)).map_err(|(at, zxid, before)| {
                let line = line.id.0;
                format!(
                    "session {session} was told of {zxid} at {at:?} on connection {line}, and of {before} before"
                )
            })?;
        }
        Ok(())
    }
}

/// Whether it was one to our server on which nothing was garbled.
fn is_plain(line: &WireConnection) -> bool {
    is_server(&line.to) && line.replies.garbled.is_empty() && line.requests.garbled.is_empty()
}

/// What arrived before the client left: when, and which zxid.
fn taken(line: &WireConnection) -> impl Iterator<Item = (At, Zxid)> {
    let left = line.requests.closed.as_ref().map_or(At::MAX, |end| end.at);
    let replies = line.replies.arrived.iter().skip(1);
    replies
        .take_while(move |frame| frame.at < left)
        .filter_map(|frame| Some((frame.at, zxid(frame)?)))
}

/// Of an ordinary reply: events speak of the past, and pings may.
fn zxid(frame: &Frame) -> Option<Zxid> {
    let header = ReplyHeader::decode(&mut Reader::new(&frame.payload)).ok()?;
    (header.xid > Xid(0) && header.zxid > Zxid(0)).then_some(header.zxid)
}

/// When it went back, to what, and from what.
fn check(
    newest: &mut Zxid,
    taken: impl Iterator<Item = (At, Zxid)>,
) -> Result<(), (At, Zxid, Zxid)> {
    for (at, zxid) in taken {
        if zxid < *newest {
            return Err((at, zxid, *newest));
        }
        *newest = zxid;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zxid_that_goes_back_is_found() {
        let taken = |zxids: [i64; 3]| zxids.into_iter().map(|zxid| (At::ZERO, Zxid(zxid)));
        let mut newest = Zxid(4);
        assert_eq!(check(&mut newest, taken([5, 5, 7])), Ok(()));
        assert_eq!(newest, Zxid(7));
        let back = (At::ZERO, Zxid(6), Zxid(8));
        assert_eq!(check(&mut newest, taken([8, 6, 9])), Err(back));
    }
}
