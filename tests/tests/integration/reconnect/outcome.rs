//! What a lost connection says about the calls it leaves unanswered.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::{join, join_all};
use zk_client::{Client, CreateMode, Error, ErrorCode, Outcome, RetryPolicy};
use zk_tests::target::connect;
use zk_tests::wait::{eventually, until_connected, until_not_connected, within};
use zk_tests::{Cut, Direction, Proxy, Target};

async fn exists(observer: &Client, path: &str) -> bool {
    observer.exists(path, None).await.unwrap().is_some()
}

#[tokio::test]
async fn a_sent_write_is_unknown_and_a_read_retryable() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    let observer = target.client().await;
    proxy.silence(Direction::ToClient, true);
    let write = client.create("/applied", b"", CreateMode::Persistent);
    let read = client.get_data("/", None);
    let second = client.set_data("/applied", b"x", None);
    eventually("the write", async || {
        let stat = observer.exists("/applied", None).await.unwrap();
        stat.is_some_and(|stat| stat.version == 1)
    })
    .await;
    proxy.cut(Cut::Reset);
    proxy.silence(Direction::ToClient, false);

    let lost = within("the write's end", write).await.unwrap_err();
    assert_eq!(
        lost,
        Error::ConnectionLost {
            outcome: Outcome::Unknown
        }
    );
    assert!(lost.is_outcome_unknown() && !lost.is_retryable());
    let lost = within("the read's end", read).await.unwrap_err();
    assert_eq!(
        lost,
        Error::ConnectionLost {
            outcome: Outcome::NotApplied
        }
    );
    assert!(lost.is_retryable());
    let lost = within("the second write's end", second).await.unwrap_err();
    assert!(lost.is_outcome_unknown());
}

#[tokio::test]
async fn a_write_that_never_left_is_not_applied() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = connect(target.builder_through(&proxy.host()).max_in_flight(1)).await;
    let observer = target.client().await;
    proxy.silence(Direction::ToClient, true);
    let sent = client.create("/sent", b"", CreateMode::Persistent);
    let waiting = client.create("/waiting", b"", CreateMode::Persistent);
    eventually("the first write", async || exists(&observer, "/sent").await).await;
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    proxy.silence(Direction::ToClient, false);

    assert!(
        within("the first write's end", sent)
            .await
            .unwrap_err()
            .is_outcome_unknown()
    );
    let lost = within("the second write's end", waiting).await.unwrap_err();
    assert_eq!(
        lost,
        Error::ConnectionLost {
            outcome: Outcome::NotApplied
        }
    );
    assert!(lost.is_retryable());
    proxy.refuse(false);
    until_connected(&client).await;
    client.sync("/").await.unwrap();
    assert!(!exists(&observer, "/waiting").await);
}

#[tokio::test]
async fn a_call_that_no_connection_comes_for_fails_at_its_deadline_not_applied() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    until_not_connected(&client).await;
    let deadline = Duration::from_millis(200);
    let hurried = client.with_deadline(deadline);
    let error = hurried
        .create("/never", b"", CreateMode::Persistent)
        .await
        .unwrap_err();
    let expected = Error::DeadlineExceeded {
        deadline,
        outcome: Outcome::NotApplied,
    };
    assert_eq!(error, expected);
    proxy.refuse(false);
    assert_eq!(client.exists("/never", None).await.unwrap(), None);
}

#[tokio::test]
async fn a_call_that_no_answer_comes_for_fails_at_its_deadline_and_the_connection_stays() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    let hurried = client.with_deadline(Duration::from_millis(200));
    proxy.silence(Direction::ToClient, true);
    let write = hurried.create("/a", b"", CreateMode::Persistent);
    let read = hurried.get_data("/", None);
    let error = within("the deadline", write).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::DeadlineExceeded {
                outcome: Outcome::Unknown,
                ..
            }
        ),
        "{error}"
    );
    let error = within("the deadline", read).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::DeadlineExceeded {
                outcome: Outcome::NotApplied,
                ..
            }
        ),
        "{error}"
    );
    proxy.silence(Direction::ToClient, false);
    // Replies that nobody waits for any more do not disturb the next ones.
    assert!(exists(&client, "/a").await);
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn a_read_is_retried_by_a_client_told_to_and_takes_a_new_place_in_line() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    proxy.cut_after(Direction::ToClient, 3, Cut::Reset);
    let attempts = Cell::new(0);
    let retrying = client.retrying(RetryPolicy::new(5));
    let read = retrying.run(|client| {
        attempts.set(attempts.get() + 1);
        client.get_data("/", None)
    });
    let (read, write) = within(
        "both",
        join(read, async {
            // Called after the first attempt, and lost with it; called again before the
            // second, which therefore sees it.
            client.set_data("/", b"1", None).await.unwrap_err();
            client.set_data("/", b"2", None).await
        }),
    )
    .await;
    write.unwrap();
    assert_eq!((&read.unwrap().0[..], attempts.get()), (&b"2"[..], 2));
}

