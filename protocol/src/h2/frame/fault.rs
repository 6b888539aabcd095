//! Every way in which one frame can be wrong by itself, and what its sender is told: one variant for each, so that a new one
//! does not compile before `answer` and `name` decide about it. Sections are those of RFC 9113 where no other is named.

use crate::end_reason::EndReason;
use crate::h2::error_code::ErrorCode;

/// How much a fault ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    /// RST_STREAM; the connection goes on. Where the stream was never opened there is nothing to reset, and the fault is the
    /// connection's.
    Stream,
    /// GOAWAY.
    Connection,
}

/// A way for one frame to be wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FrameFault {
    /// The payload is longer than the receiver's SETTINGS_MAX_FRAME_SIZE. Section 4.2.
    TooLong,
    /// DATA of no stream. Section 6.1.
    DataStreamZero,
    /// DATA that says it is padded and has no byte that says by how much. Section 4.2: too small to contain mandatory
    /// data.
    DataPaddingMissing,
    /// Padding as long as the payload of its DATA, or longer. Section 6.1.
    DataPadding,
    /// HEADERS of no stream. Section 6.2.
    HeadersStreamZero,
    /// HEADERS too short for the fields that its flags announce. Section 4.2; of the connection, because a field
    /// block changes the state of all of it.
    HeadersTruncated,
    /// Padding longer than what is left of its HEADERS. Section 6.2.
    HeadersPadding,
    /// HEADERS that makes its stream depend on itself. RFC 7540 section 5.3.1; RFC 9113 has no dependencies, and
    /// nobody honest sends this.
    HeadersSelfDependency,
    /// PRIORITY of no stream. Section 6.3.
    PriorityStreamZero,
    /// PRIORITY of other than 5 bytes. Section 6.3.
    PriorityLength,
    /// PRIORITY that makes its stream depend on itself. RFC 7540 section 5.3.1.
    PrioritySelfDependency,
    /// RST_STREAM of no stream. Section 6.4.
    ResetStreamZero,
    /// RST_STREAM of other than 4 bytes. Section 6.4.
    ResetLength,
    /// SETTINGS of a stream. Section 6.5.
    SettingsStream,
    /// SETTINGS of a length that is not a multiple of 6. Section 6.5.
    SettingsLength,
    /// An acknowledgement of SETTINGS that has a payload. Section 6.5.
    SettingsAckLength,
    /// SETTINGS_ENABLE_PUSH that is neither 0 nor 1, or 1 from a server. Section 6.5.2.
    SettingsEnablePush,
    /// SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1. Section 6.5.2.
    SettingsInitialWindow,
    /// SETTINGS_MAX_FRAME_SIZE outside of 2^14 to 2^24-1. Section 6.5.2.
    SettingsMaxFrame,
    /// SETTINGS_ENABLE_CONNECT_PROTOCOL that is neither 0 nor 1, or 0 after 1. RFC 8441 section 3.
    SettingsConnectProtocol,
    /// SETTINGS_NO_RFC7540_PRIORITIES that is neither 0 nor 1, or is changed after the first SETTINGS. RFC 9218
    /// section 2.1.
    SettingsNoPriorities,
    /// An acknowledgement of SETTINGS that nobody sent. No sentence of the RFC names it; whoever sends it has lost
    /// count.
    SettingsAckUnasked,
    /// PUSH_PROMISE. Section 8.4: a client cannot push. From a server, section 6.6: push was forbidden.
    PushPromise,
    /// PING of a stream. Section 6.7.
    PingStream,
    /// PING of other than 8 bytes. Section 6.7.
    PingLength,
    /// GOAWAY of a stream. Section 6.8.
    GoAwayStream,
    /// GOAWAY of fewer than 8 bytes. Section 4.2.
    GoAwayLength,
    /// WINDOW_UPDATE of other than 4 bytes. Section 6.9.
    WindowUpdateLength,
    /// WINDOW_UPDATE of a stream by nothing. Section 6.9.
    StreamIncrementZero,
    /// WINDOW_UPDATE of the connection by nothing. Section 6.9.
    ConnectionIncrementZero,
    /// CONTINUATION of no stream. Section 6.10.
    ContinuationStreamZero,
    /// PRIORITY_UPDATE that was sent on a stream. RFC 9218 section 7.1.
    PriorityUpdateStream,
    /// PRIORITY_UPDATE of fewer than 4 bytes. RFC 9218 section 7.1.
    PriorityUpdateLength,
    /// PRIORITY_UPDATE that means no stream. RFC 9218 section 7.1.
    PriorityUpdateOfStreamZero,
}

