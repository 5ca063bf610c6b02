//! What watchers handed out, against the events that had arrived at their clients.

mod armed;

use std::collections::{BTreeMap, BTreeSet};

use zk_proto::{Decode, Reader};
use zk_proto::{EventType, ReplyHeader, SessionId, Xid, Zxid};

use super::calls::Owners;
use super::line::{Heard as OnWire, Line};
use crate::history::{At, ClientId, Frame, Heard, History, WatcherId};

/// An event that has arrived.
struct Arrived {
    at: At,
    session: SessionId,
    /// On which of the connections.
    line: usize,
    /// Of its frame, among those of its connection.
    frame: usize,
    zxid: Option<Zxid>,
    event: OnWire,
    /// Whether the client has taken it from the connection before that broke.
    is_read: bool,
}

/// Which of its client's events a watcher has handed out.
#[derive(Default)]
struct HandedOut {
    events: BTreeSet<usize>,
    /// The first that may come next.
    next: usize,
    /// Whether it had no room for some.
    has_lost: bool,
}

/// All events of a client, in the order in which they arrived.
#[derive(Default)]
struct Events {
    all: Vec<Arrived>,
    /// Where those of each path are.
    of_path: BTreeMap<String, Vec<usize>>,
    /// Where those of each connection begin.
    of_line: BTreeMap<usize, usize>,
}

type Arrivals = BTreeMap<ClientId, Events>;

/// Every event that a watcher handed out had arrived at its client before, and came
/// after those that it handed out before; and it left none out that it was to hear.
pub(super) fn check(history: &History, lines: &[Line<'_>]) -> Result<(), String> {
    let owners = Owners::new(history);
    let arrived = arrived(lines, &owners);
    let mut watchers: BTreeMap<WatcherId, HandedOut> = BTreeMap::new();
    for heard in &history.heard {
        let Some(events) = arrived.get(&heard.client) else {
            continue;
        };
        let watcher = watchers.entry(heard.watcher).or_default();
        watcher.has_lost |= heard.event.lagged > 0;
        if is_from_server(heard.event.event_type) {
            watcher.hear(heard, events)?;
        }
    }
    armed::check(history, lines, &arrived, &watchers)
}

impl HandedOut {
    fn hear(&mut self, heard: &Heard, events: &Events) -> Result<(), String> {
        let mut later = events.later_of(&heard.event.path, self.next);
        let Some(found) = later.find(|index| events.all[*index].is(heard)) else {
            return Err(describe(heard));
        };
        self.events.insert(found);
        self.next = found + 1;
        Ok(())
    }
}

/// Whether the server says so; the rest clients make up themselves.
const fn is_from_server(event_type: EventType) -> bool {
    matches!(
        event_type,
        EventType::NodeCreated
            | EventType::NodeDeleted
            | EventType::NodeDataChanged
            | EventType::NodeChildrenChanged
    )
}

fn describe(heard: &Heard) -> String {
    let Heard {
        at,
        client,
        watcher,
        event,
    } = heard;
    format!(
        "watcher {} of client {} handed out {:?}({}) of {:?} at {at:?}: it had not arrived, or \
         before what was handed out already",
        watcher.0, client.0, event.event_type, event.path, event.zxid
    )
}

/// The events that arrived at each client all of whose connections are known and were
/// left intact.
fn arrived(lines: &[Line<'_>], owners: &Owners) -> Arrivals {
    let mut in_order: Vec<usize> = (0..lines.len()).collect();
    in_order.sort_by_key(|line| {
        lines[*line]
            .wire
            .replies
            .written
            .first()
            .map(|frame| frame.at)
    });
    let mut arrived = Arrivals::new();
    let mut garbled = Vec::new();
    for at in in_order {
        let line = &lines[at];
        let Some(client) = owners.of(line) else {
            continue;
        };
        if !line.wire.replies.garbled.is_empty() || !owners.is_known(client) {
            garbled.push(client);
        }
        let replies = &line.wire.replies;
        let frames = replies.arrived.iter().enumerate();
        let events = frames.skip(1).filter_map(|(index, frame)| {
            let is_read = frame.end <= replies.read_len;
            Arrived::new(line.session, (at, index), frame, is_read)
        });
        arrived.entry(client).or_default().add(at, events);
    }
    for client in garbled {
        arrived.remove(&client);
    }
    arrived
}

impl Events {
    fn add(&mut self, line: usize, events: impl Iterator<Item = Arrived>) {
        self.of_line.insert(line, self.all.len());
        for event in events {
            let of_path = self.of_path.entry(event.event.path.clone()).or_default();
            of_path.push(self.all.len());
            self.all.push(event);
        }
    }

    /// The places from `next` on of what happened to `path`.
    fn later_of(&self, path: &str, next: usize) -> impl Iterator<Item = usize> {
        let of_path = self.of_path.get(path).map_or(&[][..], Vec::as_slice);
        let passed = of_path.partition_point(|index| *index < next);
        of_path[passed..].iter().copied()
    }

    /// The place of the first event behind this frame of a connection.
    fn behind(&self, line: usize, frame: usize) -> usize {
        let begins = self.of_line.get(&line).copied().unwrap_or(self.all.len());
        let is_before = |event: &Arrived| event.line == line && event.frame <= frame;
        begins + self.all[begins..].partition_point(is_before)
    }
}

impl Arrived {
    fn new(
        session: SessionId,
        (line, index): (usize, usize),
        frame: &Frame,
        is_read: bool,
    ) -> Option<Self> {
        let mut reader = Reader::new(&frame.payload);
        let header = ReplyHeader::decode(&mut reader).ok()?;
        let is_event = header.xid == Xid::NOTIFICATION;
        Some(Self {
            at: frame.at,
            session,
            line,
            frame: index,
            zxid: Some(header.zxid).filter(|zxid| *zxid > Zxid::ZERO),
            event: is_event.then(|| OnWire::decode(&reader.rest())).flatten()?,
            is_read,
        })
    }

    fn is(&self, heard: &Heard) -> bool {
        let event = &heard.event;
        self.at <= heard.at
            && self.zxid == event.zxid
            && self.event.kind == event.event_type
            && self.event.path == event.path
    }
}
