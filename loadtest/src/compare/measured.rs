//! What came of a scenario.

use crate::arguments::Failure;

use super::agreement::Agreement;
use super::summary::Column;
use super::table::Table;

/// What is left of a server's words in a note below a table.
const REASON_CHARS_MAX: usize = 400;

/// See the file's comment.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) table: Table,
    /// What is compared across scenarios, if there is a figure of that kind.
    pub(crate) column: Option<Column>,
    /// How far generators agree, where several sent it.
    pub(crate) agreement: Option<Agreement>,
    /// Why there is less than was asked for.
    pub(crate) failure: Option<Failure>,
}

/// A failure in one line, for a note: a server may have said much before it ended.
pub(crate) fn reason(failure: &Failure) -> String {
    let text = failure.to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join(" / ");
    match line.char_indices().nth(REASON_CHARS_MAX) {
        None => line,
        Some((end, _)) => format!("{} ...", &line[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        let failure = Failure::Run("x ended\n\n  because\nof that\n".to_owned());
        assert_eq!(reason(&failure), "x ended / because / of that");
        let long = reason(&Failure::Run("é".repeat(1000)));
        assert_eq!(long.chars().count(), REASON_CHARS_MAX + 4);
    }
}
