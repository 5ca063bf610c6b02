//! Totals as text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use crate::catalogue::{self, CATALOGUE, Entry, Met};

use super::Totals;

/// What [`Totals`] say, for people.
#[derive(Debug)]
pub struct Report<'t> {
    totals: &'t Totals,
    elapsed: Duration,
    catalogue: &'static [Entry],
}

impl<'t> Report<'t> {
    /// On runs that took `elapsed` in all, on whatever number of cores.
    pub const fn new(totals: &'t Totals, elapsed: Duration) -> Self {
        Self {
            totals,
            elapsed,
            catalogue: CATALOGUE,
        }
    }

    /// With the ids of this catalogue, as [`Run::catalogue`](super::Run::catalogue) was told.
    #[must_use]
    pub const fn on(mut self, catalogue: &'static [Entry]) -> Self {
        self.catalogue = catalogue;
        self
    }

    /// Ids of the catalogue that no run has reached, of those that runs can reach.
    pub fn missing(&self) -> Vec<&'static str> {
        catalogue::ids_of_runs(self.catalogue)
            .filter(|id| !self.totals.catalogue.contains_key(*id))
            .collect()
    }

    fn figures(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let totals = self.totals;
        let minutes = (self.elapsed.as_secs_f64() / 60.0).max(f64::MIN_POSITIVE);
        let simulated = totals.simulated.as_secs_f64();
        writeln!(f, "{} seeds, {} failed", totals.seeds, totals.failed)?;
        writeln!(
            f,
            "simulated     {:.2} h, {:.1} s a seed, {:.0} s per second and core",
            simulated / 3600.0,
            simulated / totals.seeds.max(1) as f64,
            totals.speed(),
        )?;
        writeln!(
            f,
            "took          {:.1} s, {:.0} seeds a minute, {:.1} % of the work in checkers",
            self.elapsed.as_secs_f64(),
            totals.seeds as f64 / minutes,
            100.0 * totals.checkers_share(),
        )?;
        writeln!(
            f,
            "operations    {}, {:.0} a seed; in doubt: {} applied, {} not",
            totals.operations,
            totals.per_seed(totals.operations),
            totals.doubts.applied,
            totals.doubts.not_applied,
        )?;
        writeln!(
            f,
            "requests      {}, {:.0} a seed, without pings",
            totals.requests,
            totals.per_seed(totals.requests),
        )
    }

    fn unreached(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let reached = &self.totals.places;
        for place in known_places(self.catalogue) {
            if !reached.contains_key(place) {
                writeln!(f, "  {:>10}  {place}", "never")?;
            }
        }
        Ok(())
    }

    fn failpoints(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let points = &self.totals.failpoints;
        let acted = points.values().filter(|fired| fired.fired > 0).count();
        writeln!(f, "failpoints    {acted} of {} acted", points.len())?;
        for (point, fired) in points {
            writeln!(f, "  {:>10} of {:>12}  {point}", fired.fired, fired.asked)?;
        }
        Ok(())
    }
}

impl Display for Report<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let totals = self.totals;
        self.figures(f)?;
        counts(f, "workloads", &totals.workloads, 0)?;
        counts(f, "faults", &totals.faults, totals.seeds)?;
        counts(f, "places", &totals.places, 0)?;
        self.unreached(f)?;
        self.failpoints(f)?;
        counts(f, "catalogue", &totals.catalogue, 0)?;
        match self.missing().as_slice() {
            [] => Ok(()),
            missing => writeln!(f, "  missing: {}", missing.join(" ")),
        }
    }
}

/// The places by which it is known that an id of the catalogue was reached.
fn known_places(catalogue: &[Entry]) -> BTreeSet<&'static str> {
    let of = |met: Met| match met {
        Met::Places(places) => places.to_vec(),
        Met::FaultAt(_, place) => vec![place],
        Met::Fault(_) | Met::Test(_) => Vec::new(),
    };
    catalogue.iter().flat_map(|entry| of(entry.met)).collect()
}

/// A headline with how many there are, then each with its count; with how many that
/// is for each of `seeds`, unless that is 0.
fn counts(
    f: &mut Formatter<'_>,
    title: &str,
    counts: &BTreeMap<String, u64>,
    seeds: u64,
) -> fmt::Result {
    let sum: u64 = counts.values().sum();
    write!(f, "{title:<13} {} kinds, {sum} in all", counts.len())?;
    if seeds > 0 {
        write!(f, ", {:.1} a seed", sum as f64 / seeds as f64)?;
    }
    writeln!(f)?;
    for (name, count) in counts {
        writeln!(f, "  {count:>10}  {name}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_reached_is_named() {
        let nothing = Totals::default();
        let report = Report::new(&nothing, Duration::ZERO);
        assert_eq!(
            report.missing().len(),
            catalogue::ids_of_runs(CATALOGUE).count()
        );
        let text = report.to_string();
        assert!(
            text.contains("missing: ") && text.contains("never"),
            "{text}"
        );

        let everything = Totals {
            catalogue: catalogue::ids_of_runs(CATALOGUE)
                .map(|id| (id.to_owned(), 1))
                .collect(),
            places: known_places(CATALOGUE)
                .into_iter()
                .map(|place| (place.to_owned(), 1))
                .collect(),
            ..Totals::default()
        };
        let text = Report::new(&everything, Duration::ZERO).to_string();
        assert!(
            !text.contains("missing") && !text.contains("never"),
            "{text}"
        );
    }
}
