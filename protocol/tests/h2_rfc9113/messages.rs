//! Section 8: requests and answers.

use super::client::{Client, content};
use super::wire::{Got, data, headers, literal, request};
use lanner_protocol::h2::error_code::ErrorCode;

/// The block of a GET with these fields behind it.
fn with(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in request("GET", "/").iter().chain(fields) {
        block.extend(literal(name.as_bytes(), value.as_bytes()));
    }
    block
}

fn malformed(block: &[u8]) {
    Client::new().resets(1, &headers(1, true, block), ErrorCode::PROTOCOL_ERROR);
}

// 8.1: Content, then trailers that end the message; a second field block without END_STREAM is malformed.
#[test]
fn trailers_end_the_message() {
    let mut client = Client::new();
    let mut bytes = client.wire.post(1);
    bytes.extend(data(1, false, b"abc"));
    bytes.extend(client.wire.headers(1, true, &[("x-trailer", "1")]));
    let got = client.say(&bytes);
    assert!(
        matches!(got.last(), Some(Got::Data { bytes, .. }) if bytes == b"3"),
        "{got:?}"
    );
    let mut bytes = client.wire.post(3);
    bytes.extend(client.wire.headers(3, false, &[("x-trailer", "1")]));
    client.resets(3, &bytes, ErrorCode::PROTOCOL_ERROR);
}

// 8.1: Trailers have no pseudo-fields.
#[test]
fn trailers_have_no_pseudo_fields() {
    let mut client = Client::new();
    let mut bytes = client.wire.post(1);
    bytes.extend(client.wire.headers(1, true, &[(":method", "GET")]));
    client.resets(1, &bytes, ErrorCode::PROTOCOL_ERROR);
}

// 8.1.1: Content-Length is the length of all DATA together.
#[test]
fn content_has_the_length_that_was_announced() {
    for frames in [
        vec![data(1, true, b"ab")],
        vec![data(1, false, b"ab"), data(1, true, b"cd")],
    ] {
        let mut client = Client::new();
        let mut fields = request("POST", "/").to_vec();
        fields.push(("content-length", "3"));
        let mut bytes = client.wire.headers(1, false, &fields);
        bytes.extend(frames.concat());
        client.resets(1, &bytes, ErrorCode::PROTOCOL_ERROR);
    }
    malformed(&with(&[("content-length", "1")]));
}

// 8.2: Names of fields are in lower case.
#[test]
fn names_are_in_lower_case() {
    malformed(&with(&[("X-Test", "1")]));
}

// 8.2.1: Names have no bytes of 0x00-0x20, 0x41-0x5a, 0x7f-0xff, and no colon but a pseudo-field's first.
#[test]
fn names_hold_no_forbidden_bytes() {
    for byte in (0..=0x20u8)
        .chain(b'A'..=b'Z')
        .chain(0x7f..=0xff)
        .chain([b':'])
    {
        let mut block = with(&[]);
        block.extend(literal(&[b'x', byte], b"1"));
        malformed(&block);
    }
}

// 8.2.1: Values hold no NUL, LF and CR, and neither begin nor end with white space.
#[test]
fn values_hold_no_forbidden_bytes() {
    for value in [&b"a\0b"[..], b"a\nb", b"a\rb", b" a", b"a ", b"\ta", b"a\t"] {
        let mut block = with(&[]);
        block.extend(literal(b"x", value));
        malformed(&block);
    }
}

// 8.2.2: No fields that belong to a connection; TE only with `trailers`.
#[test]
fn fields_of_connections_are_malformed() {
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    ] {
        malformed(&with(&[(name, "x")]));
    }
    malformed(&with(&[("te", "trailers, deflate")]));
    let mut client = Client::new();
    let got = client.say(&headers(1, true, &with(&[("te", "trailers")])));
    assert_eq!(got[0].status(), Some("200"));
}

// 8.2.1: A name is not empty.
#[test]
fn names_are_not_empty() {
    malformed(&with(&[("", "1")]));
}

// 8.2.3: Crumbs of a cookie are one Cookie to everybody behind HTTP/2.
#[test]
fn crumbs_are_put_together() {
    let mut client = Client::new();
    let mut fields = request("GET", "/cookie").to_vec();
    fields.extend([
        ("cookie", "a=b"),
        ("x", "y"),
        ("cookie", "c=d"),
        ("cookie", "e=f"),
    ]);
    let bytes = client.wire.headers(1, true, &fields);
    let got = client.say(&bytes);
    assert_eq!(content(&got, 1), b"a=b; c=d; e=f", "{got:?}");
}

// 8.3: Pseudo-fields are those of requests, come before all others, and once.
#[test]
fn pseudo_fields_are_known_first_and_single() {
    malformed(&with(&[(":test", "1")]));
    malformed(&with(&[(":status", "200")]));
    for (name, value) in request("GET", "/") {
        malformed(&with(&[(name, value)]));
        let mut block = literal(name.as_bytes(), value.as_bytes());
        block.extend(with(&[]));
        malformed(&block);
    }
    let mut block = literal(b"x", b"1");
    block.extend(with(&[]));
    malformed(&block);
}

