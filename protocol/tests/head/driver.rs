//! Feeds bytes to scan and parser in every way a network may, and checks that the way makes no difference.

use lanner_limits::{Limits, Machine, Setting, Source};
use lanner_protocol::head::Head;
use lanner_protocol::scan::{HeadScan, unfold};
use lanner_protocol::{Misbehaviour, Refusal};

/// What came of an input.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Outcome {
    /// The input ends before the head does.
    Incomplete,
    Refused(Refusal),
    Parsed(Box<Parsed>),
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Parsed {
    pub(crate) head: Head,
    /// The head's own bytes, to which its spans refer.
    pub(crate) bytes: Vec<u8>,
    /// How many bytes of the input were used up.
    pub(crate) end: usize,
}

impl Parsed {
    pub(crate) fn path(&self) -> &str {
        self.head.target.path_text(&self.bytes)
    }

    pub(crate) fn host(&self) -> &str {
        self.head.host.str(&self.bytes)
    }

    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        self.head.field(&self.bytes, name)
    }
}

const MACHINE: Machine = Machine {
    nofile: 65_536,
    memory: 1 << 30,
    cpus: 1,
};

/// The defaults of a small machine.
pub(crate) fn limits() -> Limits {
    Limits::for_machine(MACHINE)
}

/// The same, serving only these hosts.
pub(crate) fn limits_for_hosts(hosts: &str) -> Limits {
    let name = "LANNER_ALLOWED_HOSTS".to_owned();
    let setting = Setting {
        name,
        value: hosts.to_owned(),
        source: Source::Environment,
    };
    Limits::resolve([setting], MACHINE).unwrap().limits
}

/// Feeds the input up to each of the given lengths in turn, as a connection does.
pub(crate) fn feed(
    input: &[u8],
    lengths: impl IntoIterator<Item = usize>,
    limits: &Limits,
) -> Outcome {
    let mut scan = HeadScan::default();
    for len in lengths {
        let arrived = &input[..len];
        if let Some(front) = scan.first_look(arrived, limits) {
            let mut head = Head::default();
            match head.parse_front(front, limits) {
                Ok(Some(end)) => {
                    return Outcome::Parsed(Box::new(Parsed {
                        head,
                        bytes: input[..end].to_vec(),
                        end,
                    }));
                }
                Ok(None) => {}
                Err(refusal) => return Outcome::Refused(refusal),
            }
        }
        match scan.advance(arrived, limits) {
            Ok(None) => {}
            Err(refusal) => return Outcome::Refused(refusal),
            Ok(Some(found)) => {
                assert!(found.start < found.end && found.end <= len);
                let mut bytes = input[found.start..found.end].to_vec();
                if found.folded {
                    unfold(&mut bytes);
                }
                let mut head = Head::default();
                return match head.parse(&bytes, limits) {
                    Ok(()) => Outcome::Parsed(Box::new(Parsed {
                        head,
                        bytes,
                        end: found.end,
                    })),
                    Err(refusal) => Outcome::Refused(refusal),
                };
            }
        }
    }
    Outcome::Incomplete
}

/// The outcome of an input, proven to be the same whole, at every split and byte by byte.
pub(crate) fn outcome(input: &[u8], limits: &Limits) -> Outcome {
    let whole = feed(input, [input.len()], limits);
    for split in 0..input.len() {
        let got = feed(input, [split, input.len()], limits);
        assert_eq!(got, whole, "split at {split}: {}", input.escape_ascii());
    }
    let got = feed(input, 1..=input.len(), limits);
    assert_eq!(got, whole, "byte by byte: {}", input.escape_ascii());
    whole
}

pub(crate) fn parsed_under(input: impl AsRef<[u8]>, limits: &Limits) -> Parsed {
    match outcome(input.as_ref(), limits) {
        Outcome::Parsed(parsed) => *parsed,
        other => panic!("{other:?}: {}", input.as_ref().escape_ascii()),
    }
}

pub(crate) fn parsed(input: impl AsRef<[u8]>) -> Parsed {
    parsed_under(input, &limits())
}

pub(crate) fn refused_under(input: impl AsRef<[u8]>, limits: &Limits) -> Refusal {
    match outcome(input.as_ref(), limits) {
        Outcome::Refused(refusal) => refusal,
        other => panic!("{other:?}: {}", input.as_ref().escape_ascii()),
    }
}

pub(crate) fn refused(input: impl AsRef<[u8]>) -> Refusal {
    refused_under(input, &limits())
}

/// How an input misbehaves.
pub(crate) fn misbehaves(input: impl AsRef<[u8]>) -> Misbehaviour {
    match refused(input) {
        Refusal::Misbehaviour(misbehaviour) => misbehaviour,
        Refusal::Trip(trip) => panic!("{trip:?}"),
    }
}

/// A GET of `/` with these lines after Host.
pub(crate) fn with_lines(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a.com\r\n{lines}\r\n")
}
