//! `budgets.toml`: what a request may cost. One line a figure, `kind.scenario = value` or `kind.driver.scenario = value`,
//! and the toolchain that instructions were counted under. What has no line is only reported.
//!
//! A line whose comment begins with `promised` is never changed by an update: that is what we say to others, and when
//! it does not hold, the code is to be changed. All other figures are what was measured last.

use crate::toolchain::Toolchain;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

/// By how much an instruction count may exceed its budget: what a change of code elsewhere does to inlining.
const INSTRUCTION_SLACK: f64 = 0.03;

/// By how much other figures may: they are counts, but a run may have a system call or two of its own, at its end.
const COUNT_SLACK: f64 = 0.005;

/// Where the file is.
pub fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("budgets.toml")
}

/// The file's content.
#[derive(Debug)]
pub struct Budgets {
    toolchain: Toolchain,
    lines: Vec<Line>,
}

#[derive(Debug)]
enum Line {
    /// A comment or nothing.
    Other(String),
    Rustc,
    Processor,
    Figure(Figure),
}

#[derive(Debug)]
struct Figure {
    key: String,
    value: f64,
    comment: String,
}

/// How a measurement stands to its budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// There is none.
    Reported,
    /// It is kept.
    Kept(f64),
    /// It is exceeded.
    Exceeded(f64),
    /// It was recorded under another toolchain, so that it binds nobody here.
    Elsewhere(f64),
}

impl Verdict {
    /// Whether this must fail a test.
    pub fn fails(self) -> bool {
        matches!(self, Self::Exceeded(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reported => formatter.write_str("no budget"),
            Self::Kept(budget) => write!(formatter, "of {budget}"),
            Self::Exceeded(budget) => write!(formatter, "EXCEEDS {budget}"),
            Self::Elsewhere(budget) => {
                write!(formatter, "{budget} under another toolchain")
            }
        }
    }
}

impl Budgets {
    /// Reads the file.
    ///
    /// # Errors
    /// A text that says which line is wrong.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text)
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// A text that says which line is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut budgets = Self {
            toolchain: Toolchain {
                rustc: String::new(),
                processor: String::new(),
            },
            lines: Vec::new(),
        };
        for (number, line) in (1..).zip(text.lines()) {
            let parsed = budgets.parse_line(line).ok_or_else(|| {
                format!("line {number} of the budgets is neither comment nor figure: {line}")
            })?;
            if let Line::Figure(figure) = &parsed
                && budgets.figure(&figure.key).is_some()
            {
                return Err(format!("line {number}: {} stands twice", figure.key));
            }
            budgets.lines.push(parsed);
        }
        Ok(budgets)
    }

    fn parse_line(&mut self, line: &str) -> Option<Line> {
        if line.trim().is_empty() || line.starts_with('#') {
            return Some(Line::Other(line.into()));
        }
        let (key, rest) = line.split_once(" = ")?;
        let text = || rest.strip_prefix('"')?.strip_suffix('"').map(String::from);
        match key {
            "rustc" => {
                self.toolchain.rustc = text()?;
                return Some(Line::Rustc);
            }
            "processor" => {
                self.toolchain.processor = text()?;
                return Some(Line::Processor);
            }
            _ => {}
        }
        let (value, comment) = rest.split_once('#').unwrap_or((rest, ""));
        let value: f64 = value.trim().parse().ok()?;
        (value.is_finite() && value >= 0.0).then(|| {
            Line::Figure(Figure {
                key: key.into(),
                value,
                comment: comment.trim().into(),
            })
        })
    }

    fn figure(&self, key: &str) -> Option<&Figure> {
        self.lines.iter().find_map(|line| match line {
            Line::Figure(figure) if figure.key == key => Some(figure),
            _ => None,
        })
    }

    /// Every figure's key.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(|line| match line {
            Line::Figure(figure) => Some(figure.key.as_str()),
            _ => None,
        })
    }

    /// Judges a measurement.
    pub fn judge(&self, key: &str, measured: f64, here: &Toolchain) -> Verdict {
        let Some(&Figure { value, .. }) = self.figure(key) else {
            return Verdict::Reported;
        };
        let most = if is_instructions(key) {
            if *here != self.toolchain {
                return Verdict::Elsewhere(value);
            }
            value * (1.0 + INSTRUCTION_SLACK)
        } else {
            value + COUNT_SLACK
        };
        match measured <= most {
            true => Verdict::Kept(value),
            false => Verdict::Exceeded(value),
        }
    }

    /// Takes a measurement over as the new budget, unless the old one is promised or there is none. A count that is as good as
    /// the old one leaves it as it is: the call or two that a run has of its own would else be written down, and some day be
    /// less than none.
    pub fn record(&mut self, key: &str, measured: f64) {
        let (digits, noise) = match is_instructions(key) {
            true => (1.0, 0.0),
            false => (10_000.0, COUNT_SLACK),
        };
        for line in &mut self.lines {
            if let Line::Figure(figure) = line
                && figure.key == key
                && !figure.comment.starts_with("promised")
                && (measured - figure.value).abs() > noise
            {
                figure.value = ((measured * digits).round() / digits).max(0.0);
            }
        }
    }

    /// Takes note of what the instructions have been counted under.
    pub fn record_toolchain(&mut self, here: Toolchain) {
        self.toolchain = here;
    }

    /// The file's text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            let _ = match line {
                Line::Other(line) => writeln!(text, "{line}"),
                Line::Rustc => writeln!(text, "rustc = \"{}\"", self.toolchain.rustc),
                Line::Processor => writeln!(text, "processor = \"{}\"", self.toolchain.processor),
                Line::Figure(Figure {
                    key,
                    value,
                    comment,
                }) if comment.is_empty() => writeln!(text, "{key} = {value}"),
                Line::Figure(Figure {
                    key,
                    value,
                    comment,
                }) => writeln!(text, "{key} = {value} # {comment}"),
            };
        }
        text
    }
}

