//! One connection in its worker: the protocol that is spoken on it, the input not consumed, the output not sent. What happens
//! in a turn is plain functions here; sockets belong to the backend.
//!
//! `http1` and `http2` take requests from the input. What they call the app with and how its answer is sent is the same for
//! both: `driving` and `answering` work on one exchange, and ask `wire` of the protocol what they need.

mod answering;
mod arrivals;
mod driving;
mod http1;
mod http2;
mod securing;
mod trailers;
mod wire;

use crate::exchange::Dispatch;
use crate::input::Input;
use crate::request::ConnectionInfo;
use crate::response::Response;
use crate::shared::Shared;
use crate::slab::Key;
use http1::Http1;
use http2::Http2;
use lanner_limits::{Limits, Moment, Protocols};
use lanner_protocol::h2::{self, StreamKey};
use lanner_protocol::{EndReason, Fate, Output, Status, Turn};
use std::rc::Rc;

/// How often exchanges are polled or fed before other connections get their turn: a body may come in pieces of a byte.
const STEPS_PER_TURN_MAX: usize = 128;

/// Of what may be the preface of HTTP/2, as much as HTTP/1.1 can take for the beginning of a method: it is shown no more
/// before the rest is there, and its deadlines run meanwhile.
const PREFACE_SHOWN_BYTES: usize = 3;

/// See the file's comment.
pub(crate) struct Connection {
    dialect: Dialect,
    pub(crate) input: Input,
    /// What waits to be written. Between turns its memory belongs to this connection only if a write fell short.
    pub(crate) output: Output,
    /// Bytes to be sent that the protocol was not told of: those added to `output`, and over TLS what encrypting them adds.
    pub(crate) queued: usize,
    key: Key,
    info: Rc<ConnectionInfo>,
    /// There is more to do than one turn may take.
    yielded: bool,
    protocols: Protocols,
    /// The first bytes may be the preface of HTTP/2 (RFC 9113 section 3.3).
    detects: bool,
    /// The server stops.
    stopping: bool,
}

/// What is spoken. Most connections of HTTP/1.1 are idle, and a pointer more to each of their states costs every request; those
/// of HTTP/2 are few.
#[expect(
    clippy::large_enum_variant,
    reason = "the larger one is the one that most are"
)]
enum Dialect {
    Http1(Http1),
    Http2(Box<Http2>),
}

/// What of a connection its protocol works with in a turn.
struct Around<'a> {
    input: &'a mut Input,
    output: &'a mut Output,
    info: &'a Rc<ConnectionInfo>,
    key: Key,
    now: Moment,
}

/// How far a step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Something happened; look again.
    Made,
    /// Nothing more can happen before something comes from outside.
    Stalled,
    /// The turn has had its share.
    Yield,
}

/// The dialect and what it works with, which are borrowed apart.
macro_rules! apart {
    ($connection:ident, $now:expr) => {
        (
            &mut $connection.dialect,
            Around {
                input: &mut $connection.input,
                output: &mut $connection.output,
                info: &$connection.info,
                key: $connection.key,
                now: $now,
            },
        )
    };
}

impl Connection {
    /// A connection accepted `now`.
    pub(crate) fn new(
        limits: &Rc<Limits>,
        now: Moment,
        key: Key,
        info: Rc<ConnectionInfo>,
        protocols: Protocols,
    ) -> Self {
        let http = lanner_protocol::Connection::new(limits.clone(), now, info.id);
        Self {
            dialect: Dialect::Http1(Http1::new(http)),
            input: Input::default(),
            output: Output::new(),
            queued: 0,
            key,
            info,
            yielded: false,
            protocols,
            detects: false,
            stopping: false,
        }
    }

    // Getters.

    pub(crate) fn info(&self) -> &Rc<ConnectionInfo> {
        &self.info
    }

    /// Whether it would go on at once if it got another turn.
    pub(crate) fn has_yielded(&self) -> bool {
        self.yielded
    }

    /// What the driver is to do with the socket.
    #[inline]
    pub(crate) fn fate(&self) -> Fate {
        match &self.dialect {
            Dialect::Http1(http1) => http1.http.fate(),
            Dialect::Http2(http2) => http2.http.fate(),
        }
    }

    #[inline]
    pub(crate) fn deadline(&self) -> Option<Moment> {
        match &self.dialect {
            Dialect::Http1(http1) => http1.http.deadline(),
            Dialect::Http2(http2) => http2.http.deadline(),
        }
    }

    pub(crate) fn end_reason(&self) -> Option<EndReason> {
        match &self.dialect {
            Dialect::Http1(http1) => http1.http.end_reason(),
            Dialect::Http2(http2) => http2.http.end_reason(),
        }
    }

    pub(crate) fn is_lingering(&self) -> bool {
        self.fate() == Fate::Lingering
    }

    /// Since when it has been waiting for a request, if it is doing just that.
    pub(crate) fn idle_since(&self) -> Option<Moment> {
        match &self.dialect {
            Dialect::Http1(http1) => http1.http.idle_since(),
            Dialect::Http2(http2) => http2.http.idle_since(),
        }
    }

