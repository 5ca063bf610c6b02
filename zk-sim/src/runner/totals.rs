//! What many runs amount to.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::FailpointCount;

use super::{Doubts, Verdict};

/// Sums over verdicts, in whatever order they come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(serde::Serialize, serde::Deserialize))]
pub struct Totals {
    /// Runs.
    pub seeds: u64,
    /// Runs that failed.
    pub failed: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// Calls that were recorded.
    pub operations: u64,
    /// Requests on the wire, whoever made them; without pings and the like.
    #[cfg_attr(feature = "cli", serde(default))]
    pub requests: u64,
    /// Faults that struck, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Rare places reached.
    pub places: BTreeMap<String, u64>,
    /// Failpoints come to.
    pub failpoints: BTreeMap<String, FailpointCount>,
    /// Ids of the catalogue reached.
    pub catalogue: BTreeMap<String, u64>,
    /// Runs by workload.
    pub workloads: BTreeMap<String, u64>,
    /// How outcomes unknown to clients were resolved.
    pub doubts: Doubts,
    /// Time of processors, checkers included.
    pub took: Duration,
    /// Of which in checkers and invariants.
    pub in_checkers: Duration,
}

impl Totals {
    /// Adds a run.
    pub fn add(&mut self, verdict: &Verdict) {
        self.merge(&Self::from(verdict));
    }

    /// Adds the sums over other runs.
    pub fn merge(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.failed += other.failed;
        self.simulated += other.simulated;
        self.operations += other.operations;
        self.requests += other.requests;
        self.doubts.applied += other.doubts.applied;
        self.doubts.not_applied += other.doubts.not_applied;
        self.took += other.took;
        self.in_checkers += other.in_checkers;
        merge_counts(&mut self.faults, &other.faults);
        merge_counts(&mut self.places, &other.places);
        merge_counts(&mut self.catalogue, &other.catalogue);
        merge_counts(&mut self.workloads, &other.workloads);
        for (point, fired) in &other.failpoints {
            let sum = self.failpoints.entry(point.clone()).or_default();
            sum.asked += fired.asked;
            sum.fired += fired.fired;
        }
    }

    /// How many faults struck.
    pub fn fault_count(&self) -> u64 {
        self.faults.values().sum()
    }

    /// `sum` per run.
    pub fn per_seed(&self, sum: u64) -> f64 {
        sum as f64 / self.seeds.max(1) as f64
    }

    /// Simulated seconds per second of one core.
    pub fn speed(&self) -> f64 {
        ratio(self.simulated, self.took)
    }

    /// The part of the time spent in checkers and invariants.
    pub fn checkers_share(&self) -> f64 {
        ratio(self.in_checkers, self.took)
    }
}

impl From<&Verdict> for Totals {
    fn from(verdict: &Verdict) -> Self {
        let failpoints = verdict.failpoints.iter();
        Self {
            seeds: 1,
            failed: u64::from(verdict.violation.is_some()),
            simulated: verdict.simulated,
            operations: verdict.operations,
            requests: verdict.requests,
            faults: owned(&verdict.faults),
            places: owned(&verdict.places),
            failpoints: failpoints
                .map(|(p, fired)| (p.to_string(), *fired))
                .collect(),
            catalogue: owned(&verdict.catalogue),
            workloads: verdict
                .workloads
                .iter()
                .map(|w| (w.to_string(), 1))
                .collect(),
            doubts: verdict.doubts,
            took: verdict.took,
            in_checkers: verdict.in_checkers,
        }
    }
}

fn owned(counts: &BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    counts
        .iter()
        .map(|(name, n)| ((*name).to_owned(), *n))
        .collect()
}

fn merge_counts(sums: &mut BTreeMap<String, u64>, counts: &BTreeMap<String, u64>) {
    for (name, count) in counts {
        *sums.entry(name.clone()).or_default() += count;
    }
}

fn ratio(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() {
        return 0.0;
    }
    part.as_secs_f64() / whole.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(cut: u64, fired: u64) -> Verdict {
        Verdict {
            workloads: vec!["mixed"],
            simulated: Duration::from_secs(60),
            took: Duration::from_millis(200),
            in_checkers: Duration::from_millis(50),
            operations: 1000,
            faults: [("cut", cut)].into(),
            failpoints: [("client: yield", FailpointCount { asked: 10, fired })].into(),
            ..Verdict::default()
        }
    }

    #[test]
    fn sums_do_not_depend_on_the_order_or_on_the_grouping() {
        let (a, b, c) = (verdict(1, 2), verdict(3, 4), verdict(5, 6));
        let mut forwards = Totals::default();
        for verdict in [&a, &b, &c] {
            forwards.add(verdict);
        }
        let mut grouped = Totals::from(&c);
        let mut rest = Totals::from(&b);
        rest.add(&a);
        grouped.merge(&rest);
        assert_eq!(forwards, grouped);
        assert_eq!((forwards.seeds, forwards.fault_count()), (3, 9));
        assert_eq!(
            forwards.failpoints["client: yield"],
            FailpointCount {
                asked: 30,
                fired: 12
            }
        );
        assert_eq!(forwards.workloads["mixed"], 3);
    }

    #[test]
    fn figures_are_per_core_and_per_seed() {
        let totals = Totals::from(&verdict(7, 0));
        assert!((totals.speed() - 300.0).abs() < 1e-9);
        assert!((totals.checkers_share() - 0.25).abs() < 1e-9);
        assert!((totals.per_seed(totals.operations) - 1000.0).abs() < 1e-9);
        assert!(Totals::default().speed().abs() < 1e-9);
    }
}
