//! Servers that lack an operation: learned once per address, and never a loop of
//! reconnections.

use zk_client::{
    AddWatchMode, CreateMode, Error, EventType, KeeperState, OpResult, ReadResult, Watcher,
};
use zk_proto::OpCode;
use zk_tests::target::connect;
use zk_tests::wait::{eventually, next_event, until_connected};
use zk_tests::{Cut, Feature, Proxy, Tap, Target};

/// What came after 3.4.
const SINCE_3_5: &[OpCode] = &[
    OpCode::Create2,
    OpCode::CheckWatches,
    OpCode::RemoveWatches,
    OpCode::CreateContainer,
    OpCode::CreateTtl,
    OpCode::MultiRead,
    OpCode::GetEphemerals,
    OpCode::GetAllChildrenNumber,
    OpCode::SetWatches2,
    OpCode::AddWatch,
    OpCode::WhoAmI,
];

#[tokio::test]
async fn create2_falls_back_to_create_and_exists() {
    let target = Target::start().await;
    let tap = Tap::lacking(target.host(), SINCE_3_5).await;
    let client = target.client_through(&tap.host()).await;
    let id = client.session_id();
    for _ in 0..3 {
        let created = client
            .create2("/n-", b"xy", CreateMode::EphemeralSequential)
            .await;
        let (path, stat) = created.unwrap();
        assert_eq!(client.exists(&path, None).await.unwrap(), Some(stat));
    }
    assert_eq!(client.get_children("/", None).await.unwrap().len(), 3);
    // Asked once, which cost one connection, and not the session.
    assert_eq!((tap.count(OpCode::Create2), tap.connections()), (1, 2));
    assert_eq!(client.session_id(), id);
}

#[tokio::test]
async fn multi_read_falls_back_to_single_reads() {
    let target = Target::start().await;
    let tap = Tap::lacking(target.host(), SINCE_3_5).await;
    let client = target.client_through(&tap.host()).await;
    client.set_data("/", b"data", None).await.unwrap();
    for _ in 0..2 {
        let reads = client
            .multi_read()
            .get_data("/")
            .get_children("/x")
            .get_children("/");
        let results = reads.send().await.unwrap();
        let [
            ReadResult::Data(data, _),
            ReadResult::Error(_),
            ReadResult::Children(names),
        ] = &results[..]
        else {
            panic!("{results:?}");
        };
        assert_eq!((&data[..], names.len()), (&b"data"[..], 0));
    }
    assert_eq!((tap.count(OpCode::MultiRead), tap.connections()), (1, 2));
}

#[tokio::test]
async fn who_am_i_falls_back_to_what_was_presented() {
    let target = Target::start().await;
    let tap = Tap::lacking(target.host(), SINCE_3_5).await;
    let builder = target.builder_through(&tap.host());
    let client = connect(builder.auth("digest", b"user:password")).await;
    for _ in 0..2 {
        let identities = client.who_am_i().await.unwrap();
        assert!(
            identities
                .iter()
                .any(|id| id.auth_scheme == "digest" && id.user == "user")
        );
    }
    assert_eq!((tap.count(OpCode::WhoAmI), tap.connections()), (1, 2));
}

#[tokio::test]
async fn what_has_no_substitute_is_unsupported_and_says_what() {
    let target = Target::start().await;
    let tap = Tap::lacking(target.host(), SINCE_3_5).await;
    let client = target.client_through(&tap.host()).await;
    let watcher = Watcher::new();
    for _ in 0..2 {
        let refused = [
            client
                .add_watch("/", AddWatchMode::Persistent, &watcher)
                .await
                .err(),
            client.get_ephemerals("/").await.err(),
            client.get_all_children_number("/").await.err(),
            client.create("/c", b"", CreateMode::Container).await.err(),
        ];
        for error in refused {
            assert!(
                matches!(error, Some(Error::Unsupported { .. })),
                "{error:?}"
            );
        }
    }
    // Four operations learned, at the price of a connection each.
    assert_eq!(tap.connections(), 5);
    client.get_data("/", None).await.unwrap();
}

#[tokio::test]
async fn calls_around_one_that_is_lacking_are_answered_in_order_and_none_is_lost() {
    let target = Target::start().await;
    let tap = Tap::lacking(target.host(), SINCE_3_5).await;
    let client = target.client_through(&tap.host()).await;
    let before: Vec<_> = (0..50).map(|n| client.set_data("/", b"x", n)).collect();
    let lacking = client.create2("/a", b"1", CreateMode::Persistent);
    let read = client.get_data("/a", None);
    let after: Vec<_> = (50..100).map(|n| client.set_data("/", b"x", n)).collect();
    for write in before {
        write.await.unwrap();
    }
    assert_eq!(lacking.await.unwrap().0, "/a");
    assert_eq!(&read.await.unwrap().0[..], b"1");
    for write in after {
        write.await.unwrap();
    }
}

