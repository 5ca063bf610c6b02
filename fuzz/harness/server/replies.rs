//! What the reply to an operation looks like.

use std::borrow::Cow;

use zk_proto::record::*;
use zk_proto::{Decode, ErrorCode, OpCode, Reader, ReplyHeader};

/// The body is the operation's record, or missing.
pub(crate) fn check(op: i32, header: &ReplyHeader, body: &mut Reader<'_>) {
    let op = OpCode::try_from(op);
    if header.err != ErrorCode::Ok {
        // Of a multiRead that turns out to make no sense Apache sends what it has
        // read by then.
        if op == Ok(OpCode::MultiRead) && body.remaining() > 0 {
            MultiResponse::decode(body).expect("a list of results");
        }
        return; // whoever called finds bytes that are left
    }
    let Ok(op) = op else {
        panic!("operation {op:?} succeeds");
    };
    macro_rules! body {
        ($record:ident) => {
            drop($record::decode(body).unwrap_or_else(|error| panic!("{op:?}: {error}")))
        };
    }
    match op {
        OpCode::Create => body!(CreateResponse),
        OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => body!(Create2Response),
        OpCode::Exists => body!(ExistsResponse),
        OpCode::GetData | OpCode::Reconfig => body!(GetDataResponse),
        OpCode::SetData => body!(SetDataResponse),
        OpCode::GetAcl => body!(GetAclResponse),
        OpCode::SetAcl => body!(SetAclResponse),
        OpCode::GetChildren => body!(GetChildrenResponse),
        OpCode::GetChildren2 => body!(GetChildren2Response),
        OpCode::Sync => {
            // Any text comes back, and so does null.
            Option::<Cow<'_, str>>::decode(body).expect("an echo");
        }
        OpCode::Multi | OpCode::MultiRead => body!(MultiResponse),
        OpCode::Sasl => body!(SetSaslResponse),
        OpCode::GetEphemerals => body!(GetEphemeralsResponse),
        OpCode::GetAllChildrenNumber => body!(GetAllChildrenNumberResponse),
        OpCode::AddWatch => body!(ErrorResponse),
        OpCode::WhoAmI => body!(WhoAmIResponse),
        OpCode::Delete
        | OpCode::Ping
        | OpCode::CheckWatches
        | OpCode::RemoveWatches
        | OpCode::Auth
        | OpCode::SetWatches
        | OpCode::SetWatches2
        | OpCode::CloseSession => {}
        OpCode::Notification
        | OpCode::Check
        | OpCode::DeleteContainer
        | OpCode::CreateSession
        | OpCode::Error => panic!("{op:?} succeeds"),
    }
}
