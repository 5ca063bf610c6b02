//! Whose names the contenders of a lock-like recipe carry, and whose they respect.

use zk_client::{Client, ProtectedId};

use crate::layout::{Mark, Marks, Role};
use crate::parents::Parents;

/// Whose names are written, and whose are respected when it is decided whose turn it is.
///
/// Programs that share a path exclude each other only if each respects the names
/// of the others. Within one dialect they do. Curator and kazoo do not respect each other
/// whatever we do: on one path that mix is unsafe by itself.
///
/// | dialect | writes, for a mutex | respects, for a mutex |
/// |---|---|---|
/// | `Curator` | `_c_<uuid>-lock-<S>` | `lock-` (Curator, go-zookeeper, kezhuw) |
/// | `GoZk` | `_c_<32 hex>-lock-<S>` | `lock-`, `__lock__`, `__rlock__`, `__READ__`, `__WRIT__` |
/// | `Kazoo` | `<32 hex>__lock__<S>` | `__lock__`, `__rlock__` |
/// | `ZkJava` | `x-<session id>-<32 hex>-<S>` | every name that ends in `-<S>` |
/// | `Any` | `_c_<uuid>-lock-<S>` | all of the above |
///
/// Under `Curator` the parent of the contenders is a container, which the server reaps once it is
/// empty; under the others it is persistent and stays, since those libraries do not make it anew.
///
/// Under `Any`, kazoo peers must be told to respect our names:
/// `Lock(…, extra_lock_patterns=["-lock-"])`; kazoo as it comes does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// Apache Curator's names, and kezhuw's Rust client's in its Curator mode.
    #[default]
    Curator,
    /// kazoo's names (Python).
    Kazoo,
    /// go-zookeeper's names (`zk.Lock`). As there, whatever carries a sequence after its last
    /// `__` is respected too.
    GoZk,
    /// The names of `WriteLock` in ZooKeeper's own recipes (Java), which respects every
    /// sequence after a last dash.
    ZkJava,
    /// Writes Curator's names and respects everybody's.
    Any,
}

impl Dialect {
    /// The marks of this dialect for a role; `None` where its library has no such recipe.
    pub(crate) const fn marks(self, role: Role) -> Option<Marks> {
        use Mark::{Dashed, Ending};
        const LOCK: Mark = Ending("lock-");
        const READ: Mark = Ending("__READ__");
        const WRITE: Mark = Ending("__WRIT__");
        const KAZOO: Mark = Ending("__lock__");
        const KAZOO_READ: Mark = Ending("__rlock__");
        let (name, exclusive, shared): (_, &[Mark], &[Mark]) = match (self, role) {
            (Self::Curator, Role::Lock) => ("lock-", &[LOCK], &[]),
            (Self::GoZk, Role::Lock) => ("lock-", &[LOCK, KAZOO, WRITE], &[KAZOO_READ, READ]),
            (Self::Kazoo, Role::Lock | Role::Latch | Role::Write) => {
                ("__lock__", &[KAZOO], &[KAZOO_READ])
            }
            (Self::Kazoo, Role::Read) => ("__rlock__", &[KAZOO], &[KAZOO_READ]),
            (Self::ZkJava, Role::Lock) => ("", &[Dashed("")], &[]),
            (Self::Any, Role::Lock) => (
                "lock-",
                &[LOCK, KAZOO, WRITE, Dashed("x-")],
                &[KAZOO_READ, READ],
            ),
            (Self::Curator, Role::Latch) => ("latch-", &[Ending("latch-")], &[]),
            (Self::Any, Role::Latch) => ("latch-", &[Ending("latch-"), KAZOO], &[KAZOO_READ]),
            (Self::Curator, Role::Write) => ("__WRIT__", &[WRITE], &[READ]),
            (Self::Curator, Role::Read) => ("__READ__", &[WRITE], &[READ]),
            (Self::Any, Role::Write) => (
                "__WRIT__",
                &[WRITE, LOCK, KAZOO, Dashed("x-")],
                &[READ, KAZOO_READ],
            ),
            (Self::Any, Role::Read) => (
                "__READ__",
                &[WRITE, LOCK, KAZOO, Dashed("x-")],
                &[READ, KAZOO_READ],
            ),
            (Self::Curator | Self::Any, Role::Lease) => ("lease-", &[Ending("lease-")], &[]),
            (Self::GoZk | Self::ZkJava, Role::Latch | Role::Read | Role::Write | Role::Lease)
            | (Self::Kazoo, Role::Lease) => return None,
        };
        Some(Marks {
            name,
            exclusive,
            shared,
        })
    }

    pub(crate) const fn parents(self) -> Parents {
        match self {
            Self::Curator => Parents::Reaped,
            Self::Kazoo | Self::GoZk | Self::ZkJava | Self::Any => Parents::Lasting,
        }
    }

    /// An id for a new contender, in the style of this dialect's names.
    pub(crate) fn new_id(self, client: &Client) -> ProtectedId {
        match self {
            Self::Curator | Self::Any => ProtectedId::new(client),
            Self::Kazoo => ProtectedId::kazoo(client),
            Self::GoZk => ProtectedId::go_zk(client),
            Self::ZkJava => ProtectedId::zk_java(client),
        }
    }
}
