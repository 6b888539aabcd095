//! Every way in which a server of HTTP/1.1 can fail its client.

use crate::misbehaviour::Misbehaviour;
use crate::refusal::Refusal;
use lanner_limits::Trip;

/// Why a connection to a server ended before its time. After any of them it is of no use, and the response under way, if one
/// was, is incomplete.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Error {
    /// What came is no HTTP at all.
    NotHttp,
    /// A version other than 1.0 and 1.1.
    Version,
    /// The status line is none.
    StatusLine,
    /// A status below 100 or above 599. RFC 9110 would have it taken for a 5xx; whoever forwards an error for it does that.
    StatusCode,
    /// A line, a field or a chunk breaks the grammar, or fields leave open where the message ends.
    Message(Misbehaviour),
    /// A bound was passed.
    Bound(Trip),
    /// Something came that nobody had asked for.
    Unsolicited,
    /// 101 without an offer to upgrade.
    SwitchUnasked,
    /// Too many informational responses before the final one.
    InformationalFlood,
    /// The server closed before the first byte of a response that it owed. A request that may safely be sent twice may be sent
    /// again, on another connection (RFC 9110 section 9.2.2).
    Unanswered,
    /// The server closed within a head.
    EndInHead,
    /// The server closed within a body.
    EndInBody,
    /// The connection broke.
    ConnectionReset,
    /// We left the body of a request incomplete.
    RequestIncomplete,
}

impl Error {
    /// The name in logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotHttp => "not_http",
            Self::Version => "version",
            Self::StatusLine => "status_line",
            Self::StatusCode => "status_code",
            Self::Message(misbehaviour) => misbehaviour.name(),
            Self::Bound(trip) => trip.name(),
            Self::Unsolicited => "unsolicited",
            Self::SwitchUnasked => "switch_unasked",
            Self::InformationalFlood => "informational_flood",
            Self::Unanswered => "unanswered",
            Self::EndInHead => "end_in_head",
            Self::EndInBody => "end_in_body",
            Self::ConnectionReset => "connection_reset",
            Self::RequestIncomplete => "request_incomplete",
        }
    }

    /// The section that the server broke; none where it broke nothing, or only a bound of ours.
    #[must_use]
    pub const fn section(self) -> Option<&'static str> {
        Some(match self {
            Self::NotHttp => "RFC 9112 section 2.1",
            Self::Version => "RFC 9112 section 2.3",
            Self::StatusLine => "RFC 9112 section 4",
            Self::StatusCode => "RFC 9110 section 15",
            Self::Message(misbehaviour) => section_of(misbehaviour),
            Self::Unsolicited => "RFC 9112 section 9.2",
            Self::SwitchUnasked => "RFC 9110 section 7.8",
            Self::EndInHead | Self::EndInBody => "RFC 9112 section 8",
            Self::Bound(_)
            | Self::InformationalFlood
            | Self::Unanswered
            | Self::ConnectionReset
            | Self::RequestIncomplete => return None,
        })
    }
}

/// Those that only requests can have are named too, so that a new variant does not compile before someone looks.
const fn section_of(misbehaviour: Misbehaviour) -> &'static str {
    use Misbehaviour as M;
    match misbehaviour {
        M::LeadingEmptyLines
        | M::BareLineFeed
        | M::BareCarriageReturn
        | M::SpaceBeforeFirstField
        | M::TlsOnCleartext
        | M::CleartextOnTls
        | M::Http2Preface => "RFC 9112 section 2.2",
        M::InvalidVersion | M::UnsupportedVersion => "RFC 9112 section 2.3",
        M::InvalidRequestLine
        | M::InvalidMethod
        | M::InvalidTarget
        | M::ForbiddenPath
        | M::ConnectUnsupported
        | M::MissingHost
        | M::SeveralHosts
        | M::InvalidHost
        | M::HostMismatch
        | M::SchemeMismatch
        | M::HostNotAllowed
        | M::Misdirected => "RFC 9112 section 3",
        M::MissingColon | M::SpaceBeforeColon => "RFC 9112 section 5.1",
        M::ObsoleteFold => "RFC 9112 section 5.2",
        M::ControlByte | M::InvalidFieldValue => "RFC 9110 section 5.5",
        M::InvalidFieldName | M::UnderscoreField => "RFC 9110 section 5.1",
        M::TransferEncodingOnHttp10
        | M::TransferEncodingInvalid
        | M::UnknownTransferCoding
        | M::ChunkedNotLast
        | M::ChunkedRepeated => "RFC 9112 section 6.1",
        M::ContentLengthInvalid
        | M::ContentLengthConflict
        | M::TransferEncodingWithContentLength => "RFC 9112 section 6.3",
        M::InvalidChunkSize
        | M::InvalidChunkExtension
        | M::InvalidChunkTerminator
        | M::ChunkedParameters => "RFC 9112 section 7.1",
        M::InvalidTrailer | M::ForbiddenTrailer => "RFC 9112 section 7.1.2",
        M::UnknownExpectation => "RFC 9110 section 10.1.1",
        M::EarlyEof => "RFC 9112 section 8",
    }
}

impl From<Misbehaviour> for Error {
    fn from(misbehaviour: Misbehaviour) -> Self {
        Self::Message(misbehaviour)
    }
}

impl From<Trip> for Error {
    fn from(trip: Trip) -> Self {
        Self::Bound(trip)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Misbehaviour(misbehaviour) => misbehaviour.into(),
            Refusal::Trip(trip) => trip.into(),
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.section() {
            Some(section) => write!(f, "{} ({section})", self.name()),
            None => f.write_str(self.name()),
        }
    }
}

impl std::error::Error for Error {}
