//! Every way in which a peer can break RFC 9110 or RFC 9112 here, and what it is answered.
//!
//! One variant per way, so that logs and metrics tell a scanner from a broken client, and so that a new one does not
//! compile before `answer` and `name` decide about it. All of them close the connection after the answer: once a peer and
//! we disagree about where a message ends, nothing after it can be trusted. Bounds are no misbehaviours; they are
//! `lanner_limits::Trip`.

/// A way to break the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Misbehaviour {
    /// More than two empty lines before the request line. RFC 9112 section 2.2 asks to skip "at least one"; parsers that skip
    /// without end can be fed line ends for ever without a request ever beginning.
    LeadingEmptyLines,
    /// A line ended by LF alone. RFC 9112 section 2.2 allows reading it as a line end, and servers that do not agree on it see
    /// different fields in the same bytes (CVE-2019-16785 waitress).
    BareLineFeed,
    /// CR without LF after it. RFC 9112 section 2.2: invalid, or replaced by SP; a parser that takes it for a line end lets fields
    /// be smuggled past one that does not (CVE-2023-30589 Node.js).
    BareCarriageReturn,
    /// NUL or another control byte in a head. RFC 9110 section 5.5: dangerous, for it ends the value in some parsers
    /// (CVE-2019-9900 Envoy).
    ControlByte,
    /// A field line continued on the next line. RFC 9112 section 5.2: refused, or joined by SP; whoever does neither sees the
    /// continuation as a field of its own (CVE-2022-32215 Node.js).
    ObsoleteFold,
    /// White space before the first field line. RFC 9112 section 2.2: refused, or the line is dropped; both exist, and a Host or
    /// Transfer-Encoding there is seen by only one of two servers.
    SpaceBeforeFirstField,
    /// White space between field name and colon. RFC 9112 section 5.1: a server must refuse it with 400. `Transfer-Encoding :
    /// chunked` was unknown to one server and framing to the next (CVE-2019-16869 Netty, CVE-2021-22959 Node.js).
    SpaceBeforeColon,
    /// A field line without a colon. RFC 9112 section 5: not a field line (CVE-2019-20444 Netty).
    MissingColon,
    /// The request line is not method, SP, target, SP, version with single spaces. RFC 9112 section 3: refused, for lenient
    /// splitting finds different targets in the same line (CVE-2016-8743 Apache).
    InvalidRequestLine,
    /// The method is not a token. RFC 9112 section 3.1.
    InvalidMethod,
    /// The target is in none of the four forms, in one that its method may not use, or has characters that RFC 3986 keeps
    /// out of it. RFC 9112 section 3.2; CVE-2016-6816 (Tomcat) needed such characters.
    InvalidTarget,
    /// The version is not `HTTP/` digit `.` digit. RFC 9112 section 2.3; HTTP/0.9's request line without version is one too.
    InvalidVersion,
    /// A version other than 1.0 and 1.1. RFC 9110 section 15.6.6. Minor versions above 1 were never defined; none are guessed at.
    UnsupportedVersion,
    /// A field name that is not a token. RFC 9110 section 5.1; names with control bytes or brackets are cleaned up by some servers and
    /// then mean something (CVE-2021-43797 Netty).
    InvalidFieldName,
    /// A field value with characters that RFC 9110 section 5.5 does not allow.
    InvalidFieldValue,
    /// An underscore in a field name, where the operator refuses them: gateways that turn names into variables cannot tell
    /// `Content_Length` from `Content-Length` (CVE-2015-0219 Django).
    UnderscoreField,
    /// HTTP/1.1 without Host. RFC 9112 section 3.2: 400.
    MissingHost,
    /// More than one Host line. RFC 9112 section 3.2: 400; two servers would pick different ones, and caches mix sites.
    SeveralHosts,
    /// A Host, or an authority in the target, that is no host with an optional port. RFC 9110 section 7.2 and RFC 9112 section 3.2: 400.
    /// Fed to password-reset links and cache keys otherwise.
    InvalidHost,
    /// The target's authority and Host differ. RFC 9112 section 3.2.2 makes the target win and many servers let Host win: routing
    /// and rules would see different sites.
    HostMismatch,
    /// An `https` target on a connection that is not secured. RFC 9110 section 7.4: 421.
    SchemeMismatch,
    /// A host that is not served here. RFC 9110 section 15.5.20: 421.
    HostNotAllowed,
    /// A host that, asked for in the TLS handshake, would have met another certificate or other rules than this connection did.
    /// RFC 9110 section 15.5.20: 421, and the client asks on a connection of its own.
    Misdirected,
    /// A path that the operator's path policy refuses: `%00`, a malformed escape, or `..;` (CVE-2019-9901 Envoy,
    /// CVE-2021-41773 Apache, CVE-2020-5902 BIG-IP).
    ForbiddenPath,
    /// A Content-Length that is not 1 to 19 digits. RFC 9110 section 8.6. Signs, spaces, hexadecimal and overflow were each a
    /// smuggling hole somewhere (CVE-2018-7159 Node.js, CVE-2014-0099 Tomcat, CVE-2022-24761 waitress).
    ContentLengthInvalid,
    /// Content-Length more than once, in lines or as a list, even if the numbers agree. RFC 9112 section 6.3 allows folding equal
    /// ones; nobody honest sends them, and one of the two may be dropped on the way (CVE-2019-20445 Netty).
    ContentLengthConflict,
    /// Both Transfer-Encoding and Content-Length. RFC 9112 section 6.3: "ought to be handled as an error": the classic of request
    /// smuggling (CVE-2005-2088 Apache, CVE-2019-20445 Netty, CVE-2020-8287 Node.js).
    TransferEncodingWithContentLength,
    /// Transfer-Encoding in an HTTP/1.0 request. RFC 9112 section 6.1: its framing is faulty; old intermediaries ignore the field
    /// (CVE-2021-33037 Tomcat).
    TransferEncodingOnHttp10,
    /// A Transfer-Encoding that is not a list of codings. RFC 9112 section 6.1 and 6.3. Empty elements are refused too: parsers
    /// disagree over which coding is then the last.
    TransferEncodingInvalid,
    /// A transfer coding that we do not implement before a final `chunked`. RFC 9112 section 6.1: 501.
    UnknownTransferCoding,
    /// Codings after `chunked`, or none that is. RFC 9112 section 6.3: the end of the body cannot be known, 400 (CVE-2021-33037
    /// Tomcat). `identity`, `xchunked` and their like were smuggled past parsers that ignore or half recognise them
    /// (CVE-2019-18277 HAProxy, CVE-2022-1705 Go).
    ChunkedNotLast,
    /// `chunked` twice. RFC 9112 section 6.1: must not be applied more than once (CVE-2020-8287 Node.js).
    ChunkedRepeated,
    /// `chunked` with parameters. RFC 9112 section 7.1: it defines none, "their presence SHOULD be treated as an error".
    ChunkedParameters,
    /// A chunk size that is not 1 to 16 hexadecimal digits: a sign, `0x`, a space, an overflow. RFC 9112 section 7.1
    /// (CVE-2013-2028 nginx, CVE-2022-24761 waitress).
    InvalidChunkSize,
    /// A chunk extension against its grammar. RFC 9112 section 7.1.1. Line ends in there are where parsers part ways
    /// (CVE-2025-55315 Kestrel, CVE-2021-22960 Node.js).
    InvalidChunkExtension,
    /// Something other than CRLF after a chunk's size line or its data. RFC 9112 section 7.1. A parser that skips two bytes
    /// unseen, or takes LF or CR alone, cuts elsewhere (CVE-2025-55315 Kestrel, CVE-2025-22871 Go).
    InvalidChunkTerminator,
    /// A trailer section that breaks the rules of a field section. RFC 9112 section 7.1.2 (CVE-2023-46589 Tomcat).
    InvalidTrailer,
    /// A trailer field that frames, routes, authenticates or modifies the request. RFC 9110 section 6.5.1: such fields take effect
    /// before the content, so merging them afterwards would change what was already decided.
    ForbiddenTrailer,
    /// An expectation other than `100-continue`. RFC 9110 section 10.1.1: 417.
    UnknownExpectation,
    /// CONNECT. RFC 9110 section 9.3.6: an origin server without tunnels answers 501.
    ConnectUnsupported,
    /// A TLS ClientHello on a port without TLS: 0x16 begins no request.
    TlsOnCleartext,
    /// A request in the clear on a port with TLS.
    CleartextOnTls,
    /// The preface of HTTP/2 (RFC 9113 section 3.4) where HTTP/2 is not spoken.
    Http2Preface,
    /// The peer closed in the middle of a head, a chunk or a body. RFC 9112 section 8: incomplete, so never handed to the app as
    /// if it were whole.
    EarlyEof,
}

