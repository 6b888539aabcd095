//! Everything that ends a whole connection of HTTP/2, and what the client is told (RFC 9113 section 5.4.1).

use crate::end_reason::EndReason;
use crate::h2::error_code::ErrorCode;
use crate::h2::frame::FrameFault;
use crate::hpack;
use lanner_limits::Trip;

/// A reason for GOAWAY.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// A frame is wrong by itself.
    Frame(FrameFault),
    /// A field block cannot be read.
    Fields(hpack::Fault),
    /// A bound was hit.
    Trip(Trip),
    /// Something else than the preface came first. Section 3.4.
    Preface,
    /// Something else than SETTINGS came behind the preface. Section 3.4.
    FirstFrame,
    /// A stream of a number that clients do not give. Section 5.1.1.
    StreamNumber,
    /// A frame of a stream that does not exist yet. Section 5.1.
    IdleStream,
    /// A frame of a stream that the client has ended. Section 5.1.
    ClosedStream,
    /// CONTINUATION without HEADERS before it, or HEADERS without all of its CONTINUATION behind it. Section 6.10.
    FieldBlock,
    /// More DATA than the connection's window allows. Section 6.9.1.
    WindowExceeded,
    /// A window beyond what windows can be. Section 6.9.1 and 6.9.2.
    WindowOverflow,
    /// Our SETTINGS were not acknowledged in time. Section 6.5.3.
    SettingsTimeout,
}

impl Fault {
    /// What the client is told, and why the connection ends.
    pub(super) fn answer(self) -> (ErrorCode, EndReason) {
        const PROTOCOL: ErrorCode = ErrorCode::PROTOCOL_ERROR;
        match self {
            Fault::Frame(fault) => (fault.answer().0, fault.answer().2),
            Fault::Fields(_) => (ErrorCode::COMPRESSION_ERROR, EndReason::ErrorReadingHeaders),
            Fault::Trip(trip) => (ErrorCode::ENHANCE_YOUR_CALM, trip.into()),
            Fault::Preface | Fault::FirstFrame => (PROTOCOL, EndReason::InvalidHandshake),
            Fault::StreamNumber | Fault::IdleStream => (PROTOCOL, EndReason::InvalidStreamId),
            Fault::ClosedStream => (ErrorCode::STREAM_CLOSED, EndReason::FrameAfterStreamClose),
            Fault::FieldBlock => (PROTOCOL, EndReason::UnexpectedFrame),
            Fault::WindowExceeded => (
                ErrorCode::FLOW_CONTROL_ERROR,
                EndReason::FlowControlWindowExceeded,
            ),
            Fault::WindowOverflow => (
                ErrorCode::FLOW_CONTROL_ERROR,
                EndReason::InvalidWindowUpdateSize,
            ),
            Fault::SettingsTimeout => (ErrorCode::SETTINGS_TIMEOUT, EndReason::SettingsTimeout),
        }
    }

    /// The name in GOAWAY's debug data.
    pub(super) fn name(self) -> &'static str {
        match self {
            Fault::Frame(fault) => fault.name(),
            Fault::Fields(fault) => fault.name(),
            Fault::Trip(trip) => trip.name(),
            Fault::Preface => "preface",
            Fault::FirstFrame => "first_frame",
            Fault::StreamNumber => "stream_number",
            Fault::IdleStream => "idle_stream",
            Fault::ClosedStream => "closed_stream",
            Fault::FieldBlock => "field_block",
            Fault::WindowExceeded => "window_exceeded",
            Fault::WindowOverflow => "window_overflow",
            Fault::SettingsTimeout => "settings_timeout",
        }
    }
}

impl From<FrameFault> for Fault {
    fn from(fault: FrameFault) -> Self {
        Self::Frame(fault)
    }
}

impl From<hpack::Fault> for Fault {
    fn from(fault: hpack::Fault) -> Self {
        Self::Fields(fault)
    }
}

impl From<Trip> for Fault {
    fn from(trip: Trip) -> Self {
        Self::Trip(trip)
    }
}
