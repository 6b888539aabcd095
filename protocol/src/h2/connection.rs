//! The server's half of one HTTP/2 connection as a state machine without input or output of its own (RFC 9113).
//!
//! It decides everything that depends on bytes and moments: what a frame means in the state that its stream is in, who may
//! send how much and whose turn it is, which limit was hit, whether a stream or the connection goes on. It leaves to the
//! driver: reading, writing, closing, the clock and the app. What a single frame, a window or a budget is stands in the
//! modules beside this one.
//!
//! The driver calls, in each of its turns:
//! 1. [`Connection::handle_eof`] or [`Connection::handle_reset`], if that is what reading came to; then
//!    [`Connection::poll`] with everything received and not yet consumed, until it says [`Event::More`],
//!    [`Event::Held`] or [`Event::Closing`];
//! 2. for each stream, the app's verbs: [`Connection::admit`], [`Connection::want_body`], [`Connection::consumed`],
//!    [`Connection::respond`], [`Connection::send`], [`Connection::finish`], or [`Connection::reset`]; and
//!    [`Connection::release`] after [`Event::Reset`];
//! 3. [`Connection::flush`], a write of what stands in the output, [`Connection::handle_output`], and, for the streams that
//!    [`Connection::take_resumed`] names, more of their bodies;
//! 4. [`Connection::fate`] and [`Connection::deadline`], as for HTTP/1.1. Where [`Connection::owes_events`] is true,
//!    [`Connection::poll`] is called again, if need be without input.

mod answering;
mod blocks;
mod bodies;
mod closing;
mod control;
mod heads;
mod receiving;
mod sending;
mod timing;

use super::error_code::ErrorCode;
use super::fault::Fault;
use super::flood::Flood;
use super::frame::{self, Preface};
use super::output_rate::OutputRate;
use super::priority::{Priority, Schedule};
use super::reader::Reader;
use super::settings::{Settings, Side};
use super::stream::{End, Receive, Reset, Stream, StreamDeadlines, StreamKey, Transmit};
use super::streams::Streams;
use super::terms::Terms;
use super::trips::Trips;
use super::window::{ReceiveWindow, SendWindow, WINDOW_DEFAULT};
use crate::connection::{Fate, Overrides, Turn, with_jitter};
use crate::end_reason::EndReason;
use crate::fields::{ContentType, Fields};
use crate::head::Head;
use crate::hpack::Encoder;
use crate::refusal::Refusal;
use crate::response::{BodyLength, ResponseError, ResponseHead};
use crate::status::Status;
use bytes::Bytes;
use heads::Heads;
use lanner_limits::{Deadlines, Limits, Moment, Timer, Trip, WriteRate};
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

pub use receiving::{Event, Step};

/// PRIORITY_UPDATE that came before its stream: so many are kept. One for each of a page's images that are asked for next.
const EARLY_PRIORITIES_MAX: usize = 32;

/// How long a connection is idle before its tables are given back. Bursts of requests come closer together.
const RELEASE_AFTER: std::time::Duration = std::time::Duration::from_secs(2);

/// How far we have come in leaving (section 6.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leaving {
    No,
    /// We said that we are about to; requests on their way are still taken.
    Announced,
    /// Streams above this one are not looked at.
    Final {
        last_stream: u32,
    },
}

/// So many offences are kept until somebody takes them; those that come on top are counted by the budget for resets only.
const OFFENCES_KEPT: usize = 256;

/// What a client did wrong on one stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offence {
    /// It was answered by us.
    Refused(Refusal),
    /// It was reset.
    Reset(Reset),
}

/// A PING of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ping {
    None,
    /// Is anybody there?
    Alive,
}

/// What stays of an answer when its stream is gone.
#[derive(Clone, Copy, Debug, Default)]
struct LastAnswer {
    stream: u32,
    status: Option<Status>,
    body_bytes: u64,
}

impl LastAnswer {
    fn new(key: StreamKey, stream: &Stream) -> Self {
        Self {
            stream: key.id,
            status: stream.answered,
            body_bytes: stream.body_bytes_sent,
        }
    }
}

