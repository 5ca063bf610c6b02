//! Substitutes for operations that an old server lacks. Their steps travel alone,
//! so that the calls behind them still complete in order.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use zk_proto::record::{
    ClientInfo, Create2Response, CreateRequest, ExistsRequest, ExistsResponse, GetChildrenRequest,
    GetChildrenResponse, GetDataRequest, GetDataResponse, MultiOp, MultiRequest, MultiResponse,
    MultiResult, WhoAmIResponse,
};
use zk_proto::{Decode, DecodeError, DecodeReason, Encode, ErrorCode, OpCode, Reader};

use super::requests::{Request, Requests, fail, record_of};
use super::{AuthInfo, Output};
use crate::error::Error;
use crate::reply::RawReply;

/// What a substitute still has to do.
#[derive(Debug)]
pub(super) enum Step {
    /// create2 as create and exists: the create is on its way.
    Create,
    /// The exists is on its way.
    Stat { path: String },
    /// multiRead as single reads: those to do, first the one on its way, and those done.
    Read {
        left: VecDeque<SingleRead>,
        done: Vec<MultiResult>,
    },
}

impl Step {
    /// Whether what the caller asked for has happened and only its answer is not
    /// complete.
    pub(super) const fn is_applied(&self) -> bool {
        match self {
            Self::Stat { .. } => true,
            Self::Create | Self::Read { .. } => false,
        }
    }
}

/// One read of a multiRead.
#[derive(Debug)]
pub(super) enum SingleRead {
    Data(String),
    Children(String),
}

/// Replaces the first queued request, which the server does not know.
pub(super) fn begin(requests: &mut Requests, auths: &[AuthInfo], outputs: &mut VecDeque<Output>) {
    let Some((request, frame)) = requests.pop_front() else {
        return;
    };
    match request.op {
        OpCode::Create2 => create_instead(request, &record_of(&frame), requests),
        OpCode::MultiRead => read_one_by_one(request, &record_of(&frame), requests, outputs),
        OpCode::WhoAmI => answer(request, &who_am_i(auths), outputs),
        op => fail(
            request,
            Error::Unsupported {
                operation: name(op),
            },
            outputs,
        ),
    }
}

/// The answer to a step; goes on with the next one or answers the caller.
pub(super) fn handle_answer(
    mut request: Request,
    reply: RawReply,
    requests: &mut Requests,
    outputs: &mut VecDeque<Output>,
) {
    let Some(step) = request.step.take() else {
        return;
    };
    match *step {
        Step::Create => stat_next(request, reply, requests, outputs),
        Step::Stat { path } => match reply.err {
            ErrorCode::Ok => match ExistsResponse::decode(&mut Reader::new(&reply.body)) {
                Ok(found) => answer(
                    request,
                    &Create2Response {
                        path: path.into(),
                        stat: found.stat,
                    },
                    outputs,
                ),
                Err(error) => fail(request, Error::BadReply(error), outputs),
            },
            // Created, but already gone again: the outcome is `Applied`.
            _ => fail(request, Error::BadReply(no_stat()), outputs),
        },
        Step::Read { mut left, mut done } => {
            match left.pop_front().map(|read| result_of(&read, &reply)) {
                Some(Ok(result)) => done.push(result),
                Some(Err(error)) => return fail(request, Error::BadReply(error), outputs),
                None => {}
            }
            next_read(request, left, done, requests, outputs);
        }
    }
}

/// create2's record is create's.
fn create_instead(mut request: Request, record: &Bytes, requests: &mut Requests) {
    request.op = OpCode::Create;
    request.step = Some(Box::new(Step::Create));
    match CreateRequest::decode(&mut Reader::new(record)) {
        Ok(create) => requests.push_front(request, &create),
        Err(_) => unreachable!("the client encoded this record itself"),
    }
}

fn stat_next(
    mut request: Request,
    reply: RawReply,
    requests: &mut Requests,
    outputs: &mut VecDeque<Output>,
) {
    if reply.err != ErrorCode::Ok {
        return finish(request, reply, outputs);
    }
    match String::decode(&mut Reader::new(&reply.body)) {
        Ok(path) => {
            request.op = OpCode::Exists;
            let exists = ExistsRequest {
                path: path.clone().into(),
                watch: false,
            };
            request.step = Some(Box::new(Step::Stat { path }));
            requests.push_front(request, &exists);
        }
        Err(error) => fail(request, Error::BadReply(error), outputs),
    }
}

