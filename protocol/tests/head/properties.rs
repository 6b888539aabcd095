//! Properties that hold for every input, tried on thousands.

use lanner_limits::Limits;
use lanner_protocol::head::{Head, Version};
use proptest::prelude::*;

use crate::driver::{Outcome, Parsed, feed, limits};

/// Pieces of requests, good and bad, so that random strings of them come far into the parser.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(
        &[
            "GET",
            "POST",
            "OPTIONS",
            "CONNECT",
            "PRI",
            " ",
            " ",
            "/",
            "*",
            "/a?b",
            "/../",
            "/%2e",
            "http://a",
            "a.com:80",
            " HTTP/1.1\r\n",
            " HTTP/1.0\r\n",
            "HTTP/2.0",
            "\r\n",
            "\r\n",
            "\r\n\r\n",
            "\n",
            "\r",
            "\t",
            ":",
            ": ",
            "Host: a\r\n",
            "Host",
            "x: y\r\n",
            "X",
            "Content-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Connection: close\r\n",
            "Expect: 100-continue\r\n",
            "Upgrade: x\r\n",
            ",",
            "\0",
            "\x16",
            "\u{7f}",
            "é",
            "_",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ][..],
    )
    .prop_map(|text| text.as_bytes().to_vec());
    prop_oneof![8 => known, 1 => prop::collection::vec(any::<u8>(), 1..4)]
}

fn request_like() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(fragment(), 0..14).prop_map(|fragments| fragments.concat())
}

/// Bounds small enough to be hit by what `request_like` makes.
fn narrow(strict: bool) -> Limits {
    let mut limits = limits();
    limits.h1_strict = strict;
    limits.max_request_line = 48;
    limits.max_header_bytes = 96;
    limits.max_header_count = 4;
    limits
}

fn same_at_every_split(input: &[u8], limits: &Limits) -> Result<(), TestCaseError> {
    let whole = feed(input, [input.len()], limits);
    for split in 0..=input.len() {
        prop_assert_eq!(
            &feed(input, [split, input.len()], limits),
            &whole,
            "split at {}",
            split
        );
    }
    prop_assert_eq!(
        &feed(input, 1..=input.len(), limits),
        &whole,
        "byte by byte"
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8 * ProptestConfig::default().cases))]

    #[test]
    fn splitting_makes_no_difference_to_request_like_bytes(input in request_like(), strict in any::<bool>()) {
        same_at_every_split(&input, &limits())?;
        same_at_every_split(&input, &narrow(strict))?;
    }

    #[test]
    fn splitting_makes_no_difference_to_any_bytes(
        input in prop::collection::vec(any::<u8>(), 0..64),
        pieces in prop::collection::vec(0usize..64, 0..8),
    ) {
        same_at_every_split(&input, &limits())?;
        let mut lengths: Vec<usize> = pieces.into_iter().filter(|len| *len <= input.len()).collect();
        lengths.sort_unstable();
        lengths.push(input.len());
        prop_assert_eq!(feed(&input, lengths, &limits()), feed(&input, [input.len()], &limits()));
    }

    #[test]
    fn the_parser_alone_takes_any_bytes_without_panic(input in request_like()) {
        let _ = Head::default().parse(&input, &limits());
    }

    #[test]
    fn a_single_changed_byte_never_panics_and_never_depends_on_the_split(at in 0usize..96, byte in any::<u8>()) {
        let mut input = b"POST /a/b?c=d HTTP/1.1\r\nHost: a.com\r\nContent-Length: 10\r\nConnection: close\r\nX-Y: z z\r\n\r\n".to_vec();
        let at = at % input.len();
        input[at] = byte;
        same_at_every_split(&input, &limits())?;
    }
}

/// A head that must be accepted, with what must come out of it.
#[derive(Clone, Debug)]
struct Valid {
    method: String,
    path: String,
    query: Option<String>,
    version: Version,
    fields: Vec<(String, Vec<u8>)>,
}

impl Valid {
    fn text(&self) -> Vec<u8> {
        let query = self
            .query
            .as_ref()
            .map_or(String::new(), |query| format!("?{query}"));
        let version = if self.version == Version::Http10 {
            "1.0"
        } else {
            "1.1"
        };
        let mut text = format!(
            "{} {}{query} HTTP/{version}\r\nHost: example.com\r\n",
            self.method, self.path
        )
        .into_bytes();
        for (name, value) in &self.fields {
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(b": ");
            text.extend_from_slice(value);
            text.extend_from_slice(b" \r\n");
        }
        text.extend_from_slice(b"\r\n");
        text
    }
}

fn valid() -> impl Strategy<Value = Valid> {
    let value = prop::collection::vec(
        prop_oneof![4 => 0x21..0x7fu8, 1 => Just(b' '), 1 => Just(b'\t'), 1 => 0x80..=0xffu8],
        0..20,
    )
    .prop_map(|value| lanner_protocol::field::trim_ows(&value).to_vec());
    (
        "[A-Z!#$%&'*+.^_`|~-]{1,10}"
            .prop_filter("CONNECT has another target", |method| method != "CONNECT"),
        // A letter in front of each segment, so that none is made of dots.
        "(/[a-z][A-Za-z0-9._~!$&'()*+,;=:@-]{0,8}){1,4}",
        prop::option::of("[A-Za-z0-9._~!$&'()*+,;=:@/?%-]{0,12}"),
        prop_oneof![Just(Version::Http10), Just(Version::Http11)],
        prop::collection::vec(("X-[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}", value), 0..8),
    )
        .prop_map(|(method, path, query, version, fields)| Valid {
            method,
            path,
            query,
            version,
            fields,
        })
}

proptest! {
    #[test]
    fn a_valid_head_parses_back_to_what_it_was_made_of(valid in valid(), behind in prop::collection::vec(any::<u8>(), 0..8)) {
        let text = valid.text();
        let input = [&text[..], &behind].concat();
        let Outcome::Parsed(parsed) = feed(&input, [input.len()], &limits()) else {
            return Err(TestCaseError::fail(format!("not parsed: {}", input.escape_ascii())));
        };
        let Parsed { head, bytes, end } = &*parsed;
        prop_assert_eq!(*end, text.len());
        prop_assert_eq!(head.method_span.str(bytes), &valid.method);
        prop_assert_eq!(head.target.path_text(bytes), &valid.path);
        prop_assert_eq!(head.target.query_text(bytes), valid.query.as_deref());
        prop_assert_eq!(head.version, valid.version);
        let fields: Vec<(String, Vec<u8>)> =
            head.iter(bytes).skip(1).map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
        prop_assert_eq!(&fields, &valid.fields);
        for (name, _) in &valid.fields {
            let first = valid.fields.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| &value[..]);
            prop_assert_eq!(head.field(bytes, &name.to_ascii_lowercase()), first);
        }
        same_at_every_split(&input, &limits())?;
    }
}