    /// Whether something has come of the next request. A client that has sent nothing but empty lines is as idle as one that
    /// has sent nothing.
    pub(crate) fn has_begun(&self) -> bool {
        self.input.len() > 0
            && match &self.dialect {
                Dialect::Http1(http1) => !http1.http.has_only_empty_lines(),
                Dialect::Http2(_) => true,
            }
    }

    /// Whether bytes are worth reading.
    #[inline]
    pub(crate) fn wants_input<D: Dispatch>(&self, shared: &Shared<D>) -> bool {
        match &self.dialect {
            Dialect::Http1(http1) => {
                http1.http.wants_input(self.input.len())
                    && !http1.is_held_back(&self.input, &self.output, &shared.limits)
            }
            Dialect::Http2(http2) => http2.http.wants_input(self.output.len()),
        }
    }

    /// Whether there is room for more input: what is there already comes first, it may be the reason for the next turn.
    #[inline]
    pub(crate) fn has_room<D: Dispatch>(&self, shared: &Shared<D>) -> bool {
        !self.has_yielded() && self.wants_input(shared)
    }

    /// Whether what it is given stays for a while: bytes of a body wait for the app, and requests behind answers that are
    /// not taken wait for those.
    pub(crate) fn keeps_input<D: Dispatch>(&self, shared: &Shared<D>) -> bool {
        match &self.dialect {
            Dialect::Http1(http1) => {
                http1.http.body_open()
                    || http1.is_held_back(&self.input, &self.output, &shared.limits)
            }
            Dialect::Http2(http2) => http2.is_held(),
        }
    }

    /// Whether something stopped only for want of room, so that a write which emptied the output lets it go on.
    #[inline]
    pub(crate) fn wants_room<D: Dispatch>(&self, shared: &mut Shared<D>) -> bool {
        match &self.dialect {
            Dialect::Http1(http1) => http1.wants_room(&self.input, shared),
            Dialect::Http2(http2) => http2.is_held(),
        }
    }

    // What happens.

    /// Does everything that can be done now: takes requests from the input, polls the app, queues output.
    #[inline]
    pub(crate) fn advance<D: Dispatch>(&mut self, shared: &mut Shared<D>, now: Moment) {
        let before = self.output.len();
        self.yielded = false;
        if self.detects && self.input.len() > 0 && !self.detect(shared, now) {
            self.queued += self.output.len() - before;
            return;
        }
        let (dialect, mut around) = apart!(self, now);
        self.yielded = match dialect {
            Dialect::Http1(http1) => http1.advance(&mut around, shared),
            Dialect::Http2(http2) => http2.advance(&mut around, shared),
        };
        self.queued += self.output.len() - before;
    }

    /// There is no TLS below: what is spoken is up to the listener, and to the client's first bytes.
    pub(crate) fn begin_cleartext<D: Dispatch>(&mut self, shared: &Shared<D>, now: Moment) {
        match self.protocols {
            Protocols::Http1 => {}
            Protocols::Http2 => self.speak_http2(shared, now),
            Protocols::Both => self.detects = true,
        }
    }

    /// Looks for the preface of HTTP/2. Returns whether it is clear what is spoken.
    #[cold]
    fn detect<D: Dispatch>(&mut self, shared: &mut Shared<D>, now: Moment) -> bool {
        let seen = self.input.unread();
        let common = seen.len().min(h2::frame::PREFACE.len());
        if seen[..common] != h2::frame::PREFACE[..common] {
            self.detects = false;
            return true;
        }
        if common == h2::frame::PREFACE.len() {
            self.speak_http2(shared, now);
            return true;
        }
        if let Dialect::Http1(http1) = &mut self.dialect {
            let mut turn = Turn {
                now,
                output: &mut self.output,
                date: shared.date.bytes(),
            };
            let shown = &seen[..common.min(PREFACE_SHOWN_BYTES)];
            let head = shared.exchanges.spare_head(self.key);
            http1.http.poll_request(&mut turn, shown, head);
        }
        false
    }

    /// From here on it is HTTP/2.
    fn speak_http2<D: Dispatch>(&mut self, shared: &Shared<D>, now: Moment) {
        self.detects = false;
        let mut http = h2::Connection::new(shared.limits.clone(), now, self.info.id);
        if self.info.tls.is_some() {
            http.handle_handshake(now);
        }
        self.dialect = Dialect::Http2(Box::new(Http2::new(http)));
        if self.stopping {
            self.handle_stop(shared, now);
        }
    }

    /// The exchange on `stream`, or the one there is, can go on.
    pub(crate) fn wake(&mut self, stream: Option<StreamKey>) {
        if let (Dialect::Http2(http2), Some(stream)) = (&mut self.dialect, stream) {
            http2.list(stream);
        }
    }

