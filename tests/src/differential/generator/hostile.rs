//! What no client should send.

use bytes::{BufMut, BytesMut};
use zk_proto::data::open_acl;
use zk_proto::record::{CreateRequest, Credential, GetSaslRequest, MultiOp};
use zk_proto::{CreateMode, DEFAULT_FRAME_LIMIT, Decode, Encode, OpCode, Reader, Zxid};

use super::super::op::{Op, Ordinal, Request};
use super::{Generator, View, multis};

/// Numbers that are no operation a client may ask for.
const NO_OPERATIONS: [i32; 10] = [0, 10, 23, 99, 108, 1_000, -1, -5, i32::MAX, i32::MIN];

/// Operations whose body starts with a path.
const WITH_PATH: [OpCode; 15] = [
    OpCode::Create,
    OpCode::Create2,
    OpCode::Delete,
    OpCode::Exists,
    OpCode::GetData,
    OpCode::SetData,
    OpCode::GetAcl,
    OpCode::SetAcl,
    OpCode::GetChildren,
    OpCode::GetChildren2,
    OpCode::Sync,
    OpCode::GetAllChildrenNumber,
    OpCode::AddWatch,
    OpCode::CheckWatches,
    OpCode::RemoveWatches,
];

/// Text that is not UTF-8.
const NOT_TEXT: [&[u8]; 5] = [
    b"/\xff",
    b"/a\xc3",
    b"/\xed\xa0\x80",
    b"/\xf0\x9f\x98",
    b"/\xc0\x80",
];

/// An auth packet without a scheme.
const NULL_SCHEME: &[u8] = &[0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0];

impl Generator {
    /// A body that is not its operation's, which the connection survives.
    pub(super) fn malformed(&mut self, view: &View<'_>) -> Request {
        match self.dice.below(20) {
            0..5 => self.cut_short(view),
            5..11 => self.altered(view),
            11..13 => self.with_length(-1),
            13..15 => {
                let len = *self.dice.pick(&[-2, i32::MIN, 1 << 20, i32::MAX]);
                self.with_length(len)
            }
            15 => self.with_path_bytes(),
            16 => self.odd_multi(view),
            17 => self.multi_without_path(),
            _ => self.odd_lists(),
        }
    }

    /// A good body with another number somewhere, of an operation that cannot do
    /// what the model would have to know.
    fn altered(&mut self, view: &View<'_>) -> Request {
        let request = self.plain_request(view);
        let mut body = BytesMut::new();
        request.encode_body(&|_| Zxid::ZERO, &mut body);
        if !is_alterable(&request) || body.len() < 4 {
            return request;
        }
        let at = self.dice.below(body.len() - 3);
        let number = *self
            .dice
            .pick(&[-1, -2, 0, 1, 2, 5, 1 << 20, i32::MAX, i32::MIN]);
        body[at..at + 4].copy_from_slice(&number.to_be_bytes());
        let altered = raw(request.op(), body);
        if let Request::Create(_) | Request::Create2(_) = request {
            return Self::known_create(request, altered);
        }
        altered
    }

    /// An altered create that still is one goes as what it has become, so that
    /// the model knows of it, unless its flags are others now.
    fn known_create(original: Request, altered: Request) -> Request {
        let (Request::Create(before) | Request::Create2(before), Request::Raw { body, .. }) =
            (&original, &altered)
        else {
            return original;
        };
        match CreateRequest::decode(&mut Reader::new(body)) {
            Err(_) => altered,
            Ok(after) if after.flags != before.flags => original,
            Ok(after) => Request::Create2(CreateRequest {
                path: after.path.into_owned().into(),
                data: after.data.map(|data| data.into_owned().into()),
                acl: after.acl,
                flags: after.flags,
            }),
        }
    }

    /// A good body that ends too early.
    fn cut_short(&mut self, view: &View<'_>) -> Request {
        let request = self.plain_request(view);
        let mut body = BytesMut::new();
        request.encode_body(&|_| Zxid::ZERO, &mut body);
        if body.is_empty() {
            return request;
        }
        let len = self.dice.below(body.len());
        raw(request.op(), body.split_to(len))
    }

    /// A path of this length, and not enough bytes for it if it is positive.
    fn with_length(&mut self, len: i32) -> Request {
        let mut body = BytesMut::new();
        body.put_i32(len);
        body.put_bytes(0, 40);
        raw((*self.dice.pick(&WITH_PATH)).into(), body)
    }

    fn with_path_bytes(&mut self) -> Request {
        let mut body = BytesMut::new();
        let path = *self.dice.pick(&NOT_TEXT);
        body.put_i32(path.len() as i32);
        body.put_slice(path);
        // Null data, no ACL, version or flags 0: whatever comes next.
        body.put_bytes(0, 40);
        raw((*self.dice.pick(&WITH_PATH)).into(), body)
    }

    /// A multi with an operation that does not belong there, or a broken header.
    fn odd_multi(&mut self, view: &View<'_>) -> Request {
        let mut body = BytesMut::new();
        let inner = self.plain_request(view);
        let op = *self.dice.pick(&[3, 7, 9, 14, 16, 99, -11, -1, 0]);
        multi_header(&mut body, op, false);
        inner.encode_body(&|_| Zxid::ZERO, &mut body);
        if self.dice.percent(50) {
            multi_header(&mut body, -1, true);
        }
        let code = *self.dice.pick(&[OpCode::Multi, OpCode::MultiRead]);
        raw(code.into(), body)
    }

