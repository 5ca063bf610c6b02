//! Request bodies as the server reads them. They differ from `zk_proto::record` in
//! that texts may be null: what a null is answered with depends on the operation.

use std::borrow::Cow;

use zk_proto::{Decode, DecodeError, OpCode, Reader, Zxid};

use crate::auth::RawAcl;

/// A text that may be null.
pub(crate) type Text<'a> = Option<Cow<'a, str>>;
/// A list of texts; the list and each of them may be null.
pub(crate) type Texts<'a> = Option<Vec<Text<'a>>>;

/// The kinds of create; which one decides flags, and what the reply holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CreateOp {
    Create,
    Create2,
    CreateContainer,
    CreateTtl,
}

impl CreateOp {
    /// The kind that an operation is, if it is a create.
    pub(crate) const fn of(op: OpCode) -> Option<Self> {
        match op {
            OpCode::Create => Some(Self::Create),
            OpCode::Create2 => Some(Self::Create2),
            OpCode::CreateContainer => Some(Self::CreateContainer),
            OpCode::CreateTtl => Some(Self::CreateTtl),
            _ => None,
        }
    }
}

/// create, create2, createContainer, createTTL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Create<'a> {
    pub(crate) op: CreateOp,
    pub(crate) path: Text<'a>,
    pub(crate) data: Option<Cow<'a, [u8]>>,
    pub(crate) acl: Option<Vec<RawAcl<'a>>>,
    pub(crate) flags: i32,
    /// −1 for the operations that have none.
    pub(crate) ttl_ms: i64,
}

impl<'a> Create<'a> {
    /// Whether the flags ask for an ephemeral, of an operation that creates some.
    pub(crate) const fn is_ephemeral(&self) -> bool {
        matches!(self.op, CreateOp::Create | CreateOp::Create2) && matches!(self.flags, 1 | 3)
    }

    /// Reads the body of `op`.
    pub(crate) fn decode(op: CreateOp, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            op,
            path: Decode::decode(reader)?,
            data: Decode::decode(reader)?,
            acl: Decode::decode(reader)?,
            flags: Decode::decode(reader)?,
            ttl_ms: if op == CreateOp::CreateTtl {
                Decode::decode(reader)?
            } else {
                -1
            },
        })
    }
}

macro_rules! body {
    ($(#[$doc:meta])* $name:ident<$lt:lifetime> { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct $name<$lt> {
            $(pub(crate) $field: $type),*
        }

        impl<$lt> Decode<$lt> for $name<$lt> {
            fn decode(reader: &mut Reader<$lt>) -> Result<Self, DecodeError> {
                Ok(Self {
                    $($field: Decode::decode(reader)
                        .map_err(|error| error.within(stringify!($name), stringify!($field)))?),*
                })
            }
        }
    };
}

body! {
    /// delete and check.
    PathVersion<'a> { path: Text<'a>, version: i32 }
}

body! {
    /// setData.
    SetData<'a> { path: Text<'a>, data: Option<Cow<'a, [u8]>>, version: i32 }
}

body! {
    /// setACL.
    SetAcl<'a> { path: Text<'a>, acl: Option<Vec<RawAcl<'a>>>, version: i32 }
}

body! {
    /// reconfig; nothing of it is used by a server without peers.
    Reconfig<'a> {
        joining_servers: Text<'a>,
        leaving_servers: Text<'a>,
        new_members: Text<'a>,
        config_id: i64,
    }
}

body! {
    /// exists, getData, getChildren, getChildren2.
    PathWatch<'a> { path: Text<'a>, watch: bool }
}

body! {
    /// addWatch, with a mode, and checkWatches and removeWatches, with a type.
    PathNumber<'a> { path: Text<'a>, number: i32 }
}

body! {
    /// setWatches, and the beginning of setWatches2.
    SetWatches<'a> {
        relative_zxid: Zxid,
        data: Texts<'a>,
        exist: Texts<'a>,
        child: Texts<'a>,
    }
}

body! {
    /// What setWatches2 has more.
    PersistentWatches<'a> { persistent: Texts<'a>, recursive: Texts<'a> }
}
