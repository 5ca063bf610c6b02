use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use zk_client::{Client, CreateMode, ErrorCode};
use zk_env::BoxFuture;

use super::*;
use crate::faults::{Fault, FaultKind};
use crate::history::{History, Outcome, RecordedClient, Step};

const SECOND: Duration = Duration::from_secs(1);

/// Writes to a znode of its own; what the test wants to go wrong goes wrong.
#[derive(Default)]
struct Writers {
    goes_wrong: Option<Wrong>,
    verified: Option<Arc<AtomicBool>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Fails,
    Panics,
    StopsAfterFaults,
    NeverEnds,
    LeavesATask,
    FailsIfKilled,
}

impl Workload for Writers {
    fn name(&self) -> &'static str {
        "writers"
    }

    fn hosts(&self) -> Vec<String> {
        ["ann", "bob"].map(str::to_owned).to_vec()
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        Box::pin(write(stage, self.goes_wrong))
    }

    fn verify(&self, stage: Stage) -> BoxFuture<()> {
        let verified = self.verified.clone();
        Box::pin(async move {
            let Some(client) = connect(&stage).await else {
                return stage.fail("nobody there to verify with");
            };
            if let Err(error) = client.get_data("/ann", None).await {
                stage.fail(format!("/ann: {error}"));
            }
            drop(client.close().await);
            if let Some(verified) = verified {
                verified.store(true, Ordering::Relaxed);
            }
        })
    }
}

async fn connect(stage: &Stage) -> Option<RecordedClient> {
    loop {
        let settings = Client::builder(stage.connect_string())
            .env(stage.env())
            .session_timeout(4 * SECOND);
        match RecordedClient::connect(settings, stage.recorder(), stage.sim()).await {
            Ok(client) => return Some(client),
            Err(_) if stage.goes_on() => stage.pause(SECOND..2 * SECOND).await,
            Err(_) => return None,
        }
    }
}

async fn write(stage: Stage, goes_wrong: Option<Wrong>) {
    let Some(client) = connect(&stage).await else {
        return;
    };
    let path = format!("/{}", stage.host());
    let created = client.create(&path, b"", CreateMode::Persistent).await;
    let existed = created.is_err_and(|error| error.code() == Some(ErrorCode::NodeExists));
    if existed && goes_wrong == Some(Wrong::FailsIfKilled) {
        stage.fail("started again");
    }
    while stage.goes_on() {
        let written = client.set_data(&path, b"x", None).await;
        go_wrong(&stage, goes_wrong).await;
        let stopped = goes_wrong == Some(Wrong::StopsAfterFaults);
        if written.is_ok() && !(stopped && stage.phase() == Phase::Healed) {
            stage.progress("write");
        }
        stage
            .pause(Duration::from_millis(20)..Duration::from_millis(80))
            .await;
    }
    if goes_wrong == Some(Wrong::NeverEnds) {
        std::future::pending::<()>().await;
    }
    drop(client.close().await);
}

async fn go_wrong(stage: &Stage, how: Option<Wrong>) {
    match how {
        Some(Wrong::Fails) if stage.phase() == Phase::Chaos => stage.fail("as asked"),
        Some(Wrong::Panics) if stage.phase() == Phase::Chaos => panic!("as asked"),
        Some(Wrong::LeavesATask) if stage.phase() == Phase::Healed => {
            drop(stage.env().spawn("left", Box::pin(std::future::pending())));
        }
        _ => {}
    }
}

fn run(seed: u64) -> Run {
    Run::new(seed)
        .workload(Writers::default)
        .warm_up(2 * SECOND)
        .chaos(20 * SECOND)
}

fn wrong(goes_wrong: Wrong) -> Run {
    Run::new(1)
        .workload(move || Writers {
            goes_wrong: Some(goes_wrong),
            verified: None,
        })
        .warm_up(2 * SECOND)
        .chaos(20 * SECOND)
}

fn fault(at: u64, lasts: u64, kind: FaultKind) -> Fault {
    Fault {
        at: Duration::from_secs(at),
        lasts: Duration::from_secs(lasts),
        kind,
    }
}

