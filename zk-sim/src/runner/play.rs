//! One run, phase by phase.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{interval, sleep, timeout};
use zk_server::ServerError;

use crate::history::{History, Recorder};
use crate::{Failpoints, Sim};

use super::chaos::Chaos;
use super::cpu::Cpu;
use super::crew::{self, Crew};
use super::ensemble::Peers;
use super::judge::{Witnesses, judge};
use super::panics::Panics;
use super::script::Script;
use super::servers::{Keeper, Servers};
use super::steps;
use super::thread::Beat;
use super::{Phase, Run, Verdict, Workload};

/// Between two looks at whether anything has panicked.
const LOOK: Duration = Duration::from_secs(1);
/// For the server to be up again after the last fault.
const SETTLING: Duration = Duration::from_secs(10);
/// For workers to end once they are told.
const ENDING: Duration = Duration::from_secs(120);
/// For all verifications together.
const VERIFYING: Duration = Duration::from_secs(300);
/// For all servers of an ensemble to serve the same tree once clients are closed.
const AGREEING: Duration = Duration::from_secs(20);
/// For tasks to end once clients are closed and the server has stopped.
const DYING: Duration = Duration::from_secs(60);

/// Everything that stands before the first phase.
struct Set {
    script: Arc<Script>,
    keeper: Keeper,
    witnesses: Witnesses,
    workloads: Vec<Arc<dyn Workload>>,
    began: Cpu,
}

/// Plays `run` from the first phase to the verdict.
pub(super) async fn play(run: &Run, beat: &Beat, panics: &Panics) -> (Verdict, History) {
    let mut set = match Set::build(run).await {
        Ok(set) => set,
        Err(error) => panic!("no server: {error}"),
    };
    let script = Arc::clone(&set.script);
    let keeper = set.keeper.clone();
    tokio::select! {
        biased;
        () = look(&script, beat, panics) => {}
        () = keeper.keep() => {}
        _ = set.act(run) => {}
    }
    note_panic(&script, panics);
    set.close(run, beat)
}

/// Returns once something has gone wrong.
async fn look(script: &Script, beat: &Beat, panics: &Panics) {
    let mut looks = interval(LOOK);
    loop {
        tokio::select! {
            biased;
            () = script.failed() => return,
            _ = looks.tick() => {}
        }
        beat.strike(script.sim.elapsed(), name(script.phase()));
        note_panic(script, panics);
    }
}

fn note_panic(script: &Script, panics: &Panics) {
    if let Some(panic) = panics.first() {
        script.fail("panic", panic);
    }
}

const fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::WarmUp => "warming up",
        Phase::Chaos => "while faults struck",
        Phase::Healed => "after the faults",
        Phase::Over => "while it ended",
    }
}

impl Set {
    async fn build(run: &Run) -> Result<Self, ServerError> {
        let began = Cpu::start();
        let witnesses = Witnesses::default();
        let sim = Sim::new(run.seed);
        sim.watch(witnesses.wire.observer());
        sim.set_failpoints(run.disturbance.failpoints);
        sim.set_yields(run.disturbance.yields);
        if let Some(window) = run.disturbance.window {
            sim.set_window(window);
        }
        if let Some(bug) = run.disturbance.planted {
            sim.plant(bug);
        }
        let servers = Servers::start(run, &sim, &witnesses).await?;
        let script = Arc::new(Script::new(sim, servers, Recorder::default()));
        steps::watch(run, &script, &witnesses.log);
        Ok(Self {
            keeper: Keeper::new(&script, &witnesses.log),
            script,
            witnesses,
            workloads: run.made(),
            began,
        })
    }

    /// The whole run. None if that has failed.
    async fn act(&mut self, run: &Run) -> Option<()> {
        self.work(run).await?;
        if timeout(VERIFYING, crew::verify(&self.script, &self.workloads))
            .await
            .is_err()
        {
            let what = format!("not done within {VERIFYING:?}");
            self.script.fail("verification", what);
            return None;
        }
        if let Servers::Ensemble(peers) = &self.script.servers {
            self.agree(peers).await?;
        }
        self.script.servers.stop().await;
        if timeout(DYING, self.nobody_left()).await.is_err() {
            let left = self.left().join(", ");
            self.script.fail("census", format!("left running: {left}"));
            return None;
        }
        if let Servers::Ensemble(peers) = &self.script.servers
            && let Err(what) = peers.read_logs().await
        {
            self.script.fail("disks", what);
        }
        Some(())
    }

    /// The phases in which workers work. None if that has failed.
    async fn work(&mut self, run: &Run) -> Option<()> {
        let script = Arc::clone(&self.script);
        let mut crew = Crew::start(&script, &self.workloads);
        sleep(run.lengths.warm_up).await;
        script.enter(Phase::Chaos);
        self.chaos(run, &mut crew).await?;
        script.enter(Phase::Healed);
        script.sim.set_failpoints(Failpoints::Off);
        let bound = run.lengths.liveness;
        if timeout(bound, script.all_progress()).await.is_err() {
            let idle = script.idle().join(", ");
            let what = format!("no progress within {bound:?} after the last fault: {idle}");
            script.fail("liveness", what);
            return None;
        }
        script.enter(Phase::Over);
        if timeout(ENDING, crew.ended()).await.is_err() {
            let at_work = crew.at_work().join(", ");
            let what = format!("workers that do not end within {ENDING:?}: {at_work}");
            script.fail("liveness", what);
            return None;
        }
        Some(())
    }

    async fn chaos(&mut self, run: &Run, crew: &mut Crew) -> Option<()> {
        let faults = run.drawn().into_iter().map(|(_, fault)| fault).collect();
        let chaos = Chaos::new(faults, run.lengths.chaos_cut());
        let (sim, keeper) = (&self.script.sim, &self.keeper);
        chaos
            .rage(sim, keeper, crew, &mut self.witnesses.struck)
            .await;
        if timeout(SETTLING, self.keeper.settled()).await.is_err() {
            let mut what = format!("neither stopped nor started within {SETTLING:?}");
            if let Servers::Ensemble(peers) = &self.script.servers {
                what.push_str(&format!(": {}", peers.differ().unwrap_or_default()));
            }
            self.script.fail("server", what);
            return None;
        }
        Some(())
    }

    /// Waits until every server of an ensemble has the same tree, now that nothing is asked
    /// of them any more.
    async fn agree(&self, peers: &Peers) -> Option<()> {
        let agreed = async {
            let mut looks = interval(LOOK);
            while peers.differ().is_some() {
                looks.tick().await;
            }
        };
        if timeout(AGREEING, agreed).await.is_err() {
            let why = peers.differ().unwrap_or_default();
            let what = format!("after {AGREEING:?} servers are not one ensemble: {why}");
            self.script.fail("agreement", what);
            return None;
        }
        // This is the end that invariants speak of.
        peers.look_at_trees();
        Some(())
    }

    /// Waits until no host has a task.
    async fn nobody_left(&self) {
        let mut looks = interval(LOOK);
        while !self.left().is_empty() {
            looks.tick().await;
        }
    }

    fn left(&self) -> Vec<String> {
        let hosts = self.script.sim.tasks();
        let on = |(host, tasks): (String, Vec<crate::Task>)| {
            tasks
                .into_iter()
                .map(move |task| format!("{} on {host}", task.name))
        };
        hosts.into_iter().flat_map(on).collect()
    }

    fn close(self, run: &Run, beat: &Beat) -> (Verdict, History) {
        beat.strike(self.script.sim.elapsed(), "in the checkers");
        judge(run, &self.script, self.witnesses, self.began)
    }
}
