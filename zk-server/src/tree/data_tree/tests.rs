//! The arithmetic of metadata, at its limits too, and what hangs off the znodes.

use super::*;
use crate::tree::znode::EphemeralType::{Container, Normal, Ttl, Void};

const S: SessionId = SessionId(5);

fn tree() -> DataTree {
    DataTree::new(SeededState(11))
}

fn header(zxid: i64) -> TxnHeader {
    TxnHeader {
        client: S,
        cxid: Xid(1),
        zxid: Zxid(zxid),
        time_ms: 1000 + zxid,
    }
}

fn create_txn(path: &str, ephemeral: EphemeralType, parent_cversion: i32) -> CreateTxn {
    CreateTxn {
        path: path.into(),
        data: Some(Box::from(*b"abc")),
        acl: open_acl(),
        ephemeral,
        parent_cversion,
        reply_stat: true,
    }
}

fn create(tree: &mut DataTree, path: &str, ephemeral: EphemeralType, zxid: i64) -> Stat {
    let parent_cversion = tree.node(split(path).unwrap().0).unwrap().stat.cversion + 1;
    let txn = create_txn(path, ephemeral, parent_cversion);
    tree.create(txn, &header(zxid)).unwrap().stat
}

#[test]
fn a_new_znode_owes_everything_to_its_transaction() {
    let mut tree = tree();
    let stat = create(&mut tree, "/a", Void, 7);
    assert_eq!(
        stat,
        Stat {
            czxid: Zxid(7),
            mzxid: Zxid(7),
            pzxid: Zxid(7),
            ctime: 1007,
            mtime: 1007,
            version: 0,
            cversion: 0,
            aversion: 0,
            ephemeral_owner: SessionId::NONE,
            data_length: 3,
            num_children: 0,
        }
    );
    let root = tree.node("").unwrap().client_stat();
    assert_eq!((root.cversion, root.num_children), (0, 2));
    assert_eq!((root.pzxid, root.mzxid), (Zxid(7), Zxid(0)));
}

#[test]
fn the_count_of_creations_never_falls_and_pzxid_goes_with_it() {
    let mut tree = tree();
    create(&mut tree, "/p", Void, 1);
    let mut child = |name: &str, cversion, zxid| {
        let path = format!("/p/{name}");
        tree.create(create_txn(&path, Void, cversion), &header(zxid))
            .unwrap();
        let parent = tree.node("/p").unwrap();
        (
            parent.stat.cversion,
            parent.stat.pzxid,
            parent.client_stat().cversion,
        )
    };
    assert_eq!(child("a", i32::MAX, 2), (i32::MAX, Zxid(2), -3));
    assert_eq!(
        child("b", i32::MIN, 3),
        (i32::MAX, Zxid(2), -4),
        "stands still"
    );
}

#[test]
fn a_deletion_moves_pzxid_but_not_the_count() {
    let mut tree = tree();
    create(&mut tree, "/p", Void, 1);
    create(&mut tree, "/p/c", Void, 2);
    tree.delete("/p/c", &header(3)).unwrap();
    let parent = tree.node("/p").unwrap();
    assert_eq!((parent.stat.cversion, parent.stat.pzxid), (1, Zxid(3)));
    assert_eq!(parent.client_stat().cversion, 2);
    assert_eq!(
        tree.delete("/p/c", &header(4)).unwrap_err(),
        ErrorCode::NoNode
    );
}

#[test]
fn only_real_ephemerals_show_an_owner() {
    let mut tree = tree();
    for (path, kind, owner) in [
        ("/e", Normal(S), S),
        ("/c", Container, SessionId::NONE),
        ("/t", Ttl { ttl_ms: 9 }, SessionId::NONE),
    ] {
        assert_eq!(create(&mut tree, path, kind, 1).ephemeral_owner, owner);
    }
    let of_session: Vec<_> = tree.ephemerals().of_session(S).collect();
    assert_eq!(of_session, [&Arc::from("/e")]);
    assert_eq!(tree.ephemerals().containers().count(), 1);
    assert_eq!(tree.ephemerals().ttls().count(), 1);
    for path in ["/e", "/c", "/t"] {
        tree.delete(path, &header(2)).unwrap();
    }
    assert_eq!(tree.ephemerals().count(), 0);
    assert_eq!(tree.ephemerals().by_session().count(), 1, "until it ends");
    assert!(tree.remove_session(S).is_empty());
    assert_eq!(tree.ephemerals().by_session().count(), 0);
    assert_eq!(tree.ephemerals().containers().count(), 0);
    assert_eq!(tree.ephemerals().ttls().count(), 0);
}

#[test]
fn a_transaction_that_does_not_fit_is_refused() {
    let mut tree = tree();
    create(&mut tree, "/a", Void, 1);
    let mut refused = |path| {
        tree.create(create_txn(path, Void, 1), &header(2))
            .unwrap_err()
    };
    assert_eq!(refused("/a"), ErrorCode::NodeExists);
    assert_eq!(refused("/b/c"), ErrorCode::NoNode);
    assert_eq!(refused("none"), ErrorCode::NoNode);
}

#[test]
fn sizes_and_counts_come_back_to_where_they_were() {
    let mut tree = tree();
    assert_eq!((tree.node_count(), tree.data_size()), (5, 44));
    for path in [
        "/zookeeper/quota/q",
        "/zookeeper/quota/q/zookeeper_limits",
        "/zookeeper/quota/q/zookeeper_stats",
        "/q",
        "/q/a",
    ] {
        create(&mut tree, path, Void, 1);
    }
    let txn = SetDataTxn {
        path: "/q/a".into(),
        data: Some(vec![0; 100].into()),
        version: 1,
    };
    tree.set_data(txn, &header(2)).unwrap();
    assert_eq!(
        tree.node("/zookeeper/quota/q/zookeeper_stats")
            .unwrap()
            .data
            .as_deref(),
        Some(b"count=2,bytes=103".as_slice())
    );
    for path in [
        "/q/a",
        "/q",
        "/zookeeper/quota/q/zookeeper_stats",
        "/zookeeper/quota/q/zookeeper_limits",
        "/zookeeper/quota/q",
    ] {
        tree.delete(path, &header(3)).unwrap();
    }
    assert_eq!((tree.node_count(), tree.data_size()), (5, 44));
}

#[test]
fn texts_that_are_no_paths_name_nothing() {
    let tree = tree();
    assert!(tree.node("").is_some() && tree.node("/").is_some());
    for path in ["//", "zookeeper", "/zookeeper/", "//zookeeper", "/\0"] {
        assert!(tree.node(path).is_none(), "{path}");
    }
}
