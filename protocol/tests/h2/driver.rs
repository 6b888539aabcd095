//! Drives a connection with bytes and a made-up clock, as the engine does.

use crate::wire::{Got, Wire, greeting};
use lanner_limits::{Limits, Machine, Moment, Trip};
use lanner_protocol::h2::{Connection, Event, Reset, StreamKey};
use lanner_protocol::{
    BodyLength, Fate, Fields, Head, Output, Refusal, ResponseHead, Status, Turn,
};
use std::rc::Rc;
use std::time::Duration;

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// An event with everything that it points at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    Request {
        stream: u32,
        line: String,
        host: String,
        fields: Vec<(String, String)>,
        body: bool,
    },
    Data {
        stream: u32,
        bytes: Vec<u8>,
        last: bool,
    },
    End {
        stream: u32,
        trailers: Vec<(String, String)>,
    },
    BodyFailed(u32, Refusal),
    Reset(u32, Reset),
    Refused(u16),
    Closing,
}

pub(crate) struct Driver {
    pub(crate) connection: Connection,
    pub(crate) output: Output,
    pub(crate) now: Moment,
    pub(crate) date: [u8; 29],
    pub(crate) wire: Wire,
    pub(crate) keys: Vec<StreamKey>,
    input: Vec<u8>,
    head: Head,
    text: Vec<u8>,
    queued: usize,
}

impl Driver {
    /// A connection of which nothing was said yet.
    pub(crate) fn silent(change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::for_machine(Machine {
            nofile: 65_536,
            memory: 1 << 30,
            cpus: 1,
        });
        change(&mut limits);
        Self {
            connection: Connection::new(Rc::new(limits), Moment::ZERO, 0),
            output: Output::new(),
            now: Moment::ZERO,
            date: *DATE,
            wire: Wire::new(),
            keys: Vec::new(),
            input: Vec::new(),
            head: Head::default(),
            text: Vec::new(),
            queued: 0,
        }
    }

