//! What a response may look like (RFC 9113 sections 8.1 to 8.3).

use super::driver::{Driver, OK, Seen, data, headers, literal};
use lanner_limits::Trip;
use lanner_protocol::Misbehaviour;
use lanner_protocol::client::Body;
use lanner_protocol::client::http2::Reset;
use lanner_protocol::h2::Malformed as M;
use lanner_protocol::h2::error_code::ErrorCode;

fn response(stream: u32, status: u16, body: Body) -> Seen {
    Seen::Response {
        stream,
        status,
        body,
        fields: Vec::new(),
    }
}

#[test]
fn a_response_is_head_content_and_trailers() {
    let mut driver = Driver::asking(&["GET"]);
    let bytes = [
        driver.headers(1, false, &[(":status", "100")]),
        driver.headers(1, false, &[(":status", "103"), ("link", "</x>")]),
        driver.headers(1, false, &[(":status", "200"), ("a", "b")]),
        data(1, false, b"abc"),
        data(1, false, b"de"),
        driver.headers(1, true, &[("x-sum", "1")]),
    ]
    .concat();
    let field = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    assert_eq!(
        driver.receive(bytes),
        [
            Seen::Informational(1, 100),
            Seen::Informational(1, 103),
            Seen::Response {
                stream: 1,
                status: 200,
                body: Body::Unknown,
                fields: field("a", "b"),
            },
            Seen::Data(1, b"abcde".to_vec()),
            Seen::End(1, field("x-sum", "1")),
        ]
    );
    assert_eq!(driver.connection.streams(), 0);
}

#[test]
fn responses_of_several_streams_may_be_mixed() {
    let mut driver = Driver::asking(&["GET", "GET"]);
    let bytes = [
        headers(3, false, OK),
        headers(1, false, OK),
        data(3, false, b"c"),
        data(1, true, b"a"),
        data(3, true, b"d"),
    ]
    .concat();
    assert_eq!(
        driver.receive(bytes),
        [
            response(3, 200, Body::Unknown),
            response(1, 200, Body::Unknown),
            Seen::Data(3, b"c".to_vec()),
            Seen::Data(1, b"a".to_vec()),
            Seen::End(1, Vec::new()),
            Seen::Data(3, b"d".to_vec()),
            Seen::End(3, Vec::new()),
        ]
    );
}

/// Section 8.1.1: "Clients MUST NOT accept a malformed response"; it "MUST be treated as a stream error of type
/// PROTOCOL_ERROR". What makes it malformed stands beside each.
#[test]
fn malformed_responses_end_their_stream_only() {
    let status = |value: &[u8]| literal(b":status", value);
    let with = |name: &[u8], value: &[u8]| [OK, &literal(name, value)].concat();
    for (block, reason) in [
        // Section 8.3.2: "This pseudo-header field MUST be included in all responses".
        (Vec::new(), M::PseudoFieldMissing.into()),
        (literal(b"a", b"b"), M::PseudoFieldMissing.into()),
        (status(b""), Reset::Status),
        (status(b"20"), Reset::Status),
        (status(b"2000"), Reset::Status),
        (status(b"2x0"), Reset::Status),
        (status(b"099"), Reset::Status),
        (status(b"600"), Reset::Status),
        // Section 8.6: "HTTP/2 does not support the 101 (Switching Protocols) informational status code".
        (status(b"101"), Reset::Status),
        ([OK, OK].concat(), M::PseudoFieldRepeated.into()),
        // Section 8.3: behind a regular field; of a request; unknown.
        (
            [&literal(b"a", b"b"), OK].concat(),
            M::PseudoFieldLate.into(),
        ),
        (with(b":path", b"/"), M::PseudoFieldUnknown.into()),
        (with(b":method", b"GET"), M::PseudoFieldUnknown.into()),
        (with(b":x", b"y"), M::PseudoFieldUnknown.into()),
        // Section 8.2.1: characters.
        (with(b"A", b"b"), M::FieldName.into()),
        (with(b"a b", b"c"), M::FieldName.into()),
        (with(b"", b"c"), M::FieldName.into()),
        (with(b"a:", b"c"), M::FieldName.into()),
        (with(b"a", b"b\r\nc: d"), M::FieldValue.into()),
        (with(b"a", b"b\0"), M::FieldValue.into()),
        (with(b"a", b" b"), M::FieldValue.into()),
        (with(b"a", b"b\t"), M::FieldValue.into()),
        // Section 8.2.2: fields of a connection.
        (with(b"connection", b"close"), M::ConnectionField.into()),
        (with(b"proxy-connection", b"x"), M::ConnectionField.into()),
        (with(b"keep-alive", b"5"), M::ConnectionField.into()),
        (
            with(b"transfer-encoding", b"chunked"),
            M::ConnectionField.into(),
        ),
        (with(b"upgrade", b"x"), M::ConnectionField.into()),
        // Section 8.1.1: a length that is not kept.
        (with(b"content-length", b"1"), M::ContentLength.into()),
    ] {
        let mut driver = Driver::asking(&["GET", "GET"]);
        assert_eq!(
            driver.reset_of(headers(1, true, &block)),
            (1, reason),
            "{block:?}"
        );
        assert_eq!(reason.code(), ErrorCode::PROTOCOL_ERROR);
        assert_eq!(driver.respond(3).len(), 2, "the other one goes on");
    }
}

