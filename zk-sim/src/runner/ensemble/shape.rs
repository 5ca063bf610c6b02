//! How many servers there are, and what each is told of the others.

use std::fmt::Write as _;
use std::time::Duration;

use zk_env::EnvRng;

use crate::trace::derive;

/// What the names of voters begin with.
pub(crate) const PEER: &str = "peer-";
/// What those of observers begin with.
pub(crate) const OBSERVER: &str = "observer-";
/// What that of a server begins with which is a member only once it was made one.
pub(crate) const SPARE: &str = "spare-";
/// Where clients connect, on every host.
pub(crate) const CLIENT_PORT: u16 = 2181;

/// The servers of a run: voters and observers, each on a host of its own with its own
/// disk and clocks. Of three and one the names are `peer-1`, `peer-2`, `peer-3` and
/// `observer-4`, and a spare one would be `spare-5`. Clients are told of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensemble {
    voters: usize,
    observers: usize,
    /// Whether its members may change, and a server waits to become one.
    is_dynamic: bool,
    tick: Duration,
}

/// One seed of so many draws an ensemble whose members change.
const ONE_DYNAMIC_IN: u64 = 4;

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
            is_dynamic: false,
            tick: Duration::from_millis(200),
        }
    }

    /// With so many observers.
    #[must_use]
    pub const fn observers(mut self, observers: usize) -> Self {
        self.observers = observers;
        self
    }

    /// With a spare server, which follows without a vote until `reconfig` makes it a member.
    #[must_use]
    pub const fn dynamic(mut self) -> Self {
        self.is_dynamic = true;
        self
    }

    /// Whether its members may change.
    pub const fn is_dynamic(&self) -> bool {
        self.is_dynamic
    }

    /// With another tick; `initLimit` is 10 of them, `syncLimit` 5.
    #[must_use]
    pub const fn tick(mut self, tick: Duration) -> Self {
        self.tick = tick;
        self
    }

    /// Three to five voters and up to two observers, from a seed; of every fourth seed the
    /// members may change.
    pub fn drawn(seed: u64) -> Self {
        let drawn = Self::shaped(seed);
        let is_dynamic = derive(seed, &["members"]).is_multiple_of(ONE_DYNAMIC_IN);
        Self {
            is_dynamic,
            ..drawn
        }
    }

    fn shaped(seed: u64) -> Self {
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
        let members = self.voters + self.observers;
        (1..=members + usize::from(self.is_dynamic))
            .map(|id| {
                let kind = match id {
                    id if id <= self.voters => PEER,
                    id if id <= members => OBSERVER,
                    _ => SPARE,
                };
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

    /// The `zoo.cfg` of the server on `own`: that of all members, and a spare server knows of
    /// itself besides.
    pub(super) fn zoo_cfg(&self, own: &str) -> String {
        let mut text = format!(
            "tickTime={}\ninitLimit=10\nsyncLimit=5\nclientPort={CLIENT_PORT}\n",
            self.tick.as_millis()
        );
        if self.is_dynamic {
            text.push_str("reconfigEnabled=true\n");
        }
        for host in self.hosts() {
            if host.starts_with(SPARE) && host != own {
                continue;
            }
            let role = if host.starts_with(OBSERVER) {
                "observer"
            } else {
                "participant"
            };
            let line = server_line(&host, role);
            // Whoever has a client port in a list may be moved by one.
            let client = match self.is_dynamic {
                true => format!(";{CLIENT_PORT}"),
                false => String::new(),
            };
            writeln!(text, "{line}{client}").expect("a string takes it");
        }
        text
    }
}

/// How a list of members has this server, but for the port of clients.
pub(crate) fn server_line(host: &str, role: &str) -> String {
    let id = id_of(host).unwrap_or_default();
    format!("server.{id}={host}:2888:3888:{role}")
}

/// The number in a name.
pub(crate) fn id_of(host: &str) -> Option<usize> {
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
        let text = ensemble.zoo_cfg("peer-1");
        assert!(
            text.contains("server.4=observer-4:2888:3888:observer"),
            "{text}"
        );
        assert!(text.starts_with("tickTime=200\n"), "{text}");
    }

    #[test]
    fn a_spare_server_is_known_to_itself_alone() {
        let ensemble = Ensemble::of(3).dynamic();
        assert_eq!(ensemble.hosts().last().map(String::as_str), Some("spare-4"));
        assert!(!ensemble.zoo_cfg("peer-1").contains("spare-4"));
        let own = ensemble.zoo_cfg("spare-4");
        assert!(
            own.contains("server.4=spare-4:2888:3888:participant;2181"),
            "{own}"
        );
        assert!(own.contains("server.1=peer-1:"), "{own}");
    }

    #[test]
    fn some_seeds_draw_members_that_change() {
        let dynamic = (0..300).filter(|seed| Ensemble::drawn(*seed).is_dynamic());
        assert!((50..100).contains(&dynamic.count()));
    }
}
