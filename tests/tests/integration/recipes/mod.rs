//! Recipes: what contenders, guards and scopes promise, with real servers and real faults.

mod barrier;
mod cancel;
mod config;
mod counter;
mod dialects;
mod distributed_queue;
mod double_barrier;
mod faults;
mod group;
mod guard;
mod handover;
mod herd;
mod in_line;
mod latch;
mod multi;
mod mutex;
mod naming;
mod queue;
mod read_write;
mod reentrant;
mod revocation;
mod scope;
mod selector;
mod semaphore;
mod several;
mod spawn;
mod watch;

use zk_client::Client;
use zk_recipes::{Guard, Mutex, Ownership, OwnershipState, Why};
use zk_tests::wait::{eventually, within};

const LOCK: &str = "/locks/l";

/// The names below the lock, as a client that did nothing else sees them.
async fn contenders(observer: &Client) -> Vec<String> {
    observer.sync("/").await.unwrap();
    match observer.get_children(LOCK, None).await {
        Ok(mut names) => {
            names.sort_by_key(|name| name.rsplit('-').next().map(str::to_owned));
            names
        }
        Err(error) => {
            let code = error.code();
            assert_eq!(code, Some(zk_client::ErrorCode::NoNode), "{error:?}");
            Vec::new()
        }
    }
}

async fn until_contenders(observer: &Client, count: usize) {
    let what = format!("{count} contenders");
    eventually(&what, async || contenders(observer).await.len() == count).await;
}

async fn acquire(lock: &Mutex) -> Guard {
    within("the lock", lock.acquire()).await.unwrap()
}

async fn release(guard: Guard) {
    within("the release", guard.release()).await.unwrap();
}

async fn lost(ownership: &Ownership) -> Why {
    within("the loss", ownership.lost()).await
}

async fn until_held(ownership: &Ownership) {
    let mut state = ownership.state();
    let held = state.wait_for(|state| matches!(state, OwnershipState::Held { .. }));
    within("held", held).await.unwrap();
}

async fn until_in_doubt(ownership: &Ownership) {
    let mut state = ownership.state();
    let doubt = state.wait_for(|state| *state == OwnershipState::InDoubt);
    within("in doubt", doubt).await.unwrap();
}

/// That nothing is left once the client's reaper has settled.
async fn settled(client: &Client, observer: &Client) {
    eventually("the reaper", async || client.guaranteed_deletes() == 0).await;
    assert_eq!(contenders(observer).await, [""; 0]);
}