    /// A multi of an operation whose path is null, between two good ones.
    fn multi_without_path(&mut self) -> Request {
        let mut body = BytesMut::new();
        let good = MultiOp::Create(multis::open(
            &self.pooled(),
            CreateMode::PersistentSequential,
        ));
        good.encode(&mut body);
        let op = *self.dice.pick(&[
            OpCode::Create,
            OpCode::Create2,
            OpCode::Delete,
            OpCode::SetData,
            OpCode::Check,
            OpCode::GetData,
            OpCode::GetChildren,
        ]);
        multi_header(&mut body, op.into(), false);
        body.put_i32(-1);
        match op {
            OpCode::Delete | OpCode::Check => body.put_i32(-1),
            OpCode::SetData => body.put_bytes(0, 8),
            OpCode::GetData | OpCode::GetChildren => body.put_u8(0),
            // Null data, an open ACL, flags.
            _ => {
                body.put_i32(-1);
                open_acl().encode(&mut body);
                body.put_i32(0);
            }
        }
        if self.dice.percent(50) {
            good.encode(&mut body);
        }
        multi_header(&mut body, -1, true);
        raw(OpCode::Multi.into(), body)
    }

    /// setWatches with lists that are null, of negative length, or too long.
    fn odd_lists(&mut self) -> Request {
        let mut body = BytesMut::new();
        body.put_i64(0);
        for _ in 0..5 {
            body.put_i32(*self.dice.pick(&[-1, -5, 0, 0, 0, i32::MAX]));
        }
        let code = *self.dice.pick(&[OpCode::SetWatches, OpCode::SetWatches2]);
        raw(code.into(), body)
    }

    /// A request that costs the connection.
    pub(super) fn fatal(&mut self, view: &View<'_>) -> Request {
        match self.dice.below(5) {
            0 => Request::Check(self.check(view)),
            1 => Request::Auth(self.refused_credentials()),
            2 => Request::Sasl(GetSaslRequest {
                token: Credential(None),
            }),
            3 => {
                let code = *self.dice.pick(&[OpCode::Auth, OpCode::Sasl]);
                let body = *self.dice.pick(&[&[0, 0][..], NULL_SCHEME]);
                raw(code.into(), BytesMut::from(body))
            }
            _ => raw(
                *self.dice.pick(&NO_OPERATIONS),
                BytesMut::from(self.invalid()),
            ),
        }
    }

    pub(super) fn hostile(&mut self, view: &View<'_>) -> Op {
        let Some(session) = self.expendable(view) else {
            return self.intrusion();
        };
        match self.dice.below(10) {
            0..3 => self.intrusion(),
            3..5 => self.garbled(session),
            5 => at_the_limit(session),
            _ => Op::Request(session, self.fatal(view)),
        }
    }

    /// A first frame that no server can take for a ConnectRequest.
    fn intrusion(&mut self) -> Op {
        let len = *self.dice.pick(&[0, 1, 8, 27, 28]);
        Op::Intrude(self.dice.bytes(len).into())
    }

    /// Frames that end a connection: too short, negative, too long.
    fn garbled(&mut self, session: Ordinal) -> Op {
        let mut bytes = BytesMut::new();
        match self.dice.below(4) {
            0 => bytes.put_i32(0),
            1 => {
                bytes.put_i32(7);
                bytes.put_bytes(0, 7);
            }
            2 => bytes.put_i32(-1),
            _ => bytes.put_i32(DEFAULT_FRAME_LIMIT as i32 + 1),
        }
        Op::Garble(session, bytes.freeze())
    }
}

/// The largest frame that is legal: a setData that does not find its znode.
fn at_the_limit(session: Ordinal) -> Op {
    const HEADER: usize = 8;
    const PATH: &[u8] = b"/missing";
    let room = DEFAULT_FRAME_LIMIT - HEADER - 4 - PATH.len() - 4 - 4;
    let mut body = BytesMut::new();
    body.put_i32(PATH.len() as i32);
    body.put_slice(PATH);
    body.put_i32(room as i32);
    body.put_bytes(b'x', room);
    body.put_i32(-1);
    Op::Request(session, raw(OpCode::SetData.into(), body))
}

/// Reads, and writes that leave the tree's shape as it is; of quotas nothing.
fn is_alterable(request: &Request) -> bool {
    const QUOTA: &str = "zookeeper_";
    match request {
        Request::Create(it) | Request::Create2(it) => !it.path.contains(QUOTA),
        Request::SetData(it) => !it.path.contains(QUOTA),
        Request::SetAcl(_)
        | Request::Exists(_)
        | Request::GetData(_)
        | Request::GetAcl(_)
        | Request::GetChildren(_)
        | Request::GetChildren2(_)
        | Request::GetAllChildrenNumber(_)
        | Request::GetEphemerals(_)
        | Request::Sync(_)
        | Request::MultiRead(_)
        | Request::Reconfig(_)
        | Request::AddWatch(_)
        | Request::CheckWatches(_)
        | Request::RemoveWatches(_)
        | Request::SetWatches(..)
        | Request::SetWatches2(..) => true,
        Request::CreateContainer(_)
        | Request::CreateTtl(_)
        | Request::Delete(_)
        | Request::Multi(_)
        | Request::Check(_)
        | Request::Auth(_)
        | Request::Sasl(_)
        | Request::WhoAmI
        | Request::Ping
        | Request::CloseSession
        | Request::Raw { .. }
        | Request::Padded(_)
        | Request::Numbered(..) => false,
    }
}

fn raw(op: i32, body: BytesMut) -> Request {
    Request::Raw {
        op,
        body: body.freeze(),
    }
}

fn multi_header(out: &mut BytesMut, op: i32, done: bool) {
    out.put_i32(op);
    out.put_u8(u8::from(done));
    out.put_i32(-1);
}
