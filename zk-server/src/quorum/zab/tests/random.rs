//! Thousands of runs, each from a seed: trouble first, then peace, in which the ensemble
//! has to serve again and lack nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use zk_env::EnvRng;

use super::ensemble::{Ensemble, Violation};
use super::peer::{Peer, Role};
use crate::quorum::{QuorumVerifier, ServerId};

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
    let changes = rng.below(3) > 0;
    let spares = if changes { rng.below(4) } else { 0 };
    let mut ensemble = Ensemble::new(seed, (voters, observers, spares), bug);
    ensemble.reconfig_enabled = changes;
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
            70..78 => self.write(),
            78..80 if self.ensemble.reconfig_enabled => self.reconfigure(),
            78..80 => self.write(),
            80..86 => self.wait(),
            86..91 => self.elect(),
            91 => self.hand_over(),
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

    fn established_leader(&mut self) -> Option<ServerId> {
        let leading =
            |role: &Role| matches!(role, Role::Leading(leader) if leader.is_established());
        let leaders = self
            .ensemble
            .peers
            .values()
            .filter(|peer| leading(&peer.role));
        let leaders: Vec<_> = leaders.map(|peer| peer.id).collect();
        self.pick(&leaders)
    }

    fn write(&mut self) {
        if let Some(leader) = self.established_leader()
            && self.ensemble.propose(leader)
        {
            self.writes += 1;
        }
    }

    /// Some vote, some observe, some are out, and now and then one moves; as a rule most
    /// stay what they are.
    fn reconfigure(&mut self) {
        let Some(leader) = self.established_leader() else {
            return;
        };
        let current = Rc::clone(&self.ensemble.config);
        let mut text = String::new();
        for id in self.ids() {
            let member = current.member(id);
            let shown = match self.rng.below(8) {
                0 => None,
                1 => Some("h:1:2:participant".to_owned()),
                2 => Some("h:1:2:observer".to_owned()),
                3 => Some("elsewhere:1:2:participant".to_owned()),
                _ => member.map(ToString::to_string),
            };
            if let Some(shown) = shown {
                let _ = writeln!(text, "server.{id}={shown}");
            }
        }
        if let Ok(next) = QuorumVerifier::parse(&text) {
            self.ensemble.reconfigure(leader, next);
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
        if self.is_peaceful || self.rng.below(2) == 0 {
            self.ensemble.gossip(&ids);
        }
        let sitting = self.sitting_leader();
        if let Some(leader) = sitting.filter(|_| self.is_peaceful || self.rng.below(2) == 0) {
            // Whoever looks later joins.
            for id in ids {
                if self.ensemble.peers[&id].knows(leader) {
                    self.ensemble.follow(id, leader);
                }
            }
        } else if let Some(leader) = self.winner(&ids) {
            self.ensemble.lead(leader);
            for id in ids.into_iter().filter(|id| *id != leader) {
                if ready(self, &id) && self.ensemble.peers[&id].knows(leader) {
                    self.ensemble.follow(id, leader);
                }
            }
        }
    }

    /// Whoever has the votes of a quorum of what it knows of. Nobody, if those who are there
    /// are too few for the best of them: a lesser one is not elected in its place, for it
    /// votes for the best as well.
    ///
    /// A reconfiguration that only some have heard of can split the votes for good: they are
    /// for a newcomer there, and elsewhere, where it is unknown, for another. It is so in
    /// Apache too, and ends when the newcomer is stopped; here once all are there in vain.
    fn winner(&mut self, ids: &[ServerId]) -> Option<ServerId> {
        let elected = self.elected(ids, Peer::knows);
        let is_split = self.is_peaceful && elected.is_none() && ids.len() == self.ids().len();
        if !is_split {
            return elected;
        }
        self.ensemble.reached.insert("votes split by a newcomer");
        self.elected(ids, Peer::knows_in_force)
    }

    /// Who is elected, if everyone votes for the best of those it `knows`.
    fn elected(&self, ids: &[ServerId], knows: fn(&Peer, ServerId) -> bool) -> Option<ServerId> {
        let peers = &self.ensemble.peers;
        let vote = |voter: ServerId| {
            let known = ids.iter().copied();
            let known = known.filter(|id| peers[id].is_voter() && knows(&peers[&voter], *id));
            known.max_by_key(|id| {
                let history = peers[id].disk.durable.history();
                (history.current_epoch, history.last_zxid, *id)
            })
        };
        let has_won = |id: &ServerId| {
            let votes = ids.iter().copied();
            let votes: BTreeSet<_> = votes.filter(|voter| vote(*voter) == Some(*id)).collect();
            let mut configs = peers[id].configs().into_iter();
            configs.all(|config| config.contains_quorum(&votes))
        };
        ids.iter().copied().find(has_won)
    }

    /// Whom a reconfiguration has named leads, and is followed, without an election.
    fn hand_over(&mut self) {
        let ready = self.ids().into_iter();
        let mut ready: Vec<_> = ready
            .filter(|id| self.ensemble.peers[id].can_begin())
            .collect();
        ready.retain(|id| self.ensemble.peers[id].designated.is_some());
        let Some(id) = self.pick(&ready) else {
            return;
        };
        let Some(leader) = self.ensemble.peer(id).designated.take() else {
            return;
        };
        if id == leader {
            self.ensemble.reached.insert("leads as designated");
            self.ensemble.lead(id);
        } else {
            self.ensemble.follow(id, leader);
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
            if self.ensemble.peers[&id].knows(leader) {
                self.ensemble.follow(id, leader);
            }
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
                18 => match self.rng.below(3) {
                    0 => self.hand_over(),
                    _ => self.elect(),
                },
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
        "reconfigured",
        "learner reconfigured",
        "leader handed over",
        "leads as designated",
        "no quorum for a reconfiguration",
        "reconfiguration in progress",
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
fn a_configuration_that_decides_without_the_next_is_caught() {
    let found = first_violation("server: the next configuration has no say");
    assert_eq!(found.invariant, "one configuration", "{found:?}");
}

#[test]
fn an_epoch_written_before_the_history_is_caught() {
    let found = first_violation("server: epoch written before the history");
    assert_eq!(found.invariant, "history before epoch", "{found:?}");
}

#[test]
fn following_a_leader_of_the_past_is_caught() {
    let found = first_violation("server: follows a leader of the past");
    let broken = ["epochs are monotone", "acknowledged is kept"];
    assert!(broken.contains(&found.invariant), "{found:?}");
}
