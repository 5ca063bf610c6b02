//! The digest of a tree, by which replicas find out that they differ (Apache's
//! `DigestCalculator`, version 2): the sum of a CRC-32 per znode, so that a change costs
//! as much as the znodes it touches.

use super::znode::StatPersisted;

/// The way of calculating it, as files and packets number them.
pub(crate) const DIGEST_VERSION: i32 = 2;

/// What a znode's CRC is before its metadata: that of path and data. Metadata changes
/// more often, and data may be long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ContentDigest(u32);

impl ContentDigest {
    /// Of a znode with this data. Null counts as empty.
    pub(crate) fn new(path: &str, data: Option<&[u8]>) -> Self {
        if is_excluded(path) {
            return Self::default();
        }
        let mut crc = crc32fast::Hasher::new();
        // The root goes by its short name here.
        crc.update(if path == "/" { "" } else { path }.as_bytes());
        crc.update(data.unwrap_or_default());
        Self(crc.finalize())
    }

    fn with(self, stat: &StatPersisted) -> u32 {
        let mut bytes = [0; STAT_LEN];
        let longs = [
            stat.czxid.0,
            stat.mzxid.0,
            stat.pzxid.0,
            stat.ctime,
            stat.mtime,
        ];
        let ints = [stat.version, stat.cversion, stat.aversion];
        let (long_part, rest) = bytes.split_at_mut(8 * longs.len());
        let (int_part, owner) = rest.split_at_mut(4 * ints.len());
        for (field, value) in long_part.chunks_exact_mut(8).zip(longs) {
            field.copy_from_slice(&value.to_be_bytes());
        }
        for (field, value) in int_part.chunks_exact_mut(4).zip(ints) {
            field.copy_from_slice(&value.to_be_bytes());
        }
        owner.copy_from_slice(&stat.ephemeral.persisted_owner().to_be_bytes());
        let mut crc = crc32fast::Hasher::new_with_initial(self.0);
        crc.update(&bytes);
        crc.finalize()
    }
}

/// Six longs and three ints.
const STAT_LEN: usize = 6 * 8 + 3 * 4;

/// The digest of a whole tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TreeDigest(pub(crate) i64);

impl TreeDigest {
    /// The number that Apache shows in hexadecimal.
    pub(crate) const fn to_u64(self) -> u64 {
        self.0 as u64
    }

    /// A znode is there from now on, as it is.
    pub(crate) fn add(&mut self, path: &str, content: ContentDigest, stat: &StatPersisted) {
        if !is_excluded(path) {
            self.0 = self.0.wrapping_add(content.with(stat).into());
        }
    }

    /// A znode is there no longer, as it was.
    pub(crate) fn remove(&mut self, path: &str, content: ContentDigest, stat: &StatPersisted) {
        if !is_excluded(path) {
            self.0 = self.0.wrapping_sub(content.with(stat).into());
        }
    }
}

/// What lies below `/zookeeper` is each server's own.
fn is_excluded(path: &str) -> bool {
    path.starts_with("/zookeeper/")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use zk_proto::{SessionId, Xid, Zxid};

    use super::*;
    use crate::tree::{DataTree, EphemeralType, SeededState};
    use crate::txn::{CreateTxn, TxnHeader};

    /// Numbers of a live Apache 3.9.5.
    #[test]
    fn digests_are_those_of_apache() {
        let mut tree = DataTree::new(SeededState(1));
        assert_eq!(tree.digest(), TreeDigest(0x51c6_d660));
        let header = TxnHeader {
            client: SessionId(1),
            cxid: Xid(3),
            zxid: Zxid(0x1_0000_0002),
            time_ms: 0x1a1_fbd7_35fd,
        };
        let txn = CreateTxn {
            path: "/a".into(),
            data: Some(Box::default()),
            acl: Arc::from([zk_proto::Acl::open()]),
            ephemeral: EphemeralType::Void,
            parent_cversion: 1,
            reply_stat: false,
        };
        tree.create(txn, &header).expect("a fresh tree has room");
        assert_eq!(tree.digest(), TreeDigest(0x2_049c_d9f2));
    }
}
