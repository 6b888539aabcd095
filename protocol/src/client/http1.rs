//! The client's half of one HTTP/1.1 connection as a state machine without input or output of its own (RFC 9112).
//!
//! It decides which response belongs to which request, where each ends, and whether the connection can be used again. It
//! leaves to the driver: connecting, reading, writing, closing, the clock, how deep to pipeline, what to send again, and how
//! long to wait for an answer.
//!
//! The driver calls, in each of its turns:
//! 1. [`Connection::handle_eof`] or [`Connection::handle_reset`], if that is what reading came to; then
//!    [`Connection::poll`] with everything received and not yet consumed, until it says [`Event::More`], [`Event::Closed`] or
//!    [`Event::Failed`]. Whoever stops calling it holds the server back;
//! 2. while [`Connection::may_request`] is true, [`Connection::send_prepared`], or [`Connection::request`] with
//!    [`Connection::send`] and [`Connection::finish`] for its body;
//! 3. a write of what stands in the output;
//! 4. [`Connection::is_over`], which says that the connection is to be closed; [`Connection::is_reusable`], whether it may go
//!    back to a pool; and [`Connection::deadline`], the moment by which [`Connection::handle_timeout`] is due.

mod error;
mod head;
mod prepared;
mod receiving;

pub use error::Error;
pub use prepared::Prepared;
pub use receiving::{Event, Step};

use super::{InvalidRequest, Request, SendError, Turn};
use crate::fields::Fields;
use crate::head::Version;
use crate::receive::BodyDecoder;
use crate::response::{BodyLength, Framing};
use bytes::Bytes;
use head::{Asked, HeadScan};
use lanner_limits::{Limits, Moment, Trip};
use prepared::Sent;
use std::collections::VecDeque;
use std::rc::Rc;

/// How many requests may wait for their responses. More than any server answers at once; the driver chooses how many it
/// sends.
pub const IN_FLIGHT_MAX: usize = 1024;

/// Where the next byte of input belongs.
///
/// ```text
///            head                end of body
///   Head ───────────▶ Body, UntilClose ─────────▶ Head, or Over where it was the last response
///    └─ 101, or 2xx for CONNECT ──▶ Tunnel
/// ```
#[derive(Debug)]
enum Receive {
    Head(HeadScan),
    Body(BodyDecoder),
    UntilClose,
    /// Another protocol's bytes.
    Tunnel,
    /// Nothing that still comes concerns anybody.
    Over,
}

/// What is being sent.
#[derive(Debug)]
enum Transmit {
    Idle,
    Body(Framing),
    Tunnel,
}

/// One connection to a server. The module's documentation gives the order of calls.
///
/// Invariants: `receive` is `Over` exactly if `failed` is set or the connection has served; while `receive` is a body's, the
/// response's request is no longer in `in_flight`.
#[derive(Debug)]
pub struct Connection {
    limits: Rc<Limits>,
    receive: Receive,
    transmit: Transmit,
    in_flight: VecDeque<Asked>,
    /// Whether the response under way is the server's last.
    keeps: bool,
    /// A request of ours said that it is the last.
    last: bool,
    /// The last request in flight may turn the connection into a tunnel, so none is sent behind it.
    may_switch: bool,
    /// The server has answered in HTTP/1.0.
    http10: bool,
    eof: bool,
    /// Empty lines since the last response.
    empty_lines: u8,
    informational: u16,
    head_due: Option<Moment>,
    failed: Option<Error>,
    requests: u64,
    responses: u64,
}

impl Connection {
    /// A connection that was just established.
    #[must_use]
    pub fn new(limits: Rc<Limits>) -> Self {
        Self {
            limits,
            receive: Receive::Head(HeadScan::default()),
            transmit: Transmit::Idle,
            in_flight: VecDeque::new(),
            keeps: true,
            last: false,
            may_switch: false,
            http10: false,
            eof: false,
            empty_lines: 0,
            informational: 0,
            head_due: None,
            failed: None,
            requests: 0,
            responses: 0,
        }
    }

    // Getters.

    /// Whether another request may be sent now, behind those in flight. Whether it should be is the driver's to judge: behind
    /// a request that must not be sent twice, none should (section 9.3.2).
    #[inline]
    #[must_use]
    pub fn may_request(&self) -> bool {
        matches!(self.transmit, Transmit::Idle)
            && !self.last
            && !self.may_switch
            && !self.eof
            && self.in_flight.len() < IN_FLIGHT_MAX
            && self.keeps
            && !self.is_over()
    }

