//! Why a connection ended, as logs and metrics say it (`error.type`).
//!
//! Names are Kestrel's connection end reasons where it has one; ours stand beside them only where it has none.

use crate::misbehaviour::Misbehaviour;
use crate::refusal::Refusal;
use crate::response::ResponseError;
use lanner_limits::Trip;

macro_rules! end_reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why a connection ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum EndReason { $($(#[$doc])* $variant,)* }

        impl EndReason {
            /// Every reason, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in logs and metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

end_reasons! {
    /// The client closed between requests: the usual end.
    PeerClosed = "peer_closed",
    /// Closed after an answer, as that answer or its request announced.
    Announced = "announced_close",
    /// The client reset the connection, or sending to it failed.
    ConnectionReset = "connection_reset",
    /// No request within `LANNER_KEEPALIVE_TIMEOUT`.
    KeepAliveTimeout = "keep_alive_timeout",
    /// Not one byte within `LANNER_FIRST_BYTE_TIMEOUT`.
    FirstByteTimeout = "first_byte_timeout",
    /// A head or a trailer section was not complete within `LANNER_HEADER_TIMEOUT`.
    RequestHeadersTimeout = "request_headers_timeout",
    /// The request body came slower than `LANNER_MIN_BODY_RATE`.
    MinRequestBodyDataRate = "min_request_body_data_rate",
    /// The client read the response slower than `LANNER_MIN_RESPONSE_RATE`.
    MinResponseDataRate = "min_response_data_rate",
    /// The app did not answer within `LANNER_REQUEST_TIMEOUT`.
    RequestTimeout = "request_timeout",
    /// An unread body was not drained within `LANNER_BODY_DRAIN_TIMEOUT` or `LANNER_BODY_DRAIN_MAX`.
    BodyDrain = "body_drain_exceeded",
    /// The request line broke the grammar.
    InvalidRequestLine = "invalid_request_line",
    /// The request line was longer than `LANNER_MAX_REQUEST_LINE`.
    MaxRequestLineExceeded = "max_request_line_size_exceeded",
    /// A field broke the grammar, or fields contradicted each other.
    InvalidRequestHeaders = "invalid_request_headers",
    /// The fields passed `LANNER_MAX_HEADER_BYTES`.
    MaxRequestHeadersTotalSizeExceeded = "max_request_headers_total_size_exceeded",
    /// The fields passed `LANNER_MAX_HEADER_COUNT`.
    MaxRequestHeaderCountExceeded = "max_request_header_count_exceeded",
    /// A version of HTTP that is not spoken here.
    InvalidHttpVersion = "invalid_http_version",
    /// A TLS ClientHello on a cleartext port.
    TlsNotSupported = "tls_not_supported",
    /// A TLS handshake broke its rules or its bounds, or had nothing in common with ours.
    TlsHandshakeFailed = "tls_handshake_failed",
    /// TLS records that brought nothing passed `LANNER_TLS_KEYUPDATE_RATE`.
    TlsKeyupdateRateExceeded = "tls_keyupdate_rate_exceeded",
    /// The body passed `LANNER_MAX_REQUEST_BODY` or the limit the app set.
    MaxRequestBodySizeExceeded = "max_request_body_size_exceeded",
    /// The chunked coding broke the grammar or its bounds.
    InvalidRequestBody = "invalid_request_body",
    /// The client ended its side within a body.
    UnexpectedEndOfRequestContent = "unexpected_end_of_request_content",
    /// The app's body and the length it announced disagree.
    ResponseContentLengthMismatch = "response_content_length_mismatch",
    /// The app failed when part of its answer was out.
    ErrorAfterStartingResponse = "error_after_starting_response",
    /// The app asked for the connection to be reset.
    AbortedByApp = "aborted_by_app",
    /// Over `LANNER_MAX_CONNECTIONS`, `LANNER_MAX_CONNECTIONS_PER_IP` or the rate per address.
    MaxConcurrentConnectionsExceeded = "max_concurrent_connections_exceeded",
    /// Closed while idle or lingering, to make room near the cap.
    Shed = "shed",
    /// `LANNER_MAX_CONNECTION_AGE` and its grace were over.
    MaxConnectionAge = "max_connection_age",
    /// Idle when the server stopped.
    ServerStopped = "server_stopped",
    /// Still busy when `LANNER_SHUTDOWN_TIMEOUT` was over.
    AppShutdownTimeout = "app_shutdown_timeout",
    /// A frame of HTTP/2 is of a stream where it must not be, or of none where it must be of one.
    InvalidStreamId = "invalid_stream_id",
    /// A frame of HTTP/2 that must not come here.
    UnexpectedFrame = "unexpected_frame",
    /// A frame of HTTP/2 of a length that its kind cannot have.
    InvalidFrameLength = "invalid_frame_length",
    /// A frame of HTTP/2 longer than `LANNER_H2_MAX_FRAME`.
    MaxFrameLengthExceeded = "max_frame_length_exceeded",
    /// Padding longer than the frame that holds it.
    InvalidDataPadding = "invalid_data_padding",
    /// A setting of HTTP/2 with a value that it cannot have.
    InvalidSettings = "invalid_settings",
    /// A window was to grow by nothing, or beyond what windows can be.
    InvalidWindowUpdateSize = "invalid_window_update_size",
    /// The client sent more than its window allowed.
    FlowControlWindowExceeded = "flow_control_window_exceeded",
    /// A stream was made to depend on itself.
    StreamSelfDependency = "stream_self_dependency",
    /// Streams were reset more often than `LANNER_H2_RESET_BURST` and `LANNER_H2_RESET_RATE` allow.
    StreamResetLimitExceeded = "stream_reset_limit_exceeded",
    /// Frames that are legal one by one came in a flood; the GOAWAY names the bound.
    FrameFlood = "frame_flood",
    /// Frames that answer the client were more than `LANNER_H2_MAX_QUEUED_CONTROL`, and it did not read them.
    OutputQueueSizeExceeded = "output_queue_size_exceeded",
    /// What came first was not the preface of HTTP/2 with SETTINGS behind it.
    InvalidHandshake = "invalid_handshake",
    /// A field block of HTTP/2 could not be decoded.
    ErrorReadingHeaders = "error_reading_headers",
    /// A frame of HTTP/2 came of a stream that its client had ended.
    FrameAfterStreamClose = "received_frame_after_stream_close",
    /// SETTINGS of ours were not acknowledged.
    SettingsTimeout = "settings_timeout",
    /// An upgraded connection ended by itself.
    UpgradeFinished = "upgrade_finished",
    /// The system refused an operation.
    IoError = "io_error",
}

impl From<Trip> for EndReason {
    fn from(trip: Trip) -> Self {
        match trip {
            Trip::MaxConnections
            | Trip::MaxConnectionsPerIp
            | Trip::ConnectionRatePerIp
            | Trip::AcceptRate => Self::MaxConcurrentConnectionsExceeded,
            Trip::IdleShed | Trip::LingerShed => Self::Shed,
            Trip::FirstByteTimeout => Self::FirstByteTimeout,
            Trip::HeaderTimeout => Self::RequestHeadersTimeout,
            Trip::KeepaliveTimeout => Self::KeepAliveTimeout,
            Trip::MinBodyRate => Self::MinRequestBodyDataRate,
            Trip::MinResponseRate => Self::MinResponseDataRate,
            Trip::RequestTimeout => Self::RequestTimeout,
            Trip::BodyDrainTimeout | Trip::BodyDrainMax => Self::BodyDrain,
            Trip::MaxConnectionAge => Self::MaxConnectionAge,
            Trip::RequestLine => Self::MaxRequestLineExceeded,
            Trip::HeaderBytes => Self::MaxRequestHeadersTotalSizeExceeded,
            Trip::HeaderCount => Self::MaxRequestHeaderCountExceeded,
            Trip::RequestBody => Self::MaxRequestBodySizeExceeded,
            Trip::ChunkLine | Trip::ChunkExtensions => Self::InvalidRequestBody,
            Trip::ShutdownTimeout => Self::AppShutdownTimeout,
            Trip::HeaderField => Self::MaxRequestHeadersTotalSizeExceeded,
            Trip::PingTimeout => Self::KeepAliveTimeout,
            Trip::Resets => Self::StreamResetLimitExceeded,
            Trip::Continuations
            | Trip::ControlFrames
            | Trip::WindowUpdates
            | Trip::Priorities
            | Trip::SmallData
            | Trip::EmptyData => Self::FrameFlood,
            Trip::QueuedControl => Self::OutputQueueSizeExceeded,
            Trip::TlsHandshakeTimeout | Trip::TlsMaxHandshakes | Trip::TlsHandshakeBytes => {
                Self::TlsHandshakeFailed
            }
            Trip::TlsKeyupdateRate => Self::TlsKeyupdateRateExceeded,
            Trip::MaxRequestsPerConnection
            | Trip::Streams
            | Trip::MaxInflight
            | Trip::QueueTimeout
            | Trip::MaxUpgradedConnections => Self::Announced,
        }
    }
}

impl From<Misbehaviour> for EndReason {
    fn from(misbehaviour: Misbehaviour) -> Self {
        use Misbehaviour as M;
        match misbehaviour {
            M::LeadingEmptyLines
            | M::InvalidRequestLine
            | M::InvalidMethod
            | M::InvalidTarget
            | M::ForbiddenPath => Self::InvalidRequestLine,
            M::ConnectUnsupported => Self::InvalidRequestLine,
            M::InvalidVersion | M::UnsupportedVersion | M::Http2Preface => Self::InvalidHttpVersion,
            M::TlsOnCleartext => Self::TlsNotSupported,
            M::CleartextOnTls => Self::TlsHandshakeFailed,
            M::BareLineFeed
            | M::BareCarriageReturn
            | M::ControlByte
            | M::ObsoleteFold
            | M::SpaceBeforeFirstField
            | M::SpaceBeforeColon
            | M::MissingColon
            | M::InvalidFieldName
            | M::InvalidFieldValue
            | M::UnderscoreField
            | M::MissingHost
            | M::SeveralHosts
            | M::InvalidHost
            | M::HostMismatch
            | M::SchemeMismatch
            | M::HostNotAllowed
            | M::Misdirected
            | M::ContentLengthInvalid
            | M::ContentLengthConflict
            | M::TransferEncodingWithContentLength
            | M::TransferEncodingOnHttp10
            | M::TransferEncodingInvalid
            | M::UnknownTransferCoding
            | M::ChunkedNotLast
            | M::ChunkedRepeated
            | M::ChunkedParameters
            | M::UnknownExpectation => Self::InvalidRequestHeaders,
            M::InvalidChunkSize
            | M::InvalidChunkExtension
            | M::InvalidChunkTerminator
            | M::InvalidTrailer
            | M::ForbiddenTrailer => Self::InvalidRequestBody,
            M::EarlyEof => Self::UnexpectedEndOfRequestContent,
        }
    }
}

impl From<Refusal> for EndReason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Misbehaviour(misbehaviour) => misbehaviour.into(),
            Refusal::Trip(trip) => trip.into(),
        }
    }
}

impl From<ResponseError> for EndReason {
    fn from(error: ResponseError) -> Self {
        match error {
            ResponseError::TooManyBytes | ResponseError::TooFewBytes => {
                Self::ResponseContentLengthMismatch
            }
            ResponseError::InformationalStatus => Self::AbortedByApp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_distinct() {
        for (index, reason) in EndReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
            assert!(
                EndReason::ALL
                    .iter()
                    .filter(|other| other.name() == reason.name())
                    .count()
                    == 1
            );
        }
    }
}
