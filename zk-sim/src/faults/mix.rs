//! Mixes of faults: from a seed to what goes wrong and when.

use std::time::Duration;

use zk_env::EnvRng;

mod ensemble;

pub use ensemble::{ENSEMBLE_MIXES, drawn_for_ensemble};

use super::{DiskFault, DnsFault, Fault, FaultKind};
use crate::runner::is_server;
use crate::trace::derive;

/// Hosts whose name begins so are the only ones whose traffic is garbled: what they
/// were told is not what the server said, and nothing is concluded from it.
pub const GARBLED: &str = "garbled";
/// Hosts whose name begins so have something on their disk to lose.
pub const JOURNAL: &str = "journal";

/// Between the fewest and the most faults of a seed.
const FAULTS: (u64, u64) = (5, 12);
/// The longest usual fault; longer than most sessions.
const LONG: Duration = Duration::from_secs(12);
/// The longest of a gentle one; shorter than any session.
const SHORT: Duration = Duration::from_millis(400);

/// A way to draw faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Its name on command lines.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    families: &'static [(Family, u64)],
    longest: Duration,
}

/// Faults of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Network,
    Process,
    Clock,
    Dns,
    Disk,
    Server,
    Ensemble(ensemble::Trouble),
}

/// All mixes.
pub const MIXES: &[Mix] = &[
    Mix {
        name: "none",
        about: "no faults at all",
        families: &[],
        longest: LONG,
    },
    Mix {
        name: "gentle",
        about: "network faults too short for any session to expire",
        families: &[(Family::Network, 1)],
        longest: SHORT,
    },
    Mix {
        name: "network",
        about: "links that are cut, silent, slow, narrow or lie",
        families: &[(Family::Network, 1)],
        longest: LONG,
    },
    Mix {
        name: "process",
        about: "hosts that are paused, suspended or killed",
        families: &[(Family::Process, 1)],
        longest: LONG,
    },
    Mix {
        name: "clock",
        about: "wall clocks that jump, clocks that run fast or slow",
        families: &[(Family::Clock, 1)],
        longest: LONG,
    },
    Mix {
        name: "dns",
        about: "names that cannot be looked up, with connections lost so that they must be",
        families: &[(Family::Dns, 2), (Family::Server, 1)],
        longest: LONG,
    },
    Mix {
        name: "disk",
        about: "disks that fail, are slow, rot, and lose power",
        families: &[(Family::Disk, 3), (Family::Process, 1)],
        longest: LONG,
    },
    Mix {
        name: "server",
        about: "a server that drops connections, ends sessions and restarts",
        families: &[(Family::Server, 1)],
        longest: LONG,
    },
    Mix {
        name: "all",
        about: "everything",
        families: &[
            (Family::Network, 9),
            (Family::Process, 3),
            (Family::Clock, 2),
            (Family::Dns, 2),
            (Family::Disk, 2),
            (Family::Server, 3),
        ],
        longest: LONG,
    },
];

/// The mix called `name`.
pub fn named(name: &str) -> Option<&'static Mix> {
    MIXES.iter().find(|mix| mix.name == name)
}

/// What strikes in the run of a seed unless told otherwise: everything for most seeds, and for
/// the others one of the narrower mixes.
pub fn drawn(seed: u64) -> &'static Mix {
    let narrow = MIXES
        .iter()
        .filter(|mix| mix.name != "none" && mix.name != "all");
    let narrow: Vec<&'static Mix> = narrow.collect();
    let index = usize::try_from(seed / 3).unwrap_or_default() % narrow.len();
    match named("all") {
        Some(all) if seed % 3 != 2 => all,
        Some(_) | None => narrow[index],
    }
}

impl Mix {
    /// The faults of `seed` for these hosts, the servers' first, over `chaos`, in the
    /// order of their beginnings.
    pub fn draw(&self, seed: u64, hosts: &[String], chaos: Duration) -> Vec<Fault> {
        let count = hosts.iter().take_while(|host| is_server(host)).count();
        let (servers, clients) = hosts.split_at(count);
        let Some(server) = servers.first() else {
            return Vec::new();
        };
        if clients.is_empty() || self.families.is_empty() {
            return Vec::new();
        }
        let mut draw = Draw {
            rng: EnvRng::from_seed(derive(seed, &["faults", self.name])),
            server,
            servers,
            clients,
        };
        let count = draw.between(FAULTS.0, FAULTS.1);
        let mut faults: Vec<_> = (0..count).flat_map(|_| draw.faults(self, chaos)).collect();
        faults.sort_by_key(|fault| fault.at);
        faults
    }
}

