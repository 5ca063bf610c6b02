//! Several operations in one request.

use zk_client::{CreateMode, Error, ErrorCode, OpResult, Outcome, ReadResult};
use zk_proto::path::sequence;
use zk_tests::{Feature, Target};

const PERSISTENT: CreateMode = CreateMode::Persistent;

#[tokio::test]
async fn a_transaction_applies_all_its_operations_with_a_result_each() {
    let target = Target::start().await;
    let client = target.client().await;
    client.create("/old", b"", PERSISTENT).await.unwrap();
    let transaction = client
        .transaction()
        .check("/old", 0)
        .create("/a", b"1", PERSISTENT)
        .set_data("/a", b"22", 0)
        .create("/a/n-", b"", CreateMode::EphemeralSequential)
        .delete("/old", None);
    let results = transaction.commit().await.unwrap();
    let [
        OpResult::Check,
        OpResult::Create(a),
        OpResult::SetData(stat),
        OpResult::Create(n),
        OpResult::Delete,
    ] = &results[..]
    else {
        panic!("{results:?}");
    };
    assert_eq!((a.as_str(), stat.version, stat.data_length), ("/a", 1, 2));
    assert_eq!(sequence(n), Some(0));
    let (data, read) = client.get_data("/a", None).await.unwrap();
    assert_eq!(&data[..], b"22");
    // One transaction, one zxid.
    assert_eq!(
        (read.czxid, read.mzxid, read.pzxid),
        (stat.mzxid, stat.mzxid, stat.mzxid)
    );
    assert_eq!(client.exists("/old", None).await.unwrap(), None);
}

#[tokio::test]
async fn a_refused_transaction_names_the_operation_and_applies_none() {
    let target = Target::start().await;
    let client = target.client().await;
    client.create("/there", b"", PERSISTENT).await.unwrap();
    for failing in 0..3 {
        let mut transaction = client.transaction();
        for n in 0..3 {
            let path = if n == failing {
                "/there".to_owned()
            } else {
                format!("/{n}")
            };
            transaction = transaction.create(&path, b"", PERSISTENT);
        }
        let error = transaction.commit().await.unwrap_err();
        let Error::Transaction {
            index,
            code,
            ref path,
        } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!(
            (index, code, &**path),
            (failing, ErrorCode::NodeExists, "/there")
        );
        assert_eq!(error.code(), Some(ErrorCode::NodeExists));
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert_eq!(client.get_children("/", None).await.unwrap(), ["there"]);
    }
}

#[tokio::test]
async fn each_kind_of_operation_can_be_the_one_that_fails() {
    let target = Target::start().await;
    let client = target.client().await;
    client.create("/a", b"", PERSISTENT).await.unwrap();
    let refused = [
        (client.transaction().check("/a", 9), ErrorCode::BadVersion),
        (client.transaction().delete("/x", None), ErrorCode::NoNode),
        (
            client.transaction().set_data("/a", b"", 9),
            ErrorCode::BadVersion,
        ),
        (
            client.transaction().create2("/x/y", b"", PERSISTENT),
            ErrorCode::NoNode,
        ),
    ];
    for (transaction, code) in refused {
        let transaction = transaction.create("/later", b"", PERSISTENT);
        let error = transaction.commit().await.unwrap_err();
        assert!(
            matches!(error, Error::Transaction { index: 0, .. }),
            "{error:?}"
        );
        assert_eq!(error.code(), Some(code));
    }
    assert_eq!(client.exists("/later", None).await.unwrap(), None);
}

#[tokio::test]
async fn an_empty_transaction_succeeds() {
    let target = Target::start().await;
    let client = target.client().await;
    assert_eq!(client.transaction().commit().await.unwrap(), []);
}

#[tokio::test]
async fn create2_in_a_transaction_answers_with_the_stat_where_servers_do() {
    let target = Target::start().await;
    let client = target.client().await;
    let results = client
        .transaction()
        .create2("/a", b"xyz", PERSISTENT)
        .commit()
        .await
        .unwrap();
    match &results[..] {
        [OpResult::Create2(path, stat)] => {
            assert_eq!(path, "/a");
            let has = target.has(Feature::StatFromCreate2InMulti);
            let expected = client.exists("/a", None).await.unwrap().filter(|_| has);
            assert_eq!(*stat, expected);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn containers_and_ttl_znodes_can_be_made_in_a_transaction() {
    let target = Target::start().await;
    let client = target.client().await;
    let ttl = CreateMode::PersistentWithTtl(std::time::Duration::from_secs(3600));
    let transaction = client
        .transaction()
        .create("/container", b"", CreateMode::Container)
        .create("/ttl", b"", ttl)
        .create("/mine", b"", CreateMode::Ephemeral);
    assert_eq!(transaction.commit().await.unwrap().len(), 3);
    let mut children = client.get_children("/", None).await.unwrap();
    children.sort();
    assert_eq!(children, ["container", "mine", "ttl"]);
}

#[tokio::test]
async fn reads_in_one_request_succeed_or_fail_each_for_itself() {
    let target = Target::start().await;
    let client = target.client().await;
    client.create("/a", b"data", PERSISTENT).await.unwrap();
    client.create("/a/b", b"", PERSISTENT).await.unwrap();
    // On servers without multiRead the client reads one by one.
    let reads = client
        .multi_read()
        .get_data("/a")
        .get_children("/x")
        .get_children("/a")
        .get_data("/x");
    let results = reads.send().await.unwrap();
    let [
        ReadResult::Data(data, stat),
        ReadResult::Error(missing),
        ReadResult::Children(names),
        ReadResult::Error(also),
    ] = &results[..]
    else {
        panic!("{results:?}");
    };
    assert_eq!((&data[..], stat.num_children), (&b"data"[..], 1));
    assert_eq!((missing, also), (&ErrorCode::NoNode, &ErrorCode::NoNode));
    assert_eq!(names, &["b"]);
    assert_eq!(client.multi_read().send().await.unwrap(), []);
}

#[tokio::test]
async fn a_transaction_with_a_bad_argument_is_not_sent() {
    let target = Target::start().await;
    let client = target.client().await;
    let transaction = client
        .transaction()
        .create("/a", b"", PERSISTENT)
        .delete("bad", None);
    let error = transaction.commit().await.unwrap_err();
    assert!(matches!(error, Error::InvalidPath(_)), "{error:?}");
    assert_eq!(client.exists("/a", None).await.unwrap(), None);
}

#[tokio::test]
async fn many_operations_fit_into_one_transaction() {
    let target = Target::start().await;
    let client = target.client().await;
    let mut transaction = client.transaction();
    for n in 0..1000 {
        transaction = transaction.create(&format!("/{n}"), b"x", PERSISTENT);
    }
    assert_eq!(transaction.commit().await.unwrap().len(), 1000);
    assert_eq!(
        client
            .exists("/", None)
            .await
            .unwrap()
            .unwrap()
            .num_children,
        1000
    );
}
