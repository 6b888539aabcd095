//! What must be turned away, with which reason; the bodies with which other servers were fooled among them.

use lanner_limits::Trip;
use lanner_protocol::Misbehaviour::{self, *};
use lanner_protocol::Refusal;
use lanner_protocol::chunked::parse_trailers;

use crate::driver::{End, Outcome, feed, limits, misbehaves, outcome, refused_under};

fn all_misbehave(cases: &[(&str, Misbehaviour)]) {
    for (input, fault) in cases {
        assert_eq!(misbehaves(input), *fault, "{input:?}");
    }
}

#[test]
fn a_size_is_hexadecimal_digits_and_nothing_else() {
    for size in [
        "", " ", " 5", "5 ", "\t5", "+5", "-5", "0x5", "0X5", "5h", "g", "5.0", "5,5", "5_0",
        "\u{0665}", "\"5\"", "=5", "5\0", "\0",
    ] {
        assert_eq!(
            misbehaves(format!("{size}\r\nhello\r\n0\r\n\r\n")),
            InvalidChunkSize,
            "{size:?}"
        );
    }
}

#[test]
fn cve_2013_2028_nginx_a_size_that_overflows() {
    for size in [
        "10000000000000000",
        "00000000000000005",
        "fffffffffffffffff",
        "FFFFFFFFFFFFFFFF0",
    ] {
        assert_eq!(
            misbehaves(format!("{size}\r\nhello\r\n0\r\n\r\n")),
            InvalidChunkSize,
            "{size}"
        );
    }
}

#[test]
fn cve_2025_22871_go_line_feed_alone_behind_a_size() {
    all_misbehave(&[
        ("5\nhello\r\n0\r\n\r\n", InvalidChunkTerminator),
        ("5\r\nhello\r\n0\n\r\n", InvalidChunkTerminator),
        ("5\r\nhello\r\n0\r\n\n", BareLineFeed),
        ("0\r\nA: b\n\r\n", BareLineFeed),
    ]);
}

#[test]
fn what_follows_content_is_exactly_crlf() {
    all_misbehave(&[
        ("5\r\nhello\n0\r\n\r\n", InvalidChunkTerminator),
        ("5\r\nhello0\r\n\r\n", InvalidChunkTerminator),
        ("5\r\nhelloXX0\r\n\r\n", InvalidChunkTerminator),
        ("5\r\nhello\rX0\r\n\r\n", InvalidChunkTerminator),
        ("5\r\nhello\r\r\n0\r\n\r\n", InvalidChunkTerminator),
        ("5\r\nhello!\r\n0\r\n\r\n", InvalidChunkTerminator),
        ("5\rXhello\r\n0\r\n\r\n", InvalidChunkTerminator),
        ("5\r\r\nhello\r\n0\r\n\r\n", InvalidChunkTerminator),
        ("5\r\nhello\r\n\r\n0\r\n\r\n", InvalidChunkSize),
    ]);
}

#[test]
fn cve_2025_55315_kestrel_and_cve_2021_22960_node_line_ends_within_an_extension() {
    all_misbehave(&[
        ("5;\nhello\r\n0\r\n\r\n", InvalidChunkExtension),
        ("5;a\nhello\r\n0\r\n\r\n", InvalidChunkExtension),
        ("5;a\rhello\r\n0\r\n\r\n", InvalidChunkTerminator),
        ("5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n", InvalidChunkExtension),
        ("5;a=\"\n\"\r\nhello\r\n0\r\n\r\n", InvalidChunkExtension),
        ("5;a=b\n\r\nhello\r\n0\r\n\r\n", InvalidChunkExtension),
        (
            "2;\nxx\r\n4c\r\n0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n",
            InvalidChunkExtension,
        ),
        ("5;a=\0\r\nhello\r\n0\r\n\r\n", InvalidChunkExtension),
        ("5;\r\nhello\r\n0\r\n\r\n", InvalidChunkExtension),
        ("5;a=\r\nhello\r\n0\r\n\r\n", InvalidChunkExtension),
        ("5;;a\r\nhello\r\n0\r\n\r\n", InvalidChunkExtension),
    ]);
}

#[test]
fn content_before_the_fault_was_content() {
    let got = outcome(b"3\r\nabc\r\n2\r\ndeX", &limits());
    assert_eq!(
        got,
        Outcome {
            content: b"abcde".to_vec(),
            end: End::Refused(InvalidChunkTerminator.into())
        }
    );
}

#[test]
fn a_size_line_may_be_as_long_as_the_limit_and_no_longer() {
    let mut limits = limits();
    limits.h1_max_chunk_line = 20;
    let body = |len: usize| format!("3;{}\r\nabc\r\n0\r\n\r\n", "a".repeat(len - 4));
    let Outcome {
        end: End::Complete { .. },
        ..
    } = outcome(body(20).as_bytes(), &limits)
    else {
        panic!("20 bytes are allowed");
    };
    for len in [21, 22, 400] {
        assert_eq!(
            refused_under(body(len), &limits),
            Refusal::Trip(Trip::ChunkLine),
            "{len}"
        );
    }
    let endless = [&b"3;"[..], &[b'a'; 19]].concat();
    assert_eq!(feed(&endless, 1..=20, &limits).end, End::Incomplete);
    assert_eq!(
        feed(&endless, 1..=21, &limits).end,
        End::Refused(Refusal::Trip(Trip::ChunkLine))
    );
}

