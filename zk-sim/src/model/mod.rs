//! A small model of what a ZooKeeper server does, against which servers are checked.
//!
//! It was written from what Apache ZooKeeper 3.9.5 was seen to do, and shares nothing
//! with a server but the records on the wire: one map of paths, and every operation
//! carried out at once, in the order in which a server's log says it happened. It
//! has no log, no pipeline and no clock; the transaction's zxid and time are arguments.
//!
//! ```
//! use zk_proto::record::CreateRequest;
//! use zk_proto::{Acl, Encode, ErrorCode, OpCode, SessionId, Zxid};
//! use zk_sim::model::{Asker, Model, Settings};
//!
//! let mut model = Model::new(Settings::default());
//! let session = SessionId(7);
//! model.open_session(session, Zxid(1));
//! let mut body = bytes::BytesMut::new();
//! let create = CreateRequest {
//!     path: "/a".into(),
//!     data: None,
//!     acl: Some(vec![Acl::open()]),
//!     flags: 0,
//! };
//! create.encode(&mut body);
//! let asker = Asker { session, identities: &[] };
//! let done = model.write(asker, OpCode::Create, &body.freeze(), Zxid(2), 1_000);
//! assert_eq!(done.answer.err, ErrorCode::Ok);
//! ```

mod acl;
mod create;
mod error;
mod multi;
mod mutation;
mod quota;
mod read;
mod request;
mod stat;
mod tree;
mod watch_ops;
mod watches;
mod write;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use zk_proto::record::ReconfigRequest;
use zk_proto::{AclId, Decode, Encode, ErrorCode, EventType, OpCode, Reader, SessionId, Zxid};

pub use acl::{authenticate, sasl};
pub use mutation::Mutation;

use error::Refusal;
use request::Write;
use tree::Tree;
use watches::Watches;

/// What the modelled server is told by its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether znodes may have a time to live.
    pub extended_types: bool,
    /// The digest that makes its holder `super`.
    pub super_digest: Option<String>,
    /// Whether create flags must fit the operation. They must on the bundled server;
    /// Apache writes what does not fit to its log.
    pub strict_flags: bool,
    /// How long a container lives that never had a child; none for ever.
    pub container_never_used_ms: Option<i64>,
    /// What it does wrong, on purpose.
    pub mutation: Option<Mutation>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            extended_types: true,
            super_digest: None,
            strict_flags: true,
            container_never_used_ms: None,
            mutation: None,
        }
    }
}

/// A connection, by a number that whoever drives the model chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conn(pub u64);

/// Who asks for a write.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'i> {
    /// In which session.
    pub session: SessionId,
    /// As whom.
    pub identities: &'i [AclId],
}

/// What a server replies, without its header's xid and zxid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The header's.
    pub err: ErrorCode,
    /// What follows the header.
    pub body: Bytes,
}

/// A watch event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// Where it goes.
    pub conn: Conn,
    /// What happened.
    pub kind: EventType,
    /// To which znode.
    pub path: String,
}

/// What a request comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The events, which go before the answer, in their order.
    pub events: Vec<Event>,
    /// The answer.
    pub answer: Answer,
}

/// A server's state.
#[derive(Clone, Debug)]
pub struct Model {
    settings: Settings,
    tree: Tree,
    watches: Watches,
    /// What connections are known as.
    identities: BTreeMap<Conn, Vec<AclId>>,
    sessions: BTreeSet<SessionId>,
    last_zxid: Zxid,
}

impl Model {
    /// A fresh server: nothing but the built-in znodes.
    pub fn new(settings: Settings) -> Self {
        Self {
            tree: Tree::fresh(),
            watches: Watches::default(),
            identities: BTreeMap::new(),
            sessions: BTreeSet::new(),
            last_zxid: Zxid::ZERO,
            settings,
        }
    }

    /// As it was made.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The last transaction that was made.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// How many znodes there are, the built-in ones among them.
    pub fn node_count(&self) -> usize {
        self.tree.len()
    }

