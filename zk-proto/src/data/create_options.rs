//! How to create a znode.

use super::{Acl, CreateMode, open_acl};

/// How to create a znode: its kind and its ACL, open unless told otherwise.
///
/// ```
/// use zk_proto::{Acl, CreateMode, CreateOptions};
/// let open: CreateOptions = CreateMode::Ephemeral.into();
/// let own = CreateMode::Persistent.with_acl(vec![Acl::creator_all()]);
/// assert_ne!(open.acl(), own.acl());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateOptions {
    mode: CreateMode,
    /// `None` is the open ACL, which most znodes have.
    acl: Option<Vec<Acl>>,
}

impl CreateOptions {
    /// The kind of znode.
    pub const fn mode(&self) -> CreateMode {
        self.mode
    }

    /// The ACL.
    pub fn acl(&self) -> Vec<Acl> {
        self.acl.clone().unwrap_or_else(open_acl)
    }

    /// The ACL, unless it is the open one by default.
    pub fn chosen_acl(&self) -> Option<&[Acl]> {
        self.acl.as_deref()
    }

    /// Replaces the ACL.
    #[must_use]
    pub fn with_acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = Some(acl);
        self
    }
}

impl From<CreateMode> for CreateOptions {
    fn from(mode: CreateMode) -> Self {
        Self { mode, acl: None }
    }
}

impl CreateMode {
    /// Options of this mode with an ACL.
    pub fn with_acl(self, acl: Vec<Acl>) -> CreateOptions {
        CreateOptions::from(self).with_acl(acl)
    }
}
