//! What a run does: operations as values, so that a run can be repeated, cut and
//! printed. Nothing in them belongs to one server: sessions are ordinals, zxids
//! are offsets.

use std::borrow::Cow;
use std::fmt;

use bytes::{Bytes, BytesMut};
use zk_proto::record::{
    AddWatchRequest, AuthPacket, CheckVersionRequest, CheckWatchesRequest, CreateRequest,
    CreateTtlRequest, DeleteRequest, ExistsRequest, GetAclRequest, GetAllChildrenNumberRequest,
    GetChildren2Request, GetChildrenRequest, GetDataRequest, GetEphemeralsRequest, GetSaslRequest,
    MultiRequest, ReconfigRequest, RemoveWatchesRequest, SetAclRequest, SetDataRequest, SetWatches,
    SetWatches2, SyncRequest,
};
use zk_proto::{Encode, OpCode, Zxid};

/// A session, by the order in which the run opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ordinal(pub usize);

/// The session that ends last: it is super user, watches the others' barriers
/// and sends nothing that costs its connection.
pub(crate) const OBSERVER: Ordinal = Ordinal(0);

/// One step of a run, done on both servers before the next begins.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Opens a session.
    Open(Handshake),
    /// Resumes a session, on a new connection, whether or not it has one.
    Resume {
        session: Ordinal,
        handshake: Handshake,
        password: PasswordChoice,
    },
    /// Opens a session and closes it at once; with `hasty`, in the same write.
    Visit {
        handshake: Handshake,
        /// Bytes of the password that nobody asked for.
        password_len: usize,
        hasty: bool,
    },
    /// Presents a session that has ended.
    Late {
        session: Ordinal,
        handshake: Handshake,
    },
    /// Presents a session id that no server has given out.
    Stranger { handshake: Handshake, id: i64 },
    /// Sends this on a fresh connection instead of a handshake.
    Intrude(Bytes),
    /// Drops the connection. The session lives on.
    Disconnect(Ordinal),
    /// One request and its reply.
    Request(Ordinal, Request),
    /// Several requests in one write.
    Pipeline(Ordinal, Vec<Request>),
    /// Bytes that are not a request, length word included.
    Garble(Ordinal, Bytes),
    /// A barrier: shortens the session's timeout, falls silent, with or without
    /// a connection, and waits until it is gone.
    Expire { session: Ordinal, connected: bool },
}

/// The fields of a ConnectRequest that the run chooses.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    pub(crate) protocol_version: i32,
    pub(crate) last_zxid: ZxidArg,
    pub(crate) timeout_ms: i32,
    pub(crate) read_only: Option<bool>,
}

/// What a resuming client presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PasswordChoice {
    Right,
    Wrong,
    Empty,
    Long,
}

/// A zxid that means the same on both servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ZxidArg {
    /// Counted from the run's first.
    Offset(i64),
    /// As it stands.
    Literal(i64),
}

