//! What a run is made of.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zk_server::ServerConfig;
use zk_server::config::ServerConfigBuilder;

use crate::Failpoints;
use crate::catalogue::{CATALOGUE, Entry};
use crate::faults::Fault;
use crate::faults::mix::Mix;
use crate::history::History;
use crate::model::Settings;
use crate::trace::derive;

use super::thread;
use super::{Ensemble, Invariant, Verdict, Workload};

/// Draws the faults of a run from its seed, for these hosts (the servers' first),
/// over this long.
pub type DrawFaults = dyn Fn(u64, &[String], Duration) -> Vec<Fault> + Send + Sync;

type MakeWorkloads = dyn Fn() -> Vec<Arc<dyn Workload>> + Send + Sync;
type MakeInvariant = dyn Fn() -> Box<dyn Invariant> + Send + Sync;

/// A run to be: a seed, workloads, faults and invariants, around one standalone server
/// on the host `server`, or an [`Ensemble`].
///
/// It warms up, faults strike, all are healed, every worker must make progress
/// again, the workloads end and verify what is left, the server stops, nothing may be
/// left running, and the checkers look at the history. Equal runs do exactly the same,
/// in any process and on any machine.
///
/// ```no_run
/// # struct Document;
/// # impl zk_sim::runner::Workload for Document {
/// #     fn name(&self) -> &'static str { "document" }
/// #     fn hosts(&self) -> Vec<String> { vec!["ann".to_owned()] }
/// #     fn worker(&self, _: zk_sim::runner::Stage) -> zk_env::BoxFuture<()> { unimplemented!() }
/// # }
/// use std::time::Duration;
/// use zk_sim::faults::{Fault, FaultKind};
/// use zk_sim::runner::Run;
///
/// for seed in 0..100 {
///     let verdict = Run::new(seed)
///         .workload(|| Document)
///         .faults(|_seed, hosts, chaos| {
///             vec![Fault {
///                 at: chaos / 4,
///                 lasts: chaos / 2,
///                 kind: FaultKind::Isolate { host: hosts[0].clone() },
///             }]
///         })
///         .start();
///     assert_eq!(verdict.violation, None, "seed {seed}");
/// }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Run {
    pub(super) seed: u64,
    pub(super) make_workloads: Vec<Arc<MakeWorkloads>>,
    pub(super) draw: Arc<DrawFaults>,
    pub(super) only: Option<BTreeSet<usize>>,
    pub(super) invariants: Vec<Arc<MakeInvariant>>,
    pub(super) lengths: Lengths,
    /// None if there is one standalone server.
    pub(super) ensemble: Option<Ensemble>,
    pub(super) server: ServerConfigBuilder,
    /// None if the server's log is not replayed.
    pub(super) model: Option<Settings>,
    pub(super) disturbance: Disturbance,
    pub(super) patience: Duration,
    /// The failures it may meet.
    pub(super) catalogue: &'static [Entry],
}

/// How long the phases of a run take, in simulated time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lengths {
    pub(super) warm_up: Duration,
    /// What faults are drawn for.
    pub(super) chaos: Duration,
    /// Chaos is over then, whatever was drawn.
    pub(super) until: Option<Duration>,
    /// Within which every worker has made progress after the faults.
    pub(super) liveness: Duration,
}

impl Lengths {
    /// How long faults strike.
    pub(super) fn chaos_cut(&self) -> Duration {
        self.until.map_or(self.chaos, |until| until.min(self.chaos))
    }
}

/// What disturbs the code under test from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Disturbance {
    pub(super) failpoints: Failpoints,
    /// Of a thousand polls of tasks, how many are put off.
    pub(super) yields: u32,
    /// Bytes that a connection holds between write and read, if it is another number
    /// than usual.
    pub(super) window: Option<usize>,
    pub(super) planted: Option<&'static str>,
}

