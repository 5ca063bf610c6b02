//! Rules that are easily got wrong, one by one.

mod tree;
mod watches;

use bytes::{Bytes, BytesMut};
use zk_proto::record::{
    CreateRequest, CreateResponse, DeleteRequest, ExistsRequest, ExistsResponse, SetDataRequest,
};
use zk_proto::{
    Acl, AclId, Decode, Encode, ErrorCode, EventType, OpCode, Reader, SessionId, Stat, Zxid,
};

use super::{Answer, Asker, Conn, Done, Event, Model, Settings};

const SESSION: SessionId = SessionId(7);
const CONN: Conn = Conn(1);

/// A server with one session on one connection.
struct Server {
    model: Model,
    identities: Vec<AclId>,
    time_ms: i64,
}

fn encoded(record: &impl Encode) -> Bytes {
    let mut body = BytesMut::new();
    record.encode(&mut body);
    body.freeze()
}

impl Server {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let mut model = Model::new(settings);
        model.open_session(SESSION, Zxid(1));
        model.connect(CONN, "10.0.0.1");
        Self {
            model,
            identities: Vec::new(),
            time_ms: 1000,
        }
    }

    fn next(&self) -> Zxid {
        Zxid(self.model.last_zxid().0 + 1)
    }

    fn write(&mut self, op: OpCode, record: &impl Encode) -> Done {
        let (zxid, body) = (self.next(), encoded(record));
        let asker = Asker {
            session: SESSION,
            identities: &self.identities,
        };
        self.time_ms += 1;
        self.model.write(asker, op, &body, zxid, self.time_ms)
    }

    fn read(&mut self, op: OpCode, record: &impl Encode) -> Done {
        self.model.read(SESSION, CONN, op, &encoded(record))
    }

    fn create(&mut self, path: &str, flags: i32) -> Done {
        let create = create(path, flags, vec![Acl::open()]);
        self.write(OpCode::Create, &create)
    }

    fn delete(&mut self, path: &str) -> Done {
        let path = path.into();
        self.write(OpCode::Delete, &DeleteRequest { path, version: -1 })
    }

    fn set_data(&mut self, path: &str, version: i32) -> Done {
        let set = SetDataRequest {
            path: path.into(),
            data: Some(b"data"[..].into()),
            version,
        };
        self.write(OpCode::SetData, &set)
    }

    fn watch(&mut self, path: &str) -> Answer {
        let (path, watch) = (path.into(), true);
        self.read(OpCode::Exists, &ExistsRequest { path, watch })
            .answer
    }

    fn stat(&mut self, path: &str) -> Stat {
        let (path, watch) = (path.into(), false);
        let answer = self
            .read(OpCode::Exists, &ExistsRequest { path, watch })
            .answer;
        let reply = ExistsResponse::decode(&mut Reader::new(&answer.body));
        reply.expect("the znode is there").stat
    }
}

fn create(path: &str, flags: i32, acl: Vec<Acl>) -> CreateRequest<'_> {
    CreateRequest {
        path: path.into(),
        data: None,
        acl: Some(acl),
        flags,
    }
}

fn name_of(done: &Done) -> String {
    let reply = CreateResponse::decode(&mut Reader::new(&done.answer.body));
    reply.expect("it was created").path.into_owned()
}

fn event(kind: EventType, path: &str) -> Event {
    Event {
        conn: CONN,
        kind,
        path: path.to_owned(),
    }
}

#[test]
fn an_answer_with_an_error_has_no_body() {
    let mut server = Server::new();
    let done = server.delete("/missing");
    assert_eq!(done.answer, Answer::with(ErrorCode::NoNode));
    assert_eq!(
        server.model.last_zxid(),
        Zxid(2),
        "it was logged all the same"
    );
}
