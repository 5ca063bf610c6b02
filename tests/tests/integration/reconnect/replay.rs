//! What goes over a new connection first.

use zk_client::{AddWatchMode, CreateMode, EventType, Watcher};
use zk_proto::record::{AuthPacket, SetWatches, SetWatches2};
use zk_proto::{OpCode, RequestHeader};
use zk_tests::tap::Seen;
use zk_tests::target::connect;
use zk_tests::wait::{eventually, next_event, until_not_connected};
use zk_tests::{Cut, Feature, Proxy, Tap, Target};

/// The operations sent over connection `number`, without pings.
fn ops(tap: &Tap, number: usize) -> Vec<OpCode> {
    let seen = tap
        .seen()
        .into_iter()
        .filter(|seen| seen.connection == number);
    let ops = seen.map(|seen| OpCode::try_from(seen.request.op).unwrap());
    ops.filter(|op| *op != OpCode::Ping).collect()
}

fn first(tap: &Tap, op: OpCode) -> Seen {
    tap.seen().into_iter().find(|seen| seen.is(op)).unwrap()
}

#[tokio::test]
async fn credentials_come_before_watches_and_watches_before_requests() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let tap = Tap::start(&proxy.host()).await;
    let client = target.client_through(&tap.host()).await;
    client.add_auth("digest", b"user:password").await.unwrap();
    let watcher = Watcher::new();
    client.get_data("/", &watcher).await.unwrap();
    client.exists("/absent", &watcher).await.unwrap();
    client.get_children("/", &watcher).await.unwrap();
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    until_not_connected(&client).await;
    let queued = client.get_acl("/");
    let reached = tap.connections();
    proxy.refuse(false);
    queued.await.unwrap();

    let last = tap.connections() - 1;
    assert!(last >= reached);
    let order = [
        OpCode::CreateSession,
        OpCode::Auth,
        OpCode::SetWatches,
        OpCode::GetAcl,
    ];
    assert_eq!(ops(&tap, last), order);
    let root = target.root();
    let replayed = first(&tap, OpCode::SetWatches).request;
    let watches: SetWatches<'_> = replayed.decode();
    assert!(watches.relative_zxid <= client.last_zxid());
    assert_eq!(watches.data_watches, [root]);
    assert_eq!(watches.exist_watches, [format!("{root}/absent")]);
    assert_eq!(watches.child_watches, [root]);
    let auth = tap
        .seen()
        .into_iter()
        .rfind(|seen| seen.is(OpCode::Auth))
        .unwrap()
        .request;
    let packet: AuthPacket<'_> = auth.decode();
    assert_eq!(packet.scheme, "digest");
}

#[tokio::test]
async fn persistent_watches_and_only_they_need_set_watches_2() {
    let target = Target::start().await;
    if !target.has(Feature::PersistentWatches) {
        return;
    }
    let proxy = Proxy::start(target.host()).await;
    let tap = Tap::start(&proxy.host()).await;
    let client = target.client_through(&tap.host()).await;
    let watcher = Watcher::new();
    client.get_data("/", &watcher).await.unwrap();
    proxy.cut(Cut::Reset);
    eventually("watches set again", async || {
        tap.count(OpCode::SetWatches) == 1
    })
    .await;
    assert_eq!(tap.count(OpCode::SetWatches2), 0);

    client
        .add_watch("/p", AddWatchMode::Persistent, &watcher)
        .await
        .unwrap();
    client
        .add_watch("/r", AddWatchMode::PersistentRecursive, &watcher)
        .await
        .unwrap();
    proxy.cut(Cut::Reset);
    eventually("watches set again", async || {
        tap.count(OpCode::SetWatches2) > 0
    })
    .await;
    let seen: Vec<_> = tap
        .seen()
        .into_iter()
        .filter(|seen| seen.is(OpCode::SetWatches2))
        .collect();
    let requests = seen
        .iter()
        .map(|seen| seen.request.decode::<SetWatches2<'_>>());
    let (mut persistent, mut recursive) = (Vec::new(), Vec::new());
    for request in requests {
        persistent.extend(request.persistent_watches);
        recursive.extend(request.persistent_recursive_watches);
    }
    assert_eq!(persistent, [format!("{}/p", target.root())]);
    assert_eq!(recursive, [format!("{}/r", target.root())]);
}

#[tokio::test]
async fn many_watches_are_set_again_in_batches_below_128_kib() {
    const WATCHES: usize = 2_000;
    const BATCH: usize = 128 << 10;
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let tap = Tap::start(&proxy.host()).await;
    let client = target.client_through(&tap.host()).await;
    let watcher = Watcher::with_capacity(WATCHES);
    let name = "n".repeat(180);
    let paths: Vec<String> = (0..WATCHES).map(|n| format!("/{name}{n}")).collect();
    let reads: Vec<_> = paths
        .iter()
        .map(|path| client.exists(path, &watcher))
        .collect();
    for read in reads {
        assert_eq!(read.await.unwrap(), None);
    }
    proxy.cut(Cut::Reset);
    let observer = target.client().await;
    eventually("the reconnection", async || tap.connections() > 1).await;
    client.sync("/").await.unwrap();

    let batches = tap
        .seen()
        .into_iter()
        .filter(|seen| seen.is(OpCode::SetWatches));
    let sizes: Vec<usize> = batches.map(|seen| seen.request.body.len()).collect();
    assert!(sizes.len() >= 3, "{sizes:?}");
    let header = size_of::<RequestHeader>();
    assert!(sizes.iter().all(|size| size + header <= BATCH), "{sizes:?}");
    // The first and the last of them are heard.
    for path in [&paths[0], &paths[WATCHES - 1]] {
        observer
            .create(path, b"", CreateMode::Persistent)
            .await
            .unwrap();
        let event = next_event(&watcher).await;
        assert_eq!(
            (event.event_type, &event.path),
            (EventType::NodeCreated, path)
        );
    }
}

#[tokio::test]
async fn credentials_given_to_the_builder_are_there_from_the_first_request() {
    let target = Target::start().await;
    let tap = Tap::start(target.host()).await;
    let builder = target.builder_through(&tap.host());
    let client = connect(builder.auth("digest", b"user:password")).await;
    client.get_data("/", None).await.unwrap();
    let expected = [OpCode::CreateSession, OpCode::Auth, OpCode::GetData];
    assert_eq!(ops(&tap, 0), expected);
}