impl FrameFault {
    /// Every variant, in the order of declaration.
    pub const ALL: [FrameFault; 34] = [
        FrameFault::TooLong,
        FrameFault::DataStreamZero,
        FrameFault::DataPaddingMissing,
        FrameFault::DataPadding,
        FrameFault::HeadersStreamZero,
        FrameFault::HeadersTruncated,
        FrameFault::HeadersPadding,
        FrameFault::HeadersSelfDependency,
        FrameFault::PriorityStreamZero,
        FrameFault::PriorityLength,
        FrameFault::PrioritySelfDependency,
        FrameFault::ResetStreamZero,
        FrameFault::ResetLength,
        FrameFault::SettingsStream,
        FrameFault::SettingsLength,
        FrameFault::SettingsAckLength,
        FrameFault::SettingsEnablePush,
        FrameFault::SettingsInitialWindow,
        FrameFault::SettingsMaxFrame,
        FrameFault::SettingsConnectProtocol,
        FrameFault::SettingsNoPriorities,
        FrameFault::SettingsAckUnasked,
        FrameFault::PushPromise,
        FrameFault::PingStream,
        FrameFault::PingLength,
        FrameFault::GoAwayStream,
        FrameFault::GoAwayLength,
        FrameFault::WindowUpdateLength,
        FrameFault::StreamIncrementZero,
        FrameFault::ConnectionIncrementZero,
        FrameFault::ContinuationStreamZero,
        FrameFault::PriorityUpdateStream,
        FrameFault::PriorityUpdateLength,
        FrameFault::PriorityUpdateOfStreamZero,
    ];

    /// What the peer is told, how much that ends, and what it is called where it ends the connection.
    #[must_use]
    pub const fn answer(self) -> (ErrorCode, Scope, EndReason) {
        use FrameFault as F;
        use Scope::{Connection, Stream};
        const PROTOCOL: ErrorCode = ErrorCode::PROTOCOL_ERROR;
        const SIZE: ErrorCode = ErrorCode::FRAME_SIZE_ERROR;
        match self {
            F::TooLong => (SIZE, Connection, EndReason::MaxFrameLengthExceeded),
            F::DataStreamZero
            | F::HeadersStreamZero
            | F::PriorityStreamZero
            | F::ResetStreamZero
            | F::SettingsStream
            | F::PingStream
            | F::GoAwayStream
            | F::ContinuationStreamZero
            | F::PriorityUpdateStream
            | F::PriorityUpdateOfStreamZero => (PROTOCOL, Connection, EndReason::InvalidStreamId),
            F::DataPaddingMissing
            | F::HeadersTruncated
            | F::ResetLength
            | F::SettingsLength
            | F::SettingsAckLength
            | F::PingLength
            | F::GoAwayLength
            | F::WindowUpdateLength
            | F::PriorityUpdateLength => (SIZE, Connection, EndReason::InvalidFrameLength),
            F::DataPadding | F::HeadersPadding => {
                (PROTOCOL, Connection, EndReason::InvalidDataPadding)
            }
            // A stream error of RFC 7540; but a field block that nobody decodes is one that the connection does not survive.
            F::HeadersSelfDependency => (PROTOCOL, Connection, EndReason::StreamSelfDependency),
            F::PrioritySelfDependency => (PROTOCOL, Stream, EndReason::StreamSelfDependency),
            F::PriorityLength => (SIZE, Stream, EndReason::InvalidFrameLength),
            F::SettingsEnablePush
            | F::SettingsMaxFrame
            | F::SettingsConnectProtocol
            | F::SettingsNoPriorities => (PROTOCOL, Connection, EndReason::InvalidSettings),
            F::SettingsInitialWindow => (
                ErrorCode::FLOW_CONTROL_ERROR,
                Connection,
                EndReason::InvalidSettings,
            ),
            F::SettingsAckUnasked | F::PushPromise => {
                (PROTOCOL, Connection, EndReason::UnexpectedFrame)
            }
            F::StreamIncrementZero => (PROTOCOL, Stream, EndReason::InvalidWindowUpdateSize),
            F::ConnectionIncrementZero => {
                (PROTOCOL, Connection, EndReason::InvalidWindowUpdateSize)
            }
        }
    }

