//! Samples of all rounds as a table of medians.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use crate::client::Contestant;
use crate::round::Sample;

/// One workload's samples, a row per client.
#[derive(Debug)]
pub struct Table {
    rows: Vec<(Contestant, Vec<Sample>)>,
}

impl Table {
    pub fn new(clients: &[Contestant]) -> Self {
        let rows = clients.iter().map(|&client| (client, Vec::new()));
        Self {
            rows: rows.collect(),
        }
    }

    /// Adds a round's sample to the client at `row`.
    pub fn add(&mut self, row: usize, sample: Sample) {
        self.rows[row].1.push(sample);
    }

    /// The rates of the client that has the best median among those that `is_one`.
    fn best(&self, is_one: impl Fn(Contestant) -> bool) -> Vec<f64> {
        let ones = self.rows.iter().filter(|(client, _)| is_one(*client));
        ones.map(|(_, samples)| rates(samples))
            .max_by(|a, b| {
                median(a.clone())
                    .partial_cmp(&median(b.clone()))
                    .unwrap_or(Ordering::Equal)
            })
            .unwrap_or_default()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = self.best(Contestant::is_peer);
        let floor = self.best(|client| client == Contestant::Tcp);
        writeln!(
            f,
            "{:24} {:>7} {:>17} {:>7} {:>9} {:>11} {:>7}",
            "", "kget/s", "(min … max)", "CPU µs", "server µs", "× best peer", "× floor"
        )?;
        for (client, samples) in &self.rows {
            write_row(f, *client, samples, &peer, &floor)?;
        }
        Ok(())
    }
}

/// Times are per get. A column without figures has a dash.
fn write_row(
    f: &mut fmt::Formatter<'_>,
    client: Contestant,
    samples: &[Sample],
    peer: &[f64],
    floor: &[f64],
) -> fmt::Result {
    let rates = rates(samples);
    let low = rates.iter().copied().fold(f64::MAX, f64::min);
    let high = rates.iter().copied().fold(0.0, f64::max);
    let cpu = samples.iter().filter_map(|s| micros_each(s, s.cpu));
    let server_cpu = samples.iter().filter_map(|s| micros_each(s, s.server_cpu));
    writeln!(
        f,
        "{:24} {:>7} {:>17} {:>7} {:>9} {:>11} {:>7}",
        client.name(),
        figure(median(rates.iter().map(|rate| rate / 1e3)), 1),
        format!("({:.0} … {:.0})", low / 1e3, high / 1e3),
        figure(median(cpu), 2),
        figure(median(server_cpu), 2),
        figure(ratio(&rates, peer), 2),
        figure(ratio(&rates, floor), 2),
    )
}

fn rates(samples: &[Sample]) -> Vec<f64> {
    samples.iter().map(per_second).collect()
}

/// The median over the rounds of how many times as fast: two rates of one round had
/// the same neighbours.
fn ratio(rates: &[f64], reference: &[f64]) -> Option<f64> {
    median(rates.iter().zip(reference).map(|(rate, of)| rate / of))
}

fn per_second(sample: &Sample) -> f64 {
    sample.gets as f64 / sample.wall.as_secs_f64()
}

fn micros_each(sample: &Sample, total: Option<Duration>) -> Option<f64> {
    total.map(|total| total.as_secs_f64() * 1e6 / sample.gets as f64)
}

/// The middle value, the mean of the middle two, or nothing.
fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some((lower + upper) / 2.0)
}

fn figure(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn rounds_are_compared_one_by_one_with_the_best_peer() {
        let clients = [
            Contestant::ZkClient,
            Contestant::ZookeeperClient,
            Contestant::ZookeeperAsync,
        ];
        let mut table = Table::new(&clients);
        for round in [[90, 30, 10], [40, 20, 50], [20, 10, 5]] {
            for (row, gets) in round.into_iter().enumerate() {
                let sample = Sample {
                    gets,
                    wall: Duration::from_secs(1),
                    cpu: None,
                    server_cpu: None,
                };
                table.add(row, sample);
            }
        }
        let peer = table.best(Contestant::is_peer);
        assert_eq!(peer, [30.0, 20.0, 10.0]);
        assert_eq!(ratio(&rates(&table.rows[0].1), &peer), Some(2.0));
        assert!(table.to_string().contains(" 2.00 "), "{table}");
    }
}
