//! Thousands of runs, each from a seed: trouble first, then peace, in which the ensemble
//! has to serve again and lack nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use zk_env::EnvRng;

use super::ensemble::{Ensemble, Violation};
use super::peer::Role;
use crate::quorum::ServerId;

const SEEDS: u64 = 2000;
/// Steps of trouble in a run.
const TROUBLE: usize = 500;
/// Steps of peace in which it has to be over.
const PEACE: usize = 6000;

struct Run {
    rng: EnvRng,
    ensemble: Ensemble,
    writes: u64,
    is_peaceful: bool,
}

/// What one run showed.
struct Outcome {
    violation: Option<Violation>,
    trace: Vec<String>,
    reached: BTreeSet<&'static str>,
    writes: u64,
}

fn run(seed: u64, bug: Option<&'static str>, is_traced: bool) -> Outcome {
    let mut rng = EnvRng::from_seed(seed ^ 0x5eed);
    let voters = [1, 2, 3, 3, 3, 4, 5][rng.below(7) as usize];
    let observers = rng.below(2);
    let mut ensemble = Ensemble::new(seed, voters, observers, bug);
    ensemble.trace = is_traced.then(Vec::new);
    ensemble.crash_one_in = [0, 100, 400][rng.below(3) as usize];
    let mut run = Run {
        rng,
        ensemble,
        writes: 0,
        is_peaceful: false,
    };
    for _ in 0..TROUBLE {
        if run.ensemble.violation.is_none() {
            run.trouble();
        }
    }
    if run.ensemble.violation.is_none() {
        run.peace(seed);
    }
    Outcome {
        violation: run.ensemble.violation,
        trace: run.ensemble.trace.unwrap_or_default(),
        reached: run.ensemble.reached,
        writes: run.writes,
    }
}

