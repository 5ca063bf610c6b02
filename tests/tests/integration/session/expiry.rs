//! What a client does when the server has declared its session over.

use std::time::Duration;

use zk_client::{Client, CreateMode, Error, Outcome, SessionState, Watcher};
use zk_tests::target::connect;
use zk_tests::wait::{eventually, next_event, until_not_connected, until_state, within};
use zk_tests::{Cut, Direction, Proxy, Target};

/// Waits until the client has a session of another epoch than `old`.
async fn until_new_epoch(client: &Client, old: zk_client::Epoch) {
    eventually("a new session", async || {
        client.epoch() != old && client.state().borrow().is_connected()
    })
    .await;
}

#[tokio::test]
async fn after_expiry_the_client_opens_a_new_session_in_a_new_epoch() {
    let target = Target::start().await;
    let client = target.client().await;
    client
        .create("/mine", b"", CreateMode::Ephemeral)
        .await
        .unwrap();
    let (id, epoch) = (client.session_id(), client.epoch());
    target.expire(&client).await;
    until_new_epoch(&client, epoch).await;
    assert_ne!(client.session_id(), id);
    assert!(client.epoch() > epoch);
    assert_eq!(client.exists("/mine", None).await.unwrap(), None);
    client
        .create("/mine", b"", CreateMode::Ephemeral)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_client_told_not_to_ends_with_its_session() {
    let target = Target::start().await;
    let client = connect(target.builder().new_session_after_expiry(false)).await;
    let watcher = Watcher::new();
    client.get_data("/", &watcher).await.unwrap();
    target.expire(&client).await;
    until_state(&client, |state| {
        matches!(state, SessionState::Expired { .. })
    })
    .await;
    let error = client.get_data("/", None).await.unwrap_err();
    assert_eq!(error, Error::SessionExpired);
    assert!(error.is_session_over());
    assert!(next_event(&watcher).await.is_session_expired());
    assert_eq!(within("the end of the events", watcher.next()).await, None);
}

#[tokio::test]
async fn each_registration_hears_of_the_expiry_once() {
    let target = Target::start().await;
    let client = target.client().await;
    client
        .create("/a", b"", CreateMode::Persistent)
        .await
        .unwrap();
    let (one, other) = (Watcher::new(), Watcher::new());
    client.get_data("/", &one).await.unwrap();
    client.get_data("/a", &one).await.unwrap();
    client.get_children("/a", &other).await.unwrap();
    let epoch = client.epoch();
    target.expire(&client).await;
    let mut paths = [next_event(&one).await, next_event(&one).await].map(|event| {
        assert!(event.is_session_expired(), "{event:?}");
        event.path
    });
    paths.sort();
    assert_eq!(paths, ["/", "/a"]);
    assert!(next_event(&other).await.is_session_expired());

    // The watches are gone with their epoch: a change is not heard.
    until_new_epoch(&client, epoch).await;
    client.set_data("/a", b"new", None).await.unwrap();
    client
        .create("/a/b", b"", CreateMode::Persistent)
        .await
        .unwrap();
    assert_eq!((one.try_next(), other.try_next()), (None, None));
}

#[tokio::test]
async fn calls_waiting_at_expiry_fail_and_are_not_carried_over() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    let epoch = client.epoch();
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    until_not_connected(&client).await;
    let waiting = [
        client.create("/never", b"", CreateMode::Ephemeral),
        client.create("/never", b"", CreateMode::Persistent),
    ];
    target.expire(&client).await;
    proxy.refuse(false);
    for call in waiting {
        let error = within("the waiting call", call).await.unwrap_err();
        assert_eq!(error, Error::EpochEnded);
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert!(error.is_session_over());
    }
    until_new_epoch(&client, epoch).await;
    assert_eq!(client.exists("/never", None).await.unwrap(), None);
}

#[tokio::test]
async fn a_suspended_client_says_until_when_its_session_may_be_thought_alive() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    let state = until_state(&client, |state| {
        matches!(state, SessionState::Suspended { .. })
    })
    .await;
    let SessionState::Suspended { until, .. } = state else {
        unreachable!("the state waited for");
    };
    // Counted from the last proof of life, which lies before now.
    let now = client.env().boot_now();
    assert!(until.since(now) <= client.session_timeout());
    assert!(Some(until) > client.last_proof_of_life());
}

#[tokio::test]
async fn only_an_answer_proves_life_as_of_when_it_was_asked_for() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    let now = || client.env().boot_now();
    let before = now();
    client.get_data("/", None).await.unwrap();
    let proof = client.last_proof_of_life().unwrap();
    assert!(before <= proof && proof <= now());

    proxy.silence(Direction::ToClient, true);
    let asked = now();
    let read = client.get_data("/", None);
    let sent = proxy.forwarded(Direction::ToServer);
    eventually("the request", async || {
        proxy.forwarded(Direction::ToServer) > sent
    })
    .await;
    assert_eq!(client.last_proof_of_life(), Some(proof));
    let arrived = now();
    proxy.silence(Direction::ToClient, false);
    read.await.unwrap();
    let proof = client.last_proof_of_life().unwrap();
    assert!(
        asked <= proof && proof <= arrived,
        "{asked:?} {proof:?} {arrived:?}"
    );
}

#[tokio::test]
async fn whoever_slept_through_an_expiry_sees_it_by_the_epoch() {
    let target = Target::start().await;
    let client = target.client().await;
    let mut states = client.state();
    let SessionState::Connected { epoch } = *states.borrow_and_update() else {
        panic!("not connected");
    };
    target.expire(&client).await;
    until_new_epoch(&client, epoch).await;
    // States in between are gone, but not that there was another session.
    assert!(states.has_changed().unwrap());
    let state = *states.borrow();
    assert!(
        matches!(state, SessionState::Connected { epoch: now } if now > epoch),
        "{state:?}"
    );
}

#[tokio::test]
async fn a_local_deadline_does_not_pass_for_an_expiry() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let builder = target.builder_through(&proxy.host());
    let client = connect(builder.session_timeout(Duration::from_secs(1))).await;
    let (id, password) = (client.session_id(), client.session_password());
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    let mut states = client.state();
    let suspended = until_state(&client, |state| {
        matches!(state, SessionState::Suspended { .. })
    });
    let SessionState::Suspended { until, .. } = suspended.await else {
        unreachable!("the state waited for");
    };
    states.mark_unchanged();
    // Somebody else keeps the session alive past the client's own deadline.
    eventually("the local deadline", async || {
        let keeper = zk_tests::RawSession::resume(target.host(), id, password.clone()).await;
        assert!(keeper.unwrap().response.timeout_ms > 0);
        client.env().boot_now() > until
    })
    .await;
    let ended =
        |state: &SessionState| matches!(state, SessionState::Expired { .. } | SessionState::Closed);
    assert!(!ended(&states.borrow()));
    proxy.refuse(false);
    zk_tests::wait::until_connected(&client).await;
    assert_eq!(client.session_id(), id);
}
