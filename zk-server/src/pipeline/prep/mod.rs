//! Requests become transactions, or the reason why not (Apache's
//! `PrepRequestProcessor`). The order of checks is what clients see when several
//! things are wrong; it is stated in each function.

mod change;
mod create;
mod multi;
mod quota;
#[cfg(test)]
mod tests;

use zk_env::Probe;
use zk_proto::{
    AclId, Decode, DecodeError, ErrorCode, OpCode, Perms, Reader, SessionId, Xid, Zxid,
};

use super::outstanding::{ChangeRecord, Outstanding, Pending};
use super::request::{Create, CreateOp, PathVersion, Reconfig, SetAcl, SetData};
use crate::auth::{FixupError, RawAcl, Schemes, fixup};
use crate::config::ServerConfig;
use crate::quorum::{Membership, ReconfigRequest};
use crate::session::{Origin, Sessions};
use crate::tree::{AclList, DataTree, SeededState};
use crate::txn::{SetDataTxn, Txn, TxnBody, TxnHeader};

/// Makes transactions, each with the next zxid.
#[derive(Debug)]
pub(crate) struct Prep {
    /// The last zxid given out. Failed requests take one too.
    last_zxid: Zxid,
    outstanding: Outstanding,
    rules: Rules,
    /// The ensemble, as far as this server leads it.
    membership: Option<Membership>,
    /// Transactions carry the digest of the tree after them.
    predicts_digest: bool,
}

/// What the configuration decides.
#[derive(Debug)]
struct Rules {
    extended_types: bool,
    enforce_quota: bool,
    reconfig_enabled: bool,
    /// Which bugs a simulator has planted.
    probe: Probe,
}

/// On whose behalf a request is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requester<'r> {
    pub(crate) session: SessionId,
    pub(crate) cxid: Xid,
    pub(crate) origin: Origin,
    /// Who the connection was when the request arrived.
    pub(crate) identities: &'r [AclId],
}

impl Requester<'_> {
    /// For what needs nobody's permission.
    pub(crate) const fn anonymous(session: SessionId, cxid: Xid) -> Self {
        Self {
            session,
            cxid,
            origin: Origin::Here,
            identities: &[],
        }
    }
}

/// What requests are checked against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World<'w> {
    pub(crate) tree: &'w DataTree,
    pub(crate) sessions: &'w Sessions,
    pub(crate) schemes: &'w Schemes,
    /// The wall clock, which becomes the transaction's time.
    pub(crate) time_ms: i64,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Prepared {
    /// A transaction; possibly one that only says what is wrong.
    Txn(Txn),
    /// Bytes that are no request of this kind. They cost no zxid.
    Undecodable,
}

/// What clients are told of a null where there has to be something: Apache's
/// server fails on it in a way it did not plan.
const NULL: ErrorCode = ErrorCode::MarshallingError;

/// A transaction in the making.
struct Preparing<'p> {
    world: World<'p>,
    rules: &'p Rules,
    membership: &'p mut Option<Membership>,
    who: Requester<'p>,
    /// What znodes it touches will remember of it.
    header: TxnHeader,
    pending: Pending<'p>,
}

impl Prep {
    /// Goes on after `last_zxid`.
    pub(crate) fn new(config: &ServerConfig, hashing: SeededState, last_zxid: Zxid) -> Self {
        Self {
            last_zxid,
            outstanding: Outstanding::new(hashing),
            rules: Rules {
                extended_types: config.extended_types_enabled,
                enforce_quota: config.enforce_quota,
                reconfig_enabled: config.reconfig_enabled,
                probe: Probe::default(),
            },
            membership: None,
            predicts_digest: false,
        }
    }

    /// Who is in the ensemble and in step; nothing where reconfiguring is not possible.
    pub(crate) fn set_membership(&mut self, membership: Option<Membership>) {
        self.membership = membership;
    }

    /// Transactions up to this one have been made in an earlier life, and nothing of that
    /// is under way any more.
    pub(crate) fn resume_after(&mut self, zxid: Zxid) {
        self.last_zxid = zxid;
        self.outstanding.clear();
    }

    /// From now on transactions say what the digest of the tree will be.
    pub(crate) fn predict_digests(&mut self) {
        self.predicts_digest = true;
    }

    /// Lets a simulator plant bugs.
    pub(crate) fn observed_by(&mut self, probe: Probe) {
        self.rules.probe = probe;
    }

