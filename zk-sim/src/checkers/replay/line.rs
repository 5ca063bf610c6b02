//! One connection of the server: what came over it, what went back, and how far the
//! replay is with it.

use bytes::Bytes;
use zk_proto::record::WatcherEvent;
use zk_proto::{
    AclId, Decode, EventType, OpCode, Reader, ReplyHeader, RequestHeader, SessionId, Xid, Zxid,
};

use crate::history::{At, Frame, WireConnection};
use crate::model::{Answer, Conn, is_transaction, sasl};

/// A request, as the server got it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) arrived: At,
    pub(super) xid: Xid,
    pub(super) code: i32,
    pub(super) body: Bytes,
    /// Whether the log has to have it.
    pub(super) is_transaction: bool,
    /// Whether the replay has come to it in the log.
    pub(super) is_done: bool,
    /// The output that answers it.
    pub(super) reply: Option<usize>,
}

/// A frame that the server wrote.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) at: At,
    /// Its frame, among those of its connection.
    pub(super) frame: usize,
    pub(super) header: ReplyHeader,
    pub(super) body: Bytes,
    pub(super) event: Option<Heard>,
}

/// An event on the wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Heard {
    pub(super) kind: EventType,
    pub(super) path: String,
}

/// What tells in which state an output was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// After this transaction.
    By(Zxid),
    /// Not before its request had arrived, at this time.
    Since(At),
}

/// A connection that has spoken for a session.
#[derive(Clone, Debug)]
pub(super) struct Line<'h> {
    pub(super) wire: &'h WireConnection,
    pub(super) conn: Conn,
    pub(super) session: SessionId,
    pub(super) requests: Vec<Request>,
    pub(super) outputs: Vec<Output>,
    /// The first request that is not answered yet.
    pub(super) request: usize,
    /// The first output that is not accounted for.
    pub(super) output: usize,
    /// Who speaks, once there is nothing left to be seen of the connection.
    pub(super) identities: Vec<AclId>,
    pub(super) has_begun: bool,
    pub(super) is_over: bool,
}

impl<'h> Line<'h> {
    /// None if the server gave it no session.
    ///
    /// # Errors
    ///
    /// The server wrote what is no frame of the protocol.
    pub(super) fn new(
        wire: &'h WireConnection,
        conn: Conn,
        is_ensemble: bool,
    ) -> Result<Option<Self>, String> {
        let Some(session) = wire.session() else {
            return match wire.replies.written.get(1) {
                Some(_) => Err(format!(
                    "{}: more than one frame without a session",
                    wire.id.0
                )),
                None => Ok(None),
            };
        };
        let replies = wire.replies.written.iter().enumerate().skip(1);
        // Pings overtake what waits for a commit.
        let replies = replies.filter(|(_, frame)| !(is_ensemble && frame.has_xid(Xid::PING)));
        let outputs = replies.map(|(index, frame)| {
            let name = format!("connection {} of {session}", wire.id.0);
            Output::new(index, frame)
                .ok_or_else(|| format!("{name}: no reply: {:?}", frame.payload))
        });
        Ok(Some(Self {
            conn,
            session,
            requests: requests(wire, is_ensemble),
            outputs: outputs.collect::<Result<_, _>>()?,
            request: 0,
            output: 0,
            identities: Vec::new(),
            has_begun: false,
            is_over: false,
            wire,
        }))
    }

    pub(super) fn next_output(&self) -> Option<&Output> {
        self.outputs.get(self.output)
    }

    /// What tells of the state in which the next output was made. Auth replies and
    /// the events of setWatches go with what follows them; none if nothing does.
    pub(super) fn place(&self) -> Option<Told> {
        let mut request = self.request;
        let mut auth = None;
        for output in &self.outputs[self.output..] {
            let zxid = output.header.zxid;
            let asked = self.requests.get(request);
            match (&output.event, asked) {
                (Some(_), _) if zxid > Zxid::ZERO => return Some(Told::By(zxid)),
                (Some(_), _) => {}
                (None, Some(asked)) if asked.is_auth() => {
                    auth = Some(Told::Since(asked.arrived));
                    request += 1;
                }
                (None, Some(asked)) if zxid <= Zxid::ZERO => {
                    return Some(Told::Since(asked.arrived));
                }
                (None, _) => return Some(Told::By(zxid)),
            }
        }
        auth
    }

