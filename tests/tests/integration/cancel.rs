//! Promise 2: dropping a future after any of its polls leaves a client that works,
//! and no znode that should not be there.

use std::pin::pin;
use std::task::Poll;

use futures_util::future::poll_fn;
use zk_client::{Client, CreateMode, Error, GuaranteedDelete, ProtectedId, RetryPolicy, Watcher};
use zk_tests::target::repetitions;
use zk_tests::wait::{eventually, next_event, until_connected, until_not_connected, within};
use zk_tests::{Cut, Direction, Proxy, Target};

const PERSISTENT: CreateMode = CreateMode::Persistent;

/// More polls than any future here needs.
const MANY: usize = 5_000;

/// Polls the future at most `polls` times, then drops it: `None`.
pub(crate) async fn drop_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Drops what `make` makes before its first poll, after it, after the second, and
/// so on until it is ready before that; after each drop `check` must pass. Returns
/// how many were dropped.
pub(crate) async fn drop_at_every_poll<F: Future>(
    mut make: impl FnMut(usize) -> F,
    mut check: impl AsyncFnMut(usize),
) -> usize {
    for polls in 0..MANY {
        let is_ready = within("the future", drop_after(polls, make(polls)))
            .await
            .is_some();
        check(polls).await;
        if is_ready {
            return polls;
        }
    }
    panic!("not ready after {MANY} polls");
}

/// That the client still does its work, in order.
async fn works(client: &Client) {
    let (write, read) = (client.set_data("/", b"x", None), client.get_data("/", None));
    let written = within("a write", write).await.unwrap();
    assert_eq!(within("a read", read).await.unwrap().1, written);
}

#[tokio::test]
async fn a_dropped_reply_leaves_the_client_sound() {
    let target = Target::start().await;
    let client = target.client().await;
    let watcher = Watcher::new();
    client.create("/a", b"", PERSISTENT).await.unwrap();
    macro_rules! sweep {
        ($($call:expr;)*) => {$(
            let dropped = drop_at_every_poll(|_| async { $call.await.map(drop) }, async |_| works(&client).await).await;
            assert!(dropped > 0, stringify!($call));
        )*};
    }
    sweep! {
        client.create("/n-", b"", CreateMode::EphemeralSequential);
        client.create2("/n-", b"", CreateMode::PersistentSequential);
        client.set_data("/a", b"x", None);
        client.delete("/missing", None);
        client.exists("/a", &watcher);
        client.get_data("/a", &watcher);
        client.get_children("/a", &watcher);
        client.get_children2("/a", &watcher);
        client.get_acl("/a");
        client.set_acl("/a", vec![zk_client::Acl::open()], None);
        client.sync("/a");
        client.check("/a", None);
        client.read_linearizable("/a");
        client.transaction().check("/a", None).set_data("/a", b"y", None).commit();
        client.multi_read().get_data("/a").get_children("/a").send();
        client.get_config(None);
        client.who_am_i();
        client.add_auth("digest", b"user:password");
        client.get_ephemerals("/");
        client.get_all_children_number("/");
        client.remove_watches("/a", zk_client::WatcherType::Any);
        client.retrying(RetryPolicy::new(3)).run(|client| client.get_data("/a", None));
        client.create_all("/deep/er/n-", b"", CreateMode::PersistentSequential);
        client.delete_all("/deep");
    }
}

#[tokio::test]
async fn a_dropped_reply_leaves_its_operation_applied_or_not() {
    let target = Target::start().await;
    let client = target.client().await;
    let path = |polls: usize| format!("/a{polls}");
    drop_at_every_poll(
        |polls| client.create(&path(polls), b"", PERSISTENT),
        // A call takes its place in line when it is made: this read comes after.
        async |polls| assert!(client.exists(&path(polls), None).await.unwrap().is_some()),
    )
    .await;
}

#[tokio::test]
async fn a_call_dropped_while_there_is_no_connection_keeps_its_place_in_line() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    until_not_connected(&client).await;
    let dropped = [
        client.create("/a", b"", PERSISTENT),
        client.create("/b", b"", PERSISTENT),
    ];
    for call in dropped {
        assert!(drop_after(1, call).await.is_none());
    }
    let read = client.get_children("/", None);
    proxy.refuse(false);
    let mut children = within("the read", read).await.unwrap();
    children.sort();
    assert_eq!(children, ["a", "b"]);
}

#[tokio::test]
async fn a_dropped_connect_closes_what_it_opened() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let dropped = drop_at_every_poll(
        |_| target.builder_through(&proxy.host()).connect(),
        async |_| eventually("no connection", async || proxy.open() == 0).await,
    )
    .await;
    assert!(dropped > 0);
}

#[tokio::test]
async fn a_dropped_close_closes_all_the_same() {
    let target = Target::start().await;
    let observer = target.client().await;
    for polls in 1..4 {
        let client = target.client().await;
        let path = format!("/mine{polls}");
        client
            .create(&path, b"", CreateMode::Ephemeral)
            .await
            .unwrap();
        let _ = within("the close", drop_after(polls, client.close())).await;
        eventually("the session's end", async || {
            observer.exists(&path, None).await.unwrap().is_none()
        })
        .await;
    }
}

#[tokio::test]
async fn a_dropped_wait_for_an_event_or_for_room_takes_nothing_along() {
    let target = Target::start().await;
    let client = target.client().await;
    let watcher = Watcher::new();
    client.get_data("/", &watcher).await.unwrap();
    for polls in 0..2 {
        assert!(drop_after(polls, watcher.next()).await.is_none());
        drop_after(polls, client.ready()).await;
    }
    client.set_data("/", b"x", None).await.unwrap();
    assert_eq!(next_event(&watcher).await.path, "/");
}

