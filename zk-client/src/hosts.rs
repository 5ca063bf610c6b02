//! Which server to try next, and when: the list, its rebalancing, the backoff.

use std::time::Duration;

use zk_env::EnvRng;
use zk_proto::HostPort;

use crate::schedule::{BackoffLimits, Schedule};

/// The next server and how long to wait before trying it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NextHost {
    pub(crate) host: HostPort,
    pub(crate) delay: Duration,
}

/// The servers, in the order they are tried: shuffled once, then round robin.
#[derive(Debug)]
pub(crate) struct Hosts {
    servers: Vec<HostPort>,
    /// Index of the next one.
    next: usize,
    /// Attempts since the last success.
    failures: usize,
    had_connection: bool,
    schedule: Schedule,
    min_delay: Duration,
    rebalance: Option<Rebalance>,
    rng: EnvRng,
    should_shuffle: bool,
}

/// Java's way through a changed list: until connected, each attempt draws whether
/// to try a server that is new (ZOOKEEPER-1355).
#[derive(Debug)]
struct Rebalance {
    new: Vec<HostPort>,
    old: Vec<HostPort>,
    prefer_new: f64,
}

impl Hosts {
    pub(crate) fn new(
        servers: Vec<HostPort>,
        should_shuffle: bool,
        limits: BackoffLimits,
        mut rng: EnvRng,
    ) -> Self {
        let mut servers = servers;
        if should_shuffle {
            rng.shuffle(&mut servers);
        }
        Self {
            servers,
            next: 0,
            failures: 0,
            had_connection: false,
            schedule: Schedule::new(limits),
            min_delay: limits.min,
            rebalance: None,
            rng,
            should_shuffle,
        }
    }

    pub(crate) fn all(&self) -> &[HostPort] {
        &self.servers
    }

    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    /// Whether the pauses between rounds have become as long as they get.
    pub(crate) fn is_backed_off(&self) -> bool {
        self.schedule.is_at_longest()
    }

    /// Whom to try next. No wait within a round, except a jitter after a lost
    /// connection, so that a server's clients do not all arrive together; between
    /// rounds the backoff, with full jitter above its half.
    pub(crate) fn next_host(&mut self) -> NextHost {
        let delay = self.delay();
        self.failures += 1;
        let host = self.draw().unwrap_or_else(|| self.rotate());
        NextHost { host, delay }
    }

    fn delay(&mut self) -> Duration {
        let is_round_start = self.failures.is_multiple_of(self.servers.len());
        match (self.failures, is_round_start) {
            (0, _) if self.had_connection => self.min_delay.mul_f64(self.rng.fraction()),
            (0, _) | (_, false) => Duration::ZERO,
            (_, true) => self.schedule.next_pause(&mut self.rng),
        }
    }

    fn draw(&mut self) -> Option<HostPort> {
        let rebalance = self.rebalance.as_mut()?;
        let wants_new = self.rng.fraction() < rebalance.prefer_new;
        let (first, second) = if wants_new {
            (&mut rebalance.new, &mut rebalance.old)
        } else {
            (&mut rebalance.old, &mut rebalance.new)
        };
        let host = first.pop().or_else(|| second.pop());
        if host.is_none() {
            self.rebalance = None;
        }
        host
    }

    /// A session was opened or resumed.
    pub(crate) fn connected(&mut self) {
        self.failures = 0;
        self.had_connection = true;
        self.schedule.reset();
        self.rebalance = None;
    }

    /// The next server of the list, for a probe that is no attempt to connect.
    pub(crate) fn rotate(&mut self) -> HostPort {
        let host = self.servers[self.next % self.servers.len()].clone();
        self.next = (self.next + 1) % self.servers.len();
        host
    }

    /// Tries `host` next.
    pub(crate) fn prefer(&mut self, host: &HostPort) {
        if let Some(at) = self.servers.iter().position(|known| known == host) {
            self.next = at;
            self.failures = 0;
        }
    }

    /// Replaces the list. True if the client should leave `current` so that clients
    /// spread evenly over the new list.
    pub(crate) fn update(
        &mut self,
        mut servers: Vec<HostPort>,
        current: Option<&HostPort>,
    ) -> bool {
        if self.should_shuffle {
            self.rng.shuffle(&mut servers);
        }
        let (old, new): (Vec<_>, Vec<_>) = servers
            .iter()
            .cloned()
            .partition(|host| self.servers.contains(host));
        let (size, kept, added) = (self.servers.len(), old.len(), new.len());
        let is_listed = current.is_some_and(|host| servers.contains(host));
        self.servers = servers;
        self.next = 0;
        self.failures = 0;
        self.rebalance = None;
        let Some(prefer_new) = self.draw_move(size, kept, added, is_listed) else {
            return false;
        };
        self.rebalance = Some(Rebalance {
            new,
            old,
            prefer_new,
        });
        current.is_some()
    }

