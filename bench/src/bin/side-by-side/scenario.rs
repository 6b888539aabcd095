//! What can be measured, and how it is written on the command line.

use std::fmt;

use lanner_loadtest::arguments::Failure;

use crate::Plan;
use crate::child::program_exists;

/// One measurement of all servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// CPU time per request.
    Load(Shape),
    /// Memory of connections that do nothing.
    Idle { connections: usize },
    /// What an honest client feels while others trickle.
    Attack(Part),
}

/// How `wrk` asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) connections: usize,
    /// Requests sent at once.
    pub(crate) depth: usize,
    /// Whether each request has a connection of its own.
    pub(crate) close: bool,
    /// Whether the load runs on the server's core, as where every core serves.
    pub(crate) shares_core: bool,
}

/// Which part of a request is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Head,
    Body,
}

impl Scenario {
    /// Reads its name.
    pub(crate) fn read(word: &str) -> Result<Self, Failure> {
        let plain = Shape {
            connections: 64,
            depth: 1,
            close: false,
            shares_core: false,
        };
        let scenario = match word {
            "close" => Some(Self::Load(Shape {
                close: true,
                ..plain
            })),
            "idle" => Some(Self::Idle { connections: 8000 }),
            "slowloris" => Some(Self::Attack(Part::Head)),
            "slowloris-body" => Some(Self::Attack(Part::Body)),
            _ => None,
        };
        let counted = || {
            let digits = word.find(|character: char| character.is_ascii_digit())?;
            let count = word[digits..].parse().ok()?;
            match &word[..digits] {
                "c" => in_range(count, 100_000).map(|connections| {
                    Self::Load(Shape {
                        connections,
                        ..plain
                    })
                }),
                "same" => in_range(count, 100_000).map(|connections| {
                    Self::Load(Shape {
                        connections,
                        shares_core: true,
                        ..plain
                    })
                }),
                "x" => in_range(count, 1024).map(|depth| Self::Load(Shape { depth, ..plain })),
                "idle" => in_range(count, 1_000_000).map(|connections| Self::Idle { connections }),
                _ => None,
            }
        };
        scenario
            .or_else(counted)
            .ok_or_else(|| Failure::Usage(format!("--scenarios: `{word}` is no scenario")))
    }

    /// Most connections at once, of those that are bounded here.
    pub(crate) fn connections(self) -> usize {
        match self {
            Self::Load(shape) => shape.connections,
            Self::Idle { connections } => connections,
            Self::Attack(_) => 0,
        }
    }

    /// Whether the programs it needs are there: better known now than after an hour.
    pub(crate) fn check_programs(self, plan: &Plan) -> Result<(), Failure> {
        for name in ["taskset", "setpriv"] {
            if !program_exists(name) {
                return Err(Failure::Run(format!(
                    "`{name}` is not installed (Debian: util-linux)"
                )));
            }
        }
        let clients: &[&str] = match self {
            Self::Load(_) if program_exists("wrk") => &[],
            Self::Load(_) => {
                return Err(Failure::Run(
                    "`wrk` is not installed (Debian: wrk)".to_owned(),
                ));
            }
            Self::Idle { .. } => &["idle"],
            Self::Attack(_) => &["slowloris", "honest"],
        };
        for client in clients {
            let path = plan.programs.join(client);
            if !path.is_file() {
                let build = "cargo build --release -p lanner-loadtest";
                return Err(Failure::Run(format!(
                    "{} is not there: {build}",
                    path.display()
                )));
            }
        }
        Ok(())
    }
}

fn in_range(count: usize, most: usize) -> Option<usize> {
    (1..=most).contains(&count).then_some(count)
}

impl fmt::Display for Scenario {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(Shape {
                connections,
                close: true,
                ..
            }) => {
                write!(formatter, "Connection: close, {connections} at once")
            }
            Self::Load(Shape {
                connections,
                shares_core: true,
                ..
            }) => {
                write!(
                    formatter,
                    "{connections} connections, load on the servers' core"
                )
            }
            Self::Load(Shape {
                connections,
                depth: 1,
                ..
            }) => write!(formatter, "{connections} connections"),
            Self::Load(Shape {
                connections, depth, ..
            }) => {
                write!(formatter, "{connections} connections, pipelined x{depth}")
            }
            Self::Idle { connections } => write!(formatter, "{connections} idle connections"),
            Self::Attack(Part::Head) => formatter.write_str("An honest client beside slow heads"),
            Self::Attack(Part::Body) => formatter.write_str("An honest client beside slow bodies"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_read() {
        let plain = Shape {
            connections: 64,
            depth: 1,
            close: false,
            shares_core: false,
        };
        for (word, scenario) in [
            ("c64", Scenario::Load(plain)),
            (
                "c1000",
                Scenario::Load(Shape {
                    connections: 1000,
                    ..plain
                }),
            ),
            (
                "same64",
                Scenario::Load(Shape {
                    shares_core: true,
                    ..plain
                }),
            ),
            ("x16", Scenario::Load(Shape { depth: 16, ..plain })),
            (
                "close",
                Scenario::Load(Shape {
                    close: true,
                    ..plain
                }),
            ),
            ("idle", Scenario::Idle { connections: 8000 }),
            ("idle100", Scenario::Idle { connections: 100 }),
            ("slowloris", Scenario::Attack(Part::Head)),
            ("slowloris-body", Scenario::Attack(Part::Body)),
        ] {
            assert_eq!(Scenario::read(word).unwrap(), scenario, "{word}");
        }
    }

    #[test]
    fn what_is_no_scenario_is_named() {
        for word in [
            "", "c", "c0", "c-1", "x2000", "64", "idle0", "slow", "c64x", "same",
        ] {
            let error = Scenario::read(word).unwrap_err().to_string();
            assert!(error.contains(&format!("`{word}`")), "{error}");
        }
    }
}
