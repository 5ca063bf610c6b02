//! New znodes, of every kind.

use std::sync::Arc;

use zk_proto::data::MAX_TTL;
use zk_proto::path::validate;
use zk_proto::{ErrorCode, OpCode, Perms, Zxid};

use super::acl::fix_up;
use super::error::{Refusal, ensure};
use super::quota;
use super::request::{Create, parent_of, present};
use super::stat::{Fate, Meta, Znode};
use super::watches::{Change, ChangeKind};
use super::write::{Effect, Outcome, Writing};
use super::{Model, Mutation};

/// The highest of the known create flags.
pub(super) const LAST_FLAG: i32 = 6;
/// That of containers; those above have a time to live.
pub(super) const CONTAINER: i32 = 4;

impl Model {
    pub(super) fn create(
        &mut self,
        create: &Create<'_>,
        writing: Writing<'_>,
    ) -> Result<Effect, Refusal> {
        let asker = writing.asker;
        let fate = self.fate(create, writing)?;
        let given = present(&create.path)?;
        let parent = parent_of(given)?.to_owned();
        let acl = fix_up(create.acl.as_deref(), asker.identities)?;
        let above = self.tree.get(&parent).ok_or_else(|| self.no_parent())?;
        let wanted = if self.has(Mutation::ReadersWrite) {
            Perms::READ
        } else {
            Perms::CREATE
        };
        let may = super::acl::allows(&above.meta.acl, wanted, asker.identities);
        ensure(may, ErrorCode::NoAuth)?;
        let path = self.named(create, given, above);
        ensure(validate(&path).is_ok(), ErrorCode::BadArguments)?;
        ensure(!quota::limits_root(&path), ErrorCode::BadArguments)?;
        ensure(self.tree.get(&path).is_none(), ErrorCode::NodeExists)?;
        let is_barren = matches!(above.meta.fate, Fate::Ephemeral(_));
        let is_barren = is_barren && !self.has(Mutation::EphemeralParents);
        ensure(!is_barren, ErrorCode::NoChildrenForEphemerals)?;

        let zxid = writing.zxid;
        let acl = Arc::from(acl);
        let parent_acl = Arc::clone(&above.meta.acl);
        let meta = Meta {
            data: create.data.clone(),
            acl: Arc::clone(&acl),
            fate,
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: writing.time_ms,
            mtime: writing.time_ms,
            version: 0,
            aversion: 0,
            created: 0,
        };
        self.tree.insert(&path, Znode::new(meta));
        self.gained_child(&parent, zxid);
        let with_stat = create.op != OpCode::Create;
        // Before a usage znode is written over.
        let stat = with_stat.then(|| self.stat(&path));
        self.count_created(&path);
        Ok(Effect {
            outcome: Outcome::Created {
                stat,
                path: path.clone(),
            },
            change: Some(Change {
                kind: ChangeKind::Created,
                path,
                acl,
                parent: Some((parent, parent_acl)),
            }),
        })
    }

    fn no_parent(&self) -> Refusal {
        Refusal(if self.has(Mutation::NoParentIsExists) {
            ErrorCode::NodeExists
        } else {
            ErrorCode::NoNode
        })
    }

    /// What is to become of the znode, by flags that have to fit together.
    fn fate(&self, create: &Create<'_>, writing: Writing<'_>) -> Result<Fate, Refusal> {
        let Create {
            op, flags, ttl_ms, ..
        } = *create;
        ensure((0..=LAST_FLAG).contains(&flags), ErrorCode::BadArguments)?;
        let has_ttl = flags > CONTAINER;
        let fits = match op {
            OpCode::CreateContainer => flags == CONTAINER,
            OpCode::CreateTtl => has_ttl,
            _ => flags != CONTAINER,
        };
        let is_known = !has_ttl || self.settings.extended_types;
        ensure(is_known, ErrorCode::Unimplemented)?;
        ensure(fits || !self.settings.strict_flags, ErrorCode::BadArguments)?;
        let longest = i64::try_from(MAX_TTL.as_millis()).expect("40 bits");
        let agrees = if has_ttl {
            (1..=longest).contains(&ttl_ms)
        } else {
            ttl_ms < 0
        };
        ensure(agrees, ErrorCode::BadArguments)?;
        Ok(match flags {
            1 | 3 => Fate::Ephemeral(writing.asker.session),
            CONTAINER => Fate::Container,
            5 | 6 => Fate::Ttl(ttl_ms),
            _ => Fate::Lasting,
        })
    }

    /// The path, with its number if it is sequential.
    fn named(&self, create: &Create<'_>, given: &str, parent: &Znode) -> String {
        if !matches!(create.flags, 2 | 3 | 6) {
            return given.to_owned();
        }
        let number = match self.settings.mutation {
            Some(Mutation::SequenceFromChildCount) => parent.child_count(),
            Some(Mutation::SequenceCountsDeletes) => parent.cversion(),
            Some(_) | None => parent.meta.created,
        };
        format!("{given}{number:010}")
    }

    /// The counter stops at its end rather than begin anew.
    fn gained_child(&mut self, parent: &str, zxid: Zxid) {
        let keeps = self.has(Mutation::PzxidKeptOnCreate);
        if let Some(meta) = self.tree.change(parent)
            && let Some(created) = meta.created.checked_add(1)
        {
            meta.created = created;
            if !keeps {
                meta.pzxid = zxid;
            }
        }
    }

    /// What the reaper may take at this time: containers that are empty again, and
    /// znodes that have outlived theirs.
    pub fn to_be_reaped(&self, time_ms: i64) -> Vec<String> {
        let below = self.tree.below("/").map(|(path, _)| path);
        let due = below.filter(|path| self.is_to_be_reaped(path, time_ms));
        due.map(str::to_owned).collect()
    }

    /// The transaction that last changed a znode's data, and its time.
    pub fn last_change(&self, path: &str) -> Option<(Zxid, i64)> {
        let meta = &self.tree.get(path)?.meta;
        Some((meta.mzxid, meta.mtime))
    }

    /// Whether that is among what the reaper may take at this time.
    pub fn is_to_be_reaped(&self, path: &str, time_ms: i64) -> bool {
        let Some(node) = self.tree.get(path) else {
            return false;
        };
        let age = time_ms.saturating_sub(node.meta.mtime);
        let is_over = match node.meta.fate {
            Fate::Container if node.meta.created > 0 => true,
            Fate::Container => self
                .settings
                .container_never_used_ms
                .is_some_and(|ms| age > ms),
            Fate::Ttl(ttl_ms) => age > ttl_ms,
            Fate::Lasting | Fate::Ephemeral(_) => false,
        };
        is_over && node.children.is_empty()
    }
}