fn is_instructions(key: &str) -> bool {
    key.starts_with("instructions.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: &str = "\
# What a request may cost.
rustc = \"rustc 1.95.0\"
processor = \"x86_64 avx2\"

instructions.keep-alive = 5000
allocations.keep-alive = 0 # promised
writes.epoll.chunked = 1.5
";

    fn here() -> Toolchain {
        Toolchain {
            rustc: "rustc 1.95.0".into(),
            processor: "x86_64 avx2".into(),
        }
    }

    #[test]
    fn instructions_have_three_percent_of_slack() {
        let budgets = Budgets::parse(TEXT).unwrap();
        let judge = |measured| budgets.judge("instructions.keep-alive", measured, &here());
        assert_eq!(judge(5150.0), Verdict::Kept(5000.0));
        assert_eq!(judge(5151.0), Verdict::Exceeded(5000.0));
        assert!(judge(5151.0).fails() && !judge(4000.0).fails());
    }

    #[test]
    fn instructions_bind_only_under_the_toolchain_they_were_counted_with() {
        let budgets = Budgets::parse(TEXT).unwrap();
        let newer = Toolchain {
            rustc: "rustc 1.96.0".into(),
            ..here()
        };
        let judge = |key, measured| budgets.judge(key, measured, &newer);
        assert_eq!(
            judge("instructions.keep-alive", 9999.0),
            Verdict::Elsewhere(5000.0)
        );
        assert!(judge("allocations.keep-alive", 0.01).fails());
    }

    #[test]
    fn a_promise_is_kept_exactly_and_never_updated() {
        let mut budgets = Budgets::parse(TEXT).unwrap();
        budgets.record("allocations.keep-alive", 1.0);
        assert!(
            budgets
                .judge("allocations.keep-alive", 0.01, &here())
                .fails()
        );
        assert!(
            !budgets
                .judge("allocations.keep-alive", 0.0, &here())
                .fails()
        );
    }

    #[test]
    fn an_update_changes_figures_and_nothing_else() {
        let mut budgets = Budgets::parse(TEXT).unwrap();
        assert_eq!(budgets.render(), TEXT);
        budgets.record("instructions.keep-alive", 4321.6);
        budgets.record("writes.epoll.chunked", 2.000_04);
        budgets.record("writes.epoll.unheard-of", 2.0);
        let updated = TEXT.replace("5000", "4322").replace("1.5", "2");
        assert_eq!(budgets.render(), updated);
    }

    #[test]
    fn an_update_writes_down_no_noise_and_nothing_that_cannot_be_read() {
        let mut budgets = Budgets::parse(TEXT).unwrap();
        budgets.record("writes.epoll.chunked", 1.504);
        assert_eq!(budgets.render(), TEXT);
        budgets.record("writes.epoll.chunked", -0.001);
        let updated = TEXT.replace("1.5", "0");
        assert_eq!(budgets.render(), updated);
        assert!(Budgets::parse(&updated).is_ok());
    }

    #[test]
    fn what_has_no_line_is_only_reported() {
        let budgets = Budgets::parse(TEXT).unwrap();
        let verdict = budgets.judge("waits.epoll.keep-alive", 7.0, &here());
        assert_eq!(verdict, Verdict::Reported);
        assert!(!verdict.fails());
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        for wrong in ["x", "a = b", "a = -1", "a = NaN", "rustc = 1"] {
            assert!(
                Budgets::parse(&format!("\n{wrong}"))
                    .unwrap_err()
                    .contains("line 2"),
                "{wrong}"
            );
        }
        assert!(
            Budgets::parse("a = 1\na = 2")
                .unwrap_err()
                .contains("twice")
        );
    }
}