/// Where faults come from.
struct Draw<'h> {
    rng: EnvRng,
    server: &'h str,
    /// All of an ensemble.
    servers: &'h [String],
    clients: &'h [String],
}

impl Draw<'_> {
    /// A number from `low` up to and including `high`.
    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.rng.below(high - low + 1)
    }

    fn ms(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.rng.below(all.len() as u64) as usize]
    }

    /// One, or several that belong together.
    fn faults(&mut self, mix: &Mix, chaos: Duration) -> Vec<Fault> {
        let at = self.ms(0, u64::try_from(chaos.as_millis()).unwrap_or(u64::MAX));
        // Half of them short: a blip tests other things than an outage.
        let longest = if self.rng.below(2) == 0 {
            mix.longest
        } else {
            mix.longest.min(Duration::from_secs(1))
        };
        let lasts = longest.mul_f64(0.05 + 0.95 * self.rng.fraction());
        let kind = match self.family(mix.families) {
            Family::Network => self.network(mix.longest),
            Family::Process => self.process(),
            Family::Clock => self.clock(),
            Family::Dns => self.dns(),
            Family::Disk => self.disk(),
            Family::Server => self.server(),
            Family::Ensemble(trouble) => return self.trouble(trouble, at, lasts),
        };
        vec![Fault { at, lasts, kind }]
    }

    fn family(&mut self, families: &[(Family, u64)]) -> Family {
        let total = families.iter().map(|(_, weight)| weight).sum();
        let mut pick = self.rng.below(total);
        for (family, weight) in families {
            if pick < *weight {
                return *family;
            }
            pick -= weight;
        }
        Family::Network
    }

    fn client(&mut self) -> String {
        let pick = self.rng.below(self.clients.len() as u64);
        self.clients[pick as usize].clone()
    }

    /// A client whose name begins with `with`; any other if there is none.
    fn client_named(&mut self, with: &str) -> Option<String> {
        let named: Vec<&String> = self
            .clients
            .iter()
            .filter(|client| client.starts_with(with))
            .collect();
        (!named.is_empty()).then(|| self.one_of(&named).clone())
    }

    fn anybody(&mut self) -> String {
        if self.rng.below(3) == 0 {
            self.server.to_owned()
        } else {
            self.client()
        }
    }

    /// Mostly a client and the server, in either order; now and then two clients, one
    /// of which may be somebody's scripted server.
    fn pair(&mut self) -> (String, String) {
        let (one, other) = (self.client(), self.client());
        let other = if one == other || self.rng.below(4) != 0 {
            self.server.to_owned()
        } else {
            other
        };
        if self.rng.below(2) == 0 {
            (one, other)
        } else {
            (other, one)
        }
    }

    fn network(&mut self, longest: Duration) -> FaultKind {
        let (a, b) = self.pair();
        match self.rng.below(15) {
            0 => FaultKind::Cut { a, b },
            1 => FaultKind::Fin { a, b },
            2 => FaultKind::Silence { a, b },
            3 => FaultKind::SilenceOneWay { from: a, to: b },
            4 => FaultKind::Forget { a, b },
            5 => FaultKind::Isolate {
                host: self.anybody(),
            },
            6 => {
                let most = u64::try_from(longest.as_millis() / 3).unwrap_or(u64::MAX);
                let latency = self.ms(20, most);
                FaultKind::Slow { a, b, latency }
            }
            7 => {
                let bytes_per_second = self.one_of(&[300, 2_000, 10_000, 100_000]);
                FaultKind::Bandwidth {
                    a,
                    b,
                    bytes_per_second,
                }
            }
            8 => FaultKind::Trickle { a, b },
            9 => self.garble(),
            10 => FaultKind::Blackhole {
                host: self.server.to_owned(),
            },
            11 => FaultKind::AcceptQueueFull {
                host: self.server.to_owned(),
            },
            12 => FaultKind::Refuse {
                host: self.server.to_owned(),
            },
            13 => FaultKind::AcceptAndClose {
                host: self.server.to_owned(),
            },
            _ => FaultKind::Cut { a, b },
        }
    }

    /// To or from one of those whose traffic may be; without one, what else makes a
    /// connection unusable.
    fn garble(&mut self) -> FaultKind {
        let Some(host) = self.client_named(GARBLED) else {
            let (a, b) = self.pair();
            return FaultKind::Trickle { a, b };
        };
        let (from, to) = if self.rng.below(2) == 0 {
            (host, self.server.to_owned())
        } else {
            (self.server.to_owned(), host)
        };
        FaultKind::Garble { from, to }
    }

    fn process(&mut self) -> FaultKind {
        let host = self.anybody();
        match self.rng.below(3) {
            0 => FaultKind::Pause { host },
            1 => FaultKind::Suspend { host },
            _ => FaultKind::Kill { host },
        }
    }

    fn clock(&mut self) -> FaultKind {
        let host = self.anybody();
        if self.rng.below(2) == 0 {
            let ms = self.one_of(&[-3_600_000, -40_000, -1_000, 1_000, 40_000, 3_600_000]);
            FaultKind::WallJump { host, ms }
        } else {
            let permille = self.one_of(&[980, 990, 1_010, 1_020]);
            FaultKind::ClockRate { host, permille }
        }
    }

    fn dns(&mut self) -> FaultKind {
        let how = self.one_of(&[
            DnsFault::Fails,
            DnsFault::Hangs,
            DnsFault::Empty,
            DnsFault::Many,
            DnsFault::Moved,
        ]);
        FaultKind::Dns {
            name: self.server.to_owned(),
            how,
        }
    }

    /// Of a host that has a journal; without one nobody has a disk, and a client dies instead.
    fn disk(&mut self) -> FaultKind {
        let Some(host) = self.client_named(JOURNAL) else {
            let host = self.client();
            return FaultKind::Kill { host };
        };
        let how = self.one_of(&[
            DiskFault::WriteFails,
            DiskFault::SyncFails,
            DiskFault::ReadFails,
            DiskFault::Full,
        ]);
        match self.rng.below(7) {
            0..=3 => FaultKind::DiskError { host, how },
            4 => {
                let takes = self.ms(50, 5_000);
                FaultKind::SlowSync { host, takes }
            }
            5 => FaultKind::BitRot { host },
            _ => FaultKind::Kill { host },
        }
    }

    fn server(&mut self) -> FaultKind {
        let server = self.server.to_owned();
        match self.rng.below(3) {
            0 => FaultKind::DropConnections { server },
            1 => {
                let pick = self.rng.next_u64();
                FaultKind::ExpireSession { server, pick }
            }
            _ => FaultKind::Restart { server },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const CHAOS: Duration = Duration::from_secs(40);

    fn hosts() -> Vec<String> {
        ["server", "mixed-1", "mixed-2", "garbled-1", "journal-1"]
            .map(str::to_owned)
            .to_vec()
    }

    fn drawn(mix: &str, seeds: u64) -> Vec<Vec<Fault>> {
        let mix = named(mix).expect("a mix of this name");
        (0..seeds)
            .map(|seed| mix.draw(seed, &hosts(), CHAOS))
            .collect()
    }

    #[test]
    fn a_seed_means_the_same_faults_every_time_and_seeds_differ() {
        assert_eq!(drawn("all", 20), drawn("all", 20));
        let all = drawn("all", 20);
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn every_kind_is_drawn_within_the_seeds_of_a_gate() {
        let mut kinds = BTreeMap::<&str, usize>::new();
        for fault in drawn("all", 500).iter().flatten() {
            *kinds.entry(fault.kind.name()).or_default() += 1;
        }
        // As many as `FaultKind::name` knows.
        assert_eq!(kinds.len(), 33, "{kinds:?}");
        assert!(kinds.values().all(|count| *count >= 10), "{kinds:?}");
    }

    #[test]
    fn a_seed_has_at_least_five_faults_and_they_begin_in_order() {
        for mix in MIXES.iter().filter(|mix| mix.name != "none") {
            for faults in drawn(mix.name, 100) {
                assert!(faults.len() >= 5, "{}: {}", mix.name, faults.len());
                assert!(faults.is_sorted_by_key(|fault| fault.at));
                assert!(faults.iter().all(|fault| fault.at <= CHAOS));
                assert!(faults.iter().all(|fault| fault.lasts <= mix.longest));
            }
        }
        assert!(drawn("none", 5).iter().all(Vec::is_empty));
    }

    #[test]
    fn only_those_who_bear_it_are_garbled() {
        for fault in drawn("all", 500).iter().flatten() {
            if let FaultKind::Garble { from, to } = &fault.kind {
                assert!(from.starts_with(GARBLED) || to.starts_with(GARBLED));
            }
        }
        let mix = named("all").expect("there is one");
        let others: Vec<_> = ["server", "a"].map(str::to_owned).to_vec();
        let faults = (0..500).flat_map(|seed| mix.draw(seed, &others, CHAOS));
        assert!(
            !faults
                .into_iter()
                .any(|fault| fault.kind.name() == "garble")
        );
    }

    #[test]
    fn seeds_draw_every_mix_but_none() {
        let drawn: std::collections::BTreeSet<_> =
            (0..100).map(|seed| super::drawn(seed).name).collect();
        assert_eq!(drawn.len(), MIXES.len() - 1, "{drawn:?}");
        assert!(!drawn.contains("none"));
    }
}
