//! The tables of knobs and of listeners' properties for people. The README's copy is made here, so the two cannot disagree.

use super::KNOBS;
use crate::listener::properties;
use std::fmt::Write as _;

/// Every knob as a row of a Markdown table, and every property of a listener as a row of another.
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
    table.push_str(
        "\nWhat one listener has of its own; `NAME` is its name, or its number in `LANNER_LISTEN`:\n\n",
    );
    table.push_str("| Variable | Otherwise | Accepts | Why |\n|---|---|---|---|\n");
    for property in properties() {
        let cells = [property.otherwise, &property.range(), property.why].map(escaped);
        let [otherwise, range, why] = cells;
        let variable = property.variable;
        let _ = writeln!(table, "| `{variable}` | {otherwise} | {range} | {why} |");
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
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_table_has_a_row_of_as_many_cells_as_its_head_for_every_knob_and_for_every_property() {
        let tables = markdown_table();
        let (table, own) = tables.split_once("\n\n").unwrap();
        let (_, own) = own.split_once("\n\n").unwrap();
        let rows: Vec<&str> = own.lines().skip(2).collect();
        assert_eq!(rows.len(), properties().count());
        for (row, property) in rows.into_iter().zip(properties()) {
            assert!(row.starts_with(&format!("| `{}` | ", property.variable)));
            assert_eq!(row.replace("\\|", "").matches('|').count(), 5, "{row}");
        }
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
