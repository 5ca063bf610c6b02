//! Transactions as bytes: the payload of a log record and of a proposal are the same.
//!
//! A header, the record that its type names, and as a rule the digest of the tree after
//! it. What Apache writes can be read, and what is read is written again byte for byte,
//! but for the two oddities of old logs: a create without its parent's count, and a
//! closeSession without a list.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use zk_proto::{
    Acl, Decode, DecodeError, DecodeReason, Encode, ErrorCode, OpCode, Reader, SessionId, Xid, Zxid,
};

use super::{Change, CreateTxn, SetAclTxn, SetDataTxn, Txn, TxnBody, TxnHeader};
use crate::error::ConfigError;
use crate::tree::{AclList, DIGEST_VERSION, EphemeralType, TreeDigest, open_acl};

#[cfg(test)]
mod tests;

/// Version and digest.
const DIGEST_LEN: usize = 4 + 8;

/// Appends the transaction to `out`.
pub(crate) fn encode_txn(txn: &Txn, out: &mut BytesMut) {
    let TxnHeader {
        client,
        cxid,
        zxid,
        time_ms,
    } = txn.header;
    client.0.encode(out);
    cxid.0.encode(out);
    zxid.0.encode(out);
    time_ms.encode(out);
    (type_of(&txn.body) as i32).encode(out);
    encode_body(&txn.body, out);
    if let Some(digest) = txn.digest {
        DIGEST_VERSION.encode(out);
        digest.0.encode(out);
    }
}

/// Reads a transaction; `bytes` hold nothing else. A digest of another version than ours
/// is left out.
///
/// # Errors
///
/// What is wrong with the bytes.
pub(crate) fn decode_txn(bytes: &Bytes) -> Result<Txn, DecodeError> {
    let mut reader = Reader::new(bytes);
    let header = TxnHeader {
        client: SessionId(i64::decode(&mut reader)?),
        cxid: Xid(i32::decode(&mut reader)?),
        zxid: Zxid(i64::decode(&mut reader)?),
        time_ms: i64::decode(&mut reader)?,
    };
    let number = i32::decode(&mut reader)?;
    let body = decode_body(number, &mut reader, header.client)
        .map_err(|error| error.within("Txn", "record"))?;
    let digest = decode_digest(&mut reader)?;
    Ok(Txn {
        header,
        body,
        digest,
    })
}

/// The zxid of an encoded transaction, which says nothing about the rest of it.
pub(crate) fn zxid_of(payload: &[u8]) -> Option<Zxid> {
    let field = payload.get(12..20)?.first_chunk()?;
    Some(Zxid(i64::from_be_bytes(*field)))
}

/// The text of the configuration that an encoded transaction proposes, if it does; all
/// other transactions are left alone.
///
/// # Errors
///
/// A reconfiguration that cannot be read.
pub(crate) fn reconfigured(payload: &Bytes) -> Result<Option<String>, ConfigError> {
    let number = payload.get(28..32).and_then(|field| field.first_chunk());
    if number.map(|number| i32::from_be_bytes(*number)) != Some(OpCode::Reconfig as i32) {
        return Ok(None);
    }
    let bad = |what: String| ConfigError::value("a reconfiguration", what, "a configuration");
    match decode_txn(payload)
        .map_err(|error| bad(error.to_string()))?
        .body
    {
        TxnBody::Reconfig(txn) => {
            let data = txn.data.unwrap_or_default().into_vec();
            let text = String::from_utf8(data);
            text.map(Some).map_err(|_| bad("not UTF-8".to_owned()))
        }
        other => Err(bad(format!("{:?}", type_of(&other)))),
    }
}

fn type_of(body: &TxnBody) -> OpCode {
    match body {
        TxnBody::CreateSession { .. } => OpCode::CreateSession,
        TxnBody::CloseSession { .. } => OpCode::CloseSession,
        TxnBody::Change(change) => type_of_change(change),
        TxnBody::SetAcl(_) => OpCode::SetAcl,
        TxnBody::Reconfig(_) => OpCode::Reconfig,
        TxnBody::Multi(_) | TxnBody::FailedMulti { .. } => OpCode::Multi,
        TxnBody::Error(_) => OpCode::Error,
    }
}

fn type_of_change(change: &Change) -> OpCode {
    match change {
        Change::Create(create) => match create.ephemeral {
            EphemeralType::Container => OpCode::CreateContainer,
            EphemeralType::Ttl { .. } => OpCode::CreateTtl,
            EphemeralType::Void | EphemeralType::Normal(_) if create.reply_stat => OpCode::Create2,
            EphemeralType::Void | EphemeralType::Normal(_) => OpCode::Create,
        },
        Change::Delete {
            by_reaper: true, ..
        } => OpCode::DeleteContainer,
        Change::Delete { .. } => OpCode::Delete,
        Change::SetData(_) => OpCode::SetData,
        Change::CheckVersion { .. } => OpCode::Check,
    }
}