    /// A connection from this address is there.
    pub fn connect(&mut self, conn: Conn, ip: &str) {
        self.identities.insert(conn, vec![AclId::new("ip", ip)]);
    }

    /// A connection is gone, and its watches with it.
    pub fn disconnect(&mut self, conn: Conn) {
        self.watches.forget(conn);
        self.identities.remove(&conn);
    }

    /// What a connection is known as.
    pub fn identities(&self, conn: Conn) -> &[AclId] {
        self.identities.get(&conn).map_or(&[], Vec::as_slice)
    }

    /// Credentials came over a connection, as long as which they last. None if they
    /// cannot be read, for which a server hangs up.
    pub fn authenticate(&mut self, conn: Conn, body: &Bytes) -> Option<ErrorCode> {
        let known = self.identities.get_mut(&conn)?;
        authenticate(known, body, self.settings.super_digest.as_deref())
    }

    /// Whether the session is open.
    pub fn is_open(&self, session: SessionId) -> bool {
        self.sessions.contains(&session)
    }

    /// The transaction that opens a session. False if it was open.
    pub fn open_session(&mut self, session: SessionId, zxid: Zxid) -> bool {
        self.last_zxid = zxid;
        self.sessions.insert(session)
    }

    /// The transaction that ends a session, on request or after its timeout: its
    /// ephemerals go, in no particular order. The answer is what a client is told that
    /// asked for it.
    pub fn close_session(&mut self, session: SessionId, zxid: Zxid) -> Done {
        self.last_zxid = zxid;
        self.sessions.remove(&session);
        let mut events = Vec::new();
        if !self.has(Mutation::EphemeralsSurvive) {
            for path in self.tree.ephemerals_of(session) {
                let change = self.remove(&path, zxid);
                self.announce(&change, &mut events);
            }
        }
        Done {
            events,
            answer: Answer::empty(),
        }
    }

    /// A transaction that changes nothing but the zxid, as its session was refused.
    pub fn refuse(&mut self, err: ErrorCode, zxid: Zxid) -> Done {
        self.last_zxid = zxid;
        Done::with(err)
    }

    fn has(&self, mutation: Mutation) -> bool {
        self.settings.mutation == Some(mutation)
    }

    /// Carries out a request that changes nothing but watches. Sent by mistake,
    /// everything else is unimplemented.
    pub fn read(&mut self, session: SessionId, conn: Conn, op: OpCode, body: &Bytes) -> Done {
        let mut events = Vec::new();
        let answer = self.answer_read((session, conn), op, body, &mut events);
        Done { events, answer }
    }
}

impl Done {
    /// Nothing but an answer without a body.
    pub fn with(err: ErrorCode) -> Self {
        Self {
            events: Vec::new(),
            answer: Answer::with(err),
        }
    }
}

impl Answer {
    /// Without a body.
    pub fn with(err: ErrorCode) -> Self {
        Self {
            err,
            body: Bytes::new(),
        }
    }

    fn empty() -> Self {
        Self::with(ErrorCode::Ok)
    }

    fn of(record: &impl Encode) -> Self {
        Self::refused_with(ErrorCode::Ok, record)
    }

    fn refused_with(err: ErrorCode, record: &impl Encode) -> Self {
        let mut body = BytesMut::new();
        record.encode(&mut body);
        Self {
            err,
            body: body.freeze(),
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::with(refusal.0)
    }
}

impl From<Result<Self, Refusal>> for Answer {
    fn from(result: Result<Self, Refusal>) -> Self {
        result.unwrap_or_else(Self::from)
    }
}

/// Whether a request is a transaction, which a refused one is too. One whose body cannot
/// be read is none, unless it is a multi.
pub fn is_transaction(op: OpCode, body: &Bytes) -> bool {
    match op {
        OpCode::Multi => multi::is_taken(&mut Reader::new(body)),
        OpCode::Reconfig => ReconfigRequest::decode(&mut Reader::new(body)).is_ok(),
        OpCode::CloseSession => true,
        op => write::is_single(op) && Write::decode(op, &mut Reader::new(body)).is_ok(),
    }
}
