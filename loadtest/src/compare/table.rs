//! Medians, and Markdown tables whose columns line up in plain text too.

use std::fmt;

/// A table, its first column names.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    /// Lines below it.
    notes: Vec<String>,
}

impl Table {
    /// A table with only its head.
    pub(crate) fn new(head: &[&str]) -> Self {
        Self {
            rows: vec![head.iter().map(|&cell| cell.to_owned()).collect()],
            notes: Vec::new(),
        }
    }

    /// Adds a row as long as the head.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.rows[0].len());
        self.rows.push(cells);
    }

    /// Adds a line below.
    pub(crate) fn note(&mut self, line: String) {
        self.notes.push(line);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows[0].len();
        let width = |column: usize| {
            self.rows
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (index, row) in self.rows.iter().enumerate() {
            formatter.write_str("|")?;
            for (column, cell) in row.iter().enumerate() {
                let width = widths[column];
                match column {
                    0 => write!(formatter, " {cell:<width$} |")?,
                    _ => write!(formatter, " {cell:>width$} |")?,
                }
            }
            formatter.write_str("\n")?;
            if index == 0 {
                formatter.write_str("|")?;
                for (column, width) in widths.iter().enumerate() {
                    let dashes = "-".repeat(width + 1);
                    formatter.write_str(&if column == 0 {
                        format!("{dashes}-|")
                    } else {
                        format!("{dashes}:|")
                    })?;
                }
                formatter.write_str("\n")?;
            }
        }
        for note in &self.notes {
            write!(formatter, "\n{note}\n")?;
        }
        Ok(())
    }
}

/// The median; of an even count, the mean of the two in the middle. `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 {
        upper
    } else {
        (sorted[middle - 1] + upper) / 2.0
    })
}

/// One series against another: the median of the ratios within each round, for the machine drifts less within a round than over
/// the run. Not a number of nothing.
pub(crate) fn ratio(own: &[f64], other: &[f64]) -> f64 {
    let pairs = own.iter().zip(other);
    let ratios: Vec<f64> = pairs.map(|(own, other)| own / other).collect();
    median(&ratios).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[9.0, 1.0, 5.0, 2.0]), Some(3.5));
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        // The machine became three times slower after the first round; the ratio is still two in most rounds.
        assert_eq!(ratio(&[2.0, 6.0, 9.0], &[1.0, 3.0, 3.0]), 2.0);
        assert_eq!(ratio(&[1.0, 3.0], &[1.0, 3.0]), 1.0);
        assert!(ratio(&[], &[1.0]).is_nan());
    }

    #[test]
    fn a_table_is_markdown_and_lines_up() {
        let mut table = Table::new(&["server", "us"]);
        table.row(vec!["nginx".to_owned(), "4.95".to_owned()]);
        table.note("quiet".to_owned());
        let expected = "| server |   us |\n|--------|-----:|\n| nginx  | 4.95 |\n\nquiet\n";
        assert_eq!(table.to_string(), expected);
    }
}
