//! Answers of an honest server.

use bytes::{Bytes, BytesMut};
use zk_proto::data::open_acl;
use zk_proto::record::*;
use zk_proto::{Decode, Encode, OpCode, Reader, Stat};

/// The record that answers a request for `op`, with any values at all.
pub(crate) fn answer(op: i32, request: &Bytes) -> BytesMut {
    let stat = Stat::default();
    let data = Some(Bytes::from_static(b"data"));
    let names = vec!["b".to_owned(), "c".to_owned()];
    let mut out = BytesMut::new();
    match OpCode::try_from(op) {
        Ok(OpCode::Create) => CreateResponse {
            path: path(request),
        }
        .encode(&mut out),
        Ok(OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl) => {
            let path = path(request);
            Create2Response { path, stat }.encode(&mut out);
        }
        Ok(OpCode::Exists | OpCode::SetData | OpCode::SetAcl) => stat.encode(&mut out),
        Ok(OpCode::GetData | OpCode::Reconfig) => {
            GetDataResponse { data, stat }.encode(&mut out);
        }
        Ok(OpCode::GetAcl) => GetAclResponse {
            acl: open_acl(),
            stat,
        }
        .encode(&mut out),
        Ok(OpCode::GetChildren) => GetChildrenResponse { children: names }.encode(&mut out),
        Ok(OpCode::GetChildren2) => {
            GetChildren2Response {
                children: names,
                stat,
            }
            .encode(&mut out);
        }
        Ok(OpCode::Sync) => SyncResponse {
            path: path(request),
        }
        .encode(&mut out),
        Ok(OpCode::Multi | OpCode::MultiRead) => results(request).encode(&mut out),
        Ok(OpCode::GetEphemerals) => {
            GetEphemeralsResponse { ephemerals: names }.encode(&mut out);
        }
        Ok(OpCode::GetAllChildrenNumber) => {
            GetAllChildrenNumberResponse { total_number: 2 }.encode(&mut out);
        }
        Ok(OpCode::AddWatch) => ErrorResponse { err: 0 }.encode(&mut out),
        Ok(OpCode::WhoAmI) => WhoAmIResponse {
            client_info: Vec::new(),
        }
        .encode(&mut out),
        Ok(
            OpCode::Notification
            | OpCode::Delete
            | OpCode::Ping
            | OpCode::Check
            | OpCode::CheckWatches
            | OpCode::RemoveWatches
            | OpCode::DeleteContainer
            | OpCode::Auth
            | OpCode::SetWatches
            | OpCode::Sasl
            | OpCode::SetWatches2
            | OpCode::CreateSession
            | OpCode::CloseSession
            | OpCode::Error,
        )
        | Err(_) => {}
    }
    out
}

/// The path that a request starts with.
fn path(request: &Bytes) -> std::borrow::Cow<'_, str> {
    Decode::decode(&mut Reader::new(request)).expect("the client's requests are well-formed")
}

fn results(request: &Bytes) -> MultiResponse {
    let request = MultiRequest::decode(&mut Reader::new(request));
    let ops = request.expect("the client's requests are well-formed").ops;
    let stat = Stat::default();
    let result = |op| match op {
        MultiOp::Create(create) => MultiResult::Create(CreateResponse {
            path: create.path.into_owned().into(),
        }),
        MultiOp::Create2(create) | MultiOp::CreateContainer(create) => {
            MultiResult::Create2(Create2Response {
                path: create.path.into_owned().into(),
                stat,
            })
        }
        MultiOp::CreateTtl(create) => MultiResult::Create2(Create2Response {
            path: create.path.into_owned().into(),
            stat,
        }),
        MultiOp::Delete(_) => MultiResult::Delete,
        MultiOp::SetData(_) => MultiResult::SetData(SetDataResponse { stat }),
        MultiOp::Check(_) => MultiResult::Check,
        MultiOp::GetData(_) => MultiResult::GetData(GetDataResponse { data: None, stat }),
        MultiOp::GetChildren(_) => MultiResult::GetChildren(GetChildrenResponse {
            children: Vec::new(),
        }),
    };
    MultiResponse {
        results: ops.into_iter().map(result).collect(),
    }
}
