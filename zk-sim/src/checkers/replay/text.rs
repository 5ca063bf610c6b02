//! Replay's findings in words.

use std::fmt;

use bytes::Bytes;
use zk_proto::record::{
    Create2Response, CreateResponse, ExistsResponse, GetAclResponse, GetAllChildrenNumberResponse,
    GetChildren2Response, GetChildrenResponse, GetDataResponse, GetEphemeralsResponse,
    MultiResponse, SetDataResponse, WhoAmIResponse,
};
use zk_proto::{Decode, ErrorCode, OpCode, Reader};

use super::line::{Line, Request};

impl Line<'_> {
    /// Which request of which session on which connection.
    pub(super) fn describe(&self, request: usize) -> String {
        match self.requests.get(request) {
            Some(request) => format!("{request} {self}"),
            None => format!("request {request} {self}"),
        }
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (session, wire) = (self.session, self.wire);
        write!(
            f,
            "of session {session} on connection {} from {}",
            wire.id.0, wire.from
        )
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.op() {
            Some(op) => write!(f, "{op:?}")?,
            None => write!(f, "operation {}", self.code)?,
        }
        if let Some(path) = self.path() {
            write!(f, "({path})")?;
        }
        write!(f, ", xid {},", self.xid.0)
    }
}

/// A reply's error and body, as readable as it gets.
pub(super) fn show(op: Option<OpCode>, err: ErrorCode, body: &Bytes) -> String {
    let record = op
        .and_then(|op| record(op, body))
        .unwrap_or_else(|| match body.len() {
            0 => String::new(),
            _ => format!("{body:?}"),
        });
    format!("{err} {record}").trim_end().to_owned()
}

fn record(op: OpCode, body: &Bytes) -> Option<String> {
    match op {
        OpCode::Create => debug::<CreateResponse<'_>>(body),
        OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
            debug::<Create2Response<'_>>(body)
        }
        OpCode::Exists => debug::<ExistsResponse>(body),
        OpCode::SetData | OpCode::SetAcl => debug::<SetDataResponse>(body),
        OpCode::GetData => debug::<GetDataResponse>(body),
        OpCode::GetAcl => debug::<GetAclResponse>(body),
        OpCode::GetChildren => debug::<GetChildrenResponse>(body),
        OpCode::GetChildren2 => debug::<GetChildren2Response>(body),
        OpCode::GetEphemerals => debug::<GetEphemeralsResponse>(body),
        OpCode::GetAllChildrenNumber => debug::<GetAllChildrenNumberResponse>(body),
        OpCode::WhoAmI => debug::<WhoAmIResponse>(body),
        OpCode::Multi | OpCode::MultiRead => debug::<MultiResponse>(body),
        _ => None,
    }
}

fn debug<'b, T: Decode<'b> + fmt::Debug>(body: &'b Bytes) -> Option<String> {
    let record = T::decode(&mut Reader::new(body)).ok()?;
    Some(format!("{record:?}"))
}
