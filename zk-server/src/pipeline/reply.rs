//! Answers to writes.

use zk_proto::record::MultiResult;
use zk_proto::{ErrorCode, OpCode, Xid, Zxid};

use super::apply::Applied;
use crate::conn::Connection;

/// Queues the answer to the write `xid`.
pub(crate) fn reply_write(connection: &mut Connection, xid: Xid, zxid: Zxid, applied: &Applied) {
    let ok = ErrorCode::Ok;
    match applied {
        Applied::Session => connection.reply(xid, zxid, ok, &()),
        Applied::Change(result) => reply_change(connection, xid, zxid, result),
        Applied::Reconfig(body) => connection.reply(xid, zxid, ok, body),
        Applied::SetAcl(body) => connection.reply(xid, zxid, ok, body),
        // Also of one that failed: its results say so.
        Applied::Multi(body) => connection.reply(xid, zxid, ok, body),
        Applied::Failed(error) => connection.reply(xid, zxid, *error, &()),
    }
}

fn reply_change(connection: &mut Connection, xid: Xid, zxid: Zxid, result: &MultiResult) {
    let ok = ErrorCode::Ok;
    match result {
        MultiResult::Create(body) => connection.reply(xid, zxid, ok, body),
        MultiResult::Create2(body) => connection.reply(xid, zxid, ok, body),
        MultiResult::SetData(body) => connection.reply(xid, zxid, ok, body),
        MultiResult::GetData(body) => connection.reply(xid, zxid, ok, body),
        MultiResult::GetChildren(body) => connection.reply(xid, zxid, ok, body),
        MultiResult::Delete | MultiResult::Check => connection.reply(xid, zxid, ok, &()),
        MultiResult::Error(error) => connection.reply(xid, zxid, *error, &()),
    }
}

/// What `cons` calls an operation that was answered.
pub(crate) const fn last_op(op: OpCode) -> &'static str {
    match op {
        OpCode::Ping => "PING",
        OpCode::CreateSession => "SESS",
        OpCode::Multi => "MULT",
        OpCode::MultiRead => "MLTR",
        OpCode::Create | OpCode::Create2 | OpCode::CreateTtl | OpCode::CreateContainer => "CREA",
        OpCode::Delete | OpCode::DeleteContainer => "DELE",
        OpCode::SetData => "SETD",
        OpCode::Reconfig => "RECO",
        OpCode::SetAcl => "SETA",
        OpCode::CloseSession => "CLOS",
        OpCode::Sync => "SYNC",
        OpCode::Check => "CHEC",
        OpCode::Exists => "EXIS",
        OpCode::GetData => "GETD",
        OpCode::SetWatches => "SETW",
        OpCode::SetWatches2 => "STW2",
        OpCode::AddWatch => "ADDW",
        OpCode::GetAcl => "GETA",
        OpCode::GetChildren | OpCode::GetChildren2 => "GETC",
        OpCode::GetAllChildrenNumber => "GETACN",
        OpCode::CheckWatches => "CHKW",
        OpCode::RemoveWatches => "REMW",
        OpCode::WhoAmI => "HOMI",
        OpCode::GetEphemerals => "GETE",
        // Answered ahead of the pipeline, or not at all.
        OpCode::Auth | OpCode::Sasl | OpCode::Notification | OpCode::Error => "NA",
    }
}