#[test]
fn extensions_are_counted_over_the_whole_body() {
    let mut limits = limits();
    limits.h1_max_chunk_extensions = 10;
    let body = |count: usize| format!("{}0\r\n\r\n", "1;abcd\r\nx\r\n".repeat(count));
    assert_eq!(outcome(body(2).as_bytes(), &limits).content, b"xx");
    assert_eq!(
        refused_under(body(3), &limits),
        Refusal::Trip(Trip::ChunkExtensions)
    );
    assert_eq!(
        refused_under("1;abcdefghij\r\n", &limits),
        Refusal::Trip(Trip::ChunkExtensions)
    );
}

#[test]
fn a_broken_trailer_section_is_refused() {
    all_misbehave(&[
        ("0\r\nA : b\r\n\r\n", InvalidTrailer),
        ("0\r\nA\r\n\r\n", InvalidTrailer),
        ("0\r\n: b\r\n\r\n", InvalidTrailer),
        ("0\r\nA B: c\r\n\r\n", InvalidTrailer),
        ("0\r\nGET / HTTP/1.1\r\n\r\n", InvalidTrailer),
        ("0\r\nA: b\r\n c\r\n\r\n", ObsoleteFold),
        ("0\r\n A: b\r\n\r\n", SpaceBeforeFirstField),
        ("0\r\nA: b\rC: d\r\n\r\n", BareCarriageReturn),
        ("0\r\nA: \0\r\n\r\n", ControlByte),
        ("0\r\n\rX", BareCarriageReturn),
    ]);
}

#[test]
fn trailers_are_strict_even_where_heads_are_not() {
    let mut relaxed = limits();
    relaxed.h1_strict = false;
    assert_eq!(
        refused_under("0\r\nA: b\n\r\n", &relaxed),
        Refusal::Misbehaviour(BareLineFeed)
    );
    assert_eq!(
        refused_under("0\r\nA: b\r\n c\r\n\r\n", &relaxed),
        Refusal::Misbehaviour(ObsoleteFold)
    );
    assert_eq!(
        refused_under("1\nx\r\n0\r\n\r\n", &relaxed),
        Refusal::Misbehaviour(InvalidChunkTerminator)
    );
}

#[test]
fn fields_that_must_come_before_the_content_are_refused_after_it() {
    for name in [
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "HOST",
        "Authorization",
        "Cookie",
        "Set-Cookie",
        "Content-Type",
        "Content-Encoding",
        "Content-Range",
        "Trailer",
        "TE",
        "Expect",
        "Connection",
        "Upgrade",
        "Range",
        "If-Match",
        "Cache-Control",
        "X-Forwarded-For",
        "x-forwarded-host",
        "Forwarded",
        "Proxy-Authorization",
    ] {
        assert_eq!(
            misbehaves(format!("0\r\nX: y\r\n{name}: 1\r\n\r\n")),
            ForbiddenTrailer,
            "{name}"
        );
    }
}

#[test]
fn cve_2023_46589_tomcat_trailers_over_their_bounds_end_the_connection() {
    let mut limits = limits();
    limits.max_header_bytes = 20;
    let trailers = |len: usize| format!("0\r\nA: {}\r\n\r\n", "b".repeat(len - 7));
    let Outcome {
        end: End::Complete { .. },
        ..
    } = outcome(trailers(20).as_bytes(), &limits)
    else {
        panic!("20 bytes are allowed");
    };
    for len in [21, 22, 23, 200] {
        assert_eq!(
            refused_under(trailers(len), &limits),
            Refusal::Trip(Trip::HeaderBytes),
            "{len}"
        );
    }
    limits.max_header_bytes = 1000;
    limits.max_header_count = 2;
    let Outcome {
        end: End::Complete { trailers, .. },
        ..
    } = outcome(b"0\r\nA: 1\r\nB: 2\r\n\r\n", &limits)
    else {
        panic!("two are allowed");
    };
    assert_eq!(trailers.len(), 2);
    assert_eq!(
        refused_under("0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", &limits),
        Refusal::Trip(Trip::HeaderCount)
    );
}

#[test]
fn the_trailer_parser_alone_keeps_the_bounds_and_wants_whole_lines() {
    let mut limits = limits();
    limits.max_header_count = 1;
    let mut fields = Vec::new();
    assert_eq!(
        parse_trailers(b"A: 1\r\nB: 2\r\n", &limits, &mut fields),
        Err(Refusal::Trip(Trip::HeaderCount))
    );
    assert_eq!(
        parse_trailers(b"A: 1", &limits, &mut fields),
        Err(InvalidTrailer.into())
    );
    assert_eq!(
        parse_trailers(b"A: 1\n", &limits, &mut fields),
        Err(InvalidTrailer.into())
    );
    limits.max_header_bytes = 5;
    assert_eq!(
        parse_trailers(b"A: 1\r\n", &limits, &mut fields),
        Err(Refusal::Trip(Trip::HeaderBytes))
    );
    assert_eq!(parse_trailers(b"", &limits, &mut fields), Ok(()));
    assert!(fields.is_empty(), "what an earlier section held is gone");
}
