//! Takes the request line apart (RFC 9112 section 3): one space between three parts, none around them.
//!
//! What is wrong with a line that this refuses is found out in `head/diagnosis.rs`; whether the target is one is decided in
//! `target`.

use super::Version;
use crate::field::search::{first_space_or_control, leading_of_path, leading_of_query};
use crate::field::{split_token, strip_line_end};
use crate::method::Method;

/// The parts of a request line.
pub(super) struct RequestLine<'a> {
    pub(super) method: Method,
    /// The method as it was sent, a token.
    pub(super) method_token: &'a [u8],
    /// At least one byte, and neither spaces nor control bytes among them.
    pub(super) target: &'a [u8],
    /// How long the path at the front of the target is, where path and query were seen to need no closer look.
    pub(super) plain_path: Option<usize>,
    pub(super) version: Version,
}

impl<'a> RequestLine<'a> {
    /// Splits the request line off the front of a head; gives it and what follows its end.
    #[inline]
    pub(super) fn split_off(head: &'a [u8], strict: bool) -> Option<(RequestLine<'a>, &'a [u8])> {
        let (method, method_token, rest) = split_method(head)?;
        let (target_len, plain_path) = target_len(rest)?;
        let (target, rest) = rest.split_at_checked(target_len)?;
        if target.is_empty() {
            return None;
        }
        let (version, rest) = rest.split_first_chunk()?;
        // Compared as a whole; a `match` would go byte by byte.
        let version = if version == b" HTTP/1.1" {
            Version::Http11
        } else if version == b" HTTP/1.0" {
            Version::Http10
        } else {
            return None;
        };
        let line = RequestLine {
            method,
            method_token,
            target,
            plain_path,
            version,
        };
        Some((line, strip_line_end(rest, strict)?))
    }
}

/// How long the target at the front of `text` is, and its path if that is plain and so is the query. Most are: one look at
/// them is enough then.
#[inline]
fn target_len(text: &[u8]) -> Option<(usize, Option<usize>)> {
    let path = leading_of_path(text);
    let mut len = path;
    if text.get(len) == Some(&b'?') {
        len += 1 + leading_of_query(&text[len + 1..]);
    }
    if text.get(len) == Some(&b' ') {
        return Some((len, Some(path)));
    }
    Some((first_space_or_control(text)?, None))
}