impl Run {
    /// A run without workloads and faults: five simulated seconds to warm up, fifty-three
    /// of chaos, and a minute within which everybody must make progress again.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            make_workloads: Vec::new(),
            draw: Arc::new(|_, _, _| Vec::new()),
            only: None,
            invariants: Vec::new(),
            lengths: Lengths {
                warm_up: Duration::from_secs(5),
                chaos: Duration::from_secs(53),
                until: None,
                liveness: Duration::from_secs(60),
            },
            ensemble: None,
            server: ServerConfig::embedded(),
            model: Some(Settings::default()),
            disturbance: Disturbance {
                failpoints: draw_failpoints(seed),
                yields: draw_yields(seed),
                window: draw_window(seed),
                planted: None,
            },
            patience: Duration::from_secs(120),
            catalogue: CATALOGUE,
        }
    }

    /// Adds a workload, made anew by `make` for every run.
    pub fn workload<W: Workload>(self, make: impl Fn() -> W + Send + Sync + 'static) -> Self {
        self.workloads(move || vec![Arc::new(make()) as Arc<dyn Workload>])
    }

    /// Adds several.
    pub fn workloads(
        mut self,
        make: impl Fn() -> Vec<Arc<dyn Workload>> + Send + Sync + 'static,
    ) -> Self {
        self.make_workloads.push(Arc::new(make));
        self
    }

    /// What goes wrong; see [`DrawFaults`] for the arguments. Times count from the
    /// beginning of the chaos, and a fault that would outlast it ends with it. Draw
    /// nothing from elsewhere than the arguments, or the run cannot be repeated.
    pub fn faults(
        mut self,
        draw: impl Fn(u64, &[String], Duration) -> Vec<Fault> + Send + Sync + 'static,
    ) -> Self {
        self.draw = Arc::new(draw);
        self
    }

    /// Faults drawn from a mix.
    pub fn mix(self, mix: &'static Mix) -> Self {
        self.faults(|seed, hosts, chaos| mix.draw(seed, hosts, chaos))
    }

    /// Leaves out the faults drawn so far that `keep` does not want, before they are numbered.
    pub fn faults_if(mut self, keep: impl Fn(&Fault) -> bool + Send + Sync + 'static) -> Self {
        let draw = self.draw;
        self.draw = Arc::new(move |seed, hosts, chaos| {
            let mut faults = draw(seed, hosts, chaos);
            faults.retain(&keep);
            faults
        });
        self
    }

    /// Other failures to look out for than those of client and server.
    pub fn catalogue(mut self, catalogue: &'static [Entry]) -> Self {
        self.catalogue = catalogue;
        self
    }

    /// Of the faults drawn, lets only these strike, counted from 0.
    pub fn only(mut self, faults: impl IntoIterator<Item = usize>) -> Self {
        self.only = Some(faults.into_iter().collect());
        self
    }

    /// Adds an invariant, made anew by `make` for every run.
    pub fn invariant<I: Invariant + 'static>(
        mut self,
        make: impl Fn() -> I + Send + Sync + 'static,
    ) -> Self {
        self.invariants.push(Arc::new(move || Box::new(make())));
        self
    }

    /// How long workloads run before the first fault.
    pub fn warm_up(mut self, lasts: Duration) -> Self {
        self.lengths.warm_up = lasts;
        self
    }

    /// How long faults strike. Faults are drawn for this long, so that another length
    /// means other faults; see [`Run::until`].
    pub fn chaos(mut self, lasts: Duration) -> Self {
        self.lengths.chaos = lasts;
        self
    }

    /// Ends the chaos after this long, with the faults as drawn for the whole of it.
    pub fn until(mut self, chaos_time: Duration) -> Self {
        self.lengths.until = Some(chaos_time);
        self
    }

    /// Within which every worker must have made progress after the faults.
    pub fn liveness(mut self, bound: Duration) -> Self {
        self.lengths.liveness = bound;
        self
    }

    /// Other settings of the server than [`ServerConfig::embedded`], and of the model
    /// that its answers are compared with. It listens on port 2181 whatever they say.
    pub fn server(mut self, config: ServerConfigBuilder, model: Settings) -> Self {
        self.server = config;
        self.model = Some(model);
        self
    }

    /// Clients meet an ensemble instead of the standalone server. Each server has a disk of its
    /// own, comes back after a kill with what is on it, and is started again if it ends by
    /// itself.
    pub fn ensemble(mut self, ensemble: Ensemble) -> Self {
        self.ensemble = Some(ensemble);
        self
    }

    /// Leaves out the replay of the server's log in the model, by which every answer
    /// is checked otherwise.
    pub fn without_replay(mut self) -> Self {
        self.model = None;
        self
    }

    /// How often failpoints in client and server act; the seed decides unless this
    /// does.
    pub fn failpoints(mut self, act: Failpoints) -> Self {
        self.disturbance.failpoints = act;
        self
    }

    /// Plants a bug, to see whether it is found. Does something only with the feature
    /// `planted-bugs`.
    pub fn plant(mut self, bug: &'static str) -> Self {
        self.disturbance.planted = Some(bug);
        self
    }

    /// Real time without progress, two minutes at first, after which a run is given
    /// up as hung. It has to be more than any second of the run takes, and more than
    /// the checkers do.
    pub fn patience(mut self, real_time: Duration) -> Self {
        self.patience = real_time;
        self
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The workloads, fresh.
    pub(super) fn made(&self) -> Vec<Arc<dyn Workload>> {
        self.make_workloads.iter().flat_map(|make| make()).collect()
    }

    /// The hosts of the run: the servers, then the clients in the order of their
    /// workloads.
    pub fn hosts(&self) -> Vec<String> {
        let mut hosts = match &self.ensemble {
            None => vec![super::SERVER.to_owned()],
            Some(ensemble) => ensemble.hosts(),
        };
        for host in self.made().iter().flat_map(|workload| workload.hosts()) {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        hosts
    }

    /// The faults that strike, each with its number among those drawn.
    pub fn drawn(&self) -> Vec<(usize, Fault)> {
        let chaos = self.lengths.chaos_cut();
        let drawn = (self.draw)(self.seed, &self.hosts(), self.lengths.chaos);
        let strikes = |number: &usize| self.only.as_ref().is_none_or(|only| only.contains(number));
        drawn
            .into_iter()
            .enumerate()
            .filter(|(number, fault)| strikes(number) && fault.at <= chaos)
            .collect()
    }

    /// Runs it to its verdict, on a thread of its own.
    ///
    /// A run that makes no progress at all, see [`Run::patience`], is reported as
    /// hung; its thread cannot be stopped and goes on.
    ///
    /// # Panics
    ///
    /// If no thread can be started, or tokio was built without
    /// `--cfg tokio_unstable`, see [`runtime`](crate::runtime).
    pub fn start(&self) -> Verdict {
        thread::start(self).0
    }

    /// The same, with everything that was seen of it; no history if the run hung.
    ///
    /// # Panics
    ///
    /// As [`Run::start`].
    pub fn replay(&self) -> (Verdict, Option<History>) {
        thread::start(self)
    }
}

/// A quarter of the seeds without, a quarter with many.
fn draw_failpoints(seed: u64) -> Failpoints {
    match derive(seed, &["failpoints"]) % 4 {
        0 => Failpoints::Off,
        1 | 2 => Failpoints::Rare,
        _ => Failpoints::Often,
    }
}

/// A quarter of the seeds with connections so narrow that requests wait for room.
fn draw_window(seed: u64) -> Option<usize> {
    const NARROW: usize = 1_500;
    derive(seed, &["window"])
        .is_multiple_of(4)
        .then_some(NARROW)
}

/// Half of the seeds without.
fn draw_yields(seed: u64) -> u32 {
    match derive(seed, &["yields"]) % 4 {
        0 => 10,
        1 => 100,
        _ => 0,
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workloads: Vec<_> = self.made().iter().map(|w| w.name()).collect();
        f.debug_struct("Run")
            .field("seed", &self.seed)
            .field("workloads", &workloads)
            .field("only", &self.only)
            .field("lengths", &self.lengths)
            .field("disturbance", &self.disturbance)
            .finish_non_exhaustive()
    }
}
