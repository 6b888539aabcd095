//! One HTTP/1.1 connection as a state machine without input or output of its own (RFC 9110, RFC 9112).
//!
//! It decides everything that depends on bytes and moments: where a head ends, how a body is framed, when 100 is
//! sent, which limit was hit, whether the connection goes on. It leaves to the driver: reading, writing, closing, the
//! clock and the app. See the crate's documentation for the order of calls.

mod answering;
mod receiving;
mod securing;
mod timing;

use crate::chunked::{self, ChunkedDecoder};
use crate::end_reason::EndReason;
use crate::fields::{ContentType, Fields};
use crate::framing;
use crate::head::{Head, Version};
use crate::method::Method;
use crate::misbehaviour::Misbehaviour;
use crate::output::Output;
use crate::receive::{BodyDecoder, Decoded, Event, Receive, Step};
use crate::refusal::Refusal;
use crate::response::{self, BodyLength, Circumstances, Framing, ResponseError, ResponseHead};
use crate::scan::{self, HeadScan};
use crate::status::Status;
use bytes::Bytes;
use lanner_limits::{Close, Deadlines, Limits, MinRate, Moment, ReadRate, Timer, Trip, WriteRate};
use std::rc::Rc;
use std::time::Duration;

/// How long a connection that has not sent its first request may still do so once the server stops: it may have been
/// accepted a moment ago, with its request still on the way.
const STOP_FRESH_GRACE: Duration = Duration::from_secs(1);

/// What one call may use: the moment it happens at, and where bytes for the peer go.
#[derive(Debug)]
pub struct Turn<'a> {
    /// Now, read once for the whole turn.
    pub now: Moment,
    /// Where bytes for the peer are queued.
    pub output: &'a mut Output,
    /// The `Date` to send (RFC 9110 section 6.6.1).
    pub date: &'a [u8; 29],
}

/// What an app may change for one request before its body is read and before it is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// In place of `LANNER_MAX_REQUEST_BODY`; `Some(None)` is no limit.
    pub max_body: Option<Option<u64>>,
    /// In place of `LANNER_MIN_BODY_RATE`; `Some(None)` is no minimum.
    pub min_body_rate: Option<Option<MinRate>>,
    /// In place of `LANNER_MIN_RESPONSE_RATE`; `Some(None)` is no minimum.
    pub min_response_rate: Option<Option<MinRate>>,
}

/// What the driver is to do with the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Go on.
    Open,
    /// Write what is queued; then close, or with `linger` shut the sending side down and call
    /// [`Connection::handle_shutdown`] (RFC 9112 section 9.6: a close with unread input can reset the connection
    /// and eat the answer).
    Flush {
        /// Whether input may still come that must be read away.
        linger: bool,
    },
    /// The sending side is shut down; read and throw away until the client closes or the deadline comes.
    Lingering,
    /// Close now, in the ordinary way.
    Gone,
    /// Close now with a reset, so that the peer cannot take what it got for the whole.
    Abort,
}

impl Fate {
    /// What it becomes when TLS has ended below, by `trip` if by a limit: nothing more can be said or heard. None where it stays.
    pub(crate) fn without_tls(self, trip: Option<Trip>) -> Option<Fate> {
        if !matches!(self, Fate::Open | Fate::Flush { .. }) {
            return None;
        }
        Some(match trip {
            Some(trip) if trip.answer().close == Close::Abort => Fate::Abort,
            _ => Fate::Flush { linger: false },
        })
    }
}

/// What is kept of a request while it is being answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Exchange {
    head_request: bool,
    http10: bool,
    /// `100 (Continue)` is owed before the body is read.
    continue_owed: bool,
    upgrade_offered: bool,
    /// The client said that this is its last request.
    close_asked: bool,
    /// The answer said that it is the last one.
    close_announced: bool,
    max_body: Option<u64>,
    min_body_rate: Option<MinRate>,
    body_bytes: u64,
    /// The app waits for body bytes.
    wanted: bool,
    /// Why the body could not be received; the answer this calls for wins over the app's.
    failure: Option<Refusal>,
}

