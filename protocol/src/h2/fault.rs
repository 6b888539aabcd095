//! Everything by which a peer ends a whole connection of HTTP/2, and what it is told (RFC 9113 section 5.4.1). Most of it either
//! side can do; sections are those of RFC 9113 where no other is named.

use super::error_code::ErrorCode;
use super::frame::FrameFault;
use super::window::{WindowExceeded, WindowOverflow};
use crate::end_reason::EndReason;
use crate::hpack;
use lanner_limits::Trip;

/// A reason for GOAWAY.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// A frame is wrong by itself.
    Frame(FrameFault),
    /// A field block cannot be read. Section 4.3.
    Fields(hpack::Fault),
    /// A bound was hit.
    Trip(Trip),
    /// Something else than the preface came first. Section 3.4.
    Preface,
    /// Something else than SETTINGS came behind the preface. Section 3.4.
    FirstFrame,
    /// A stream of a number that clients do not give. Section 5.1.1.
    StreamNumber,
    /// A frame of a stream that nobody has opened yet. Section 5.1.
    IdleStream,
    /// A frame of a stream that the peer has ended. Section 5.1.
    ClosedStream,
    /// CONTINUATION without HEADERS before it, or HEADERS without all of its CONTINUATION behind it. Section 6.10.
    FieldBlock,
    /// PRIORITY_UPDATE of a server. RFC 9218 section 7.1.
    PriorityUpdate,
    /// More DATA than the connection's window allows. Section 6.9.1.
    WindowExceeded,
    /// A window beyond what windows can be. Section 6.9.1 and 6.9.2.
    WindowOverflow,
    /// Our SETTINGS were not acknowledged in time. Section 6.5.3.
    SettingsTimeout,
}

impl Fault {
    /// What the peer is told, and why the connection ends.
    #[must_use]
    pub fn answer(self) -> (ErrorCode, EndReason) {
        const PROTOCOL: ErrorCode = ErrorCode::PROTOCOL_ERROR;
        match self {
            Fault::Frame(fault) => (fault.answer().0, fault.answer().2),
            Fault::Fields(_) => (ErrorCode::COMPRESSION_ERROR, EndReason::ErrorReadingHeaders),
            Fault::Trip(trip) => (ErrorCode::ENHANCE_YOUR_CALM, trip.into()),
            Fault::Preface | Fault::FirstFrame => (PROTOCOL, EndReason::InvalidHandshake),
            Fault::StreamNumber | Fault::IdleStream => (PROTOCOL, EndReason::InvalidStreamId),
            Fault::ClosedStream => (ErrorCode::STREAM_CLOSED, EndReason::FrameAfterStreamClose),
            Fault::FieldBlock | Fault::PriorityUpdate => (PROTOCOL, EndReason::UnexpectedFrame),
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

    /// The name in logs and metrics, and in GOAWAY's debug data.
    #[must_use]
    pub fn name(self) -> &'static str {
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
            Fault::PriorityUpdate => "priority_update",
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

/// Of the connection's window, or of any by SETTINGS; what passes a stream's own ends that stream only.
impl From<WindowOverflow> for Fault {
    fn from(_: WindowOverflow) -> Self {
        Self::WindowOverflow
    }
}

/// Of the connection's window.
impl From<WindowExceeded> for Fault {
    fn from(_: WindowExceeded) -> Self {
        Self::WindowExceeded
    }
}
