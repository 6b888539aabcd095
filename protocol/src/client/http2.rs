//! The client's half of one HTTP/2 connection as a state machine without input or output of its own (RFC 9113).
//!
//! It decides what a frame means in the state that its stream is in, who may send how much, and whether a stream or the
//! connection goes on. It leaves to the driver: connecting, reading, writing, closing, the clock, what to send again, how long
//! to wait for an answer, and whose body to send first.
//!
//! The driver calls, in each of its turns:
//! 1. [`Connection::handle_eof`] or [`Connection::handle_reset`], if that is what reading came to; then
//!    [`Connection::poll`] with everything received and not yet consumed, until it says [`Event::More`], [`Event::Held`],
//!    [`Event::Closed`] or [`Event::Failed`]; and [`Connection::consumed`] for each [`Event::Data`], once, when its bytes are
//!    out of the driver's hands, whatever has become of its stream meanwhile;
//! 2. while [`Connection::may_request`] is true, [`Connection::request`] or [`Connection::send_prepared`]; for bodies,
//!    [`Connection::send`] and [`Connection::finish`], at once and for each stream that [`Connection::take_resumed`] names;
//! 3. [`Connection::flush`], a write of what stands in the output, and [`Connection::handle_output`];
//! 4. [`Connection::is_over`], which says that the connection is to be closed when the output is written; and
//!    [`Connection::deadline`], the moment by which [`Connection::handle_timeout`] is due.
//!
//! Bodies are not queued here: what the windows do not let through stays with the driver, and so holds back whoever it gets it
//! from.

mod blocks;
mod bodies;
mod closing;
mod control;
mod error;
mod receiving;
mod requesting;
mod response_fields;
mod sending;
mod stream;

pub use error::{Error, Reset};
pub use receiving::{Event, Step};
pub use requesting::Prepared;

pub use crate::h2::StreamKey;

use super::{Response, SendError, Turn};
use crate::h2::Fault;
use crate::h2::error_code::ErrorCode;
use crate::h2::flood::Flood;
use crate::h2::frame;
use crate::h2::reader::Reader;
use crate::h2::settings::{Settings, Side};
use crate::h2::streams::Streams;
use crate::h2::terms::Terms;
use crate::h2::window::{ReceiveWindow, SendWindow, WINDOW_DEFAULT};
use lanner_limits::{Limits, Moment, Trip};
use std::collections::VecDeque;
use std::rc::Rc;
use stream::{Receive, Stream};

/// One connection to a server. The module's documentation gives the order of calls.
///
/// Invariants: there are no streams once `over` is set; the connection's window has as unread what was told as
/// [`Event::Data`] and not yet as consumed, and what is left of the DATA frame under way.
pub struct Connection {
    limits: Rc<Limits>,
    reader: Reader,
    streams: Streams<Stream>,
    terms: Terms,
    flood: Flood,
    receive_window: ReceiveWindow,
    send_window: SendWindow,
    /// Events that came of something else than the frame being looked at.
    owed: VecDeque<Event>,
    /// Streams with bodies that wait for room.
    waiting: VecDeque<StreamKey>,
    /// How many of those at the front are worth another look.
    resumable: usize,
    /// The number of the next stream.
    next_stream: u32,
    /// What the server has said that it would look at (section 6.8).
    last_stream: u32,
    /// No more requests: a GOAWAY has come, the driver wants none, or there are no numbers left.
    leaving: bool,
    /// The preface is out.
    greeted: bool,
    eof: bool,
    over: bool,
    failed: Option<Error>,
    /// A PING of ours is not answered.
    pinged: bool,
    heard: Moment,
    head_due: Moment,
    ping_due: Moment,
    /// Bytes ever queued in the output.
    output_bytes: u64,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("reader", &self.reader)
            .field("streams", &self.streams.count())
            .field("next_stream", &self.next_stream)
            .field("leaving", &self.leaving)
            .field("over", &self.over)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// A connection that was just established, on TLS or with prior knowledge. At most `LANNER_H2_MAX_STREAMS` streams will be
    /// open, or fewer where the server says so.
    #[must_use]
    pub fn new(limits: Rc<Limits>, now: Moment) -> Self {
        // A stream that we open before the server knows our SETTINGS has the default window: with a smaller one wanted, its
        // credit would be counted by two different windows.
        let own = Settings {
            initial_window: limits.h2_stream_window.max(WINDOW_DEFAULT),
            ..Settings::of_client(&limits)
        };
        let ping_due = limits
            .h2_ping_interval
            .map_or(Moment::MAX, |interval| now + interval);
        Self {
            reader: Reader::new(limits.h2_max_frame, 2 * limits.max_header_bytes),
            streams: Streams::new(),
            terms: Terms::new(&limits, own, Side::Server),
            flood: Flood::new(&limits, now),
            receive_window: ReceiveWindow::new(WINDOW_DEFAULT, now),
            send_window: SendWindow::new(WINDOW_DEFAULT),
            owed: VecDeque::new(),
            waiting: VecDeque::new(),
            resumable: 0,
            next_stream: 1,
            last_stream: frame::STREAM_MAX,
            leaving: false,
            greeted: false,
            eof: false,
            over: false,
            failed: None,
            pinged: false,
            heard: now,
            head_due: Moment::MAX,
            ping_due,
            output_bytes: 0,
            limits,
        }
    }