fn encode_body(body: &TxnBody, out: &mut BytesMut) {
    match body {
        TxnBody::CreateSession { timeout_ms } => timeout_ms.encode(out),
        TxnBody::CloseSession { paths } => {
            encode_len(paths.len(), out);
            paths.iter().for_each(|path| path[..].encode(out));
        }
        TxnBody::Change(change) => encode_change(change, out),
        TxnBody::SetAcl(txn) => {
            txn.path[..].encode(out);
            encode_acl(&txn.acl, out);
            txn.aversion.encode(out);
        }
        TxnBody::Reconfig(txn) => encode_set_data(txn, out),
        TxnBody::Multi(changes) => {
            encode_len(changes.len(), out);
            changes.iter().for_each(|change| encode_sub(change, out));
        }
        TxnBody::FailedMulti { prepared, errors } => {
            encode_len(prepared.len() + errors.len(), out);
            prepared.iter().for_each(|change| encode_sub(change, out));
            for error in errors {
                (OpCode::Error as i32).encode(out);
                encode_len(size_of::<i32>(), out);
                error.code().encode(out);
            }
        }
        TxnBody::Error(error) => error.code().encode(out),
    }
}

fn encode_change(change: &Change, out: &mut BytesMut) {
    match change {
        Change::Create(create) => encode_create(create, out),
        Change::Delete { path, .. } => path[..].encode(out),
        Change::SetData(txn) => encode_set_data(txn, out),
        Change::CheckVersion { path, version } => {
            path[..].encode(out);
            version.encode(out);
        }
    }
}

fn encode_create(create: &CreateTxn, out: &mut BytesMut) {
    create.path[..].encode(out);
    encode_data(create.data.as_deref(), out);
    encode_acl(&create.acl, out);
    match create.ephemeral {
        EphemeralType::Void => false.encode(out),
        EphemeralType::Normal(_) => true.encode(out),
        EphemeralType::Container | EphemeralType::Ttl { .. } => {}
    }
    create.parent_cversion.encode(out);
    if let EphemeralType::Ttl { ttl_ms } = create.ephemeral {
        ttl_ms.encode(out);
    }
}

fn encode_set_data(txn: &SetDataTxn, out: &mut BytesMut) {
    txn.path[..].encode(out);
    encode_data(txn.data.as_deref(), out);
    txn.version.encode(out);
}

/// A part of a multi: its type, and its record with a length in front.
fn encode_sub(change: &Change, out: &mut BytesMut) {
    (type_of_change(change) as i32).encode(out);
    let length_at = out.len();
    0_i32.encode(out);
    encode_change(change, out);
    let len = length(out.len() - length_at - size_of::<i32>());
    out[length_at..length_at + size_of::<i32>()].copy_from_slice(&len.to_be_bytes());
}

fn encode_data(data: Option<&[u8]>, out: &mut BytesMut) {
    data.encode(out);
}

fn encode_acl(acl: &AclList, out: &mut BytesMut) {
    encode_len(acl.len(), out);
    acl.iter().for_each(|entry| entry.encode(out));
}

fn encode_len(len: usize, out: &mut BytesMut) {
    length(len).encode(out);
}

/// A transaction comes from a frame, whose length was an `i32`.
fn length(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}

fn decode_body(
    number: i32,
    reader: &mut Reader<'_>,
    session: SessionId,
) -> Result<TxnBody, DecodeError> {
    let op = OpCode::try_from(number).map_err(unknown)?;
    Ok(match op {
        OpCode::CreateSession => TxnBody::CreateSession {
            timeout_ms: i32::decode(reader)?,
        },
        OpCode::CloseSession => TxnBody::CloseSession {
            paths: decode_closed_paths(reader)?,
        },
        OpCode::Error => TxnBody::Error(i32::decode(reader)?.into()),
        OpCode::SetAcl => TxnBody::SetAcl(SetAclTxn {
            path: decode_path(reader)?,
            acl: decode_acl(reader)?,
            aversion: i32::decode(reader)?,
        }),
        OpCode::Reconfig => TxnBody::Reconfig(decode_set_data(reader)?),
        OpCode::Multi => decode_multi(reader, session)?,
        // Outside of a multi Apache cannot read one either.
        OpCode::Check => return Err(unknown(number)),
        op => TxnBody::Change(decode_change(op, reader, session)?),
    })
}

