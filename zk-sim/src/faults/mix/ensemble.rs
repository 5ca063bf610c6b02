//! Faults of ensembles: what strikes several servers at once or one after the other, and
//! whoever leads.

use std::time::Duration;

use super::super::{
    CRASH_POINTS, DiskFault, DnsFault, FOLLOWER, Fault, FaultKind, LEADER, RECONFIG_CRASH_POINTS,
};
use super::{Draw, Family, LONG, Mix};
use crate::runner::{OBSERVER, SPARE};
use crate::trace::derive;

/// Kinds of trouble that an ensemble may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A server dies or stops.
    Crash,
    /// A server dies at a step of the protocol.
    CrashPoint,
    /// All of them lose power, or most.
    Power,
    /// They cannot all hear each other.
    Partition,
    /// A link or a server comes and goes.
    Flap,
    /// Whoever leads is in trouble, again and again.
    Leader,
    /// One after the other is restarted.
    Rolling,
    /// Disks are slow, full, or fail.
    Disk,
    /// Clocks run at other rates, or are set.
    Clock,
    /// Links between servers, or to them, are bad.
    Link,
    /// Clients lose their connections or sessions, or their hosts.
    Client,
}

use Trouble::{
    Client, Clock, Crash, CrashPoint, Disk, Flap, Leader, Link, Partition, Power, Rolling,
};

const fn of(trouble: Trouble) -> Family {
    Family::Ensemble(trouble)
}

/// All mixes for ensembles.
pub const ENSEMBLE_MIXES: &[Mix] = &[
    Mix {
        name: "none",
        about: "no faults at all",
        families: &[],
        longest: LONG,
    },
    Mix {
        name: "crash",
        about: "servers that die anywhere, and at each step of the protocol, alone or together",
        families: &[(of(Crash), 2), (of(CrashPoint), 5), (of(Power), 2)],
        longest: Duration::from_secs(4),
    },
    Mix {
        name: "power",
        about: "power lost by all or most, with slow disks and deaths at steps of the protocol",
        families: &[(of(Power), 4), (of(CrashPoint), 2), (of(Disk), 1)],
        longest: Duration::from_secs(4),
    },
    Mix {
        name: "partition",
        about: "ensembles in two parts, in a ring, across a bridge, or deaf in one direction",
        families: &[(of(Partition), 3), (of(Link), 1)],
        longest: LONG,
    },
    Mix {
        name: "flapping",
        about: "links, servers and leaders that come and go",
        families: &[(of(Flap), 2), (of(Leader), 2)],
        longest: Duration::from_secs(3),
    },
    Mix {
        name: "rolling",
        about: "servers restarted one after the other",
        families: &[(of(Rolling), 2), (of(Crash), 1), (of(Client), 1)],
        longest: Duration::from_secs(2),
    },
    Mix {
        name: "disk",
        about: "disks that are slow, full or fail, with crashes",
        families: &[(of(Disk), 4), (of(CrashPoint), 1), (of(Crash), 1)],
        longest: Duration::from_secs(5),
    },
    Mix {
        name: "clock",
        about: "clocks that run apart or are set, with servers that stop for a while",
        families: &[(of(Clock), 3), (of(Leader), 1), (of(Crash), 1)],
        longest: LONG,
    },
    Mix {
        name: "all",
        about: "everything",
        families: &[
            (of(Crash), 3),
            (of(CrashPoint), 5),
            (of(Power), 6),
            (of(Partition), 4),
            (of(Flap), 1),
            (of(Leader), 2),
            (of(Rolling), 1),
            (of(Disk), 3),
            (of(Clock), 2),
            (of(Link), 5),
            (of(Client), 3),
        ],
        longest: Duration::from_secs(8),
    },
];

/// What strikes in the run of a seed with an ensemble: everything for half of the seeds, and
/// for the others one of the narrower mixes.
pub fn drawn_for_ensemble(seed: u64) -> &'static Mix {
    let narrow = &ENSEMBLE_MIXES[1..ENSEMBLE_MIXES.len() - 1];
    let pick = derive(seed, &["mix"]);
    let index = usize::try_from(pick / 2).unwrap_or_default() % narrow.len();
    match ENSEMBLE_MIXES.last() {
        Some(all) if pick.is_multiple_of(2) => all,
        Some(_) | None => &narrow[index],
    }
}

