//! The table of knobs for people. The README's copy is made here, so the two cannot disagree.

use super::KNOBS;
use std::fmt::Write as _;

/// Every knob as a row of a Markdown table.
#[must_use]
pub fn markdown_table() -> String {
    let mut table =
        String::from("| Variable | Default | Accepts | When hit | Why |\n|---|---|---|---|---|\n");
    for knob in KNOBS {
        let answer = knob.answer().unwrap_or_else(|| "-".to_owned());
        let cells = [escaped(&knob.range()), escaped(&answer), escaped(knob.why)];
        let [range, answer, why] = cells;
        let _ = writeln!(
            table,
            "| `{}` | `{}` | {range} | {answer} | {why} |",
            knob.variable, knob.default
        );
    }
    table
}

/// A bar would end the cell, and a star begin emphasis, outside code.
fn escaped(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    let mut code = false;
    for character in text.chars() {
        match character {
            '`' => code = !code,
            '|' => cell.push('\\'),
            '*' if !code => cell.push('\\'),
            _ => {}
        }
        cell.push(character);
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_of_five_cells_for_every_knob() {
        let table = markdown_table();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(rows.len(), KNOBS.len());
        for (row, knob) in rows.into_iter().zip(KNOBS) {
            assert!(
                row.starts_with(&format!("| `{}` | `{}` | ", knob.variable, knob.default)),
                "{row}"
            );
            assert_eq!(row.replace("\\|", "").matches('|').count(), 6, "{row}");
        }
        assert!(table.contains("| a whole number from 1 to 1000 | 431, close with linger |"));
    }

    #[test]
    fn what_markdown_would_read_is_escaped_outside_code_only() {
        assert_eq!(escaped("a|b * `c*d`"), "a\\|b \\* `c*d`");
    }
}
