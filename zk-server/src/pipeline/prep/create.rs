//! create in all its kinds.

use std::sync::Arc;

use zk_proto::{ErrorCode, Perms};

use super::{NULL, Preparing, owned, parent_of, validate};
use crate::pipeline::outstanding::ChangeRecord;
use crate::pipeline::request::{Create, CreateOp};
use crate::tree::{ContentDigest, EphemeralType, LIMIT_NODE, QUOTA_ROOT, StatPersisted};
use crate::txn::{Change, CreateTxn};

/// The longest time to live, 40 bits of milliseconds.
const MAX_TTL_MS: i64 = 0xff_ffff_ffff;

/// What the flags of a create ask for. On the wire an enumeration, not bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Persistent,
    Ephemeral,
    Container,
    Ttl,
}

impl Kind {
    /// The kind, and whether the name gets a suffix.
    const fn from_flags(flags: i32) -> Option<(Self, bool)> {
        match flags {
            0 => Some((Self::Persistent, false)),
            1 => Some((Self::Ephemeral, false)),
            2 => Some((Self::Persistent, true)),
            3 => Some((Self::Ephemeral, true)),
            4 => Some((Self::Container, false)),
            5 => Some((Self::Ttl, false)),
            6 => Some((Self::Ttl, true)),
            _ => None,
        }
    }

    /// Whether this operation creates this kind. Apache lets some misfits pass,
    /// whose transactions then disagree with its own digest of the tree.
    const fn fits(self, op: CreateOp) -> bool {
        match op {
            CreateOp::Create | CreateOp::Create2 => {
                matches!(self, Self::Persistent | Self::Ephemeral)
            }
            CreateOp::CreateContainer => matches!(self, Self::Container),
            CreateOp::CreateTtl => matches!(self, Self::Ttl),
        }
    }
}

impl Preparing<'_> {
    /// Checks, in this order: flags, session, path, ACL, parent, permission on the
    /// parent, the final path, whether it is taken, an ephemeral parent, quota.
    pub(super) fn create(&mut self, create: &Create<'_>) -> Result<Change, ErrorCode> {
        let (kind, is_sequential) = self.create_kind(create)?;
        match kind {
            Kind::Ephemeral => self
                .world
                .sessions
                .check_global(self.who.session, self.who.origin)?,
            Kind::Persistent | Kind::Container | Kind::Ttl => self.check_session()?,
        }
        let given = create.path.as_deref().ok_or(NULL)?;
        let parent_path = parent_of(given)?;
        let acl = self.fixup(create.acl.as_deref())?;
        let mut parent = self.record(parent_path)?;
        self.check_acl(&parent.acl, Perms::CREATE)?;
        let path = final_path(given, is_sequential.then(|| self.suffix_of(&parent)));
        validate(&path)?;
        if self.pending.record(&path).is_some() {
            return Err(ErrorCode::NodeExists);
        }
        if parent.stat.ephemeral.forbids_children() {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        refuse_root_limits(&path)?;
        let data = create.data.as_deref();
        let data_len = data.map_or(0, <[u8]>::len);
        self.check_quota(&path, 1, data_len, 0)?;

        let ephemeral = match kind {
            Kind::Persistent => EphemeralType::Void,
            Kind::Ephemeral => EphemeralType::Normal(self.who.session),
            Kind::Container => EphemeralType::Container,
            Kind::Ttl => EphemeralType::Ttl {
                ttl_ms: create.ttl_ms,
            },
        };
        if is_sequential || !self.rules.probe.has_planted("server: cversion not counted") {
            parent.stat.cversion = parent.stat.cversion.wrapping_add(1);
        }
        parent.stat.pzxid = self.header.zxid;
        parent.child_count += 1;
        let parent_cversion = parent.stat.cversion;
        self.pending.put_parent(parent_path, parent);
        let record = ChangeRecord {
            stat: StatPersisted::created(self.header.zxid, self.header.time_ms, ephemeral),
            child_count: 0,
            acl: Arc::clone(&acl),
            data_len,
            content: ContentDigest::new(&path, data),
        };
        self.pending.put(Arc::clone(&path), Some(record));
        Ok(Change::Create(CreateTxn {
            path,
            data: owned(data),
            acl,
            ephemeral,
            parent_cversion,
            reply_stat: create.op != CreateOp::Create,
        }))
    }

    /// What the name of a sequential child ends with: how many children there have
    /// been, and not how many there are.
    fn suffix_of(&self, parent: &ChangeRecord) -> i32 {
        let probe = &self.rules.probe;
        if probe.has_planted("server: sequence number reused") {
            return i32::try_from(parent.child_count).unwrap_or(i32::MAX);
        }
        parent.stat.cversion
    }

    /// What is to be created, if flags, operation and time to live agree.
    fn create_kind(&self, create: &Create<'_>) -> Result<(Kind, bool), ErrorCode> {
        let (kind, is_sequential) =
            Kind::from_flags(create.flags).ok_or(ErrorCode::BadArguments)?;
        let is_ttl = kind == Kind::Ttl;
        if is_ttl && !self.rules.extended_types {
            return Err(ErrorCode::Unimplemented);
        }
        let is_ttl_valid = is_ttl && (1..=MAX_TTL_MS).contains(&create.ttl_ms);
        if is_ttl != is_ttl_valid || !kind.fits(create.op) {
            return Err(ErrorCode::BadArguments);
        }
        Ok((kind, is_sequential))
    }
}

/// The path with the parent's count of creations so far: ten digits, more with a
/// sign once the counter has wrapped.
fn final_path(given: &str, counter: Option<i32>) -> Arc<str> {
    match counter {
        Some(counter) => format!("{given}{counter:010}").into(),
        None => given.into(),
    }
}

/// Limits for the root: Apache's server dies of applying that.
fn refuse_root_limits(path: &str) -> Result<(), ErrorCode> {
    let parent_and_name = path.rsplit_once('/');
    if parent_and_name == Some((QUOTA_ROOT, LIMIT_NODE)) {
        return Err(ErrorCode::BadArguments);
    }
    Ok(())
}
