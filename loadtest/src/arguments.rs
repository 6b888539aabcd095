//! The command line of a small program: `--name value`, `--name=value`, `--switch`, words, and `--help` made from one table.
//! What a value may look like is left to `quantity.rs`.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::quantity::Quantity;

/// What a program is called, what it is for, and what it accepts.
#[derive(Debug)]
pub struct Program {
    /// The name it is started by.
    pub name: &'static str,
    /// One paragraph for `--help`.
    pub about: &'static str,
    /// Name and meaning of the words that are no flags; `None` when there may be none. Where there may be several, the name ends
    /// in dots.
    pub words: Option<(&'static str, &'static str)>,
    /// Every flag.
    pub flags: &'static [Flag],
}

/// One flag.
#[derive(Debug)]
pub struct Flag {
    /// Without the leading dashes.
    pub name: &'static str,
    /// How its value is called in `--help`; `None` for a switch. One that ends in `...` may be given several times.
    pub value: Option<&'static str>,
    /// Used when the flag is absent.
    pub default: Option<&'static str>,
    /// One line.
    pub about: &'static str,
}

impl Flag {
    /// Whom a client connects to.
    pub const ADDR: Self = Self {
        name: "addr",
        value: Some("ADDRESS"),
        default: Some("127.0.0.1:8080"),
        about: "The server.",
    };
    /// What it asks for there.
    pub const PATH: Self = Self {
        name: "path",
        value: Some("PATH"),
        default: Some("/hello"),
        about: "What the requests ask for.",
    };
    /// Where its connections come from.
    pub const SOURCES: Self = Self {
        name: "sources",
        value: Some("N"),
        default: Some("1"),
        about: "Addresses of 127.0.0.0/8 to come from, to meet caps per address.",
    };
    /// How the arrivals of an open-loop client are spaced.
    pub const POISSON: Self = Self {
        name: "poisson",
        value: Some("SEED"),
        default: None,
        about: "Random gaps from this seed instead of equal ones.",
    };
    /// How it reports.
    pub const JSON: Self = Self {
        name: "json",
        value: None,
        default: None,
        about: "Report as one line of JSON.",
    };
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// The text of `--help`.
    Help(String),
    /// To run with these.
    Run(Arguments),
}

/// The flags and words of one command line, defaults filled in.
#[derive(Debug)]
pub struct Arguments {
    values: BTreeMap<&'static str, Vec<String>>,
    words: Vec<String>,
}

/// Why a program ended without doing its work.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong: exit code 2.
    Usage(String),
    /// The work failed: exit code 1.
    Run(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Run(text) => formatter.write_str(text),
        }
    }
}

impl Failure {
    /// A failure of the work, with what was being done.
    pub fn of(doing: &str) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self::Run(format!("{doing}: {error}"))
    }
}

/// The words behind this process's name.
pub fn command_line() -> impl Iterator<Item = String> {
    std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
}

/// Prints how a program is called. Whoever reads only the beginning of it closes the pipe.
pub fn print_help(text: &str) {
    drop(writeln!(io::stdout(), "{text}"));
}

impl Program {
    /// Runs `work` on this process's command line: what `main` returns.
    pub fn start(&self, work: impl FnOnce(&Arguments) -> Result<(), Failure>) -> ExitCode {
        self.start_with(command_line(), work)
    }

