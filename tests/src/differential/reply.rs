//! Replies as records, so that what servers may do differently can be taken out
//! before they are compared.

use bytes::{Bytes, BytesMut};
use zk_proto::record::{
    ClientInfo, Create2Response, CreateResponse, ErrorResponse, ExistsResponse, GetAclResponse,
    GetAllChildrenNumberResponse, GetChildren2Response, GetChildrenResponse, GetDataResponse,
    GetEphemeralsResponse, MultiResponse, SetSaslResponse, SyncResponse, WatcherEvent,
    WhoAmIResponse,
};
use zk_proto::{Decode, Encode, ErrorCode, OpCode, Reader, ReplyHeader, Stat, Xid, Zxid};

/// A frame from a server, after the handshake.
#[derive(Clone, Debug)]
pub(crate) enum Incoming {
    Event {
        zxid: Zxid,
        event: WatcherEvent<'static>,
    },
    Reply(Reply),
    /// Not a header, or an event that is not exactly one.
    Unreadable(Bytes),
}

/// A reply whose body waits for somebody who knows the request.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) header: ReplyHeader,
    body: Bytes,
}

/// A reply's body.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Empty,
    Path(String),
    PathAndStat(String, Stat),
    Stat(Stat),
    Data(GetDataResponse),
    Acl(GetAclResponse),
    Children(Vec<String>),
    ChildrenAndStat(GetChildren2Response),
    Number(i32),
    Ephemerals(Vec<String>),
    Multi(MultiResponse),
    Identities(Vec<ClientInfo>),
    Token(Option<Bytes>),
    /// Not exactly one record of the kind that belongs here: compared as bytes.
    Other(Bytes),
}

impl Incoming {
    pub(crate) fn parse(frame: &Bytes) -> Self {
        let mut reader = Reader::new(frame);
        let Ok(header) = ReplyHeader::decode(&mut reader) else {
            return Self::Unreadable(frame.clone());
        };
        let body = reader.rest();
        if header.xid != Xid::NOTIFICATION {
            return Self::Reply(Reply { header, body });
        }
        match exactly::<WatcherEvent<'_>>(&body) {
            Some(event) if header.err == ErrorCode::Ok => Self::Event {
                zxid: header.zxid,
                event: WatcherEvent {
                    path: event.path.into_owned().into(),
                    ..event
                },
            },
            Some(_) | None => Self::Unreadable(frame.clone()),
        }
    }
}

impl Reply {
    pub(crate) fn is_ok(&self) -> bool {
        self.header.err == ErrorCode::Ok
    }

    /// Whether the server closes the connection behind this answer to `op`: to
    /// closeSession, to credentials it refuses, to an operation it does not know
    /// (one that it knows and does not do has a zxid).
    pub(crate) fn announces_end(&self, op: i32) -> bool {
        match self.header.err {
            ErrorCode::Ok => op == i32::from(OpCode::CloseSession),
            ErrorCode::AuthFailed => true,
            ErrorCode::Unimplemented => self.header.zxid.0 < 0,
            _ => false,
        }
    }

    pub(crate) fn is_ping(&self) -> bool {
        self.header.xid == Xid::PING && self.body.is_empty()
    }

    /// The body, as the reply to operation `op`.
    pub(crate) fn body(&self, op: i32) -> Body {
        if self.body.is_empty() {
            return Body::Empty;
        }
        self.record(op)
            .unwrap_or_else(|| Body::Other(self.body.clone()))
    }

    /// `None` if it is not exactly that record, or no record belongs there.
    fn record(&self, op: i32) -> Option<Body> {
        if !self.is_ok() {
            return None;
        }
        let body = &self.body;
        match OpCode::try_from(op).ok()? {
            OpCode::Create => {
                exactly::<CreateResponse<'_>>(body).map(|made| Body::Path(made.path.into_owned()))
            }
            OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                exactly::<Create2Response<'_>>(body)
                    .map(|made| Body::PathAndStat(made.path.into_owned(), made.stat))
            }
            OpCode::Exists | OpCode::SetData | OpCode::SetAcl => {
                exactly::<ExistsResponse>(body).map(|found| Body::Stat(found.stat))
            }
            OpCode::GetData | OpCode::Reconfig => exactly(body).map(Body::Data),
            OpCode::GetAcl => exactly(body).map(Body::Acl),
            OpCode::GetChildren => {
                exactly::<GetChildrenResponse>(body).map(|found| Body::Children(found.children))
            }
            OpCode::GetChildren2 => exactly(body).map(Body::ChildrenAndStat),
            OpCode::GetAllChildrenNumber => exactly::<GetAllChildrenNumberResponse>(body)
                .map(|found| Body::Number(found.total_number)),
            OpCode::GetEphemerals => exactly::<GetEphemeralsResponse>(body)
                .map(|found| Body::Ephemerals(found.ephemerals)),
            OpCode::Sync => {
                exactly::<SyncResponse<'_>>(body).map(|echo| Body::Path(echo.path.into_owned()))
            }
            OpCode::Multi | OpCode::MultiRead => exactly(body).map(Body::Multi),
            OpCode::AddWatch => {
                exactly::<ErrorResponse>(body).map(|verdict| Body::Number(verdict.err))
            }
            OpCode::WhoAmI => {
                exactly::<WhoAmIResponse>(body).map(|found| Body::Identities(found.client_info))
            }
            OpCode::Sasl => exactly::<SetSaslResponse<'_>>(body)
                .map(|step| Body::Token(step.token.0.map(|token| token.into_owned().into()))),
            OpCode::Notification
            | OpCode::Delete
            | OpCode::Ping
            | OpCode::Check
            | OpCode::CheckWatches
            | OpCode::RemoveWatches
            | OpCode::DeleteContainer
            | OpCode::Auth
            | OpCode::SetWatches
            | OpCode::SetWatches2
            | OpCode::CreateSession
            | OpCode::CloseSession
            | OpCode::Error => None,
        }
    }
}

/// The record that these bytes are, if they are what it encodes to: nothing left
/// over, no text repaired on the way.
fn exactly<'a, T: Decode<'a> + Encode>(bytes: &'a Bytes) -> Option<T> {
    let record = T::decode(&mut Reader::new(bytes)).ok()?;
    let mut again = BytesMut::with_capacity(bytes.len());
    record.encode(&mut again);
    (again == bytes).then_some(record)
}

#[cfg(test)]
mod tests {
    use zk_proto::record::CreateResponse;

    use super::*;

    fn reply(err: ErrorCode, body: &impl Encode) -> Reply {
        let header = ReplyHeader {
            xid: Xid(1),
            zxid: Zxid(7),
            err,
        };
        let mut frame = BytesMut::new();
        (header, body).encode(&mut frame);
        match Incoming::parse(&frame.freeze()) {
            Incoming::Reply(reply) => reply,
            other => panic!("not a reply: {other:?}"),
        }
    }

    #[test]
    fn bytes_behind_a_record_are_not_overlooked() {
        let created = CreateResponse { path: "/a".into() };
        let op = OpCode::Create.into();
        assert!(
            matches!(reply(ErrorCode::Ok, &created).body(op), Body::Path(path) if path == "/a")
        );
        let longer = reply(ErrorCode::Ok, &(&created, true));
        assert!(matches!(longer.body(op), Body::Other(_)));
    }

    #[test]
    fn a_body_behind_an_error_is_not_overlooked() {
        let created = CreateResponse { path: "/a".into() };
        let reply = reply(ErrorCode::NoNode, &created);
        assert!(matches!(reply.body(OpCode::Create.into()), Body::Other(_)));
    }
}
