//! Several writes as one, or several reads in one request.

use zk_proto::record::{
    Create2Response, CreateResponse, GetChildrenResponse, GetDataResponse, MultiHeader,
    MultiResponse, MultiResult, SetDataResponse,
};
use zk_proto::{AclId, Decode, ErrorCode, OpCode, Reader};

use super::create::{CONTAINER, LAST_FLAG};
use super::error::{Refusal, ensure};
use super::request::{Text, Write, present};
use super::write::{Outcome, Writing};
use super::{Answer, Event, Model, Mutation};

impl Model {
    /// All of it or nothing.
    pub(super) fn multi(
        &mut self,
        body: &mut Reader<'_>,
        writing: Writing<'_>,
        events: &mut Vec<Event>,
    ) -> Result<Answer, Refusal> {
        let writes = decode_writes(body)?;
        let all_named = writes.iter().all(|write| write.path().is_some());
        ensure(all_named, ErrorCode::MarshallingError)?;
        let mut effects = Vec::new();
        self.tree.begin();
        for write in &writes {
            let effect = self.carry_out(write, writing);
            match effect {
                Ok(effect) => effects.push(effect),
                Err(refusal) => {
                    self.undo();
                    // Nulls are not what is wrong with one operation alone.
                    let is_null = refusal.0 == ErrorCode::MarshallingError;
                    ensure(!is_null, ErrorCode::MarshallingError)?;
                    return Ok(self.failed(effects.len(), refusal, writes.len()));
                }
            }
        }
        self.tree.commit();
        let mut results = Vec::new();
        for effect in effects {
            if let Some(change) = &effect.change {
                self.announce(change, events);
            }
            results.push(effect.outcome.result());
        }
        Ok(Answer::of(&MultiResponse { results }))
    }

    fn undo(&mut self) {
        if self.has(Mutation::MultiNotUndone) {
            self.tree.commit();
        } else {
            self.tree.roll_back();
        }
    }

    /// Every operation has an error: none, its own, or that of not having been reached.
    fn failed(&self, at: usize, refusal: Refusal, count: usize) -> Answer {
        let tail = if self.has(Mutation::MultiTailIsFine) {
            ErrorCode::Ok
        } else {
            ErrorCode::RuntimeInconsistency
        };
        let mut codes = vec![ErrorCode::Ok; at];
        codes.push(refusal.0);
        codes.resize(count, tail);
        let results = codes.into_iter().map(MultiResult::Error).collect();
        Answer::of(&MultiResponse { results })
    }

    /// Each read by itself. What had been read by then is sent even when something
    /// makes no sense.
    pub(super) fn multi_read(
        &self,
        body: &mut Reader<'_>,
        identities: &[AclId],
    ) -> Result<Answer, Refusal> {
        let reads = decode_reads(body)?;
        let mut results = Vec::new();
        for (op, path) in reads {
            let readable = op.and_then(|op| present(&path).ok().map(|path| (op, path)));
            let Some((op, path)) = readable else {
                let so_far = MultiResponse { results };
                return Ok(Answer::refused_with(ErrorCode::MarshallingError, &so_far));
            };
            results.push(self.read_one(op, path, identities));
        }
        Ok(Answer::of(&MultiResponse { results }))
    }