#[tokio::test]
async fn what_was_learned_is_remembered_for_later_sessions_on_that_server() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let tap = Tap::lacking(&proxy.host(), SINCE_3_5).await;
    let client = target.client_through(&tap.host()).await;
    client
        .create2("/a", b"", CreateMode::Persistent)
        .await
        .unwrap();
    proxy.cut(Cut::Reset);
    eventually("the next connection", async || tap.connections() == 3).await;
    client
        .create2("/b", b"", CreateMode::Persistent)
        .await
        .unwrap();
    let epoch = client.epoch();
    target.expire(&client).await;
    eventually("a new session", async || client.epoch() > epoch).await;
    client
        .create2("/c", b"", CreateMode::Persistent)
        .await
        .unwrap();
    assert_eq!(tap.count(OpCode::Create2), 1);
}

#[tokio::test]
async fn another_server_is_asked_for_itself() {
    let target = Target::start().await;
    let (old, new) = (
        Tap::lacking(target.host(), SINCE_3_5).await,
        Tap::start(target.host()).await,
    );
    let client = target.client_through(&old.host()).await;
    client
        .create2("/a", b"", CreateMode::Persistent)
        .await
        .unwrap();
    client.update_hosts(&new.host()).unwrap();
    eventually("the move", async || new.connections() == 1).await;
    client
        .create2("/b", b"", CreateMode::Persistent)
        .await
        .unwrap();
    assert_eq!(
        (old.count(OpCode::Create2), new.count(OpCode::Create2)),
        (1, 1)
    );
}

#[tokio::test]
async fn persistent_watches_that_a_server_cannot_take_over_say_that_they_are_gone() {
    let target = Target::start().await;
    if !target.has(Feature::PersistentWatches) {
        return;
    }
    let (new, old) = (
        Proxy::start(target.host()).await,
        Tap::lacking(target.host(), SINCE_3_5).await,
    );
    let client = target.client_through(&new.host()).await;
    let (persistent, once) = (Watcher::new(), Watcher::new());
    client
        .add_watch("/", AddWatchMode::Persistent, &persistent)
        .await
        .unwrap();
    client.get_data("/", &once).await.unwrap();
    client.update_hosts(&old.host()).unwrap();
    eventually("the move", async || old.connections() > 0).await;
    until_connected(&client).await;
    client.get_children("/", None).await.unwrap();
    let gone = loop {
        let event = next_event(&persistent).await;
        // A reconnection may be announced before.
        if event.event_type != EventType::None {
            break event;
        }
        assert_eq!(event.state, KeeperState::SyncConnected);
    };
    assert_eq!(gone.event_type, EventType::PersistentWatchRemoved);
    client.set_data("/", b"x", None).await.unwrap();
    assert_eq!(
        next_event(&once).await.event_type,
        EventType::NodeDataChanged
    );
    assert_eq!(old.count(OpCode::SetWatches2), 1);
    assert!(old.connections() <= 2, "{}", old.connections());
}

#[tokio::test]
async fn transactions_work_on_every_server() {
    let target = Target::start().await;
    let tap = Tap::lacking(target.host(), SINCE_3_5).await;
    let client = target.client_through(&tap.host()).await;
    let results = client
        .transaction()
        .create("/a", b"", CreateMode::Persistent)
        .check("/a", 0)
        .commit();
    let results = results.await.unwrap();
    assert!(
        matches!(&results[..], [OpResult::Create(path), OpResult::Check] if path == "/a"),
        "{results:?}"
    );
    client.check("/a", 0).await.unwrap();
    // The damaging check alone is never sent.
    assert_eq!((tap.count(OpCode::Check), tap.connections()), (0, 1));
}

#[tokio::test]
async fn an_operation_that_is_known_but_switched_off_costs_no_connection() {
    let target = Target::start().await;
    let tap = Tap::start(target.host()).await;
    let client = target.client_through(&tap.host()).await;
    // Refused by every standalone server, one way or another, with its zxid.
    client
        .reconfig(
            &zk_client::Reconfig::Whole(vec!["server.1=a:1:2;3".into()]),
            None,
        )
        .await
        .unwrap_err();
    client.get_data("/", None).await.unwrap();
    assert_eq!(tap.connections(), 1);
}
