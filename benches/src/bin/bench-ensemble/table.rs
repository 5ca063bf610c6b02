//! Samples of all rounds as medians, in the form that README.md has them in.

use std::fmt;

/// What is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// The rounds of one workload, a row per system; the last is what the others are compared
/// with, round by round.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    better: Better,
    decimals: usize,
    /// Figures beside the one that is compared.
    extras: Vec<&'static str>,
    rows: Vec<Row>,
    /// Rows are different things, and nothing is said of one by another.
    is_incomparable: bool,
}

#[derive(Debug)]
struct Row {
    name: String,
    samples: Vec<f64>,
    extras: Vec<Vec<f64>>,
}

impl Table {
    pub(crate) fn new(title: String, better: Better, decimals: usize, names: &[&str]) -> Self {
        let rows = names.iter().map(|name| Row {
            name: (*name).to_owned(),
            samples: Vec::new(),
            extras: Vec::new(),
        });
        Self {
            title,
            better,
            decimals,
            extras: Vec::new(),
            rows: rows.collect(),
            is_incomparable: false,
        }
    }

    /// Adds columns of medians.
    pub(crate) fn with_extras(mut self, titles: &[&'static str]) -> Self {
        self.extras = titles.to_vec();
        for row in &mut self.rows {
            row.extras = vec![Vec::new(); titles.len()];
        }
        self
    }

    /// Leaves out how many times as good one is as another.
    pub(crate) fn incomparable(mut self) -> Self {
        self.is_incomparable = true;
        self
    }

    /// Adds a round to the system at `row`. What is not known of it is left out.
    pub(crate) fn add(&mut self, row: usize, sample: f64, extras: &[Option<f64>]) {
        let row = &mut self.rows[row];
        row.samples.push(sample);
        for (column, extra) in row.extras.iter_mut().zip(extras) {
            column.extend(extra);
        }
    }

    /// The titles of the columns, which tables of the same kind share.
    pub(crate) fn head(&self) -> String {
        let mut titles = vec!["", "median (min … max)"];
        titles.extend(&self.extras);
        let against = self.rows.last().map(|row| format!("× {}", row.name));
        if !self.is_incomparable {
            titles.extend(against.as_deref());
        }
        format!(
            "| {} |\n|{}",
            titles.join(" | "),
            "---|".repeat(titles.len())
        )
    }

    /// How many times as good as the last, as the median over the rounds.
    fn ratio(&self, row: &Row) -> Option<f64> {
        let of = &self.rows.last()?.samples;
        let pairs = row.samples.iter().zip(of);
        let ratios = pairs.map(|(own, of)| match self.better {
            Better::More => own / of,
            Better::Less => of / own,
        });
        median(&ratios.collect::<Vec<_>>())
    }
}

/// A title and the rows, to stand below the [`head`](Table::head).
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = self.decimals;
        let columns = 1 + self.extras.len() + usize::from(!self.is_incomparable);
        write!(f, "| **{}** |{}", self.title, " |".repeat(columns))?;
        for row in &self.rows {
            let low = row.samples.iter().copied().fold(f64::MAX, f64::min);
            let high = row.samples.iter().copied().fold(0.0, f64::max);
            let own = figure(median(&row.samples), decimals);
            write!(
                f,
                "\n| {} | {own} ({low:.decimals$} … {high:.decimals$}) |",
                row.name
            )?;
            for column in &row.extras {
                write!(f, " {} |", figure(median(column), 1))?;
            }
            if !self.is_incomparable {
                write!(f, " {} |", figure(self.ratio(row), 2))?;
            }
        }
        Ok(())
    }
}

/// The middle value, the mean of the middle two, or nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
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

    fn rows(table: &Table) -> Vec<String> {
        table
            .to_string()
            .lines()
            .skip(1)
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_ratio_is_that_of_each_round_and_says_how_many_times_as_good() {
        for (better, expected) in [(Better::More, "0.50"), (Better::Less, "2.00")] {
            let mut table = Table::new("title".to_owned(), better, 0, &["ours", "theirs"]);
            // A slow round is everybody's: that of the medians would be another.
            for (ours, theirs) in [(1.0, 2.0), (40.0, 80.0), (5.0, 7.0)] {
                table.add(0, ours, &[]);
                table.add(1, theirs, &[]);
            }
            let expected = [
                format!("| ours | 5 (1 … 40) | {expected} |"),
                "| theirs | 7 (2 … 80) | 1.00 |".to_owned(),
            ];
            assert_eq!(rows(&table), expected);
            let head = "|  | median (min … max) | × theirs |\n|---|---|---|";
            assert_eq!(table.head(), head);
        }
    }

    #[test]
    fn what_is_unknown_of_some_rounds_is_the_median_of_the_others() {
        let mut table = Table::new("title".to_owned(), Better::Less, 1, &["ours"])
            .with_extras(&["known", "never"])
            .incomparable();
        table.add(0, 1.0, &[Some(7.0), None]);
        table.add(0, 2.0, &[None, None]);
        assert_eq!(rows(&table), ["| ours | 1.5 (1.0 … 2.0) | 7.0 | - |"]);
        assert_eq!(table.head().lines().last(), Some("|---|---|---|---|"));
    }
}
