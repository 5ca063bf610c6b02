//! Writes, one at a time.

use std::sync::Arc;

use bytes::Bytes;
use zk_proto::path::parent;
use zk_proto::record::{Create2Response, CreateResponse, SetDataResponse};
use zk_proto::{AclId, ErrorCode, OpCode, Perms, Reader, Stat, Zxid};

use super::acl::{allows, fix_up};
use super::error::{Refusal, ensure};
use super::request::{RawAcl, Text, Write, parent_of, present, valid};
use super::stat::{Fate, Meta};
use super::tree::RESERVED;
use super::watches::{Change, ChangeKind};
use super::{Answer, Asker, Done, Model, Mutation};

/// A transaction about to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writing<'i> {
    pub(super) asker: Asker<'i>,
    pub(super) zxid: Zxid,
    pub(super) time_ms: i64,
}

/// What a write has come to.
#[derive(Clone, Debug)]
pub(super) struct Effect {
    pub(super) outcome: Outcome,
    pub(super) change: Option<Change>,
}

#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Created { path: String, stat: Option<Stat> },
    Deleted,
    Changed(Stat),
    Checked,
}

/// Of a znode whose version does not matter.
const ANY_VERSION: i32 = -1;

/// Whether `op` is a write by itself.
pub(super) const fn is_single(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::SetData
            | OpCode::SetAcl
    )
}

impl Model {
    /// Carries out the transaction `zxid`, made at `time_ms` since the Unix epoch. A
    /// refused one is still a transaction. The session is open; its end is
    /// [`Model::close_session`].
    pub fn write(
        &mut self,
        asker: Asker<'_>,
        op: OpCode,
        body: &Bytes,
        zxid: Zxid,
        time_ms: i64,
    ) -> Done {
        self.last_zxid = zxid;
        let writing = Writing {
            asker,
            zxid,
            time_ms,
        };
        let mut reader = Reader::new(body);
        let mut events = Vec::new();
        let answer = match op {
            OpCode::Multi => self.multi(&mut reader, writing, &mut events),
            OpCode::Reconfig => Err(ErrorCode::ReconfigDisabled.into()),
            op => self.single(op, &mut reader, writing).map(|effect| {
                if let Some(change) = &effect.change {
                    self.announce(change, &mut events);
                }
                effect.outcome.answer()
            }),
        };
        Done {
            events,
            answer: answer.into(),
        }
    }

    /// A reconfiguration that the leader has let through. What it says of the members is not
    /// modelled: the znode tells each server's own view of them.
    pub fn reconfigure(&mut self, asker: Asker<'_>, zxid: Zxid, time_ms: i64) -> Done {
        self.last_zxid = zxid;
        let writing = Writing {
            asker,
            zxid,
            time_ms,
        };
        let mut events = Vec::new();
        let changed = self.set_data(
            &Some("/zookeeper/config".into()),
            &None,
            ANY_VERSION,
            writing,
        );
        let answer = changed.map(|effect| {
            if let Some(change) = &effect.change {
                self.announce(change, &mut events);
            }
            effect.outcome.answer()
        });
        Done {
            events,
            answer: answer.into(),
        }
    }

    /// The reaper's transaction: what has served its time goes, unless it has become
    /// something else meanwhile.
    pub fn reap(&mut self, path: &str, zxid: Zxid) -> Done {
        self.last_zxid = zxid;
        let mut events = Vec::new();
        let answer = match self.reaped(path, zxid) {
            Ok(change) => {
                self.announce(&change, &mut events);
                Answer::empty()
            }
            Err(refusal) => refusal.into(),
        };
        Done { events, answer }
    }

    fn reaped(&mut self, path: &str, zxid: Zxid) -> Result<Change, Refusal> {
        let node = self.tree.get(path).ok_or(ErrorCode::NoNode)?;
        let is_mortal = matches!(node.meta.fate, Fate::Container | Fate::Ttl(_));
        ensure(is_mortal, ErrorCode::BadVersion)?;
        ensure(node.children.is_empty(), ErrorCode::NotEmpty)?;
        Ok(self.remove(path, zxid))
    }

    fn single(
        &mut self,
        op: OpCode,
        body: &mut Reader<'_>,
        writing: Writing<'_>,
    ) -> Result<Effect, Refusal> {
        self.carry_out(&Write::decode(op, body)?, writing)
    }

    pub(super) fn carry_out(
        &mut self,
        write: &Write<'_>,
        writing: Writing<'_>,
    ) -> Result<Effect, Refusal> {
        match write {
            Write::Create(create) => self.create(create, writing),
            Write::Delete(path, version) => self.delete(path, *version, writing),
            Write::SetData(path, data, version) => self.set_data(path, data, *version, writing),
            Write::SetAcl(path, acl, version) => {
                self.set_acl(path, acl.as_deref(), *version, writing)
            }
            Write::Check(path, version) => self.check(path, *version, writing),
        }
    }

    fn delete(
        &mut self,
        path: &Text<'_>,
        version: i32,
        writing: Writing<'_>,
    ) -> Result<Effect, Refusal> {
        let path = present(path)?;
        let parent = parent_of(path)?;
        ensure(!RESERVED.contains(&path), ErrorCode::BadArguments)?;
        let above = self.tree.get(parent).ok_or(ErrorCode::NoNode)?;
        self.permit(&above.meta, Perms::DELETE, writing.asker.identities)?;
        let node = self.tree.get(path).ok_or(ErrorCode::NoNode)?;
        self.agree(version, node.meta.version)?;
        let is_doomed =
            self.has(Mutation::ContainersDeletedWithChildren) && node.meta.fate == Fate::Container;
        ensure(node.children.is_empty() || is_doomed, ErrorCode::NotEmpty)?;
        let change = self.remove(path, writing.zxid);
        Ok(Effect {
            outcome: Outcome::Deleted,
            change: Some(change),
        })
    }

