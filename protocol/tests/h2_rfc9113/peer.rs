//! What the cases talk to: a server that answers every GET with `hello`, every HEAD with its head, and every POST, once its
//! body is whole, with the number of bytes that the body had. In process here; a socket that leads to such a server is a peer too.

use crate::wire::{Got, Wire, greeting};
use lanner_limits::{Limits, Machine, Moment};
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::{Connection, Event, StreamKey};
use lanner_protocol::{BodyLength, Fate, Fields, Head, Method, Output, ResponseHead, Status, Turn};
use std::rc::Rc;

/// A server at the other end of some wire.
pub(crate) trait Peer {
    /// Sends bytes to it.
    fn send(&mut self, bytes: &[u8]);

    /// Everything that it has sent since the last call, once it has nothing more to say for now.
    fn receive(&mut self) -> Vec<u8>;

    /// Whether it has ended the connection, as far as is known.
    fn has_closed(&self) -> bool;
}

/// The server in process.
pub(crate) struct InProcess {
    connection: Connection,
    output: Output,
    input: Vec<u8>,
    head: Head,
    text: Vec<u8>,
    /// Streams whose body is coming, and what it had so far.
    bodies: Vec<(StreamKey, usize)>,
}

impl InProcess {
    pub(crate) fn new() -> Self {
        let limits = Limits::for_machine(Machine {
            nofile: 65_536,
            memory: 1 << 30,
            cpus: 1,
        });
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
            date: b"Sun, 06 Nov 1994 08:49:37 GMT",
        };
        let fields = Fields::new();
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
            Event::Request {
                stream,
                body: false,
            } => self.answer(output, stream, b"hello"),
            Event::Request { stream, .. } if self.head.method == Method::Get => {
                self.answer(output, stream, b"hello");
            }
            Event::Request { stream, .. } => self.bodies.push((stream, 0)),
            Event::Data { stream, at, last } => {
                let mut turn = Turn {
                    now: Moment::ZERO,
                    output: &mut *output,
                    date: b"Sun, 06 Nov 1994 08:49:37 GMT",
                };
                self.connection.consumed(stream, &mut turn, at.len());
                if let Some((_, bytes)) = self.bodies.iter_mut().find(|(key, _)| *key == stream) {
                    *bytes += at.len();
                }
                if last {
                    self.end(output, stream);
                }
            }
            Event::End { stream, .. } => self.end(output, stream),
            Event::Reset { stream, .. } => {
                let mut turn = Turn {
                    now: Moment::ZERO,
                    output,
                    date: b"Sun, 06 Nov 1994 08:49:37 GMT",
                };
                self.connection.release(stream, &mut turn);
            }
            _ => {}
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
                date: b"Sun, 06 Nov 1994 08:49:37 GMT",
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
                date: b"Sun, 06 Nov 1994 08:49:37 GMT",
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

/// A client that talks to a peer.
pub(crate) struct Client<P: Peer> {
    pub(crate) peer: P,
    pub(crate) wire: Wire,
}

impl Client<InProcess> {
    /// One that has said nothing.
    pub(crate) fn silent() -> Self {
        Self {
            peer: InProcess::new(),
            wire: Wire::new(),
        }
    }

    /// One whose connection is begun on both sides.
    pub(crate) fn new() -> Self {
        let mut client = Self::silent();
        let got = client.say(&greeting());
        assert!(matches!(got[0], Got::Settings(_)), "{got:?}");
        assert!(got.contains(&Got::SettingsAck), "{got:?}");
        client
    }
}

impl<P: Peer> Client<P> {
    /// Sends bytes, and reads everything that comes of them.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> Vec<Got> {
        self.peer.send(bytes);
        let received = self.peer.receive();
        self.wire.feed(&received);
        std::iter::from_fn(|| self.wire.next()).collect()
    }

    /// The bytes end the connection with this code.
    pub(crate) fn ends_with(&mut self, bytes: &[u8], code: ErrorCode) {
        let got = self.say(bytes);
        let said = got.iter().find_map(|got| match got {
            Got::GoAway { code, .. } => Some(*code),
            _ => None,
        });
        assert_eq!(said, Some(code), "{got:?}");
        assert!(self.peer.has_closed());
    }

    /// The bytes end the stream with this code, and the connection goes on.
    pub(crate) fn resets(&mut self, stream: u32, bytes: &[u8], code: ErrorCode) {
        let got = self.say(bytes);
        assert!(got.contains(&Got::Reset(stream, code)), "{got:?}");
        self.lives();
    }

    /// The bytes change nothing.
    pub(crate) fn ignores(&mut self, bytes: &[u8]) {
        let got = self.say(bytes);
        assert!(
            got.iter().all(|got| matches!(got, Got::WindowUpdate(..))),
            "{got:?}"
        );
        self.lives();
    }

    /// The connection answers a PING.
    pub(crate) fn lives(&mut self) {
        let payload = *b"alive ? ";
        let got = self.say(&crate::wire::ping(false, payload));
        assert_eq!(got, [Got::Ping { ack: true, payload }]);
        assert!(!self.peer.has_closed());
    }

    /// A request on this stream is answered.
    pub(crate) fn serves(&mut self, stream: u32) {
        let bytes = self.wire.get(stream);
        let got = self.say(&bytes);
        assert_eq!(got[0].status(), Some("200"), "{got:?}");
        assert!(matches!(&got[1], Got::Data { end: true, bytes, .. } if bytes == b"hello"));
    }
}