fn read_one_by_one(
    request: Request,
    record: &Bytes,
    requests: &mut Requests,
    outputs: &mut VecDeque<Output>,
) {
    let ops = MultiRequest::decode(&mut Reader::new(record))
        .map(|multi| multi.ops)
        .unwrap_or_default();
    let reads = ops.into_iter().filter_map(|op| match op {
        MultiOp::GetData(get) => Some(SingleRead::Data(get.path.into_owned())),
        MultiOp::GetChildren(get) => Some(SingleRead::Children(get.path.into_owned())),
        _ => None,
    });
    next_read(request, reads.collect(), Vec::new(), requests, outputs);
}

fn next_read(
    mut request: Request,
    left: VecDeque<SingleRead>,
    done: Vec<MultiResult>,
    requests: &mut Requests,
    outputs: &mut VecDeque<Output>,
) {
    let Some(next) = left.front() else {
        return answer(request, &MultiResponse { results: done }, outputs);
    };
    match next {
        SingleRead::Data(path) => {
            request.op = OpCode::GetData;
            let get = GetDataRequest {
                path: path.clone().into(),
                watch: false,
            };
            request.step = Some(Box::new(Step::Read { left, done }));
            requests.push_front(request, &get);
        }
        SingleRead::Children(path) => {
            request.op = OpCode::GetChildren;
            let get = GetChildrenRequest {
                path: path.clone().into(),
                watch: false,
            };
            request.step = Some(Box::new(Step::Read { left, done }));
            requests.push_front(request, &get);
        }
    }
}

fn result_of(read: &SingleRead, reply: &RawReply) -> Result<MultiResult, DecodeError> {
    if reply.err != ErrorCode::Ok {
        return Ok(MultiResult::Error(reply.err));
    }
    let mut reader = Reader::new(&reply.body);
    match read {
        SingleRead::Data(_) => GetDataResponse::decode(&mut reader).map(MultiResult::GetData),
        SingleRead::Children(_) => {
            GetChildrenResponse::decode(&mut reader).map(MultiResult::GetChildren)
        }
    }
}

/// The identities this client has presented; the server would add its address.
fn who_am_i(auths: &[AuthInfo]) -> WhoAmIResponse {
    let user = |auth: &AuthInfo| match auth.scheme.as_str() {
        "digest" => {
            let user = auth
                .auth
                .split(|byte| *byte == b':')
                .next()
                .unwrap_or_default();
            String::from_utf8_lossy(user).into_owned()
        }
        _ => String::new(),
    };
    let client_info = auths
        .iter()
        .map(|auth| ClientInfo {
            auth_scheme: auth.scheme.clone(),
            user: user(auth),
        })
        .collect();
    WhoAmIResponse { client_info }
}

fn answer(request: Request, body: &impl Encode, outputs: &mut VecDeque<Output>) {
    let mut bytes = BytesMut::new();
    body.encode(&mut bytes);
    finish(
        request,
        RawReply {
            err: ErrorCode::Ok,
            body: bytes.freeze(),
        },
        outputs,
    );
}

fn finish(request: Request, reply: RawReply, outputs: &mut VecDeque<Output>) {
    if let Some(slot) = request.slot {
        outputs.push_back(Output::Reply(slot, Ok(reply)));
    }
}

fn no_stat() -> DecodeError {
    DecodeError {
        record: "Create2Response",
        field: "stat",
        reason: DecodeReason::Null,
    }
}

const fn name(op: OpCode) -> &'static str {
    match op {
        OpCode::CreateContainer => "createContainer (needs 3.5.1)",
        OpCode::CreateTtl => "createTTL (needs 3.5.4)",
        OpCode::CheckWatches => "checkWatches (needs 3.5.0)",
        OpCode::RemoveWatches => "removeWatches (needs 3.5.0)",
        OpCode::GetEphemerals => "getEphemerals (needs 3.6.0)",
        OpCode::GetAllChildrenNumber => "getAllChildrenNumber (needs 3.6.0)",
        OpCode::AddWatch => "addWatch (needs 3.6.0)",
        _ => "a recent operation",
    }
}
