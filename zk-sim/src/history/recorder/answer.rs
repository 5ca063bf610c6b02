//! From what a caller was told back to the record that the server must have sent.

use bytes::{Bytes, BytesMut};
use zk_client::{Acl, ClientInfo, Error, OpResult, ReadResult, Stat};
use zk_proto::record::{
    Create2Response, CreateResponse, ErrorResponse, ExistsResponse, GetAclResponse,
    GetAllChildrenNumberResponse, GetChildren2Response, GetChildrenResponse, GetDataResponse,
    GetEphemeralsResponse, MultiResponse, MultiResult, SetAclResponse, SetDataResponse,
    SyncResponse, WhoAmIResponse,
};
use zk_proto::{Chroot, Encode, ErrorCode};

use crate::history::Outcome;

/// What was asked, as far as it shows in the answer.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// As the server has it.
    pub(super) path: String,
    pub(super) chroot: Chroot,
    /// Operations of a multi.
    pub(super) ops: usize,
}

impl About {
    fn on_server(&self, path: &str) -> String {
        self.chroot.to_server(path).into_owned()
    }
}

pub(super) fn outcome<T>(
    result: &Result<T, Error>,
    about: &About,
    answer: fn(&T, &About) -> Outcome,
) -> Outcome {
    let error = match result {
        Ok(value) => return answer(value, about),
        Err(error) => error,
    };
    match error {
        Error::Server { code, .. } => Outcome::Refused(*code),
        Error::Transaction { index, code, .. } => refused_multi(*index, *code, about.ops),
        _ => match error.outcome() {
            zk_client::Outcome::Applied => Outcome::Applied(error.to_string()),
            zk_client::Outcome::NotApplied => Outcome::NotApplied(error.to_string()),
            zk_client::Outcome::Unknown => Outcome::Unknown(error.to_string()),
        },
    }
}

/// A multi is refused in the body of a good reply: `Ok` before the operation that
/// failed, `RuntimeInconsistency` behind it.
fn refused_multi(failed: usize, code: ErrorCode, ops: usize) -> Outcome {
    let result = |index| {
        MultiResult::Error(match index {
            before if before < failed => ErrorCode::Ok,
            same if same == failed => code,
            _ => ErrorCode::RuntimeInconsistency,
        })
    };
    let results = (0..ops).map(result).collect();
    encoded(&MultiResponse { results })
}

fn encoded(record: &impl Encode) -> Outcome {
    let mut body = BytesMut::new();
    record.encode(&mut body);
    Outcome::Answer(body.freeze())
}

pub(super) const fn empty(_: &(), _: &About) -> Outcome {
    Outcome::Answer(Bytes::new())
}

pub(super) fn synced(_: &(), about: &About) -> Outcome {
    let path = about.path.as_str().into();
    encoded(&SyncResponse { path })
}

/// addWatch is answered with an error code, of all things.
pub(super) fn watch_added(_: &(), _: &About) -> Outcome {
    encoded(&ErrorResponse { err: 0 })
}

pub(super) fn created(path: &String, about: &About) -> Outcome {
    let path = about.on_server(path).into();
    encoded(&CreateResponse { path })
}

pub(super) fn created2((path, stat): &(String, Stat), about: &About) -> Outcome {
    let path = about.on_server(path).into();
    encoded(&Create2Response { path, stat: *stat })
}

pub(super) fn data_set(stat: &Stat, _: &About) -> Outcome {
    encoded(&SetDataResponse { stat: *stat })
}

pub(super) fn acl_set(stat: &Stat, _: &About) -> Outcome {
    encoded(&SetAclResponse { stat: *stat })
}

pub(super) fn found(stat: &Option<Stat>, _: &About) -> Outcome {
    match *stat {
        Some(stat) => encoded(&ExistsResponse { stat }),
        None => Outcome::Refused(ErrorCode::NoNode),
    }
}

/// Null data is told as empty; no client of a run writes null.
pub(super) fn data((data, stat): &(Bytes, Stat), _: &About) -> Outcome {
    let (data, stat) = (Some(data.clone()), *stat);
    encoded(&GetDataResponse { data, stat })
}

pub(super) fn children(children: &Vec<String>, _: &About) -> Outcome {
    let children = children.clone();
    encoded(&GetChildrenResponse { children })
}

pub(super) fn children2((children, stat): &(Vec<String>, Stat), _: &About) -> Outcome {
    let (children, stat) = (children.clone(), *stat);
    encoded(&GetChildren2Response { children, stat })
}

pub(super) fn number(total: &i32, _: &About) -> Outcome {
    let total_number = *total;
    encoded(&GetAllChildrenNumberResponse { total_number })
}

pub(super) fn ephemerals(paths: &Vec<String>, about: &About) -> Outcome {
    let ephemerals = paths.iter().map(|path| about.on_server(path)).collect();
    encoded(&GetEphemeralsResponse { ephemerals })
}

pub(super) fn acl((acl, stat): &(Vec<Acl>, Stat), _: &About) -> Outcome {
    let (acl, stat) = (acl.clone(), *stat);
    encoded(&GetAclResponse { acl, stat })
}

pub(super) fn identities(known: &Vec<ClientInfo>, _: &About) -> Outcome {
    let client_info = known.clone();
    encoded(&WhoAmIResponse { client_info })
}

pub(super) fn committed(results: &Vec<OpResult>, about: &About) -> Outcome {
    let result = |result: &OpResult| match result {
        OpResult::Check => MultiResult::Check,
        OpResult::Delete => MultiResult::Delete,
        OpResult::SetData(stat) => MultiResult::SetData(SetDataResponse { stat: *stat }),
        OpResult::Create(path) | OpResult::Create2(path, None) => {
            let path = about.on_server(path).into();
            MultiResult::Create(CreateResponse { path })
        }
        OpResult::Create2(path, Some(stat)) => {
            let (path, stat) = (about.on_server(path).into(), *stat);
            MultiResult::Create2(Create2Response { path, stat })
        }
    };
    let results = results.iter().map(result).collect();
    encoded(&MultiResponse { results })
}

pub(super) fn read(results: &Vec<ReadResult>, _: &About) -> Outcome {
    let result = |result: &ReadResult| match result {
        ReadResult::Data(data, stat) => MultiResult::GetData(GetDataResponse {
            data: Some(data.clone()),
            stat: *stat,
        }),
        ReadResult::Children(children) => MultiResult::GetChildren(GetChildrenResponse {
            children: children.clone(),
        }),
        ReadResult::Error(code) => MultiResult::Error(*code),
    };
    let results = results.iter().map(result).collect();
    encoded(&MultiResponse { results })
}