/// Of the server and of a client, what stops and starts them.
fn outages(_: u64, hosts: &[String], _: Duration) -> Vec<Fault> {
    let [server, ann, bob] = hosts else {
        unreachable!("a server and two writers");
    };
    vec![
        fault(1, 2, FaultKind::Kill { host: ann.clone() }),
        fault(
            4,
            2,
            FaultKind::Kill {
                host: server.clone(),
            },
        ),
        fault(
            7,
            2,
            FaultKind::Restart {
                server: server.clone(),
            },
        ),
        fault(
            8,
            4,
            FaultKind::Kill {
                host: server.clone(),
            },
        ),
        fault(10, 90, FaultKind::Isolate { host: bob.clone() }),
        fault(
            13,
            1,
            FaultKind::DropConnections {
                server: server.clone(),
            },
        ),
        fault(
            14,
            1,
            FaultKind::ExpireSession {
                server: server.clone(),
                pick: 4711,
            },
        ),
        fault(
            15,
            2,
            FaultKind::Pause {
                host: server.clone(),
            },
        ),
    ]
}

fn found_by(verdict: &Verdict) -> &str {
    verdict
        .violation
        .as_ref()
        .map_or("nobody", |violation| &violation.found_by)
}

#[test]
fn a_run_goes_through_all_phases_with_and_without_faults() {
    for run in [run(1), run(1).faults(outages)] {
        let verified = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&verified);
        let faults = run.drawn().len() as u64;
        let verdict = Run {
            make_workloads: Vec::new(),
            ..run
        }
        .workload(move || Writers {
            goes_wrong: None,
            verified: Some(Arc::clone(&seen)),
        })
        .start();
        assert_eq!(verdict.violation, None);
        assert!(verified.load(Ordering::Relaxed));
        assert!(verdict.operations > 200, "{verdict:?}");
        assert!(verdict.simulated >= 22 * SECOND, "{verdict:?}");
        assert_eq!(verdict.workloads, ["writers"]);
        assert_eq!(verdict.fault_count(), faults);
    }
}

#[test]
fn a_seed_is_one_run_and_seeds_differ() {
    let verdicts = [3, 3, 4].map(|seed| run(seed).faults(outages).start());
    let [first, again, other] = verdicts.map(|verdict| {
        assert_eq!(verdict.violation, None);
        (verdict.trace, verdict.operations, verdict.simulated)
    });
    assert_eq!(first, again);
    assert_ne!(first.0, other.0);
}

#[test]
fn whatever_goes_wrong_is_found() {
    let named = [
        (Wrong::Fails, "workload", "as asked"),
        (Wrong::Panics, "panic", "as asked"),
        (Wrong::StopsAfterFaults, "liveness", "writers on ann"),
        (Wrong::NeverEnds, "liveness", "do not end"),
        (Wrong::LeavesATask, "census", "left on ann"),
    ];
    for (how, finder, what) in named {
        let verdict = wrong(how).start();
        assert_eq!(
            found_by(&verdict),
            finder,
            "{how:?}: {:?}",
            verdict.violation
        );
        let text = verdict.violation.map(|violation| violation.to_string());
        assert!(
            text.as_ref().is_some_and(|text| text.contains(what)),
            "{text:?}"
        );
    }
}

/// Blocks its thread until the other end of the channel is gone.
struct Blocks(Mutex<Option<mpsc::Receiver<()>>>);

impl Workload for Blocks {
    fn name(&self) -> &'static str {
        "blocks"
    }

    fn hosts(&self) -> Vec<String> {
        vec!["ann".to_owned()]
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let blocks = self.0.lock().unwrap().take();
        Box::pin(async move {
            stage.pause(SECOND..2 * SECOND).await;
            // It never comes.
            let _ = blocks.unwrap().recv();
        })
    }
}

#[test]
fn a_run_that_hangs_is_given_up() {
    let (release, blocks) = mpsc::channel();
    let blocks = Mutex::new(Some(blocks));
    let run = Run::new(1)
        .workload(move || Blocks(Mutex::new(blocks.lock().unwrap().take())))
        .patience(Duration::from_millis(300));
    let verdict = run.start();
    drop(release);
    let violation = verdict.violation.expect("it hangs");
    assert_eq!(violation.found_by, "watchdog");
    assert!(
        violation.what.contains("1s into the run, warming up"),
        "{violation}"
    );
}