impl Misbehaviour {
    /// Every variant, in the order of declaration.
    pub const ALL: [Misbehaviour; 44] = [
        Misbehaviour::LeadingEmptyLines,
        Misbehaviour::BareLineFeed,
        Misbehaviour::BareCarriageReturn,
        Misbehaviour::ControlByte,
        Misbehaviour::ObsoleteFold,
        Misbehaviour::SpaceBeforeFirstField,
        Misbehaviour::SpaceBeforeColon,
        Misbehaviour::MissingColon,
        Misbehaviour::InvalidRequestLine,
        Misbehaviour::InvalidMethod,
        Misbehaviour::InvalidTarget,
        Misbehaviour::InvalidVersion,
        Misbehaviour::UnsupportedVersion,
        Misbehaviour::InvalidFieldName,
        Misbehaviour::InvalidFieldValue,
        Misbehaviour::UnderscoreField,
        Misbehaviour::MissingHost,
        Misbehaviour::SeveralHosts,
        Misbehaviour::InvalidHost,
        Misbehaviour::HostMismatch,
        Misbehaviour::SchemeMismatch,
        Misbehaviour::HostNotAllowed,
        Misbehaviour::Misdirected,
        Misbehaviour::ForbiddenPath,
        Misbehaviour::ContentLengthInvalid,
        Misbehaviour::ContentLengthConflict,
        Misbehaviour::TransferEncodingWithContentLength,
        Misbehaviour::TransferEncodingOnHttp10,
        Misbehaviour::TransferEncodingInvalid,
        Misbehaviour::UnknownTransferCoding,
        Misbehaviour::ChunkedNotLast,
        Misbehaviour::ChunkedRepeated,
        Misbehaviour::ChunkedParameters,
        Misbehaviour::InvalidChunkSize,
        Misbehaviour::InvalidChunkExtension,
        Misbehaviour::InvalidChunkTerminator,
        Misbehaviour::InvalidTrailer,
        Misbehaviour::ForbiddenTrailer,
        Misbehaviour::UnknownExpectation,
        Misbehaviour::ConnectUnsupported,
        Misbehaviour::TlsOnCleartext,
        Misbehaviour::CleartextOnTls,
        Misbehaviour::Http2Preface,
        Misbehaviour::EarlyEof,
    ];