    /// Java's rule: whether to move, and with which preference for new servers.
    fn draw_move(
        &mut self,
        size: usize,
        kept: usize,
        added: usize,
        is_listed: bool,
    ) -> Option<f64> {
        let total = kept + added;
        if total > size {
            let stay = if is_listed {
                size as f64 / total as f64
            } else {
                0.0
            };
            return (self.rng.fraction() >= stay).then_some(1.0);
        }
        if is_listed {
            return None;
        }
        let (size, kept, total) = (size as f64, kept as f64, total as f64);
        let prefer_old = if size > kept {
            kept * (size - total) / (total * (size - kept))
        } else {
            1.0
        };
        Some(1.0 - prefer_old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BackoffLimits = BackoffLimits {
        min: Duration::from_millis(50),
        max: Duration::from_secs(2),
    };

    fn list(names: &[&str]) -> Vec<HostPort> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn hosts(names: &[&str], seed: u64) -> Hosts {
        Hosts::new(list(names), false, LIMITS, EnvRng::from_seed(seed))
    }

    #[test]
    fn a_round_tries_every_server_at_once_then_backs_off() {
        let mut hosts = hosts(&["a", "b", "c"], 1);
        let first: Vec<_> = (0..3).map(|_| hosts.next_host()).collect();
        assert_eq!(
            first
                .iter()
                .map(|next| next.host.host.as_str())
                .collect::<Vec<_>>(),
            ["a", "b", "c"]
        );
        assert!(first.iter().all(|next| next.delay.is_zero()));
        let delays: Vec<_> = (0..30).map(|_| hosts.next_host().delay).collect();
        let waits: Vec<_> = delays.iter().step_by(3).collect();
        assert!(waits[0] >= &(LIMITS.min / 2) && waits[0] <= &LIMITS.min);
        assert!(waits[9] >= &(LIMITS.max / 2) && waits[9] <= &LIMITS.max);
        assert!(delays.iter().skip(1).step_by(3).all(Duration::is_zero));
    }

    #[test]
    fn a_lost_connection_is_retried_within_the_smallest_delay() {
        let mut hosts = hosts(&["a"], 1);
        hosts.next_host();
        hosts.connected();
        assert!(hosts.next_host().delay < LIMITS.min);
    }

    #[test]
    fn shuffling_depends_on_the_seed_alone() {
        let order = |seed| {
            let mut hosts = Hosts::new(
                list(&["a", "b", "c", "d"]),
                true,
                LIMITS,
                EnvRng::from_seed(seed),
            );
            (0..4)
                .map(|_| hosts.next_host().host.host)
                .collect::<String>()
        };
        assert_eq!(order(7), order(7));
        assert!((0..20).any(|seed| order(seed) != order(7)));
    }

    /// How many of 1,000 clients leave.
    fn leavers(old: &[&str], new: &[&str], current: &str) -> usize {
        let current: HostPort = current.parse().unwrap();
        (0..1000)
            .filter(|seed| hosts(old, *seed).update(list(new), Some(&current)))
            .count()
    }

    #[test]
    fn growing_moves_the_share_that_evens_the_load() {
        let moved = leavers(&["a", "b", "c"], &["a", "b", "c", "d", "e", "f"], "a");
        assert!((420..580).contains(&moved), "{moved}");
    }

    #[test]
    fn a_removed_server_is_always_left_and_a_kept_one_never_when_shrinking() {
        assert_eq!(leavers(&["a", "b", "c"], &["a", "b"], "c"), 1000);
        assert_eq!(leavers(&["a", "b", "c"], &["a", "b"], "a"), 0);
        assert_eq!(leavers(&["a", "b"], &["a", "b"], "a"), 0);
        assert_eq!(leavers(&["a"], &["b", "c"], "a"), 1000);
    }

    #[test]
    fn a_mover_tries_new_servers_first_and_then_everyone() {
        let mut hosts = hosts(&["a"], 3);
        assert!(hosts.update(list(&["b", "c"]), Some(&"a".parse().unwrap())));
        let mut tried: Vec<_> = (0..2).map(|_| hosts.next_host().host.host).collect();
        tried.sort();
        assert_eq!(tried, ["b", "c"]);
        assert_eq!(hosts.next_host().host.host, "b");
    }
}