    /// The same for a part of the command line.
    pub fn start_with(
        &self,
        words: impl IntoIterator<Item = String>,
        work: impl FnOnce(&Arguments) -> Result<(), Failure>,
    ) -> ExitCode {
        let outcome = self.read(words).and_then(|invocation| match invocation {
            Invocation::Help(text) => {
                print_help(&text);
                Ok(())
            }
            Invocation::Run(arguments) => work(&arguments),
        });
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("{}: {failure}", self.name);
                if matches!(failure, Failure::Usage(_)) {
                    eprintln!("`{} --help` lists what it accepts", self.name);
                    return ExitCode::from(2);
                }
                ExitCode::FAILURE
            }
        }
    }

    /// Reads the words after the program's name.
    pub fn read(&self, words: impl IntoIterator<Item = String>) -> Result<Invocation, Failure> {
        let mut arguments = Arguments {
            values: BTreeMap::new(),
            words: Vec::new(),
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if word == "--help" || word == "-h" {
                return Ok(Invocation::Help(self.help()));
            }
            match word.strip_prefix("--") {
                Some(flag) => self.read_flag(flag, &mut words, &mut arguments)?,
                None if self.words.is_some() => arguments.words.push(word),
                None => {
                    return Err(Failure::Usage(format!(
                        "`{word}` is no flag, and only flags are accepted"
                    )));
                }
            }
        }
        for flag in self.flags {
            if let Some(default) = flag.default {
                arguments
                    .values
                    .entry(flag.name)
                    .or_insert_with(|| vec![default.to_owned()]);
            }
        }
        Ok(Invocation::Run(arguments))
    }

    fn read_flag(
        &self,
        written: &str,
        words: &mut impl Iterator<Item = String>,
        arguments: &mut Arguments,
    ) -> Result<(), Failure> {
        let (name, joined) = match written.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (written, None),
        };
        let Some(flag) = self.flags.iter().find(|flag| flag.name == name) else {
            return Err(Failure::Usage(format!("there is no flag --{name}")));
        };
        let value = match (flag.value, joined) {
            (None, None) => "true".to_owned(),
            (None, Some(_)) => return Err(Failure::Usage(format!("--{name} takes no value"))),
            (Some(_), Some(value)) => value,
            (Some(kind), None) => match words.next() {
                Some(value) if !value.starts_with("--") => value,
                _ => {
                    return Err(Failure::Usage(format!(
                        "--{name} needs a value: --{name} {kind}"
                    )));
                }
            },
        };
        let repeats = flag.value.is_some_and(|value| value.ends_with("..."));
        let given = arguments.values.entry(flag.name).or_default();
        if !given.is_empty() && !repeats {
            return Err(Failure::Usage(format!("--{name} is given twice")));
        }
        given.push(value);
        Ok(())
    }

    fn help(&self) -> String {
        let mut text = format!("{}\n\nusage: {} [flags]", self.about, self.name);
        if let Some((name, _)) = self.words {
            let _ = write!(text, " {name}");
        }
        text.push('\n');
        if let Some((name, about)) = self.words {
            let _ = write!(text, "\n  {name}\n      {about}\n");
        }
        for flag in self.flags {
            let _ = write!(text, "\n  --{}", flag.name);
            if let Some(value) = flag.value {
                let _ = write!(text, " {value}");
            }
            if let Some(default) = flag.default {
                let _ = write!(text, "  (default {default})");
            }
            let _ = write!(text, "\n      {}\n", flag.about);
        }
        text
    }
}

