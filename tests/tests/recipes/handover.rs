//! Leaders that hand over to one another while machines stall and links break: one leads at a
//! time, tokens rise, and everybody stays in line.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as Locked};

use zk_recipes::{LeaderLatch, Ownership, OwnershipState};
use zk_sim::Sim;

use super::*;
use crate::invariants::{no_more_leases_than_the_size, tokens_rise_from_write_to_write};
use crate::torture::{CHAOS, HOSTS, strike};

const ELECTION: &str = "/services/leader";
/// As long as a session: a line whose members sleep is refused.
const PATIENCE: Duration = SESSION_TIMEOUT;

/// What the leaders did.
#[derive(Debug, Default)]
struct Book {
    guards: Vec<Ownership>,
    /// In the order in which they were written, each under its leader's token.
    terms: Vec<(u64, zk_recipes::FencingToken)>,
    led: BTreeMap<&'static str, u64>,
    handed_over: u64,
    /// Refused because somebody ahead of the target did not make way in time.
    blocked: u64,
    is_over: bool,
}

type Shared = Arc<Locked<Book>>;

fn book(shared: &Shared) -> std::sync::MutexGuard<'_, Book> {
    shared.lock().unwrap()
}

fn check(shared: &Shared) {
    let mut book = book(shared);
    let is_lost = |guard: &Ownership| matches!(guard.current(), OwnershipState::Lost(_));
    book.guards.retain(|guard| !is_lost(guard));
    no_more_leases_than_the_size(&book.guards, 1);
}

/// One term: a guarded write, then leadership goes to whoever is chosen.
async fn lead(latch: &LeaderLatch, client: &Client, host: &'static str, shared: &Shared) {
    let Ok(guard) = latch.campaign().await else {
        return;
    };
    book(shared).guards.push(guard.ownership());
    check(shared);
    *book(shared).led.entry(host).or_default() += 1;
    let mut rng = client.env().rng("work");
    pause(client.env(), Duration::from_millis(rng.below(1_000))).await;
    let write = guard.transaction().set_data("/term", host, None);
    if let Ok(results) = write.commit().await
        && let Some(zk_client::OpResult::SetData(stat)) = results.first()
    {
        let version = u64::try_from(stat.version).unwrap();
        book(shared).terms.push((version, guard.fencing_token()));
    }
    let to = HOSTS[rng.below(HOSTS.len() as u64) as usize];
    match latch.hand_over(guard, to, PATIENCE).await {
        Ok(()) => book(shared).handed_over += 1,
        Err((guard, error)) => {
            let is_blocked = error.to_string().contains("does not make way");
            book(shared).blocked += u64::from(is_blocked);
            if let Some(guard) = guard {
                // Lost or not: it goes.
                let _ = guard.release().await;
            }
        }
    }
}

fn start(sim: &Sim, host: &'static str, client: Client, shared: &Shared) {
    let shared = Arc::clone(shared);
    let builder = LeaderLatch::builder(&client, ELECTION).id(host);
    let latch = builder.build().unwrap();
    let task = async move {
        while !book(&shared).is_over {
            lead(&latch, &client, host, &shared).await;
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
    let mode = zk_client::CreateMode::Persistent;
    stage.create("/term", b"", mode).await.unwrap();
    let shared = Shared::default();
    for host in HOSTS {
        start(&sim, host, connect(&sim, host).await, &shared);
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
    // What had begun by then may still fail.
    pause(&env, 2 * SESSION_TIMEOUT).await;
    let (healed, handed_over, blocked) = {
        let book = book(&shared);
        (book.led.clone(), book.handed_over, book.blocked)
    };
    pause(&env, 10 * SESSION_TIMEOUT).await;
    for host in HOSTS {
        let (before, after) = (healed.get(host), book(&shared).led.get(host).copied());
        assert!(
            after > before.copied(),
            "seed {seed}: {host} never led again"
        );
    }
    assert!(book(&shared).handed_over > handed_over, "seed {seed}");
    // With everybody well, everybody ahead of the target makes way.
    assert_eq!(book(&shared).blocked, blocked, "seed {seed}");
    book(&shared).is_over = true;
    pause(&env, 4 * SESSION_TIMEOUT).await;
    stage.sync("/").await.unwrap();
    let left = stage.get_children(ELECTION, None).await;
    assert_eq!(left.unwrap_or_default(), [""; 0], "seed {seed}");
    let book = book(&shared);
    assert!(book.handed_over > 5, "seed {seed}: {}", book.handed_over);
    tokens_rise_from_write_to_write(book.terms.clone());
}

#[test]
fn one_leads_at_a_time_however_leadership_is_handed_over() {
    for seed in 0..10 {
        simulate(seed, async |sim| torture(sim, seed).await);
    }
}
