//! Many peers, bad links, restarts: one leader or none, and an end to it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use zk_env::{EnvRng, Mono};

use super::cluster::Cluster;
use crate::quorum::election::{ElectionOptions, InitialVote, PeerState};
use crate::quorum::{LearnerType, QuorumVerifier, ServerId};

const SEEDS: u64 = 400;
/// How long links lose messages and peers are restarted.
const TROUBLE: Duration = Duration::from_secs(20);
/// Within which an election has to end once there is no more trouble: two of the
/// longest pauses that the notification interval can have grown to by then, and slack.
const CALM: Duration = Duration::from_secs(100);

/// What the links are doing, shared with the route.
#[derive(Debug)]
struct Weather {
    rng: EnvRng,
    loss_percent: u64,
    max_delay_ms: u64,
}

struct Run {
    seed: u64,
    rng: EnvRng,
    cluster: Cluster,
    weather: Rc<RefCell<Weather>>,
    config: QuorumVerifier,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = EnvRng::from_seed(seed);
        let weather = Rc::new(RefCell::new(Weather {
            rng: EnvRng::from_seed(seed ^ 0x5eed),
            loss_percent: rng.below(60),
            max_delay_ms: 1 + rng.below(400),
        }));
        let shared = Rc::clone(&weather);
        let route = Box::new(move |_, _| {
            let mut weather = shared.borrow_mut();
            let weather = &mut *weather;
            let is_lost = weather.rng.below(100) < weather.loss_percent;
            let delay = Duration::from_millis(weather.rng.below(weather.max_delay_ms) + 1);
            (!is_lost).then_some(delay)
        });
        let (voters, observers) = (1 + rng.below(5), rng.below(3));
        let mut text = String::new();
        for id in 1..=voters + observers {
            let role = if id <= voters {
                "participant"
            } else {
                "observer"
            };
            let _ = writeln!(text, "server.{id}=h:1:2:{role}");
        }
        Self {
            seed,
            rng,
            cluster: Cluster::new(route),
            weather,
            config: QuorumVerifier::parse(&text).unwrap(),
        }
    }

    fn start(&mut self, id: ServerId) {
        let is_voter = self.config.is_voter(id);
        let epoch = self.rng.below(3) as i64;
        let options = ElectionOptions {
            learner_type: if is_voter {
                LearnerType::Participant
            } else {
                LearnerType::Observer
            },
            ..ElectionOptions::new(id)
        };
        let initial = InitialVote {
            zxid: (epoch << 32) | self.rng.below(4) as i64,
            peer_epoch: epoch,
        };
        self.cluster.start(options, self.config.clone(), initial);
    }

    fn ids(&self) -> Vec<ServerId> {
        self.config.members().map(|member| member.id).collect()
    }

    /// Something happens to somebody.
    fn trouble(&mut self) {
        let ids = self.ids();
        let id = ids[self.rng.below(ids.len() as u64) as usize];
        match self.rng.below(4) {
            0 => self.cluster.kill(id),
            1 => {
                self.cluster.silent.insert(id);
                self.cluster.kill(id);
            }
            2 => self.start(id),
            _ if self.cluster.peers.contains_key(&id) => self.cluster.look(id),
            _ => self.start(id),
        }
    }

    /// As the peers above the election do: whoever follows a leader that does not lead
    /// looks again, and so does a leader without a quorum of followers.
    fn part_ways(&mut self) {
        let roles: BTreeMap<_, _> = self
            .cluster
            .peers
            .iter()
            .filter_map(|(id, peer)| Some((*id, peer.decision?)))
            .collect();
        for (id, decision) in &roles {
            let leads = |leader| {
                roles
                    .get(&leader)
                    .is_some_and(|d| d.role == PeerState::Leading)
            };
            let followers = roles
                .iter()
                .filter(|(_, d)| d.leader == *id)
                .map(|(id, _)| *id);
            let is_lost = match decision.role {
                PeerState::Leading => !self.config.contains_quorum(&followers.collect()),
                _ => !leads(decision.leader),
            };
            if is_lost {
                self.cluster.look(*id);
            }
        }
    }

    fn advance(&mut self, by: Duration) {
        self.cluster.run_until(self.cluster.now + by);
    }

    fn run(mut self) {
        for id in self.ids() {
            self.start(id);
        }
        while self.cluster.now < Mono::ZERO + TROUBLE {
            let pause = Duration::from_millis(self.rng.below(1500));
            self.advance(pause);
            self.trouble();
            self.part_ways();
        }
        self.calm();
        self.check();
    }

    /// All that is asked of the network from here on is that it delivers.
    fn calm(&mut self) {
        {
            let mut weather = self.weather.borrow_mut();
            weather.loss_percent = 0;
            weather.max_delay_ms = 5;
        }
        for id in self.ids() {
            if !self.cluster.peers.contains_key(&id) {
                self.start(id);
            }
        }
        let end = self.cluster.now + CALM;
        while self.cluster.now < end {
            self.advance(Duration::from_millis(1000));
            self.part_ways();
        }
    }

    fn check(&self) {
        let seed = self.seed;
        let mut leaders = Vec::new();
        for (id, peer) in &self.cluster.peers {
            let decision = peer.decision;
            let decision = decision.unwrap_or_else(|| panic!("seed {seed}: {id} is still looking"));
            leaders.push(decision.leader);
            assert!(
                self.config.is_voter(decision.leader),
                "seed {seed}: {id} elected an observer"
            );
            assert_eq!(
                decision.role == PeerState::Leading,
                decision.leader == *id,
                "seed {seed}: {id}"
            );
        }
        leaders.dedup();
        assert_eq!(leaders.len(), 1, "seed {seed}: leaders {leaders:?}");
    }
}

#[test]
fn peers_on_bad_links_agree_once_the_links_are_good() {
    for seed in 0..SEEDS {
        Run::new(seed).run();
    }
}

/// The winner of an undisturbed election has the best vote of those who took part.
#[test]
fn without_trouble_the_best_vote_wins() {
    for seed in 0..SEEDS {
        let mut run = Run::new(seed);
        {
            let mut weather = run.weather.borrow_mut();
            weather.loss_percent = 0;
            weather.max_delay_ms = 50;
        }
        for id in run.ids() {
            run.start(id);
        }
        run.advance(Duration::from_secs(5));
        run.check();
        let votes = run
            .cluster
            .peers
            .iter()
            .filter(|(id, _)| run.config.is_voter(**id));
        let best =
            votes.max_by_key(|(id, peer)| (peer.initial.peer_epoch, peer.initial.zxid, **id));
        let leader = run
            .cluster
            .peers
            .values()
            .next()
            .unwrap()
            .decision
            .unwrap()
            .leader;
        assert_eq!(Some(&leader), best.map(|(id, _)| id), "seed {seed}");
    }
}
