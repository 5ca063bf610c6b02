//! Asking owners to give up what they own.

use zk_recipes::{ReadWriteLock, lock};
use zk_tests::Target;
use zk_tests::wait::within;

use super::*;

#[tokio::test]
async fn an_owner_is_asked_and_not_fenced() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let mutex = Mutex::new(&observer, LOCK);
    assert_eq!(within("nobody", mutex.revoke()).await, Ok(0));
    let guard = acquire(&Mutex::new(&client, LOCK)).await;
    let ask = async { within("the question", mutex.revoke()).await };
    let (asked, told) = futures_util::future::join(ask, guard.revoked()).await;
    assert_eq!((asked, told), (Ok(1), Ok(())));
    let (data, _) = observer.get_data(guard.path(), None).await.unwrap();
    assert_eq!(data, "__REVOKE__");
    // It may finish what it does.
    guard.transaction().commit().await.unwrap();
    assert_eq!(within("still told", guard.revoked()).await, Ok(()));
    let path = guard.path().to_owned();
    release(guard).await;
    assert_eq!(within("gone", lock::revoke(&observer, &path)).await, Ok(()));
}

#[tokio::test]
async fn all_readers_are_asked_and_no_waiter() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let rw = ReadWriteLock::new(&client, LOCK);
    let readers = [rw.read().await.unwrap(), rw.read().await.unwrap()];
    let wait = within("the right to write", rw.write());
    let ask = async {
        until_contenders(&observer, 3).await;
        let asked = ReadWriteLock::new(&observer, LOCK).revoke().await;
        assert_eq!(asked, Ok(2));
        for reader in readers {
            assert_eq!(within("the question", reader.revoked()).await, Ok(()));
            release(reader).await;
        }
    };
    let (writer, ()) = futures_util::future::join(wait, ask).await;
    let writer = writer.unwrap();
    let (data, _) = observer.get_data(writer.path(), None).await.unwrap();
    assert_eq!(data, "");
    writer.release().await.unwrap();
}

#[tokio::test]
async fn who_waits_in_line_hears_of_it_when_its_turn_has_come() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let holder = acquire(&Mutex::new(&observer, LOCK)).await;
    let ask = async {
        until_contenders(&observer, 2).await;
        let waiter = contenders(&observer).await.remove(1);
        lock::revoke(&observer, &format!("{LOCK}/{waiter}"))
            .await
            .unwrap();
        release(holder).await;
    };
    let mutex = Mutex::new(&client, LOCK);
    let (guard, ()) = futures_util::future::join(acquire(&mutex), ask).await;
    assert_eq!(within("the question", guard.revoked()).await, Ok(()));
    release(guard).await;
}

#[tokio::test]
async fn an_owner_that_has_lost_it_need_not_be_asked() {
    let target = Target::start().await;
    let client = target.client().await;
    let guard = acquire(&Mutex::new(&client, LOCK)).await;
    target.expire(&client).await;
    assert_eq!(
        within("the loss", guard.revoked()).await,
        Err(Why::EpochEnded)
    );
}
