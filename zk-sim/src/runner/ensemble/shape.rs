//! How many servers there are, and what each is told of the others.

use std::fmt::Write as _;
use std::time::Duration;

use zk_env::EnvRng;

use crate::trace::derive;

/// What the names of voters begin with.
pub(crate) const PEER: &str = "peer-";
/// What those of observers begin with.
pub(crate) const OBSERVER: &str = "observer-";
/// Where clients connect, on every host.
pub(crate) const CLIENT_PORT: u16 = 2181;

/// The servers of a run: voters and observers, each on a host of its own with its own
/// disk and clocks. Of three and one the names are `peer-1`, `peer-2`, `peer-3` and
/// `observer-4`. Clients are told of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensemble {
    voters: usize,
    observers: usize,
    tick: Duration,
}

/// Of which a seed draws one, and how often each.
const SHAPES: [((usize, usize), u64); 7] = [
    ((3, 0), 10),
    ((3, 1), 3),
    ((3, 2), 1),
    ((4, 0), 2),
    ((5, 0), 3),
    ((5, 1), 1),
    ((4, 1), 1),
];

impl Ensemble {
    /// So many voters, at least two, and a tick of 200 ms: a leader is missed after a second.
    pub const fn of(voters: usize) -> Self {
        Self {
            voters,
            observers: 0,
            tick: Duration::from_millis(200),
        }
    }

    /// With so many observers.
    #[must_use]
    pub const fn observers(mut self, observers: usize) -> Self {
        self.observers = observers;
        self
    }

    /// With another tick; `initLimit` is 10 of them, `syncLimit` 5.
    #[must_use]
    pub const fn tick(mut self, tick: Duration) -> Self {
        self.tick = tick;
        self
    }

    /// Three to five voters and up to two observers, from a seed.
    pub fn drawn(seed: u64) -> Self {
        let mut rng = EnvRng::from_seed(derive(seed, &["ensemble"]));
        let mut pick = rng.below(SHAPES.iter().map(|(_, weight)| weight).sum());
        for ((voters, observers), weight) in SHAPES {
            if pick < weight {
                return Self::of(voters).observers(observers);
            }
            pick -= weight;
        }
        Self::of(3)
    }

    /// Its hosts.
    pub fn hosts(&self) -> Vec<String> {
        (1..=self.voters + self.observers)
            .map(|id| {
                let kind = if id <= self.voters { PEER } else { OBSERVER };
                format!("{kind}{id}")
            })
            .collect()
    }

    pub(super) const fn tick_time(&self) -> Duration {
        self.tick
    }

    pub(super) fn connect_string(&self) -> String {
        let hosts = self.hosts().into_iter();
        let hosts: Vec<_> = hosts.map(|host| format!("{host}:{CLIENT_PORT}")).collect();
        hosts.join(",")
    }

    /// The `zoo.cfg` that all have in common.
    pub(super) fn zoo_cfg(&self) -> String {
        let mut text = format!(
            "tickTime={}\ninitLimit=10\nsyncLimit=5\nclientPort={CLIENT_PORT}\n",
            self.tick.as_millis()
        );
        for (host, id) in self.hosts().iter().zip(1..) {
            let role = if id <= self.voters {
                "participant"
            } else {
                "observer"
            };
            writeln!(text, "server.{id}={host}:2888:3888:{role}").expect("a string takes it");
        }
        text
    }
}

/// The number in a name.
pub(super) fn id_of(host: &str) -> Option<usize> {
    host.rsplit('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn seeds_draw_every_shape() {
        let drawn: BTreeSet<_> = (0..200)
            .map(|seed| {
                let ensemble = Ensemble::drawn(seed);
                (ensemble.voters, ensemble.observers)
            })
            .collect();
        assert_eq!(drawn.len(), SHAPES.len());
    }

    #[test]
    fn voters_come_first() {
        let ensemble = Ensemble::of(3).observers(1);
        let hosts = ["peer-1", "peer-2", "peer-3", "observer-4"];
        assert_eq!(ensemble.hosts(), hosts);
        let text = ensemble.zoo_cfg();
        assert!(
            text.contains("server.4=observer-4:2888:3888:observer"),
            "{text}"
        );
        assert!(text.starts_with("tickTime=200\n"), "{text}");
    }
}
