//! HTTP/2 on a client's connection: requests and their bodies go out as the server's windows let them, and what comes back is
//! kept until somebody asks for it. What frames look like, `wire` knows.

use super::{Answer, Client, End, Socket};
use crate::server::PATIENCE;
use crate::wire::{self, Got, Wire};
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::frame::{PAYLOAD_BYTES_DEFAULT, PREFACE};
use lanner_protocol::h2::settings::Id;
use std::collections::{HashMap, VecDeque};
use std::time::Instant;

/// What both windows begin with (RFC 9113 section 6.9.2), and what they can be at most.
const WINDOW_DEFAULT: u32 = 65_535;
const WINDOW_MAX: u32 = (1 << 31) - 1;

/// A connection of HTTP/2, seen from its client.
pub(crate) struct Streams {
    pub(crate) line: Client<Box<dyn Socket>>,
    pub(crate) wire: Wire,
    scheme: &'static str,
    next: u32,
    /// What has come and was not asked for yet.
    got: VecDeque<Got>,
    /// How much the server lets us send: on the connection, on each stream, and on a new one.
    room: i64,
    rooms: HashMap<u32, i64>,
    room_first: i64,
    /// Whether the server's PINGs are answered as they come.
    pub(crate) answers_pings: bool,
    pings: u32,
    end: Option<End>,
}

impl Streams {
    /// Begins HTTP/2. Answers may be of any length.
    pub(crate) fn begin(socket: Box<dyn Socket>, scheme: &'static str) -> Self {
        Self::with_window(socket, scheme, WINDOW_MAX)
    }

    /// The same with streams whose answers have to wait when so much of them is out.
    pub(crate) fn with_window(
        socket: Box<dyn Socket>,
        scheme: &'static str,
        stream_window: u32,
    ) -> Self {
        let mut streams = Self {
            line: Client::over(socket),
            wire: Wire::new(),
            scheme,
            next: 1,
            got: VecDeque::new(),
            room: WINDOW_DEFAULT.into(),
            rooms: HashMap::new(),
            room_first: WINDOW_DEFAULT.into(),
            answers_pings: false,
            pings: 0,
            end: None,
        };
        let mut greeting = PREFACE.to_vec();
        greeting.extend(wire::settings(&[(Id::INITIAL_WINDOW_SIZE, stream_window)]));
        greeting.extend(wire::window_update(0, WINDOW_MAX - WINDOW_DEFAULT));
        streams.send(&greeting);
        streams.expect(|got| matches!(got, Got::Settings(_)));
        streams.expect(|got| *got == Got::SettingsAck);
        streams.send(&wire::settings_ack());
        // A server that leaves asks whether it was heard; a client's first request may be on its way by then.
        streams.answers_pings = true;
        streams
    }