    /// How many auth replies come next, and the output behind them.
    pub(super) fn auth_replies(&self) -> (usize, Option<&Output>) {
        let outputs = &self.outputs[self.output..];
        let requests = self.requests.get(self.request..).unwrap_or_default();
        let count = outputs
            .iter()
            .zip(requests)
            .take_while(|(output, request)| output.event.is_none() && request.is_auth())
            .count();
        (count, outputs.get(count))
    }

    /// The events that come next and carry this zxid.
    pub(super) fn take_events(&mut self, zxid: Zxid) -> Vec<Heard> {
        let mut events = Vec::new();
        while let Some(output) = self.outputs.get(self.output)
            && output.header.zxid == zxid
            && let Some(event) = &output.event
        {
            events.push(event.clone());
            self.output += 1;
        }
        events
    }
}

/// What a server that has closed a connection does not read any more.
fn requests(wire: &WireConnection, is_ensemble: bool) -> Vec<Request> {
    let frames = wire.requests.arrived.iter().skip(1);
    let requests = frames.map_while(Request::new);
    requests
        .filter(|request| !(is_ensemble && request.op() == Some(OpCode::Ping)))
        .collect()
}

impl Request {
    /// None if it is too short, for which a server closes the connection.
    pub(super) fn new(frame: &Frame) -> Option<Self> {
        let mut reader = Reader::new(&frame.payload);
        let header = RequestHeader::decode(&mut reader).ok()?;
        let body = reader.rest();
        let op = OpCode::try_from(header.op);
        Some(Self {
            arrived: frame.at,
            xid: header.xid,
            code: header.op,
            is_transaction: op.is_ok_and(|op| is_transaction(op, &body)),
            body,
            is_done: false,
            reply: None,
        })
    }

    pub(super) fn op(&self) -> Option<OpCode> {
        OpCode::try_from(self.code).ok()
    }

    pub(super) fn is_auth(&self) -> bool {
        self.code == i32::from(OpCode::Auth)
    }

    /// What it is answered if it is a step of a SASL exchange.
    pub(super) fn sasl_answer(&self) -> Option<Answer> {
        let is_sasl = self.op() == Some(OpCode::Sasl);
        is_sasl.then(|| sasl(&self.body)).flatten()
    }

    /// The number that its reply carries: pings have one of their own.
    pub(super) fn reply_xid(&self) -> Xid {
        match self.op() {
            Some(OpCode::Ping) => Xid::PING,
            Some(_) | None => self.xid,
        }
    }

    /// The path that it is about, if it is about one.
    pub(super) fn path(&self) -> Option<String> {
        let op = self.op()?;
        if op == OpCode::Reconfig {
            return Some("/zookeeper/config".to_owned());
        }
        let has_none = matches!(
            op,
            OpCode::Multi
                | OpCode::MultiRead
                | OpCode::Auth
                | OpCode::Ping
                | OpCode::CloseSession
                | OpCode::WhoAmI
                | OpCode::SetWatches
                | OpCode::SetWatches2
        );
        let path = || Option::<String>::decode(&mut Reader::new(&self.body)).ok();
        (!has_none).then(path).flatten().flatten()
    }
}

impl Output {
    fn new(index: usize, frame: &Frame) -> Option<Self> {
        let mut reader = Reader::new(&frame.payload);
        let header = ReplyHeader::decode(&mut reader).ok()?;
        let body = reader.rest();
        let event = if header.xid == Xid::NOTIFICATION {
            Some(Heard::decode(&body)?)
        } else {
            None
        };
        Some(Self {
            at: frame.at,
            frame: index,
            header,
            body,
            event,
        })
    }
}

impl Heard {
    pub(super) fn decode(body: &Bytes) -> Option<Self> {
        let event = WatcherEvent::decode(&mut Reader::new(body)).ok()?;
        Some(Self {
            kind: EventType::try_from(event.event_type).ok()?,
            path: event.path.into_owned(),
        })
    }
}
