//! ACLs as znodes hold them: shared lists, because a tree of a million znodes
//! has a handful of different ones.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use zk_proto::{Acl, AclId};

use super::hashing::SeededState;

/// A znode's ACL, shared by all znodes with an equal one.
pub(crate) type AclList = Arc<[Acl]>;

/// `world:anyone`, all permissions: what the built-in znodes have.
pub(crate) fn open_acl() -> AclList {
    Arc::from([Acl::open()])
}

/// The lists in use, each with the number of znodes that have it.
#[derive(Debug)]
pub(crate) struct AclCache {
    lists: HashMap<AclList, usize, SeededState>,
}

impl AclCache {
    pub(crate) fn new(hashing: SeededState) -> Self {
        Self {
            lists: HashMap::with_hasher(hashing),
        }
    }

    /// The shared list equal to `acl`, for one znode more.
    pub(crate) fn add_usage(&mut self, acl: AclList) -> AclList {
        match self.lists.entry(acl) {
            Entry::Occupied(mut entry) => {
                *entry.get_mut() += 1;
                Arc::clone(entry.key())
            }
            Entry::Vacant(entry) => {
                let shared = Arc::clone(entry.key());
                entry.insert(1);
                shared
            }
        }
    }

    /// The lists in use.
    pub(crate) fn lists(&self) -> impl Iterator<Item = AclList> {
        self.lists.keys().cloned()
    }

    /// One znode less has this list.
    pub(crate) fn remove_usage(&mut self, acl: &AclList) {
        let Some(znodes) = self.lists.get_mut(acl) else {
            return;
        };
        *znodes -= 1;
        if *znodes == 0 {
            self.lists.remove(acl);
        }
    }
}

/// The list as those see it who have no ADMIN: ids of scheme `digest` show the
/// user alone (ZOOKEEPER-1392, CVE-2019-0201).
pub(crate) fn masked(acl: &[Acl]) -> Vec<Acl> {
    acl.iter()
        .map(|entry| match entry.id.scheme.as_str() {
            "digest" => Acl::new(entry.perms, AclId::new("digest", mask_digest(&entry.id.id))),
            _ => entry.clone(),
        })
        .collect()
}

/// From each colon to the end of its line: `:x`. Java's pattern `:.*` stops at
/// line ends, and an id may contain some.
fn mask_digest(id: &str) -> String {
    const LINE_ENDS: [char; 5] = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
    id.split_inclusive(LINE_ENDS)
        .map(|line| {
            let text = line.trim_end_matches(LINE_ENDS);
            match text.split_once(':') {
                Some((user, _)) => Cow::Owned([user, ":x", &line[text.len()..]].concat()),
                None => Cow::Borrowed(line),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use zk_proto::Perms;

    use super::*;

    #[test]
    fn equal_lists_are_shared_and_forgotten_with_their_last_znode() {
        let mut cache = AclCache::new(SeededState(1));
        let first = cache.add_usage(open_acl());
        let second = cache.add_usage(open_acl());
        assert!(Arc::ptr_eq(&first, &second));
        cache.remove_usage(&first);
        assert_eq!(cache.lists.len(), 1);
        cache.remove_usage(&second);
        assert!(cache.lists.is_empty());
    }

    #[test]
    fn digests_are_masked_and_other_schemes_are_not() {
        let ip = Acl::new(Perms::READ, AclId::new("ip", "10.0.0.1"));
        let acl = [
            Acl::new(Perms::ALL, AclId::new("digest", "own:WB9qm:more")),
            ip.clone(),
        ];
        let shown = masked(&acl);
        assert_eq!(shown[0].id, AclId::new("digest", "own:x"));
        assert_eq!(shown[1], ip);
        assert_eq!(mask_digest("a:secret\nb:secret\n"), "a:x\nb:x\n");
        assert_eq!(mask_digest("nobody"), "nobody");
    }
}
