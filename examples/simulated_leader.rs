//! Testing a service that leads, on an ensemble of three servers: candidates of which one
//! writes at a time, under a lock, while servers die, lose power or are cut off.
//!
//! `cargo run --release --example simulated_leader` finds nothing; with the argument `careless` a
//! leader does not let the server check that it leads still, and the first seed that shows it is
//! printed.

use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use zk_client::{Client, CreateMode};
use zk_recipes::{Error, Guard, LeaderLatch};
use zk_sim::faults::{Fault, FaultKind, LEADER};
use zk_sim::runner::{Ensemble, Run, Stage, Workload, run_all};
use zk_sim::{BoxFuture, EnvRng};

const ELECTION: &str = "/service/leader";
/// What the leader of the day writes: its token.
const LOG: &str = "/service/log";

// --- the service, as it would run anywhere -----------------------------------------

/// Writes under the leadership that `guard` stands for. The server refuses it once somebody
/// else leads, unless nobody asks it to look.
async fn write(client: &Client, guard: &Guard, is_careless: bool) -> Result<(), Error> {
    let token = guard.fencing_token().to_string();
    if is_careless {
        client.set_data(LOG, &token, None).await?;
    } else {
        let write = guard.transaction().set_data(LOG, token.as_bytes(), None);
        write.commit().await?;
    }
    Ok(())
}

// --- the test ----------------------------------------------------------------------

#[derive(Default)]
struct Leading {
    /// The highest token under which a write was acknowledged.
    newest: Arc<Mutex<u64>>,
    is_careless: bool,
}

impl Workload for Leading {
    fn name(&self) -> &'static str {
        "leading"
    }

    fn hosts(&self) -> Vec<String> {
        ["ann", "bob", "eve"].map(String::from).into()
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let (newest, is_careless) = (Arc::clone(&self.newest), self.is_careless);
        Box::pin(async move {
            let client = loop {
                match stage.client().connect().await {
                    Ok(client) => break client,
                    Err(_) if stage.goes_on() => {}
                    Err(_) => return,
                }
            };
            let _ = client.create("/service", b"", CreateMode::Persistent).await;
            let _ = client.create(LOG, b"", CreateMode::Persistent).await;
            let latch = LeaderLatch::builder(&client, ELECTION);
            let latch = latch.build().expect("the path is valid");
            while stage.goes_on() {
                if let Ok(guard) = latch.campaign().await {
                    stage.progress("leading"); // everybody must come to it after the faults
                    term(&stage, &client, &guard, &newest, is_careless).await;
                    let _ = guard.release().await;
                }
                pause(&stage, 200).await;
            }
            let _ = client.close().await;
        })
    }
}

/// Some writes, for as long as they succeed. None may follow one of a later leader.
async fn term(
    stage: &Stage,
    client: &Client,
    guard: &Guard,
    newest: &Mutex<u64>,
    is_careless: bool,
) {
    let token = guard.fencing_token().as_u64();
    for _ in 0..5 {
        pause(stage, 300).await;
        if write(client, guard, is_careless).await.is_err() {
            return;
        }
        let mut newest = newest.lock().expect("nobody panics");
        if token < *newest {
            stage.fail(format!("wrote with token {token} after {newest}"));
        }
        *newest = token.max(*newest);
    }
}

async fn pause(stage: &Stage, up_to_ms: u64) {
    let up_to = Duration::from_millis(up_to_ms);
    stage.pause(Duration::from_millis(5)..up_to).await;
}

/// Servers die, whoever leads them more often than others; services stand still or are cut
/// off, some longer than a session.
fn servers_and_services(seed: u64, hosts: &[String], chaos: Duration) -> Vec<Fault> {
    let mut rng = EnvRng::from_seed(seed);
    let (servers, services) = hosts.split_at(3);
    let one_of = |names: &[String], rng: &mut EnvRng| -> String {
        names[rng.below(names.len() as u64) as usize].clone()
    };
    let mut strike = |n: u32| {
        let (server, service) = (one_of(servers, &mut rng), one_of(services, &mut rng));
        let kind = match rng.below(5) {
            0 => FaultKind::Kill { host: server },
            1 => FaultKind::Kill {
                host: LEADER.to_owned(),
            },
            2 => FaultKind::Isolate {
                host: LEADER.to_owned(),
            },
            3 => FaultKind::Pause { host: service },
            _ => FaultKind::Isolate { host: service },
        };
        Fault {
            at: chaos / 10 * n,
            lasts: Duration::from_millis(rng.below(12_000)),
            kind,
        }
    };
    (0..10).map(&mut strike).collect()
}

fn main() -> ExitCode {
    let is_careless = std::env::args().any(|argument| argument == "careless");
    let seed = std::env::args().find_map(|argument| argument.parse().ok());
    let seeds = seed.map_or(0..40, |seed: u64| seed..seed + 1);
    let runs = seeds.map(|seed| {
        let workload = move || Leading {
            is_careless,
            ..Leading::default()
        };
        Run::new(seed)
            .ensemble(Ensemble::of(3))
            .workload(workload)
            .faults(servers_and_services)
    });
    let (mut seeds, mut faults, mut failed) = (0, 0, None);
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    run_all(runs, jobs, |verdict| {
        seeds += 1;
        faults += verdict.fault_count();
        failed = verdict.violation.map(|violation| (verdict.seed, violation));
        if failed.is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    println!("{seeds} seeds, {faults} faults");
    if let Some((seed, violation)) = &failed {
        println!("seed {seed} FAILED: {violation}");
        let careless = if is_careless { " careless" } else { "" };
        println!("  cargo run --release --example simulated_leader --{careless} {seed}");
    }
    // Careless leaders are there to be found.
    ExitCode::from(u8::from(failed.is_some() != is_careless))
}
