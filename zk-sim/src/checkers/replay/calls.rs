//! What clients told their callers, against what had arrived at them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use zk_proto::record::{GetDataResponse, MultiResponse, MultiResult};
use zk_proto::{Decode, Encode, ErrorCode, OpCode, Reader, SessionId, Xid};

use super::Replayed;
use super::compare::is_same;
use super::line::{Line, Output, Request};
use super::text::show;
use crate::history::{At, Call, ClientId, History, Outcome, Transaction, WireConnection};

/// What is known of clients, by their sessions.
pub(super) struct Owners {
    of_session: BTreeMap<SessionId, ClientId>,
    /// Clients that had sessions of other servers too.
    strangers: BTreeSet<ClientId>,
}

impl Owners {
    pub(super) fn new(history: &History) -> Self {
        let opens = |made: &&Transaction| made.op == OpCode::CreateSession;
        let opened = history.transactions.iter().filter(opens);
        let ours: BTreeSet<SessionId> = opened.map(|made| made.session).collect();
        let mut owners = Self {
            of_session: BTreeMap::new(),
            strangers: BTreeSet::new(),
        };
        for seen in &history.sessions {
            if ours.contains(&seen.session) {
                owners.of_session.insert(seen.session, seen.client);
            } else {
                owners.strangers.insert(seen.client);
            }
        }
        owners
    }

    /// Whose connection it is.
    pub(super) fn of(&self, line: &Line<'_>) -> Option<ClientId> {
        self.of_session.get(&line.session).copied()
    }

    /// Whether everything that the client had to do with is to be seen here.
    pub(super) fn is_known(&self, client: ClientId) -> bool {
        !self.strangers.contains(&client)
    }
}

/// The requests of clients, and what the log has of them.
struct Book<'h> {
    lines: &'h [Line<'h>],
    owners: Owners,
    /// By client and number: the connections they came over, and their places there.
    sent: BTreeMap<(ClientId, Xid), Vec<(usize, usize)>>,
    made: BTreeMap<(ClientId, Xid), &'h Transaction>,
    /// Whether each connection is one of a recorded client.
    all_owned: bool,
    /// Clients of whose requests a byte was changed on its way. If that made an operation
    /// which the server does not have, they go on with its substitute, whose requests
    /// have numbers of their own (seed 1181).
    misunderstood: BTreeSet<ClientId>,
}