/// One client's connection. The module's documentation gives the order of calls.
///
/// Invariants: `queued_bytes` is the sum of what the streams have queued, `head_bytes` of their heads; `streams_due` is not later than any deadline of any
/// stream; what the connection's receive window has unread is what its streams' windows have; `fate` never goes back to
/// `Open`, and there are no streams once it is something else.
pub struct Connection {
    limits: Rc<Limits>,
    /// Until it has come.
    preface: Option<Preface>,
    reader: Reader,
    streams: Streams<Stream>,
    schedule: Schedule,
    heads: Heads,
    terms: Terms,
    flood: Flood,
    receive_window: ReceiveWindow,
    send_window: SendWindow,
    /// Events that came of something else than the frame being looked at.
    owed: VecDeque<Event>,
    resumed: VecDeque<StreamKey>,
    offences: VecDeque<(u32, Offence)>,
    /// Streams that wait to hear that they may go on, who has waited longest first.
    held: VecDeque<StreamKey>,
    /// How often one was told so, as far as its turns go.
    resumes: u8,
    queued_bytes: usize,
    /// The heads of all streams.
    head_bytes: usize,
    early_priorities: Vec<(u32, Priority)>,
    /// Whether the client has ever said anything about priorities.
    speaks_priorities: bool,
    deadlines: Deadlines,
    streams_due: Moment,
    ping_due: Moment,
    release_due: Moment,
    ping: Ping,
    /// When the client last sent something, or took something that had waited for it.
    heard: Moment,
    output_rate: OutputRate,
    /// Bytes ever queued in the output.
    output_bytes: u64,
    requests: u64,
    /// The highest stream that the client has named in HEADERS.
    last_stream: u32,
    leaving: Leaving,
    /// Why we leave.
    leaving_reason: EndReason,
    idle_since: Moment,
    fate: Fate,
    /// TLS is below.
    secure: bool,
    /// Windows may grow: memory is normal.
    windows_grow: bool,
    greeted: bool,
    peer_leaving: bool,
    /// Bytes of the output that the last write left. Where it left some, the client has not taken what we said.
    backlog: usize,
    aged: bool,
    eof: bool,
    last_answer: LastAnswer,
    /// By the places of the streams that the connection's end has cut, whose exchanges are still to be ended.
    cut_answers: Vec<LastAnswer>,
    trips: Trips,
    end: Option<EndReason>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("reader", &self.reader)
            .field("streams", &self.streams.count())
            .field("last_stream", &self.last_stream)
            .field("leaving", &self.leaving)
            .field("fate", &self.fate)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// A connection accepted `now`, whose client is expected to send the preface. `seed` spreads the ages of connections that
    /// began together.
    pub fn new(limits: Rc<Limits>, now: Moment, seed: u64) -> Self {
        let mut deadlines = Deadlines::default();
        deadlines.set(Timer::FirstByte, now + limits.first_byte_timeout);
        if let Some(age) = limits.max_connection_age {
            deadlines.set(Timer::Age, now + with_jitter(age, seed));
        }
        let ping_due = limits
            .h2_ping_interval
            .map_or(Moment::MAX, |interval| now + interval);
        // Extended CONNECT is not announced before somebody can serve it.
        let own = Settings {
            connect_protocol: false,
            ..Settings::of_server(&limits)
        };
        Self {
            preface: Some(Preface::new()),
            reader: Reader::new(
                limits.h2_max_frame,
                2 * (limits.max_request_line + limits.max_header_bytes),
            ),
            streams: Streams::new(),
            schedule: Schedule::new(),
            heads: Heads::default(),
            terms: Terms::new(&limits, own, Side::Client),
            flood: Flood::new(&limits, now),
            receive_window: ReceiveWindow::new(WINDOW_DEFAULT, now),
            send_window: SendWindow::new(WINDOW_DEFAULT),
            owed: VecDeque::new(),
            resumed: VecDeque::new(),
            offences: VecDeque::new(),
            held: VecDeque::new(),
            resumes: 1,
            queued_bytes: 0,
            head_bytes: 0,
            early_priorities: Vec::new(),
            speaks_priorities: false,
            deadlines,
            streams_due: Moment::MAX,
            ping_due,
            release_due: Moment::MAX,
            ping: Ping::None,
            heard: now,
            output_rate: OutputRate::default(),
            output_bytes: 0,
            requests: 0,
            last_stream: 0,
            leaving: Leaving::No,
            leaving_reason: EndReason::Announced,
            idle_since: now,
            fate: Fate::Open,
            secure: false,
            windows_grow: true,
            greeted: false,
            peer_leaving: false,
            backlog: 0,
            aged: false,
            eof: false,
            last_answer: LastAnswer::default(),
            cut_answers: Vec::new(),
            trips: Trips::default(),
            end: None,
            limits,
        }
    }

    /// The handshake is over `now`: TLS is below, so that `https` is what requests are expected to name, and the first of them
    /// has the time that any other has.
    pub fn handle_handshake(&mut self, now: Moment) {
        self.secure = true;
        self.deadlines.clear(Timer::FirstByte);
        self.idle_since = now;
        self.deadlines
            .set(Timer::KeepAlive, now + self.limits.keepalive_timeout);
    }

    /// Lets CONNECT name a protocol (RFC 8441), which the client is told with our first SETTINGS: to be called before anything
    /// else. Such a request comes with [`Head::upgrade`] set.
    pub fn offer_connect_protocol(&mut self) {
        let wanted = Settings {
            connect_protocol: true,
            ..*self.terms.own.wanted()
        };
        self.terms.own.want(wanted);
    }

    /// Says whether windows may grow beyond what they begin with: not while memory is short.
    pub fn set_windows_grow(&mut self, grow: bool) {
        self.windows_grow = grow;
    }

    // Getters.

    /// What the driver is to do with the socket.
    pub fn fate(&self) -> Fate {
        self.fate
    }

