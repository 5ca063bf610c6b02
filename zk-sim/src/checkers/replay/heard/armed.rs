//! Watches that were left for a watcher, and what it did not hand out though it arrived.

use std::collections::{BTreeMap, BTreeSet};

use zk_proto::path::is_within;
use zk_proto::record::AddWatchRequest;
use zk_proto::{Decode, ErrorCode, EventType, OpCode, Reader};

use super::super::line::{Line, Request};
use super::{Arrivals, Arrived, Events, HandedOut};
use crate::history::{Call, ClientId, History, Outcome, WatcherId};

/// Which events a watch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The first of the znode or its data.
    Data,
    /// The first of its children, or its end.
    Children,
    /// Every one.
    Persistent,
    /// Every one of the znode and those below, but no lists of children.
    Recursive,
}

/// A watch that the server has taken.
struct Armed<'h> {
    call: &'h Call,
    reach: Reach,
    line: usize,
    /// The frame that said so.
    frame: usize,
}

/// A watcher that hands out an event has handed out those before, if they were for it.
/// One that hands out nothing any more may not be there any more.
pub(super) fn check(
    history: &History,
    lines: &[Line<'_>],
    arrived: &Arrivals,
    watchers: &BTreeMap<WatcherId, HandedOut>,
) -> Result<(), String> {
    let places = places(lines);
    let removed = removed(history);
    let sessions: BTreeMap<_, _> = history
        .sessions
        .iter()
        .map(|seen| (seen.session, seen.client))
        .collect();
    let mut of_client: BTreeMap<_, Vec<(usize, usize)>> = BTreeMap::new();
    for (xid, line, request) in places {
        if let Some(client) = sessions.get(&lines[line].session) {
            of_client
                .entry((*client, xid))
                .or_default()
                .push((line, request));
        }
    }
    for call in &history.calls {
        let (Some(watcher), Some(xid)) = (call.watcher, call.xid) else {
            continue;
        };
        let (Some(events), Some(watcher)) = (arrived.get(&call.client), watchers.get(&watcher))
        else {
            continue;
        };
        let is_gone = removed.contains(&(call.client, &*call.path));
        if !is_taken(call) || is_gone || watcher.has_lost {
            continue;
        }
        for (line, request) in of_client.get(&(call.client, xid)).into_iter().flatten() {
            if let Some(armed) = Armed::new(call, &lines[*line], (*line, *request)) {
                armed.check(events, lines, watcher)?;
            }
        }
    }
    Ok(())
}

fn places(lines: &[Line<'_>]) -> Vec<(zk_proto::Xid, usize, usize)> {
    let mut places = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let numbered = line.requests.iter().enumerate();
        places.extend(numbered.map(|(index, request)| (request.xid, at, index)));
    }
    places
}

/// Of which paths clients have taken watches back.
fn removed(history: &History) -> BTreeSet<(ClientId, &str)> {
    let removes = |call: &&Call| call.op == OpCode::RemoveWatches;
    let calls = history.calls.iter().filter(removes);
    calls.map(|call| (call.client, &*call.path)).collect()
}

/// Whether the caller knows that there is a watch.
fn is_taken(call: &Call) -> bool {
    match call.ended {
        Some((_, Outcome::Answer(_))) => true,
        Some((_, Outcome::Refused(code))) => call.op == OpCode::Exists && code == ErrorCode::NoNode,
        Some((
            _,
            Outcome::NotApplied(_) | Outcome::Unknown(_) | Outcome::Applied(_) | Outcome::Dropped,
        ))
        | None => false,
    }
}

impl HandedOut {
    /// Whether it has passed over the event at this place.
    fn left_out(&self, index: usize) -> bool {
        index < self.next && !self.events.contains(&index)
    }
}

impl<'h> Armed<'h> {
    fn new(call: &'h Call, line: &Line<'_>, (at, index): (usize, usize)) -> Option<Self> {
        let request = &line.requests[index];
        Some(Self {
            call,
            reach: Reach::of(request).filter(|_| request.op() == Some(call.op))?,
            line: at,
            frame: line.outputs[request.reply?].frame,
        })
    }

    fn check(
        &self,
        events: &Events,
        lines: &[Line<'_>],
        watcher: &HandedOut,
    ) -> Result<(), String> {
        let session = lines[self.line].session;
        let begins = events.behind(self.line, self.frame);
        let is_meant = |index: &usize| {
            let event = &events.all[*index];
            event.session == session && self.is_for(event)
        };
        let left_out = match self.reach {
            // The first alone counts, on whichever connection of the session.
            Reach::Data | Reach::Children => {
                let mut later = events.later_of(&self.call.path, begins);
                later
                    .find(is_meant)
                    .filter(|index| watcher.left_out(*index))
            }
            // These miss what happens while there is no connection.
            Reach::Persistent | Reach::Recursive => {
                let so_far = begins..watcher.next.max(begins);
                let mut here = so_far.take_while(|index| events.all[*index].line == self.line);
                here.find(|index| is_meant(index) && watcher.left_out(*index))
            }
        };
        match left_out.map(|index| &events.all[index]) {
            Some(event) if event.zxid.is_some() && event.is_read => Err(self.describe(event)),
            Some(_) | None => Ok(()),
        }
    }

    fn is_for(&self, event: &Arrived) -> bool {
        let (kind, path) = (event.event.kind, &*event.event.path);
        let is_list = kind == EventType::NodeChildrenChanged;
        match self.reach {
            Reach::Data => path == self.call.path && !is_list,
            Reach::Children => {
                path == self.call.path && (is_list || kind == EventType::NodeDeleted)
            }
            Reach::Persistent => path == self.call.path,
            Reach::Recursive => is_within(path, &self.call.path) && !is_list,
        }
    }

    fn describe(&self, event: &Arrived) -> String {
        let Call {
            client, op, path, ..
        } = self.call;
        format!(
            "{:?}({}) of {:?} arrived at client {} at {:?}, and the watcher of its \
             {op:?}({path}) left it out",
            event.event.kind, event.event.path, event.zxid, client.0, event.at
        )
    }
}

impl Reach {
    fn of(request: &Request) -> Option<Self> {
        match request.op()? {
            OpCode::Exists | OpCode::GetData => Some(Self::Data),
            OpCode::GetChildren | OpCode::GetChildren2 => Some(Self::Children),
            OpCode::AddWatch => {
                let added = AddWatchRequest::decode(&mut Reader::new(&request.body)).ok()?;
                Some(match added.mode {
                    0 => Self::Persistent,
                    _ => Self::Recursive,
                })
            }
            _ => None,
        }
    }
}