    /// Takes away a znode that is there and has no children.
    pub(super) fn remove(&mut self, path: &str, zxid: Zxid) -> Change {
        let node = self.tree.remove(path);
        let keeps = self.has(Mutation::PzxidKeptOnDelete);
        let parent = parent(path).and_then(|parent| {
            let meta = self.tree.change(parent)?;
            if !keeps {
                meta.pzxid = meta.pzxid.max(zxid);
            }
            Some((parent.to_owned(), Arc::clone(&meta.acl)))
        });
        self.count_removed(path, &node);
        Change {
            kind: ChangeKind::Deleted,
            path: path.to_owned(),
            acl: node.meta.acl,
            parent,
        }
    }

    fn set_data(
        &mut self,
        path: &Text<'_>,
        data: &Option<Bytes>,
        version: i32,
        writing: Writing<'_>,
    ) -> Result<Effect, Refusal> {
        let path = valid(path)?;
        let meta = &self.tree.get(path).ok_or(ErrorCode::NoNode)?.meta;
        self.permit(meta, Perms::WRITE, writing.asker.identities)?;
        self.agree(version, meta.version)?;
        let len = |data: &Option<Bytes>| data.as_ref().map_or(0, |data| data.len() as i64);
        let more = len(data) - len(&meta.data);
        let acl = Arc::clone(&meta.acl);
        let broken = self.settings.mutation;
        if let Some(meta) = self.tree.change(path) {
            meta.data.clone_from(data);
            meta.version = meta.version.wrapping_add(1);
            meta.mtime = writing.time_ms;
            if broken != Some(Mutation::MzxidKept) {
                meta.mzxid = writing.zxid;
            }
            if broken == Some(Mutation::CtimeRenewed) {
                meta.ctime = writing.time_ms;
            }
        }
        let stat = self.stat(path);
        self.count_changed(path, more);
        Ok(Effect {
            outcome: Outcome::Changed(stat),
            change: Some(Change {
                kind: ChangeKind::DataChanged,
                path: path.to_owned(),
                acl,
                parent: None,
            }),
        })
    }

    fn set_acl(
        &mut self,
        path: &Text<'_>,
        acl: Option<&[RawAcl<'_>]>,
        version: i32,
        writing: Writing<'_>,
    ) -> Result<Effect, Refusal> {
        let identities = writing.asker.identities;
        let path = valid(path)?;
        let acl = fix_up(acl, identities)?;
        let meta = &self.tree.get(path).ok_or(ErrorCode::NoNode)?.meta;
        self.permit(meta, Perms::ADMIN, identities)?;
        self.agree(version, meta.aversion)?;
        let broken = self.settings.mutation;
        if let Some(meta) = self.tree.change(path) {
            meta.acl = Arc::from(acl);
            if broken != Some(Mutation::AversionKept) {
                meta.aversion = meta.aversion.wrapping_add(1);
            }
            if broken == Some(Mutation::SetAclChangesMzxid) {
                meta.mzxid = writing.zxid;
            }
        }
        Ok(Effect {
            outcome: Outcome::Changed(self.stat(path)),
            change: None,
        })
    }

    fn check(
        &self,
        path: &Text<'_>,
        version: i32,
        writing: Writing<'_>,
    ) -> Result<Effect, Refusal> {
        let path = valid(path)?;
        let meta = &self.tree.get(path).ok_or(ErrorCode::NoNode)?.meta;
        self.permit(meta, Perms::READ, writing.asker.identities)?;
        self.agree(version, meta.version)?;
        Ok(Effect {
            outcome: Outcome::Checked,
            change: None,
        })
    }

    fn permit(&self, meta: &Meta, wanted: Perms, identities: &[AclId]) -> Result<(), Refusal> {
        let wanted = if self.has(Mutation::ReadersWrite) {
            Perms::READ
        } else {
            wanted
        };
        ensure(allows(&meta.acl, wanted, identities), ErrorCode::NoAuth)
    }

    /// −1 agrees with every version.
    fn agree(&self, expected: i32, version: i32) -> Result<(), Refusal> {
        let version = if self.has(Mutation::VersionCheckOffByOne) {
            version.wrapping_add(1)
        } else {
            version
        };
        ensure(expected == -1 || expected == version, ErrorCode::BadVersion)
    }

    /// Of a znode that is there.
    pub(super) fn stat(&self, path: &str) -> Stat {
        let Some(node) = self.tree.get(path) else {
            return Stat::default();
        };
        let mut stat = node.stat();
        if self.has(Mutation::CversionCountsCreations) {
            stat.cversion = node.meta.created;
        }
        if self.has(Mutation::OwnerHidden) {
            stat.ephemeral_owner = zk_proto::SessionId::NONE;
        }
        stat
    }
}

impl Outcome {
    fn answer(self) -> Answer {
        match self {
            Self::Created { path, stat: None } => Answer::of(&CreateResponse { path: path.into() }),
            Self::Created {
                path,
                stat: Some(stat),
            } => Answer::of(&Create2Response {
                path: path.into(),
                stat,
            }),
            Self::Deleted | Self::Checked => Answer::empty(),
            Self::Changed(stat) => Answer::of(&SetDataResponse { stat }),
        }
    }
}