    /// What the peer is told: the status and one sentence for the body. The sentence never repeats what the peer sent.
    pub fn answer(self) -> (u16, &'static str) {
        match self {
            Misbehaviour::LeadingEmptyLines => {
                (400, "Too many empty lines before the request line.")
            }
            Misbehaviour::BareLineFeed => (400, "A line must end with CR LF."),
            Misbehaviour::BareCarriageReturn => (400, "CR must be followed by LF."),
            Misbehaviour::ControlByte => (400, "The head holds a control character."),
            Misbehaviour::ObsoleteFold => (400, "A field must not continue on another line."),
            Misbehaviour::SpaceBeforeFirstField => {
                (400, "The first field line must not begin with white space.")
            }
            Misbehaviour::SpaceBeforeColon => (400, "White space before the colon of a field."),
            Misbehaviour::MissingColon => (400, "A field line without a colon."),
            Misbehaviour::InvalidRequestLine => (400, "The request line is malformed."),
            Misbehaviour::InvalidMethod => (400, "The method is malformed."),
            Misbehaviour::InvalidTarget => (400, "The request target is malformed."),
            Misbehaviour::InvalidVersion => (400, "The HTTP version is malformed."),
            // The status says it: the version is well-formed, merely not spoken here.
            Misbehaviour::UnsupportedVersion => (505, "This HTTP version is not supported."),
            Misbehaviour::InvalidFieldName => (400, "A field name is malformed."),
            Misbehaviour::InvalidFieldValue => (400, "A field value is malformed."),
            Misbehaviour::UnderscoreField => {
                (400, "A field name with an underscore is not accepted.")
            }
            Misbehaviour::MissingHost => (400, "The Host field is missing."),
            Misbehaviour::SeveralHosts => (400, "There is more than one Host field."),
            Misbehaviour::InvalidHost => (400, "The host is malformed."),
            Misbehaviour::HostMismatch => (
                400,
                "The Host field and the request target name different hosts.",
            ),
            // 421 tells a client that coalesced connections to try another one (RFC 9110 section 15.5.20).
            Misbehaviour::SchemeMismatch => (421, "This connection is not secured by TLS."),
            Misbehaviour::HostNotAllowed => (421, "This host is not served here."),
            Misbehaviour::Misdirected => (421, "This host needs a TLS connection of its own."),
            Misbehaviour::ForbiddenPath => (400, "This path is not accepted."),
            Misbehaviour::ContentLengthInvalid => (400, "Content-Length is malformed."),
            Misbehaviour::ContentLengthConflict => (400, "There is more than one Content-Length."),
            Misbehaviour::TransferEncodingWithContentLength => (
                400,
                "Transfer-Encoding and Content-Length must not both be present.",
            ),
            Misbehaviour::TransferEncodingOnHttp10 => (400, "Transfer-Encoding needs HTTP/1.1."),
            Misbehaviour::TransferEncodingInvalid => (400, "Transfer-Encoding is malformed."),
            // RFC 9112 section 6.1: a coding that the server does not understand is 501, not 400.
            Misbehaviour::UnknownTransferCoding => (501, "This transfer coding is not supported."),
            Misbehaviour::ChunkedNotLast => (400, "chunked must be the last transfer coding."),
            Misbehaviour::ChunkedRepeated => (400, "chunked must be applied only once."),
            Misbehaviour::ChunkedParameters => (400, "chunked takes no parameters."),
            Misbehaviour::InvalidChunkSize => (400, "A chunk size is malformed."),
            Misbehaviour::InvalidChunkExtension => (400, "A chunk extension is malformed."),
            Misbehaviour::InvalidChunkTerminator => (400, "A chunk must end with CR LF."),
            Misbehaviour::InvalidTrailer => (400, "The trailer section is malformed."),
            Misbehaviour::ForbiddenTrailer => (400, "A field that must not be sent as a trailer."),
            Misbehaviour::UnknownExpectation => {
                (417, "Only the expectation 100-continue is supported.")
            }
            Misbehaviour::ConnectUnsupported => (501, "CONNECT is not supported."),
            // A TLS client cannot read this; whoever debugs with a packet dump can.
            Misbehaviour::TlsOnCleartext => (400, "This port speaks HTTP, not TLS."),
            Misbehaviour::CleartextOnTls => (400, "This port speaks HTTPS, not HTTP."),
            // Readable by people only; 505 because what is wrong is the version.
            Misbehaviour::Http2Preface => (505, "HTTP/2 is not supported on this port."),
            Misbehaviour::EarlyEof => (400, "The request is incomplete."),
        }
    }

    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Misbehaviour::LeadingEmptyLines => "leading_empty_lines",
            Misbehaviour::BareLineFeed => "bare_line_feed",
            Misbehaviour::BareCarriageReturn => "bare_carriage_return",
            Misbehaviour::ControlByte => "control_byte",
            Misbehaviour::ObsoleteFold => "obsolete_fold",
            Misbehaviour::SpaceBeforeFirstField => "space_before_first_field",
            Misbehaviour::SpaceBeforeColon => "space_before_colon",
            Misbehaviour::MissingColon => "missing_colon",
            Misbehaviour::InvalidRequestLine => "invalid_request_line",
            Misbehaviour::InvalidMethod => "invalid_method",
            Misbehaviour::InvalidTarget => "invalid_target",
            Misbehaviour::InvalidVersion => "invalid_version",
            Misbehaviour::UnsupportedVersion => "unsupported_version",
            Misbehaviour::InvalidFieldName => "invalid_field_name",
            Misbehaviour::InvalidFieldValue => "invalid_field_value",
            Misbehaviour::UnderscoreField => "underscore_field",
            Misbehaviour::MissingHost => "missing_host",
            Misbehaviour::SeveralHosts => "several_hosts",
            Misbehaviour::InvalidHost => "invalid_host",
            Misbehaviour::HostMismatch => "host_mismatch",
            Misbehaviour::SchemeMismatch => "scheme_mismatch",
            Misbehaviour::HostNotAllowed => "host_not_allowed",
            Misbehaviour::Misdirected => "misdirected",
            Misbehaviour::ForbiddenPath => "forbidden_path",
            Misbehaviour::ContentLengthInvalid => "content_length_invalid",
            Misbehaviour::ContentLengthConflict => "content_length_conflict",
            Misbehaviour::TransferEncodingWithContentLength => {
                "transfer_encoding_with_content_length"
            }
            Misbehaviour::TransferEncodingOnHttp10 => "transfer_encoding_on_http10",
            Misbehaviour::TransferEncodingInvalid => "transfer_encoding_invalid",
            Misbehaviour::UnknownTransferCoding => "unknown_transfer_coding",
            Misbehaviour::ChunkedNotLast => "chunked_not_last",
            Misbehaviour::ChunkedRepeated => "chunked_repeated",
            Misbehaviour::ChunkedParameters => "chunked_parameters",
            Misbehaviour::InvalidChunkSize => "invalid_chunk_size",
            Misbehaviour::InvalidChunkExtension => "invalid_chunk_extension",
            Misbehaviour::InvalidChunkTerminator => "invalid_chunk_terminator",
            Misbehaviour::InvalidTrailer => "invalid_trailer",
            Misbehaviour::ForbiddenTrailer => "forbidden_trailer",
            Misbehaviour::UnknownExpectation => "unknown_expectation",
            Misbehaviour::ConnectUnsupported => "connect_unsupported",
            Misbehaviour::TlsOnCleartext => "tls_on_cleartext",
            Misbehaviour::CleartextOnTls => "cleartext_on_tls",
            Misbehaviour::Http2Preface => "http2_preface",
            Misbehaviour::EarlyEof => "early_eof",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_answer_is_an_error_status_with_one_plain_sentence() {
        for misbehaviour in Misbehaviour::ALL {
            let (status, text) = misbehaviour.answer();
            assert!((400..600).contains(&status), "{misbehaviour:?}");
            assert!(text.ends_with('.') && text.is_ascii(), "{misbehaviour:?}");
            assert!(!text.contains(['\r', '\n']), "{misbehaviour:?}");
        }
    }

