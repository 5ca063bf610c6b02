//! A counter that many increment while machines stall and links break.

use std::sync::{Arc, Mutex as Locked};

use zk_recipes::{AtomicLong, Error};
use zk_sim::Sim;

use super::*;
use crate::invariants::each_change_is_counted_once;
use crate::torture::{CHAOS, HOSTS, strike};

const COUNTER: &str = "/counters/c";
const WITNESSES: &str = "/witnesses";

/// What the workers did.
#[derive(Debug, Default)]
struct Book {
    acknowledged: Vec<i64>,
    unknown: usize,
    is_over: bool,
}

type Shared = Arc<Locked<Book>>;

fn book(shared: &Shared) -> std::sync::MutexGuard<'_, Book> {
    shared.lock().unwrap()
}

fn number(client: &Client, is_exact: bool) -> AtomicLong {
    let builder = AtomicLong::builder(client, COUNTER);
    let builder = if is_exact {
        builder.exactly_once(WITNESSES)
    } else {
        builder
    };
    builder.build().unwrap()
}

fn start(sim: &Sim, host: &str, client: Client, number: AtomicLong, shared: &Shared) {
    let shared = Arc::clone(shared);
    let task = async move {
        while !book(&shared).is_over {
            match number.increment().await {
                Ok(changed) => {
                    assert_eq!(changed.after, changed.before + 1);
                    book(&shared).acknowledged.push(changed.after);
                }
                Err(Error::Client(error)) if error.is_outcome_unknown() => {
                    book(&shared).unknown += 1;
                }
                Err(Error::Client(_)) => {}
                Err(error) => panic!("{error}"),
            }
            pause(client.env(), Duration::from_millis(100)).await;
        }
        drop(number);
        client.close().await.unwrap();
    };
    drop(sim.env(host).spawn("worker", Box::pin(task)));
}

/// Gives how many outcomes stayed unknown.
async fn torture(sim: Sim, is_exact: bool) -> usize {
    let _server = start_server(&sim).await;
    let env = sim.env("stage");
    let stage = connect(&sim, "stage").await;
    let shared = Shared::default();
    for host in HOSTS {
        let client = connect(&sim, host).await;
        let number = number(&client, is_exact);
        start(&sim, host, client, number, &shared);
    }
    let mut rng = env.rng("strikes");
    let end = env.now() + CHAOS;
    while env.now() < end {
        strike(&sim, &env, &mut rng).await;
        pause(&env, Duration::from_millis(rng.below(500))).await;
    }
    let healed = book(&shared).acknowledged.len();
    pause(&env, 3 * SESSION_TIMEOUT).await;
    assert!(book(&shared).acknowledged.len() > healed + 10);
    book(&shared).is_over = true;
    pause(&env, 3 * SESSION_TIMEOUT).await;
    stage.sync("/").await.unwrap();
    let last = number(&stage, false).get().await.unwrap();
    let left = stage.get_children(WITNESSES, None).await;
    assert_eq!(left.unwrap_or_default(), [""; 0]);
    let book = book(&shared);
    each_change_is_counted_once(&book.acknowledged, book.unknown, last);
    book.unknown
}

#[test]
fn each_increment_counts_once_and_a_witness_leaves_less_unknown() {
    let (mut plain, mut exact) = (0, 0);
    for seed in 0..5 {
        simulate(seed, async |sim| plain += torture(sim, false).await);
        simulate(seed, async |sim| exact += torture(sim, true).await);
    }
    assert!(exact < plain, "{exact} of {plain}");
}