#[tokio::test]
async fn a_write_of_unknown_outcome_is_sent_again_only_if_declared_harmless() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    for (policy, is_retried) in [
        (RetryPolicy::new(5), false),
        (RetryPolicy::new(5).for_idempotent(), true),
    ] {
        until_connected(&client).await;
        // It takes effect, and its answer does not come.
        proxy.cut_after(Direction::ToClient, 3, Cut::Reset);
        let written = client
            .retrying(policy)
            .run(|client| client.set_data("/", b"x", None))
            .await;
        assert_eq!(written.is_ok(), is_retried, "{written:?}");
        assert!(is_retried || written.unwrap_err().is_outcome_unknown());
    }
}

#[tokio::test]
async fn an_error_that_another_attempt_cannot_change_is_not_retried() {
    let target = Target::start().await;
    let client = target.client().await;
    let attempts = Cell::new(0);
    let retrying = client.retrying(RetryPolicy::new(5).for_idempotent());
    let refused = retrying.run(|client| {
        attempts.set(attempts.get() + 1);
        client.set_data("/missing", b"", None)
    });
    assert_eq!(refused.await.unwrap_err().code(), Some(ErrorCode::NoNode));
    assert_eq!(attempts.get(), 1);
}

#[tokio::test]
async fn a_cut_in_a_pipeline_leaves_a_prefix_answered_and_true_outcomes() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let observer = target.client().await;
    let client = target.client_through(&proxy.host()).await;
    for (round, cut) in [(1, Cut::Reset), (2, Cut::Fin)] {
        until_connected(&client).await;
        let parent = format!("/round{round}");
        client
            .create(&parent, b"", CreateMode::Persistent)
            .await
            .unwrap();
        // Somewhere in the middle of a reply, some way into the pipeline.
        proxy.cut_after(Direction::ToClient, 4_321, cut);
        let paths: Vec<String> = (0..1000).map(|n| format!("{parent}/{n}")).collect();
        let calls = paths
            .iter()
            .map(|path| client.create(path, b"", CreateMode::Persistent));
        let calls: Vec<_> = calls.collect();
        let results = within("every call", join_all(calls)).await;

        let answered = results.iter().take_while(|result| result.is_ok()).count();
        assert!(answered > 10 && answered < 1000, "{answered}");
        observer.sync("/").await.unwrap();
        for (path, result) in paths.iter().zip(&results) {
            match result {
                Ok(created) => assert_eq!(created, path),
                Err(lost) => match lost.outcome() {
                    Outcome::NotApplied => assert!(!exists(&observer, path).await, "{path}"),
                    Outcome::Unknown => {}
                    Outcome::Applied => panic!("{path}: {lost}"),
                },
            }
        }
        // All were in line before the cut: none after the first one lost is answered.
        assert!(results[answered..].iter().all(Result::is_err));
    }
}

#[tokio::test]
async fn cut_anywhere_around_a_reply_the_outcome_is_true() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (observer, client) = (
        target.client().await,
        target.client_through(&proxy.host()).await,
    );
    for (direction, bytes) in [(Direction::ToClient, 36), (Direction::ToServer, 60)] {
        for at in (0..bytes).step_by(4) {
            until_connected(&client).await;
            let path = format!("/{direction:?}-{at}");
            proxy.cut_after(direction, at, Cut::Reset);
            let created = within(
                "an outcome",
                client.create(&path, b"x", CreateMode::Persistent),
            );
            let created = created.await;
            observer.sync("/").await.unwrap();
            match created {
                Ok(_) => assert!(exists(&observer, &path).await),
                Err(lost) if lost.outcome() == Outcome::NotApplied => {
                    assert!(!exists(&observer, &path).await);
                }
                Err(lost) => assert!(lost.is_outcome_unknown(), "{lost}"),
            }
        }
    }
}