#[test]
fn a_length_in_doubt_ends_the_stream() {
    for (lengths, reason) in [
        (&["3", "3"][..], Misbehaviour::ContentLengthConflict),
        (&["3, 3"], Misbehaviour::ContentLengthConflict),
        (&["x"], Misbehaviour::ContentLengthInvalid),
        (&["-1"], Misbehaviour::ContentLengthInvalid),
    ] {
        let mut driver = Driver::asking(&["GET"]);
        let mut fields = vec![(":status", "200")];
        fields.extend(lengths.iter().map(|length| ("content-length", *length)));
        let bytes = driver.headers(1, false, &fields);
        assert_eq!(driver.reset_of(bytes), (1, Reset::Refused(reason.into())));
    }
}

/// Section 8.1.1: "A request or response is also malformed if the value of a Content-Length header field does not equal the sum of
/// the DATA frame payload lengths that form the content, unless the message is defined as having no content."
#[test]
fn content_is_as_long_as_it_was_said_to_be() {
    let trailers = [(":status", "200"), ("content-length", "3")];
    for (frames, fits) in [
        (vec![data(1, true, b"abc")], true),
        (vec![data(1, false, b"abc"), data(1, true, b"")], true),
        (vec![data(1, true, b"ab")], false),
        (vec![data(1, true, b"abcd")], false),
        (vec![data(1, false, b"abc"), data(1, false, b"d")], false),
        (vec![data(1, false, b"ab"), data(1, true, b"")], false),
        (
            vec![
                data(1, false, b"ab"),
                headers(1, true, &literal(b"t", b"1")),
            ],
            false,
        ),
        (
            vec![
                data(1, false, b"abc"),
                headers(1, true, &literal(b"t", b"1")),
            ],
            true,
        ),
    ] {
        let mut driver = Driver::asking(&["GET"]);
        let head = driver.headers(1, false, &trailers);
        let bytes = [head, frames.concat()].concat();
        if fits {
            let seen = driver.receive(bytes);
            assert!(matches!(seen.last(), Some(Seen::End(1, _))), "{seen:?}");
            assert_eq!(driver.response.content_length, Some(3));
        } else {
            assert_eq!(
                driver.reset_of(bytes),
                (1, M::ContentLength.into()),
                "{frames:?}"
            );
        }
    }
}

/// Section 8.1.1: "A response that is defined to have no content (...) MAY have a non-zero Content-Length header field, even
/// though no content is included in DATA frames."
#[test]
fn a_response_without_content_may_say_how_long_it_would_be() {
    for (method, status) in [("HEAD", "200"), ("GET", "304"), ("GET", "204")] {
        let fields = [(":status", status), ("content-length", "7")];
        let mut driver = Driver::asking(&[method]);
        let bytes = driver.headers(1, true, &fields);
        assert!(matches!(
            driver.receive(bytes)[..],
            [
                Seen::Response {
                    body: Body::None,
                    ..
                },
                Seen::End(..)
            ]
        ));
        assert_eq!(driver.response.content_length, Some(7));
        let mut driver = Driver::asking(&[method]);
        let bytes = [driver.headers(1, false, &fields), data(1, true, b"")].concat();
        assert!(matches!(
            driver.receive(bytes)[..],
            [Seen::Response { .. }, Seen::End(..)]
        ));
        let mut driver = Driver::asking(&[method]);
        let bytes = [driver.headers(1, false, &fields), data(1, true, b"seventy")].concat();
        assert_eq!(driver.reset_of(bytes), (1, M::ContentLength.into()));
    }
}

