//! Drives a connection with requests, and with what a server sends.

use lanner_limits::{Limits, Machine, Moment};
use lanner_protocol::client::http1::{Connection, Error, Event};
use lanner_protocol::client::{Body, Request, Response, SendError, Turn};
use lanner_protocol::{Fields, Output};
use std::rc::Rc;

/// An event with everything that it points at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    Response {
        status: u16,
        reason: String,
        fields: Vec<(String, String)>,
        body: Body,
    },
    Informational(u16),
    Switched(u16),
    /// Pieces behind each other are joined.
    Data(Vec<u8>),
    /// The response is complete.
    End(Vec<(String, String)>),
    Closed,
    Failed(Error),
}

pub(crate) struct Driver {
    pub(crate) connection: Connection,
    pub(crate) output: Output,
    pub(crate) now: Moment,
    pub(crate) response: Response,
    pub(crate) input: Vec<u8>,
}

pub(crate) fn limits() -> Limits {
    Limits::for_machine(Machine {
        nofile: 65_536,
        memory: 1 << 30,
        cpus: 1,
    })
}

impl Driver {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = limits();
        change(&mut limits);
        Self {
            connection: Connection::new(Rc::new(limits)),
            output: Output::new(),
            now: Moment::ZERO,
            response: Response::default(),
            input: Vec::new(),
        }
    }

    /// A connection on which these methods were asked for `/`.
    pub(crate) fn asking(methods: &[&str]) -> Self {
        let mut driver = Self::new();
        for method in methods {
            driver.ask(method).unwrap();
        }
        driver
    }

    pub(crate) fn turn<R>(&mut self, act: impl FnOnce(&mut Connection, &mut Turn<'_>) -> R) -> R {
        let mut turn = Turn {
            now: self.now,
            output: &mut self.output,
        };
        act(&mut self.connection, &mut turn)
    }

    pub(crate) fn ask(&mut self, method: &str) -> Result<(), SendError> {
        let fields = Fields::new();
        self.request(&Request::new(method.as_bytes(), b"a", b"/", &fields))
    }

    pub(crate) fn request(&mut self, request: &Request<'_>) -> Result<(), SendError> {
        self.turn(|connection, turn| connection.request(turn, request))
    }

    /// What was sent since the last call.
    pub(crate) fn sent(&mut self) -> String {
        let bytes = self.output.slices().collect::<Vec<_>>().concat();
        self.output.clear();
        String::from_utf8(bytes).unwrap()
    }

    /// Lets bytes arrive, and gives what they meant.
    pub(crate) fn receive(&mut self, bytes: impl AsRef<[u8]>) -> Vec<Seen> {
        self.input.extend_from_slice(bytes.as_ref());
        let mut seen = Vec::new();
        loop {
            let mut turn = Turn {
                now: self.now,
                output: &mut self.output,
            };
            let step = self
                .connection
                .poll(&mut turn, &self.input, &mut self.response);
            let over = matches!(step.event, Event::More | Event::Closed | Event::Failed(_));
            self.see(step.event, &mut seen);
            self.input.drain(..step.consumed);
            if over {
                return seen;
            }
        }
    }

    fn see(&self, event: Event, seen: &mut Vec<Seen>) {
        let fields = |at: &std::ops::Range<usize>| {
            let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
            self.response
                .iter(&self.input[at.clone()])
                .map(|(name, value)| (name.to_owned(), text(value)))
                .collect::<Vec<_>>()
        };
        let status = self.response.status.code();
        match event {
            Event::More => {}
            Event::Response { at, last } => {
                seen.push(Seen::Response {
                    status,
                    reason: self.response.reason.str(&self.input[at.clone()]).to_owned(),
                    fields: fields(&at),
                    body: self.response.body,
                });
                if last {
                    seen.push(Seen::End(Vec::new()));
                }
            }
            Event::Informational { .. } => seen.push(Seen::Informational(status)),
            Event::Switched { .. } => seen.push(Seen::Switched(status)),
            Event::Data { at, last } => {
                assert!(!at.is_empty());
                let piece = &self.input[at];
                match seen.last_mut() {
                    Some(Seen::Data(before)) => before.extend_from_slice(piece),
                    _ => seen.push(Seen::Data(piece.to_vec())),
                }
                if last {
                    seen.push(Seen::End(Vec::new()));
                }
            }
            Event::End { trailers } => seen.push(Seen::End(if trailers.is_empty() {
                Vec::new()
            } else {
                fields(&trailers)
            })),
            Event::Closed => seen.push(Seen::Closed),
            Event::Failed(error) => seen.push(Seen::Failed(error)),
        }
    }

    /// The server closes, in an orderly way.
    pub(crate) fn eof(&mut self) -> Vec<Seen> {
        self.connection.handle_eof();
        self.receive(b"")
    }
}

/// Everything that these bytes mean as answers to the methods, with the server's close behind them; the same whole, at every
/// split, and byte by byte.
pub(crate) fn answers(methods: &[&str], bytes: impl AsRef<[u8]>) -> Vec<Seen> {
    answers_to(|| Driver::asking(methods), bytes)
}

pub(crate) fn answers_to(make: impl Fn() -> Driver, bytes: impl AsRef<[u8]>) -> Vec<Seen> {
    let bytes = bytes.as_ref();
    let run = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut driver = make();
        let mut seen = Vec::new();
        for piece in pieces {
            seen.extend(driver.receive(piece));
        }
        seen.extend(driver.eof());
        joined(seen)
    };
    let whole = run(&mut [bytes].into_iter());
    for at in 0..=bytes.len() {
        let (front, back) = bytes.split_at(at);
        let split = run(&mut [front, back].into_iter());
        assert_eq!(split, whole, "split at {at}: {}", bytes.escape_ascii());
    }
    let bytewise = run(&mut bytes.chunks(1));
    assert_eq!(bytewise, whole, "byte by byte: {}", bytes.escape_ascii());
    whole
}

/// Joins what splitting took apart, and says an end only once.
pub(crate) fn joined(seen: Vec<Seen>) -> Vec<Seen> {
    let mut all: Vec<Seen> = Vec::new();
    for each in seen {
        match (all.last_mut(), each) {
            (Some(Seen::Data(before)), Seen::Data(piece)) => before.extend_from_slice(&piece),
            (Some(Seen::Closed), Seen::Closed) => {}
            (Some(Seen::Failed(before)), Seen::Failed(again)) => assert_eq!(*before, again),
            (_, each) => all.push(each),
        }
    }
    all
}

/// A response of this status without fields.
pub(crate) fn plain(status: u16, reason: &str, body: Body) -> Seen {
    Seen::Response {
        status,
        reason: reason.to_owned(),
        fields: Vec::new(),
        body,
    }
}

/// The statuses and contents of what was seen, in short: `200:abc`, `100`, `closed`, and the names of errors.
pub(crate) fn short(seen: &[Seen]) -> String {
    let mut text = String::new();
    for each in seen {
        match each {
            Seen::Response { status, .. } => text.push_str(&format!(" {status}:")),
            Seen::Informational(status) => text.push_str(&format!(" {status}")),
            Seen::Switched(status) => text.push_str(&format!(" {status}>")),
            Seen::Data(bytes) => text.push_str(&String::from_utf8_lossy(bytes)),
            Seen::End(trailers) => {
                text.push('.');
                for (name, value) in trailers {
                    text.push_str(&format!("[{name}={value}]"));
                }
            }
            Seen::Closed => text.push_str(" closed"),
            Seen::Failed(error) => text.push_str(&format!(" {}", error.name())),
        }
    }
    text.trim_start().to_owned()
}
