//! What single frames do in which state (RFC 9113 sections 3.4, 4, 5.1 and 6; RFC 9218).

use super::driver::{
    Driver, Got, OK, Seen, data, frame, greeting, headers, literal, reset, settings, window_update,
};
use lanner_protocol::client::http2::{Error, Reset};
use lanner_protocol::h2::Fault;
use lanner_protocol::h2::error_code::ErrorCode as E;
use lanner_protocol::h2::frame::{ACK, END_HEADERS, FrameFault as F, Kind, PADDED};
use lanner_protocol::h2::settings::Id;
use lanner_protocol::hpack;

/// Section 3.4: "The server connection preface consists of a potentially empty SETTINGS frame that MUST be the first frame the
/// server sends in the HTTP/2 connection." "Clients and servers MUST treat an invalid connection preface as a connection error
/// (...) of type PROTOCOL_ERROR."
#[test]
fn a_server_begins_with_its_settings() {
    for first in [
        frame(Kind::PING, 0, 0, &[0; 8]),
        frame(Kind::SETTINGS, ACK, 0, &[]),
        headers(1, true, OK),
        frame(Kind(0x77), 0, 0, b"grease"),
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
    ] {
        let mut driver = Driver::silent(|_| {});
        driver.ask("GET").unwrap();
        assert_eq!(
            driver.failure(first),
            (Error::Fault(Fault::FirstFrame), E::PROTOCOL_ERROR)
        );
    }
}

/// Section 8.4: "A client cannot push (...) "; section 6.6: "PUSH_PROMISE MUST NOT be sent if the SETTINGS_ENABLE_PUSH setting of the
/// peer endpoint is set to 0. An endpoint that has set this setting and has received acknowledgment MUST treat the receipt of a
/// PUSH_PROMISE frame as a connection error of type PROTOCOL_ERROR."
#[test]
fn a_push_is_an_error() {
    let mut driver = Driver::asking(&["GET"]);
    let promise = [&[0, 0, 0, 2][..], &literal(b":method", b"GET")].concat();
    let bytes = frame(Kind::PUSH_PROMISE, END_HEADERS, 1, &promise);
    let fault = Error::Fault(Fault::Frame(F::PushPromise));
    assert_eq!(driver.failure(bytes), (fault, E::PROTOCOL_ERROR));
}

