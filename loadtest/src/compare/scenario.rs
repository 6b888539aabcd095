//! What can be measured, and how it is written on the command line.

use std::fmt;

use crate::arguments::Failure;
use crate::secure::Group;

use super::Plan;
use super::child::program_exists;
use super::engine::{Engine, Senders};
use super::wire::{Demand, Wire};

/// Those that have a name of their own, and the shorter or longer one that they stand for. `all` stands for the list: every kind
/// of scenario, at the size at which it is usually measured.
pub(crate) const NAMED: [(&str, &str); 20] = [
    ("plain", "c64"),
    ("1000", "c1000"),
    ("8000", "c8000"),
    ("mixed", "mixed64"),
    ("pipelined", "x16"),
    ("close", "close"),
    ("same-core", "same64"),
    ("unix", "unix64"),
    ("tls", "https64"),
    ("tls-handshake", "handshake"),
    ("tls-resumed", "resumed"),
    ("handshake-pq", "handshake-pq"),
    ("h2c", "h2c-16x32"),
    ("h2", "h2-tls-16x32"),
    ("idle8000", "idle8000"),
    ("idle-tls8000", "idle-tls8000"),
    ("idle-h2c4000", "idle-h2c4000"),
    ("idle-h2-tls4000", "idle-h2-tls4000"),
    ("slowloris", "slowloris"),
    ("slowloris-body", "slowloris-body"),
];

/// What there is no scenario for, and what `all` leaves out.
pub(crate) const NOT_HERE: [&str; 2] = [
    "Static files of 1 KiB, 100 KiB and 10 MiB, and a reverse proxy, have no scenario: lanner does not serve them yet.",
    "`--scenarios all` is every kind of scenario at one size; other counts of connections, requests at once and streams have to \
     be asked for, as `--help` tells.",
];

/// Reads a list of names; in it, each is called as it was asked for. Where heads are to be mixed, those of every load are that
/// can be.
pub(crate) fn read_list(list: &str, mixed: bool) -> Result<Vec<(String, Scenario)>, Failure> {
    let mut read: Vec<(String, Scenario)> = Vec::new();
    for word in list.split(',') {
        let is_all = word == "all";
        let words = match is_all {
            true => NAMED.map(|(name, _)| name).to_vec(),
            false => vec![word],
        };
        for word in words {
            let scenario = match Scenario::read(word)? {
                Scenario::Load(shape) => Scenario::Load(Shape {
                    mixed: shape.mixed || mixed && shape.has_heads(),
                    ..shape
                }),
                other => other,
            };
            match read.iter().any(|(_, earlier)| *earlier == scenario) {
                false => read.push((word.to_owned(), scenario)),
                true if is_all => {}
                true => {
                    let text = format!("--scenarios: `{word}` is what another one is already");
                    return Err(Failure::Usage(text));
                }
            }
        }
    }
    Ok(read)
}

/// One measurement of all servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// CPU time per request.
    Load(Shape),
    /// Memory of connections that do nothing.
    Idle { connections: usize, wire: Wire },
    /// What an honest client feels while others trickle.
    Attack(Part),
}

/// How a load is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) connections: usize,
    /// Requests sent at once on each: pipelined ones, or streams.
    pub(crate) depth: usize,
    /// Whether each request has a connection of its own.
    pub(crate) close: bool,
    /// Whether heads are those of several clients, in turn.
    pub(crate) mixed: bool,
    /// Whether the load runs on the server's core, as where every core serves.
    pub(crate) shares_core: bool,
    /// Whether it goes over a unix socket.
    pub(crate) on_unix: bool,
    pub(crate) wire: Wire,
    /// The key exchange, where there is TLS.
    pub(crate) group: Group,
    pub(crate) work: Work,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Requests,
    /// Of TLS, each on a connection of its own without a request, each with the ticket of the one before or none.
    Handshakes {
        resumed: bool,
    },
}

impl Shape {
    /// 64 connections with a request at a time, HTTP/1.1 in cleartext.
    pub(crate) const PLAIN: Self = Self {
        connections: 64,
        depth: 1,
        close: false,
        mixed: false,
        shares_core: false,
        on_unix: false,
        wire: Wire::Http1,
        group: Group::X25519,
        work: Work::Requests,
    };

    /// Sixteen at a time: enough that the server always has one to work on.
    const HANDSHAKES: Self = Self {
        connections: 16,
        wire: Wire::Https1,
        work: Work::Handshakes { resumed: false },
        ..Self::PLAIN
    };