/// Znodes of protected creates below `/p`, once the client's reaper has settled.
async fn left_behind(client: &Client, observer: &Client) -> Vec<String> {
    eventually("the reaper", async || client.guaranteed_deletes() == 0).await;
    observer.sync("/p").await.unwrap();
    observer.get_children("/p", None).await.unwrap()
}

#[tokio::test]
async fn a_dropped_protected_create_leaves_no_znode_behind() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    client.create("/p", b"", PERSISTENT).await.unwrap();
    for mode in [
        PERSISTENT,
        CreateMode::EphemeralSequential,
        CreateMode::Container,
    ] {
        for polls in 0..MANY {
            let create = client.create_protected("/p/lock-", b"", mode);
            let created = within("the create", drop_after(polls, create)).await;
            if let Some(created) = created {
                let created = created.unwrap();
                assert_eq!(left_behind(&client, &observer).await.len(), 1);
                client.delete(&created, None).await.unwrap();
                break;
            }
            assert_eq!(
                left_behind(&client, &observer).await,
                [""; 0],
                "after {polls} polls"
            );
        }
        works(&client).await;
    }
}

#[tokio::test]
async fn a_protected_create_that_loses_its_connection_finds_what_it_made() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, observer) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    client.create("/p", b"", PERSISTENT).await.unwrap();
    let modes = [
        PERSISTENT,
        CreateMode::PersistentSequential,
        CreateMode::EphemeralSequential,
    ];
    for (direction, bytes) in [(Direction::ToServer, 160), (Direction::ToClient, 100)] {
        for at in (0..bytes).step_by(repetitions(20, 50)) {
            for mode in modes {
                until_connected(&client).await;
                proxy.cut_after(direction, at, Cut::Reset);
                let create = client.create_protected("/p/lock-", b"", mode);
                let created = within("the create", create).await.unwrap();
                let left = left_behind(&client, &observer).await;
                assert_eq!(left.len(), 1, "{direction:?} {at} {mode:?}");
                assert!(created.ends_with(&left[0]));
                client
                    .retrying(RetryPolicy::new(10).for_idempotent())
                    .run(|client| client.delete(&created, None))
                    .await
                    .unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_protected_create_dropped_while_its_connection_is_lost_leaves_no_znode_behind() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, observer) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    client.create("/p", b"", PERSISTENT).await.unwrap();
    for polls in 1..repetitions(12, 4) {
        until_connected(&client).await;
        // The create takes effect, its answer does not come.
        proxy.cut_after(Direction::ToClient, 2, Cut::Reset);
        let create = client.create_protected("/p/lock-", b"", PERSISTENT);
        if let Some(created) = within("the create", drop_after(polls, create)).await {
            client.guaranteed_delete(GuaranteedDelete::path(created.unwrap()));
        }
        assert_eq!(
            left_behind(&client, &observer).await,
            [""; 0],
            "after {polls} polls"
        );
    }
}

#[tokio::test]
async fn a_protected_ephemeral_does_not_outlive_its_epoch() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, observer) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    client.create("/p", b"", PERSISTENT).await.unwrap();
    proxy.silence(Direction::ToClient, true);
    let create = client.create_protected("/p/lock-", b"", CreateMode::EphemeralSequential);
    let expire = async {
        eventually("the znode", async || {
            !observer.get_children("/p", None).await.unwrap().is_empty()
        })
        .await;
        proxy.refuse(true);
        proxy.cut(Cut::Reset);
        proxy.silence(Direction::ToClient, false);
        target.expire(&client).await;
        proxy.refuse(false);
    };
    let (created, ()) = within("the create", futures_util::future::join(create, expire)).await;
    assert!(matches!(created, Err(Error::EpochEnded)), "{created:?}");
    assert_eq!(left_behind(&client, &observer).await, [""; 0]);
}

#[tokio::test]
async fn a_guaranteed_delete_bound_to_an_epoch_ends_with_it() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, observer) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    client.create("/kept", b"", PERSISTENT).await.unwrap();
    let epoch = client.epoch();
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    until_not_connected(&client).await;
    client.guaranteed_delete(GuaranteedDelete::path("/kept").within(epoch));
    client.guaranteed_delete(GuaranteedDelete::path("/deleted"));
    target.expire(&client).await;
    observer.create("/deleted", b"", PERSISTENT).await.unwrap();
    proxy.refuse(false);
    eventually("the reaper", async || client.guaranteed_deletes() == 0).await;
    assert!(observer.exists("/kept", None).await.unwrap().is_some());
    assert_eq!(observer.exists("/deleted", None).await.unwrap(), None);
}

#[tokio::test]
async fn protected_names_carry_an_id_of_their_own() {
    let target = Target::start().await;
    let client = target.client().await;
    client.create("/p", b"", PERSISTENT).await.unwrap();
    let first = client
        .create_protected("/p/n", b"", PERSISTENT)
        .await
        .unwrap();
    let second = client
        .create_protected("/p/n", b"", PERSISTENT)
        .await
        .unwrap();
    assert_ne!(first, second);
    for path in [&first, &second] {
        assert!(path.starts_with("/p/_c_") && path.ends_with("-n"), "{path}");
    }
    let id = ProtectedId::new(&client);
    let own = format!("/p/{}", id.prefix("n"));
    client.create(&own, b"", PERSISTENT).await.unwrap();
    client.guaranteed_delete(GuaranteedDelete::protected("/p", id));
    eventually("the deletion", async || {
        client.exists(&own, None).await.unwrap().is_none()
    })
    .await;
    assert_eq!(client.get_children("/p", None).await.unwrap().len(), 2);
}