// 8.3.1: `:method`, `:scheme` and `:path` are there, and the path is not empty.
#[test]
fn requests_name_method_scheme_and_path() {
    for left_out in 0..3 {
        let mut block = Vec::new();
        for (at, (name, value)) in request("GET", "/").into_iter().enumerate() {
            if at != left_out {
                block.extend(literal(name.as_bytes(), value.as_bytes()));
            }
        }
        malformed(&block);
    }
    let mut client = Client::new();
    let bytes = client.wire.headers(1, true, &request("GET", ""));
    client.resets(1, &bytes, ErrorCode::PROTOCOL_ERROR);
}

// 8.3.1: `:authority` and Host do not differ; user information is in neither.
#[test]
fn authority_and_host_agree() {
    let mut client = Client::new();
    let got = client.say(&headers(1, true, &with(&[("host", "example.com:80")])));
    assert_eq!(got[0].status(), Some("200"), "the port is the scheme's");
    let got = client.say(&headers(3, true, &with(&[("host", "example.org")])));
    assert_eq!(got[0].status(), Some("400"));
    assert!(got.contains(&Got::Reset(3, ErrorCode::PROTOCOL_ERROR)));
    let mut fields = request("GET", "/");
    fields[3].1 = "somebody@example.com";
    let bytes = client.wire.headers(5, true, &fields);
    client.resets(5, &bytes, ErrorCode::PROTOCOL_ERROR);
}

// 8.3.1: `*` is the path of OPTIONS only, and absolute targets are none.
#[test]
fn paths_begin_with_a_slash() {
    let mut client = Client::new();
    let bytes = client.wire.headers(1, true, &request("OPTIONS", "*"));
    assert_eq!(client.say(&bytes)[0].status(), Some("200"));
    for (stream, path) in [(3, "*"), (5, "a"), (7, "http://example.com/")] {
        let bytes = client.wire.headers(stream, true, &request("GET", path));
        client.resets(stream, &bytes, ErrorCode::PROTOCOL_ERROR);
    }
}

// 8.3.2: Answers have `:status`, and no other pseudo-field. 8.2: names are sent in lower case, however the app writes them.
// 8.2.2: and no fields of connections. Every answer of every case is held to that; here one says something about itself.
#[test]
fn answers_begin_with_their_status_and_have_names_in_lower_case() {
    let mut client = Client::new();
    let bytes = client.wire.get(1);
    let got = client.say(&bytes);
    let Got::Headers { fields, .. } = &got[0] else {
        panic!("{got:?}")
    };
    assert_eq!(fields[0], (":status".into(), "200".into()));
    assert!(fields.contains(&("x-suite".into(), "yes".into())));
}

// 8.1: Interim answers come before the answer, and end nothing. 8.6: none of them is 101.
#[test]
fn interim_answers_do_not_end_the_stream() {
    let mut client = Client::new();
    let mut fields = request("POST", "/upload").to_vec();
    fields.push(("expect", "100-continue"));
    let bytes = client.wire.headers(1, false, &fields);
    let got = client.say(&bytes);
    assert_eq!(got.len(), 1, "{got:?}");
    assert_eq!(got[0].status(), Some("100"));
    assert!(matches!(got[0], Got::Headers { end: false, .. }));
    let got = client.say(&data(1, true, b"abc"));
    assert_eq!(got[0].status(), Some("200"));
    assert_eq!(content(&got, 1), b"3");
}

// 8.1: An answer to HEAD has no DATA.
#[test]
fn head_is_answered_without_content() {
    let mut client = Client::new();
    let bytes = client.wire.headers(1, true, &request("HEAD", "/"));
    let got = client.say(&bytes);
    assert!(
        matches!(&got[..], [Got::Headers { end: true, .. }]),
        "{got:?}"
    );
}

// 8.5: CONNECT names no scheme and no path. We are no proxy and say so.
#[test]
fn connect_is_refused() {
    let mut client = Client::new();
    let fields = [(":method", "CONNECT"), (":authority", "example.com:443")];
    let bytes = client.wire.headers(1, true, &fields);
    assert_eq!(client.say(&bytes)[0].status(), Some("501"));
    let bytes = client.wire.headers(3, true, &request("CONNECT", "/"));
    client.resets(3, &bytes, ErrorCode::PROTOCOL_ERROR);
    let bytes = client.wire.headers(5, true, &[(":method", "CONNECT")]);
    client.resets(5, &bytes, ErrorCode::PROTOCOL_ERROR);
}

// 8.8 and 8.1: Whoever is answered before its body is whole is told to stop without an error.
#[test]
fn an_early_answer_is_no_error() {
    let mut client = Client::new();
    let bytes = client.wire.headers(1, false, &request("GET", "/"));
    let got = client.say(&bytes);
    assert_eq!(got[0].status(), Some("200"));
    assert!(matches!(&got[1], Got::Data { end: true, .. }));
    client.ignores(&data(1, true, b"the rest"));
    client.serves(3);
}
