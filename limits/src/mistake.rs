//! What is wrong with settings, said so that one can repair it: the variable, the value, what was expected, and for an
//! unknown name the nearest one that exists.

use crate::files::is_pem_text;
use crate::resolve::Setting;
use std::fmt;

/// One thing wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The setting's name, as its author wrote it.
    pub name: String,
    /// The whole sentence, the name included.
    pub text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Everything that is wrong, at once: nobody wants to repair a configuration one restart at a time. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// `mistakes`, if there are any.
    pub(crate) fn unless_empty(mistakes: Vec<Mistake>) -> Option<Mistakes> {
        (!mistakes.is_empty()).then_some(Mistakes(mistakes))
    }

    /// Each of them, in the order in which the settings came; relations between settings last.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, mistake) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// That a setting's value is none.
pub(crate) fn value_mistake(setting: &Setting, wrong: &str, range: &str) -> Mistake {
    let text = format!(
        "{}={} {wrong}; expected {range}",
        setting.name,
        quoted(&setting.value)
    );
    Mistake {
        name: setting.name.clone(),
        text,
    }
}

/// Characters of a value that a message repeats.
const QUOTED_CHARACTERS_MAX: usize = 80;

/// A value as a message shows it: quoted, control characters escaped, and cut where it is long. PEM text is not shown at
/// all: it may be a private key, and messages go to logs.
pub(crate) fn quoted(value: &str) -> String {
    if is_pem_text(value) {
        return "(PEM text)".to_owned();
    }
    match value.char_indices().nth(QUOTED_CHARACTERS_MAX) {
        Some((end, _)) => format!("{:?}...", &value[..end]),
        None => format!("{value:?}"),
    }
}

/// Characters of a name that the search looks at; no knob's name is nearly as long.
const COMPARED_BYTES_MAX: usize = 64;

/// The candidate with the fewest letters wrong, too many, missing or swapped with a neighbour; of equals, the first.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let name = name.as_bytes();
    let name = &name[..name.len().min(COMPARED_BYTES_MAX)];
    candidates.min_by_key(|candidate| distance(name, candidate.as_bytes()))
}

/// The optimal string alignment distance, in three rows.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let same = |a: u8, b: u8| a.eq_ignore_ascii_case(&b);
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let differs = usize::from(!same(a[i - 1], b[j - 1]));
            row[j] = (last[j - 1] + differs).min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]) {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_letters_wrong_missing_added_and_swapped() {
        let distance = |a: &str, b: &str| distance(a.as_bytes(), b.as_bytes());
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("workers", "workers"), 0);
        assert_eq!(distance("worker", "workers"), 1);
        assert_eq!(distance("wokrers", "workers"), 1);
        assert_eq!(distance("wxrkers", "workers"), 1);
        assert_eq!(distance("", "workers"), 7);
        assert_eq!(distance("WOKRERS", "workers"), 1);
    }

    #[test]
    fn the_nearest_name_is_found_however_long_the_wrong_one_is() {
        let names = ["max_connections", "max_inflight"];
        assert_eq!(
            nearest("max_conections", names.into_iter()),
            Some("max_connections")
        );
        let long = format!("max_inflight{}", "x".repeat(100_000));
        assert_eq!(nearest(&long, names.into_iter()), Some("max_inflight"));
        assert_eq!(nearest("x", std::iter::empty()), None);
    }

    #[test]
    fn pem_text_is_not_repeated() {
        assert_eq!(
            quoted("-----BEGIN PRIVATE KEY-----\nc2VjcmV0"),
            "(PEM text)"
        );
    }

    #[test]
    fn a_quoted_value_is_escaped_and_cut() {
        assert_eq!(quoted("a\u{1b}[2Jb"), "\"a\\u{1b}[2Jb\"");
        assert_eq!(
            quoted(&"é".repeat(81)),
            format!("\"{}\"...", "é".repeat(80))
        );
    }
}
