//! What must be understood, and how.

use lanner_protocol::Fields;
use lanner_protocol::chunked::{ChunkedDecoder, encode_chunk_header, encode_last_chunk};

use crate::driver::{End, Outcome, decoded, limits, outcome};

#[test]
fn content_is_what_stands_in_the_chunks() {
    for (input, content) in [
        ("0\r\n\r\n", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"),
        ("a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("A\r\n0123456789\r\n00\r\n\r\n", "0123456789"),
        ("0000000000000001\r\nx\r\n0000000000000000\r\n\r\n", "x"),
        ("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"),
        ("7\r\n0\r\n\r\n0\r\r\n0\r\n\r\n", "0\r\n\r\n0\r"),
    ] {
        assert_eq!(
            decoded(input),
            (content.as_bytes().to_vec(), vec![]),
            "{input:?}"
        );
    }
}

#[test]
fn extensions_are_read_and_forgotten() {
    for extension in [
        ";a",
        ";a=b",
        "; a = b",
        ";a=\"b;\\\"c\"",
        ";a;b=c",
        ";chunk-signature=0123456789abcdef",
    ] {
        let input = format!("3{extension}\r\nabc\r\n0{extension}\r\n\r\n");
        assert_eq!(decoded(input).0, b"abc", "{extension}");
    }
}

#[test]
fn trailers_are_fields() {
    let (content, trailers) =
        decoded("1\r\nx\r\n0\r\nDigest: abc=\r\nX-Empty:\r\nx-two:\t 1 2 \r\n\r\n");
    assert_eq!(content, b"x");
    let expected = [("Digest", "abc="), ("X-Empty", ""), ("x-two", "1 2")];
    assert_eq!(
        trailers,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}

#[test]
fn what_stands_behind_the_body_is_left_alone() {
    for (input, behind) in [
        ("0\r\n\r\nGET / HTTP/1.1\r\n", 16),
        ("1\r\nx\r\n0\r\nA: b\r\n\r\n\r\n", 2),
        ("0\r\n\r\n\n", 1),
    ] {
        let Outcome {
            end: End::Complete { behind: left, .. },
            ..
        } = outcome(input.as_bytes(), &limits())
        else {
            panic!("{input:?} is complete");
        };
        assert_eq!(left, behind, "{input:?}");
    }
}

#[test]
fn an_unfinished_body_is_never_taken_for_a_whole_one() {
    let whole = b"5;a=\"b\"\r\nhello\r\n0\r\nX: y\r\n\r\n";
    for len in 0..whole.len() {
        assert_eq!(
            outcome(&whole[..len], &limits()).end,
            End::Incomplete,
            "{len} bytes"
        );
    }
}

#[test]
fn the_decoder_tells_when_trailers_are_awaited() {
    let mut decoder = ChunkedDecoder::default();
    let input = b"1\r\nx\r\n0\r\n";
    let mut at = 0;
    while at < input.len() {
        assert!(!decoder.in_trailers(), "after {at} bytes");
        at += decoder
            .decode(&input[at..at + 1], &limits())
            .unwrap()
            .consumed;
    }
    assert!(decoder.in_trailers() && !decoder.is_ended());
    assert_eq!(decoder.decode(b"A", &limits()).unwrap().consumed, 0);
    assert!(decoder.in_trailers());
    assert_eq!(
        decoder.decode(b"A: b\r\n\r\n", &limits()).unwrap().consumed,
        8
    );
    assert!(!decoder.in_trailers() && decoder.is_ended());
}

#[test]
fn a_gigantic_chunk_is_content_as_it_comes() {
    let outcome = outcome(b"ffffffffffffffff\r\nabc", &limits());
    assert_eq!(
        outcome,
        Outcome {
            content: b"abc".to_vec(),
            end: End::Incomplete
        }
    );
}

#[test]
fn chunk_headers_are_the_shortest_hexadecimal_and_nothing_for_nothing() {
    for (len, header) in [
        (1, "1\r\n"),
        (9, "9\r\n"),
        (10, "a\r\n"),
        (16, "10\r\n"),
        (255, "ff\r\n"),
        (65_536, "10000\r\n"),
        (0, ""),
    ] {
        let mut out = Vec::new();
        encode_chunk_header(len, &mut out);
        assert_eq!(out, header.as_bytes(), "{len}");
    }
    let mut out = Vec::new();
    encode_chunk_header(usize::MAX, &mut out);
    assert_eq!(out, format!("{:x}\r\n", usize::MAX).as_bytes());
}

#[test]
fn the_last_chunk_we_send_ends_the_body_with_or_without_trailers() {
    let mut out = Vec::new();
    encode_last_chunk(None, &mut out);
    assert_eq!(out, b"0\r\n\r\n");
    assert_eq!(decoded(&out), (vec![], vec![]));
    out.clear();
    let mut trailers = Fields::new();
    trailers.append("grpc-status", "0").unwrap();
    encode_last_chunk(Some(&trailers), &mut out);
    assert_eq!(decoded(out).1, [("grpc-status".to_owned(), "0".to_owned())]);
}
