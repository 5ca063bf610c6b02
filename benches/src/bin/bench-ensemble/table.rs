//! Samples of all rounds as medians.

use std::fmt;

/// What is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// The rounds of one workload, a row per system; the last is what the others are compared
/// with.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    better: Better,
    decimals: usize,
    /// Figures beside the one that is compared.
    extras: Vec<&'static str>,
    rows: Vec<Row>,
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

    /// Adds a round to the system at `row`. What is not known of it is left out.
    pub(crate) fn add(&mut self, row: usize, sample: f64, extras: &[Option<f64>]) {
        let row = &mut self.rows[row];
        row.samples.push(sample);
        for (column, extra) in row.extras.iter_mut().zip(extras) {
            column.extend(extra);
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reference = self.rows.last();
        let of = reference.map_or("", |row| row.name.as_str());
        let decimals = self.decimals;
        writeln!(f, "{}", self.title)?;
        write!(f, "{:16} {:>9} {:>21}", "", "median", "(min … max)")?;
        for title in &self.extras {
            write!(f, " {title:>10}")?;
        }
        writeln!(f, "  × {of}")?;
        let reference = reference.and_then(|row| median(&row.samples));
        for row in &self.rows {
            let own = median(&row.samples);
            let low = row.samples.iter().copied().fold(f64::MAX, f64::min);
            let high = row.samples.iter().copied().fold(0.0, f64::max);
            let range = format!("({low:.decimals$} … {high:.decimals$})");
            write!(
                f,
                "{:16} {:>9} {range:>21}",
                row.name,
                figure(own, decimals)
            )?;
            for column in &row.extras {
                write!(f, " {:>10}", figure(median(column), 1))?;
            }
            let ratio = own.zip(reference).map(|(own, of)| match self.better {
                Better::More => own / of,
                Better::Less => of / own,
            });
            writeln!(f, "  {}", figure(ratio, 2))?;
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

    fn last_words(table: &Table) -> Vec<String> {
        let text = table.to_string();
        let words = text
            .lines()
            .skip(2)
            .filter_map(|row| row.split(' ').next_back());
        words.map(str::to_owned).collect()
    }

    #[test]
    fn a_ratio_says_how_many_times_as_good_as_the_last() {
        for (better, expected) in [(Better::More, "0.50"), (Better::Less, "2.00")] {
            let mut table = Table::new("title".to_owned(), better, 0, &["ours", "theirs"]);
            for (ours, theirs) in [(1.0, 2.0), (2.0, 4.0), (30.0, 30.0)] {
                table.add(0, ours, &[]);
                table.add(1, theirs, &[]);
            }
            assert_eq!(last_words(&table), [expected, "1.00"], "{table}");
        }
    }

    #[test]
    fn what_is_unknown_of_some_rounds_is_the_median_of_the_others() {
        let mut table = Table::new("title".to_owned(), Better::Less, 1, &["ours"])
            .with_extras(&["known", "never"]);
        table.add(0, 1.0, &[Some(7.0), None]);
        table.add(0, 2.0, &[None, None]);
        let text = table.to_string();
        let words: Vec<_> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(
            words,
            ["ours", "1.5", "(1.0", "…", "2.0)", "7.0", "-", "1.00"]
        );
    }
}