/// Section 8.1: a response is "zero or more HEADERS frames (...) containing (...) informational (1xx) HTTP responses", one
/// HEADERS, "zero or more DATA frames", and "optionally, one HEADERS frame (...) containing the trailer section".
#[test]
fn what_comes_out_of_order_ends_the_stream() {
    let mut driver = Driver::asking(&["GET"; 5]);
    assert_eq!(
        driver.reset_of(data(1, false, b"a")),
        (1, Reset::OutOfOrder)
    );
    // "An endpoint that receives a HEADERS frame without the END_STREAM flag set after receiving the HEADERS frame that opens a
    // request or after receiving a final (non-informational) status code MUST treat the corresponding request or response as
    // malformed."
    let bytes = [headers(3, false, OK), headers(3, false, OK)].concat();
    assert_eq!(driver.reset_of(bytes), (3, M::TrailersWithoutEnd.into()));
    // "Trailers MUST NOT include pseudo-header fields."
    let bytes = [headers(5, false, OK), headers(5, true, OK)].concat();
    assert_eq!(driver.reset_of(bytes), (5, M::PseudoFieldInTrailers.into()));
    let bytes = driver.headers(7, true, &[(":status", "103")]);
    assert_eq!(driver.reset_of(bytes), (7, Reset::OutOfOrder));
    let late = headers(9, true, &literal(b"content-length", b"1"));
    let bytes = [headers(9, false, OK), late].concat();
    let forbidden = Reset::Refused(Misbehaviour::ForbiddenTrailer.into());
    assert_eq!(driver.reset_of(bytes), (9, forbidden));
    assert_eq!(forbidden.code(), ErrorCode::CANCEL);
}

/// Section 5.1, half-closed (remote): "If an endpoint receives additional frames, other than WINDOW_UPDATE, PRIORITY, or
/// RST_STREAM, for a stream that is in this state, it MUST respond with a stream error of type STREAM_CLOSED."
#[test]
fn frames_behind_the_end_of_a_response_end_what_is_left_of_the_stream() {
    use lanner_protocol::BodyLength;
    for late in [
        data(1, false, b"a"),
        headers(1, true, OK),
        headers(1, false, OK),
    ] {
        let mut driver = Driver::new();
        driver.post(BodyLength::Unknown);
        driver.receive(headers(1, true, OK));
        assert_eq!(driver.connection.streams(), 1);
        assert_eq!(driver.reset_of(late), (1, Reset::FrameAfterEnd));
        assert_eq!(driver.connection.streams(), 0);
    }
}

#[test]
fn informational_responses_do_not_come_without_end() {
    let mut driver = Driver::asking(&["GET"]);
    let one = driver.headers(1, false, &[(":status", "102")]);
    for _ in 0..100 {
        assert_eq!(driver.receive(&one), [Seen::Informational(1, 102)]);
    }
    assert_eq!(driver.reset_of(&one), (1, Reset::InformationalFlood));
}

#[test]
fn fields_need_not_be_kept_and_are_judged_all_the_same() {
    use lanner_protocol::client::Response;
    let mut driver = Driver::asking(&["GET", "GET"]);
    driver.response = Response::without_fields();
    let bytes = driver.headers(1, true, &[(":status", "404"), ("a", "b")]);
    assert_eq!(driver.receive(bytes)[0], response(1, 404, Body::None));
    let block = [OK, &literal(b"A", b"b")].concat();
    assert_eq!(
        driver.reset_of(headers(3, true, &block)),
        (3, M::FieldName.into())
    );
}

/// Section 10.5.1: a field section beyond our SETTINGS_MAX_HEADER_LIST_SIZE ends its stream; its block is still decoded, for the
/// table is that of the whole connection.
#[test]
fn a_head_beyond_its_bounds_ends_its_stream_only() {
    let long = "y".repeat(200);
    let many: Vec<(&str, &str)> = [(":status", "200")]
        .into_iter()
        .chain(std::iter::repeat_n(("x", "y"), 11))
        .collect();
    for (fields, trip) in [
        (
            vec![(":status", "200"), ("a", long.as_str())],
            Trip::HeaderField,
        ),
        (
            vec![
                (":status", "200"),
                ("a", &long[..90]),
                ("b", &long[..90]),
                ("c", &long[..90]),
                ("d", &long[..90]),
            ],
            Trip::HeaderBytes,
        ),
        (many, Trip::HeaderCount),
    ] {
        let mut driver = Driver::with(|limits| {
            limits.h2_max_header_field = 150;
            limits.max_header_bytes = 500;
            limits.max_header_count = 10;
        });
        for _ in 0..3 {
            driver.ask("GET").unwrap();
        }
        driver.got();
        let bytes = driver.headers(1, true, &fields);
        assert_eq!(
            driver.reset_of(bytes),
            (1, Reset::Refused(trip.into())),
            "{fields:?}"
        );
        // Both tables are still the same.
        for stream in [3, 5] {
            let bytes = driver.headers(stream, true, &[(":status", "200"), ("x-t", "same")]);
            let seen = driver.receive(bytes);
            let Seen::Response { fields, .. } = &seen[0] else {
                panic!("{seen:?}")
            };
            assert_eq!(fields[0].1, "same");
        }
    }
}