    /// A connection that both sides have begun.
    pub(crate) fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let mut driver = Self::silent(change);
        assert_eq!(driver.send(&greeting()), []);
        driver.got();
        driver
    }

    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// Gives the connection a turn.
    pub(crate) fn turn<R>(&mut self, act: impl FnOnce(&mut Connection, &mut Turn<'_>) -> R) -> R {
        let mut turn = Turn {
            now: self.now,
            output: &mut self.output,
            date: &self.date,
        };
        act(&mut self.connection, &mut turn)
    }

    /// Lets bytes arrive, and gives what they meant. Pieces of one body are joined.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Vec<Seen> {
        self.input.extend_from_slice(bytes);
        let mut seen = Vec::new();
        loop {
            let mut turn = Turn {
                now: self.now,
                output: &mut self.output,
                date: &self.date,
            };
            let step = self
                .connection
                .poll(&mut turn, &self.input, &mut self.head, &mut self.text);
            let event = match step.event {
                Event::More | Event::Held => {
                    self.input.drain(..step.consumed);
                    return seen;
                }
                Event::Closing => {
                    self.input.clear();
                    seen.push(Seen::Closing);
                    return seen;
                }
                event => self.see(event),
            };
            self.input.drain(..step.consumed);
            match (seen.last_mut(), event) {
                (
                    Some(Seen::Data {
                        stream,
                        bytes,
                        last,
                    }),
                    Seen::Data {
                        stream: same,
                        bytes: more,
                        last: ends,
                    },
                ) if *stream == same && !*last => {
                    bytes.extend_from_slice(&more);
                    *last = ends;
                }
                (_, event) => seen.push(event),
            }
        }
    }

    fn see(&mut self, event: Event) -> Seen {
        match event {
            Event::Request { stream, body } => {
                self.keys.push(stream);
                Seen::Request {
                    stream: stream.id(),
                    line: format!(
                        "{} {}",
                        self.head.method_span.str(&self.text),
                        self.head.target.whole.str(&self.text)
                    ),
                    host: self.head.host.str(&self.text).to_owned(),
                    fields: self.fields(),
                    body,
                }
            }
            Event::Data { stream, at, last } => Seen::Data {
                stream: stream.id(),
                bytes: self.input[at].to_vec(),
                last,
            },
            Event::End { stream, trailers } => Seen::End {
                stream: stream.id(),
                trailers: if trailers { self.fields() } else { Vec::new() },
            },
            Event::BodyFailed { stream, refusal } => Seen::BodyFailed(stream.id(), refusal),
            Event::Reset { stream, reason } => Seen::Reset(stream.id(), reason),
            Event::Refused { status } => Seen::Refused(status.code()),
            Event::More | Event::Held | Event::Closing => Seen::Closing,
        }
    }

    fn fields(&self) -> Vec<(String, String)> {
        self.head
            .iter(&self.text)
            .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into_owned()))
            .collect()
    }

    /// The key of a stream that was announced.
    pub(crate) fn key(&self, stream: u32) -> StreamKey {
        let found = self.keys.iter().rev().find(|key| key.id() == stream);
        *found.expect("the stream was announced")
    }

    /// Writes everything that is due, and gives the frames.
    pub(crate) fn got(&mut self) -> Vec<Got> {
        let mut got = Vec::new();
        let mut rounds = 0;
        loop {
            self.turn(Connection::flush);
            let bytes = self.output.slices().collect::<Vec<_>>().concat();
            self.output.advance(bytes.len());
            let more = self.connection.handle_output(self.now, bytes.len(), 0);
            self.queued = 0;
            self.wire.feed(&bytes);
            got.extend(std::iter::from_fn(|| self.wire.next()));
            if !more {
                return got;
            }
            rounds += 1;
            assert!(rounds < 1_000, "nobody is sent round for nothing");
        }
    }

    /// The client takes only `taken` bytes of what is there.
    pub(crate) fn stall(&mut self, taken: usize) {
        self.turn(Connection::flush);
        let before = self.output.len();
        let queued = before.saturating_sub(self.queued);
        let bytes = self.output.slices().collect::<Vec<_>>().concat();
        let taken = taken.min(before);
        self.wire.feed(&bytes[..taken]);
        self.output.advance(taken);
        self.queued = self.output.len();
        let unsent = self.output.len();
        self.connection.handle_output(self.now, queued, unsent);
    }

    /// Time passes, with every deadline in between handled.
    pub(crate) fn wait(&mut self, time: Duration) -> Vec<Seen> {
        let until = self.now + time;
        let mut rounds = 0;
        while let Some(at) = self.connection.deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.turn(|connection, turn| connection.handle_timeout(turn));
            rounds += 1;
            assert!(rounds < 100_000, "a deadline that is handled does not stay");
        }
        self.now = until;
        self.send(&[])
    }

    /// The limits that were hit.
    pub(crate) fn trips(&mut self) -> Vec<Trip> {
        std::iter::from_fn(|| self.connection.take_trip()).collect()
    }

    /// An answer with a body of a known length.
    pub(crate) fn answer(&mut self, stream: u32, body: &[u8]) {
        self.respond(stream, 200, BodyLength::Known(body.len() as u64));
        let key = self.key(stream);
        self.body(stream, body);
        self.turn(|connection, turn| connection.finish(key, turn, None))
            .expect("the length is kept");
    }

    pub(crate) fn respond(&mut self, stream: u32, status: u16, length: BodyLength) {
        self.respond_with(stream, status, &Fields::new(), length);
    }

    pub(crate) fn respond_with(
        &mut self,
        stream: u32,
        status: u16,
        fields: &Fields,
        length: BodyLength,
    ) {
        let key = self.key(stream);
        let head = ResponseHead {
            status: Status::new(status).expect("a status"),
            fields,
            length,
        };
        self.turn(|connection, turn| connection.respond(key, turn, &head, true))
            .expect("a final status");
    }

    /// Whether the app is to be asked for more of its answer.
    pub(crate) fn accepts(&mut self, stream: u32) -> bool {
        let key = self.key(stream);
        self.turn(|connection, turn| connection.accepts_body(key, turn))
    }

    /// The streams whose apps are to be asked again.
    pub(crate) fn resumed(&mut self) -> Vec<u32> {
        std::iter::from_fn(|| self.connection.take_resumed())
            .map(|key| key.id())
            .collect()
    }

    pub(crate) fn body(&mut self, stream: u32, bytes: &[u8]) {
        let key = self.key(stream);
        let piece = bytes::Bytes::copy_from_slice(bytes);
        self.turn(|connection, turn| connection.send(key, turn, piece))
            .expect("within the length");
    }

    pub(crate) fn finish(&mut self, stream: u32, trailers: Option<&Fields>) {
        let key = self.key(stream);
        self.turn(|connection, turn| connection.finish(key, turn, trailers))
            .expect("nothing is missing");
    }

    pub(crate) fn consumed(&mut self, stream: u32, bytes: usize) {
        let key = self.key(stream);
        self.turn(|connection, turn| connection.consumed(key, turn, bytes));
    }

    pub(crate) fn want(&mut self, stream: u32) {
        let key = self.key(stream);
        self.turn(|connection, turn| connection.want_body(key, turn));
    }

    pub(crate) fn release(&mut self, stream: u32) {
        let key = self.key(stream);
        self.turn(|connection, turn| connection.release(key, turn));
    }

    pub(crate) fn is_open(&self) -> bool {
        self.connection.fate() == Fate::Open
    }
}