/// Splits the method and the space behind it off the front of a head: its kind, its token, and the rest.
#[inline]
fn split_method(head: &[u8]) -> Option<(Method, &[u8], &[u8])> {
    // Most requests by far; looking its token up costs 40 instructions.
    if let Some(rest) = head.strip_prefix(b"GET ") {
        return Some((Method::Get, &head[..3], rest));
    }
    let (token, rest) = split_token(head);
    if token.is_empty() {
        return None;
    }
    Some((Method::from_token(token), token, rest.strip_prefix(b" ")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Target;
    use lanner_limits::PathPolicy;
    use proptest::prelude::*;

    fn split(head: &str) -> Option<(&str, &str, Version, &str)> {
        split_by(true, head)
    }

    fn split_by(strict: bool, head: &str) -> Option<(&str, &str, Version, &str)> {
        let text = |bytes| str::from_utf8(bytes).expect("split at ASCII only");
        RequestLine::split_off(head.as_bytes(), strict).map(|(line, rest)| {
            (
                text(line.method_token),
                text(line.target),
                line.version,
                text(rest),
            )
        })
    }

    #[test]
    fn a_request_line_is_three_parts_and_a_line_end() {
        for (head, parts) in [
            (
                "GET / HTTP/1.1\r\nA: b\r\n\r\n",
                ("GET", "/", Version::Http11, "A: b\r\n\r\n"),
            ),
            (
                "X /a?b HTTP/1.0\r\n\r\n",
                ("X", "/a?b", Version::Http10, "\r\n"),
            ),
            (
                "M-SEARCH ä HTTP/1.1\r\n",
                ("M-SEARCH", "ä", Version::Http11, ""),
            ),
        ] {
            assert_eq!(split(head), Some(parts), "{head:?}");
        }
    }

    #[test]
    fn a_bare_line_feed_ends_the_line_only_where_reading_is_not_strict() {
        let head = "OPTIONS * HTTP/1.1\n\n";
        assert_eq!(split_by(true, head), None);
        let parts = ("OPTIONS", "*", Version::Http11, "\n");
        assert_eq!(split_by(false, head), Some(parts));
    }

    #[test]
    fn every_other_line_is_none() {
        for head in [
            "",
            "\r\n",
            "GET",
            "GET ",
            "GET /",
            "GET / ",
            "GET / HTTP/1.1",
            "GET / HTTP/1.1\r",
            "GET / HTTP/1.1\rA",
            "GET / HTTP/1.1 \r\n",
            "GET / HTTP/1.1x\r\n",
            "GET / HTTP/1.2\r\n",
            "GET / HTTP/2.0\r\n",
            "GET / http/1.1\r\n",
            "GET /\tHTTP/1.1\r\n",
            "GET /\r\n",
            "GET  / HTTP/1.1\r\n",
            "GET /  HTTP/1.1\r\n",
            "GET / a HTTP/1.1\r\n",
            "GET  HTTP/1.1\r\n",
            "GET\t/ HTTP/1.1\r\n",
            " GET / HTTP/1.1\r\n",
            " / HTTP/1.1\r\n",
            "G{T / HTTP/1.1\r\n",
            "GET /\u{7f} HTTP/1.1\r\n",
        ] {
            assert_eq!(split(head), None, "{head:?}");
        }
    }

    /// What stands behind a target, long enough for all looks that go by 16 bytes.
    const BEHIND: &str = " HTTP/1.1\r\nHost: example.com\r\n\r\n";

    fn plain_path(target: &str) -> Option<usize> {
        let head = format!("GET {target}{BEHIND}");
        let (line, _) = RequestLine::split_off(head.as_bytes(), true).expect("a request line");
        assert_eq!(line.target, target.as_bytes());
        line.plain_path
    }

    #[test]
    fn a_path_and_query_of_letters_digits_and_the_like_need_no_closer_look() {
        for (target, path) in [
            ("/", 1),
            ("/hello", 6),
            ("/a/long-path/with_several/segments", 34),
            ("/search?q=rust+server&from=2024-01-01&tag=a%20b", 7),
            ("/?", 1),
            ("/a?", 2),
        ] {
            assert_eq!(plain_path(target), Some(path), "{target}");
        }
    }

    #[test]
    fn dots_and_escapes_in_a_path_and_rare_bytes_anywhere_get_a_closer_look() {
        for target in [
            "/a.b",
            "/../a",
            "/a%20b",
            "/a;b",
            "/a?b?c",
            "/a?b[c]",
            "/~a",
            "/a?ä",
            "http://a/",
        ] {
            assert_eq!(plain_path(target), None, "{target}");
        }
    }

    proptest! {
        #[test]
        fn a_plain_target_means_what_it_would_mean_at_a_closer_look(
            path in "/[aZ0/_.%;-]{0,20}",
            query in prop_oneof![Just(String::new()), "[?][aZ0=&+%.?|\"/]{0,20}"],
        ) {
            let target = format!("{path}{query}");
            if let Some(len) = plain_path(&target) {
                let head = format!("GET {target}{BEHIND}");
                let at = &head.as_bytes()[4..4 + target.len()];
                let (mut plain, mut parsed) = (Target::default(), Target::default());
                plain.take_plain(head.as_bytes(), at, len);
                let outcome = parsed.parse(head.as_bytes(), at, Method::Get, PathPolicy::Strict);
                prop_assert_eq!(outcome, Ok(()));
                prop_assert_eq!(plain, parsed);
            }
        }
    }
}