fn decode_change(
    op: OpCode,
    reader: &mut Reader<'_>,
    session: SessionId,
) -> Result<Change, DecodeError> {
    Ok(match op {
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
            Change::Create(decode_create(op, reader, session)?)
        }
        OpCode::Delete | OpCode::DeleteContainer => Change::Delete {
            path: decode_path(reader)?,
            by_reaper: op == OpCode::DeleteContainer,
        },
        OpCode::SetData => Change::SetData(decode_set_data(reader)?),
        OpCode::Check => Change::CheckVersion {
            path: decode_path(reader)?,
            version: i32::decode(reader)?,
        },
        op => return Err(unknown(op as i32)),
    })
}

fn decode_create(
    op: OpCode,
    reader: &mut Reader<'_>,
    session: SessionId,
) -> Result<CreateTxn, DecodeError> {
    let path = decode_path(reader)?;
    let data = decode_data(reader)?;
    let acl = decode_acl(reader)?;
    let is_ephemeral = matches!(op, OpCode::Create | OpCode::Create2) && bool::decode(reader)?;
    let parent_cversion = if op == OpCode::Create && reader.remaining() == 0 {
        // Servers before 3.4 did not write it; the count goes up by one then.
        UNKNOWN_CVERSION
    } else {
        i32::decode(reader)?
    };
    let ephemeral = match op {
        OpCode::CreateContainer => EphemeralType::Container,
        OpCode::CreateTtl => EphemeralType::Ttl {
            ttl_ms: i64::decode(reader)?,
        },
        _ if is_ephemeral => EphemeralType::Normal(session),
        _ => EphemeralType::Void,
    };
    Ok(CreateTxn {
        path,
        data,
        acl,
        ephemeral,
        parent_cversion,
        reply_stat: op != OpCode::Create,
    })
}

/// What stands for a count that the transaction does not tell.
pub(crate) const UNKNOWN_CVERSION: i32 = -1;

fn decode_set_data(reader: &mut Reader<'_>) -> Result<SetDataTxn, DecodeError> {
    Ok(SetDataTxn {
        path: decode_path(reader)?,
        data: decode_data(reader)?,
        version: i32::decode(reader)?,
    })
}

fn decode_multi(reader: &mut Reader<'_>, session: SessionId) -> Result<TxnBody, DecodeError> {
    let count = i32::decode(reader)?;
    let (mut changes, mut errors) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let number = i32::decode(reader)?;
        let record = Option::<Bytes>::decode(reader)?.unwrap_or_default();
        let mut record = Reader::new(&record);
        match OpCode::try_from(number).map_err(unknown)? {
            OpCode::Error => errors.push(i32::decode(&mut record)?.into()),
            // Nothing of a multi that failed is applied, wherever it failed.
            _ if !errors.is_empty() => errors.push(ErrorCode::RuntimeInconsistency),
            op => changes.push(decode_change(op, &mut record, session)?),
        }
    }
    Ok(if errors.is_empty() {
        TxnBody::Multi(changes)
    } else {
        TxnBody::FailedMulti {
            prepared: changes,
            errors,
        }
    })
}

/// A server that does not write the list (`closeSessionTxn.enabled=false`) may write the
/// digest all the same, whose first word would be the length of a list of two. No two
/// paths are that short.
fn decode_closed_paths(reader: &mut Reader<'_>) -> Result<Vec<Arc<str>>, DecodeError> {
    let is_digest = reader.remaining() == DIGEST_LEN
        && reader.rest().first_chunk() == Some(&DIGEST_VERSION.to_be_bytes());
    if reader.remaining() == 0 || is_digest {
        return Ok(Vec::new());
    }
    let paths = Option::<Vec<String>>::decode(reader)?.unwrap_or_default();
    Ok(paths.into_iter().map(Arc::from).collect())
}

fn decode_digest(reader: &mut Reader<'_>) -> Result<Option<TreeDigest>, DecodeError> {
    if reader.remaining() < DIGEST_LEN {
        return Ok(None);
    }
    let version = i32::decode(reader)?;
    let digest = i64::decode(reader)?;
    Ok((version == DIGEST_VERSION).then_some(TreeDigest(digest)))
}

fn decode_path(reader: &mut Reader<'_>) -> Result<Arc<str>, DecodeError> {
    String::decode(reader).map(Arc::from)
}

/// A copy: a slice would keep a whole log alive.
fn decode_data(reader: &mut Reader<'_>) -> Result<Option<Box<[u8]>>, DecodeError> {
    let data = Option::<std::borrow::Cow<'_, [u8]>>::decode(reader)?;
    Ok(data.map(|data| Box::from(&*data)))
}

/// Null is open to all, as Apache's tree has it.
fn decode_acl(reader: &mut Reader<'_>) -> Result<AclList, DecodeError> {
    let acl = Option::<Vec<Acl>>::decode(reader)?;
    Ok(acl.map_or_else(open_acl, AclList::from))
}

fn unknown(number: i32) -> DecodeError {
    DecodeError {
        record: "TxnHeader",
        field: "type",
        reason: DecodeReason::UnknownValue(number.into()),
    }
}
