//! C1, C5: a call belongs to the session in which it was made, or to none. What waited
//! when the session ended is never carried over into the next one.

use std::collections::BTreeMap;

use zk_client::Epoch;
use zk_proto::record::ConnectResponse;
use zk_proto::{Decode, Reader, RequestHeader, SessionId, Xid};

use crate::history::{At, Call, ClientId, History, WireConnection};
use crate::runner::{Invariant, is_server};

/// No request is sent in a later session than that of its call.
#[derive(Debug)]
pub struct Epochs;

impl Invariant for Epochs {
    fn name(&self) -> &'static str {
        "epochs"
    }

    fn check(&mut self, history: &History) -> Result<(), String> {
        let ends = ends(history);
        let mut before: BTreeMap<SessionId, (ClientId, At)> = BTreeMap::new();
        let of_epoch: BTreeMap<(ClientId, Epoch), SessionId> = history
            .sessions
            .iter()
            .map(|seen| ((seen.client, seen.epoch), seen.session))
            .collect();
        // Whose sessions they are, and when the one before was known to have ended.
        let pairs = of_epoch.iter().zip(of_epoch.iter().skip(1));
        for (((client, _), earlier), ((next, _), later)) in pairs {
            if client == next
                && let Some(end) = ends.get(earlier)
            {
                before.insert(*later, (*client, *end));
            }
        }
        let calls: BTreeMap<(ClientId, Xid), &Call> = history
            .calls
            .iter()
            .filter_map(|call| Some(((call.client, call.xid?), call)))
            .collect();
        history
            .connections
            .iter()
            .filter(|line| is_server(&line.to) && line.requests.garbled.is_empty())
            .try_for_each(|line| check(line, &before, &calls))
    }
}

/// When clients were first told that a session has ended.
fn ends(history: &History) -> BTreeMap<SessionId, At> {
    let mut ends: BTreeMap<SessionId, At> = BTreeMap::new();
    for line in &history.connections {
        let Some(told) = line.replies.arrived.first() else {
            continue;
        };
        let Ok(response) = ConnectResponse::decode(&mut Reader::new(&told.payload)) else {
            continue;
        };
        let Some(request) = line.connect_request() else {
            continue;
        };
        if response.timeout_ms <= 0 {
            ends.entry(request.session_id).or_insert(told.at);
        }
    }
    ends
}

fn check(
    line: &WireConnection,
    before: &BTreeMap<SessionId, (ClientId, At)>,
    calls: &BTreeMap<(ClientId, Xid), &Call>,
) -> Result<(), String> {
    let Some(session) = line.session() else {
        return Ok(());
    };
    let Some((client, end)) = before.get(&session) else {
        return Ok(());
    };
    for frame in line.requests.written.iter().skip(1) {
        let Ok(header) = RequestHeader::decode(&mut Reader::new(&frame.payload)) else {
            continue;
        };
        if let Some(call) = calls.get(&(*client, header.xid))
            && call.called < *end
        {
            return Err(format!(
                "{:?} of {:?}, xid {}, of client {}, called at {:?}, was sent in session {session}, though the one before ended at {end:?}",
                call.op, call.path, header.xid.0, client.0, call.called
            ));
        }
    }
    Ok(())
}
