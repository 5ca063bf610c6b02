//! multi and multiRead as the server reads them (Apache's `MultiOperationRecord`).

use zk_proto::record::MultiHeader;
use zk_proto::{Decode, DecodeError, OpCode, Reader};

use super::request::{Create, CreateOp, PathVersion, PathWatch, SetData, Text};

/// One operation of a multi or multiRead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MultiOp<'a> {
    Write(WriteOp<'a>),
    GetData(Text<'a>),
    GetChildren(Text<'a>),
}

/// An operation that a multi can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WriteOp<'a> {
    Create(Create<'a>),
    Delete(PathVersion<'a>),
    SetData(SetData<'a>),
    Check(PathVersion<'a>),
}

/// Why a multi cannot be read. Clients hear of a marshalling error in both cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MultiError {
    /// Bytes that are no multi, or operations that do not belong into one.
    Malformed,
    /// A create without an ACL, at which Apache's reader fails in a way that costs
    /// no zxid.
    NullAcl,
}

impl From<DecodeError> for MultiError {
    fn from(_: DecodeError) -> Self {
        Self::Malformed
    }
}

impl WriteOp<'_> {
    fn path(&self) -> &Text<'_> {
        match self {
            Self::Create(create) => &create.path,
            Self::Delete(delete) => &delete.path,
            Self::SetData(set) => &set.path,
            Self::Check(check) => &check.path,
        }
    }

    /// Whether there is a path, which no multi does without.
    pub(crate) fn has_path(&self) -> bool {
        self.path().is_some()
    }
}

/// Reads a multi or multiRead: writes or reads, not both.
pub(crate) fn decode_multi<'a>(reader: &mut Reader<'a>) -> Result<Vec<MultiOp<'a>>, MultiError> {
    let mut ops = Vec::new();
    loop {
        let header = MultiHeader::decode(reader)?;
        if header.done {
            return Ok(ops);
        }
        let op = decode_op(header.op, reader)?;
        let is_write = |op: &MultiOp<'_>| matches!(op, MultiOp::Write(_));
        if ops
            .first()
            .is_some_and(|first| is_write(first) != is_write(&op))
        {
            return Err(MultiError::Malformed);
        }
        ops.push(op);
    }
}

fn decode_op<'a>(op: i32, reader: &mut Reader<'a>) -> Result<MultiOp<'a>, MultiError> {
    let op = OpCode::try_from(op).map_err(|_| MultiError::Malformed)?;
    if let Some(op) = CreateOp::of(op) {
        return decode_create(op, reader).map(|create| MultiOp::Write(WriteOp::Create(create)));
    }
    Ok(match op {
        OpCode::Delete => MultiOp::Write(WriteOp::Delete(Decode::decode(reader)?)),
        OpCode::SetData => MultiOp::Write(WriteOp::SetData(Decode::decode(reader)?)),
        OpCode::Check => MultiOp::Write(WriteOp::Check(Decode::decode(reader)?)),
        OpCode::GetData => MultiOp::GetData(PathWatch::decode(reader)?.path),
        OpCode::GetChildren => MultiOp::GetChildren(PathWatch::decode(reader)?.path),
        _ => return Err(MultiError::Malformed),
    })
}

/// Inside a multi the flags decide the kind of create, for the most part: those of
/// a container make a createContainer of any kind, and a createTTL with flags of
/// another kind is a plain create, flags and all.
fn decode_create<'a>(op: CreateOp, reader: &mut Reader<'a>) -> Result<Create<'a>, MultiError> {
    const CONTAINER: i32 = 4;
    const TTL: [i32; 2] = [5, 6];

    let mut create = Create::decode(op, reader)?;
    if op == CreateOp::CreateTtl {
        if !TTL.contains(&create.flags) {
            create.op = CreateOp::Create;
            create.ttl_ms = -1;
        }
    } else {
        if !(0..=6).contains(&create.flags) {
            return Err(MultiError::Malformed);
        }
        if create.acl.is_none() {
            return Err(MultiError::NullAcl);
        }
        if TTL.contains(&create.flags) {
            return Err(MultiError::Malformed);
        }
    }
    if create.flags == CONTAINER {
        create.op = CreateOp::CreateContainer;
    }
    Ok(create)
}