    #[test]
    fn only_what_is_well_formed_but_not_spoken_here_answers_other_than_400() {
        let others: Vec<(Misbehaviour, u16)> = Misbehaviour::ALL
            .into_iter()
            .map(|misbehaviour| (misbehaviour, misbehaviour.answer().0))
            .filter(|(_, status)| *status != 400)
            .collect();
        assert_eq!(
            others,
            [
                (Misbehaviour::UnsupportedVersion, 505),
                (Misbehaviour::SchemeMismatch, 421),
                (Misbehaviour::HostNotAllowed, 421),
                (Misbehaviour::Misdirected, 421),
                (Misbehaviour::UnknownTransferCoding, 501),
                (Misbehaviour::UnknownExpectation, 417),
                (Misbehaviour::ConnectUnsupported, 501),
                (Misbehaviour::Http2Preface, 505),
            ]
        );
    }

    #[test]
    fn names_are_the_variants_in_snake_case_and_differ() {
        let mut seen = HashSet::new();
        for misbehaviour in Misbehaviour::ALL {
            let mut expected = String::new();
            for character in format!("{misbehaviour:?}").chars() {
                if character.is_ascii_uppercase() && !expected.is_empty() {
                    expected.push('_');
                }
                expected.push(character.to_ascii_lowercase());
            }
            assert_eq!(misbehaviour.name(), expected);
            assert!(
                seen.insert(misbehaviour),
                "{misbehaviour:?} is listed twice"
            );
        }
    }

    #[test]
    fn all_lists_every_variant() {
        // The discriminants count up from zero, so the last one tells how many there are.
        assert_eq!(Misbehaviour::EarlyEof as usize + 1, Misbehaviour::ALL.len());
    }
}