impl Draw<'_> {
    /// What belongs together, all from `at` on.
    pub(super) fn trouble(
        &mut self,
        trouble: Trouble,
        at: Duration,
        lasts: Duration,
    ) -> Vec<Fault> {
        let one = |kind| vec![Fault { at, lasts, kind }];
        match trouble {
            Crash => one(self.crash()),
            CrashPoint => one(self.crash_point()),
            Power => self.power(at),
            Partition => self.partition(at, lasts),
            Flap => self.flap(at),
            Leader => self.leader(at),
            Rolling => self.rolling(at),
            Disk => one(self.server_disk()),
            Clock => one(self.server_clock()),
            Link => one(self.link()),
            Client => one(self.client_trouble()),
        }
    }

    fn any_server(&mut self) -> String {
        let pick = self.rng.below(self.servers.len() as u64);
        self.servers[pick as usize].clone()
    }

    /// The leader more often than others.
    fn some_server(&mut self) -> String {
        match self.rng.below(5) {
            0 | 1 => LEADER.to_owned(),
            2 => FOLLOWER.to_owned(),
            _ => self.any_server(),
        }
    }

    fn two_servers(&mut self) -> (String, String) {
        let count = self.servers.len() as u64;
        let first = self.rng.below(count);
        let second = (first + 1 + self.rng.below(count - 1)) % count;
        let name = |index: u64| self.servers[index as usize].clone();
        (name(first), name(second))
    }

    fn crash(&mut self) -> FaultKind {
        let host = self.some_server();
        match self.rng.below(5) {
            0 => FaultKind::Pause { host },
            1 => FaultKind::Suspend { host },
            2 => FaultKind::Restart { server: host },
            _ => FaultKind::Kill { host },
        }
    }

    fn crash_point(&mut self) -> FaultKind {
        let is_dynamic = self.servers.iter().any(|host| host.starts_with(SPARE));
        if is_dynamic && self.rng.below(3) == 0 {
            let pick = self.rng.below(RECONFIG_CRASH_POINTS.len() as u64);
            let place = RECONFIG_CRASH_POINTS[pick as usize].place;
            return FaultKind::KillAt { place };
        }
        let pick = self.rng.below(CRASH_POINTS.len() as u64);
        let place = CRASH_POINTS[pick as usize].place;
        FaultKind::KillAt { place }
    }

    /// All lose power at once, or all but one; mostly with disks that are behind.
    fn power(&mut self, at: Duration) -> Vec<Fault> {
        if self.rng.below(3) != 0 {
            return self.relapse(at);
        }
        const BEHIND: Duration = Duration::from_secs(2);
        let mut faults = Vec::new();
        let spared = match self.rng.below(3) {
            0 => Some(self.any_server()),
            _ => None,
        };
        let is_slow = self.rng.below(4) != 0;
        for host in self.servers.iter().cloned() {
            if is_slow {
                let takes = self.ms(20, 400);
                let host = host.clone();
                faults.push(Fault {
                    at: at.saturating_sub(BEHIND),
                    lasts: BEHIND,
                    kind: FaultKind::SlowSync { host, takes },
                });
            }
            if spared.as_ref() != Some(&host) {
                let lasts = self.ms(50, 2_500);
                let kind = FaultKind::Kill { host };
                faults.push(Fault { at, lasts, kind });
            }
        }
        faults
    }

    /// One server misses something, then all lose power, and come back one after the other. They
    /// lose it again, all at once, when one of them is at some step of its return, once or twice.
    /// In the end it is often those that come back first who were last before: another quorum
    /// decides what has been.
    fn relapse(&mut self, at: Duration) -> Vec<Fault> {
        let behind = self.any_server();
        let missed = self.ms(500, 2_000);
        let mut faults = vec![Fault {
            at,
            lasts: missed,
            kind: FaultKind::Kill {
                host: behind.clone(),
            },
        }];
        let (mut servers, every) = (self.shuffled(), self.ms(100, 900));
        // Often it takes that one to be a quorum.
        let place = servers.iter().position(|host| *host == behind);
        if let Some(place) = place.filter(|_| self.rng.below(2) == 0) {
            let last_of_quorum = servers.len() / 2;
            servers.swap(place, last_of_quorum);
        }
        let mut back = at + missed;
        for (host, turn) in servers.iter().cloned().zip(1..) {
            let kind = FaultKind::Kill { host };
            let lasts = every * turn;
            faults.push(Fault {
                at: back,
                lasts,
                kind,
            });
        }
        let is_at_the_disk = self.rng.below(2) == 0;
        let returning = CRASH_POINTS.iter().filter(|point| point.is_of_return());
        let returning = returning.filter(|point| !is_at_the_disk || point.is_at_the_disk());
        let places: Vec<_> = returning.map(|point| point.place).collect();
        let place = self.one_of(&places);
        // All may be back by then, and have come to the place.
        let count = u32::try_from(servers.len()).unwrap_or(u32::MAX);
        let down = every * count + self.ms(300, 1_500);
        let relapses = self.between(1, 2);
        for relapse in 1..=relapses {
            if relapse == relapses {
                match self.rng.below(4) {
                    0 => servers = self.shuffled(),
                    _ => servers.reverse(),
                }
            }
            for (host, turn) in servers.iter().cloned().zip(1..) {
                let kind = FaultKind::KillWhen { host, place };
                let lasts = down + every * turn;
                faults.push(Fault {
                    at: back,
                    lasts,
                    kind,
                });
            }
            back += down;
        }
        // Between a write and its durability there has to be time to die.
        for host in self.servers.iter().cloned() {
            let (takes, lasts) = (self.ms(5, 120), back + down - at);
            let kind = FaultKind::SlowSync { host, takes };
            faults.push(Fault { at, lasts, kind });
        }
        faults
    }

    /// All servers, in any order.
    fn shuffled(&mut self) -> Vec<String> {
        let mut servers = self.servers.to_vec();
        for last in (1..servers.len()).rev() {
            let other = self.rng.below(last as u64 + 1);
            servers.swap(last, other as usize);
        }
        servers
    }

    /// Silence between every two of different parts; clients stay connected to all.
    fn partition(&mut self, at: Duration, lasts: Duration) -> Vec<Fault> {
        let kinds = match self.rng.below(8) {
            0 | 1 => {
                let host = self.some_server();
                vec![FaultKind::Isolate { host }]
            }
            2 => {
                let others = self.servers.iter();
                others.map(|other| silence(LEADER, other)).collect()
            }
            3 => self.deaf_or_dumb(),
            4 | 5 => self.halves(),
            6 => ring(self.servers),
            _ => {
                let (a, b) = self.two_servers();
                vec![silence(&a, &b)]
            }
        };
        let kinds = kinds.into_iter();
        kinds.map(|kind| Fault { at, lasts, kind }).collect()
    }

    fn deaf_or_dumb(&mut self) -> Vec<FaultKind> {
        let is_deaf = self.rng.below(2) == 0;
        let one_way = |other: &String| {
            let (leader, other) = (LEADER.to_owned(), other.clone());
            let (from, to) = if is_deaf {
                (other, leader)
            } else {
                (leader, other)
            };
            FaultKind::SilenceOneWay { from, to }
        };
        self.servers.iter().map(one_way).collect()
    }

    /// Two parts of any size; now and then with one server that hears both.
    fn halves(&mut self) -> Vec<FaultKind> {
        let count = self.servers.len() as u64;
        let cut = 1 + self.rng.below(count - 1) as usize;
        let mut servers = self.servers.to_vec();
        servers.rotate_left(self.rng.below(count) as usize);
        let (one, other) = servers.split_at(cut);
        let has_bridge = self.rng.below(3) == 0 && other.len() > 1;
        let other = if has_bridge { &other[1..] } else { other };
        let pairs = one.iter().flat_map(|a| other.iter().map(move |b| (a, b)));
        pairs.map(|(a, b)| silence(a, b)).collect()
    }

    /// Comes and goes once a second.
    fn flap(&mut self, at: Duration) -> Vec<Fault> {
        let (a, b) = self.two_servers();
        let kind = match self.rng.below(5) {
            0 => FaultKind::Isolate { host: a },
            1 => FaultKind::Cut { a, b },
            2 => silence(&a, &b),
            3 => FaultKind::SilenceOneWay { from: a, to: b },
            _ => FaultKind::Pause { host: a },
        };
        let times = self.between(4, 10);
        let lasts = self.ms(200, 800);
        (0..times)
            .map(|time| Fault {
                at: at + Duration::from_secs(time),
                lasts,
                kind: kind.clone(),
            })
            .collect()
    }

    /// Every new leader meets the fate of the one before.
    fn leader(&mut self, at: Duration) -> Vec<Fault> {
        let host = LEADER.to_owned();
        let kind = match self.rng.below(5) {
            0 => FaultKind::Pause { host },
            1 => FaultKind::Isolate { host },
            2 => FaultKind::Restart { server: host },
            3 => FaultKind::SlowSync {
                host,
                takes: Duration::from_millis(1_500),
            },
            _ => FaultKind::Kill { host },
        };
        let times = u32::try_from(self.between(2, 5)).unwrap_or(2);
        let (lasts, every) = (self.ms(300, 2_600), self.ms(1_200, 4_000));
        (0..times)
            .map(|time| Fault {
                at: at + every * time,
                lasts,
                kind: kind.clone(),
            })
            .collect()
    }

    fn rolling(&mut self, at: Duration) -> Vec<Fault> {
        let every = self.ms(1_000, 4_000);
        let (lasts, is_kill) = (self.ms(100, 1_000), self.rng.below(3) == 0);
        let turns = self.servers.iter().zip(0..);
        turns
            .map(|(server, turn)| Fault {
                at: at + every * turn,
                lasts,
                kind: if is_kill {
                    FaultKind::Kill {
                        host: server.clone(),
                    }
                } else {
                    FaultKind::Restart {
                        server: server.clone(),
                    }
                },
            })
            .collect()
    }

    fn server_disk(&mut self) -> FaultKind {
        let host = self.some_server();
        let how = self.one_of(&[
            DiskFault::WriteFails,
            DiskFault::SyncFails,
            DiskFault::ReadFails,
            DiskFault::Full,
        ]);
        match self.rng.below(6) {
            0..=2 => {
                let takes = self.ms(20, 2_000);
                FaultKind::SlowSync { host, takes }
            }
            3 | 4 => FaultKind::DiskError { host, how },
            // Whoever has no vote can have its disk replaced, as soon as it is damaged.
            _ => match self.observer() {
                Some(host) => FaultKind::BitRot { host },
                None => FaultKind::NewDisk { host },
            },
        }
    }

    fn observer(&self) -> Option<String> {
        let mut servers = self.servers.iter();
        servers.find(|host| host.starts_with(OBSERVER)).cloned()
    }

    fn server_clock(&mut self) -> FaultKind {
        let host = self.some_server();
        if self.rng.below(3) == 0 {
            let ms = self.one_of(&[-3_600_000, -40_000, -1_000, 1_000, 40_000, 3_600_000]);
            FaultKind::WallJump { host, ms }
        } else {
            let permille = self.one_of(&[900, 950, 980, 1_020, 1_030]);
            FaultKind::ClockRate { host, permille }
        }
    }

    /// Mostly between two servers.
    fn link(&mut self) -> FaultKind {
        let (mut a, b) = self.two_servers();
        if self.rng.below(3) == 0 {
            a = self.client();
        }
        match self.rng.below(13) {
            0 => FaultKind::Cut { a, b },
            1 => FaultKind::Fin { a, b },
            2 => silence(&a, &b),
            3 => FaultKind::SilenceOneWay { from: a, to: b },
            4 => FaultKind::Forget { a, b },
            5 => {
                let latency = self.ms(20, 2_000);
                FaultKind::Slow { a, b, latency }
            }
            6 => {
                let bytes_per_second = self.one_of(&[2_000, 10_000, 100_000]);
                FaultKind::Bandwidth {
                    a,
                    b,
                    bytes_per_second,
                }
            }
            7 => FaultKind::Trickle { a, b },
            8 => FaultKind::Blackhole { host: b },
            9 => FaultKind::AcceptQueueFull { host: b },
            10 => FaultKind::Refuse { host: b },
            11 => FaultKind::AcceptAndClose { host: b },
            _ => self.name_of(b),
        }
    }

    fn name_of(&mut self, name: String) -> FaultKind {
        let how = self.one_of(&[
            DnsFault::Fails,
            DnsFault::Hangs,
            DnsFault::Empty,
            DnsFault::Many,
            DnsFault::Moved,
        ]);
        FaultKind::Dns { name, how }
    }

    fn client_trouble(&mut self) -> FaultKind {
        let (host, server) = (self.client(), self.some_server());
        match self.rng.below(6) {
            0 => FaultKind::DropConnections { server },
            1 => {
                let pick = self.rng.next_u64();
                FaultKind::ExpireSession { server, pick }
            }
            2 => FaultKind::Kill { host },
            3 => FaultKind::Pause { host },
            4 => FaultKind::Suspend { host },
            _ => FaultKind::Isolate { host },
        }
    }
}

