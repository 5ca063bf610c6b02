//! What locks and elections cost, in round trips: on links that take the same time for every
//! message, virtual time counts them.

use zk_recipes::{Dialect, Guard, LeaderLatch, LeaderSelector, Mutex, ReadWriteLock};
use zk_sim::Sim;

use super::*;

const ONE_WAY: Duration = Duration::from_millis(50);
const ROUND_TRIP: Duration = Duration::from_millis(100);
/// A task wakes at the next whole millisecond.
const SLACK: Duration = Duration::from_millis(10);

/// Something exclusive, by one of several clients.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Mutex(Dialect),
    Writer,
    Latch,
}

const KINDS: [Kind; 5] = [
    Kind::Mutex(Dialect::Curator),
    Kind::Mutex(Dialect::Kazoo),
    Kind::Mutex(Dialect::Any),
    Kind::Writer,
    Kind::Latch,
];

async fn acquire(kind: Kind, client: &Client) -> Guard {
    match kind {
        Kind::Mutex(dialect) => {
            let lock = Mutex::builder(client, LOCK).dialect(dialect).build();
            lock.unwrap().acquire().await.unwrap()
        }
        Kind::Writer => {
            let writer = ReadWriteLock::new(client, LOCK).write().await;
            writer.unwrap().into_guard()
        }
        Kind::Latch => {
            let latch = LeaderLatch::builder(client, LOCK).id("x").build();
            latch.unwrap().campaign().await.unwrap()
        }
    }
}

/// How long it took, in virtual time.
async fn timed<T>(sim: &Sim, future: impl Future<Output = T>) -> (T, Duration) {
    let env = sim.env("stage");
    let start = env.now();
    let output = future.await;
    (output, env.now().since(start))
}

fn at_most(kind: Kind, what: &str, took: Duration, limit: Duration) {
    assert!(took <= limit + SLACK, "{kind:?}: {what} took {took:?}");
    // Otherwise the links are faster than this test takes them for.
    assert!(
        took + SLACK > limit - ONE_WAY,
        "{kind:?}: {what} took {took:?}"
    );
}

/// One that stays: this server reaps empty containers ten times a second.
async fn make_parent(client: &Client) {
    let mode = zk_client::CreateMode::Persistent;
    client.create_all(LOCK, b"", mode).await.unwrap();
}

async fn uncontended(sim: &Sim, client: &Client, kind: Kind) {
    // What is asked of a server once is asked.
    acquire(kind, client).await.release().await.unwrap();
    let (guard, took) = timed(sim, acquire(kind, client)).await;
    at_most(kind, "acquiring", took, 2 * ROUND_TRIP);
    // What vouches for the guard is asked for behind the owner's back.
    pause(client.env(), 2 * ROUND_TRIP).await;
    let (released, took) = timed(sim, guard.release()).await;
    released.unwrap();
    at_most(kind, "releasing", took, ROUND_TRIP);
}

async fn handed_on(clients: &[Client; 2], kind: Kind) {
    let [one, other] = clients;
    let guard = acquire(kind, one).await;
    let waiting = async {
        let guard = acquire(kind, other).await;
        (guard, other.env().now())
    };
    let releasing = async {
        pause(one.env(), 10 * ROUND_TRIP).await;
        let called = one.env().now();
        guard.release().await.unwrap();
        called
    };
    let ((next, acquired), called) = tokio::join!(waiting, releasing);
    // The release takes effect when it is with the server.
    let took = acquired.since(called + ONE_WAY);
    at_most(kind, "handing on", took, ROUND_TRIP * 3 / 2);
    next.release().await.unwrap();
}

async fn on_even_links(sim: Sim) {
    sim.set_latency(ONE_WAY, Duration::ZERO);
    let _server = start_server(&sim).await;
    // On the stage's host, so that all clocks are the stage's.
    let clients = [connect(&sim, "stage").await, connect(&sim, "stage").await];
    make_parent(&clients[0]).await;
    for kind in KINDS {
        uncontended(&sim, &clients[0], kind).await;
        handed_on(&clients, kind).await;
    }
}

#[test]
fn two_round_trips_to_acquire_one_to_release_and_one_and_a_half_to_hand_on() {
    simulate(1, on_even_links);
}

async fn terms(sim: Sim) {
    sim.set_latency(ONE_WAY, Duration::ZERO);
    let _server = start_server(&sim).await;
    let client = connect(&sim, "stage").await;
    make_parent(&client).await;
    let selector = LeaderSelector::builder(&client, LOCK).id("x").build();
    let selector = selector.unwrap();
    selector
        .lead(async |_| ())
        .await
        .unwrap()
        .finished()
        .unwrap();
    let (ended, took) = timed(&sim, selector.lead(async |_| ())).await;
    ended.unwrap().finished().unwrap();
    assert!(took <= 3 * ROUND_TRIP + SLACK, "a term took {took:?}");
}

#[test]
fn a_term_without_work_takes_three_round_trips() {
    simulate(2, terms);
}

async fn handed_over(sim: Sim) {
    sim.set_latency(ONE_WAY, Duration::ZERO);
    let _server = start_server(&sim).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(connect(&sim, "stage").await);
    }
    make_parent(&clients[0]).await;
    let latch = |number: usize, id: &str| {
        let latch = LeaderLatch::builder(&clients[number], LOCK).id(id);
        latch.build().unwrap()
    };
    let env = sim.env("stage");
    let (leader, between, target) = (latch(0, "leader"), latch(1, "between"), latch(2, "target"));
    let guard = leader.campaign().await.unwrap();
    let token = guard.fencing_token();
    // Makes way, and is still in line when the target leads.
    let in_between = async move { drop(between.campaign().await) };
    drop(env.spawn("between", Box::pin(in_between)));
    let waiting = async {
        pause(&env, ROUND_TRIP).await;
        let guard = target.campaign().await.unwrap();
        (guard, env.now())
    };
    let handing = async {
        pause(&env, 20 * ROUND_TRIP).await;
        let handed = leader.hand_over(guard, "target", SESSION_TIMEOUT).await;
        handed.map_err(|(_, error)| error).unwrap();
        env.now()
    };
    let ((next, leads), left) = tokio::join!(waiting, handing);
    assert!(next.fencing_token() > token);
    // The leader's znode was gone when the answer to its delete left the server.
    let gap = leads.since(left - ONE_WAY);
    assert!(gap <= ROUND_TRIP * 3 / 2 + SLACK, "nobody led for {gap:?}");
}

#[test]
fn nobody_leads_for_one_notification_and_a_look_when_leadership_is_handed_over() {
    simulate(3, handed_over);
}