    /// The moment at which [`Connection::handle_timeout`] is due if nothing else happens first, or one before it.
    pub fn deadline(&self) -> Option<Moment> {
        let at = self
            .streams_due
            .min(self.terms.due)
            .min(self.ping_due)
            .min(self.release_due);
        let at = self
            .deadlines
            .earliest()
            .map_or(at, |earliest| earliest.min(at));
        (at < Moment::MAX).then_some(at)
    }

    /// Why the connection ends, once it does.
    pub fn end_reason(&self) -> Option<EndReason> {
        self.end
    }

    /// Requests begun on this connection.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Streams that exist now, those among them whose client has reset them and whose exchange is not released yet.
    pub fn streams(&self) -> usize {
        self.streams.count()
    }

    /// Since when the connection has been waiting for a request, if it is doing just that. A client that still takes
    /// its last answer is not idle.
    pub fn idle_since(&self) -> Option<Moment> {
        (self.awaits_request() && self.backlog == 0).then_some(self.idle_since)
    }

    /// Whether no request is there, not even in part.
    pub fn awaits_request(&self) -> bool {
        self.streams.count() == 0 && !self.reader.is_in_block() && self.fate == Fate::Open
    }

    /// Whether it only waits for the client to take its last answer and close.
    pub fn is_lingering(&self) -> bool {
        self.fate == Fate::Lingering
    }

    /// Whether the client has ended its side, and every stream is over too.
    pub fn has_ended(&self) -> bool {
        self.eof && self.streams.count() == 0
    }

    /// Whether an exchange is under way.
    pub fn in_exchange(&self) -> bool {
        self.streams.count() > 0
    }

    /// Whether bytes are worth reading with `unsent` bytes of ours waiting to go out. A client that does not read is not
    /// read from: whatever it sends would make us answer.
    pub fn wants_input(&self, unsent: usize) -> bool {
        !self.eof && (self.fate != Fate::Open || unsent < self.limits.h2_max_send_buffer)
    }

    /// Whether [`Connection::poll`] has something to say without any input.
    pub fn owes_events(&self) -> bool {
        !self.owed.is_empty()
    }

    /// The status sent on a stream that exists, was the last to end, or was cut by the connection's end, ours or the app's: for
    /// the access log.
    pub fn answered(&self, stream: StreamKey) -> Option<Status> {
        match self.streams.at(stream) {
            Some(found) => found.answered,
            None => self.last_answer_on(stream).status,
        }
    }

    /// Body bytes queued for the answer on such a stream, for the access log.
    pub fn body_bytes_sent(&self, stream: StreamKey) -> u64 {
        match self.streams.at(stream) {
            Some(found) => found.body_bytes_sent,
            None => self.last_answer_on(stream).body_bytes,
        }
    }

    fn last_answer_on(&self, stream: StreamKey) -> LastAnswer {
        let cut = self.cut_answers.get(stream.place());
        cut.into_iter()
            .chain([&self.last_answer])
            .find(|answer| answer.stream == stream.id)
            .copied()
            .unwrap_or_default()
    }

    /// Whether the exchange on this stream is under way: one that was answered or reset in the app's place is not.
    pub fn has(&self, stream: StreamKey) -> bool {
        self.streams
            .at(stream)
            .is_some_and(|stream| !stream.reset && stream.transmit != Transmit::Over)
    }

    /// Whether the body of the request is still to come, in part or whole.
    pub fn body_open(&self, stream: StreamKey) -> bool {
        self.streams.at(stream).is_some_and(Stream::is_read)
    }

    /// Whether an answer is owed on this stream and none has been begun.
    pub fn awaits_response(&self, stream: StreamKey) -> bool {
        self.streams
            .at(stream)
            .is_some_and(|stream| stream.transmit == Transmit::Pending && !stream.reset)
    }

    /// A limit that was hit, once for each time that it was, for the counters: to be called until there is none.
    #[inline]
    pub fn take_trip(&mut self) -> Option<Trip> {
        self.trips.take()
    }

    /// What the client did wrong and was told on a stream of this number, the oldest first, for the log: requests that were never handed on, for which there is no other event than [`Event::Refused`], and streams that
    /// [`Event::Reset`] ended by a fault of the client's. To be taken after [`Connection::poll`]; also when the connection has
    /// ended.
    pub fn take_misbehaviour(&mut self) -> Option<(u32, Offence)> {
        self.offences.pop_front()
    }

    // What several ways lead to.

    fn note(&mut self, refusal: Refusal) {
        if let Refusal::Trip(trip) = refusal {
            self.trips.note(trip);
        }
    }

    /// Lowers the bound below which no stream has a deadline.
    #[inline]
    fn due_by(&mut self, at: Moment) {
        self.streams_due = self.streams_due.min(at);
    }

    /// The most that a stream's window may grow to now.
    fn stream_window_max(&self) -> u32 {
        if self.windows_grow {
            self.limits.h2_stream_window_max()
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_takes_1600_bytes_beside_its_tables_of_fields() {
        assert!(
            size_of::<Connection>() <= 1600,
            "{}",
            size_of::<Connection>()
        );
    }
}
