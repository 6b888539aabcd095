//! One stream: a request, and the answer to it (RFC 9113 section 5.1).
//!
//! Two halves that end on their own. Idle streams are numbers that did not come yet, and closed ones are gone from the
//! table, so neither is a state here:
//!
//! ```text
//!               receive                                   transmit
//!   HEADERS ──▶ Open ── END_STREAM ──▶ Closed   Pending ── respond ──▶ Body ─────── finish ──▶ Over
//!                │  exchange over        ▲         └── HEAD, refusal ──▶ Suppressed ────────────▲
//!                ▼                       │         (end: No ▶ Queued ▶ Sent, as END_STREAM goes out)
//!            Draining ───────────────────┤
//!                │  too much, too slow   │
//!                ▼                       │
//!            Stopped ── RST_STREAM ──────┘
//! ```
//!
//! A stream leaves the table when both halves have ended on the wire and the exchange is over in the engine: a client that
//! resets what it asked for does not make room for more by that (CVE-2023-44487).

use super::error_code::ErrorCode;
use super::flood::SmallData;
use super::frame::FrameFault;
use super::priority::Priority;
use super::request::Malformed;
use super::window::{ReceiveWindow, SendWindow};
use crate::fields::Fields;
use crate::output::Output;
use crate::refusal::Refusal;
use crate::status::Status;
use lanner_limits::{MinRate, Moment, ReadRate, Trip, WriteRate};

/// Which stream. A place is used again; the number, which is not, tells the next stream there from this one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StreamKey {
    pub(crate) id: u32,
    pub(crate) place: u16,
}

impl StreamKey {
    /// Its number on the wire.
    #[must_use]
    pub const fn id(self) -> u32 {
        self.id
    }

    /// Its place among the streams of the connection that exist now: small, and nobody else's meanwhile.
    #[must_use]
    pub const fn place(self) -> usize {
        self.place as usize
    }
}

/// Why a stream ended before its exchange was over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reset {
    /// The client reset it.
    Peer(ErrorCode),
    /// The message was malformed.
    Malformed(Malformed),
    /// A frame of it was wrong.
    Frame(FrameFault),
    /// A frame came behind the one that ended the client's half.
    FrameAfterEnd,
    /// More DATA than its window allows, or a window beyond what windows can be.
    Window,
    /// A bound was hit.
    Trip(Trip),
    /// The client ended its side of the connection within the body, or with a window that will never open again.
    EarlyEof,
}

impl Reset {
    /// What the client is told.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Reset::Peer(code) => code,
            Reset::Malformed(_) => ErrorCode::PROTOCOL_ERROR,
            Reset::Frame(fault) => fault.answer().0,
            Reset::FrameAfterEnd => ErrorCode::STREAM_CLOSED,
            Reset::Window => ErrorCode::FLOW_CONTROL_ERROR,
            Reset::Trip(Trip::Streams) => ErrorCode::REFUSED_STREAM,
            Reset::Trip(_) | Reset::EarlyEof => ErrorCode::CANCEL,
        }
    }
}

/// What the client still sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Receive {
    Open,
    /// The exchange is over; so much of the rest is thrown away before the client is told to stop. None of one that is known
    /// to be too long: its client gets no more credit, and is told when it has had its time.
    Draining {
        budget: Option<u64>,
    },
    /// That was too much, or took too long: the client is told to stop as soon as the answer is out.
    Stopped,
    Closed,
}

/// What the app does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Transmit {
    /// It works on its answer.
    Pending,
    /// It sends; `left` bytes of what it announced.
    Body { left: Option<u64> },
    /// What it offers is not sent: HEAD, 204, 304, or an answer of ours in place of its own.
    Suppressed,
    /// The exchange is over in the engine.
    Over,
}

/// How far the end of the answer has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    No,
    /// It stands behind what is queued.
    Queued,
    /// END_STREAM or RST_STREAM is out: nothing may follow.
    Sent,
}

/// What is kept of a stream.
///
/// Invariant: `queue` is empty while `end` is `Sent`; a stream is in the schedule exactly while it has something queued and
/// its own window lets something of that through. An end waits only behind what is queued.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) receive: Receive,
    pub(super) transmit: Transmit,
    pub(super) end: End,
    pub(super) priority: Priority,
    pub(super) head_request: bool,
    /// How long the head is that the engine keeps.
    pub(super) head_bytes: u32,
    /// `100 (Continue)` is owed before the body is read.
    pub(super) continue_owed: bool,
    /// The app waits for body bytes.
    pub(super) wanted: bool,
    /// The app was given no body to read: what ends it concerns nobody.
    pub(super) bodiless: bool,
    /// The engine was told not to ask its app for more, and waits to hear that it may.
    pub(super) is_held: bool,
    /// One side has reset it: nothing of it counts any more, and it stays only until the engine has let go of it.
    pub(super) reset: bool,
    pub(super) answered: Option<Status>,
    /// Why the body could not be received; the answer this calls for wins over the app's.
    pub(super) failure: Option<Refusal>,
    /// What is left of the announced length.
    pub(super) body_left: Option<u64>,
    pub(super) body_bytes: u64,
    pub(super) body_bytes_sent: u64,
    pub(super) max_body: Option<u64>,
    pub(super) min_body_rate: Option<MinRate>,
    pub(super) min_response_rate: Option<MinRate>,
    pub(super) receive_window: ReceiveWindow,
    pub(super) send_window: SendWindow,
    pub(super) small_data: SmallData,
    pub(super) read_rate: ReadRate,
    pub(super) write_rate: WriteRate,
    pub(super) due: StreamDeadlines,
    pub(super) queue: Output,
    /// To be sent behind the queue.
    pub(super) trailers: Option<Fields>,
}

/// A stream's deadlines; [`Moment::MAX`] where there is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamDeadlines {
    /// The whole exchange, or its turn in the queue.
    pub(super) request: Moment,
    /// Body bytes at the least rate, while the app waits on them.
    pub(super) body: Moment,
    /// Answer bytes taken at the least rate, while some wait.
    pub(super) response: Moment,
    /// The rest of a body that nobody reads.
    pub(super) drain: Moment,
    /// The exchange waits for its turn; `request` is the queue's.
    pub(super) queued: bool,
}

impl StreamDeadlines {
    pub(super) const NONE: Self = Self {
        request: Moment::MAX,
        body: Moment::MAX,
        response: Moment::MAX,
        drain: Moment::MAX,
        queued: false,
    };

    pub(super) fn earliest(&self) -> Moment {
        self.request
            .min(self.body)
            .min(self.response)
            .min(self.drain)
    }
}

impl Stream {
    /// Bytes queued here, and not in the connection's output yet.
    #[inline]
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Whether the app gets what comes in.
    pub(super) fn is_read(&self) -> bool {
        self.receive == Receive::Open
            && self.transmit != Transmit::Over
            && self.failure.is_none()
            && !self.bodiless
    }

    /// Whether nothing of it is left on either side.
    pub(super) fn is_over(&self) -> bool {
        self.receive == Receive::Closed && self.end == End::Sent && self.transmit == Transmit::Over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_without_a_body_takes_half_a_kibibyte() {
        assert!(size_of::<Stream>() <= 512, "{}", size_of::<Stream>());
    }
}
