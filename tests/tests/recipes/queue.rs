//! Items put into a queue, claimed, worked on and done, while consumers die with items in their
//! hands (R22), machines stall and links break: none is lost, nobody works on an item beside
//! somebody else, and only the last to claim it says that it is done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex as Locked};

use zk_env::EnvRng;
use zk_recipes::queue::{DistributedQueue, QueueClaim};
use zk_recipes::{Error, FencingToken, Ownership, OwnershipState};
use zk_sim::Sim;

use super::*;
use crate::invariants::one_works_on_each_item;
use crate::torture::{CHAOS, HOSTS, strike};

const QUEUE: &str = "/jobs";

/// What the workers did.
#[derive(Debug, Default)]
struct Book {
    next: u64,
    /// The queue has them for certain.
    put: BTreeSet<u64>,
    claims: Vec<(u64, Ownership)>,
    claimed: BTreeMap<u64, Vec<FencingToken>>,
    /// What was to be done has been done; whether the queue was told, or heard, is another matter.
    worked: BTreeSet<u64>,
    /// The queue has confirmed it.
    done: BTreeMap<u64, Vec<FencingToken>>,
    /// Consumers killed with an item in their hands.
    deaths: u64,
    is_draining: bool,
    is_over: bool,
}

type Shared = Arc<Locked<Book>>;

fn book(shared: &Shared) -> std::sync::MutexGuard<'_, Book> {
    shared.lock().unwrap()
}

fn check(shared: &Shared) {
    let mut book = book(shared);
    let is_lost = |claim: &Ownership| matches!(claim.current(), OwnershipState::Lost(_));
    book.claims.retain(|(_, claim)| !is_lost(claim));
    one_works_on_each_item(&book.claims);
}

async fn put(queue: &DistributedQueue, shared: &Shared) {
    let item = {
        let mut book = book(shared);
        book.next += 1;
        book.next
    };
    if queue.put(item.to_string()).await.is_ok() {
        book(shared).put.insert(item);
    }
}

async fn work(claim: QueueClaim, client: &Client, rng: &mut EnvRng, shared: &Shared) {
    let text = std::str::from_utf8(&claim.items[0]).unwrap();
    let item: u64 = text.parse().unwrap();
    let token = claim.fencing_token();
    {
        let mut book = book(shared);
        book.claims.push((item, Ownership::clone(&claim)));
        book.claimed.entry(item).or_default().push(token);
    }
    check(shared);
    pause(client.env(), Duration::from_millis(rng.below(3_000))).await;
    let is_clumsy = !book(shared).is_draining;
    match rng.below(8) {
        0 if is_clumsy => drop(claim),
        1 if is_clumsy => drop(claim.put_back().await),
        _ => {
            book(shared).worked.insert(item);
            match claim.done().await {
                Ok(()) => book(shared).done.entry(item).or_default().push(token),
                Err(Error::Fenced { .. } | Error::Client(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

async fn serve(client: &Client, rng: &mut EnvRng, shared: &Shared) {
    let queue = DistributedQueue::builder(client, QUEUE).build().unwrap();
    while !book(shared).is_over {
        if !book(shared).is_draining {
            put(&queue, shared).await;
        }
        match queue.try_claim().await {
            Ok(Some(claim)) => work(claim, client, rng, shared).await,
            Ok(None) | Err(_) => pause(client.env(), Duration::from_millis(200)).await,
        }
    }
}

/// A worker on a machine that is up.
fn start(sim: &Sim, host: &'static str, shared: &Shared) {
    let (sim, shared) = (sim.clone(), Arc::clone(shared));
    let env = sim.env(host);
    let task = async move {
        let client = connect(&sim, host).await;
        let mut rng = client.env().rng("work");
        serve(&client, &mut rng, &shared).await;
        client.close().await.unwrap();
    };
    drop(env.spawn("worker", Box::pin(task)));
}

/// Everything on the machine is gone at once, and a new worker starts on it some time later.
async fn kill(sim: &Sim, env: &Arc<dyn Env>, rng: &mut EnvRng, shared: &Shared) {
    let host = HOSTS[rng.below(HOSTS.len() as u64) as usize];
    let before = held(shared);
    sim.host(host).kill();
    book(shared).deaths += before - held(shared);
    pause(env, Duration::from_millis(rng.below(4_000))).await;
    assert!(sim.host(host).restart());
    start(sim, host, shared);
}

/// Claims that nobody has given up. Those on a machine that was killed went with it.
fn held(shared: &Shared) -> u64 {
    check(shared);
    book(shared).claims.len() as u64
}

async fn torture(sim: Sim, seed: u64) -> u64 {
    let _server = start_server(&sim).await;
    let env = sim.env("stage");
    let stage = connect(&sim, "stage").await;
    let shared = Shared::default();
    for host in HOSTS {
        start(&sim, host, &shared);
    }
    let mut rng = env.rng("strikes");
    let end = env.now() + CHAOS;
    while env.now() < end {
        if rng.below(3) == 0 {
            kill(&sim, &env, &mut rng, &shared).await;
        } else {
            strike(&sim, &env, &mut rng).await;
        }
        for _ in 0..10 {
            check(&shared);
            pause(&env, Duration::from_millis(rng.below(100))).await;
        }
    }
    // All is well again: what is left is worked on, and nothing stays behind.
    book(&shared).is_draining = true;
    let queue = DistributedQueue::builder(&stage, QUEUE).build().unwrap();
    let until = env.now() + 60 * SESSION_TIMEOUT;
    while !queue.is_empty().await.unwrap() {
        assert!(env.now() < until, "seed {seed}: items stay behind");
        check(&shared);
        pause(&env, Duration::from_millis(500)).await;
    }
    book(&shared).is_over = true;
    pause(&env, 3 * SESSION_TIMEOUT).await;
    stage.sync("/").await.unwrap();
    let locks = format!("{QUEUE}-locks");
    let left = stage.get_children(&locks, None).await.unwrap_or_default();
    assert_eq!(left, [""; 0], "seed {seed}");
    verify(&book(&shared), seed);
    book(&shared).deaths
}

fn verify(book: &Book, seed: u64) {
    let lost: Vec<_> = book.put.difference(&book.worked).collect();
    assert!(lost.is_empty(), "seed {seed}: {lost:?} were lost");
    assert!(book.done.len() > 20, "seed {seed}: {}", book.done.len());
    for (item, done) in &book.done {
        let last = book.claimed[item].iter().max().unwrap();
        assert_eq!(done, &[*last], "seed {seed}: item {item}");
    }
}

#[test]
fn items_outlive_the_consumers_that_die_with_them() {
    let mut deaths = 0;
    for seed in 0..10 {
        simulate(seed, async |sim| deaths += torture(sim, seed).await);
    }
    assert!(deaths > 20, "{deaths}");
}