    /// The name in logs, in metrics, and in the debug data of GOAWAY.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            FrameFault::TooLong => "too_long",
            FrameFault::DataStreamZero => "data_stream_zero",
            FrameFault::DataPaddingMissing => "data_padding_missing",
            FrameFault::DataPadding => "data_padding",
            FrameFault::HeadersStreamZero => "headers_stream_zero",
            FrameFault::HeadersTruncated => "headers_truncated",
            FrameFault::HeadersPadding => "headers_padding",
            FrameFault::HeadersSelfDependency => "headers_self_dependency",
            FrameFault::PriorityStreamZero => "priority_stream_zero",
            FrameFault::PriorityLength => "priority_length",
            FrameFault::PrioritySelfDependency => "priority_self_dependency",
            FrameFault::ResetStreamZero => "reset_stream_zero",
            FrameFault::ResetLength => "reset_length",
            FrameFault::SettingsStream => "settings_stream",
            FrameFault::SettingsLength => "settings_length",
            FrameFault::SettingsAckLength => "settings_ack_length",
            FrameFault::SettingsEnablePush => "settings_enable_push",
            FrameFault::SettingsInitialWindow => "settings_initial_window",
            FrameFault::SettingsMaxFrame => "settings_max_frame",
            FrameFault::SettingsConnectProtocol => "settings_connect_protocol",
            FrameFault::SettingsNoPriorities => "settings_no_priorities",
            FrameFault::SettingsAckUnasked => "settings_ack_unasked",
            FrameFault::PushPromise => "push_promise",
            FrameFault::PingStream => "ping_stream",
            FrameFault::PingLength => "ping_length",
            FrameFault::GoAwayStream => "go_away_stream",
            FrameFault::GoAwayLength => "go_away_length",
            FrameFault::WindowUpdateLength => "window_update_length",
            FrameFault::StreamIncrementZero => "stream_increment_zero",
            FrameFault::ConnectionIncrementZero => "connection_increment_zero",
            FrameFault::ContinuationStreamZero => "continuation_stream_zero",
            FrameFault::PriorityUpdateStream => "priority_update_stream",
            FrameFault::PriorityUpdateLength => "priority_update_length",
            FrameFault::PriorityUpdateOfStreamZero => "priority_update_of_stream_zero",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn all_lists_every_variant_under_a_name_of_its_own() {
        let mut names = HashSet::new();
        for (place, fault) in FrameFault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, place);
            let mut expected = String::new();
            for character in format!("{fault:?}").chars() {
                if character.is_ascii_uppercase() && !expected.is_empty() {
                    expected.push('_');
                }
                expected.push(character.to_ascii_lowercase());
            }
            assert_eq!(fault.name(), expected);
            assert!(names.insert(expected));
        }
        assert_eq!(
            FrameFault::PriorityUpdateOfStreamZero as usize + 1,
            FrameFault::ALL.len()
        );
    }

    #[test]
    fn only_what_concerns_a_single_stream_spares_the_connection() {
        let spared: Vec<FrameFault> = FrameFault::ALL
            .into_iter()
            .filter(|fault| fault.answer().1 == Scope::Stream)
            .collect();
        assert_eq!(
            spared,
            [
                FrameFault::PriorityLength,
                FrameFault::PrioritySelfDependency,
                FrameFault::StreamIncrementZero,
            ]
        );
    }

    #[test]
    fn wrong_lengths_are_frame_size_errors_and_nothing_else_is() {
        for fault in FrameFault::ALL {
            let about_length = ["length", "too_long", "missing", "truncated"]
                .iter()
                .any(|word| fault.name().contains(word));
            assert_eq!(
                fault.answer().0 == ErrorCode::FRAME_SIZE_ERROR,
                about_length,
                "{fault:?}"
            );
        }
    }
}
