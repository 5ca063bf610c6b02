//! A well-behaved client whose znodes nobody else may touch.

use bytes::{Bytes, BytesMut};
use zk_proto::record::*;
use zk_proto::{
    Acl, CreateMode, Decode, Encode, ErrorCode, OpCode, Password, Reader, ReplyHeader,
    RequestHeader, SessionId, Stat, Xid, Zxid,
};
use zk_server::fuzzing::{Action, Machine, Usage};

use super::payloads;

/// The witness's connection.
pub(crate) const CONN: u64 = 0;

const PARENT: &str = "/witness";
/// It has a child, so that it cannot be deleted by those who may delete children of
/// the root.
const EPHEMERAL: &str = "/witness/ephemeral";
const DATA: &[u8] = b"seen";

/// What the witness holds: a session, an ephemeral, and a watch on it.
const USAGE: Usage = Usage {
    sessions: 1,
    ephemerals: 1,
    watches: 1,
    queued_bytes: 0,
};

pub(crate) struct Witness {
    session: SessionId,
    /// How its znodes were at the beginning.
    stats: [Stat; 2],
    xid: Xid,
}

impl Witness {
    pub(crate) fn new(machine: &mut Machine) -> Self {
        machine.accept(CONN);
        let connect = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout_ms: i32::MAX,
            session_id: SessionId::NONE,
            password: Password::none(),
            read_only: Some(false),
        };
        let payload = only_answer(machine, &connect);
        let response = ConnectResponse::decode(&mut Reader::new(&payload)).expect("a session");
        let mut witness = Self {
            session: response.session_id,
            stats: [Stat::default(); 2],
            xid: Xid(0),
        };
        let auth = AuthPacket {
            kind: 0,
            scheme: "digest".into(),
            auth: Credential(Some(b"witness:secret".into())),
        };
        witness.ask(machine, OpCode::Auth, &auth);
        witness.create(machine, PARENT, CreateMode::Persistent);
        witness.create(machine, EPHEMERAL, CreateMode::Ephemeral);
        witness.stats = [PARENT, EPHEMERAL].map(|path| witness.stat(machine, path));
        witness.watch(machine);
        assert_eq!(machine.usage(), USAGE);
        witness
    }

    pub(crate) const fn session(&self) -> SessionId {
        self.session
    }

    pub(crate) fn ping(&mut self, machine: &mut Machine) {
        self.ask(machine, OpCode::Ping, &());
    }

    /// What reaches the witness unasked.
    pub(crate) fn receive(&self, frames: Bytes) {
        panic!(
            "{frames:?} for a client that has asked for nothing, and whose znodes nobody may touch"
        );
    }

    /// Its znodes are as they were, and it has the server's ear.
    pub(crate) fn assert_undisturbed(&mut self, machine: &mut Machine) {
        let stats = [PARENT, EPHEMERAL].map(|path| self.stat(machine, path));
        assert_eq!(stats, self.stats);
    }

    /// As above, and nobody else holds anything any more.
    pub(crate) fn assert_alone(&mut self, machine: &mut Machine) {
        self.assert_undisturbed(machine);
        assert_eq!(machine.usage(), USAGE);
    }

    fn create(&mut self, machine: &mut Machine, path: &str, mode: CreateMode) {
        let request = CreateRequest {
            path: path.into(),
            data: Some(DATA.into()),
            acl: Some(vec![Acl::creator_all()]),
            flags: mode.flags(),
        };
        self.ask(machine, OpCode::Create, &request);
    }

    fn stat(&mut self, machine: &mut Machine, path: &str) -> Stat {
        let request = GetDataRequest {
            path: path.into(),
            watch: false,
        };
        let body = self.ask(machine, OpCode::GetData, &request);
        let response = GetDataResponse::decode(&mut Reader::new(&body)).expect("data");
        assert_eq!(response.data.as_deref(), Some(DATA), "{path}");
        response.stat
    }

    fn watch(&mut self, machine: &mut Machine) {
        let request = ExistsRequest {
            path: EPHEMERAL.into(),
            watch: true,
        };
        self.ask(machine, OpCode::Exists, &request);
    }

    /// One request, and the body of the only thing that is sent in answer.
    fn ask(&mut self, machine: &mut Machine, op: OpCode, body: &impl Encode) -> Bytes {
        self.xid = self.xid.next();
        let header = RequestHeader {
            xid: if op == OpCode::Ping {
                Xid::PING
            } else {
                self.xid
            },
            op: op.into(),
        };
        let payload = only_answer(machine, &(&header, body));
        let mut reader = Reader::new(&payload);
        let reply = ReplyHeader::decode(&mut reader).expect("a reply");
        assert_eq!(
            (reply.xid, reply.err),
            (header.xid, ErrorCode::Ok),
            "{op:?}"
        );
        reader.rest()
    }
}

fn only_answer(machine: &mut Machine, request: &impl Encode) -> Bytes {
    let mut frame = BytesMut::new();
    request.encode(&mut frame);
    machine.frame(CONN, &frame.freeze());
    let Some(Action::Send { conn: CONN, frames }) = machine.poll() else {
        panic!("the witness is not answered");
    };
    let mut payloads = payloads(frames);
    assert_eq!(
        payloads.len(),
        1,
        "the witness hears more than it asked for"
    );
    assert!(
        machine.poll().is_none(),
        "the witness causes more than its answer"
    );
    payloads.remove(0)
}
