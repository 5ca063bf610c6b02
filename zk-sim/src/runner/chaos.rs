//! The phase in which faults strike.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::Sim;
use crate::faults::{Fault, FaultKind, apply};

use super::crew::Crew;
use super::server::Keeper;

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
        for step in &self.steps {
            sleep_until(began + step.at).await;
            let kind = &self.faults[step.index].kind;
            if !step.ends {
                apply::begin(sim, kind, keeper);
                *struck.entry(kind.name()).or_default() += 1;
                if let FaultKind::WallJump { host, .. } = kind {
                    sim.env(host).probe().reached(if host == super::SERVER {
                        "faults: the server's wall clock was set"
                    } else {
                        "faults: a client's wall clock was set"
                    });
                }
                continue;
            }
            apply::end(sim, kind, keeper);
            if let FaultKind::Kill { host } = kind
                && sim.host(host).is_up()
            {
                crew.restart(host);
            }
        }
        sleep_until(began + self.lasts).await;
    }
}
