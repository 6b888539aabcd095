//! A client on one side, an app on the other, and between them a connection with the driver's part played by hand.

pub(crate) use crate::converse::converse;
use crate::reader::{self, Answer, Wire};
use bytes::Bytes;
use lanner_limits::{Limits, Machine, Moment, Trip};
use lanner_protocol::{
    BodyLength, Connection, EndReason, Event, Fate, Fields, Head, Misbehaviour, Output, Overrides,
    Refusal, ResponseError, ResponseHead, Status, Turn, chunked,
};
use std::rc::Rc;
use std::time::Duration;

pub(crate) const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// What the app does with every request.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum App {
    /// Nothing: the test acts for it.
    Manual,
    /// Answers with this text at once, and never looks at the body.
    AtOnce(&'static str),
    /// Reads the whole body, then answers with it, trailers included.
    Collect,
    /// Begins its answer at once and sends back what comes, piece by piece.
    Echo,
}

/// What the app was told.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Told {
    /// Method and target of a request.
    Request(String),
    /// A piece of its body; neighbours are joined.
    Body(Vec<u8>),
    /// The end of its body, with the trailers.
    End(Vec<(String, String)>),
    Failed(Refusal),
}

/// How a connection stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stand {
    Open,
    /// Something is left to send before the end.
    Flushing,
    Lingering,
    Closed,
    Reset,
}

pub(crate) fn limits() -> Limits {
    Limits::for_machine(Machine {
        nofile: 65_536,
        memory: 1 << 30,
        cpus: 1,
    })
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) struct Peer {
    pub(crate) http: Connection,
    pub(crate) now: Moment,
    pub(crate) app: App,
    pub(crate) overrides: Overrides,
    pub(crate) told: Vec<Told>,
    pub(crate) trips: Vec<Trip>,
    /// Everything that reached the client.
    pub(crate) wire: Vec<u8>,
    /// How many more bytes the socket takes.
    pub(crate) room: usize,
    /// The app waits for body bytes.
    pub(crate) waits: bool,
    /// The app gave an answer more or fewer bytes than it had announced.
    pub(crate) cut_short: bool,
    head: Head,
    output: Output,
    /// Length of the output when the connection was last told of it.
    accounted: usize,
    input: Vec<u8>,
    body: Vec<u8>,
    trailers: Fields,
    shut: bool,
}

impl Peer {
    pub(crate) fn new(app: App) -> Self {
        Self::with(app, |_| {})
    }

    pub(crate) fn with(app: App, change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = limits();
        change(&mut limits);
        Self::seeded(app, limits, 0)
    }

    pub(crate) fn seeded(app: App, limits: Limits, seed: u64) -> Self {
        let now = Moment::ZERO + secs(1_000);
        Self {
            http: Connection::new(Rc::new(limits), now, seed),
            now,
            app,
            overrides: Overrides::default(),
            told: Vec::new(),
            trips: Vec::new(),
            wire: Vec::new(),
            room: usize::MAX,
            waits: false,
            cut_short: false,
            head: Head::default(),
            output: Output::new(),
            accounted: 0,
            input: Vec::new(),
            body: Vec::new(),
            trailers: Fields::new(),
            shut: false,
        }
    }

    // The client's side.

