//! Every way in which a server of HTTP/2 can fail its client, as a connection or on one stream.

use crate::h2::Fault;
use crate::h2::error_code::ErrorCode;
use crate::h2::frame::FrameFault;
use crate::h2::request::{Malformed, Rejected};
use crate::refusal::Refusal;
use lanner_limits::Trip;

/// Why a connection to a server failed, and with it every stream that was open.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Error {
    /// By what the server did.
    Fault(Fault),
    /// The server closed while streams were open.
    EndInStreams,
    /// The connection broke.
    ConnectionReset,
}

impl Error {
    /// What the server is told; nothing where nobody is there to be told.
    #[must_use]
    pub fn code(self) -> Option<ErrorCode> {
        match self {
            Self::Fault(fault) => Some(fault.answer().0),
            Self::EndInStreams => Some(ErrorCode::NO_ERROR),
            Self::ConnectionReset => None,
        }
    }

    /// The name in logs and metrics, and in the debug data of GOAWAY.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fault(fault) => fault.name(),
            Self::EndInStreams => "end_in_streams",
            Self::ConnectionReset => "connection_reset",
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for Error {}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Trip> for Error {
    fn from(trip: Trip) -> Self {
        Self::Fault(trip.into())
    }
}

/// Why one stream ended before its response was complete, or before its request was. The connection goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reset {
    /// The server reset it. Behind a complete response, NO_ERROR means only that it wants no more of the request's body
    /// (section 8.1).
    Peer(ErrorCode),
    /// The server goes away and has not looked at it (section 6.8).
    Unprocessed,
    /// The response was malformed (section 8.1.1).
    Malformed(Malformed),
    /// The response had no status, or one that is none here: not three digits from 100 to 599, or 101 (sections 8.3.2 and
    /// 8.6).
    Status,
    /// Content before the head of the final response, or an informational response that ends the stream (section 8.1).
    OutOfOrder,
    /// A bound was passed, or a field came among trailers that must not.
    Refused(Refusal),
    /// Too many informational responses before the final one.
    InformationalFlood,
    /// A frame of it was wrong by itself.
    Frame(FrameFault),
    /// A frame came behind the one that ended the response (section 5.1).
    FrameAfterEnd,
    /// More DATA than its window allows, or a window beyond what windows can be (section 6.9.1).
    Window,
}

impl Reset {
    /// What the server is told where it does not know yet.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Peer(code) => code,
            Self::Unprocessed => ErrorCode::REFUSED_STREAM,
            Self::Malformed(_) | Self::Status | Self::OutOfOrder => ErrorCode::PROTOCOL_ERROR,
            Self::Refused(_) | Self::InformationalFlood => ErrorCode::CANCEL,
            Self::Frame(fault) => fault.answer().0,
            Self::FrameAfterEnd => ErrorCode::STREAM_CLOSED,
            Self::Window => ErrorCode::FLOW_CONTROL_ERROR,
        }
    }

    /// Whether the server is known not to have acted upon the request, so that any request may be sent again (section 8.7).
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Unprocessed | Self::Peer(ErrorCode::REFUSED_STREAM)
        )
    }

    /// The name in logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Peer(code) => code.name().unwrap_or("peer"),
            Self::Unprocessed => "unprocessed",
            Self::Malformed(malformed) => malformed.name(),
            Self::Status => "status",
            Self::OutOfOrder => "out_of_order",
            Self::Refused(refusal) => refusal.name(),
            Self::InformationalFlood => "informational_flood",
            Self::Frame(fault) => fault.name(),
            Self::FrameAfterEnd => "frame_after_end",
            Self::Window => "window",
        }
    }
}

impl From<Malformed> for Reset {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<Rejected> for Reset {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Malformed(malformed) => Self::Malformed(malformed),
            Rejected::Refused(refusal) => Self::Refused(refusal),
        }
    }
}
