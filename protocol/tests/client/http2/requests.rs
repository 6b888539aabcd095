//! What is sent first, and how requests look (RFC 9113 sections 3.4, 5.1, 6.5 and 8.3.1).

use super::driver::{Driver, Got, greeting, settings};
use lanner_protocol::client::http2::Prepared;
use lanner_protocol::client::{InvalidRequest, Request, SendError};
use lanner_protocol::h2::settings::Id;
use lanner_protocol::target::Scheme;
use lanner_protocol::{BodyLength, Fields};

fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Section 3.4: "The client connection preface starts with a sequence of 24 octets (...) This sequence MUST be followed by a
/// SETTINGS frame (...), which MAY be empty." "To avoid unnecessary latency, clients are permitted to send additional frames
/// to the server immediately after sending the client connection preface, without waiting to receive the server connection
/// preface."
#[test]
fn preface_settings_and_requests_leave_together() {
    let mut driver = Driver::silent(|_| {});
    driver.ask("GET").unwrap();
    let got = driver.got();
    let [
        Got::Settings(said),
        Got::WindowUpdate(0, increment),
        Got::Headers { stream: 1, .. },
    ] = &got[..]
    else {
        panic!("{got:?}")
    };
    // Nothing may be pushed, and the server may open no streams.
    assert!(said.contains(&(0x2, 0)) && said.contains(&(0x3, 0)));
    assert!(said.contains(&(0x4, 256 << 10)));
    assert_eq!(*increment, (1 << 20) - 65_535);
    assert_eq!(driver.got(), [], "it is said once");
}

#[test]
fn a_connection_without_requests_greets_as_well() {
    let mut driver = Driver::silent(|_| {});
    assert!(matches!(
        driver.got()[..],
        [Got::Settings(_), Got::WindowUpdate(..)]
    ));
    driver.receive(settings(&[]));
    // Section 6.5.3: "the recipient MUST immediately emit a SETTINGS frame with the ACK flag set."
    assert_eq!(driver.got(), [Got::SettingsAck]);
}

/// Section 8.3.1: "All HTTP/2 requests MUST include exactly one valid value for the ':method', ':scheme', and ':path'
/// pseudo-header fields"; section 8.3: "All pseudo-header fields MUST appear in a field block before all regular field lines";
/// section 8.2.1: names are in lower case.
#[test]
fn a_request_is_its_pseudo_fields_and_its_fields_in_lower_case() {
    let mut fields = Fields::new();
    fields.append("Accept", "*/*").unwrap();
    fields.append("te", "trailers").unwrap();
    let mut driver = Driver::new();
    let request = Request {
        scheme: Scheme::Https,
        body: Some(BodyLength::Known(5)),
        expect_continue: true,
        ..Request::new(b"PUT", b"a:1", b"/b?c", &fields)
    };
    driver.request(&request).unwrap();
    let prepared = Prepared::new(&request).unwrap();
    driver
        .turn(|connection, turn| connection.send_prepared(turn, &prepared))
        .unwrap();
    let fields = owned(&[
        (":method", "PUT"),
        (":scheme", "https"),
        (":authority", "a:1"),
        (":path", "/b?c"),
        ("expect", "100-continue"),
        ("content-length", "5"),
        ("accept", "*/*"),
        ("te", "trailers"),
    ]);
    let got = |stream| Got::Headers {
        stream,
        end: false,
        fields: fields.clone(),
    };
    assert_eq!(driver.got(), [got(1), got(3)]);
}

#[test]
fn a_request_without_a_body_ends_its_stream_with_its_head() {
    let mut driver = Driver::new();
    driver.ask("GET").unwrap();
    driver.post(BodyLength::Known(0));
    driver.post(BodyLength::Unknown);
    let ends: Vec<bool> = driver
        .got()
        .iter()
        .map(|got| matches!(got, Got::Headers { end: true, .. }))
        .collect();
    assert_eq!(ends, [true, true, false]);
}

#[test]
fn what_is_no_request_here_is_not_sent() {
    use InvalidRequest as I;
    let none = Fields::new();
    let mut te = Fields::new();
    te.append("TE", "gzip").unwrap();
    let valid = Request::new(b"GET", b"a", b"/", &none);
    for (request, error) in [
        (
            Request {
                method: b"G T",
                ..valid
            },
            I::Method,
        ),
        (
            Request {
                method: b"CONNECT",
                target: b"a:1",
                ..valid
            },
            I::NotInHttp2,
        ),
        (
            Request {
                upgrade: Some("x"),
                ..valid
            },
            I::NotInHttp2,
        ),
        (
            Request {
                target: b"http://a/",
                ..valid
            },
            I::Target,
        ),
        (
            Request {
                target: b"",
                ..valid
            },
            I::Target,
        ),
        (
            Request {
                authority: b"a b",
                ..valid
            },
            I::Authority,
        ),
        (
            Request {
                fields: &te,
                ..valid
            },
            I::Field,
        ),
    ] {
        let mut driver = Driver::new();
        assert_eq!(driver.request(&request), Err(error.into()));
        assert_eq!(Prepared::new(&request).err(), Some(error));
        assert_eq!(driver.got(), []);
        assert_eq!(
            driver.ask("GET").map(|key| key.id()),
            Ok(1),
            "no number was used"
        );
    }
}