impl Exchange {
    const IDLE: Self = Self {
        head_request: false,
        http10: false,
        continue_owed: false,
        upgrade_offered: false,
        close_asked: false,
        close_announced: false,
        max_body: None,
        min_body_rate: None,
        body_bytes: 0,
        wanted: false,
        failure: None,
    };

    /// Whether nothing is kept but what the beginning of the next request has told already.
    fn is_idle(&self) -> bool {
        let Self { head_request, .. } = *self;
        *self
            == Self {
                head_request,
                ..Self::IDLE
            }
    }
}

/// The sending half.
///
/// ```text
/// Idle ─ head received ─▶ Pending ─ respond ─▶ Body ─ finish ─▶ Idle
///                            └─ respond_upgrade ─▶ Upgraded
/// ```
#[derive(Debug)]
enum Transmit {
    Idle,
    /// The app works on its answer.
    Pending,
    Body(Framing),
    /// 101 is queued; sent and received bytes belong to another protocol.
    Upgraded,
}

/// One client's connection. The crate's documentation gives the order of calls.
///
/// Invariants: `transmit` is `Idle` exactly while `receive` is `Head`, `Draining` or `Discarding`, except that a
/// refused or failed body is discarded while the app still answers; `fate` never goes back to `Open`; while `receive` is
/// `Head` and `fate` is `Open`, `exchange` is `Exchange::IDLE` but for `head_request`, so that a request which begins sets
/// only what it says itself.
#[derive(Debug)]
pub struct Connection {
    limits: Rc<Limits>,
    receive: Receive,
    transmit: Transmit,
    exchange: Exchange,
    deadlines: Deadlines,
    read_rate: ReadRate,
    write_rate: WriteRate,
    /// What the app has set in place of `LANNER_MIN_RESPONSE_RATE` for the last answer, which may go out long after its
    /// exchange is over.
    min_response_rate: Option<Option<MinRate>>,
    requests: u64,
    /// The status of the last answer.
    answered: Option<Status>,
    /// What a client was told that never came to a request.
    refused: Option<Status>,
    /// Body bytes queued for the last answer.
    body_bytes_sent: u64,
    idle_since: Moment,
    fate: Fate,
    /// The exchange waits for its turn (`LANNER_MAX_INFLIGHT`); its request timer is the queue's.
    queued: bool,
    /// What has come since the last request is nothing but empty lines.
    only_empty_lines: bool,
    /// No request is taken after the one being answered.
    last: bool,
    /// A write fell short, and its rest has not gone out yet.
    backlog: bool,
    /// `LANNER_MAX_CONNECTION_AGE` is over and its grace has begun.
    aged: bool,
    /// The client has ended its side.
    eof: bool,
    /// A TLS handshake has to come before any byte of ours.
    handshaking: bool,
    /// What is said here is secured by TLS.
    secure: bool,
    trip: Option<Trip>,
    end: Option<EndReason>,
}

impl Connection {
    /// A connection accepted `now`. `seed` spreads the ages of connections that began together.
    pub fn new(limits: Rc<Limits>, now: Moment, seed: u64) -> Self {
        let mut deadlines = Deadlines::default();
        deadlines.set(Timer::FirstByte, now + limits.first_byte_timeout);
        if let Some(age) = limits.max_connection_age {
            deadlines.set(Timer::Age, now + with_jitter(age, seed));
        }
        Self {
            min_response_rate: None,
            limits,
            receive: Receive::Head(HeadScan::default()),
            transmit: Transmit::Idle,
            exchange: Exchange::IDLE,
            deadlines,
            read_rate: ReadRate::default(),
            write_rate: WriteRate::default(),
            requests: 0,
            answered: None,
            refused: None,
            body_bytes_sent: 0,
            idle_since: now,
            fate: Fate::Open,
            queued: false,
            only_empty_lines: false,
            last: false,
            backlog: false,
            aged: false,
            eof: false,
            handshaking: false,
            secure: false,
            trip: None,
            end: None,
        }
    }

    // Getters.

    /// What the driver is to do with the socket.
    pub fn fate(&self) -> Fate {
        self.fate
    }

    /// The moment at which [`Connection::handle_timeout`] is due if nothing else happens first.
    pub fn deadline(&self) -> Option<Moment> {
        self.deadlines.earliest()
    }

