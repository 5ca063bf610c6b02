//! multi and multiRead: several operations in one request.

use std::borrow::Cow;

use bytes::BytesMut;

use super::{
    CheckVersionRequest, Create2Response, CreateRequest, CreateResponse, CreateTtlRequest,
    DeleteRequest, ErrorResponse, GetChildrenRequest, GetChildrenResponse, GetDataRequest,
    GetDataResponse, MultiHeader, SetDataRequest, SetDataResponse,
};
use crate::error_code::ErrorCode;
use crate::jute::{Decode, DecodeError, DecodeReason, Encode, Reader};
use crate::op_code::OpCode;

/// multi and multiRead. An empty one is legal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultiRequest<'a> {
    /// The operations, in order. Writes and reads do not mix: the server refuses
    /// the whole request.
    pub ops: Vec<MultiOp<'a>>,
}

/// One operation of a multi or multiRead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultiOp<'a> {
    /// Create; the result is the path.
    Create(CreateRequest<'a>),
    /// Create; the result is path and `Stat`.
    Create2(CreateRequest<'a>),
    /// Create a container; the result is that of create2.
    CreateContainer(CreateRequest<'a>),
    /// Create with a time to live; the result is that of create2.
    CreateTtl(CreateTtlRequest<'a>),
    /// Delete.
    Delete(DeleteRequest<'a>),
    /// Set data; the result is a `Stat`.
    SetData(SetDataRequest<'a>),
    /// Check a version.
    Check(CheckVersionRequest<'a>),
    /// Read data (multiRead); the watch flag is ignored.
    GetData(GetDataRequest<'a>),
    /// List children (multiRead); the watch flag is ignored.
    GetChildren(GetChildrenRequest<'a>),
}

/// Answers multi and multiRead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultiResponse {
    /// One result per operation, in order. Of a multi that failed all are errors.
    pub results: Vec<MultiResult>,
}

/// The result of one operation. Its kind, not the request's, says what it holds:
/// before 3.7.2, 3.8.2 and 3.9.0 a create2 was answered as a create (ZOOKEEPER-4026).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultiResult {
    /// Created, by a create.
    Create(CreateResponse<'static>),
    /// Created, by one of the others.
    Create2(Create2Response<'static>),
    /// Deleted.
    Delete,
    /// Data set.
    SetData(SetDataResponse),
    /// Version as expected.
    Check,
    /// Data read.
    GetData(GetDataResponse),
    /// Children listed.
    GetChildren(GetChildrenResponse),
    /// Failed: its own code; in a multi `Ok` for the operations before the one
    /// that failed and `RuntimeInconsistency` for those after.
    Error(ErrorCode),
}

impl MultiOp<'_> {
    /// The operation's code.
    pub const fn op_code(&self) -> OpCode {
        match self {
            Self::Create(_) => OpCode::Create,
            Self::Create2(_) => OpCode::Create2,
            Self::CreateContainer(_) => OpCode::CreateContainer,
            Self::CreateTtl(_) => OpCode::CreateTtl,
            Self::Delete(_) => OpCode::Delete,
            Self::SetData(_) => OpCode::SetData,
            Self::Check(_) => OpCode::Check,
            Self::GetData(_) => OpCode::GetData,
            Self::GetChildren(_) => OpCode::GetChildren,
        }
    }

    /// Whether it belongs into a multiRead.
    pub const fn is_read(&self) -> bool {
        matches!(self, Self::GetData(_) | Self::GetChildren(_))
    }
}

impl Encode for MultiOp<'_> {
    fn encode(&self, out: &mut BytesMut) {
        MultiHeader {
            op: self.op_code().into(),
            done: false,
            err: -1,
        }
        .encode(out);
        match self {
            Self::Create(create) | Self::Create2(create) | Self::CreateContainer(create) => {
                create.encode(out)
            }
            Self::CreateTtl(create) => create.encode(out),
            Self::Delete(delete) => delete.encode(out),
            Self::SetData(set) => set.encode(out),
            Self::Check(check) => check.encode(out),
            Self::GetData(get) => get.encode(out),
            Self::GetChildren(get) => get.encode(out),
        }
    }
}

impl<'a> MultiOp<'a> {
    fn decode(op: i32, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(match OpCode::try_from(op) {
            Ok(OpCode::Create) => Self::Create(Decode::decode(reader)?),
            Ok(OpCode::Create2) => Self::Create2(Decode::decode(reader)?),
            Ok(OpCode::CreateContainer) => Self::CreateContainer(Decode::decode(reader)?),
            Ok(OpCode::CreateTtl) => Self::CreateTtl(Decode::decode(reader)?),
            Ok(OpCode::Delete) => Self::Delete(Decode::decode(reader)?),
            Ok(OpCode::SetData) => Self::SetData(Decode::decode(reader)?),
            Ok(OpCode::Check) => Self::Check(Decode::decode(reader)?),
            Ok(OpCode::GetData) => Self::GetData(Decode::decode(reader)?),
            Ok(OpCode::GetChildren) => Self::GetChildren(Decode::decode(reader)?),
            Ok(_) | Err(_) => return Err(unknown("MultiRequest", op)),
        })
    }
}

/// Results outlive the frame they came in.
fn owned(path: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(path.into_owned())
}

fn unknown(record: &'static str, op: i32) -> DecodeError {
    DecodeError::new(DecodeReason::UnknownValue(op.into())).within(record, "op")
}

impl Encode for MultiRequest<'_> {
    fn encode(&self, out: &mut BytesMut) {
        for op in &self.ops {
            op.encode(out);
        }
        MultiHeader::END.encode(out);
    }
}

impl<'a> Decode<'a> for MultiRequest<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut ops = Vec::new();
        loop {
            let header = MultiHeader::decode(reader)?;
            if header.done {
                return Ok(Self { ops });
            }
            ops.push(MultiOp::decode(header.op, reader)?);
        }
    }
}

impl MultiResult {
    fn header(&self) -> MultiHeader {
        let ok = |op: OpCode| MultiHeader {
            op: op.into(),
            done: false,
            err: 0,
        };
        match self {
            Self::Create(_) => ok(OpCode::Create),
            Self::Create2(_) => ok(OpCode::Create2),
            Self::Delete => ok(OpCode::Delete),
            Self::SetData(_) => ok(OpCode::SetData),
            Self::Check => ok(OpCode::Check),
            Self::GetData(_) => ok(OpCode::GetData),
            Self::GetChildren(_) => ok(OpCode::GetChildren),
            Self::Error(error) => MultiHeader {
                op: OpCode::Error.into(),
                done: false,
                err: error.code(),
            },
        }
    }

    fn decode(op: i32, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match OpCode::try_from(op) {
            Ok(OpCode::Create) => {
                let CreateResponse { path } = Decode::decode(reader)?;
                Self::Create(CreateResponse { path: owned(path) })
            }
            Ok(OpCode::Create2) => {
                let Create2Response { path, stat } = Decode::decode(reader)?;
                let path = owned(path);
                Self::Create2(Create2Response { path, stat })
            }
            Ok(OpCode::Delete) => Self::Delete,
            Ok(OpCode::SetData) => Self::SetData(Decode::decode(reader)?),
            Ok(OpCode::Check) => Self::Check,
            Ok(OpCode::GetData) => Self::GetData(Decode::decode(reader)?),
            Ok(OpCode::GetChildren) => Self::GetChildren(Decode::decode(reader)?),
            Ok(OpCode::Error) => Self::Error(ErrorResponse::decode(reader)?.err.into()),
            Ok(_) | Err(_) => return Err(unknown("MultiResponse", op)),
        })
    }
}

impl Encode for MultiResult {
    fn encode(&self, out: &mut BytesMut) {
        self.header().encode(out);
        match self {
            Self::Create(created) => created.encode(out),
            Self::Create2(created) => created.encode(out),
            Self::Delete | Self::Check => {}
            Self::SetData(set) => set.encode(out),
            Self::GetData(data) => data.encode(out),
            Self::GetChildren(children) => children.encode(out),
            Self::Error(error) => error.encode(out),
        }
    }
}

impl Encode for MultiResponse {
    fn encode(&self, out: &mut BytesMut) {
        for result in &self.results {
            result.encode(out);
        }
        MultiHeader::END.encode(out);
    }
}

impl<'a> Decode<'a> for MultiResponse {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut results = Vec::new();
        loop {
            let header = MultiHeader::decode(reader)?;
            if header.done {
                return Ok(Self { results });
            }
            results.push(MultiResult::decode(header.op, reader)?);
        }
    }
}