/// Checks every call whose request took a place in line.
pub(super) fn check(
    history: &History,
    lines: &[Line<'_>],
    replayed: &mut Replayed,
) -> Result<(), String> {
    let book = Book::new(history, lines);
    let mut ended: BTreeMap<(ClientId, Xid), &Call> = BTreeMap::new();
    for call in &history.calls {
        let Some(xid) = call.xid else { continue };
        replayed.calls += 1;
        ended.insert((call.client, xid), call);
        let Some((at, outcome)) = &call.ended else {
            continue;
        };
        book.check(call, xid, *at, outcome, replayed)
            .map_err(|what| format!("{}: {what}", describe(call)))?;
    }
    book.check_order(&ended)
}

fn describe(call: &Call) -> String {
    let Call {
        client,
        xid,
        op,
        path,
        called,
        ..
    } = call;
    let xid = xid.map_or(0, |xid| xid.0);
    format!(
        "{op:?}({path}), xid {xid}, of client {}, called at {called:?}",
        client.0
    )
}

impl<'h> Book<'h> {
    fn new(history: &'h History, lines: &'h [Line<'h>]) -> Self {
        let owners = Owners::new(history);
        let mut sent: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut all_owned = true;
        let mut misunderstood = BTreeSet::new();
        for (at, line) in lines.iter().enumerate() {
            let Some(client) = owners.of(line) else {
                all_owned = false;
                continue;
            };
            if !line.wire.requests.garbled.is_empty() {
                misunderstood.insert(client);
            }
            for (index, request) in line.requests.iter().enumerate() {
                let places = sent.entry((client, request.xid)).or_default();
                places.push((at, index));
            }
        }
        let made = history.transactions.iter().filter_map(|made| {
            let client = owners.of_session.get(&made.session)?;
            Some(((*client, made.cxid), made))
        });
        Self {
            made: made.collect(),
            lines,
            owners,
            sent,
            all_owned,
            misunderstood,
        }
    }

    fn check(
        &self,
        call: &Call,
        xid: Xid,
        at: At,
        outcome: &Outcome,
        replayed: &mut Replayed,
    ) -> Result<(), String> {
        let made = self.made.get(&(call.client, xid)).copied();
        let took_effect = made.is_some_and(|made| made.err == ErrorCode::Ok);
        let is_write = is_write(call.op);
        match outcome {
            Outcome::Answer(body) => self.check_told(call, xid, at, ErrorCode::Ok, body),
            Outcome::Refused(code) => self.check_told(call, xid, at, *code, &Bytes::new()),
            Outcome::NotApplied(why) if is_write && took_effect => {
                let zxid = made.map_or_else(String::new, |made| made.zxid.to_string());
                Err(format!(
                    "the caller was told that it did not take effect ({why}), but it is \
                     transaction {zxid}"
                ))
            }
            Outcome::Applied(why)
                if is_write
                    && !took_effect
                    && self.owners.is_known(call.client)
                    && !self.is_garbled(call.client, xid) =>
            {
                Err(format!(
                    "the caller was told that it took effect ({why}), but the log does not have it"
                ))
            }
            Outcome::Unknown(_) if is_write && took_effect => {
                replayed.applied += 1;
                Ok(())
            }
            Outcome::Unknown(_) if is_write => {
                replayed.not_applied += 1;
                Ok(())
            }
            Outcome::Unknown(_)
            | Outcome::NotApplied(_)
            | Outcome::Applied(_)
            | Outcome::Dropped => Ok(()),
        }
    }

    /// Whether what the caller heard may be nobody's word.
    fn is_garbled(&self, client: ClientId, xid: Xid) -> bool {
        let places = self.sent.get(&(client, xid)).into_iter().flatten();
        let mut lines = places.map(|(line, _)| &self.lines[*line]);
        lines.any(|line| !line.wire.replies.garbled.is_empty())
    }

    /// What the caller was told had arrived.
    fn check_told(
        &self,
        call: &Call,
        xid: Xid,
        at: At,
        err: ErrorCode,
        body: &Bytes,
    ) -> Result<(), String> {
        let places = self
            .sent
            .get(&(call.client, xid))
            .map_or(&[][..], Vec::as_slice);
        let lines = places.iter().map(|(line, request)| {
            let line = &self.lines[*line];
            (line, &line.requests[*request])
        });
        let mut answered = lines.filter_map(|(line, request)| {
            let reply = request.reply?;
            Some((line, request, reply))
        });
        let Some((line, request, reply)) = answered.next() else {
            // A session so short that nobody saw it may have carried the answer.
            let is_traceable = self.all_owned
                && self.owners.is_known(call.client)
                && !self.misunderstood.contains(&call.client);
            return match is_traceable {
                true => Err("the caller got an answer that the server did not give".to_owned()),
                false => Ok(()),
            };
        };
        let output = &line.outputs[reply];
        let WireConnection {
            requests, replies, ..
        } = &line.wire;
        let is_garbled = !requests.garbled.is_empty() || !replies.garbled.is_empty();
        if is_garbled || !is_comparable(call.op, request) {
            return Ok(());
        }
        let arrived = line.wire.replies.arrived.get(output.frame);
        if arrived.is_none_or(|frame| frame.at > at) {
            return Err(format!(
                "the caller got an answer at {at:?}, before it arrived"
            ));
        }
        check_same(call.op, err, body, output)
    }

    /// On a connection answers come in the order of the requests: a request is not lost
    /// once a later one is answered.
    fn check_order(&self, ended: &BTreeMap<(ClientId, Xid), &Call>) -> Result<(), String> {
        for line in self.lines {
            let Some(client) = self.owners.of(line) else {
                continue;
            };
            let mut answered: Option<(At, &Call)> = None;
            for request in line.requests.iter().rev() {
                let Some(call) = ended.get(&(client, request.xid)) else {
                    continue;
                };
                match &call.ended {
                    Some((at, Outcome::Answer(_) | Outcome::Refused(_))) => {
                        if request.reply.is_some() && answered.is_none_or(|(first, _)| *at < first)
                        {
                            answered = Some((*at, call));
                        }
                    }
                    Some((at, Outcome::Unknown(why) | Outcome::NotApplied(why))) => {
                        check_lost(call, *at, why, answered)?;
                    }
                    Some((_, Outcome::Applied(_) | Outcome::Dropped)) | None => {}
                }
            }
        }
        Ok(())
    }
}

/// A call may run out of its own time, and its caller may look later.
fn check_lost(call: &Call, at: At, why: &str, later: Option<(At, &Call)>) -> Result<(), String> {
    match later {
        Some((answered, later)) if answered < at && !why.starts_with("no answer within") => {
            let (call, later) = (describe(call), describe(later));
            Err(format!(
                "{call} was lost at {at:?} ({why}), though {later} was answered at {answered:?} on \
                 the same connection"
            ))
        }
        Some(_) | None => Ok(()),
    }
}

/// Operations that leave a transaction, whatever comes of them.
const fn is_write(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::SetData
            | OpCode::SetAcl
            | OpCode::Multi
    )
}

/// The client answers some calls from what it knows, or by asking something else.
fn is_comparable(op: OpCode, request: &Request) -> bool {
    let is_local = matches!(
        op,
        OpCode::RemoveWatches | OpCode::CheckWatches | OpCode::AddWatch
    );
    request.op() == Some(op) && !is_local
}

fn check_same(op: OpCode, err: ErrorCode, body: &Bytes, output: &Output) -> Result<(), String> {
    let header = &output.header;
    let arrived = plain(op, &output.body);
    let is_equal = is_same(Some(op), &plain(op, body), &arrived);
    // Only a good answer has a body that a caller gets to see.
    if header.err == err && (err != ErrorCode::Ok || is_equal) {
        return Ok(());
    }
    let (told, sent) = (
        show(Some(op), err, body),
        show(Some(op), header.err, &output.body),
    );
    Err(format!("the caller got {told}, the server had sent {sent}"))
}

/// Null data is told as empty.
fn plain(op: OpCode, body: &Bytes) -> Bytes {
    match op {
        OpCode::GetData => recode(body, |reply: &mut GetDataResponse| {
            not_null(&mut reply.data)
        }),
        OpCode::MultiRead => recode(body, |reply: &mut MultiResponse| {
            for result in &mut reply.results {
                if let MultiResult::GetData(reply) = result {
                    not_null(&mut reply.data);
                }
            }
        }),
        _ => body.clone(),
    }
}

fn not_null(data: &mut Option<Bytes>) {
    data.get_or_insert_default();
}

fn recode<'b, T: Decode<'b> + Encode>(body: &'b Bytes, change: impl FnOnce(&mut T)) -> Bytes {
    let Ok(mut record) = T::decode(&mut Reader::new(body)) else {
        return body.clone();
    };
    change(&mut record);
    let mut changed = BytesMut::new();
    record.encode(&mut changed);
    changed.freeze()
}
