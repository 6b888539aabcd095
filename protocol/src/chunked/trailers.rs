//! The trailer section of a chunked body: which fields may come this late, and where they stand.

use lanner_limits::{Limits, Trip};
use memchr::memchr;

use crate::field::{FieldSpan, parse_line};
use crate::misbehaviour::Misbehaviour;
use crate::refusal::Refusal;
use crate::scan::lint;
use crate::span::Span;

/// Fields that must come before the content (RFC 9110 section 6.5.1): they frame the message, route it, authenticate or modify the
/// request, or say how to read the content; by now all of that is decided. A smuggled copy must not reach an app that
/// merges trailers into the head. In lower case, sorted.
const FORBIDDEN: [&str; 34] = [
    "accept-encoding",
    "age",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "www-authenticate",
    "x-http-method-override",
    "x-real-ip",
];

/// What proxies tell about the client; everything below it is forbidden too.
const FORBIDDEN_PREFIX: &[u8] = b"x-forwarded-";

/// Parses the trailer field lines that `Chunk::End` pointed at; spans are relative to `bytes`. `fields` is emptied first and
/// keeps its memory.
///
/// # Errors
/// What is wrong with a line, `ForbiddenTrailer`, or the bounds that a head's fields have too.
pub fn parse_trailers(
    bytes: &[u8],
    limits: &Limits,
    fields: &mut Vec<FieldSpan>,
) -> Result<(), Refusal> {
    fields.clear();
    if bytes.len() > limits.max_header_bytes {
        return Err(Trip::HeaderBytes.into());
    }
    // Before any line is judged, as the scan does it, so that the verdict does not depend on how the bytes arrived.
    lint(bytes, 0, bytes.len())?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let (line, after) = split_line(rest).ok_or(Misbehaviour::InvalidTrailer)?;
        let (name, value) = parse_line(line).map_err(|_| Misbehaviour::InvalidTrailer)?;
        if is_forbidden_trailer(name) {
            return Err(Misbehaviour::ForbiddenTrailer.into());
        }
        if fields.len() == limits.max_header_count {
            return Err(Trip::HeaderCount.into());
        }
        fields.push(FieldSpan {
            name: Span::of(bytes, name),
            value: Span::of(bytes, value),
        });
        rest = after;
    }
    Ok(())
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let line_feed = memchr(b'\n', bytes)?;
    Some((
        bytes[..line_feed].strip_suffix(b"\r")?,
        &bytes[line_feed + 1..],
    ))
}

/// Whether a field must not come behind the content.
pub(crate) fn is_forbidden_trailer(name: &[u8]) -> bool {
    name.len() >= FORBIDDEN_PREFIX.len()
        && name[..FORBIDDEN_PREFIX.len()].eq_ignore_ascii_case(FORBIDDEN_PREFIX)
        || FORBIDDEN
            .iter()
            .any(|forbidden| name.eq_ignore_ascii_case(forbidden.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_in_lower_case() {
        assert!(FORBIDDEN.is_sorted());
        assert!(FORBIDDEN.iter().all(|name| {
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        }));
    }

    #[test]
    fn names_are_forbidden_whole_and_in_any_case() {
        for name in [
            "host",
            "Host",
            "CONTENT-LENGTH",
            "x-forwarded-for",
            "X-Forwarded-Anything",
        ] {
            assert!(is_forbidden_trailer(name.as_bytes()), "{name}");
        }
        for name in [
            "hosts",
            "hos",
            "digest",
            "grpc-status",
            "server-timing",
            "x-forwarded",
            "etag",
            "a",
        ] {
            assert!(!is_forbidden_trailer(name.as_bytes()), "{name}");
        }
    }
}
