//! Which instance is to serve.

use std::sync::Arc;

use tokio::sync::watch;
use zk_env::EnvRng;

use super::instance::ServiceInstance;
use super::provider::ResolvedInstances;

/// How one of several is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProviderStrategy {
    /// One after the other by the names of their znodes, from a random one on, whatever comes
    /// and goes.
    #[default]
    RoundRobin,
    /// Any, each time anew.
    Random,
    /// Any, and the same again until it is gone, or wants to be chosen no longer.
    Sticky,
}

type Filter = Box<dyn Fn(&ServiceInstance) -> bool + Send + Sync>;

/// Chooses among the enabled instances of a service; made by
/// [`ServiceProvider::chooser`](super::ServiceProvider::chooser). Whoever calls often keeps one.
pub struct Chooser {
    strategy: ProviderStrategy,
    filter: Option<Filter>,
    instances: watch::Receiver<ResolvedInstances>,
    /// Of which the candidates were taken.
    seen: Option<ResolvedInstances>,
    /// By the names of their znodes, in their order.
    candidates: Vec<(String, Arc<ServiceInstance>)>,
    last: Option<String>,
    rng: EnvRng,
}

impl Chooser {
    pub(super) const fn new(
        strategy: ProviderStrategy,
        instances: watch::Receiver<ResolvedInstances>,
        rng: EnvRng,
    ) -> Self {
        Self {
            strategy,
            filter: None,
            instances,
            seen: None,
            candidates: Vec::new(),
            last: None,
            rng,
        }
    }

    /// Chooses only among those that `filter` lets pass. It is asked once for each instance
    /// whenever something has changed.
    #[must_use]
    pub fn filter(
        mut self,
        filter: impl Fn(&ServiceInstance) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.filter = Some(Box::new(filter));
        self.seen = None;
        self
    }

    /// The next one, of those who are there now; `None` if there is none to choose.
    pub fn choose(&mut self) -> Option<Arc<ServiceInstance>> {
        self.look();
        let (names, rng) = (&self.candidates, &mut self.rng);
        let below = |count| rng.below(count as u64) as usize;
        let at = choose(self.strategy, names, self.last.as_deref(), below)?;
        let (name, instance) = self.candidates.get(at)?;
        if self.last.as_ref() != Some(name) {
            self.last = Some(name.clone());
        }
        Some(Arc::clone(instance))
    }

    fn look(&mut self) {
        let now = Arc::clone(&self.instances.borrow_and_update());
        if self
            .seen
            .as_ref()
            .is_some_and(|seen| Arc::ptr_eq(seen, &now))
        {
            return;
        }
        let instances = now.iter().filter_map(|(name, resolved)| {
            let instance = resolved.instance.as_ref().ok()?;
            let passes = self.filter.as_ref().is_none_or(|filter| filter(instance));
            (instance.enabled && passes).then(|| (name.clone(), Arc::clone(instance)))
        });
        self.candidates = instances.collect();
        self.seen = Some(now);
    }
}

impl std::fmt::Debug for Chooser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chooser")
            .field("strategy", &self.strategy)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

/// The place of the chosen one in `candidates`, which are in the order of their names.
fn choose<T>(
    strategy: ProviderStrategy,
    candidates: &[(String, T)],
    last: Option<&str>,
    below: impl FnOnce(usize) -> usize,
) -> Option<usize> {
    if candidates.is_empty() {
        return None;
    }
    let find = |last: &str| candidates.binary_search_by(|(name, _)| name.as_str().cmp(last));
    let any = || below(candidates.len());
    Some(match (strategy, last.map(find)) {
        (ProviderStrategy::RoundRobin, Some(Ok(at))) => (at + 1) % candidates.len(),
        // It has gone: who would have been after it.
        (ProviderStrategy::RoundRobin, Some(Err(after))) => after % candidates.len(),
        (ProviderStrategy::Sticky, Some(Ok(at))) => at,
        (ProviderStrategy::RoundRobin, None)
        | (ProviderStrategy::Random, _)
        | (ProviderStrategy::Sticky, _) => any(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is chosen of `names` after `last` if chance says `random`.
    fn chosen(strategy: ProviderStrategy, names: &str, last: &str, random: usize) -> String {
        let candidates: Vec<_> = names.chars().map(|name| (name.to_string(), ())).collect();
        let last = Some(last).filter(|last| !last.is_empty());
        let at = choose(strategy, &candidates, last, |count| random % count);
        at.map_or_else(String::new, |at| candidates[at].0.clone())
    }

    #[test]
    fn round_robin_goes_on_whoever_comes_and_goes() {
        let next = |names, last| chosen(ProviderStrategy::RoundRobin, names, last, 2);
        assert_eq!(next("abc", ""), "c");
        assert_eq!(next("abc", "a"), "b");
        assert_eq!(next("abc", "c"), "a");
        assert_eq!(next("ac", "b"), "c");
        assert_eq!(next("ab", "c"), "a");
        assert_eq!(next("", "c"), "");
    }

    #[test]
    fn random_asks_chance_each_time() {
        let next = |random| chosen(ProviderStrategy::Random, "abc", "a", random);
        assert_eq!([0, 1, 2].map(next), ["a", "b", "c"]);
    }

    #[test]
    fn sticky_stays_until_it_is_gone() {
        let next = |names, last| chosen(ProviderStrategy::Sticky, names, last, 1);
        assert_eq!(next("abc", "c"), "c");
        assert_eq!(next("ab", "c"), "b");
        assert_eq!(next("abc", ""), "b");
    }
}