    /// Whether everything that was asked for has come, and the next request may be sent: what a pool asks.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        self.in_flight.is_empty() && self.may_request() && matches!(self.receive, Receive::Head(_))
    }

    /// Whether the connection has served its purpose or failed, and is to be closed.
    #[inline]
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.receive, Receive::Over)
    }

    /// Why the connection failed, if it did.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.failed
    }

    /// The moment at which [`Connection::handle_timeout`] is due: a head, once begun, is to be complete in
    /// `LANNER_HEADER_TIMEOUT`.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        self.head_due
    }

    /// How many requests wait for the head of their final response. Where the connection is over, nobody knows what has
    /// become of them (section 9.6).
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether the connection is a tunnel: bytes of another protocol go both ways.
    #[must_use]
    pub fn is_tunnel(&self) -> bool {
        matches!(self.receive, Receive::Tunnel)
    }

    /// Whether the body of a request is still to be sent.
    #[must_use]
    pub fn sends_body(&self) -> bool {
        matches!(self.transmit, Transmit::Body(_))
    }

    /// Requests begun.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Final responses that have come as a whole.
    #[must_use]
    pub fn responses(&self) -> u64 {
        self.responses
    }

    // Sending.

    /// Sends a whole request that was prepared.
    ///
    /// # Errors
    /// [`SendError::NotNow`] where [`Connection::may_request`] is false.
    #[inline]
    pub fn send_prepared(
        &mut self,
        turn: &mut Turn<'_>,
        request: &Prepared,
    ) -> Result<(), SendError> {
        if !self.may_request() {
            return Err(SendError::NotNow);
        }
        turn.output.push(&request.front);
        if !request.rest.is_empty() {
            turn.output.push_shared(request.rest.clone());
        }
        self.note(request.sent);
        Ok(())
    }

    /// Sends a request's head. Its body, if it has one, is to follow before the next request.
    ///
    /// # Errors
    /// The request is none, or [`Connection::may_request`] is false.
    pub fn request(&mut self, turn: &mut Turn<'_>, request: &Request<'_>) -> Result<(), SendError> {
        if !self.may_request() {
            return Err(SendError::NotNow);
        }
        // Section 6.1: chunks are for servers that are known to read them, or not known not to.
        if self.http10 && request.body == Some(BodyLength::Unknown) {
            return Err(InvalidRequest::ChunkedToHttp10.into());
        }
        let (framing, sent) = prepared::write(request, turn.output)?;
        if request.has_body() {
            self.transmit = Transmit::Body(framing);
        }
        self.note(sent);
        Ok(())
    }

    #[inline]
    fn note(&mut self, sent: Sent) {
        self.requests += 1;
        self.last = sent.close;
        self.may_switch = sent.asked.connect || sent.asked.upgrade;
        self.in_flight.push_back(sent.asked);
    }

    /// Sends a piece of the request's body, or of the tunnel. The driver keeps count of what waits in the output.
    ///
    /// # Errors
    /// More than was announced, after which the connection is over; or nothing is being sent.
    pub fn send(&mut self, turn: &mut Turn<'_>, piece: Bytes) -> Result<(), SendError> {
        match &mut self.transmit {
            Transmit::Body(framing) => framing.send(piece, turn.output).map_err(|error| {
                self.fail(Error::RequestIncomplete);
                error.into()
            }),
            Transmit::Tunnel => {
                turn.output.push_shared(piece);
                Ok(())
            }
            Transmit::Idle => Err(SendError::Closed),
        }
    }

    /// Ends the request's body. Trailers are sent where it is chunked.
    ///
    /// # Errors
    /// Less than was announced, after which the connection is over.
    pub fn finish(
        &mut self,
        turn: &mut Turn<'_>,
        trailers: Option<&Fields>,
    ) -> Result<(), SendError> {
        let Transmit::Body(framing) = &self.transmit else {
            return Ok(());
        };
        if let Err(error) = framing.finish(trailers, turn.output) {
            self.fail(Error::RequestIncomplete);
            return Err(error.into());
        }
        self.transmit = Transmit::Idle;
        Ok(())
    }

    // What happens to the socket.

    /// The server has ended its side in an orderly way: over TLS, with its alert (section 9.8). What it sent before counts,
    /// and is still to be looked at.
    pub fn handle_eof(&mut self) {
        self.eof = true;
    }

    /// The connection is broken, or ended without what ends TLS: a response that only the close would end is incomplete.
    pub fn handle_reset(&mut self) {
        if !self.is_over() {
            self.fail(Error::ConnectionReset);
        }
    }

    /// Handles the deadline if it has passed.
    pub fn handle_timeout(&mut self, now: Moment) {
        if self.head_due.is_some_and(|due| due <= now) {
            self.fail(Trip::HeaderTimeout.into());
        }
    }

    #[cold]
    fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
        self.end();
    }

    /// Nothing goes on.
    fn end(&mut self) {
        self.receive = Receive::Over;
        self.transmit = Transmit::Idle;
        self.head_due = None;
    }

    /// Whether the server speaks HTTP/1.0, and so reads no chunks.
    #[must_use]
    pub fn is_http10(&self) -> bool {
        self.http10
    }

    fn note_version(&mut self, version: Version) {
        self.http10 = version == Version::Http10;
    }
}