    // Getters.

    /// Whether another request may be sent now. Before its SETTINGS have come, the server is taken to allow as many streams as
    /// we would open.
    #[inline]
    #[must_use]
    pub fn may_request(&self) -> bool {
        self.streams.count() < self.streams_max() && !self.leaving && !self.over && !self.eof
    }

    /// How many streams may be open together.
    #[must_use]
    pub fn streams_max(&self) -> usize {
        let theirs = self.terms.peer.values().max_streams.unwrap_or(u32::MAX);
        // Places have 16 bits.
        theirs.min(self.limits.h2_max_streams).min(1 << 16) as usize
    }

    /// How many streams are open.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.streams.count()
    }

    /// Whether a stream is open.
    #[must_use]
    pub fn is_open(&self, stream: StreamKey) -> bool {
        self.streams.at(stream).is_some()
    }

    /// Whether the connection has served its purpose or failed, and is to be closed once what is queued is written.
    #[inline]
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Why the connection failed, if it did.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.failed
    }

    /// Whether bytes are worth reading with `unsent` bytes of ours waiting to go out: whatever a server that does not read sends
    /// would make us answer.
    #[must_use]
    pub fn wants_input(&self, unsent: usize) -> bool {
        !self.eof && !self.over && unsent < self.limits.h2_max_send_buffer
    }

    /// Whether [`Connection::poll`] has something to say without any input.
    #[must_use]
    pub fn owes_events(&self) -> bool {
        !self.owed.is_empty()
    }

    /// The moment at which [`Connection::handle_timeout`] is due if nothing else happens first: SETTINGS that are not
    /// acknowledged, a frame that is not complete, silence.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        let at = self.terms.due.min(self.head_due).min(self.ping_due);
        (at < Moment::MAX).then_some(at)
    }

    // What several ways lead to.

    /// The first thing that we say (section 3.4): the preface, our SETTINGS, and the rest of the connection's window.
    #[inline]
    fn greet(&mut self, turn: &mut Turn<'_>) {
        if !self.greeted {
            self.begin(turn);
        }
    }

    #[cold]
    fn begin(&mut self, turn: &mut Turn<'_>) {
        self.greeted = true;
        let out = turn.output.tail();
        out.extend_from_slice(frame::PREFACE);
        self.terms.send(&self.limits, turn.now, out);
        if let Some(increment) = self.receive_window.widen(self.limits.h2_conn_window) {
            frame::encode_window_update(0, increment, out);
        }
    }

    /// A stream is over on both sides.
    #[inline]
    fn remove(&mut self, turn: &mut Turn<'_>, key: StreamKey) {
        if let Some(stream) = self.streams.at_mut(key) {
            self.flood.data_discarded(&mut stream.small_data);
        }
        self.streams.remove(key);
        if self.leaving {
            self.leave_if_done(turn);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::client::Request;
    use crate::fields::Fields;
    use crate::output::Output;
    use lanner_limits::Machine;

    #[test]
    fn a_stream_takes_a_sixth_of_a_kibibyte() {
        assert!(size_of::<Stream>() <= 160, "{}", size_of::<Stream>());
    }

    /// Section 5.1.1: "Stream identifiers cannot be reused. Long-lived connections can result in an endpoint exhausting the
    /// available range of stream identifiers. A client that is unable to establish a new stream identifier can establish a new
    /// connection for new streams."
    #[test]
    fn the_last_number_closes_the_door() {
        let limits = Limits::for_machine(Machine {
            nofile: 65_536,
            memory: 1 << 30,
            cpus: 1,
        });
        let mut connection = Connection::new(Rc::new(limits), Moment::ZERO);
        connection.next_stream = frame::STREAM_MAX;
        let mut output = Output::new();
        let mut turn = Turn {
            now: Moment::ZERO,
            output: &mut output,
        };
        let fields = Fields::new();
        let request = Request::new(b"GET", b"a", b"/", &fields);
        let stream = connection.request(&mut turn, &request).unwrap();
        assert_eq!(stream.id(), frame::STREAM_MAX);
        assert!(!connection.may_request() && !connection.is_over());
        assert_eq!(
            connection.request(&mut turn, &request),
            Err(SendError::NotNow)
        );
        connection.reset(stream, &mut turn, ErrorCode::CANCEL);
        assert!(connection.is_over());
    }
}