    /// Sends bytes, and lets the connection do what it can.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.input.extend_from_slice(bytes.as_ref());
        self.turn();
        self
    }

    /// Ends the sending side.
    pub(crate) fn end(&mut self) -> &mut Self {
        if let Some(refusal) = self.http.handle_eof() {
            self.body_failed(refusal);
        }
        self.turn();
        self
    }

    pub(crate) fn reset(&mut self) {
        self.http.handle_reset();
        self.turn();
    }

    /// Takes so many more bytes of what is sent.
    pub(crate) fn take(&mut self, count: usize) {
        self.room = self.room.saturating_add(count);
        self.turn();
    }

    // Time.

    /// Lets time pass; every deadline on the way is kept to the nanosecond.
    pub(crate) fn wait(&mut self, duration: Duration) -> &mut Self {
        let until = self.now + duration;
        while let Some(at) = self.http.deadline().filter(|at| *at <= until) {
            assert!(at >= self.now, "a deadline in the past was left behind");
            self.now = at;
            self.expire();
        }
        self.now = until;
        self
    }

    pub(crate) fn expire(&mut self) {
        let failure = self.http.handle_timeout(&mut Turn {
            now: self.now,
            output: &mut self.output,
            date: DATE,
        });
        if let Some(refusal) = failure {
            self.body_failed(refusal);
        }
        self.turn();
    }

    /// How long until the next deadline.
    pub(crate) fn due_in(&self) -> Option<Duration> {
        self.http.deadline().map(|at| at.since(self.now))
    }

    // The app's side.

    pub(crate) fn want_body(&mut self) {
        self.waits = self.http.in_exchange() && self.http.body_open();
        let waiting = self.input.len();
        self.http.want_body(
            &mut Turn {
                now: self.now,
                output: &mut self.output,
                date: DATE,
            },
            waiting,
        );
        self.turn();
    }

    pub(crate) fn begin(&mut self, status: u16, length: BodyLength, complete: bool) {
        let head = ResponseHead {
            status: Status::new(status).unwrap(),
            fields: &Fields::new(),
            length,
        };
        let mut turn = Turn {
            now: self.now,
            output: &mut self.output,
            date: DATE,
        };
        self.http.respond(&mut turn, &head, complete).unwrap();
    }

    pub(crate) fn piece(&mut self, bytes: &[u8]) -> Result<(), ResponseError> {
        let mut turn = Turn {
            now: self.now,
            output: &mut self.output,
            date: DATE,
        };
        let sent = self.http.send(&mut turn, Bytes::copy_from_slice(bytes));
        sent.inspect_err(|_| self.cut_short = true)
    }

    pub(crate) fn finish(&mut self, trailers: Option<&Fields>) -> Result<(), ResponseError> {
        let mut turn = Turn {
            now: self.now,
            output: &mut self.output,
            date: DATE,
        };
        let finished = self.http.finish(&mut turn, trailers);
        finished.inspect_err(|_| self.cut_short = true)
    }

    /// A whole answer at once.
    pub(crate) fn answer(&mut self, status: u16, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        self.begin(status, BodyLength::Known(body.len() as u64), true);
        self.piece(body).unwrap();
        self.finish(None).unwrap();
        self.turn();
    }

    pub(crate) fn switch(&mut self, protocol: &str) -> Result<(), ResponseError> {
        let mut turn = Turn {
            now: self.now,
            output: &mut self.output,
            date: DATE,
        };
        self.http
            .respond_upgrade(&mut turn, protocol, &Fields::new())
    }

    // The driver's side.

    /// Everything that can happen without time, the client or a test doing something.
    pub(crate) fn turn(&mut self) {
        while self.step() || self.write() {}
    }

    /// Looks at the input once. Returns whether to look again.
    fn step(&mut self) -> bool {
        if matches!(self.app, App::Collect | App::Echo)
            && self.http.in_exchange()
            && self.http.body_open()
        {
            let waiting = self.input.len();
            self.http.want_body(
                &mut Turn {
                    now: self.now,
                    output: &mut self.output,
                    date: DATE,
                },
                waiting,
            );
        }
        let mut turn = Turn {
            now: self.now,
            output: &mut self.output,
            date: DATE,
        };
        let step = if self.http.in_exchange() {
            self.http.poll_body(&mut turn, &self.input)
        } else {
            self.http
                .poll_request(&mut turn, &self.input, &mut self.head)
        };
        let again = match step.event {
            Event::More => step.consumed > 0 && step.consumed < self.input.len(),
            Event::Held | Event::Closing => false,
            Event::FoldedHead { .. } => panic!("reading is strict"),
            Event::Head { at } => {
                let bytes = self.input[at].to_vec();
                self.input.drain(..step.consumed);
                self.head_received(&bytes);
                return true;
            }
            Event::Data { at, last } => {
                let piece = self.input[at].to_vec();
                self.input.drain(..step.consumed);
                self.data_received(&piece, last);
                return true;
            }
            Event::End { trailers } => {
                let lines = self.input[trailers].to_vec();
                self.input.drain(..step.consumed);
                self.end_received(&lines);
                return true;
            }
            Event::BodyFailed(refusal) => {
                self.body_failed(refusal);
                true
            }
        };
        self.input.drain(..step.consumed);
        again
    }

    fn head_received(&mut self, bytes: &[u8]) {
        let mut turn = Turn {
            now: self.now,
            output: &mut self.output,
            date: DATE,
        };
        let words = [self.head.method_span, self.head.target.whole].map(|span| span.str(bytes));
        self.told.push(Told::Request(words.join(" ")));
        self.waits = false;
        if !self.http.admit(&mut turn, self.overrides) {
            return;
        }
        self.body.clear();
        self.trailers = Fields::new();
        match self.app {
            App::Manual => {}
            App::AtOnce(text) => self.answer(200, text),
            App::Collect if self.http.body_open() => {}
            App::Collect => self.answer(200, "empty"),
            App::Echo => {
                self.begin(200, BodyLength::Unknown, false);
                if !self.http.body_open() {
                    self.finish(None).unwrap();
                }
            }
        }
    }

    fn data_received(&mut self, piece: &[u8], last: bool) {
        self.waits = false;
        match self.told.last_mut() {
            Some(Told::Body(body)) => body.extend_from_slice(piece),
            _ if piece.is_empty() => {}
            _ => self.told.push(Told::Body(piece.to_vec())),
        }
        match self.app {
            App::Collect => self.body.extend_from_slice(piece),
            App::Echo => self.piece(piece).unwrap(),
            App::Manual | App::AtOnce(_) => {}
        }
        if last {
            self.body_ended(Vec::new());
        }
    }

    fn end_received(&mut self, lines: &[u8]) {
        self.waits = false;
        let mut spans = Vec::new();
        match chunked::parse_trailers(lines, &limits(), &mut spans) {
            Ok(()) => {
                let text = |span: lanner_protocol::Span| span.str(lines).to_owned();
                let fields = spans
                    .iter()
                    .map(|field| (text(field.name), text(field.value)))
                    .collect();
                self.body_ended(fields);
            }
            Err(refusal) => {
                self.http.fail_trailers(refusal);
                self.body_failed(refusal);
            }
        }
    }

    fn body_ended(&mut self, trailers: Vec<(String, String)>) {
        for (name, value) in &trailers {
            self.trailers.append(name, value).unwrap();
        }
        self.told.push(Told::End(trailers));
        let trailers = std::mem::take(&mut self.trailers);
        match self.app {
            App::Collect => {
                let body = std::mem::take(&mut self.body);
                self.begin(200, BodyLength::Known(body.len() as u64), true);
                self.piece(&body).unwrap();
                self.finish(None).unwrap();
            }
            App::Echo => self.finish(Some(&trailers)).unwrap(),
            App::Manual | App::AtOnce(_) => {}
        }
    }

    /// The app passes the failure on, as `?` does.
    fn body_failed(&mut self, refusal: Refusal) {
        self.waits = false;
        self.told.push(Told::Failed(refusal));
        match self.app {
            App::Collect => {
                self.begin(500, BodyLength::Known(3), true);
                self.piece(b"app").unwrap();
                self.finish(None).unwrap();
            }
            App::Echo => self.http.abort(EndReason::ErrorAfterStartingResponse),
            App::Manual | App::AtOnce(_) => {}
        }
    }

    /// Writes what the socket takes and does as the fate says. Returns whether to look at the input again.
    fn write(&mut self) -> bool {
        let queued = self.output.len() - self.accounted;
        let count = self.output.len().min(self.room);
        let bytes: Vec<u8> = self.output.slices().flatten().copied().collect();
        if self.http.fate() != Fate::Abort {
            self.wire.extend_from_slice(&bytes[..count]);
        }
        self.output.advance(count);
        if self.room != usize::MAX {
            self.room -= count;
        }
        self.accounted = self.output.len();
        let again = self.http.handle_output(self.now, queued, self.accounted);
        self.trips.extend(self.http.take_trip());
        if self.http.fate() == (Fate::Flush { linger: true }) && self.output.is_empty() {
            self.http.handle_shutdown(self.now);
            self.shut = true;
        }
        again
    }

    // What came of it.

    pub(crate) fn stand(&self) -> Stand {
        match self.http.fate() {
            Fate::Open => Stand::Open,
            Fate::Flush { linger: false } if self.output.is_empty() => Stand::Closed,
            Fate::Flush { .. } => Stand::Flushing,
            Fate::Lingering => Stand::Lingering,
            Fate::Gone => Stand::Closed,
            Fate::Abort => Stand::Reset,
        }
    }

    pub(crate) fn unsent(&self) -> usize {
        self.output.len()
    }

    pub(crate) fn buffered(&self) -> usize {
        self.input.len()
    }

    /// What the client has read so far.
    pub(crate) fn read(&self) -> Wire {
        let methods: Vec<&str> = self
            .told
            .iter()
            .filter_map(|told| match told {
                Told::Request(words) => words.split(' ').next(),
                _ => None,
            })
            .collect();
        let closed = self.shut || self.stand() == Stand::Closed;
        reader::read(&self.wire, &methods, closed)
    }

    pub(crate) fn answers(&self) -> Vec<Answer> {
        self.read().answers
    }

    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.answers().iter().map(|answer| answer.status).collect()
    }

    /// The one answer there is, which is whole.
    pub(crate) fn only(&self) -> Answer {
        let answers = self.answers();
        assert_eq!(answers.len(), 1, "{}", self.wire.escape_ascii());
        assert!(answers[0].whole);
        answers.into_iter().next().unwrap()
    }

    pub(crate) fn end_reason(&self) -> Option<EndReason> {
        self.http.end_reason()
    }

    /// Checks that the client was turned away properly: it can read why, and knows of the close.
    pub(crate) fn assert_refused(&self, status: u16, reason: EndReason) {
        let answers = self.answers();
        let last = answers.last().unwrap();
        assert_eq!((last.status, last.whole), (status, true));
        assert!(last.announces_close() && !last.body.is_empty());
        assert_eq!(
            (self.stand(), self.end_reason()),
            (Stand::Lingering, Some(reason))
        );
    }
}

pub(crate) fn request(text: &str) -> Told {
    Told::Request(text.to_owned())
}

pub(crate) fn early_eof() -> Told {
    Told::Failed(Misbehaviour::EarlyEof.into())
}
