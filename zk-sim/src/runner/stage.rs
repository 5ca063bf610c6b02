//! What a run looks like from inside: to workloads, which do things, and to
//! invariants, which judge what came of it.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zk_client::{Client, ClientBuilder};
use zk_env::{BoxFuture, Env, EnvRng, sleep_until};
use zk_proto::SessionId;
use zk_server::Server;

use crate::Sim;
use crate::history::{At, History, Recorder, Step};

use super::script::{Script, WorkerId};
use super::servers::Servers;

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Everything works and no fault has struck yet.
    WarmUp,
    /// Faults strike.
    Chaos,
    /// All faults are over; every worker has to make progress.
    Healed,
    /// Workers end; then comes [`Workload::verify`].
    Over,
}

/// What clients of a service do during a run, and what must be left in the end.
pub trait Workload: Send + Sync + 'static {
    /// Its name on command lines and in reports.
    fn name(&self) -> &'static str;

    /// The hosts its workers run on, one on each. Workloads of one run may share a
    /// host.
    fn hosts(&self) -> Vec<String>;

    /// What runs on the host [`Stage::host`] while [`Stage::goes_on`]; called again
    /// after the host was killed and started anew, with nothing left of the first.
    ///
    /// It tells of every completed unit of work with [`Stage::progress`], bears
    /// every error that is allowed, and closes its clients before it ends.
    fn worker(&self, stage: Stage) -> BoxFuture<()>;

    /// After the last worker has ended: whether what is left makes sense. There are
    /// no faults then, and failpoints do not act. It reports with [`Stage::fail`].
    fn verify(&self, stage: Stage) -> BoxFuture<()> {
        drop(stage);
        Box::pin(std::future::ready(()))
    }
}

/// Something that must hold in every run.
pub trait Invariant: Send {
    /// Its name in reports.
    fn name(&self) -> &'static str;

    /// Looks at one thing more, the moment it has happened. The run ends there if that must
    /// not be.
    ///
    /// # Errors
    ///
    /// What does not hold, in a sentence with the values that show it.
    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        let _ = step;
        Ok(())
    }

    /// Looks at everything that happened, when the run is over: another instance than the
    /// one that looked at the steps.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    fn check(&mut self, history: &History) -> Result<(), String>;
}

/// What a worker of a workload is given: its host, the servers, where to record.
/// Cheap to clone.
#[derive(Clone)]
pub struct Stage {
    script: Arc<Script>,
    worker: Option<WorkerId>,
    host: Arc<str>,
    env: Arc<dyn Env>,
    pauses: Arc<Mutex<EnvRng>>,
}

impl Stage {
    pub(super) fn new(script: Arc<Script>, worker: Option<WorkerId>, host: &str) -> Self {
        let env = script.sim.env(host);
        let pauses = env.rng(&pauses_of(worker.as_ref()));
        Self {
            script,
            worker,
            host: host.into(),
            env,
            pauses: Arc::new(Mutex::new(pauses)),
        }
    }

    /// The simulation.
    pub fn sim(&self) -> &Sim {
        &self.script.sim
    }

    /// The host that this worker runs on.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The same run, seen from another host.
    #[must_use]
    pub fn on(&self, host: &str) -> Self {
        Self::new(Arc::clone(&self.script), self.worker.clone(), host)
    }

    /// The outside world of the host.
    pub fn env(&self) -> Arc<dyn Env> {
        Arc::clone(&self.env)
    }

    /// A generator for the part of a worker called `name`: its values depend on
    /// seed, host and name.
    pub fn rng(&self, name: &str) -> EnvRng {
        self.env.rng(name)
    }

    /// The servers, as [`zk_client::Client::connect`] wants them: `server:2181`, or
    /// `peer-1:2181,peer-2:2181,peer-3:2181`.
    pub fn connect_string(&self) -> &str {
        &self.script.connect_string
    }

    /// A client of the servers to be, in the world of this host.
    ///
    /// ```no_run
    /// # async fn worker(stage: zk_sim::runner::Stage) -> Result<(), zk_client::ConnectError> {
    /// let client = stage.client().connect().await?;
    /// # drop(client); Ok(()) }
    /// ```
    pub fn client(&self) -> ClientBuilder {
        Client::builder(self.connect_string()).env(self.env())
    }

    /// The standalone server of the run, on the host `server`; none if there is an ensemble.
    pub fn server(&self) -> Option<Arc<Server>> {
        match &self.script.servers {
            Servers::Standalone(server) => Some(Arc::clone(server)),
            Servers::Ensemble(_) => None,
        }
    }

    /// Whether there are several servers, of which one may be behind the others.
    pub fn has_ensemble(&self) -> bool {
        self.server().is_none()
    }

    /// The epoch of an ensemble's leader while no other server believes to lead.
    pub fn reign(&self) -> Option<i64> {
        match &self.script.servers {
            Servers::Standalone(_) => None,
            Servers::Ensemble(peers) => peers.reign(),
        }
    }

    /// Ends a session as if it had timed out. False if there is no such session, or nobody
    /// who leads.
    pub fn expire_session(&self, session: SessionId) -> bool {
        self.script.servers.expire_session(session)
    }

    /// Where calls and their outcomes are recorded.
    pub fn recorder(&self) -> &Recorder {
        &self.script.recorder
    }

    /// Simulated time since the run began, whatever the host's clocks say.
    pub fn now(&self) -> At {
        self.script.sim.elapsed()
    }

    /// Waits for a time between the two, drawn from the seed, on this host's clock.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost but the draw.
    pub async fn pause(&self, between: Range<Duration>) {
        let pause = self.draw(&between);
        sleep_until(&mut *self.env.timer(), self.env.now() + pause).await;
    }

    fn draw(&self, between: &Range<Duration>) -> Duration {
        let span = between.end.saturating_sub(between.start).as_nanos();
        let span = u64::try_from(span).unwrap_or(u64::MAX);
        let mut rng = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        between.start + Duration::from_nanos(rng.below(span))
    }

    /// How far the run is.
    pub fn phase(&self) -> Phase {
        self.script.phase()
    }

    /// Whether workers are to go on: the run is not [`Phase::Over`].
    pub fn goes_on(&self) -> bool {
        self.phase() != Phase::Over
    }

    /// Waits until the run is [`Phase::Over`].
    pub async fn over(&self) {
        self.script.wait_for(Phase::Over).await;
    }

    /// A unit of work, such as `write`, is complete. Once the faults are over, every
    /// worker must be heard of within a bound, or the run has failed.
    pub fn progress(&self, what: &str) {
        self.script.progress(self.worker.as_ref(), what);
    }

    /// Something that must hold does not: the run ends as failed. The first such
    /// sentence is the one reported.
    pub fn fail(&self, why: impl Into<String>) {
        self.script.fail("workload", why.into());
    }
}

/// The stream that pauses are drawn from.
fn pauses_of(worker: Option<&WorkerId>) -> String {
    match worker {
        Some(id) => format!("pauses of {}, start {}", id.workload, id.start),
        None => "pauses".to_owned(),
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage")
            .field("host", &self.host)
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}