fn silence(a: &str, b: &str) -> FaultKind {
    FaultKind::Silence {
        a: a.to_owned(),
        b: b.to_owned(),
    }
}

/// Each hears its two neighbours only; of three each hears both others but for two.
fn ring(servers: &[String]) -> Vec<FaultKind> {
    let count = servers.len();
    let mut kinds = Vec::new();
    for first in 0..count {
        for second in first + 2..count {
            if (second + 1) % count != first {
                kinds.push(silence(&servers[first], &servers[second]));
            }
        }
    }
    if kinds.is_empty() {
        kinds.push(silence(&servers[0], &servers[1]));
    }
    kinds
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::runner::Ensemble;

    const CHAOS: Duration = Duration::from_secs(40);

    fn drawn(seed: u64) -> Vec<Fault> {
        let mut hosts = Ensemble::drawn(seed).hosts();
        hosts.extend(["mixed-1".to_owned(), "mixed-2".to_owned()]);
        drawn_for_ensemble(seed).draw(seed, &hosts, CHAOS)
    }

    #[test]
    fn a_seed_means_the_same_faults_and_every_mix_is_drawn() {
        let mut names = BTreeMap::<&str, usize>::new();
        for seed in 0..300 {
            assert_eq!(drawn(seed), drawn(seed));
            assert!(drawn(seed).is_sorted_by_key(|fault| fault.at));
            *names.entry(drawn_for_ensemble(seed).name).or_default() += 1;
        }
        assert_eq!(names.len(), ENSEMBLE_MIXES.len() - 1, "{names:?}");
        assert!(names.values().all(|count| *count >= 10), "{names:?}");
    }

    #[test]
    fn every_kind_but_garbling_is_drawn() {
        let mut kinds = BTreeMap::<&str, usize>::new();
        for fault in (0..300).flat_map(drawn) {
            *kinds.entry(fault.kind.name()).or_default() += 1;
        }
        let missing: Vec<_> = FaultKind::NAMES
            .iter()
            .filter(|name| !kinds.contains_key(**name))
            .collect();
        assert_eq!(missing, [&"garble"], "{kinds:?}");
    }

    #[test]
    fn only_observers_disks_rot() {
        for fault in (0..300).flat_map(drawn) {
            if let FaultKind::BitRot { host } = &fault.kind {
                assert!(host.starts_with(OBSERVER), "{host}");
            }
        }
    }

    #[test]
    fn in_a_ring_each_hears_two() {
        let servers: Vec<String> = (1..=5).map(|n| format!("peer-{n}")).collect();
        assert_eq!(ring(&servers).len(), 5);
        assert_eq!(ring(&servers[..4]).len(), 2);
        assert_eq!(ring(&servers[..3]).len(), 1);
    }
}