/// RFC 9218 section 7.1: "Servers MUST NOT send PRIORITY_UPDATE frames. If a client receives a PRIORITY_UPDATE frame, it MUST
/// respond with a connection error of type PROTOCOL_ERROR."
#[test]
fn a_priority_update_is_an_error() {
    let mut driver = Driver::asking(&["GET"]);
    let bytes = frame(Kind::PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1");
    assert_eq!(
        driver.failure(bytes),
        (Error::Fault(Fault::PriorityUpdate), E::PROTOCOL_ERROR)
    );
}

/// Every fault that one frame shows by itself, which the codec's own tests go through, ends connection or stream here.
#[test]
fn frames_that_are_wrong_by_themselves_end_what_the_rfc_says() {
    for (bytes, fault) in [
        (frame(Kind::DATA, 0, 0, b""), F::DataStreamZero),
        (frame(Kind::DATA, PADDED, 1, b"\x05abc"), F::DataPadding),
        (frame(Kind::DATA, PADDED, 1, b""), F::DataPaddingMissing),
        (
            frame(Kind::HEADERS, END_HEADERS, 0, OK),
            F::HeadersStreamZero,
        ),
        (frame(Kind::HEADERS, PADDED, 1, b"\x05"), F::HeadersPadding),
        (frame(Kind::RST_STREAM, 0, 0, &[0; 4]), F::ResetStreamZero),
        (frame(Kind::RST_STREAM, 0, 1, &[0; 3]), F::ResetLength),
        (frame(Kind::SETTINGS, 0, 1, b""), F::SettingsStream),
        (frame(Kind::SETTINGS, 0, 0, &[0; 5]), F::SettingsLength),
        (frame(Kind::SETTINGS, ACK, 0, &[0; 6]), F::SettingsAckLength),
        (frame(Kind::SETTINGS, ACK, 0, b""), F::SettingsAckUnasked),
        // Section 6.5.2: "A client MUST treat receipt of a SETTINGS frame with SETTINGS_ENABLE_PUSH set to 1 as a connection
        // error of type PROTOCOL_ERROR."
        (settings(&[(Id::ENABLE_PUSH, 1)]), F::SettingsEnablePush),
        (
            settings(&[(Id::INITIAL_WINDOW_SIZE, 1 << 31)]),
            F::SettingsInitialWindow,
        ),
        (settings(&[(Id::MAX_FRAME_SIZE, 100)]), F::SettingsMaxFrame),
        (frame(Kind::PING, 0, 1, &[0; 8]), F::PingStream),
        (frame(Kind::PING, 0, 0, &[0; 7]), F::PingLength),
        (frame(Kind::GOAWAY, 0, 1, &[0; 8]), F::GoAwayStream),
        (frame(Kind::GOAWAY, 0, 0, &[0; 7]), F::GoAwayLength),
        (
            frame(Kind::WINDOW_UPDATE, 0, 0, &[0; 4]),
            F::ConnectionIncrementZero,
        ),
        (
            frame(Kind::WINDOW_UPDATE, 0, 0, &[0; 3]),
            F::WindowUpdateLength,
        ),
        (
            frame(Kind::CONTINUATION, 0, 0, b""),
            F::ContinuationStreamZero,
        ),
    ] {
        let mut driver = Driver::asking(&["GET"]);
        assert_eq!(
            driver.failure(bytes),
            (Error::Fault(Fault::Frame(fault)), fault.answer().0),
            "{fault:?}"
        );
    }
    let mut driver = Driver::asking(&["GET"; 2]);
    let bytes = frame(Kind::WINDOW_UPDATE, 0, 1, &[0; 4]);
    assert_eq!(
        driver.reset_of(bytes),
        (1, Reset::Frame(F::StreamIncrementZero))
    );
    let bytes = frame(Kind::PRIORITY, 0, 3, &[0; 4]);
    assert_eq!(driver.reset_of(bytes), (3, Reset::Frame(F::PriorityLength)));
}

/// Section 4.2: "An endpoint MUST send an error code of FRAME_SIZE_ERROR if a frame exceeds the size defined in
/// SETTINGS_MAX_FRAME_SIZE"; known from the header alone, so nothing of it is held.
#[test]
fn a_frame_that_is_too_long_is_refused_by_its_header() {
    let mut driver = Driver::asking(&["GET"]);
    let bytes = frame(Kind::HEADERS, END_HEADERS, 1, &[0; 16_385]);
    let fault = Error::Fault(Fault::Frame(F::TooLong));
    assert_eq!(driver.failure(&bytes[..9]), (fault, E::FRAME_SIZE_ERROR));
}

/// Section 5.1, idle: "Receiving any frame other than HEADERS or PRIORITY on a stream in this state MUST be treated as a
/// connection error of type PROTOCOL_ERROR"; section 5.1.1: HEADERS of a server on a stream that it may not open is one too.
#[test]
fn frames_of_streams_that_we_did_not_open_are_errors() {
    for stream in [2, 3, 4, 101] {
        for bytes in [
            data(stream, true, b"a"),
            headers(stream, true, OK),
            reset(stream, E::CANCEL),
            window_update(stream, 1),
        ] {
            let mut driver = Driver::asking(&["GET"]);
            assert_eq!(
                driver.failure(bytes),
                (Error::Fault(Fault::IdleStream), E::PROTOCOL_ERROR)
            );
        }
        let mut driver = Driver::asking(&["GET"]);
        assert_eq!(
            driver.receive(frame(Kind::PRIORITY, 0, stream, &[0; 5])),
            []
        );
    }
}

/// Section 5.1, closed: frames behind END_STREAM are "a connection error of type STREAM_CLOSED"; WINDOW_UPDATE and RST_STREAM,
/// which may have crossed ours, are passed over, and so is everything behind a reset of ours: "An endpoint MUST minimally
/// process and then discard any frames it receives in this state."
#[test]
fn frames_of_closed_streams_are_errors_or_passed_over() {
    for bytes in [data(1, true, b"a"), headers(1, true, OK)] {
        let mut driver = Driver::asking(&["GET", "GET"]);
        driver.respond(1);
        assert_eq!(
            driver.failure(bytes),
            (Error::Fault(Fault::ClosedStream), E::STREAM_CLOSED)
        );
    }
    let mut driver = Driver::asking(&["GET", "GET"]);
    driver.respond(1);
    assert_eq!(driver.receive(window_update(1, 1)), []);
    assert_eq!(driver.receive(reset(1, E::NO_ERROR)), []);

    let mut driver = Driver::asking(&["GET", "GET"]);
    let key = driver.key(1);
    driver.turn(|connection, turn| connection.reset(key, turn, E::CANCEL));
    assert_eq!(driver.got(), [Got::Reset(1, E::CANCEL)]);
    let late = [
        driver.headers(1, false, &[(":status", "200"), ("x-table", "kept")]),
        data(1, false, &[0; 9_000]),
        window_update(1, 1),
        data(1, true, &[0; 9_000]),
    ]
    .concat();
    assert_eq!(driver.receive(late), []);
    // Its block went through the decoder, or this could not be read.
    let bytes = driver.headers(3, true, &[(":status", "200"), ("x-table", "kept")]);
    let seen = driver.receive(bytes);
    let Seen::Response { fields, .. } = &seen[0] else {
        panic!("{seen:?}")
    };
    assert_eq!(fields[0].1, "kept");
    // The server has ended it, so nothing more may come.
    assert_eq!(
        driver.failure(data(1, true, b"")),
        (Error::Fault(Fault::ClosedStream), E::STREAM_CLOSED)
    );
}

/// Section 4.3: "A receiving endpoint reassembles the field block by concatenating its fragments"; section 6.10: "A receiver MUST
/// treat the receipt of any other type of frame or a frame on a different stream as a connection error of type
/// PROTOCOL_ERROR."
#[test]
fn a_field_block_is_put_together_and_not_interrupted() {
    let block = [OK, &literal(b"a", b"b"), &literal(b"c", b"d")].concat();
    for cut in 0..=block.len() {
        let bytes = [
            frame(Kind::HEADERS, 0x1, 1, &block[..cut]),
            frame(Kind::CONTINUATION, 0, 1, b""),
            frame(Kind::CONTINUATION, END_HEADERS, 1, &block[cut..]),
        ]
        .concat();
        let seen = Driver::asking(&["GET"]).receive(bytes);
        assert!(matches!(&seen[0], Seen::Response { fields, .. } if fields.len() == 2));
        assert!(matches!(seen[1], Seen::End(1, _)));
    }
    let begun = frame(Kind::HEADERS, 0, 1, OK);
    for between in [
        data(1, false, b"a"),
        frame(Kind::CONTINUATION, END_HEADERS, 3, b""),
        headers(1, true, b""),
        frame(Kind::PING, 0, 0, &[0; 8]),
        settings(&[]),
        frame(Kind(0x77), 0, 0, b""),
    ] {
        let mut driver = Driver::asking(&["GET", "GET"]);
        let bytes = [&begun[..], &between].concat();
        assert_eq!(
            driver.failure(bytes),
            (Error::Fault(Fault::FieldBlock), E::PROTOCOL_ERROR)
        );
    }
    let mut driver = Driver::asking(&["GET"]);
    let bytes = frame(Kind::CONTINUATION, END_HEADERS, 1, OK);
    assert_eq!(
        driver.failure(bytes),
        (Error::Fault(Fault::FieldBlock), E::PROTOCOL_ERROR)
    );
}

/// Section 4.3: "A receiver MUST terminate the connection with a connection error of type COMPRESSION_ERROR if it does not
/// decompress a field block": also of a stream that nobody wants any more.
#[test]
fn a_block_that_cannot_be_decoded_ends_the_connection() {
    let mut driver = Driver::asking(&["GET"]);
    let error = (
        Error::Fault(Fault::Fields(hpack::Fault::IndexBeyondTable)),
        E::COMPRESSION_ERROR,
    );
    assert_eq!(driver.failure(headers(1, true, &[0xff, 0x00])), error);
    let mut driver = Driver::asking(&["GET"]);
    let key = driver.key(1);
    driver.turn(|connection, turn| connection.reset(key, turn, E::CANCEL));
    assert_eq!(driver.failure(headers(1, true, &[0xff, 0x00])), error);
}

/// Section 6.7: "Receivers of a PING frame that does not include an ACK flag MUST send a PING frame with the ACK flag set in
/// response, with an identical frame payload."
#[test]
fn a_ping_is_answered() {
    let mut driver = Driver::new();
    driver.receive(frame(Kind::PING, 0, 0, b"12345678"));
    assert_eq!(driver.got(), [Got::Ping(true, *b"12345678")]);
    // "An endpoint MUST NOT respond to PING frames containing this flag."
    driver.receive(frame(Kind::PING, ACK, 0, b"12345678"));
    assert_eq!(driver.got(), []);
}

/// Section 4.1: "Implementations MUST ignore and discard frames of unknown types"; section 6.5.2: "An endpoint that receives a
/// SETTINGS frame with any unknown or unsupported identifier MUST ignore that setting"; section 4.1: unknown flags and the
/// reserved bit are ignored.
#[test]
fn what_is_unknown_is_ignored() {
    let mut driver = Driver::asking(&["GET"]);
    let mut bytes = [
        frame(Kind(0x77), 0xff, 1, b"grease"),
        frame(Kind(0xfe), 0, 0, b""),
        settings(&[(Id(0x7777), 7)]),
        frame(Kind::PRIORITY, 0, 1, &[0; 5]),
    ]
    .concat();
    let mut head = headers(1, true, OK);
    head[4] |= 0x40 | 0x2;
    head[5] |= 0x80;
    bytes.extend_from_slice(&head);
    assert!(matches!(
        driver.receive(bytes)[..],
        [Seen::Response { .. }, Seen::End(..)]
    ));
}

#[test]
fn padding_is_passed_over_and_counted() {
    let mut driver = Driver::asking(&["GET"]);
    let bytes = [
        frame(Kind::HEADERS, PADDED | END_HEADERS, 1, b"\x03\x88\0\0\0"),
        frame(Kind::DATA, PADDED, 1, b"\x02ab\0\0"),
        frame(Kind::DATA, PADDED, 1, b"\x03\0\0\0"),
        frame(Kind::DATA, PADDED | 0x1, 1, b"\x01c\0"),
    ]
    .concat();
    for pieces in [bytes.len(), 1, 2, 7] {
        let mut driver = Driver::asking(&["GET"]);
        let mut content = Vec::new();
        let mut ends = 0;
        for piece in bytes.chunks(pieces) {
            for seen in driver.receive(piece) {
                match seen {
                    Seen::Data(1, more) => content.extend(more),
                    Seen::End(1, _) => ends += 1,
                    _ => {}
                }
            }
        }
        assert_eq!((&content[..], ends), (&b"abc"[..], 1));
    }
    assert_eq!(driver.receive(&bytes[..9]), []);
}

#[test]
fn every_split_gives_the_same() {
    let mut writer = Driver::asking(&[]);
    let bytes = [
        greeting(),
        writer.headers(1, false, &[(":status", "100")]),
        writer.headers(1, false, &[(":status", "200"), ("content-length", "4")]),
        writer.headers(3, true, &[(":status", "404"), ("a", "b")]),
        data(1, false, b"ab"),
        frame(Kind::PING, 0, 0, &[7; 8]),
        frame(Kind::DATA, PADDED | 0x1, 1, b"\x02cd\0\0"),
        reset(5, E::REFUSED_STREAM),
        window_update(0, 5),
    ]
    .concat();
    let run = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut driver = Driver::silent(|_| {});
        for _ in 0..3 {
            driver.ask("GET").unwrap();
        }
        let mut seen = Vec::new();
        for piece in pieces {
            for each in driver.receive(piece) {
                match (seen.last_mut(), each) {
                    (Some(Seen::Data(one, before)), Seen::Data(other, more)) if *one == other => {
                        before.extend(more);
                    }
                    (_, each) => seen.push(each),
                }
            }
        }
        (seen, driver.got())
    };
    let whole = run(&mut [&bytes[..]].into_iter());
    assert_eq!(whole.0.len(), 7, "{:?}", whole.0);
    for at in 0..=bytes.len() {
        let (front, back) = bytes.split_at(at);
        assert_eq!(run(&mut [front, back].into_iter()), whole, "split at {at}");
    }
    assert_eq!(run(&mut bytes.chunks(1)), whole);
}