/// Counts the calls, and objects to any that was refused.
struct NoRefusals;

impl Invariant for NoRefusals {
    fn name(&self) -> &'static str {
        "no refusals"
    }

    fn check(&mut self, history: &History) -> Result<(), String> {
        let is_refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(_));
        let refused = history.calls.iter().filter(|call| {
            call.ended
                .as_ref()
                .is_some_and(|(_, outcome)| is_refused(outcome))
        });
        match refused.count() {
            0 => Ok(()),
            count => Err(format!("{count} calls were refused")),
        }
    }
}

/// Objects to the tenth transaction.
#[derive(Default)]
struct NineAtMost(u32);

impl Invariant for NineAtMost {
    fn name(&self) -> &'static str {
        "nine at most"
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        let Step::Transaction(made) = step else {
            return Ok(());
        };
        self.0 += 1;
        match self.0 {
            ..10 => Ok(()),
            _ => Err(format!("transaction {}", made.zxid)),
        }
    }

    fn check(&mut self, _: &History) -> Result<(), String> {
        Err("too late".to_owned())
    }
}

#[test]
fn an_invariant_that_objects_to_a_step_ends_the_run_there() {
    let (verdict, history) = run(5).invariant(NineAtMost::default).replay();
    let violation = verdict.violation.unwrap();
    assert_eq!(violation.found_by, "nine at most");
    assert_eq!(violation.what, "transaction 0xa");
    let history = history.unwrap();
    assert_eq!(violation.at, history.transactions[9].at);
    assert_eq!(verdict.simulated, violation.at, "nothing happened after it");
}

#[test]
fn invariants_see_the_whole_history() {
    let fine = run(5).invariant(|| NoRefusals).start();
    assert_eq!(fine.violation, None);
    // Whoever is killed finds the znode of its first life.
    let refused = run(5).invariant(|| NoRefusals).faults(outages).start();
    assert_eq!(found_by(&refused), "no refusals");
}

#[test]
fn a_failing_run_shrinks_to_the_fault_that_matters() {
    let run = wrong(Wrong::FailsIfKilled).faults(outages);
    let shrunk = shrink(&run, |_, _| {}).expect("it fails");
    let [only] = shrunk.run.drawn().try_into().expect("one fault is enough");
    assert_eq!(only.0, 0, "{only:?}");
    assert!(
        shrunk.until.is_some_and(|until| until < 10 * SECOND),
        "{:?}",
        shrunk.until
    );
    assert_eq!(found_by(&shrunk.run.start()), "workload");
}

#[test]
fn a_timeline_shows_who_said_what_to_whom() {
    let (_, history) = run(6).faults(outages).replay();
    let timeline = Timeline::new(&history.expect("the run did not hang"));
    let all: Vec<String> = timeline
        .show(&Filter::default())
        .map(Line::to_string)
        .collect();
    for expected in [
        "ann -> server: connect a new session",
        "server -> ann: connected: session 0x",
        "ann -> server: Create /ann",
        "server -> ann: re Create /ann",
        "server -> ann: re SetData /ann",
        "never arrives",
        "log: SetData",
        "== kill: ann begins",
        "== the server starts again",
        "is Connected",
        "calls SetData /bob",
        "SetData /bob xid",
    ] {
        assert!(
            all.iter().any(|line| line.contains(expected)),
            "{expected}: {:#?}",
            &all[..40]
        );
    }
    let filter = Filter {
        hosts: ["bob".to_owned()].into(),
        kinds: [Kind::Call].into(),
        from: Some(3 * SECOND),
        to: Some(4 * SECOND),
    };
    let mut shown = timeline.show(&filter).peekable();
    assert!(shown.peek().is_some());
    assert!(shown.all(|line| line.hosts == ["bob"] && line.kind == Kind::Call));
}

#[test]
fn many_runs_on_several_cores_are_what_they_are_one_by_one() {
    let alone: Vec<u64> = (0..6).map(|seed| run(seed).start().trace).collect();
    let mut together = std::collections::BTreeMap::new();
    run_all((0..6).map(run), 3, |verdict| {
        together.insert(verdict.seed, verdict.trace);
        std::ops::ControlFlow::Continue(())
    });
    assert_eq!(together.into_values().collect::<Vec<_>>(), alone);
}