    /// Why the connection ends, once it does.
    pub fn end_reason(&self) -> Option<EndReason> {
        self.end
    }

    /// Requests begun on this connection.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Since when the connection has been waiting for a request, if it is doing just that. A client that still takes
    /// its last answer is not idle.
    pub fn idle_since(&self) -> Option<Moment> {
        (self.awaits_request() && !self.backlog).then_some(self.idle_since)
    }

    /// Whether the next byte, if one comes, begins a request.
    pub fn awaits_request(&self) -> bool {
        matches!(self.receive, Receive::Head(_))
            && !self.deadlines.is_set(Timer::Head)
            && self.fate == Fate::Open
    }

    /// Whether the input held is nothing but empty lines, at which there is no need to look again.
    pub fn has_only_empty_lines(&self) -> bool {
        self.only_empty_lines
    }

    /// Whether it only waits for the client to take its last answer and close.
    pub fn is_lingering(&self) -> bool {
        self.fate == Fate::Lingering
    }

    /// Whether another protocol has taken over.
    pub fn is_upgraded(&self) -> bool {
        matches!(self.transmit, Transmit::Upgraded)
    }

    /// Whether a request has been dispatched and its exchange is not over.
    pub fn in_exchange(&self) -> bool {
        !matches!(self.transmit, Transmit::Idle)
    }

    /// Whether an answer is owed and none has been begun.
    pub fn awaits_response(&self) -> bool {
        matches!(self.transmit, Transmit::Pending)
    }

    /// Whether the body of the request is still to come, in part or whole.
    pub fn body_open(&self) -> bool {
        match self.receive {
            Receive::Body(_) | Receive::Upgraded => true,
            Receive::Complete => self.is_upgraded(),
            _ => false,
        }
    }

    /// Whether bytes are worth reading with `buffered` of them held already. What is not read stays in the socket's
    /// buffer and slows the sender down.
    pub fn wants_input(&self, buffered: usize) -> bool {
        if self.eof {
            return false;
        }
        match self.receive {
            Receive::Head(_) | Receive::Draining { .. } => true,
            Receive::Discarding => self.fate != Fate::Open,
            Receive::Body(_) | Receive::Upgraded => {
                self.exchange.wanted || buffered < self.limits.request_buffer
            }
            Receive::Complete => buffered == 0,
        }
    }

    /// The status sent for the last request, ours or the app's, for the access log.
    pub fn answered(&self) -> Option<Status> {
        self.answered
    }

    /// Body bytes queued for the last answer, for the access log.
    pub fn body_bytes_sent(&self) -> u64 {
        self.body_bytes_sent
    }

    /// What a client was told since the last call that never came to a request, for the access log.
    pub fn take_refused(&mut self) -> Option<Status> {
        self.refused.take()
    }

    /// The limit that was hit since the last call, for the counters.
    pub fn take_trip(&mut self) -> Option<Trip> {
        self.trip.take()
    }

    // What several ways lead to.

    fn note(&mut self, refusal: Refusal) {
        if let Refusal::Trip(trip) = refusal {
            self.trip = Some(trip);
        }
    }

    fn close(&mut self, linger: bool, reason: EndReason) {
        self.end.get_or_insert(reason);
        self.transmit = Transmit::Idle;
        self.receive = Receive::Discarding;
        let response_rate = self.deadlines.at(Timer::ResponseRate);
        self.deadlines.clear_all();
        if let Some(at) = response_rate {
            self.deadlines.set(Timer::ResponseRate, at);
        }
        self.fate = Fate::Flush { linger };
    }

    fn gone(&mut self, reason: EndReason) {
        self.end.get_or_insert(reason);
        self.transmit = Transmit::Idle;
        self.receive = Receive::Discarding;
        self.deadlines.clear_all();
        self.fate = Fate::Gone;
    }
}

/// Spreads `age` by up to a tenth in either direction, so that connections which began together do not all come
/// back together.
pub(crate) fn with_jitter(age: Duration, seed: u64) -> Duration {
    let spread = age / 5;
    let millionths = ((seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) * 1_000_000) >> 32;
    age - age / 10 + spread.mul_f64(millionths as f64 / 1e6)
}
