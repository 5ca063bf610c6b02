//! Leases taken and given back while machines stall and links break: never more than there are,
//! and everybody gets one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as Locked};

use zk_recipes::{Dialect, Ownership, OwnershipState, Semaphore};
use zk_sim::Sim;

use super::*;
use crate::invariants::no_more_leases_than_the_size;
use crate::torture::{CHAOS, HOSTS, strike};

const PATH: &str = "/limits/s";
const SIZE: u32 = 2;

/// What the workers did.
#[derive(Debug, Default)]
struct Book {
    leases: Vec<Ownership>,
    /// Leases that each host had.
    had: BTreeMap<&'static str, u64>,
    is_over: bool,
}

type Shared = Arc<Locked<Book>>;

fn book(shared: &Shared) -> std::sync::MutexGuard<'_, Book> {
    shared.lock().unwrap()
}

fn check(shared: &Shared) {
    let mut book = book(shared);
    let is_lost = |lease: &Ownership| matches!(lease.current(), OwnershipState::Lost(_));
    book.leases.retain(|lease| !is_lost(lease));
    no_more_leases_than_the_size(&book.leases, SIZE as usize);
}

async fn hold(semaphore: &Semaphore, client: &Client, host: &'static str, shared: &Shared) {
    let Ok(lease) = semaphore.acquire().await else {
        return;
    };
    book(shared).leases.push(lease.ownership());
    check(shared);
    *book(shared).had.entry(host).or_default() += 1;
    let long = Duration::from_millis(client.env().rng("work").below(3_000));
    pause(client.env(), long).await;
    // Lost or not: it goes.
    let _ = lease.release().await;
}

fn start(sim: &Sim, host: &'static str, client: Client, semaphore: Semaphore, shared: &Shared) {
    let shared = Arc::clone(shared);
    let task = async move {
        while !book(&shared).is_over {
            hold(&semaphore, &client, host, &shared).await;
            pause(client.env(), Duration::from_millis(50)).await;
        }
        client.close().await.unwrap();
    };
    drop(sim.env(host).spawn("worker", Box::pin(task)));
}

fn semaphore(client: &Client, dialect: Dialect) -> Semaphore {
    let builder = Semaphore::builder(client, PATH, SIZE).dialect(dialect);
    let is_kazoo = dialect == Dialect::Kazoo;
    let builder = if is_kazoo {
        builder
    } else {
        builder.size_from("/limits/size")
    };
    builder.build().unwrap()
}

async fn torture(sim: Sim, seed: u64, dialect: Dialect) {
    let _server = start_server(&sim).await;
    let env = sim.env("stage");
    let stage = connect(&sim, "stage").await;
    let shared = Shared::default();
    for host in HOSTS {
        let client = connect(&sim, host).await;
        let semaphore = semaphore(&client, dialect);
        start(&sim, host, client, semaphore, &shared);
    }
    let mut rng = env.rng("strikes");
    let end = env.now() + CHAOS;
    while env.now() < end {
        strike(&sim, &env, &mut rng).await;
        for _ in 0..10 {
            check(&shared);
            pause(&env, Duration::from_millis(rng.below(100))).await;
        }
    }
    let healed = book(&shared).had.clone();
    pause(&env, 5 * SESSION_TIMEOUT).await;
    for (host, had) in &book(&shared).had {
        let before = healed.get(host).copied().unwrap_or_default();
        assert!(*had > before, "seed {seed}: no lease for {host}");
    }
    assert_eq!(book(&shared).had.len(), HOSTS.len(), "seed {seed}");
    book(&shared).is_over = true;
    pause(&env, 3 * SESSION_TIMEOUT).await;
    stage.sync("/").await.unwrap();
    let parents: &[&str] = match dialect {
        Dialect::Kazoo => &["", "-__lock__"],
        _ => &["/leases", "/locks"],
    };
    for parent in parents {
        let path = format!("{PATH}{parent}");
        let left = stage.get_children(&path, None).await.unwrap_or_default();
        assert_eq!(left, [""; 0], "seed {seed}");
    }
}

#[test]
fn never_more_hold_than_there_are_leases() {
    for seed in 0..10 {
        simulate(seed, async |sim| torture(sim, seed, Dialect::Curator).await);
    }
}

#[test]
fn nor_in_kazoos_layout() {
    for seed in 0..10 {
        simulate(seed, async |sim| torture(sim, seed, Dialect::Kazoo).await);
    }
}