    /// What it asks of a server.
    pub(crate) fn demand(self) -> Demand {
        Demand {
            wire: self.wire,
            closes: self.close,
            on_unix: self.on_unix,
            group: self.group,
        }
    }

    /// Whether it has heads as text.
    fn has_heads(self) -> bool {
        self.work == Work::Requests && !self.wire.is_http2()
    }

    /// How tables call what is counted.
    pub(crate) fn unit(self) -> &'static str {
        match self.work {
            Work::Requests => "request",
            Work::Handshakes { .. } => "handshake",
        }
    }
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
        let kind = word.split('-').next();
        if matches!(kind, Some("static" | "proxy")) {
            return Err(Failure::Usage(format!(
                "--scenarios: `{word}`: lanner does not serve that yet"
            )));
        }
        let named = NAMED.iter().find(|(name, _)| *name == word);
        let word = named.map_or(word, |(_, other)| other);
        let plain = Shape::PLAIN;
        let handshakes = Shape::HANDSHAKES;
        let idle = |connections, wire| Self::Idle { connections, wire };
        let scenario = match word {
            "close" => Some(Self::Load(Shape {
                close: true,
                ..plain
            })),
            "handshake" => Some(Self::Load(handshakes)),
            "handshake-pq" => Some(Self::Load(Shape {
                group: Group::X25519MlKem768,
                ..handshakes
            })),
            "resumed" => Some(Self::Load(Shape {
                work: Work::Handshakes { resumed: true },
                ..handshakes
            })),
            "idle" => Some(idle(8000, Wire::Http1)),
            "idle-tls" => Some(idle(8000, Wire::Https1)),
            "idle-h2c" => Some(idle(4000, Wire::Http2)),
            "idle-h2-tls" => Some(idle(4000, Wire::Https2)),
            "slowloris" => Some(Self::Attack(Part::Head)),
            "slowloris-body" => Some(Self::Attack(Part::Body)),
            _ => None,
        };
        scenario
            .or_else(|| Self::read_streams(word))
            .or_else(|| Self::read_counted(word))
            .ok_or_else(|| Failure::Usage(format!("--scenarios: `{word}` is no scenario")))
    }

    /// HTTP/2: connections x streams.
    fn read_streams(word: &str) -> Option<Self> {
        let (wire, counts) = match word.split_once("-tls-") {
            Some(("h2", counts)) => (Wire::Https2, counts),
            _ => (Wire::Http2, word.strip_prefix("h2c-")?),
        };
        let (connections, streams) = counts.split_once('x')?;
        Some(Self::Load(Shape {
            connections: count(connections, 100_000)?,
            depth: count(streams, 100)?,
            wire,
            ..Shape::PLAIN
        }))
    }

    /// A number of connections, or of requests pipelined, after a word.
    fn read_counted(word: &str) -> Option<Self> {
        let digits = word
            .trim_end_matches(|character: char| character.is_ascii_digit())
            .len();
        let (word, number) = word.split_at(digits);
        let load = |connections: Option<usize>, shape| {
            let connections = connections?;
            Some(Self::Load(Shape {
                connections,
                ..shape
            }))
        };
        let idle = |wire| {
            let connections = count(number, 1_000_000)?;
            Some(Self::Idle { connections, wire })
        };
        let plain = Shape::PLAIN;
        let shares_core = Shape {
            shares_core: true,
            ..plain
        };
        let on_unix = Shape {
            on_unix: true,
            ..plain
        };
        let secure = Shape {
            wire: Wire::Https1,
            ..plain
        };
        let mixed = Shape {
            mixed: true,
            ..plain
        };
        match word {
            "c" => load(count(number, 100_000), plain),
            "mixed" => load(count(number, 100_000), mixed),
            "unix" => load(count(number, 100_000), on_unix),
            "same" => load(count(number, 100_000), shares_core),
            "https" => load(count(number, 100_000), secure),
            "x" => count(number, 1024).map(|depth| Self::Load(Shape { depth, ..plain })),
            "idle" => idle(Wire::Http1),
            "idle-tls" => idle(Wire::Https1),
            "idle-h2c" => idle(Wire::Http2),
            "idle-h2-tls" => idle(Wire::Https2),
            _ => None,
        }
    }

    /// What it asks of a server.
    pub(crate) fn demand(self) -> Demand {
        match self {
            Self::Load(shape) => shape.demand(),
            Self::Idle { wire, .. } => Demand {
                wire,
                ..Demand::PLAIN
            },
            Self::Attack(_) => Demand::PLAIN,
        }
    }

    /// Most connections at once, of those that are bounded here.
    pub(crate) fn connections(self) -> usize {
        match self {
            Self::Load(shape) => shape.connections,
            Self::Idle { connections, .. } => connections,
            Self::Attack(_) => 0,
        }
    }

    /// What sends it, if it is a load.
    pub(crate) fn senders(self, plan: &Plan) -> Result<Option<Senders>, Failure> {
        match self {
            Self::Load(shape) => Senders::of(plan, shape).map(Some),
            Self::Idle { .. } | Self::Attack(_) => Ok(None),
        }
    }

    /// Whether the programs it needs are there: better known now than after an hour.
    pub(crate) fn check_programs(self, plan: &Plan) -> Result<(), Failure> {
        let mut programs = vec![("taskset", "util-linux"), ("setpriv", "util-linux")];
        if self.demand().wire != Wire::Http1 {
            programs.push(("curl", "curl"));
        }
        let own: Vec<&str> = match self {
            Self::Load(shape) => {
                let engines = Senders::of(plan, shape)?.engines;
                let named = |engine: &Engine| Some((engine.name(), engine.package()?));
                programs.extend(engines.iter().filter_map(named));
                let own = engines.into_iter().filter_map(Engine::own_program);
                own.collect()
            }
            Self::Idle {
                wire: Wire::Http1, ..
            } => vec!["idle"],
            Self::Idle { .. } => vec!["hold"],
            Self::Attack(_) => vec!["slowloris", "honest"],
        };
        for (name, package) in programs {
            if !program_exists(name) {
                let text = format!("`{name}` is not installed: apt-get install {package}");
                return Err(Failure::Run(text));
            }
        }
        for name in own {
            let path = plan.programs.join(name);
            if !path.is_file() {
                return Err(Failure::Run(format!(
                    "{} is not there: cargo build --release -p lanner-loadtest",
                    path.display()
                )));
            }
        }
        Ok(())
    }
}

