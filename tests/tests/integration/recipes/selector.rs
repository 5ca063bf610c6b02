//! Leader selector: a call per term.

use std::ops::ControlFlow;

use zk_recipes::{Ended, Error, FencingToken, LeaderLatch, LeaderSelector};
use zk_tests::Target;
use zk_tests::wait::{eventually, within};

use super::*;

fn selector(client: &Client, id: &str) -> LeaderSelector {
    let builder = LeaderSelector::builder(client, LOCK);
    builder.id(id).build().unwrap()
}

#[tokio::test]
async fn terms_alternate_between_those_who_stand_again() {
    let target = Target::start().await;
    let (a, b) = (target.client().await, target.client().await);
    let terms = tokio::sync::Mutex::new(Vec::<(&str, FencingToken)>::new());
    let stand = async |client: &Client, id: &'static str| {
        let mut left = 3;
        let terms = &terms;
        let work = |term: zk_recipes::Term| {
            left -= 1;
            let terms_left = left;
            async move {
                // Nobody else is leading: nobody else has it.
                let count = {
                    let mut terms = terms.try_lock().unwrap();
                    terms.push((id, term.fencing_token()));
                    terms.len()
                };
                if count < 6 {
                    // The other one is in line by the end of the term.
                    until_contenders(term.client(), 2).await;
                }
                if terms_left == 0 {
                    ControlFlow::Break(id)
                } else {
                    ControlFlow::Continue(())
                }
            }
        };
        selector(client, id).lead_again(work).await.unwrap()
    };
    let both = futures_util::future::join(stand(&a, "a"), stand(&b, "b"));
    assert_eq!(within("six terms", both).await, ("a", "b"));
    let terms = terms.into_inner();
    assert_eq!(terms.len(), 6);
    assert!(terms.is_sorted_by(|x, y| x.1 < y.1), "{terms:?}");
    // One after the other: who stands again does so behind the other.
    assert!(
        terms.windows(2).all(|pair| pair[0].0 != pair[1].0),
        "{terms:?}"
    );
    settled(&a, &b).await;
}

#[tokio::test]
async fn a_selector_runs_in_a_spawned_task_and_dropping_it_is_leaving() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let mine = selector(&client, "spawned");
    let (led, leading) = tokio::sync::oneshot::channel();
    let mut led = Some(led);
    #[expect(clippy::disallowed_methods, reason = "that it compiles is the point")]
    let task = tokio::spawn(async move {
        let forever = mine.lead_again(|term| {
            if let Some(led) = led.take() {
                led.send(term.ownership()).unwrap();
            }
            std::future::pending::<ControlFlow<()>>()
        });
        forever.await
    });
    let term = within("the term", leading).await.unwrap();
    observer.sync("/").await.unwrap();
    let leader = selector(&observer, "").leader().await.unwrap().unwrap();
    assert_eq!(
        (leader.id.as_str(), leader.path.as_str()),
        ("spawned", term.path())
    );
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(lost(&term).await, Why::Released);
    settled(&client, &observer).await;
}

#[tokio::test]
async fn it_stands_again_in_its_next_session_with_a_higher_token() {
    let target = Target::start().await;
    let client = target.client().await;
    let mut tokens = Vec::new();
    let target = &target;
    let work = |term: zk_recipes::Term| {
        tokens.push(term.fencing_token());
        let is_first = tokens.len() == 1;
        async move {
            if is_first {
                target.expire(term.client()).await;
                std::future::pending::<()>().await;
            }
            ControlFlow::Break(())
        }
    };
    let led = selector(&client, "me").lead_again(work).await;
    led.unwrap();
    assert!(tokens.len() == 2 && tokens[0] < tokens[1], "{tokens:?}");
}

#[tokio::test]
async fn a_selector_whose_client_is_closed_ends() {
    let target = Target::start().await;
    let client = target.client().await;
    let work = async |term: zk_recipes::Term| {
        term.client().close().await.unwrap();
        std::future::pending::<ControlFlow<()>>().await
    };
    let mine = selector(&client, "me");
    let ended = within("the end", mine.lead_again(work)).await;
    assert!(
        matches!(ended, Err(Error::Lost(_) | Error::Client(_))),
        "{ended:?}"
    );
    let ended = within("the end", mine.lead(async |_| ())).await;
    assert_eq!(ended.unwrap_err(), Error::Client(zk_client::Error::Closed));
}

#[tokio::test]
async fn a_mutex_is_in_the_same_line_and_a_latch_is_not() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let guard = acquire(&Mutex::new(&client, LOCK)).await;
    let latch = LeaderLatch::builder(&client, LOCK).build().unwrap();
    let leadership = within("the latch", latch.campaign()).await.unwrap();
    let mine = selector(&client, "me");
    let mut lead = std::pin::pin!(mine.lead(async |term| term.fencing_token()));
    let in_line = async {
        eventually("three in line", async || {
            contenders(&observer).await.len() == 3
        })
        .await;
    };
    tokio::select! {
        biased;
        _ = &mut lead => panic!("led beside a mutex"),
        () = in_line => {}
    }
    let held = guard.fencing_token();
    release(guard).await;
    let Ended::Finished(token) = within("the term", lead).await.unwrap() else {
        panic!("lost")
    };
    assert!(token > held);
    release(leadership).await;
}
