//! Testing a service of your own under faults: workers that count in a shared
//! document, on simulated machines, over 200 seeds with partitions and pauses.
//!
//! `cargo run --release --example simulated_service` finds nothing; with the argument `careless` the
//! workers overwrite what others wrote, and the first seed that shows it is printed.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use zk_client::{Client, CreateMode, Error, ErrorCode};
use zk_sim::faults::{Fault, FaultKind};
use zk_sim::runner::{Run, Stage, Workload, run_all};
use zk_sim::{BoxFuture, EnvRng};

const DOCUMENT: &str = "/counts";

// --- the service, as it would run anywhere -----------------------------------------

/// Adds one to the line of `me` by compare-and-set.
async fn count(client: &Client, me: &str, is_careless: bool) -> Result<(), Error> {
    loop {
        let (document, stat) = client.get_data(DOCUMENT, None).await?;
        let mut counts = parse(&document);
        *counts.entry(me.to_owned()).or_default() += 1;
        let version = (!is_careless).then_some(stat.version);
        match client.set_data(DOCUMENT, render(&counts), version).await {
            Err(error) if error.code() == Some(ErrorCode::BadVersion) => {} // another was faster
            done => return done.map(drop),
        }
    }
}

fn parse(document: &[u8]) -> BTreeMap<String, u64> {
    let text = String::from_utf8_lossy(document);
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines
        .map(|(who, count)| (who.to_owned(), count.parse().unwrap_or(0)))
        .collect()
}

fn render(counts: &BTreeMap<String, u64>) -> String {
    counts
        .iter()
        .map(|(who, count)| format!("{who}={count}\n"))
        .collect()
}

// --- the test ----------------------------------------------------------------------

/// What each worker knows that it has counted, and what it cannot know.
type Ledger = Arc<Mutex<BTreeMap<String, (u64, u64)>>>;

#[derive(Default)]
struct Counting {
    ledger: Ledger,
    is_careless: bool,
}

impl Workload for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn hosts(&self) -> Vec<String> {
        ["ann", "bob", "eve"].map(String::from).into()
    }

    /// Called again on a machine that was killed and has come back.
    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let (ledger, is_careless) = (Arc::clone(&self.ledger), self.is_careless);
        Box::pin(async move {
            let me = stage.host().to_owned();
            let client = loop {
                match stage.client().connect().await {
                    Ok(client) => break client,
                    Err(_) if stage.goes_on() => {} // cut off, it goes on trying
                    Err(_) => return,
                }
            };
            let _ = client.create(DOCUMENT, b"", CreateMode::Persistent).await;
            while stage.goes_on() {
                let counted = count(&client, &me, is_careless).await;
                note(&ledger, &me, &counted);
                if counted.is_ok() {
                    stage.progress("counting"); // which every worker must make after the faults
                }
                stage
                    .pause(Duration::from_millis(20)..Duration::from_millis(200))
                    .await;
            }
            let _ = client.close().await;
        })
    }

    /// The invariant: every count that was acknowledged is there, and no other.
    fn verify(&self, stage: Stage) -> BoxFuture<()> {
        let ledger = Arc::clone(&self.ledger);
        Box::pin(async move {
            let client = stage.client().connect().await.expect("the faults are over");
            let (document, _) = client.get_data(DOCUMENT, None).await.expect("it exists");
            let counts = parse(&document);
            for (who, (sure, perhaps)) in &*ledger.lock().expect("nobody panics") {
                let count = counts.get(who).copied().unwrap_or(0);
                if !(*sure..=sure + perhaps).contains(&count) {
                    stage.fail(format!(
                        "{who} counted {sure} to {}, the document says {count}",
                        sure + perhaps
                    ));
                }
            }
        })
    }
}

fn note(ledger: &Ledger, who: &str, counted: &Result<(), Error>) {
    let mut ledger = ledger.lock().expect("nobody panics");
    let (sure, perhaps) = ledger.entry(who.to_owned()).or_default();
    match counted {
        Ok(()) => *sure += 1,
        Err(error) if error.is_outcome_unknown() => *perhaps += 1,
        Err(_) => {}
    }
}

/// Every few seconds somebody is cut off or stands still, some longer than a session.
fn partitions_and_pauses(seed: u64, hosts: &[String], chaos: Duration) -> Vec<Fault> {
    let mut rng = EnvRng::from_seed(seed);
    let mut strike = |n: u32| {
        let host = hosts[rng.below(hosts.len() as u64) as usize].clone();
        let kind = match rng.below(2) {
            0 => FaultKind::Isolate { host },
            _ => FaultKind::Pause { host },
        };
        let lasts = Duration::from_millis(rng.below(12_000));
        Fault {
            at: chaos / 8 * n,
            lasts,
            kind,
        }
    };
    (0..8).map(&mut strike).collect()
}

fn main() -> ExitCode {
    let is_careless = std::env::args().any(|argument| argument == "careless");
    let seed = std::env::args().find_map(|argument| argument.parse().ok());
    let seeds = seed.map_or(0..200, |seed: u64| seed..seed + 1);
    let runs = seeds.map(|seed| {
        let workload = move || Counting {
            is_careless,
            ..Counting::default()
        };
        Run::new(seed)
            .workload(workload)
            .faults(partitions_and_pauses)
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
        println!("  cargo run --release --example simulated_service --{careless} {seed}");
    }
    // Careless workers are there to be found.
    ExitCode::from(u8::from(failed.is_some() != is_careless))
}
