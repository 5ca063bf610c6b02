//! The phase in which faults strike.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use zk_env::Probe;

use crate::Sim;
use crate::faults::{CRASH_POINTS, Fault, FaultKind, LEADER, RECONFIG_CRASH_POINTS, apply};

use super::crew::Crew;
use super::servers::Keeper;

/// Something to do at a time of the chaos.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    at: Duration,
    /// At the same time what begins comes first, so that a fault without duration
    /// has been there.
    ends: bool,
    /// Which of the faults.
    index: usize,
}

/// A fault, once it is known whom it concerns.
struct Cast {
    kind: FaultKind,
    /// It has begun and not ended.
    lasts: bool,
}

/// The faults of a run in the order of time.
pub(super) struct Chaos {
    faults: Vec<Fault>,
    steps: Vec<Step>,
    lasts: Duration,
}

impl Chaos {
    /// Faults that outlast the chaos end with it.
    pub(super) fn new(faults: Vec<Fault>, lasts: Duration) -> Self {
        let mut steps = Vec::with_capacity(2 * faults.len());
        for (index, fault) in faults.iter().enumerate() {
            let at = fault.at.min(lasts);
            let end = fault.at.saturating_add(fault.lasts).min(lasts);
            steps.push(Step {
                at,
                ends: false,
                index,
            });
            steps.push(Step {
                at: end,
                ends: true,
                index,
            });
        }
        steps.sort_unstable();
        Self {
            faults,
            steps,
            lasts,
        }
    }

    /// Lets every fault strike and end; counts how often which kind did.
    pub(super) async fn rage(
        &self,
        sim: &Sim,
        keeper: &Keeper,
        crew: &mut Crew,
        struck: &mut BTreeMap<&'static str, u64>,
    ) {
        let began = Instant::now();
        // Whom each fault concerns is known when it begins.
        let cast = self.faults.iter().map(|fault| Cast {
            kind: fault.kind.clone(),
            lasts: false,
        });
        let mut cast: Vec<Cast> = cast.collect();
        for step in &self.steps {
            self.lie_in_wait(began + step.at, sim, keeper, &mut cast)
                .await;
            let Cast { kind, lasts } = &mut cast[step.index];
            *lasts = !step.ends;
            if !step.ends {
                *kind = keeper.cast(kind);
                if keeper.is_of_ensemble() {
                    self.note(step.index, kind, &sim.env(super::FIRST_PEER).probe());
                }
                begin(sim, kind, keeper);
                *struck.entry(kind.name()).or_default() += 1;
                if let FaultKind::WallJump { host, .. } = kind {
                    sim.env(host).probe().reached(if super::is_server(host) {
                        "faults: the server's wall clock was set"
                    } else {
                        "faults: a client's wall clock was set"
                    });
                }
                continue;
            }
            apply::end(sim, kind, keeper);
            if lasts_a_while(kind) {
                keeper.note_fault(false);
            }
            if let FaultKind::Kill { host } = kind
                && sim.host(host).is_up()
            {
                crew.restart(host);
            }
        }
        sleep_until(began + self.lasts).await;
    }

    /// Notes what is special about a fault that begins, among those there are.
    fn note(&self, index: usize, kind: &FaultKind, probe: &Probe) {
        let fault = &self.faults[index];
        let others = || {
            let others = self.faults.iter().enumerate();
            let others = others.filter(move |(other, _)| *other != index);
            others.map(|(_, other)| other)
        };
        let lasts = |other: &Fault| other.at <= fault.at && other.at + other.lasts > fault.at;
        let is_link = |kind: &FaultKind| match kind {
            FaultKind::Silence { a, b } => super::is_server(a) && super::is_server(b),
            _ => false,
        };
        if others().any(|other| lasts(other) && other.kind.name() != fault.kind.name()) {
            probe.reached("faults: two at once");
        }
        if is_link(kind) && others().any(|other| other.at == fault.at && is_link(&other.kind)) {
            probe.reached("faults: links between servers cut unevenly");
        }
        let is_again = |other: &Fault| {
            other.kind == fault.kind
                && other.at < fault.at
                && fault.at - other.at < Duration::from_secs(5)
        };
        if others().any(is_again) {
            probe.reached("faults: the same again within seconds");
        }
        if let FaultKind::Pause { .. } = kind
            && matches!(&fault.kind, FaultKind::Pause { host } if host == LEADER)
        {
            probe.reached("ensemble: leader paused");
        }
    }

    /// Until then kills whoever comes to where a fault waits for it.
    async fn lie_in_wait(&self, until: Instant, sim: &Sim, keeper: &Keeper, cast: &mut [Cast]) {
        loop {
            let (host, place) = tokio::select! {
                biased;
                caught = sim.caught() => caught,
                () = sleep_until(until) => return,
            };
            if !strike(&host, place, sim, keeper, cast) {
                continue;
            }
            let mut points = CRASH_POINTS.iter().chain(RECONFIG_CRASH_POINTS);
            let point = points.find(|point| point.place == place);
            if let Some(point) = point {
                sim.env(&host).probe().reached(point.crash);
            }
        }
    }
}

/// Kills whom faults that last kill now that `host` is at this place. One that has ended would
/// never start again whom it kills.
fn strike(host: &str, place: &'static str, sim: &Sim, keeper: &Keeper, cast: &mut [Cast]) -> bool {
    let mut waits = 0;
    let mut has_caught = false;
    for Cast { kind, .. } in cast.iter_mut().filter(|cast| cast.lasts) {
        let victim = match kind {
            FaultKind::KillAt { place: at } if *at == place && !has_caught => {
                has_caught = true;
                host.to_owned()
            }
            FaultKind::KillWhen { host, place: when } if *when == place => host.clone(),
            _ => continue,
        };
        waits += 1;
        *kind = FaultKind::Kill { host: victim };
        begin(sim, kind, keeper);
    }
    // The first was what has been caught.
    for _ in 1..waits {
        sim.end_wait(place);
    }
    waits > 0
}

fn begin(sim: &Sim, kind: &FaultKind, keeper: &Keeper) {
    apply::begin(sim, kind, keeper);
    if lasts_a_while(kind) {
        keeper.note_fault(true);
    }
}

/// Whether something is wrong until the fault ends: neither over at once, nor still waiting for
/// somebody to come to a place.
const fn lasts_a_while(kind: &FaultKind) -> bool {
    !matches!(
        kind,
        FaultKind::Fin { .. }
            | FaultKind::DropConnections { .. }
            | FaultKind::ExpireSession { .. }
            | FaultKind::BitRot { .. }
            | FaultKind::KillAt { .. }
            | FaultKind::KillWhen { .. }
    )
}