/// Section 5.1.2: "Endpoints MUST NOT exceed the limit set by their peer."
#[test]
fn as_many_streams_are_open_as_both_sides_allow() {
    let mut driver = Driver::with(|limits| limits.h2_max_streams = 4);
    let fill = |driver: &mut Driver| {
        let mut count = 0;
        while driver.ask("GET").is_ok() {
            count += 1;
        }
        assert_eq!(driver.ask("GET"), Err(SendError::NotNow));
        count
    };
    assert_eq!(fill(&mut driver), 4);
    driver.receive(settings(&[(Id::MAX_CONCURRENT_STREAMS, 2)]));
    for stream in [1, 3] {
        driver.respond(stream);
        assert!(
            !driver.connection.may_request(),
            "more are open than are allowed now"
        );
    }
    driver.respond(5);
    assert_eq!(fill(&mut driver), 1);
    driver.receive(settings(&[(Id::MAX_CONCURRENT_STREAMS, 100)]));
    assert_eq!(fill(&mut driver), 2);
    driver.receive(settings(&[(Id::MAX_CONCURRENT_STREAMS, 0)]));
    for stream in [7, 9, 11, 13] {
        driver.respond(stream);
    }
    assert_eq!((driver.connection.streams(), fill(&mut driver)), (0, 0));
}

/// Section 5.1.1: "Streams initiated by a client MUST use odd-numbered stream identifiers (...) The identifier of a newly
/// established stream MUST be numerically greater than all streams that the initiating endpoint has opened or reserved."
#[test]
fn streams_have_odd_numbers_that_grow() {
    let mut driver = Driver::new();
    for number in 0..1_000u32 {
        let key = driver.ask("GET").unwrap();
        assert_eq!(key.id(), 2 * number + 1);
        assert_eq!(driver.respond(key.id()).len(), 2);
        driver.got();
    }
    assert_eq!(driver.connection.streams(), 0);
}

#[test]
fn a_stream_that_outlives_many_others_is_still_found() {
    let mut driver = Driver::with(|limits| limits.h2_max_streams = 2);
    let long = driver.post(BodyLength::Unknown);
    for _ in 0..50 {
        let key = driver.ask("GET").unwrap();
        driver.respond(key.id());
        driver.got();
    }
    assert_eq!(driver.send(1, "abc", false), Ok(Default::default()));
    assert_eq!(driver.got(), [Got::Data(1, false, b"abc".to_vec())]);
    assert!(driver.connection.is_open(long));
    driver.respond(1);
    assert!(
        driver.connection.is_open(long),
        "its request is not complete"
    );
    driver.send(1, "", true).unwrap();
    assert!(!driver.connection.is_open(long));
}

/// Section 4.2: "An endpoint MUST send an error code of FRAME_SIZE_ERROR" otherwise: what is long is cut by the server's
/// SETTINGS_MAX_FRAME_SIZE.
#[test]
fn a_long_field_block_is_continued() {
    let mut fields = Fields::new();
    let value = "0123456789abcdef".repeat(1_500);
    fields.append("x-long", &value).unwrap();
    let mut driver = Driver::new();
    driver
        .request(&Request::new(b"GET", b"a", b"/", &fields))
        .unwrap();
    assert!(driver.output.len() > 16_384 + 18);
    let got = driver.got();
    let Got::Headers {
        end: true, fields, ..
    } = &got[0]
    else {
        panic!("{got:?}")
    };
    assert_eq!(fields[4].1, value);
}

/// RFC 7541 section 4.2: our table keeps to the server's SETTINGS_HEADER_TABLE_SIZE, and says so.
#[test]
fn the_table_of_fields_follows_the_servers_settings() {
    let mut fields = Fields::new();
    fields.append("x-custom", "a value that repeats").unwrap();
    let mut driver = Driver::new();
    for size in [4_096, 0, 128, 4_096] {
        driver.receive(settings(&[(Id::HEADER_TABLE_SIZE, size)]));
        for _ in 0..3 {
            driver
                .request(&Request::new(b"GET", b"a", b"/", &fields))
                .unwrap();
            let got = driver.got();
            // The decoder of the test complains if a change was not told.
            assert!(matches!(got.last(), Some(Got::Headers { fields, .. }) if fields.len() == 5));
        }
    }
}

#[test]
fn a_repeated_request_shrinks_to_its_indices() {
    let mut fields = Fields::new();
    fields
        .append("user-agent", "a generator of load/1.0")
        .unwrap();
    fields.append("accept", "*/*").unwrap();
    let request = Request::new(b"GET", b"example.com", b"/", &fields);
    let prepared = Prepared::new(&request).unwrap();
    let mut driver = Driver::silent(|_| {});
    driver.receive(greeting());
    let mut sizes = Vec::new();
    for _ in 0..4 {
        driver.got();
        driver
            .turn(|connection, turn| connection.send_prepared(turn, &prepared))
            .unwrap();
        sizes.push(driver.output.len());
    }
    assert_eq!(sizes[1..], [9 + 6, 9 + 6, 9 + 6]);
}
