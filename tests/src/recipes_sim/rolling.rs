//! Latches on an ensemble whose servers are restarted one after the other (R27), or elect
//! anew because the zxids of an epoch are used up (R25).

use std::time::Duration;

use zk_sim::Failpoints;
use zk_sim::faults::{Fault, FaultKind};
use zk_sim::runner::{Ensemble, Run};

use super::suite::RECIPES;
use super::workload::Candidates;

/// Between two restarts; a server is away for less than a second of it.
const EVERY: Duration = Duration::from_secs(5);

/// So many latches for so long, on three servers that are restarted in turn.
pub fn rolling_restart(seed: u64, latches: usize, chaos: Duration) -> Run {
    on_three_servers(seed, latches)
        .chaos(chaos)
        .faults(|_, hosts, chaos| {
            let servers = hosts.iter().filter(|host| host.starts_with("peer-"));
            let turns = servers.cycle().zip(0..);
            turns
                .map(|(server, turn)| Fault {
                    at: EVERY * turn,
                    lasts: Duration::from_millis(700),
                    kind: FaultKind::Restart {
                        server: server.clone(),
                    },
                })
                .take_while(|fault| fault.at < chaos)
                .collect()
        })
}

/// So many latches on three servers whose epochs end after 255 transactions each. No other
/// failpoint acts: many of them end connections, and would hide what a rollover costs.
pub fn rollovers(seed: u64, latches: usize, chaos: Duration) -> Run {
    on_three_servers(seed, latches)
        .chaos(chaos)
        .failpoints(Failpoints::Only("zab: zxids used up early"))
}

fn on_three_servers(seed: u64, latches: usize) -> Run {
    let run = Run::new(seed)
        .ensemble(Ensemble::of(3))
        .workload(move || Candidates::new(latches));
    (RECIPES.finish)(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a client, for one rollover: all three servers refuse until there is a leader again.
    const DIALS: usize = 20;

    #[test]
    fn one_latch_leads_at_a_time_while_servers_are_restarted_in_turn() {
        let verdict = rolling_restart(1, 8, Duration::from_secs(30)).start();
        assert_eq!(verdict.violation, None);
        assert_eq!(verdict.faults.get("restart"), Some(&6));
    }

    /// An hour of simulated time with a hundred latches takes long: for a night.
    #[test]
    #[ignore = "takes long; run it with --release"]
    fn one_of_a_hundred_latches_leads_at_a_time_for_an_hour_of_restarts() {
        let hour = rolling_restart(1, 100, Duration::from_secs(3_600));
        let verdict = hour.patience(Duration::from_secs(3_600)).start();
        assert_eq!(verdict.violation, None);
    }

    #[test]
    fn zxids_that_are_used_up_cost_an_election_and_no_storm() {
        const LATCHES: usize = 4;
        let mut rollovers_seen = 0;
        for seed in 0..6 {
            let (verdict, history) = rollovers(seed, LATCHES, Duration::from_secs(40)).replay();
            assert_eq!(verdict.violation, None, "seed {seed}");
            let rolled = verdict.places.get("zab: zxid rolled over").copied();
            let rolled = usize::try_from(rolled.unwrap_or(0)).expect("a few");
            rollovers_seen += rolled;
            let dials = history.expect("it ended").connections.len();
            assert!(
                dials <= (LATCHES + 1) * DIALS * (rolled + 1),
                "seed {seed}: {dials} for {rolled}"
            );
        }
        assert!(rollovers_seen > 0);
    }
}
