//! multi: all of it or nothing, under one zxid.

use zk_proto::{ErrorCode, Reader};

use super::{NULL, Prep, Prepared, Preparing, Requester, World};
use crate::pipeline::multi_request::{MultiError, MultiOp, WriteOp, decode_multi};
use crate::txn::{Change, TxnBody};

impl Prep {
    /// Later operations see what earlier ones change. A multi that cannot be read
    /// costs a zxid, with the one exception that Apache has.
    pub(super) fn multi(
        &mut self,
        mut body: Reader<'_>,
        who: Requester<'_>,
        world: World<'_>,
    ) -> Prepared {
        let ops = match decode_multi(&mut body) {
            Ok(ops) => writes(ops),
            Err(MultiError::Malformed) => None,
            Err(MultiError::NullAcl) => return Prepared::Undecodable,
        };
        Prepared::Txn(self.make(who, world, |preparing| match ops {
            Some(ops) => preparing.multi(&ops),
            None => Err(NULL),
        }))
    }
}

/// Whether one of the operations asks for an ephemeral.
pub(super) fn asks_for_ephemeral(body: &mut Reader<'_>) -> bool {
    let ops = decode_multi(body).unwrap_or_default();
    let is_ephemeral = |op: &MultiOp<'_>| match op {
        MultiOp::Write(WriteOp::Create(create)) => create.is_ephemeral(),
        MultiOp::Write(_) | MultiOp::GetData(_) | MultiOp::GetChildren(_) => false,
    };
    ops.iter().any(is_ephemeral)
}

/// The operations, if all of them write and have a path.
fn writes(ops: Vec<MultiOp<'_>>) -> Option<Vec<WriteOp<'_>>> {
    ops.into_iter()
        .map(|op| match op {
            MultiOp::Write(op) => op.has_path().then_some(op),
            MultiOp::GetData(_) | MultiOp::GetChildren(_) => None,
        })
        .collect()
}

impl Preparing<'_> {
    fn multi(&mut self, ops: &[WriteOp<'_>]) -> Result<TxnBody, ErrorCode> {
        let mut changes = Vec::with_capacity(ops.len());
        for op in ops {
            match self.op(op) {
                Ok(change) => changes.push(change),
                // Not what is wrong with one operation, but with the whole request.
                Err(NULL) => return Err(NULL),
                Err(error) => {
                    self.pending.reset();
                    return Ok(TxnBody::FailedMulti {
                        errors: verdicts(ops.len() - changes.len(), error),
                        prepared: changes,
                    });
                }
            }
        }
        Ok(TxnBody::Multi(changes))
    }

    fn op(&mut self, op: &WriteOp<'_>) -> Result<Change, ErrorCode> {
        match op {
            WriteOp::Create(create) => self.create(create),
            WriteOp::Delete(delete) => self.delete(delete),
            WriteOp::SetData(set) => self.set_data(set),
            WriteOp::Check(check) => self.check_version(check),
        }
    }
}

/// What is said of the operation that failed, and of those after it that they were
/// not reached.
fn verdicts(left: usize, error: ErrorCode) -> Vec<ErrorCode> {
    let mut errors = vec![ErrorCode::RuntimeInconsistency; left];
    errors[0] = error;
    errors
}
