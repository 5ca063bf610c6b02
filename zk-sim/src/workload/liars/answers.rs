//! What an honest server would say, of a tree in which every path is a znode that holds
//! the truth.

use bytes::{Bytes, BytesMut};
use zk_client::Stat;
use zk_proto::record::{
    CreateRequest, CreateResponse, GetChildrenResponse, GetDataResponse, MultiOp, MultiRequest,
    MultiResponse, MultiResult, SetDataResponse,
};
use zk_proto::{Decode, Encode, ErrorCode, OpCode, Reader, ReplyHeader, RequestHeader, Xid, Zxid};

use super::TRUTH;
use super::wire::{Plain, frame};

/// A request, header taken off.
pub(super) struct Request {
    pub(super) xid: Xid,
    /// `None` for what nobody knows.
    pub(super) op: Option<OpCode>,
    body: Bytes,
}

impl Request {
    /// None for what is no request.
    pub(super) fn read(mut frame: Bytes) -> Option<Self> {
        let mut reader = Reader::new(&frame);
        let header = RequestHeader::decode(&mut reader).ok()?;
        let rest = reader.remaining();
        let body = frame.split_off(frame.len() - rest);
        Some(Self {
            xid: header.xid,
            op: OpCode::try_from(header.op).ok(),
            body,
        })
    }

    /// Whether it has a number of its own, and an answer that may be wrong.
    pub(super) fn is_ordinary(&self) -> bool {
        self.xid.0 > 0 && self.op != Some(OpCode::CloseSession)
    }

    pub(super) fn is_write(&self) -> bool {
        matches!(
            self.op,
            Some(OpCode::Create | OpCode::SetData | OpCode::Multi | OpCode::CloseSession)
        )
    }

    /// The body of the honest answer, or the refusal; data as given.
    pub(super) fn answer(&self, data: &str) -> Result<BytesMut, ErrorCode> {
        let mut out = BytesMut::new();
        match self.op {
            Some(OpCode::GetData) => self.data(data).encode(&mut out),
            Some(OpCode::GetChildren) => GetChildrenResponse {
                children: vec![data.to_owned()],
            }
            .encode(&mut out),
            Some(OpCode::SetData) => SetDataResponse {
                stat: Stat::default(),
            }
            .encode(&mut out),
            Some(OpCode::Create) => {
                let request = CreateRequest::decode(&mut Reader::new(&self.body));
                let path = request.map_err(|_| ErrorCode::MarshallingError)?.path;
                CreateResponse { path }.encode(&mut out);
            }
            Some(OpCode::Multi | OpCode::MultiRead) => self.multi(data)?.encode(&mut out),
            Some(OpCode::Ping | OpCode::Auth | OpCode::SetWatches | OpCode::SetWatches2)
            | Some(OpCode::CloseSession) => {}
            _ => return Err(ErrorCode::Unimplemented),
        }
        Ok(out)
    }

    fn data(&self, data: &str) -> GetDataResponse {
        GetDataResponse {
            data: Some(Bytes::copy_from_slice(data.as_bytes())),
            stat: Stat::default(),
        }
    }

    fn multi(&self, data: &str) -> Result<MultiResponse, ErrorCode> {
        let request = MultiRequest::decode(&mut Reader::new(&self.body));
        let ops = request.map_err(|_| ErrorCode::MarshallingError)?.ops;
        let result = |op: &MultiOp<'_>| match op {
            MultiOp::Check(_) => MultiResult::Check,
            MultiOp::SetData(_) => MultiResult::SetData(SetDataResponse {
                stat: Stat::default(),
            }),
            MultiOp::GetData(_) => MultiResult::GetData(self.data(data)),
            _ => MultiResult::Error(ErrorCode::Unimplemented),
        };
        let results = ops.iter().map(result).collect();
        Ok(MultiResponse { results })
    }

    /// The whole honest reply.
    pub(super) fn reply(&self, zxid: Zxid) -> BytesMut {
        self.reply_as(self.xid, zxid, TRUTH)
    }

    /// A reply under any number, at any zxid, with any data.
    pub(super) fn reply_as(&self, xid: Xid, zxid: Zxid, data: &str) -> BytesMut {
        let (err, body) = match self.answer(data) {
            Ok(body) => (ErrorCode::Ok, body),
            Err(refused) => (refused, BytesMut::new()),
        };
        frame(&(ReplyHeader { xid, zxid, err }, Plain(&body)))
    }

    /// A refusal.
    pub(super) fn refusal(&self, zxid: Zxid, err: ErrorCode) -> BytesMut {
        let xid = self.xid;
        frame(&(ReplyHeader { xid, zxid, err }, ()))
    }

    /// A reply with this body.
    pub(super) fn reply_with(&self, zxid: Zxid, body: &[u8]) -> BytesMut {
        let (xid, err) = (self.xid, ErrorCode::Ok);
        frame(&(ReplyHeader { xid, zxid, err }, Plain(body)))
    }
}