    /// A write took what it could, and `unsent` bytes are left. Returns whether something had waited for this.
    #[inline]
    pub(crate) fn handle_output<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        now: Moment,
        unsent: usize,
    ) -> bool {
        let queued = std::mem::take(&mut self.queued);
        match &mut self.dialect {
            Dialect::Http1(http1) => {
                let resumed = http1.http.handle_output(now, queued, unsent);
                http1.count_trip(shared);
                if let Some(status) = http1.http.take_refused() {
                    shared.log_refusal(&self.info, status, http1.http.body_bytes_sent());
                }
                resumed
            }
            Dialect::Http2(http2) => {
                let resumed = http2.http.handle_output(now, queued, unsent);
                http2.count_trip(shared);
                resumed
            }
        }
    }

    /// Ends exchanges that the protocol has given up.
    #[inline]
    pub(crate) fn drop_given_up<D: Dispatch>(&mut self, shared: &mut Shared<D>, now: Moment) {
        let given_up = match &self.dialect {
            Dialect::Http1(http1) => http1.exchange.is_some() && !http1.http.in_exchange(),
            Dialect::Http2(http2) => http2.http.fate() != Fate::Open && http2.has_exchange(),
        };
        if given_up {
            self.end_exchanges(shared, now);
        }
    }

    /// Ends every exchange that is open, before its answer is complete.
    pub(crate) fn end_exchanges<D: Dispatch>(&mut self, shared: &mut Shared<D>, now: Moment) {
        let (dialect, mut around) = apart!(self, now);
        match dialect {
            Dialect::Http1(http1) => http1.end_exchange(&mut around, shared),
            Dialect::Http2(http2) => http2.end_all(&mut around, shared),
        }
    }

    /// The client has ended its side.
    pub(crate) fn handle_eof<D: Dispatch>(&mut self, shared: &mut Shared<D>) {
        match &mut self.dialect {
            Dialect::Http1(http1) => {
                let refusal = http1.http.handle_eof();
                http1.fail_body(shared, refusal);
            }
            Dialect::Http2(http2) => http2.http.handle_eof(),
        }
    }

    /// The connection is broken.
    pub(crate) fn handle_reset(&mut self) {
        match &mut self.dialect {
            Dialect::Http1(http1) => http1.http.handle_reset(),
            Dialect::Http2(http2) => http2.http.handle_reset(),
        }
    }

    /// The sending side has been shut down.
    pub(crate) fn handle_shutdown(&mut self, now: Moment) {
        match &mut self.dialect {
            Dialect::Http1(http1) => http1.http.handle_shutdown(now),
            Dialect::Http2(http2) => http2.http.handle_shutdown(now),
        }
    }

    /// A deadline may have passed.
    pub(crate) fn handle_timeout<D: Dispatch>(&mut self, shared: &mut Shared<D>, now: Moment) {
        let refusal = self.say(shared, now, |dialect, turn| match dialect {
            Dialect::Http1(http1) => http1.http.handle_timeout(turn),
            Dialect::Http2(http2) => {
                http2.handle_timeout(turn);
                None
            }
        });
        if let Dialect::Http1(http1) = &self.dialect {
            http1.fail_body(shared, refusal);
        }
    }

    /// No request is wanted behind those that are there.
    pub(crate) fn announce_close<D: Dispatch>(&mut self, shared: &Shared<D>, now: Moment) {
        self.stopping = true;
        self.say(shared, now, |dialect, turn| match dialect {
            Dialect::Http1(http1) => http1.http.announce_close(),
            Dialect::Http2(http2) => http2.http.announce_close(turn),
        });
    }

    /// The server stops.
    pub(crate) fn handle_stop<D: Dispatch>(&mut self, shared: &Shared<D>, now: Moment) {
        self.stopping = true;
        self.say(shared, now, |dialect, turn| match dialect {
            Dialect::Http1(http1) => http1.http.handle_stop(now),
            Dialect::Http2(http2) => http2.http.handle_stop(turn),
        });
    }

    /// The stop's deadline has come.
    pub(crate) fn handle_stop_deadline(&mut self) {
        match &mut self.dialect {
            Dialect::Http1(http1) => http1.http.handle_stop_deadline(),
            Dialect::Http2(http2) => http2.http.handle_stop_deadline(),
        }
    }

    /// Makes room for others.
    pub(crate) fn shed<D: Dispatch>(&mut self, shared: &Shared<D>, now: Moment) {
        self.say(shared, now, |dialect, turn| match dialect {
            Dialect::Http1(http1) => http1.http.shed(),
            Dialect::Http2(http2) => http2.http.shed(turn),
        });
    }

    /// Has the protocol do something that may add to the output.
    fn say<D: Dispatch, T>(
        &mut self,
        shared: &Shared<D>,
        now: Moment,
        what: impl FnOnce(&mut Dialect, &mut Turn<'_>) -> T,
    ) -> T {
        let before = self.output.len();
        let said = what(&mut self.dialect, &mut shared.turn(&mut self.output, now));
        self.queued += self.output.len() - before;
        said
    }
}

/// A response that says no more than its status.
fn plain(status: Status) -> Response {
    Response::text(format!("{status}\n")).with_status(status)
}
