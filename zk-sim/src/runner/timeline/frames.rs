//! What a frame says.

use std::borrow::Cow;
use std::collections::VecDeque;

use bytes::Bytes;
use zk_proto::record::{
    ConnectRequest, ConnectResponse, MultiRequest, ReplyHeader, RequestHeader, WatcherEvent,
};
use zk_proto::{Decode, ErrorCode, EventType, OpCode, Reader, SessionId, Xid, Zxid};

/// Reads both directions of a connection: a reply is known by the request before it.
#[derive(Debug, Default)]
pub(super) struct Interpreter {
    /// Requests without a reply so far.
    open: VecDeque<(Xid, String)>,
}

impl Interpreter {
    /// What the frame at `index` of those a client wrote says.
    pub(super) fn request(&mut self, index: usize, payload: &Bytes) -> String {
        let mut reader = Reader::new(payload);
        if index == 0 {
            return ConnectRequest::decode(&mut reader)
                .map_or_else(|_| unreadable(payload), |request| connect(&request));
        }
        let Ok(header) = RequestHeader::decode(&mut reader) else {
            return unreadable(payload);
        };
        let what = match OpCode::try_from(header.op) {
            Ok(op) => operation(op, &mut reader),
            Err(op) => format!("operation {op}"),
        };
        let text = format!("{what} xid {}", header.xid);
        self.open.push_back((header.xid, what));
        text
    }

    /// What the frame at `index` of those a server wrote says.
    pub(super) fn reply(&mut self, index: usize, payload: &Bytes) -> String {
        let mut reader = Reader::new(payload);
        if index == 0 {
            return ConnectResponse::decode(&mut reader)
                .map_or_else(|_| unreadable(payload), |response| connected(&response));
        }
        let Ok(header) = ReplyHeader::decode(&mut reader) else {
            return unreadable(payload);
        };
        if header.xid == Xid::NOTIFICATION {
            return event(header.zxid, &mut reader);
        }
        let what = self.answered(header.xid);
        let verdict = match header.err {
            ErrorCode::Ok => "ok".to_owned(),
            error => error.to_string(),
        };
        let (xid, zxid) = (header.xid, header.zxid);
        format!("{what} xid {xid}: {verdict}, zxid {zxid}")
    }

    /// What the reply with this number answers. Replies come in the order of requests,
    /// but for those to pings and credentials.
    fn answered(&mut self, xid: Xid) -> String {
        let place = self.open.iter().position(|(open, _)| *open == xid);
        match place.and_then(|place| self.open.remove(place)) {
            Some((_, what)) => format!("re {what}"),
            None => "re nothing that was asked".to_owned(),
        }
    }
}

fn connect(request: &ConnectRequest) -> String {
    let session = match request.session_id {
        SessionId::NONE => "a new session".to_owned(),
        session => format!("session {session}"),
    };
    let (timeout, seen) = (request.timeout_ms, request.last_zxid_seen);
    format!("connect {session}, timeout {timeout} ms, seen zxid {seen}")
}

fn connected(response: &ConnectResponse) -> String {
    if response.timeout_ms <= 0 {
        return "connected: the session has expired".to_owned();
    }
    let (session, timeout) = (response.session_id, response.timeout_ms);
    format!("connected: session {session}, timeout {timeout} ms")
}

fn event(zxid: Zxid, reader: &mut Reader<'_>) -> String {
    let Ok(event) = WatcherEvent::decode(reader) else {
        return "unreadable event".to_owned();
    };
    let path = &event.path;
    match EventType::try_from(event.event_type) {
        Ok(kind) => format!("event {kind:?} {path}, zxid {zxid}"),
        Err(_) => format!("event {} {path}, zxid {zxid}", event.event_type),
    }
}

/// The operation, and the path it is about.
fn operation(op: OpCode, reader: &mut Reader<'_>) -> String {
    match op {
        OpCode::Multi | OpCode::MultiRead => multi(op, reader),
        OpCode::Create
        | OpCode::Delete
        | OpCode::Exists
        | OpCode::GetData
        | OpCode::SetData
        | OpCode::GetAcl
        | OpCode::SetAcl
        | OpCode::GetChildren
        | OpCode::Sync
        | OpCode::GetChildren2
        | OpCode::Check
        | OpCode::Create2
        | OpCode::CheckWatches
        | OpCode::RemoveWatches
        | OpCode::CreateContainer
        | OpCode::DeleteContainer
        | OpCode::CreateTtl
        | OpCode::GetEphemerals
        | OpCode::GetAllChildrenNumber
        | OpCode::AddWatch => match Cow::<'_, str>::decode(reader) {
            Ok(path) => format!("{op:?} {path}"),
            Err(_) => format!("{op:?} of an unreadable path"),
        },
        OpCode::Notification
        | OpCode::Ping
        | OpCode::Reconfig
        | OpCode::Auth
        | OpCode::SetWatches
        | OpCode::SetWatches2
        | OpCode::Sasl
        | OpCode::WhoAmI
        | OpCode::CreateSession
        | OpCode::CloseSession
        | OpCode::Error => format!("{op:?}"),
    }
}

fn multi(op: OpCode, reader: &mut Reader<'_>) -> String {
    let Ok(request) = MultiRequest::decode(reader) else {
        return format!("{op:?} of unreadable operations");
    };
    let ops: Vec<_> = request
        .ops
        .iter()
        .map(|op| format!("{:?}", op.op_code()))
        .collect();
    format!("{op:?} [{}]", ops.join(", "))
}

fn unreadable(payload: &Bytes) -> String {
    format!("{} unreadable bytes", payload.len())
}