    /// A transaction has been applied to the tree.
    pub(crate) fn applied(&mut self, zxid: Zxid) {
        self.outstanding.applied(zxid);
    }

    /// A client's write. `op` is one; `body` is read here, because what cannot be
    /// read costs no zxid, except in a multi.
    pub(crate) fn write(
        &mut self,
        op: OpCode,
        mut body: Reader<'_>,
        who: Requester<'_>,
        world: World<'_>,
    ) -> Prepared {
        if op == OpCode::Multi {
            return self.multi(body, who, world);
        }
        let Ok(write) = Write::decode(op, &mut body) else {
            return Prepared::Undecodable;
        };
        Prepared::Txn(self.make(who, world, |preparing| preparing.write(&write)))
    }

    /// Whether `body` is a request of this kind. Who forwards one that is not may stop a
    /// leader of Apache's for good.
    pub(crate) fn is_decodable(op: OpCode, mut body: Reader<'_>) -> bool {
        op == OpCode::Multi || Write::decode(op, &mut body).is_ok()
    }

    /// Whether a request asks for an ephemeral, which a local session cannot have.
    pub(crate) fn asks_for_ephemeral(op: OpCode, mut body: Reader<'_>) -> bool {
        if op == OpCode::Multi {
            return multi::asks_for_ephemeral(&mut body);
        }
        let create = CreateOp::of(op).and_then(|op| Create::decode(op, &mut body).ok());
        create.is_some_and(|create| create.is_ephemeral())
    }

    /// A request that is refused, and whose refusal has to travel.
    pub(crate) fn refuse(&mut self, error: ErrorCode, who: Requester<'_>, world: World<'_>) -> Txn {
        self.make(who, world, |_| Err(error))
    }

    /// A session has been opened.
    pub(crate) fn create_session(
        &mut self,
        timeout_ms: i32,
        who: Requester<'_>,
        world: World<'_>,
    ) -> Txn {
        self.make(who, world, |_| Ok(TxnBody::CreateSession { timeout_ms }))
    }

    /// A session ends, asked for or not.
    pub(crate) fn close_session(&mut self, who: Requester<'_>, world: World<'_>) -> Txn {
        self.make(who, world, |preparing| Ok(preparing.close_session()))
    }

    /// Whether something that was made and not applied yet changes the znode at `path`.
    pub(crate) fn is_changing(&self, path: &str) -> bool {
        self.outstanding.contains(path)
    }

    /// The reaper wants a container or TTL znode gone.
    pub(crate) fn delete_container(&mut self, path: &str, world: World<'_>) -> Txn {
        let reaper = Requester::anonymous(SessionId::NONE, Xid(0));
        self.make(reaper, world, |preparing| {
            preparing.delete_container(path).map(TxnBody::Change)
        })
    }