/// A number in digits alone, from 1 to `most`.
fn count(digits: &str, most: usize) -> Option<usize> {
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    let count = all_digits.then(|| digits.parse().ok())??;
    (1..=most).contains(&count).then_some(count)
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (connections, depth, wire) = (self.connections, self.depth, self.wire.name());
        if let Work::Handshakes { resumed } = self.work {
            let kind = if resumed { "Resumed" } else { "Full" };
            return write!(formatter, "{kind} TLS handshakes, {}", self.group);
        }
        match self.wire {
            Wire::Http2 | Wire::Https2 => {
                write!(
                    formatter,
                    "{wire}, {connections} connections x {depth} streams"
                )
            }
            Wire::Https1 => write!(formatter, "HTTPS, {connections} connections"),
            Wire::Http1 if self.close => {
                write!(formatter, "Connection: close, {connections} at once")
            }
            Wire::Http1 => write!(formatter, "{connections} connections"),
        }?;
        if depth > 1 && !self.wire.is_http2() {
            write!(formatter, ", pipelined x{depth}")?;
        }
        for (is, text) in [
            (self.shares_core, ", load on the servers' core"),
            (self.on_unix, " over a unix socket"),
            (self.mixed, ", mixed heads"),
        ] {
            formatter.write_str(if is { text } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(shape) => shape.fmt(formatter),
            Self::Idle { connections, wire } => {
                write!(formatter, "{connections} idle connections, {}", wire.name())
            }
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
        let plain = Shape::PLAIN;
        let idle = |connections, wire| Scenario::Idle { connections, wire };
        let streams = |connections, depth, wire| {
            Scenario::Load(Shape {
                connections,
                depth,
                wire,
                ..plain
            })
        };
        let handshakes = |resumed, group| {
            Scenario::Load(Shape {
                connections: 16,
                wire: Wire::Https1,
                group,
                work: Work::Handshakes { resumed },
                ..plain
            })
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
            ("idle", idle(8000, Wire::Http1)),
            ("idle100", idle(100, Wire::Http1)),
            ("idle-tls", idle(8000, Wire::Https1)),
            ("idle-tls50", idle(50, Wire::Https1)),
            ("idle-h2c", idle(4000, Wire::Http2)),
            ("idle-h2c7", idle(7, Wire::Http2)),
            ("idle-h2-tls9", idle(9, Wire::Https2)),
            ("h2c-16x32", streams(16, 32, Wire::Http2)),
            ("h2c-64x1", streams(64, 1, Wire::Http2)),
            ("h2-tls-16x32", streams(16, 32, Wire::Https2)),
            ("https1000", streams(1000, 1, Wire::Https1)),
            ("handshake", handshakes(false, Group::X25519)),
            ("handshake-pq", handshakes(false, Group::X25519MlKem768)),
            ("resumed", handshakes(true, Group::X25519)),
            ("slowloris", Scenario::Attack(Part::Head)),
            ("slowloris-body", Scenario::Attack(Part::Body)),
            (
                "unix9",
                Scenario::Load(Shape {
                    connections: 9,
                    on_unix: true,
                    ..plain
                }),
            ),
            ("plain", Scenario::Load(plain)),
            ("pipelined", Scenario::Load(Shape { depth: 16, ..plain })),
            ("tls", streams(64, 1, Wire::Https1)),
            ("tls-handshake", handshakes(false, Group::X25519)),
            ("h2c", streams(16, 32, Wire::Http2)),
            ("h2", streams(16, 32, Wire::Https2)),
            (
                "8000",
                Scenario::Load(Shape {
                    connections: 8000,
                    ..plain
                }),
            ),
            ("idle8000", idle(8000, Wire::Http1)),
        ] {
            assert_eq!(Scenario::read(word).unwrap(), scenario, "{word}");
        }
    }

    #[test]
    fn a_list_keeps_the_names_it_was_given_and_all_is_every_named_one() {
        let names = |list| {
            let read = read_list(list, false).map_err(|failure| failure.to_string())?;
            Ok::<Vec<_>, String>(read.into_iter().map(|(name, _)| name).collect())
        };
        assert_eq!(names("x16,plain").unwrap(), ["x16", "plain"]);
        assert_eq!(names("all").unwrap(), NAMED.map(|(name, _)| name));
        let error = names("c64,plain").unwrap_err();
        assert!(error.contains("`plain` is what another"), "{error}");
        assert!(names("plain,").unwrap_err().contains("`` is no scenario"));
        assert_eq!(names("x16,all").unwrap().len(), NAMED.len());
    }

    #[test]
    fn where_heads_are_to_be_mixed_those_of_every_load_in_http_1_are() {
        let read = read_list("all", true).unwrap();
        let mixed = |(name, scenario): &(String, Scenario)| match scenario {
            Scenario::Load(Shape { mixed: true, .. }) => Some(name.clone()),
            _ => None,
        };
        let mixed: Vec<String> = read.iter().filter_map(mixed).collect();
        // `mixed` is then what `plain` is.
        let expected = "plain 1000 8000 pipelined close same-core unix tls";
        assert_eq!(mixed.join(" "), expected);
        assert_eq!(read.len(), NAMED.len() - 1);
        let read = read_list("mixed", false).unwrap();
        assert_eq!(read[0].1.to_string(), "64 connections, mixed heads");
        assert!(read_list("plain,mixed9,c9", true).is_err());
    }

    #[test]
    fn what_lanner_does_not_serve_yet_is_refused_as_that() {
        for word in ["static", "static-1k", "static-10m", "proxy", "proxy-1k"] {
            let error = Scenario::read(word).unwrap_err().to_string();
            let said = format!("`{word}`: lanner does not serve that yet");
            assert!(error.contains(&said), "{error}");
        }
        let error = Scenario::read("statics").unwrap_err().to_string();
        assert!(error.contains("is no scenario"), "{error}");
    }

    #[test]
    fn what_is_no_scenario_is_named() {
        for word in [
            "",
            "c",
            "c0",
            "c-1",
            "x2000",
            "64",
            "idle0",
            "slow",
            "c64x",
            "é5",
            "same",
            "c+64",
            "h2c-16",
            "h2c-16x",
            "h2c-0x1",
            "h2c-1x101",
            "h2-16x32",
            "h1-tls-1x1",
            "https",
            "handshake9",
            "idle-x9",
            "unix0",
            "mixed0",
            "9000",
        ] {
            let error = Scenario::read(word).unwrap_err().to_string();
            assert!(error.contains(&format!("`{word}`")), "{error}");
        }
    }
}
