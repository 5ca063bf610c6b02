//! What a guard knows, and what the server refuses.

use std::time::Duration;

use zk_client::{CreateMode, ErrorCode, OpResult};
use zk_recipes::{Error, Mutex, Proof};
use zk_tests::wait::{eventually, until_connected, within};
use zk_tests::{Cut, Proxy, Target};

use super::*;

#[tokio::test]
async fn a_guard_is_lost_with_its_session_and_the_next_has_it() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    let guard = acquire(&Mutex::new(&client, LOCK)).await;
    let transaction_of_before = guard
        .transaction()
        .create("/late", b"", CreateMode::Persistent);
    target.expire(&client).await;
    let next = acquire(&Mutex::new(&other, LOCK)).await;
    assert!(next.fencing_token() > guard.fencing_token());
    // Whatever the process believes: the server knows.
    let late = within("the answer", transaction_of_before.commit()).await;
    assert!(late.is_err(), "{late:?}");
    assert_eq!(lost(&guard).await, Why::EpochEnded);
    let fenced = within("the answer", guard.transaction().commit()).await;
    assert!(matches!(fenced, Err(Error::Fenced { .. })), "{fenced:?}");
    assert_eq!(other.exists("/late", None).await.unwrap(), None);
    let released = within("the release", guard.release()).await;
    assert_eq!(released, Err(Error::Lost(Why::EpochEnded)));
    release(next).await;
}

#[tokio::test]
async fn a_guard_whose_znode_is_deleted_is_lost_and_fenced() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    let guard = acquire(&Mutex::new(&client, LOCK)).await;
    other.delete(guard.path(), None).await.unwrap();
    // Called before the loss is known, or after: refused in either case.
    let transaction = guard
        .transaction()
        .create("/late", b"", CreateMode::Persistent);
    let fenced = within("the answer", transaction.commit()).await;
    let path = guard.path().into();
    assert_eq!(fenced, Err(Error::Fenced { path }));
    assert_eq!(lost(&guard).await, Why::Deleted);
    assert_eq!(client.exists("/late", None).await.unwrap(), None);
    let released = within("the release", guard.release()).await;
    assert_eq!(released, Err(Error::Lost(Why::Deleted)));
}

#[tokio::test]
async fn a_guarded_transaction_shows_the_callers_operations_alone() {
    let target = Target::start().await;
    let client = target.client().await;
    let guard = acquire(&Mutex::new(&client, LOCK)).await;
    // Updates of the owner's znode do not fence its owner.
    client.set_data(guard.path(), b"x", None).await.unwrap();
    let transaction = guard.transaction();
    let done = transaction
        .create("/a", b"", CreateMode::Persistent)
        .delete("/a", None);
    let results = within("the answer", done.commit()).await.unwrap();
    assert_eq!(results, [OpResult::Create("/a".into()), OpResult::Delete]);
    let refused = guard
        .transaction()
        .check("/", None)
        .delete("/missing", None);
    let refused = within("the answer", refused.commit()).await.unwrap_err();
    let expected = zk_client::Error::Transaction {
        index: 1,
        code: ErrorCode::NoNode,
        path: "/missing".into(),
    };
    assert_eq!(refused, Error::Client(expected));
    release(guard).await;
}

#[tokio::test]
async fn a_guard_comes_into_doubt_and_is_held_again_after_a_new_proof() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    let lock = Mutex::builder(&client, LOCK)
        .proof(Proof::Soft)
        .build()
        .unwrap();
    let guard = acquire(&lock).await;
    until_held(&guard).await;
    let valid_until = guard.valid_until();
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    until_in_doubt(&guard).await;
    // Connected or not.
    assert!(guard.valid_until() >= valid_until);
    proxy.refuse(false);
    until_held(&guard).await;
    assert!(guard.valid_until() > valid_until);
    release(guard).await;
}

#[tokio::test]
async fn what_was_deleted_during_a_disconnection_is_lost_not_held() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, other) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    let guard = acquire(&Mutex::new(&client, LOCK)).await;
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    until_in_doubt(&guard).await;
    other.delete(guard.path(), None).await.unwrap();
    let mut states = guard.state();
    proxy.refuse(false);
    within("the loss", async {
        loop {
            states.changed().await.unwrap();
            match *states.borrow_and_update() {
                OwnershipState::Lost(why) => break assert_eq!(why, Why::Deleted),
                state => assert_eq!(state, OwnershipState::InDoubt),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_quorum_proof_comes_after_a_third_of_the_timeout_and_is_renewed() {
    let target = Target::start().await;
    let timeout = Duration::from_secs(4);
    let client = target
        .builder()
        .session_timeout(timeout)
        .connect()
        .await
        .unwrap();
    let lock = Mutex::builder(&client, LOCK)
        .proof(Proof::Quorum)
        .build()
        .unwrap();
    let started = client.env().boot_now();
    let guard = acquire(&lock).await;
    assert!(matches!(
        guard.current(),
        OwnershipState::Held {
            proof: Proof::Soft,
            ..
        }
    ));
    let first = within("a proof", guard.proven(Proof::Quorum))
        .await
        .unwrap();
    let timeout = client.session_timeout();
    // From the sending of the first write, which was the create.
    assert!(first >= started + timeout && first <= client.env().boot_now() + timeout * 2 / 3);
    let mut state = guard.state();
    let renewed = state.wait_for(|state| {
        matches!(state, OwnershipState::Held { valid_until, proof: Proof::Quorum } if *valid_until > first)
    });
    within("the next proof", renewed).await.unwrap();
    release(guard).await;
}

#[tokio::test]
async fn a_closed_client_and_a_dropped_guard_own_nothing() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let guard = acquire(&Mutex::new(&client, LOCK)).await;
    let view = guard.ownership();
    drop(guard);
    assert_eq!(lost(&view).await, Why::Released);
    settled(&client, &observer).await;
    let guard = acquire(&Mutex::new(&client, LOCK)).await;
    client.close().await.unwrap();
    assert_eq!(lost(&guard).await, Why::ClientClosed);
    drop(guard);
    assert_eq!(contenders(&observer).await, [""; 0]);
}

#[tokio::test]
async fn what_is_written_to_the_owners_znode_is_seen() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    let lock = Mutex::builder(&client, LOCK).data("mine").build().unwrap();
    let guard = acquire(&lock).await;
    let mut payload = guard.payload();
    assert_eq!(*payload.borrow_and_update(), "mine");
    for text in ["__REVOKE__", "again"] {
        other.set_data(guard.path(), text, None).await.unwrap();
        let seen = payload.wait_for(|payload| *payload == text);
        within("the new data", seen).await.unwrap();
    }
    release(guard).await;
}

#[tokio::test]
async fn a_release_through_a_lost_connection_is_proven_in_the_end() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, observer) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    for at in [1, 40, 90] {
        until_connected(&client).await;
        let guard = acquire(&Mutex::new(&client, LOCK)).await;
        proxy.cut_after(zk_tests::Direction::ToServer, at, Cut::Reset);
        // The keeper's requests may meet the cut first; then nothing is lost here.
        let _ = within("the release", guard.release()).await;
        eventually("no contender", async || {
            contenders(&observer).await.is_empty()
        })
        .await;
    }
}