impl Run {
    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let place = self.rng.below(from.len().max(1) as u64) as usize;
        from.get(place).copied()
    }

    fn ids(&self) -> Vec<ServerId> {
        self.ensemble.peers.keys().copied().collect()
    }

    fn trouble(&mut self) {
        let ids = self.ids();
        match self.rng.below(100) {
            0..55 => self.carry(),
            55..70 => self.sync_disk(),
            70..80 => self.write(),
            80..86 => self.wait(),
            86..92 => self.elect(),
            92..94 => self.follow_anyone(),
            94 => {
                let id = self.pick(&ids).unwrap();
                self.ensemble.crash(id);
            }
            95 | 96 => {
                let id = self.pick(&ids).unwrap();
                self.ensemble.restart(id);
            }
            97 => {
                let links: Vec<_> = self.ensemble.links.keys().copied().collect();
                if let Some(link) = self
                    .pick(&links)
                    .and_then(|id| self.ensemble.links.get_mut(&id))
                {
                    link.cut(&mut self.rng);
                }
            }
            98 => {
                let (from, to) = (self.pick(&ids).unwrap(), self.pick(&ids).unwrap());
                if self.rng.below(2) == 0 {
                    self.ensemble.blocked.clear();
                } else {
                    self.ensemble.blocked.insert((from, to));
                }
            }
            _ => {
                let id = self.pick(&ids).unwrap();
                let peer = self.ensemble.peer(id);
                peer.disk.snapshot(&peer.tree, &mut self.rng);
            }
        }
    }

    /// A few messages arrive.
    fn carry(&mut self) {
        for _ in 0..=self.rng.below(4) {
            let deliverable = self.ensemble.deliverable();
            match self.pick(&deliverable) {
                Some(next) => self.ensemble.deliver(next),
                None => return,
            }
        }
    }

    fn sync_disk(&mut self) {
        let busy = self
            .ensemble
            .peers
            .values()
            .filter(|peer| !peer.disk.is_idle());
        let busy: Vec<_> = busy.map(|peer| peer.id).collect();
        if let Some(id) = self.pick(&busy) {
            self.ensemble.complete(id);
        }
    }

    fn write(&mut self) {
        let leading =
            |role: &Role| matches!(role, Role::Leading(leader) if leader.is_established());
        let leaders = self
            .ensemble
            .peers
            .values()
            .filter(|peer| leading(&peer.role));
        let leaders: Vec<_> = leaders.map(|peer| peer.id).collect();
        if let Some(leader) = self.pick(&leaders)
            && self.ensemble.propose(leader)
        {
            self.writes += 1;
        }
    }

    fn wait(&mut self) {
        let by = Duration::from_millis(self.rng.below(60) + 1);
        self.ensemble.advance(by);
    }

    /// As an election would: a quorum of voters, the best of them leads, the rest follows.
    /// In trouble any quorum will do, so that several may lead at a time.
    fn elect(&mut self) {
        let mut ids = self.ids();
        let ready = |run: &Self, id: &ServerId| run.ensemble.peers[id].can_begin();
        ids.retain(|id| ready(self, id));
        if !self.is_peaceful {
            self.rng.shuffle(&mut ids);
            let some = self.rng.below(ids.len() as u64 + 1) as usize;
            ids.truncate(some.max(1));
        }
        let voters = ids.iter().filter(|id| self.ensemble.peers[id].is_voter());
        let voters: BTreeSet<_> = voters.copied().collect();
        let sitting = self.sitting_leader();
        if let Some(leader) = sitting.filter(|_| self.is_peaceful || self.rng.below(2) == 0) {
            // Whoever looks later joins.
            ids.into_iter()
                .for_each(|id| self.ensemble.follow(id, leader));
        } else if self.ensemble.config.contains_quorum(&voters) {
            let vote = |id: &ServerId| {
                let history = self.ensemble.peers[id].disk.durable.history();
                (history.current_epoch, history.last_zxid, *id)
            };
            let leader = voters.iter().copied().max_by_key(vote).unwrap();
            self.ensemble.lead(leader);
            for id in ids.into_iter().filter(|id| *id != leader) {
                if ready(self, &id) {
                    self.ensemble.follow(id, leader);
                }
            }
        }
    }

    fn sitting_leader(&self) -> Option<ServerId> {
        let leading = |role: &Role| matches!(role, Role::Leading(_));
        let mut peers = self.ensemble.peers.values();
        peers.find(|peer| leading(&peer.role)).map(|peer| peer.id)
    }

    /// Whatever an election may have decided wrongly: anyone leads, or follows anyone.
    fn follow_anyone(&mut self) {
        let ids = self.ids();
        let ready = ids.iter().filter(|id| self.ensemble.peers[id].can_begin());
        let ready: Vec<_> = ready.copied().collect();
        let (Some(id), Some(leader)) = (self.pick(&ready), self.pick(&ids)) else {
            return;
        };
        if id != leader {
            self.ensemble.follow(id, leader);
        } else if self.ensemble.peers[&id].is_voter() {
            self.ensemble.lead(id);
        }
    }

    /// No more trouble: everyone has to serve everything.
    fn peace(&mut self, seed: u64) {
        self.is_peaceful = true;
        self.ensemble.crash_one_in = 0;
        self.ensemble.blocked.clear();
        self.ids()
            .into_iter()
            .for_each(|id| self.ensemble.restart(id));
        let mut target = None;
        for _ in 0..PEACE {
            if self.ensemble.violation.is_some() {
                return;
            }
            match self.rng.below(20) {
                0..12 => self.carry(),
                12..18 => self.sync_disk(),
                18 => self.elect(),
                _ => self.ensemble.advance(Duration::from_millis(5)),
            }
            let all_serve = self.ensemble.peers.values().all(|peer| peer.is_serving);
            if all_serve && target.is_none() {
                self.write();
                self.write();
                target = Some(self.writes);
            }
            if all_serve && target.is_some() && self.agrees() {
                return;
            }
        }
        panic!(
            "seed {seed}: no agreement in peace: {:#?}",
            self.ensemble.peers
        );
    }

    /// Whether everyone shows the same, and the disks hold it.
    fn agrees(&self) -> bool {
        let last = self.ensemble.last_visible();
        self.ensemble.peers.values().all(|peer| {
            let shown = peer.tree.last().map(|txn| txn.zxid);
            shown.unwrap_or_default() == last
                && peer.disk.is_idle()
                && peer.disk.durable.txns() == peer.tree
        })
    }
}

#[test]
fn any_trouble_leaves_one_history_and_an_ensemble_that_serves() {
    let (mut reached, mut writes) = (BTreeSet::new(), 0);
    for seed in 0..SEEDS {
        let outcome = run(seed, None, false);
        if let Some(violation) = outcome.violation {
            let trace = run(seed, None, true).trace.join("\n");
            panic!("{trace}\nseed {seed}: {violation:?}");
        }
        reached.extend(outcome.reached);
        writes += outcome.writes;
    }
    for place in [
        "DIFF",
        "TRUNC",
        "SNAP",
        "log read",
        "follower is ahead",
        "old leader refused",
        "cannot truncate",
        "crash between outputs",
    ] {
        assert!(reached.contains(place), "{place} was never reached");
    }
    assert!(writes > SEEDS * 5, "only {writes} writes");
}

/// Seeds within which a planted bug has to be found.
const BUG_SEEDS: u64 = 600;

fn first_violation(bug: &'static str) -> Violation {
    let found = (0..BUG_SEEDS).find_map(|seed| run(seed, Some(bug), false).violation);
    found.expect("no seed finds it")
}

#[test]
fn an_ack_before_the_log_is_synced_is_caught() {
    let found = first_violation("server: acks before the log is synced");
    assert_eq!(found.invariant, "acks are durable", "{found:?}");
}

#[test]
fn an_epoch_written_before_the_history_is_caught() {
    let found = first_violation("server: epoch written before the history");
    assert_eq!(found.invariant, "history before epoch", "{found:?}");
}

#[test]
fn following_a_leader_of_the_past_is_caught() {
    let found = first_violation("server: follows a leader of the past");
    assert_eq!(found.invariant, "epochs are monotone", "{found:?}");
}
