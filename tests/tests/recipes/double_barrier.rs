//! Parties that enter and leave while machines stall and links break.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as Locked};

use zk_client::{CreateMode, Zxid};
use zk_recipes::DoubleBarrier;
use zk_sim::Sim;

use super::*;
use crate::invariants::members_leave_together;
use crate::torture::{CHAOS, HOSTS, strike};

const BARRIER: &str = "/barriers/d";
const READY: &str = "/barriers/d/ready";

/// What the workers did.
#[derive(Debug, Default)]
struct Book {
    /// Who is inside, and has not begun to leave: its znode and its party.
    staying: BTreeMap<&'static str, (String, Zxid)>,
    rounds: u64,
    is_over: bool,
}

type Shared = Arc<Locked<Book>>;

fn book(shared: &Shared) -> std::sync::MutexGuard<'_, Book> {
    shared.lock().unwrap()
}

/// In, a while inside, and out.
async fn round(
    barrier: &DoubleBarrier,
    (client, stage): (&Client, &Client),
    host: &'static str,
    shared: &Shared,
) {
    let mut rng = client.env().rng("work");
    let Ok(inside) = barrier.enter_within(3 * SESSION_TIMEOUT).await else {
        return;
    };
    let party = inside.party();
    let path = inside.path().map(str::to_owned).unwrap();
    book(shared).staying.insert(host, (path, party));
    pause(client.env(), Duration::from_millis(rng.below(1_000))).await;
    book(shared).staying.remove(host);
    if inside.leave().await.is_ok() {
        let staying: Vec<_> = {
            let book = book(shared);
            let same = book.staying.values().filter(|(_, other)| *other == party);
            same.map(|(path, _)| path.clone()).collect()
        };
        members_leave_together(stage, party, &staying).await;
        book(shared).rounds += 1;
    }
}

fn start(sim: &Sim, host: &'static str, client: Client, stage: Client, shared: &Shared) {
    let shared = Arc::clone(shared);
    let size = HOSTS.len();
    let barrier = DoubleBarrier::builder(&client, BARRIER, size).build();
    let barrier = barrier.unwrap();
    let task = async move {
        while !book(&shared).is_over {
            round(&barrier, (&client, &stage), host, &shared).await;
            pause(client.env(), Duration::from_millis(10)).await;
        }
        client.close().await.unwrap();
    };
    drop(sim.env(host).spawn("worker", Box::pin(task)));
}

async fn torture(sim: Sim, seed: u64) {
    let _server = start_server(&sim).await;
    let env = sim.env("stage");
    let stage = connect(&sim, "stage").await;
    let shared = Shared::default();
    for host in HOSTS {
        start(
            &sim,
            host,
            connect(&sim, host).await,
            stage.clone(),
            &shared,
        );
    }
    let mut rng = env.rng("strikes");
    let end = env.now() + CHAOS;
    while env.now() < end {
        strike(&sim, &env, &mut rng).await;
        pause(&env, Duration::from_millis(rng.below(1_000))).await;
    }
    let healed = book(&shared).rounds;
    pause(&env, 10 * SESSION_TIMEOUT).await;
    let rounds = book(&shared).rounds;
    assert!(rounds > healed + 9, "seed {seed}: {healed} {rounds}");
    book(&shared).is_over = true;
    pause(&env, 10 * SESSION_TIMEOUT).await;
    stage.sync("/").await.unwrap();
    let left = stage.get_children(BARRIER, None).await;
    assert_eq!(left.unwrap_or_default(), [""; 0], "seed {seed}");
}

#[test]
fn parties_leave_together_and_get_on() {
    for seed in 0..10 {
        simulate(seed, async |sim| torture(sim, seed).await);
    }
}

/// One alone, for whom somebody puts a stale `ready` there again and again.
async fn lonely(sim: Sim, seed: u64) {
    let _server = start_server(&sim).await;
    let env = sim.env("stage");
    let stage = connect(&sim, "stage").await;
    let client = connect(&sim, HOSTS[0]).await;
    let barrier = DoubleBarrier::builder(&client, BARRIER, 2).build().unwrap();
    let is_over = Arc::new(Locked::new(false));
    let (over, done) = (Arc::clone(&is_over), Arc::new(Locked::new(0_u32)));
    let tries = Arc::clone(&done);
    let task = async move {
        while !*over.lock().unwrap() {
            let entered = barrier.enter_within(Duration::from_secs(2)).await;
            assert!(entered.is_err(), "entered alone: {entered:?}");
            *tries.lock().unwrap() += 1;
        }
        client.close().await.unwrap();
    };
    drop(sim.env(HOSTS[0]).spawn("worker", Box::pin(task)));
    let mut rng = env.rng("strikes");
    let end = env.now() + CHAOS;
    while env.now() < end {
        strike(&sim, &env, &mut rng).await;
        // Only while nobody is there: otherwise it would let them in, and rightly so.
        let children = stage.get_children(BARRIER, None).await.unwrap_or_default();
        if children.is_empty() {
            plant(&stage).await;
        }
        pause(&env, Duration::from_millis(rng.below(300))).await;
    }
    *is_over.lock().unwrap() = true;
    pause(&env, 3 * SESSION_TIMEOUT).await;
    assert!(*done.lock().unwrap() > 10, "seed {seed}");
}

/// A `ready`, unless a member has come in the meantime: the parent goes and comes with it.
async fn plant(stage: &Client) {
    let mode = CreateMode::Persistent;
    let _ = stage.create_all(BARRIER, b"", mode).await;
    let plant = stage.transaction().delete(BARRIER, None);
    let plant = plant.create(BARRIER, b"", mode).create(READY, b"", mode);
    // Refused if somebody is there.
    let _ = plant.commit().await;
}

#[test]
fn nobody_enters_by_a_stale_ready() {
    for seed in 0..10 {
        simulate(seed, async |sim| lonely(sim, seed).await);
    }
}

/// A party whose members have gone without a word, one who came late and is still in, and one
/// who comes after: it takes `ready` for stale, and waits for the late one.
async fn late(sim: Sim) {
    let _server = start_server(&sim).await;
    let mut clients = Vec::new();
    for host in ["ann", "bob", "late", "next"] {
        clients.push(connect(&sim, host).await);
    }
    let barrier = |at: usize| {
        let builder = DoubleBarrier::builder(&clients[at], BARRIER, 2);
        builder.build().unwrap()
    };
    let (ann, bob) = (barrier(0), barrier(1));
    let (ann, bob) = futures_util::join!(ann.enter(), bob.enter());
    let late = barrier(2).enter().await.unwrap();
    drop((ann.unwrap(), bob.unwrap()));
    let next = barrier(3);
    let entering = next.enter_within(4 * SESSION_TIMEOUT);
    let leaving = async {
        pause(clients[2].env(), Duration::from_secs(1)).await;
        // Long before the other gives up.
        late.leave_within(SESSION_TIMEOUT).await
    };
    let (entered, left) = futures_util::join!(entering, leaving);
    assert!(entered.is_err(), "entered alone: {entered:?}");
    left.unwrap();
}

#[test]
fn one_that_came_late_does_not_wait_for_who_waits_for_it() {
    for seed in 0..10 {
        simulate(seed, async |sim| late(sim).await);
    }
}