    /// Sends bytes, and takes what comes meanwhile.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        if self.end.is_none() {
            self.end = self.line.converse(bytes);
        }
        self.look();
    }

    /// Decodes what was taken.
    fn look(&mut self) {
        let received = std::mem::take(&mut self.line.received);
        self.wire.feed(&received);
        while let Some(got) = self.wire.next() {
            match &got {
                Got::Settings(values) => {
                    for (id, value) in values {
                        if *id == Id::INITIAL_WINDOW_SIZE.0 {
                            self.room_first = i64::from(*value);
                        }
                    }
                }
                Got::WindowUpdate(0, more) => self.room += i64::from(*more),
                Got::WindowUpdate(stream, more) => {
                    *self.rooms.entry(*stream).or_default() += i64::from(*more);
                }
                Got::Ping {
                    ack: false,
                    payload,
                } if self.answers_pings => {
                    let answer = wire::ping(true, *payload);
                    if self.end.is_none() {
                        self.end = self.line.converse(&answer);
                    }
                }
                _ => {}
            }
            if !matches!(got, Got::WindowUpdate(..)) {
                self.got.push_back(got);
            }
        }
    }

    /// Waits for more. `false` if no more will come.
    fn wait(&mut self) -> bool {
        if self.end.is_some() {
            return false;
        }
        match self.line.fill() {
            Ok(0) => self.end = Some(End::Closed),
            Ok(_) => {}
            Err(error) => self.end = Some(super::broken(&error)),
        }
        self.look();
        true
    }

    /// The next of what is wanted; `None` if the connection ends without it.
    pub(crate) fn find(&mut self, wanted: impl Fn(&Got) -> bool) -> Option<Got> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.got.iter().position(&wanted) {
                return self.got.remove(at);
            }
            // A server that says other things without end is no excuse.
            assert!(Instant::now() < deadline, "{} other frames", self.got.len());
            if !self.wait() {
                return None;
            }
        }
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, wanted: impl Fn(&Got) -> bool) -> Got {
        match self.find(wanted) {
            Some(got) => got,
            None => panic!("{:?} instead, after {:?}", self.end, self.got),
        }
    }

    /// What comes next of a stream.
    #[track_caller]
    pub(crate) fn next_of(&mut self, stream: u32) -> Got {
        self.expect(|got| got.stream() == stream)
    }

    /// Waits until the server has worked on everything that was said: up to the answer of a PING, and of another, for an app
    /// whose future is polled only after the frames of one read.
    pub(crate) fn settle(&mut self) {
        for _ in 0..2 {
            self.pings += 1;
            let mut payload = *b"said....";
            payload[4..].copy_from_slice(&self.pings.to_be_bytes());
            self.send(&wire::ping(false, payload));
            self.expect(|got| *got == Got::Ping { ack: true, payload });
        }
    }

    /// Whether nothing has come of a stream that was not asked for, once everything is worked on.
    pub(crate) fn is_silent(&mut self, stream: u32) -> bool {
        self.settle();
        self.got.iter().all(|got| got.stream() != stream)
    }

    /// Everything that still comes until the connection ends, and how it does.
    pub(crate) fn rest(&mut self) -> (Vec<Got>, End) {
        while self.wait() {}
        (self.got.drain(..).collect(), self.end.unwrap())
    }

    // Requests.

    /// Begins a request.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        whole: bool,
    ) -> u32 {
        let (stream, bytes) = self.request(method, path, fields, whole);
        self.send(&bytes);
        stream
    }

    /// A request that is not sent yet, and the stream that it is on.
    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        whole: bool,
    ) -> (u32, Vec<u8>) {
        let stream = self.next;
        self.next += 2;
        self.rooms.insert(stream, self.room_first);
        let mut lines = vec![
            (":method", method),
            (":scheme", self.scheme),
            (":path", path),
            (":authority", "a.test"),
        ];
        lines.extend(fields);
        (stream, self.wire.headers(stream, whole, &lines))
    }

    /// So much of a body, as soon as the server's windows let it. What is left when the server has closed the stream is not
    /// sent.
    pub(crate) fn put(&mut self, stream: u32, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_over(stream) {
            let room = self.room.min(self.rooms[&stream]);
            let count = room.clamp(0, PAYLOAD_BYTES_DEFAULT.into()) as usize;
            if count == 0 {
                assert!(self.wait(), "ended while a body was sent: {:?}", self.got);
                continue;
            }
            let (piece, rest) = bytes.split_at(count.min(bytes.len()));
            self.room -= piece.len() as i64;
            *self.rooms.entry(stream).or_default() -= piece.len() as i64;
            self.send(&wire::data(stream, false, piece));
            bytes = rest;
        }
    }

    /// How much of a stream's body the server would take now.
    pub(crate) fn room(&mut self, stream: u32) -> i64 {
        self.settle();
        self.room.min(self.rooms[&stream])
    }

    /// Whether the server has reset the stream, or the connection is at an end.
    fn is_over(&self, stream: u32) -> bool {
        let reset = |got: &Got| matches!(got, Got::Reset(of, _) if *of == stream);
        self.end.is_some() || self.got.iter().any(reset)
    }

    /// The end of a body.
    pub(crate) fn finish(&mut self, stream: u32, trailers: &[(&str, &str)]) {
        let bytes = match trailers {
            [] => wire::data(stream, true, b""),
            _ => self.wire.headers(stream, true, trailers),
        };
        self.send(&bytes);
    }

    pub(crate) fn reset(&mut self, stream: u32, code: ErrorCode) {
        self.send(&wire::reset(stream, code));
    }

    // Answers.

    /// Whether an answer has begun, once the server has begun or refused it.
    #[track_caller]
    pub(crate) fn is_answered(&mut self, stream: u32) -> bool {
        let got = self.next_of(stream);
        let is_head = matches!(got, Got::Headers { .. });
        self.got.push_front(got);
        is_head
    }

    /// The head of an answer, and whether nothing follows it.
    #[track_caller]
    pub(crate) fn head(&mut self, stream: u32) -> (Answer, bool) {
        let Got::Headers { end, fields, .. } = self.next_of(stream) else {
            panic!("no head");
        };
        let (pseudo, fields): (Vec<_>, Vec<_>) = fields
            .into_iter()
            .partition(|(name, _)| name.starts_with(':'));
        let [(name, status)] = &pseudo[..] else {
            panic!("{pseudo:?}");
        };
        assert_eq!(name, ":status");
        let answer = Answer {
            status: status.parse().unwrap(),
            fields,
            body: Vec::new(),
            trailers: Vec::new(),
        };
        (answer, end)
    }

    /// Reads what follows a head. `Err` where the stream was reset before its end.
    #[track_caller]
    pub(crate) fn content(&mut self, stream: u32, answer: &mut Answer) -> Result<(), ErrorCode> {
        loop {
            match self.next_of(stream) {
                Got::Data { bytes, end, .. } => {
                    answer.body.extend(bytes);
                    if end {
                        return Ok(());
                    }
                }
                Got::Headers { fields, end, .. } => {
                    assert!(end, "what follows a body ends it");
                    answer.trailers = fields;
                    return Ok(());
                }
                Got::Reset(_, code) => return Err(code),
                other => panic!("{other:?}"),
            }
        }
    }
}
