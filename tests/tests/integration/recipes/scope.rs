//! Work that ends with its ownership.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use zk_recipes::{Ended, Mutex, Policy, Term};
use zk_tests::wait::{until_not_connected, within};
use zk_tests::{Cut, Proxy, Target};

use super::*;

/// Says when it is dropped.
struct Bell(Arc<AtomicBool>);

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn work_that_finishes_gives_its_result_and_the_lock_is_released() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let lock = Mutex::new(&client, LOCK);
    let run = lock.run(Policy::OnSuspend, async |term: Term| {
        let done = term.transaction().set_data("/", b"x", None).commit().await;
        done.unwrap().len()
    });
    assert_eq!(within("the work", run).await.unwrap(), Ended::Finished(1));
    assert_eq!(contenders(&observer).await, [""; 0]);
}

#[tokio::test]
async fn work_is_dropped_when_its_policy_says_so() {
    let target = Target::start().await;
    for (policy, why) in [
        (Policy::OnSuspend, Why::InDoubt),
        (Policy::OnLost, Why::EpochEnded),
        (
            Policy::AtDeadline {
                margin: Duration::from_secs(3600),
            },
            Why::Deadline,
        ),
    ] {
        let proxy = Proxy::start(target.host()).await;
        let client = target.client_through(&proxy.host()).await;
        let lock = Mutex::new(&client, LOCK);
        let is_dropped = Arc::new(AtomicBool::new(false));
        let bell = Bell(Arc::clone(&is_dropped));
        let run = lock.run(policy, async |_term: Term| {
            let _bell = bell;
            proxy.refuse(true);
            proxy.cut(Cut::Reset);
            until_not_connected(&client).await;
            if policy == Policy::OnLost {
                target.expire(&client).await;
                proxy.refuse(false);
            }
            std::future::pending::<()>().await;
        });
        // While the server is out of reach, where the policy does not wait for its word.
        let ended = within("the end", run).await.unwrap();
        assert_eq!(ended, Ended::Lost(why));
        assert!(is_dropped.load(Ordering::SeqCst));
        proxy.refuse(false);
        settled(&client, &target.client().await).await;
    }
}

#[tokio::test]
async fn child_tasks_go_before_the_znode() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let lock = Mutex::new(&client, LOCK);
    let children = Arc::new(AtomicUsize::new(0));
    struct Child(Arc<AtomicUsize>);
    impl Drop for Child {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let next = Mutex::new(&observer, LOCK);
    let (began, begun) = tokio::sync::oneshot::channel();
    let run = lock.run(Policy::OnSuspend, async |term: Term| {
        for _ in 0..10 {
            children.fetch_add(1, Ordering::SeqCst);
            let child = Child(Arc::clone(&children));
            term.spawn(async move {
                let _child = child;
                std::future::pending::<()>().await;
            });
        }
        began.send(()).unwrap();
        until_contenders(&observer, 2).await;
    });
    let after = async {
        begun.await.unwrap();
        let guard = acquire(&next).await;
        (children.load(Ordering::SeqCst), guard)
    };
    let both = futures_util::future::join(within("the work", run), after);
    let (ended, (left, guard)) = both.await;
    assert_eq!((ended.unwrap(), left), (Ended::Finished(()), 0));
    release(guard).await;
}

#[tokio::test]
async fn a_panic_in_the_work_releases_the_lock() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let lock = Mutex::new(&client, LOCK);
    // Also shows that runs of recipes can be spawned.
    let task = async move {
        let ended = lock
            .run(Policy::OnSuspend, async |_term: Term| panic!("on purpose"))
            .await;
        let _: Ended<()> = ended.unwrap();
    };
    let ran_to_its_end = client.env().spawn("panics", Box::pin(task)).await;
    assert!(!ran_to_its_end);
    settled(&client, &observer).await;
}