    fn read_one(&self, op: ReadOp, path: &str, identities: &[AclId]) -> MultiResult {
        let node = match self.readable(path, identities) {
            Ok(node) => node,
            Err(refusal) => return MultiResult::Error(refusal.0),
        };
        match op {
            ReadOp::Data => MultiResult::GetData(GetDataResponse {
                data: node.meta.data.clone(),
                stat: self.stat(super::tree::canonical(path)),
            }),
            ReadOp::Children => MultiResult::GetChildren(GetChildrenResponse {
                children: node.children.iter().cloned().collect(),
            }),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadOp {
    Data,
    Children,
}

/// Whether a multi's body is at least taken for one. One that is not costs no zxid:
/// Apache's reader stumbles over a create without an ACL.
pub(super) fn is_taken(body: &mut Reader<'_>) -> bool {
    while let Ok(Some(op)) = next_op(body) {
        match decode_write(op, body) {
            Ok(_) => {}
            Err(Unfit::NullAcl) => return false,
            Err(Unfit::Malformed) => return true,
        }
    }
    true
}

/// Why an operation cannot be part of a multi.
enum Unfit {
    Malformed,
    NullAcl,
}

impl From<Refusal> for Unfit {
    fn from(_: Refusal) -> Self {
        Self::Malformed
    }
}

fn decode_writes<'a>(body: &mut Reader<'a>) -> Result<Vec<Write<'a>>, Refusal> {
    let mut writes = Vec::new();
    while let Some(op) = next_op(body)? {
        let write = decode_write(op, body);
        writes.push(write.map_err(|_| Refusal(ErrorCode::MarshallingError))?);
    }
    Ok(writes)
}

/// Within a multi, flags say what a create is rather than its operation.
fn decode_write<'a>(op: OpCode, body: &mut Reader<'a>) -> Result<Write<'a>, Unfit> {
    if op == OpCode::SetAcl {
        return Err(Unfit::Malformed);
    }
    let mut write = Write::decode(op, body)?;
    if let Write::Create(create) = &mut write {
        let has_ttl = matches!(create.flags, 5 | 6);
        if op == OpCode::CreateTtl {
            if !has_ttl {
                create.op = OpCode::Create;
                create.ttl_ms = -1;
            }
        } else {
            ensure(
                (0..=LAST_FLAG).contains(&create.flags),
                ErrorCode::MarshallingError,
            )?;
            if create.acl.is_none() {
                return Err(Unfit::NullAcl);
            }
            ensure(!has_ttl, ErrorCode::MarshallingError)?;
        }
        if create.flags == CONTAINER {
            create.op = OpCode::CreateContainer;
        }
    }
    Ok(write)
}

/// Writes can be read from the body too, as long as there is nothing else; they have
/// no operation here.
fn decode_reads<'a>(body: &mut Reader<'a>) -> Result<Vec<(Option<ReadOp>, Text<'a>)>, Refusal> {
    let mut reads: Vec<(Option<ReadOp>, Text<'a>)> = Vec::new();
    while let Some(op) = next_op(body)? {
        let read = match op {
            OpCode::GetData => Some(ReadOp::Data),
            OpCode::GetChildren => Some(ReadOp::Children),
            _ => None,
        };
        let is_mixed = reads
            .first()
            .is_some_and(|(first, _)| first.is_some() != read.is_some());
        ensure(!is_mixed, ErrorCode::MarshallingError)?;
        if read.is_some() {
            let (path, _watch) = (Text::decode(body)?, bool::decode(body)?);
            reads.push((read, path));
        } else {
            decode_write(op, body).map_err(|_| Refusal(ErrorCode::MarshallingError))?;
            reads.push((None, None));
        }
    }
    Ok(reads)
}

fn next_op(body: &mut Reader<'_>) -> Result<Option<OpCode>, Refusal> {
    let header = MultiHeader::decode(body)?;
    if header.done {
        return Ok(None);
    }
    let op = OpCode::try_from(header.op);
    op.map(Some)
        .map_err(|_| Refusal(ErrorCode::MarshallingError))
}

impl Outcome {
    fn result(self) -> MultiResult {
        match self {
            Self::Created { path, stat: None } => {
                MultiResult::Create(CreateResponse { path: path.into() })
            }
            Self::Created {
                path,
                stat: Some(stat),
            } => MultiResult::Create2(Create2Response {
                path: path.into(),
                stat,
            }),
            Self::Deleted => MultiResult::Delete,
            Self::Changed(stat) => MultiResult::SetData(SetDataResponse { stat }),
            Self::Checked => MultiResult::Check,
        }
    }
}
