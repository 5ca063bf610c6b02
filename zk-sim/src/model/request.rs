//! Bodies as they come, nulls and all, and paths that can be written to.

use std::borrow::Cow;

use bytes::Bytes;
use zk_proto::{Decode, DecodeError, ErrorCode, OpCode, Reader, path};

use super::error::{Refusal, ensure};

/// A string that may be null.
pub(super) type Text<'a> = Option<Cow<'a, str>>;

/// An ACL entry of which anything may be null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawAcl<'a> {
    pub(super) perms: i32,
    pub(super) scheme: Text<'a>,
    pub(super) id: Text<'a>,
}

impl<'a> Decode<'a> for RawAcl<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            perms: Decode::decode(reader)?,
            scheme: Decode::decode(reader)?,
            id: Decode::decode(reader)?,
        })
    }
}

/// One write.
#[derive(Clone, Debug)]
pub(super) enum Write<'a> {
    Create(Create<'a>),
    Delete(Text<'a>, i32),
    SetData(Text<'a>, Option<Bytes>, i32),
    SetAcl(Text<'a>, Option<Vec<RawAcl<'a>>>, i32),
    Check(Text<'a>, i32),
}

#[derive(Clone, Debug)]
pub(super) struct Create<'a> {
    pub(super) op: OpCode,
    pub(super) path: Text<'a>,
    pub(super) data: Option<Bytes>,
    pub(super) acl: Option<Vec<RawAcl<'a>>>,
    pub(super) flags: i32,
    /// −1 where the operation has none.
    pub(super) ttl_ms: i64,
}

impl<'a> Write<'a> {
    /// Refused if `op` is no write, as is what cannot be read.
    pub(super) fn decode(op: OpCode, body: &mut Reader<'a>) -> Result<Self, Refusal> {
        Ok(match op {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                Self::Create(Create::decode(op, body)?)
            }
            OpCode::Delete => Self::Delete(Decode::decode(body)?, Decode::decode(body)?),
            OpCode::SetData => Self::set_data(body)?,
            OpCode::SetAcl => Self::set_acl(body)?,
            OpCode::Check => Self::Check(Decode::decode(body)?, Decode::decode(body)?),
            _ => return Err(ErrorCode::MarshallingError.into()),
        })
    }

    fn set_data(body: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (path, data) = (Decode::decode(body)?, Decode::decode(body)?);
        Ok(Self::SetData(path, data, Decode::decode(body)?))
    }

    fn set_acl(body: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (path, acl) = (Decode::decode(body)?, Decode::decode(body)?);
        Ok(Self::SetAcl(path, acl, Decode::decode(body)?))
    }

    pub(super) fn path(&self) -> &Text<'a> {
        match self {
            Self::Create(create) => &create.path,
            Self::Delete(path, _)
            | Self::SetData(path, _, _)
            | Self::SetAcl(path, _, _)
            | Self::Check(path, _) => path,
        }
    }
}

impl<'a> Create<'a> {
    fn decode(op: OpCode, body: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            op,
            path: Decode::decode(body)?,
            data: Decode::decode(body)?,
            acl: Decode::decode(body)?,
            flags: Decode::decode(body)?,
            ttl_ms: match op {
                OpCode::CreateTtl => Decode::decode(body)?,
                _ => -1,
            },
        })
    }
}

/// A path that cannot even be null.
pub(super) fn present<'p>(path: &'p Text<'_>) -> Result<&'p str, Refusal> {
    path.as_deref().ok_or(Refusal(ErrorCode::MarshallingError))
}

/// A path by all the rules.
pub(super) fn valid<'p>(path: &'p Text<'_>) -> Result<&'p str, Refusal> {
    let path = path.as_deref().unwrap_or_default();
    ensure(path::validate(path).is_ok(), ErrorCode::BadArguments)?;
    Ok(path)
}

/// The path of what create and delete look at first: all before the last slash.
pub(super) fn parent_of(path: &str) -> Result<&str, Refusal> {
    ensure(!path.contains('\0'), ErrorCode::BadArguments)?;
    let slash = path.rfind('/').ok_or(Refusal(ErrorCode::BadArguments))?;
    Ok(super::tree::canonical(&path[..slash]))
}