impl Arguments {
    /// The words that are no flags, in order.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Whether a switch was given.
    pub fn switch(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The text of a flag, if it was given or has a default.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).next()
    }

    /// The texts of a flag that may be given several times, in order.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        let given = self.values.get(name).into_iter().flatten();
        given.map(String::as_str)
    }

    /// The value of a flag that was given or has a default.
    pub fn value<Q: Quantity>(&self, name: &str) -> Result<Q, Failure> {
        let missing = || Failure::Usage(format!("--{name} is needed"));
        self.value_if_given(name)?.ok_or_else(missing)
    }

    /// The value of a flag that may be absent.
    pub fn value_if_given<Q: Quantity>(&self, name: &str) -> Result<Option<Q>, Failure> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match Q::read(text) {
            Some(value) => Ok(Some(value)),
            None => Err(Failure::Usage(format!(
                "--{name} {text}: expected {}",
                Q::EXPECTED
            ))),
        }
    }

    /// A count that must lie within `range`.
    pub fn count(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<usize, Failure> {
        let count = self.value::<usize>(name)?;
        if range.contains(&count) {
            return Ok(count);
        }
        let (least, most) = (range.start(), range.end());
        Err(Failure::Usage(format!(
            "--{name} {count}: expected {least} to {most}"
        )))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    const FLAGS: Program = Program {
        name: "example",
        about: "An example.",
        words: None,
        flags: &[
            Flag {
                name: "connections",
                value: Some("N"),
                default: Some("10"),
                about: "How many.",
            },
            Flag {
                name: "hold",
                value: Some("TIME"),
                default: None,
                about: "How long.",
            },
            Flag {
                name: "json",
                value: None,
                default: None,
                about: "As JSON.",
            },
        ],
    };
    const WORDS: Program = Program {
        words: Some(("NAME...", "A name.")),
        ..FLAGS
    };

    fn run(program: &Program, line: &str) -> Result<Arguments, String> {
        match program.read(line.split_whitespace().map(str::to_owned)) {
            Ok(Invocation::Run(arguments)) => Ok(arguments),
            Ok(Invocation::Help(text)) => Err(text),
            Err(failure) => Err(failure.to_string()),
        }
    }

    #[test]
    fn only_a_flag_that_says_so_may_be_given_twice() {
        const FIELDS: Program = Program {
            flags: &[Flag {
                name: "header",
                value: Some("FIELD..."),
                default: None,
                about: "A field.",
            }],
            ..FLAGS
        };
        let arguments = run(&FIELDS, "--header a:1 --header=b:2").unwrap();
        assert_eq!(
            arguments.texts("header").collect::<Vec<_>>(),
            ["a:1", "b:2"]
        );
        let error = run(&FLAGS, "--hold 1s --hold 2s").unwrap_err();
        assert_eq!(error, "--hold is given twice");
    }

    #[test]
    fn both_spellings_of_a_value_are_read_and_defaults_fill_the_rest() {
        let arguments = run(&FLAGS, "--hold 500ms --json").unwrap();
        assert_eq!(arguments.count("connections", 1..=100).unwrap(), 10);
        assert_eq!(
            arguments.value::<Duration>("hold").unwrap(),
            Duration::from_millis(500)
        );
        assert!(arguments.switch("json"));

        let arguments = run(&FLAGS, "--connections=7").unwrap();
        assert_eq!(arguments.count("connections", 1..=100).unwrap(), 7);
        assert_eq!(arguments.value_if_given::<Duration>("hold").unwrap(), None);
        assert!(!arguments.switch("json"));
    }

    #[test]
    fn every_mistake_names_the_flag() {
        for (line, said) in [
            ("--conections 5", "there is no flag --conections"),
            (
                "--connections",
                "--connections needs a value: --connections N",
            ),
            ("--connections --json", "--connections needs a value"),
            (
                "--connections 5 --connections=6",
                "--connections is given twice",
            ),
            ("--json=yes", "--json takes no value"),
            ("stray", "`stray` is no flag"),
        ] {
            let error = run(&FLAGS, line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_kind_or_size_says_what_was_expected() {
        let arguments = run(&FLAGS, "--connections 500 --hold 5").unwrap();
        assert!(
            arguments
                .count("connections", 1..=100)
                .unwrap_err()
                .to_string()
                .contains("expected 1 to 100")
        );
        assert!(
            arguments
                .value::<Duration>("hold")
                .unwrap_err()
                .to_string()
                .contains("expected a time")
        );
    }

    #[test]
    fn words_are_kept_in_order_where_they_are_allowed() {
        assert_eq!(run(&WORDS, "a --json b").unwrap().words(), ["a", "b"]);
    }

    #[test]
    fn help_lists_every_flag_with_its_default() {
        let text = run(&WORDS, "--connections 3 --help").unwrap_err();
        for part in [
            "An example.",
            "NAME...",
            "--connections N  (default 10)",
            "--hold TIME",
            "--json",
        ] {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
    }
}
