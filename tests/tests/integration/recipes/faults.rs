//! Contenders through lost connections, lost replies, lost sessions.

use zk_recipes::{Error, Mutex};
use zk_tests::target::repetitions;
use zk_tests::wait::{eventually, until_connected, until_not_connected, within};
use zk_tests::{Cut, Direction, Proxy, Target};

use super::*;

#[tokio::test]
async fn a_lost_reply_neither_loses_nor_doubles_the_place_in_line() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, observer) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    let lock = Mutex::new(&client, LOCK);
    release(acquire(&lock).await).await;
    for (direction, bytes) in [(Direction::ToServer, 200), (Direction::ToClient, 260)] {
        for at in (1..bytes).step_by(repetitions(13, 60)) {
            until_connected(&client).await;
            proxy.cut_after(direction, at, Cut::Reset);
            let guard = acquire(&lock).await;
            let left = contenders(&observer).await;
            assert_eq!(left.len(), 1, "{direction:?} {at}");
            assert!(guard.path().ends_with(&left[0]));
            drop(guard);
            settled(&client, &observer).await;
        }
    }
}

#[tokio::test]
async fn a_waiter_keeps_its_place_through_a_disconnection() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, observer) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    let holder = acquire(&Mutex::new(&observer, LOCK)).await;
    let lock = Mutex::new(&client, LOCK);
    let faults = async {
        until_contenders(&observer, 2).await;
        let place = contenders(&observer).await.remove(1);
        proxy.refuse(true);
        proxy.cut(Cut::Reset);
        until_not_connected(&client).await;
        // What happens now is found out on reconnection.
        release(holder).await;
        proxy.refuse(false);
        place
    };
    let (guard, place) = futures_util::future::join(acquire(&lock), faults).await;
    assert!(guard.path().ends_with(&place));
    release(guard).await;
}

#[tokio::test]
async fn a_waiter_whose_session_expires_is_told_and_leaves_nothing() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let holder = acquire(&Mutex::new(&observer, LOCK)).await;
    let lock = Mutex::new(&client, LOCK);
    let expire = async {
        until_contenders(&observer, 2).await;
        target.expire(&client).await;
    };
    let acquire_and_fail = within("the end of the wait", lock.acquire());
    let (waited, ()) = futures_util::future::join(acquire_and_fail, expire).await;
    assert_eq!(waited.unwrap_err(), Error::EpochEnded);
    assert_eq!(contenders(&observer).await.len(), 1);
    // The client goes on in its next session.
    release(holder).await;
    release(acquire(&lock).await).await;
    settled(&client, &observer).await;
}

#[tokio::test]
async fn a_contender_dropped_while_disconnected_is_deleted_later() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, observer) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    let guard = acquire(&Mutex::new(&client, LOCK)).await;
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    until_not_connected(&client).await;
    drop(guard);
    assert_eq!(contenders(&observer).await.len(), 1);
    proxy.refuse(false);
    eventually("the delete", async || {
        contenders(&observer).await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_waiter_whose_client_is_closed_is_told() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let holder = acquire(&Mutex::new(&observer, LOCK)).await;
    let lock = Mutex::new(&client, LOCK);
    let close = async {
        until_contenders(&observer, 2).await;
        client.close().await.unwrap();
    };
    let (waited, ()) = futures_util::future::join(within("the end", lock.acquire()), close).await;
    assert!(waited.is_err());
    release(holder).await;
}
