//! From a reply's bytes to the operation's value, in the caller's task.

use bytes::Bytes;
use zk_proto::record::{
    ClientInfo, Create2Response, CreateResponse, ExistsResponse, GetAclResponse,
    GetAllChildrenNumberResponse, GetChildren2Response, GetChildrenResponse, GetDataResponse,
    GetEphemeralsResponse, MultiResponse, MultiResult, WhoAmIResponse,
};
use zk_proto::{Acl, Chroot, Decode, ErrorCode, Reader, Stat};

use crate::error::Error;
use crate::reply::{Asked, RawReply};

/// `T` from the body of a good reply. The record may borrow from the body, so the
/// value is made inside.
macro_rules! body {
    ($raw:expr, $asked:expr, $record:ty) => {{
        let body = $raw.ok($asked)?;
        <$record>::decode(&mut Reader::new(&body))?
    }};
}

/// The caller's name for a path of the server; it lies within the chroot, because
/// the request's did.
pub(crate) fn strip(chroot: &Chroot, path: &str) -> String {
    chroot.to_client(path).unwrap_or(path).to_owned()
}

pub(crate) fn nothing(raw: RawReply, asked: &Asked) -> Result<(), Error> {
    raw.ok(asked).map(drop)
}

pub(crate) fn created(raw: RawReply, asked: &Asked) -> Result<String, Error> {
    let body = raw.ok(asked)?;
    let created = CreateResponse::decode(&mut Reader::new(&body))?;
    Ok(strip(&asked.chroot, &created.path))
}

pub(crate) fn created2(raw: RawReply, asked: &Asked) -> Result<(String, Stat), Error> {
    let body = raw.ok(asked)?;
    let created = Create2Response::decode(&mut Reader::new(&body))?;
    Ok((strip(&asked.chroot, &created.path), created.stat))
}

pub(crate) fn created2_path(raw: RawReply, asked: &Asked) -> Result<String, Error> {
    created2(raw, asked).map(|(path, _)| path)
}

/// Any record that is a `Stat` alone.
pub(crate) fn stat(raw: RawReply, asked: &Asked) -> Result<Stat, Error> {
    Ok(body!(raw, asked, ExistsResponse).stat)
}

pub(crate) fn found(raw: RawReply, asked: &Asked) -> Result<Option<Stat>, Error> {
    match raw.err {
        ErrorCode::NoNode => Ok(None),
        _ => stat(raw, asked).map(Some),
    }
}

pub(crate) fn data(raw: RawReply, asked: &Asked) -> Result<(Bytes, Stat), Error> {
    let GetDataResponse { data, stat } = body!(raw, asked, GetDataResponse);
    Ok((data.unwrap_or_default(), stat))
}

pub(crate) fn children(raw: RawReply, asked: &Asked) -> Result<Vec<String>, Error> {
    Ok(body!(raw, asked, GetChildrenResponse).children)
}

pub(crate) fn children2(raw: RawReply, asked: &Asked) -> Result<(Vec<String>, Stat), Error> {
    let GetChildren2Response { children, stat } = body!(raw, asked, GetChildren2Response);
    Ok((children, stat))
}

pub(crate) fn number(raw: RawReply, asked: &Asked) -> Result<i32, Error> {
    Ok(body!(raw, asked, GetAllChildrenNumberResponse).total_number)
}

/// The prefix is text, so the server's answer may reach outside the chroot.
pub(crate) fn ephemerals(raw: RawReply, asked: &Asked) -> Result<Vec<String>, Error> {
    let paths = body!(raw, asked, GetEphemeralsResponse).ephemerals;
    Ok(paths
        .iter()
        .filter_map(|path| asked.chroot.to_client(path))
        .map(str::to_owned)
        .collect())
}

pub(crate) fn acl(raw: RawReply, asked: &Asked) -> Result<(Vec<Acl>, Stat), Error> {
    let GetAclResponse { acl, stat } = body!(raw, asked, GetAclResponse);
    Ok((acl, stat))
}

pub(crate) fn identities(raw: RawReply, asked: &Asked) -> Result<Vec<ClientInfo>, Error> {
    Ok(body!(raw, asked, WhoAmIResponse).client_info)
}

pub(crate) fn results(raw: RawReply, asked: &Asked) -> Result<Vec<MultiResult>, Error> {
    Ok(body!(raw, asked, MultiResponse).results)
}

/// A transaction of one check.
pub(crate) fn checked(raw: RawReply, asked: &Asked) -> Result<(), Error> {
    match results(raw, asked)?.first() {
        Some(MultiResult::Error(code)) if *code != ErrorCode::Ok => Err(Error::Server {
            code: *code,
            path: asked.path.clone(),
        }),
        _ => Ok(()),
    }
}
