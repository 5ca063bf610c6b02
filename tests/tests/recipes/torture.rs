//! A counter that is read, and written one higher, under a lock, while machines stall and links
//! break: no increment is lost, tokens rise, and never do two guards hold at once.

use std::sync::{Arc, Mutex as Locked};

use zk_client::CreateMode;
use zk_env::EnvRng;
use zk_recipes::{FencingToken, Mutex, Ownership, OwnershipState};
use zk_sim::Sim;

use super::*;

pub(super) const HOSTS: [&str; 3] = ["ann", "bob", "eve"];
pub(super) const CHAOS: Duration = Duration::from_secs(180);
const COUNTER: &str = "/counter";

/// What the workers did.
#[derive(Debug, Default)]
struct Book {
    /// Committed: the value written, and under which token.
    done: Vec<(u64, FencingToken)>,
    unknown: u64,
    guards: Vec<Ownership>,
    is_over: bool,
}

type Shared = Arc<Locked<Book>>;

fn book(shared: &Shared) -> std::sync::MutexGuard<'_, Book> {
    shared.lock().unwrap()
}

/// At most one valid guard, by the clock of the machine that has it.
fn check_exclusion(shared: &Shared) {
    let mut book = book(shared);
    let is_lost = |guard: &Ownership| matches!(guard.current(), OwnershipState::Lost(_));
    book.guards.retain(|guard| !is_lost(guard));
    let is_held = |guard: &&Ownership| matches!(guard.current(), OwnershipState::Held { .. });
    let held: Vec<_> = book.guards.iter().filter(is_held).collect();
    assert!(held.len() <= 1, "{held:?}");
}

/// Reads and adds one, under the lock; whatever fails is tried again.
async fn increment(lock: &Mutex, client: &Client, shared: &Shared) -> Option<()> {
    let guard = lock.acquire().await.ok()?;
    book(shared).guards.push(guard.ownership());
    check_exclusion(shared);
    let (data, _) = client.get_data(COUNTER, None).await.ok()?;
    let value: u64 = std::str::from_utf8(&data).unwrap().parse().unwrap();
    // Time for a fault to strike between the look and the act; nothing stops the act but
    // the guard.
    let long = Duration::from_millis(client.env().rng("work").below(3_000));
    pause(client.env(), long).await;
    let write = guard
        .transaction()
        .set_data(COUNTER, (value + 1).to_string(), None);
    match write.commit().await {
        Ok(_) => book(shared).done.push((value + 1, guard.fencing_token())),
        Err(zk_recipes::Error::Client(error)) if error.is_outcome_unknown() => {
            book(shared).unknown += 1;
        }
        Err(_) => {}
    }
    guard.release().await.ok()
}

fn start(sim: &Sim, host: &str, client: Client, shared: &Shared) {
    let shared = Arc::clone(shared);
    let env = sim.env(host);
    let task = async move {
        let lock = Mutex::new(&client, LOCK);
        while !book(&shared).is_over {
            increment(&lock, &client, &shared).await;
            pause(client.env(), Duration::from_millis(50)).await;
        }
        client.close().await.unwrap();
    };
    drop(env.spawn("worker", Box::pin(task)));
}

/// One fault on one host, over before the next.
pub(super) async fn strike(sim: &Sim, env: &Arc<dyn Env>, rng: &mut EnvRng) {
    let host = HOSTS[rng.below(HOSTS.len() as u64) as usize];
    let short = Duration::from_millis(rng.below(2_000));
    let long = SESSION_TIMEOUT + short;
    let lasts = if rng.below(3) == 0 { long } else { short };
    let machine = sim.host(host);
    match rng.below(5) {
        0 => {
            machine.pause();
            pause(env, lasts).await;
            machine.resume();
        }
        1 => {
            machine.suspend();
            pause(env, lasts).await;
            machine.wake();
        }
        2 => {
            sim.silence(host, SERVER);
            pause(env, lasts).await;
            sim.end_silence(host, SERVER);
        }
        3 => sim.fin(host, SERVER),
        _ => {
            sim.cut(host, SERVER);
            pause(env, lasts).await;
            sim.end_cut(host, SERVER);
        }
    }
}

async fn torture(sim: Sim, seed: u64) {
    let _server = start_server(&sim).await;
    let env = sim.env("stage");
    let stage = connect(&sim, "stage").await;
    stage
        .create(COUNTER, b"0", CreateMode::Persistent)
        .await
        .unwrap();
    let shared = Shared::default();
    for host in HOSTS {
        start(&sim, host, connect(&sim, host).await, &shared);
    }
    let mut rng = env.rng("strikes");
    let end = env.now() + CHAOS;
    while env.now() < end {
        strike(&sim, &env, &mut rng).await;
        for _ in 0..10 {
            check_exclusion(&shared);
            pause(&env, Duration::from_millis(rng.below(100))).await;
        }
    }
    // All is well again: everybody gets on, and leaves nothing behind.
    let healed = book(&shared).done.len();
    pause(&env, 3 * SESSION_TIMEOUT).await;
    assert!(book(&shared).done.len() > healed + 3, "seed {seed}");
    book(&shared).is_over = true;
    pause(&env, 3 * SESSION_TIMEOUT).await;
    stage.sync("/").await.unwrap();
    // An empty container may have been reaped by now.
    let left = stage.get_children(LOCK, None).await.unwrap_or_default();
    assert_eq!(left, [""; 0], "seed {seed}");
    let (data, _) = stage.get_data(COUNTER, None).await.unwrap();
    let last: u64 = std::str::from_utf8(&data).unwrap().parse().unwrap();
    verify(&mut book(&shared), last, seed);
}

fn verify(book: &mut Book, last: u64, seed: u64) {
    let acknowledged = book.done.len() as u64;
    let possible = acknowledged..=acknowledged + book.unknown;
    assert!(
        possible.contains(&last),
        "seed {seed}: {last} of {possible:?}"
    );
    assert!(acknowledged > 20, "seed {seed}: {acknowledged}");
    book.done.sort_by_key(|(value, _)| *value);
    for pair in book.done.windows(2) {
        let ((value, token), (next, later)) = (pair[0], pair[1]);
        assert!(value < next, "seed {seed}: {value} was written twice");
        assert!(token < later, "seed {seed}: {token} wrote before {later}");
    }
}

#[test]
fn a_counter_under_a_lock_stays_exact() {
    for seed in 0..15 {
        simulate(seed, async |sim| torture(sim, seed).await);
    }
}
