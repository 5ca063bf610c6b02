//! The model: servers that share sessions and execute what they read.

use std::collections::{BTreeSet, VecDeque};

use bytes::{Bytes, BytesMut};
use zk_proto::record::{
    ConnectRequest, ConnectResponse, GetDataResponse, MultiRequest, MultiResponse, MultiResult,
    SetWatches, SetWatches2, WatcherEvent,
};
use zk_proto::{
    Decode, Encode, ErrorCode, EventType, KeeperState, OpCode, Reader, ReplyHeader, SessionId, Xid,
    Zxid,
};

use super::super::pair::{Pair, Seen, granted, stat};

/// Servers, of which the last one is old.
pub(super) const SERVERS: u8 = 3;

/// One of the server's tables, and a path in it.
type Watch = (Table, String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Table {
    Data,
    Child,
    Persistent,
    Recursive,
}

#[derive(Debug, Default)]
pub(super) struct Ensemble {
    zxid: i64,
    /// Sessions opened so far; the last one may have ended.
    opened: u64,
    is_alive: bool,
    link: Option<Link>,
    /// Those the client came to know of, in order.
    known: Vec<u64>,
    /// Calls that were executed, in order, and the session they were executed in.
    executed: Vec<(usize, u64)>,
}

#[derive(Debug, Default)]
struct Link {
    is_old: bool,
    is_established: bool,
    /// Whether the client has read the answer to its handshake.
    is_known: bool,
    /// Read and not executed yet.
    pipeline: VecDeque<Seen>,
    /// Said and not read by the client yet.
    frames: VecDeque<Bytes>,
    watches: BTreeSet<Watch>,
    is_closed: bool,
    /// Answers that the client has not read yet.
    unanswered: usize,
}

impl Ensemble {
    pub(super) fn connected(&mut self, server: u8) {
        self.link = Some(Link {
            is_old: server == SERVERS,
            ..Link::default()
        });
    }

    /// The connection is gone; some of what was read is executed all the same.
    pub(super) fn disconnected(&mut self, executes: usize) {
        self.execute(executes);
        self.link = None;
    }

    pub(super) fn executed(&self) -> &[(usize, u64)] {
        &self.executed
    }

    pub(super) fn executions(&self, call: usize) -> impl Iterator<Item = &(usize, u64)> {
        self.executed.iter().filter(move |(id, _)| *id == call)
    }

    pub(super) fn expire(&mut self) {
        self.is_alive = false;
        if let Some(link) = &mut self.link {
            link.pipeline.clear();
            link.is_closed = true;
        }
    }

    /// The next frame for the client, which it will read.
    pub(super) fn next_frame(&mut self) -> Option<Bytes> {
        let link = self.link.as_mut()?;
        let frame = link.frames.pop_front()?;
        if !link.is_known {
            link.is_known = true;
            let response = ConnectResponse::decode(&mut Reader::new(&frame)).unwrap();
            if response.timeout_ms > 0 && !self.known.contains(&self.opened) {
                self.known.push(self.opened);
            }
            return Some(frame);
        }
        let header = ReplyHeader::decode(&mut Reader::new(&frame)).unwrap();
        link.unanswered -= usize::from(header.xid.0 > 0 && !link.is_closed);
        Some(frame)
    }

    /// How many sessions the client knew when it was this one.
    pub(super) fn number(&self, session: u64) -> Option<u64> {
        let position = self.known.iter().position(|known| *known == session)?;
        Some(position as u64 + 1)
    }

    pub(super) fn has_closed(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.is_closed)
    }

    /// Takes in whatever arrived.
    pub(super) fn read(&mut self, pair: &mut Pair) {
        let Some(link) = self.link.as_mut().filter(|link| !link.is_closed) else {
            return;
        };
        if !link.is_established {
            if let Some(request) = pair.try_take_connect_request() {
                self.handshake(&request);
            }
            return;
        }
        for seen in pair.take_requests() {
            self.read_one(seen);
        }
    }

    fn handshake(&mut self, request: &ConnectRequest) {
        let current = SessionId(self.opened as i64);
        let response = if request.session_id == SessionId::NONE {
            self.opened += 1;
            self.zxid += 1;
            self.is_alive = true;
            granted(SessionId(self.opened as i64))
        } else if self.is_alive && request.session_id == current {
            granted(current)
        } else {
            ConnectResponse::expired(Some(false))
        };
        if request.last_zxid_seen > Zxid(self.zxid) {
            panic!("the client has seen the future");
        }
        let is_refused = response.timeout_ms == 0;
        if let Some(link) = &mut self.link {
            link.is_established = true;
            link.is_closed = is_refused;
        }
        self.say(&response);
    }

    /// Credentials are judged at once, everything else takes its place in line.
    fn read_one(&mut self, seen: Seen) {
        let Some(link) = &mut self.link else {
            return;
        };
        if link.is_closed {
            return;
        }
        if link.is_old && is_unknown(seen.op) {
            // A ping that is lost with it does no harm.
            let is_alone = link.pipeline.iter().all(|seen| seen.op == OpCode::Ping);
            assert!(
                is_alone && link.unanswered == 0,
                "{seen:?} did not travel alone"
            );
            link.is_closed = true;
            let (zxid, err) = (Zxid(-1), ErrorCode::Unimplemented);
            self.say(&ReplyHeader {
                xid: seen.xid,
                zxid,
                err,
            });
        } else if seen.op == OpCode::Auth {
            let (zxid, err) = (Zxid::ZERO, ErrorCode::Ok);
            self.say(&ReplyHeader {
                xid: seen.xid,
                zxid,
                err,
            });
        } else {
            link.unanswered += usize::from(seen.xid.0 > 0);
            link.pipeline.push_back(seen);
        }
    }

    pub(super) fn execute(&mut self, count: usize) {
        for _ in 0..count {
            let Some(seen) = self
                .link
                .as_mut()
                .and_then(|link| link.pipeline.pop_front())
            else {
                return;
            };
            self.execute_one(&seen);
        }
    }

    fn execute_one(&mut self, seen: &Seen) {
        match seen.op {
            OpCode::Create | OpCode::Create2 | OpCode::SetData | OpCode::Delete => {
                self.zxid += 1;
                self.executed.push((call_of(&seen.path()), self.opened));
                match seen.op {
                    OpCode::Create => self.answer(seen, &seen.path().as_str()),
                    OpCode::Create2 => self.answer(seen, &(seen.path().as_str(), stat())),
                    _ => self.answer(seen, &stat()),
                }
            }
            OpCode::Exists | OpCode::GetData | OpCode::GetChildren => self.execute_read(seen),
            OpCode::MultiRead => {
                let multi: MultiRequest<'_> = seen.record();
                let result = |_| {
                    MultiResult::GetData(GetDataResponse {
                        data: None,
                        stat: stat(),
                    })
                };
                let results = multi.ops.iter().map(result).collect();
                self.answer(seen, &MultiResponse { results });
            }
            OpCode::AddWatch => {
                let (path, mode): (String, i32) = {
                    let mut reader = Reader::new(&seen.body);
                    let path = Decode::decode(&mut reader).unwrap();
                    (path, Decode::decode(&mut reader).unwrap())
                };
                let table = [Table::Persistent, Table::Recursive][mode as usize];
                self.watch(table, path);
                self.answer(seen, &0);
            }
            OpCode::SetWatches => {
                let list: SetWatches<'_> = seen.record();
                self.watch_all(Table::Data, &list.data_watches);
                self.watch_all(Table::Data, &list.exist_watches);
                self.watch_all(Table::Child, &list.child_watches);
                self.answer(seen, &());
            }
            OpCode::SetWatches2 => {
                let list: SetWatches2<'_> = seen.record();
                self.watch_all(Table::Data, &list.data_watches);
                self.watch_all(Table::Data, &list.exist_watches);
                self.watch_all(Table::Child, &list.child_watches);
                self.watch_all(Table::Persistent, &list.persistent_watches);
                self.watch_all(Table::Recursive, &list.persistent_recursive_watches);
                self.answer(seen, &());
            }
            OpCode::RemoveWatches => {
                let path = seen.path();
                if let Some(link) = &mut self.link {
                    link.watches.retain(|(_, watched)| *watched != path);
                }
                self.answer(seen, &());
            }
            OpCode::CloseSession => {
                self.is_alive = false;
                self.answer(seen, &());
                if let Some(link) = &mut self.link {
                    link.is_closed = true;
                }
            }
            OpCode::Ping | OpCode::Sync | OpCode::WhoAmI => self.answer(seen, &()),
            other => panic!("the client sent {other:?}"),
        }
    }

    /// A read; those with an odd number find nothing.
    fn execute_read(&mut self, seen: &Seen) {
        let (path, watch): (String, bool) = {
            let mut reader = Reader::new(&seen.body);
            let path = Decode::decode(&mut reader).unwrap();
            (path, Decode::decode(&mut reader).unwrap())
        };
        let is_there = call_of(&path).is_multiple_of(2) || !watch;
        if watch && (is_there || seen.op == OpCode::Exists) {
            let table = if seen.op == OpCode::GetChildren {
                Table::Child
            } else {
                Table::Data
            };
            self.watch(table, path);
        }
        if is_there {
            match seen.op {
                OpCode::GetData => self.answer(seen, &(&b"x"[..], stat())),
                _ => self.answer(seen, &stat()),
            }
        } else {
            let (zxid, err) = (Zxid(self.zxid), ErrorCode::NoNode);
            self.say(&ReplyHeader {
                xid: seen.xid,
                zxid,
                err,
            });
        }
    }

    fn watch(&mut self, table: Table, path: String) {
        if let Some(link) = &mut self.link {
            link.watches.insert((table, path));
        }
    }

    fn watch_all(&mut self, table: Table, paths: &[std::borrow::Cow<'_, str>]) {
        for path in paths {
            self.watch(table, path.to_string());
        }
    }

    /// The znode of some watch changes.
    pub(super) fn change(&mut self, which: usize) {
        let Some(link) = self.link.as_mut().filter(|link| !link.is_closed) else {
            return;
        };
        let count = link.watches.len().max(1);
        let Some(watch) = link.watches.iter().nth(which % count).cloned() else {
            return;
        };
        self.zxid += 1;
        let (table, path) = watch.clone();
        let event_type = match table {
            Table::Data | Table::Persistent | Table::Recursive => EventType::NodeDataChanged,
            Table::Child => EventType::NodeChildrenChanged,
        };
        if matches!(table, Table::Data | Table::Child) {
            link.watches.remove(&watch);
        }
        let header = ReplyHeader {
            xid: Xid::NOTIFICATION,
            zxid: Zxid(self.zxid),
            err: ErrorCode::Ok,
        };
        let event = WatcherEvent {
            event_type: event_type.into(),
            state: KeeperState::SyncConnected.into(),
            path: path.into(),
        };
        self.say(&(header, event));
    }

    fn answer(&mut self, to: &Seen, body: &impl Encode) {
        let header = ReplyHeader {
            xid: to.xid,
            zxid: Zxid(self.zxid),
            err: ErrorCode::Ok,
        };
        self.say(&(header, body));
    }

    fn say(&mut self, payload: &impl Encode) {
        let mut bytes = BytesMut::new();
        payload.encode(&mut bytes);
        if let Some(link) = &mut self.link {
            link.frames.push_back(bytes.freeze());
        }
    }
}

/// Every call has a znode of its own.
fn call_of(path: &str) -> usize {
    path[1..].parse().unwrap()
}

const fn is_unknown(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Create2
            | OpCode::RemoveWatches
            | OpCode::MultiRead
            | OpCode::AddWatch
            | OpCode::WhoAmI
            | OpCode::SetWatches2
    )
}