    /// Runs `prepare` for the next zxid. What it changed counts only if it succeeds;
    /// the zxid is spent in any case.
    fn make(
        &mut self,
        who: Requester<'_>,
        world: World<'_>,
        prepare: impl FnOnce(&mut Preparing<'_>) -> Result<TxnBody, ErrorCode>,
    ) -> Txn {
        self.last_zxid = Zxid(self.last_zxid.0 + 1);
        let header = TxnHeader {
            client: who.session,
            cxid: who.cxid,
            zxid: self.last_zxid,
            time_ms: world.time_ms,
        };
        let mut preparing = Preparing {
            world,
            rules: &self.rules,
            membership: &mut self.membership,
            who,
            header,
            pending: self.outstanding.begin(world.tree),
        };
        let (body, digest) = match prepare(&mut preparing) {
            Ok(body) => {
                let changes = preparing.pending.finish();
                let digest = self
                    .predicts_digest
                    .then(|| self.outstanding.predict(&changes, world.tree));
                self.outstanding.commit(header.zxid, changes);
                (body, digest)
            }
            Err(error) => (TxnBody::Error(error), None),
        };
        Txn {
            header,
            body,
            digest,
        }
    }
}

/// A write other than multi.
enum Write<'a> {
    Create(Create<'a>),
    Delete(PathVersion<'a>),
    SetData(SetData<'a>),
    SetAcl(SetAcl<'a>),
    Reconfig(Reconfig<'a>),
}

impl<'a> Write<'a> {
    fn decode(op: OpCode, body: &mut Reader<'a>) -> Result<Self, DecodeError> {
        if let Some(op) = CreateOp::of(op) {
            return Create::decode(op, body).map(Self::Create);
        }
        match op {
            OpCode::Delete => Decode::decode(body).map(Self::Delete),
            OpCode::SetData => Decode::decode(body).map(Self::SetData),
            OpCode::SetAcl => Decode::decode(body).map(Self::SetAcl),
            OpCode::Reconfig => Decode::decode(body).map(Self::Reconfig),
            // Every caller asks for a write.
            _ => unreachable!("{op:?} is no write"),
        }
    }
}

impl Preparing<'_> {
    fn write(&mut self, write: &Write<'_>) -> Result<TxnBody, ErrorCode> {
        match write {
            Write::Create(create) => self.create(create).map(TxnBody::Change),
            Write::Delete(delete) => self.delete(delete).map(TxnBody::Change),
            Write::SetData(set) => self.set_data(set).map(TxnBody::Change),
            Write::SetAcl(set) => self.set_acl(set).map(TxnBody::SetAcl),
            Write::Reconfig(reconfig) => self.reconfig(reconfig).map(TxnBody::Reconfig),
        }
    }

    /// In this order: enabled, the session, an ensemble, what is asked for, the znode's ACL.
    fn reconfig(&mut self, request: &Reconfig<'_>) -> Result<SetDataTxn, ErrorCode> {
        if !self.rules.reconfig_enabled {
            return Err(ErrorCode::ReconfigDisabled);
        }
        self.check_session()?;
        let membership = self.membership.as_mut();
        let membership = membership.ok_or(ErrorCode::Unimplemented)?;
        let request = ReconfigRequest {
            joining: request.joining_servers.as_deref(),
            leaving: request.leaving_servers.as_deref(),
            new_members: request.new_members.as_deref(),
            config_id: request.config_id,
        };
        let next = membership.next(&request, self.header.zxid);
        let next = next.map_err(|error| {
            tracing::info!(%error, "reconfiguration refused");
            error.code()
        })?;
        let acl = self.record(DataTree::CONFIG)?.acl;
        self.check_acl(&acl, Perms::WRITE)?;
        let text = next.to_text();
        if let Some(membership) = &mut self.membership {
            // The next request finds this one in progress.
            membership.last_seen = next;
        }
        Ok(SetDataTxn {
            path: DataTree::CONFIG.into(),
            data: Some(text.into_bytes().into()),
            version: -1,
        })
    }

    fn check_session(&self) -> Result<(), ErrorCode> {
        self.world.sessions.check(self.who.session, self.who.origin)
    }

    /// Whether the requester has any of `wanted` under `acl`.
    fn check_acl(&self, acl: &AclList, wanted: Perms) -> Result<(), ErrorCode> {
        let permitted = self.world.schemes.permits(acl, wanted, self.who.identities);
        permitted.then_some(()).ok_or(ErrorCode::NoAuth)
    }

    fn fixup(&self, acl: Option<&[RawAcl<'_>]>) -> Result<AclList, ErrorCode> {
        match fixup(acl, self.who.identities, self.world.schemes) {
            Ok(acl) => Ok(acl.into()),
            Err(FixupError::Invalid) => Err(ErrorCode::InvalidAcl),
            Err(FixupError::Null) => Err(NULL),
        }
    }

    fn record(&self, path: &str) -> Result<ChangeRecord, ErrorCode> {
        self.pending.record(path).ok_or(ErrorCode::NoNode)
    }
}

/// The version after a change, if `expected` (−1 for any) is the current one.
fn next_version(current: i32, expected: i32) -> Result<i32, ErrorCode> {
    if expected != -1 && expected != current {
        return Err(ErrorCode::BadVersion);
    }
    Ok(current.wrapping_add(1))
}

/// What Apache demands of the paths of create and delete before it looks at the
/// tree: that there is a parent to speak of. Returns it.
fn parent_of(path: &str) -> Result<&str, ErrorCode> {
    match path.rsplit_once('/') {
        Some((parent, _)) if !path.contains('\0') => Ok(parent),
        Some(_) | None => Err(ErrorCode::BadArguments),
    }
}

fn validate(path: &str) -> Result<(), ErrorCode> {
    zk_proto::path::validate(path).map_err(|_| ErrorCode::BadArguments)
}

/// Data as the tree keeps it: a copy, so that no receive buffer stays alive.
fn owned(data: Option<&[u8]>) -> Option<Box<[u8]>> {
    data.map(Box::from)
}
