//! From field blocks to requests: what is handed on, what is answered, what is reset.

use crate::driver::{Driver, Seen};
use crate::wire::{self, Got, headers, literal, request};
use lanner_limits::{AllowedHosts, Limits, Machine, Setting, Source, Trip};
use lanner_protocol::Misbehaviour;
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::frame::{self, Kind};
use lanner_protocol::h2::{Malformed, Offence, Reset};

/// What became of one request: its status, if it was answered, and the code of its reset, if it was reset.
fn verdict(driver: &mut Driver, bytes: &[u8]) -> (Option<u16>, Option<ErrorCode>) {
    let seen = driver.send(bytes);
    assert!(
        !seen.iter().any(|seen| matches!(seen, Seen::Request { .. })),
        "{seen:?}"
    );
    let mut verdict = (None, None);
    for got in driver.got() {
        match got {
            Got::Reset(_, code) => verdict.1 = Some(code),
            Got::Headers { .. } => verdict.0 = got.status().and_then(|code| code.parse().ok()),
            Got::Data { .. } | Got::WindowUpdate(..) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(driver.is_open());
    verdict
}

/// The same for a request of these fields.
fn verdict_of(fields: &[(&str, &str)]) -> (Option<u16>, Option<ErrorCode>) {
    let mut driver = Driver::new();
    let block: Vec<u8> = fields
        .iter()
        .flat_map(|(name, value)| literal(name.as_bytes(), value.as_bytes()))
        .collect();
    verdict(&mut driver, &headers(1, true, &block))
}

fn with<'a>(fields: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = request("GET", "/").to_vec();
    all.extend_from_slice(fields);
    all
}

#[test]
fn a_request_comes_with_its_line_its_host_and_its_fields() {
    let mut driver = Driver::new();
    let mut fields = request("GET", "/a?b").to_vec();
    fields.extend_from_slice(&[("accept", "*/*"), ("x-unknown", "1"), ("te", "trailers")]);
    let bytes = driver.wire.headers(1, true, &fields);
    let seen = driver.send(&bytes);
    let expected = Seen::Request {
        stream: 1,
        line: "GET /a?b".to_owned(),
        host: "example.com".to_owned(),
        fields: [("accept", "*/*"), ("x-unknown", "1"), ("te", "trailers")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        body: false,
    };
    assert_eq!(seen, [expected]);
}

#[test]
fn crumbs_of_a_cookie_are_one_field_where_the_first_stood() {
    let mut driver = Driver::with(|limits| limits.max_header_count = 3);
    let mut fields = request("GET", "/").to_vec();
    fields.push(("a", "1"));
    for _ in 0..20 {
        fields.push(("cookie", "x=y"));
    }
    fields.push(("b", "2"));
    let bytes = driver.wire.headers(1, true, &fields);
    let [Seen::Request { fields, .. }] = &driver.send(&bytes)[..] else {
        panic!("a request")
    };
    let cookie = ["x=y"; 20].join("; ");
    let expected = [("a", "1"), ("cookie", &cookie[..]), ("b", "2")];
    assert!(
        fields
            .iter()
            .map(|(name, value)| (&name[..], &value[..]))
            .eq(expected),
        "{fields:?}"
    );
}

#[test]
fn crumbs_count_as_the_field_that_they_are_together() {
    let count = 200;
    // In the joined field: its name, 3 bytes for each crumb, 2 between them, and 32 once.
    let joined = 6 + 3 * count + 2 * (count - 1) + 32;
    for (bytes_max, taken) in [(joined, true), (joined - 1, false)] {
        let mut driver = Driver::with(|limits| limits.max_header_bytes = bytes_max);
        let mut fields = request("GET", "/").to_vec();
        fields.extend(vec![("cookie", "x=y"); count]);
        let bytes = driver.wire.headers(1, true, &fields);
        if taken {
            let seen = driver.send(&bytes);
            assert!(matches!(seen[..], [Seen::Request { .. }]), "{seen:?}");
        } else {
            assert_eq!(verdict(&mut driver, &bytes), (Some(431), None));
        }
    }
}

#[test]
fn what_was_refused_is_refused_again_when_it_is_named_by_its_place_in_the_table() {
    let reset = (None, Some(ErrorCode::PROTOCOL_ERROR));
    for (field, expected) in [
        (("x-bad", "a\rb"), reset),
        (("te", "gzip"), reset),
        (("connection", "close"), reset),
        (("X-Upper", "1"), reset),
        (
            ("host", "elsewhere.org"),
            (Some(400), Some(ErrorCode::PROTOCOL_ERROR)),
        ),
    ] {
        let mut driver = Driver::new();
        // A field that goes into the table at once, then the same by its place there, which is the first.
        let mut block = driver.wire.block(&request("GET", "/"));
        block.push(0x40);
        block.extend_from_slice(&literal(field.0.as_bytes(), field.1.as_bytes())[1..]);
        assert_eq!(verdict(&mut driver, &headers(1, true, &block)), expected);
        for stream in [3, 5] {
            // The authority was put in before the other field.
            let block = [0x82, 0x84, 0x86, 0xbf, 0xbe];
            assert_eq!(
                verdict(&mut driver, &headers(stream, true, &block)),
                expected
            );
        }
        let block = [0x82, 0x84, 0x86, 0xbf];
        let seen = driver.send(&headers(7, true, &block));
        assert!(matches!(seen[..], [Seen::Request { .. }]), "{seen:?}");
    }
}

fn allowing(host: &str) -> AllowedHosts {
    let setting = Setting {
        name: "LANNER_ALLOWED_HOSTS".to_owned(),
        value: host.to_owned(),
        source: Source::Environment,
    };
    let machine = Machine {
        nofile: 65_536,
        memory: 1 << 30,
        cpus: 1,
    };
    let resolved = Limits::resolve([setting], machine).expect("a host");
    resolved.limits.allowed_hosts
}

#[test]
fn an_authority_that_is_not_served_stays_so() {
    let mut driver = Driver::with(|limits| {
        limits.allowed_hosts = allowing("example.org");
    });
    for stream in [1, 3, 5] {
        let bytes = driver.wire.get(stream);
        assert_eq!(verdict(&mut driver, &bytes).0, Some(421), "{stream}");
    }
}

#[test]
fn what_is_malformed_is_reset_without_an_answer() {
    let malformed = (None, Some(ErrorCode::PROTOCOL_ERROR));
    for fields in [
        // Section 8.2.1: names in lower case, values without line ends or white space around them.
        with(&[("X-Upper", "1")]),
        with(&[("x y", "1")]),
        with(&[("", "1")]),
        with(&[("x", "a\r\nb: c")]),
        with(&[("x", "a\0")]),
        with(&[("x", " a")]),
        with(&[("x", "a\t")]),
        // Section 8.2.2: what belongs to a connection of HTTP/1.1.
        with(&[("connection", "close")]),
        with(&[("keep-alive", "1")]),
        with(&[("proxy-connection", "close")]),
        with(&[("transfer-encoding", "chunked")]),
        with(&[("upgrade", "h2c")]),
        with(&[("te", "gzip")]),
        with(&[("te", "trailers, gzip")]),
        // Section 8.3: pseudo-fields come first, once, and are known.
        with(&[(":status", "200")]),
        with(&[(":unknown", "x")]),
        with(&[("x", "1"), (":authority", "example.com")]),
        with(&[(":path", "/")]),
        with(&[(":method", "GET")]),
        with(&[(":protocol", "websocket")]),
        // Section 8.3.1: and none is missing.
        request("GET", "/")[1..].to_vec(),
        request("GET", "").to_vec(),
        vec![(":method", "GET"), (":path", "/"), (":authority", "a")],
        vec![(":method", "GET"), (":scheme", "http"), (":authority", "a")],
        // Section 8.5: CONNECT has an authority, and no scheme and path.
        request("CONNECT", "/").to_vec(),
        vec![(":method", "CONNECT")],
        // Section 8.1.1: no content, but a length.
        with(&[("content-length", "1")]),
    ] {
        assert_eq!(verdict_of(&fields), malformed, "{fields:?}");
    }
}

#[test]
fn what_http_1_refuses_is_answered_alike() {
    let bad = (Some(400), Some(ErrorCode::PROTOCOL_ERROR));
    for (fields, expected) in [
        (request("GET", "/ä").to_vec(), bad),
        (request("GET", "/a b").to_vec(), bad),
        (request("GET", "/..;/a").to_vec(), bad),
        (request("GET", "*").to_vec(), bad),
        (request("GET", "http://example.com/").to_vec(), bad),
        (request("G{T", "/").to_vec(), bad),
        (with(&[("host", "other.com")]), bad),
        (with(&[("host", "a"), ("host", "a")]), bad),
        (with(&[("content-length", "x")]), bad),
        (
            with(&[("content-length", "0"), ("content-length", "0")]),
            bad,
        ),
        (
            vec![(":method", "GET"), (":scheme", "http"), (":path", "/")],
            bad,
        ),
        (
            vec![
                (":method", "GET"),
                (":scheme", "ftp"),
                (":path", "/"),
                (":authority", "a"),
            ],
            bad,
        ),
        (
            vec![
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "u@a"),
            ],
            bad,
        ),
        (
            vec![
                (":method", "GET"),
                (":scheme", "https"),
                (":path", "/"),
                (":authority", "a"),
            ],
            (Some(421), None),
        ),
        (with(&[("expect", "magic")]), (Some(417), None)),
        (
            vec![(":method", "CONNECT"), (":authority", "a:1")],
            (Some(501), None),
        ),
    ] {
        assert_eq!(verdict_of(&fields), expected, "{fields:?}");
    }
}

#[test]
fn a_refusal_of_a_request_with_a_body_tells_the_client_to_stop() {
    let mut driver = Driver::with(|limits| limits.max_header_count = 1);
    let fields = with(&[("a", "1"), ("b", "2")]);
    let bytes = driver.wire.headers(1, false, &fields);
    assert_eq!(
        verdict(&mut driver, &bytes),
        (Some(431), Some(ErrorCode::NO_ERROR))
    );
    // What was on its way is passed over, and the connection goes on.
    let mut bytes = wire::data(1, true, b"late");
    bytes.extend(driver.wire.get(3));
    assert!(matches!(
        &driver.send(&bytes)[..],
        [Seen::Request { stream: 3, .. }]
    ));
}

#[test]
fn bounds_on_heads_are_answered_and_the_table_of_fields_stays_right() {
    let long = "x".repeat(9_000);
    let path = format!("/{long}");
    let mut driver = Driver::new();
    let bytes = driver.wire.headers(1, true, &request("GET", &path));
    assert_eq!(verdict(&mut driver, &bytes).0, Some(414));
    let huge = "y".repeat(17_000);
    let bytes = driver.wire.headers(3, true, &with(&[("x", &huge)]));
    assert_eq!(verdict(&mut driver, &bytes).0, Some(431));
    let fields: Vec<_> = (0..4).map(|_| ("x", &long[..])).collect();
    let bytes = driver.wire.headers(5, true, &with(&fields));
    assert_eq!(verdict(&mut driver, &bytes).0, Some(431));
    let many: Vec<_> = (0..101).map(|_| ("x-many", "1")).collect();
    let bytes = driver.wire.headers(7, true, &with(&many));
    assert_eq!(verdict(&mut driver, &bytes).0, Some(431));
    let bytes = driver.wire.headers(9, true, &with(&[("x-many", "1")]));
    let seen = driver.send(&bytes);
    assert!(
        matches!(&seen[..], [Seen::Request { fields, .. }] if fields[0] == ("x-many".to_owned(), "1".to_owned())),
        "{seen:?}"
    );
}

#[test]
fn a_head_request_that_is_refused_gets_no_content() {
    let mut driver = Driver::new();
    let bytes = driver.wire.headers(1, true, &request("HEAD", "/ä"));
    driver.send(&bytes);
    let got = driver.got();
    assert!(
        matches!(&got[..], [Got::Headers { end: true, .. }, Got::Reset(1, _)]),
        "{got:?}"
    );
}

#[test]
fn a_field_block_may_come_in_pieces_with_nothing_in_between() {
    let mut driver = Driver::new();
    let block = driver.wire.block(&request("GET", "/"));
    let mut bytes = frame::FrameHeader {
        length: 1,
        kind: Kind::HEADERS,
        flags: frame::END_STREAM,
        stream: 1,
    }
    .bytes()
    .to_vec();
    bytes.push(block[0]);
    bytes.extend(wire::frame(Kind::CONTINUATION, 0, 1, &[]));
    assert_eq!(driver.send(&bytes), []);
    let rest = wire::frame(Kind::CONTINUATION, frame::END_HEADERS, 1, &block[1..]);
    assert!(matches!(
        &driver.send(&rest)[..],
        [Seen::Request { body: false, .. }]
    ));
}

#[test]
fn trailers_end_a_body_and_are_as_strict_as_fields() {
    let post = |driver: &mut Driver| {
        let mut bytes = driver.wire.post(1);
        bytes.extend(wire::data(1, false, b"abc"));
        assert_eq!(driver.send(&bytes).len(), 2);
    };
    let mut driver = Driver::new();
    post(&mut driver);
    let bytes = driver.wire.headers(1, true, &[("grpc-status", "0")]);
    let trailers = vec![("grpc-status".to_owned(), "0".to_owned())];
    assert_eq!(
        driver.send(&bytes),
        [Seen::End {
            stream: 1,
            trailers
        }]
    );
    for (end, name, malformed) in [
        (true, ":path", Malformed::PseudoFieldInTrailers),
        (true, "Upper", Malformed::FieldName),
        (false, "x", Malformed::TrailersWithoutEnd),
    ] {
        let mut driver = Driver::new();
        post(&mut driver);
        let seen = driver.send(&headers(1, end, &literal(name.as_bytes(), b"1")));
        assert_eq!(seen, [Seen::Reset(1, Reset::Malformed(malformed))]);
        let got = driver.got();
        assert_eq!(got, [Got::Reset(1, ErrorCode::PROTOCOL_ERROR)]);
    }
    let mut driver = Driver::new();
    post(&mut driver);
    let seen = driver.send(&headers(1, true, &literal(b"content-length", b"3")));
    assert!(matches!(&seen[..], [Seen::BodyFailed(1, _)]), "{seen:?}");
    driver.respond(1, 200, lanner_protocol::BodyLength::Known(0));
    assert_eq!(driver.got()[0].status(), Some("400"));
}

#[test]
fn extended_connect_is_taken_where_it_was_offered() {
    let mut driver = Driver::silent(|_| {});
    driver.connection.offer_connect_protocol();
    driver.send(&wire::greeting());
    assert!(matches!(&driver.got()[0], Got::Settings(values) if values.contains(&(8, 1))));
    let mut fields = vec![(":protocol", "websocket")];
    fields.extend_from_slice(&request("CONNECT", "/chat"));
    let bytes = driver.wire.headers(1, false, &fields);
    let seen = driver.send(&bytes);
    assert!(
        matches!(&seen[..], [Seen::Request { line, body: true, .. }] if line == "CONNECT /chat"),
        "{seen:?}"
    );
    let fields = [&[(":protocol", "websocket")][..], &request("GET", "/")].concat();
    let bytes = driver.wire.headers(3, true, &fields);
    assert_eq!(
        verdict(&mut driver, &bytes),
        (None, Some(ErrorCode::PROTOCOL_ERROR))
    );
}

#[test]
fn what_a_client_did_wrong_is_told_once_for_each_stream() {
    let mut driver = Driver::with(|limits| limits.h2_max_streams = 1);
    let mut all = Vec::new();
    let bad = [(":method", "GET"), (":scheme", "http"), (":path", "/")];
    for (stream, fields) in [
        (1, with(&[("connection", "close")])),
        (3, bad.to_vec()),
        (5, request("GET", "/").to_vec()),
        (7, request("GET", "/").to_vec()),
    ] {
        all.extend(driver.wire.headers(stream, true, &fields));
    }
    // Behind the end of its half.
    all.extend(wire::data(5, true, b"more"));
    driver.send(&all);
    let told: Vec<_> = std::iter::from_fn(|| driver.connection.take_misbehaviour()).collect();
    let expected = [
        (
            1,
            Offence::Reset(Reset::Malformed(Malformed::ConnectionField)),
        ),
        (3, Offence::Refused(Misbehaviour::MissingHost.into())),
        (7, Offence::Reset(Reset::Trip(Trip::Streams))),
        (5, Offence::Reset(Reset::FrameAfterEnd)),
    ];
    assert_eq!(told, expected);
}

#[test]
fn offences_that_nobody_asks_for_are_not_kept_without_end() {
    let mut driver = Driver::with(|limits| limits.h2_reset_burst = 1_000);
    for stream in 0..600 {
        let bytes = driver
            .wire
            .headers(2 * stream + 1, true, &with(&[("connection", "close")]));
        driver.send(&bytes);
        driver.got();
    }
    let told = std::iter::from_fn(|| driver.connection.take_misbehaviour()).count();
    assert_eq!(told, 256);
}