/// One request. The header's xid is the session's next unless `Numbered` says
/// otherwise.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Create(CreateRequest<'static>),
    Create2(CreateRequest<'static>),
    CreateContainer(CreateRequest<'static>),
    CreateTtl(CreateTtlRequest<'static>),
    Delete(DeleteRequest<'static>),
    SetData(SetDataRequest<'static>),
    SetAcl(SetAclRequest<'static>),
    Exists(ExistsRequest<'static>),
    GetData(GetDataRequest<'static>),
    GetAcl(GetAclRequest<'static>),
    GetChildren(GetChildrenRequest<'static>),
    GetChildren2(GetChildren2Request<'static>),
    GetAllChildrenNumber(GetAllChildrenNumberRequest<'static>),
    GetEphemerals(GetEphemeralsRequest<'static>),
    Sync(SyncRequest<'static>),
    Multi(MultiRequest<'static>),
    MultiRead(MultiRequest<'static>),
    Check(CheckVersionRequest<'static>),
    Reconfig(ReconfigRequest<'static>),
    AddWatch(AddWatchRequest<'static>),
    CheckWatches(CheckWatchesRequest<'static>),
    RemoveWatches(RemoveWatchesRequest<'static>),
    SetWatches(ZxidArg, WatchLists),
    SetWatches2(ZxidArg, WatchLists),
    Auth(AuthPacket<'static>),
    Sasl(GetSaslRequest<'static>),
    WhoAmI,
    Ping,
    CloseSession,
    /// A body that is not what the operation takes, or no operation at all.
    Raw {
        op: i32,
        body: Bytes,
    },
    /// A good request with bytes behind its body.
    Padded(Box<Self>),
    /// A good request with an xid of its own.
    Numbered(i32, Box<Self>),
}

/// The paths of setWatches and setWatches2; the former leaves the last two out.
#[derive(Clone, Debug, Default)]
pub(crate) struct WatchLists {
    pub(crate) data: Vec<String>,
    pub(crate) exist: Vec<String>,
    pub(crate) child: Vec<String>,
    pub(crate) persistent: Vec<String>,
    pub(crate) recursive: Vec<String>,
}

impl Op {
    /// The session whose connection the operation needs.
    pub(crate) const fn needs_connection(&self) -> Option<Ordinal> {
        match self {
            Self::Disconnect(session)
            | Self::Request(session, _)
            | Self::Pipeline(session, _)
            | Self::Garble(session, _) => Some(*session),
            Self::Open(_)
            | Self::Resume { .. }
            | Self::Visit { .. }
            | Self::Late { .. }
            | Self::Stranger { .. }
            | Self::Intrude(_)
            | Self::Expire { .. } => None,
        }
    }

    /// The session that must be alive.
    pub(crate) const fn needs_session(&self) -> Option<Ordinal> {
        match self {
            Self::Resume { session, .. } | Self::Expire { session, .. } => Some(*session),
            Self::Open(_)
            | Self::Visit { .. }
            | Self::Late { .. }
            | Self::Stranger { .. }
            | Self::Intrude(_) => None,
            Self::Disconnect(_)
            | Self::Request(_, _)
            | Self::Pipeline(_, _)
            | Self::Garble(_, _) => self.needs_connection(),
        }
    }

    /// The session that must have ended.
    pub(crate) const fn needs_end(&self) -> Option<Ordinal> {
        match self {
            Self::Late { session, .. } => Some(*session),
            Self::Open(_)
            | Self::Resume { .. }
            | Self::Visit { .. }
            | Self::Stranger { .. }
            | Self::Intrude(_)
            | Self::Disconnect(_)
            | Self::Request(_, _)
            | Self::Pipeline(_, _)
            | Self::Garble(_, _)
            | Self::Expire { .. } => None,
        }
    }

    /// The requests it sends, in order, and who sends them.
    pub(crate) fn requests(&self) -> Option<(Ordinal, &[Request])> {
        match self {
            Self::Request(session, request) => Some((*session, std::slice::from_ref(request))),
            Self::Pipeline(session, requests) => Some((*session, requests)),
            Self::Open(_)
            | Self::Resume { .. }
            | Self::Visit { .. }
            | Self::Late { .. }
            | Self::Stranger { .. }
            | Self::Intrude(_)
            | Self::Disconnect(_)
            | Self::Garble(_, _)
            | Self::Expire { .. } => None,
        }
    }

    /// Whether it ends `session`, if all goes well.
    pub(crate) fn ends(&self) -> Option<Ordinal> {
        match self {
            Self::Expire { session, .. } => Some(*session),
            _ => self
                .requests()
                .filter(|(_, requests)| requests.iter().any(Request::closes_session))
                .map(|(session, _)| session),
        }
    }
}

impl fmt::Display for Op {
    /// Bounded: a large value's middle does not matter to who reads a report.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 1_000;
        let text = format!("{self:?}");
        match text.char_indices().nth(LONGEST) {
            None => f.write_str(&text),
            Some((at, _)) => write!(f, "{}… ({} bytes)", &text[..at], text.len()),
        }
    }
}

impl Request {
    /// The operation's code on the wire.
    pub(crate) fn op(&self) -> i32 {
        let op = match self {
            Self::Create(_) => OpCode::Create,
            Self::Create2(_) => OpCode::Create2,
            Self::CreateContainer(_) => OpCode::CreateContainer,
            Self::CreateTtl(_) => OpCode::CreateTtl,
            Self::Delete(_) => OpCode::Delete,
            Self::SetData(_) => OpCode::SetData,
            Self::SetAcl(_) => OpCode::SetAcl,
            Self::Exists(_) => OpCode::Exists,
            Self::GetData(_) => OpCode::GetData,
            Self::GetAcl(_) => OpCode::GetAcl,
            Self::GetChildren(_) => OpCode::GetChildren,
            Self::GetChildren2(_) => OpCode::GetChildren2,
            Self::GetAllChildrenNumber(_) => OpCode::GetAllChildrenNumber,
            Self::GetEphemerals(_) => OpCode::GetEphemerals,
            Self::Sync(_) => OpCode::Sync,
            Self::Multi(_) => OpCode::Multi,
            Self::MultiRead(_) => OpCode::MultiRead,
            Self::Check(_) => OpCode::Check,
            Self::Reconfig(_) => OpCode::Reconfig,
            Self::AddWatch(_) => OpCode::AddWatch,
            Self::CheckWatches(_) => OpCode::CheckWatches,
            Self::RemoveWatches(_) => OpCode::RemoveWatches,
            Self::SetWatches(..) => OpCode::SetWatches,
            Self::SetWatches2(..) => OpCode::SetWatches2,
            Self::Auth(_) => OpCode::Auth,
            Self::Sasl(_) => OpCode::Sasl,
            Self::WhoAmI => OpCode::WhoAmI,
            Self::Ping => OpCode::Ping,
            Self::CloseSession => OpCode::CloseSession,
            Self::Raw { op, .. } => return *op,
            Self::Padded(request) | Self::Numbered(_, request) => return request.op(),
        };
        op.into()
    }

    /// The xid, if it is not the session's next.
    pub(crate) fn own_xid(&self) -> Option<i32> {
        match self {
            Self::Numbered(xid, _) => Some(*xid),
            Self::Padded(request) => request.own_xid(),
            _ => None,
        }
    }

    /// The request behind padding and number.
    pub(crate) fn plain(&self) -> &Self {
        match self {
            Self::Padded(request) | Self::Numbered(_, request) => request.plain(),
            request => request,
        }
    }

    /// Whether it is a closeSession, however it is dressed: that one has no body
    /// to get wrong.
    pub(crate) fn closes_session(&self) -> bool {
        self.op() == i32::from(OpCode::CloseSession)
    }

    /// Appends the body. `zxid` finds a server's own number.
    pub(crate) fn encode_body(&self, zxid: &impl Fn(ZxidArg) -> Zxid, out: &mut BytesMut) {
        match self {
            Self::Create(body) | Self::Create2(body) | Self::CreateContainer(body) => {
                body.encode(out)
            }
            Self::CreateTtl(body) => body.encode(out),
            Self::Delete(body) => body.encode(out),
            Self::SetData(body) => body.encode(out),
            Self::SetAcl(body) => body.encode(out),
            Self::Exists(body) => body.encode(out),
            Self::GetData(body) => body.encode(out),
            Self::GetAcl(body) => body.encode(out),
            Self::GetChildren(body) => body.encode(out),
            Self::GetChildren2(body) => body.encode(out),
            Self::GetAllChildrenNumber(body) => body.encode(out),
            Self::GetEphemerals(body) => body.encode(out),
            Self::Sync(body) => body.encode(out),
            Self::Multi(body) | Self::MultiRead(body) => body.encode(out),
            Self::Check(body) => body.encode(out),
            Self::Reconfig(body) => body.encode(out),
            Self::AddWatch(body) => body.encode(out),
            Self::CheckWatches(body) => body.encode(out),
            Self::RemoveWatches(body) => body.encode(out),
            Self::SetWatches(relative, lists) => lists.one_shot(zxid(*relative)).encode(out),
            Self::SetWatches2(relative, lists) => lists.all(zxid(*relative)).encode(out),
            Self::Auth(body) => body.encode(out),
            Self::Sasl(body) => body.encode(out),
            Self::WhoAmI | Self::Ping | Self::CloseSession => {}
            Self::Raw { body, .. } => out.extend_from_slice(body),
            Self::Padded(request) => {
                request.encode_body(zxid, out);
                out.extend_from_slice(b"padding");
            }
            Self::Numbered(_, request) => request.encode_body(zxid, out),
        }
    }
}

impl WatchLists {
    fn one_shot(&self, relative_zxid: Zxid) -> SetWatches<'_> {
        SetWatches {
            relative_zxid,
            data_watches: borrowed(&self.data),
            exist_watches: borrowed(&self.exist),
            child_watches: borrowed(&self.child),
        }
    }

    fn all(&self, relative_zxid: Zxid) -> SetWatches2<'_> {
        SetWatches2 {
            relative_zxid,
            data_watches: borrowed(&self.data),
            exist_watches: borrowed(&self.exist),
            child_watches: borrowed(&self.child),
            persistent_watches: borrowed(&self.persistent),
            persistent_recursive_watches: borrowed(&self.recursive),
        }
    }
}

fn borrowed(paths: &[String]) -> Vec<Cow<'_, str>> {
    paths.iter().map(|path| path.as_str().into()).collect()
}
