//! Samples of all rounds as a table of medians.

use std::fmt;

/// One workload's rounds, a row per contestant.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<(String, Vec<Round>)>,
}

/// What one round came to, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Round {
    median: f64,
    /// Of a hundred times all but one took less.
    p99: f64,
    mean: f64,
}

impl Table {
    pub(crate) fn new(names: &[&str]) -> Self {
        let rows = names.iter().map(|name| ((*name).to_owned(), Vec::new()));
        Self {
            rows: rows.collect(),
        }
    }

    /// Adds a round to the contestant at `row`; an empty one is none.
    pub(crate) fn add(&mut self, row: usize, mut nanos: Vec<u64>) {
        nanos.sort_unstable();
        let micros: Vec<_> = nanos.iter().map(|nanos| *nanos as f64 / 1e3).collect();
        if let Some(median) = median(&micros) {
            self.rows[row].1.push(Round {
                median,
                p99: micros[(micros.len() - 1) * 99 / 100],
                mean: micros.iter().sum::<f64>() / micros.len() as f64,
            });
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:20} {:>8} {:>19} {:>8} {:>10} {:>12}",
            "", "median", "(min … max)", "p99", "per second", "× zk-recipes"
        )?;
        let ours = self.rows.first().map(|(_, rounds)| medians(rounds));
        for (name, rounds) in self.rows.iter().filter(|(_, rounds)| !rounds.is_empty()) {
            let own = medians(rounds);
            let p99: Vec<_> = rounds.iter().map(|round| round.p99).collect();
            let rates: Vec<_> = rounds.iter().map(|round| 1e6 / round.mean).collect();
            let ours = ours.iter().flatten();
            // Round by round: two of one round had the same neighbours.
            let ratios: Vec<_> = own.iter().zip(ours).map(|(own, ours)| own / ours).collect();
            let low = own.iter().copied().fold(f64::MAX, f64::min);
            let high = own.iter().copied().fold(0.0, f64::max);
            writeln!(
                f,
                "{name:20} {:>8} {:>19} {:>8} {:>10} {:>12}",
                figure(&own, 0),
                format!("({low:.0} … {high:.0})"),
                figure(&p99, 0),
                figure(&rates, 0),
                figure(&ratios, 2),
            )?;
        }
        Ok(())
    }
}

fn medians(rounds: &[Round]) -> Vec<f64> {
    rounds.iter().map(|round| round.median).collect()
}

/// The middle value, the mean of the middle two, or nothing.
fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some((lower + upper) / 2.0)
}

fn figure(values: &[f64], decimals: usize) -> String {
    median(values).map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_compared_one_by_one_and_who_has_none_is_left_out() {
        let mut table = Table::new(&["zk-recipes", "peer", "nobody"]);
        for (ours, peer) in [(1_000, 3_000), (2_000, 4_000), (4_000, 4_000)] {
            table.add(0, vec![ours, ours, 10 * ours]);
            table.add(1, vec![peer]);
            table.add(2, Vec::new());
        }
        let table = table.to_string();
        let rows: Vec<Vec<_>> = table
            .lines()
            .map(|row| row.split_whitespace().collect())
            .collect();
        assert_eq!(rows.len(), 3, "{table}");
        assert_eq!(
            rows[1],
            ["zk-recipes", "2", "(1", "…", "4)", "2", "125000", "1.00"]
        );
        assert_eq!(
            rows[2],
            ["peer", "4", "(3", "…", "4)", "4", "250000", "2.00"]
        );
    }
}
