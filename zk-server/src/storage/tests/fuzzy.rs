//! S23: snapshots of a tree that changes while they are written.

use std::collections::BTreeMap;

use super::*;
use crate::txn::SetAclTxn;

/// A tree that goes on whenever it is looked at.
pub(super) struct Moving {
    pub(super) tree: DataTree,
    watches: Watches,
    pub(super) txns: Vec<Txn>,
    pub(super) applied: usize,
}

impl Moving {
    /// A tree that has seen the first `applied` of these.
    pub(super) fn new(txns: Vec<Txn>, applied: usize) -> Self {
        let mut moving = Self {
            tree: DataTree::new(HASHING),
            watches: Watches::new(HASHING),
            txns,
            applied: 0,
        };
        moving.go_on(applied);
        moving
    }

    /// Applies the next `count` transactions, as far as there are any.
    pub(super) fn go_on(&mut self, count: usize) {
        for txn in self.txns.iter().skip(self.applied).take(count) {
            let txn = txn.clone();
            let _ = apply(txn, &mut self.tree, &mut self.watches, &mut NoWatchers);
            self.applied += 1;
        }
    }
}

impl SnapshotSource for Moving {
    fn begin(&mut self) -> SnapshotBeginning {
        SnapshotBeginning::of(&self.tree, vec![(SESSION, 6000)])
    }

    fn with_tree(&mut self, look: &mut dyn FnMut(&DataTree)) {
        look(&self.tree);
        self.go_on(10);
    }
}

/// Creates, deletes, writes, ACLs and multis over few names, so that everything happens to
/// everything.
pub(super) fn history(seed: u64, len: i64) -> Vec<Txn> {
    let mut rng = zk_env::EnvRng::from_seed(seed);
    let mut tree = DataTree::new(HASHING);
    let mut watches = Watches::new(HASHING);
    let mut txns: Vec<Txn> = Vec::new();
    for zxid in 1..=len {
        let header = TxnHeader {
            client: SESSION,
            cxid: Xid(0),
            zxid: Zxid(zxid),
            time_ms: zxid,
        };
        let body = if zxid == 1 {
            TxnBody::CreateSession { timeout_ms: 6000 }
        } else {
            body(&mut rng, &tree)
        };
        let txn = Txn {
            header,
            body,
            digest: None,
        };
        let _ = apply(txn.clone(), &mut tree, &mut watches, &mut NoWatchers);
        txns.push(Txn {
            digest: Some(tree.digest()),
            ..txn
        });
    }
    txns
}

fn body(rng: &mut zk_env::EnvRng, tree: &DataTree) -> TxnBody {
    let parent = match rng.below(3) {
        0 => "/".to_owned(),
        _ => format!("/p{}", rng.below(4)),
    };
    let path = match &parent[..] {
        "/" => format!("/p{}", rng.below(4)),
        parent => format!("{parent}/c{}", rng.below(3)),
    };
    let acl = |perms| Arc::from([Acl::new(zk_proto::Perms(perms), zk_proto::AclId::anyone())]);
    match (tree.node(&path), tree.node(&parent)) {
        (Some(node), _) if node.children.is_empty() && rng.below(2) == 0 => {
            let delete = Change::Delete {
                path: path.into(),
                by_reaper: false,
            };
            TxnBody::Multi(vec![delete])
        }
        (Some(node), _) if rng.below(2) == 0 => TxnBody::SetAcl(SetAclTxn {
            path: path.into(),
            acl: acl(rng.below(31) as i32),
            aversion: node.stat.aversion + 1,
        }),
        (Some(node), _) => TxnBody::Change(Change::SetData(SetDataTxn {
            path: path.into(),
            data: Some(vec![1; 40_000].into()),
            version: node.stat.version + 1,
        })),
        (None, Some(parent)) => TxnBody::Change(Change::Create(CreateTxn {
            path: path.into(),
            data: Some(vec![2; 70_000].into()),
            acl: acl(31),
            ephemeral: EphemeralType::Void,
            parent_cversion: parent.stat.cversion + 1,
            reply_stat: rng.below(2) == 0,
        })),
        (None, None) => TxnBody::Error(zk_proto::ErrorCode::NoNode),
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen(BTreeMap<String, String>);

/// All that a client could see, and what it could not.
pub(super) fn seen(tree: &DataTree) -> Seen {
    let node = |path: &Arc<str>| {
        let node = tree.node(path).expect("listed");
        let text = format!("{:?} {:?} {:?}", node.stat, node.acl, node.data_len());
        (path.to_string(), text)
    };
    Seen(tree.paths().map(node).collect())
}

#[test]
fn the_log_mends_whatever_a_snapshot_has_caught_halfway() {
    for seed in 0..40 {
        on_host(seed, async |host| {
            let dir = fresh_dir(&host).await.expect("a disk that works");
            let txns = history(seed, 120);
            let mut log = log_of(&dir);
            for txn in &txns {
                let mut payload = BytesMut::new();
                encode_txn(txn, &mut payload);
                log.append(txn.header.zxid, &payload);
            }
            log.flush().await.expect("a disk that works");
            let mut moving = Moving::new(txns, 50);
            let zxid = write_snapshot(&dir, &mut moving)
                .await
                .expect("a disk that works");
            assert_eq!(zxid, Zxid(50));
            assert!(moving.applied > 60, "nothing happened meanwhile");
            moving.go_on(usize::MAX);
            let recovered = recovered(&dir).await.expect("undamaged");
            assert_eq!(recovered.replayed, 70);
            assert_eq!(seen(&recovered.tree), seen(&moving.tree));
            assert_eq!(recovered.digest_mismatch, None);
        });
    }
}
