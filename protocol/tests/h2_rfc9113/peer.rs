//! The server in process: the protocol's own half of a connection, with the suite's app on it.
//!
//! `lanner`'s tests put another file in this one's place, and so run the same cases through a socket.

use super::client::{LARGE_BYTES, Peer};
use lanner_limits::{Limits, Machine, Moment};
use lanner_protocol::h2::{Connection, Event, StreamKey};
use lanner_protocol::{BodyLength, Fate, Fields, Head, Method, Output, ResponseHead, Status, Turn};
use std::rc::Rc;

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// A new connection to a server whose limits are those of a small machine.
pub(crate) fn connect() -> Box<dyn Peer> {
    connect_with(|_| {}).expect("it is always there")
}

/// The same after `change`. A peer whose limits are not ours to set gives `None`.
pub(crate) fn connect_with(change: impl FnOnce(&mut Limits)) -> Option<Box<dyn Peer>> {
    let mut limits = Limits::for_machine(Machine {
        nofile: 65_536,
        memory: 1 << 30,
        cpus: 1,
    });
    change(&mut limits);
    Some(Box::new(InProcess::new(limits)))
}

/// The server in process.
struct InProcess {
    connection: Connection,
    output: Output,
    input: Vec<u8>,
    head: Head,
    text: Vec<u8>,
    /// Streams whose body is coming, and what it had so far.
    bodies: Vec<(StreamKey, usize)>,
}

impl InProcess {
    fn new(limits: Limits) -> Self {
        Self {
            connection: Connection::new(Rc::new(limits), Moment::ZERO, 0),
            output: Output::new(),
            input: Vec::new(),
            head: Head::default(),
            text: Vec::new(),
            bodies: Vec::new(),
        }
    }

    fn answer(&mut self, turn_output: &mut Output, stream: StreamKey, body: &[u8]) {
        let mut turn = Turn {
            now: Moment::ZERO,
            output: turn_output,
            date: DATE,
        };
        let mut fields = Fields::new();
        fields.append("X-Suite", "yes").unwrap();
        let head = ResponseHead {
            status: Status::OK,
            fields: &fields,
            length: BodyLength::Known(body.len() as u64),
        };
        let piece = bytes::Bytes::copy_from_slice(body);
        let connection = &mut self.connection;
        connection
            .respond(stream, &mut turn, &head, true)
            .expect("a final status");
        connection
            .send(stream, &mut turn, piece)
            .expect("the length");
        connection
            .finish(stream, &mut turn, None)
            .expect("the length");
    }

    fn handle(&mut self, output: &mut Output, event: Event) {
        match event {
            Event::Request { stream, body } => self.dispatch(output, stream, body),
            Event::Data { stream, at, last } => {
                let Some((_, bytes)) = self.bodies.iter_mut().find(|(key, _)| *key == stream)
                else {
                    return;
                };
                *bytes += at.len();
                let mut turn = Turn {
                    now: Moment::ZERO,
                    output: &mut *output,
                    date: DATE,
                };
                self.connection.consumed(stream, &mut turn, at.len());
                if last {
                    self.end(output, stream);
                }
            }
            Event::End { stream, .. } => self.end(output, stream),
            Event::Reset { stream, .. } => {
                let mut turn = Turn {
                    now: Moment::ZERO,
                    output,
                    date: DATE,
                };
                self.connection.release(stream, &mut turn);
            }
            _ => {}
        }
    }

    fn dispatch(&mut self, output: &mut Output, stream: StreamKey, body: bool) {
        let path = self.head.target.whole.str(&self.text).to_owned();
        match (self.head.method, path.as_str()) {
            (Method::Post, "/hold") => {}
            (Method::Post, _) if body => {
                self.bodies.push((stream, 0));
                let mut turn = Turn {
                    now: Moment::ZERO,
                    output,
                    date: DATE,
                };
                self.connection.want_body(stream, &mut turn);
            }
            (Method::Post, _) => self.answer(output, stream, b"0"),
            (_, "/large") => self.answer(output, stream, &[b'x'; LARGE_BYTES]),
            (_, "/cookie") => {
                let cookie = self.head.field(&self.text, "cookie").unwrap_or_default();
                let cookie = cookie.to_vec();
                self.answer(output, stream, &cookie);
            }
            _ => self.answer(output, stream, b"hello"),
        }
    }

    fn end(&mut self, output: &mut Output, stream: StreamKey) {
        if let Some(at) = self.bodies.iter().position(|(key, _)| *key == stream) {
            let (_, bytes) = self.bodies.swap_remove(at);
            self.answer(output, stream, bytes.to_string().as_bytes());
        }
    }
}

impl Peer for InProcess {
    fn send(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        let mut output = std::mem::take(&mut self.output);
        loop {
            let mut turn = Turn {
                now: Moment::ZERO,
                output: &mut output,
                date: DATE,
            };
            let step = self
                .connection
                .poll(&mut turn, &self.input, &mut self.head, &mut self.text);
            self.input.drain(..step.consumed);
            match step.event {
                Event::More | Event::Held | Event::Closing => break,
                event => self.handle(&mut output, event),
            }
        }
        self.output = output;
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut received = Vec::new();
        loop {
            let mut turn = Turn {
                now: Moment::ZERO,
                output: &mut self.output,
                date: DATE,
            };
            self.connection.flush(&mut turn);
            let bytes = self.output.slices().collect::<Vec<_>>().concat();
            self.output.advance(bytes.len());
            received.extend_from_slice(&bytes);
            let more = self.connection.handle_output(Moment::ZERO, bytes.len(), 0);
            if !more || bytes.is_empty() {
                return received;
            }
        }
    }

    fn has_closed(&self) -> bool {
        self.connection.fate() != Fate::Open
    }
}
