//! Section 6: what each kind of frame asks for.

use super::client::{Client, content};
use super::wire::{self, Got, data, ping, settings, window_update};
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::frame::{self, Kind};
use lanner_protocol::h2::settings::Id;

// 6.1, 6.2, 6.3, 6.4, 6.10: these frames are of a stream.
#[test]
fn frames_that_need_a_stream_do_not_come_without() {
    for (kind, payload) in [
        (Kind::DATA, &b"x"[..]),
        (Kind::HEADERS, b"\x82"),
        (Kind::PRIORITY, &[0; 5]),
        (Kind::RST_STREAM, &[0; 4]),
        (Kind::CONTINUATION, b""),
    ] {
        Client::new().ends_with(&wire::frame(kind, 4, 0, payload), ErrorCode::PROTOCOL_ERROR);
    }
}

// 6.5, 6.7, 6.8: these are of the connection.
#[test]
fn frames_of_the_connection_have_no_stream() {
    for (kind, length) in [(Kind::SETTINGS, 6), (Kind::PING, 8), (Kind::GOAWAY, 8)] {
        let bytes = wire::frame(kind, 0, 1, &[0; 8][..length]);
        Client::new().ends_with(&bytes, ErrorCode::PROTOCOL_ERROR);
    }
}

// 6.1: Padding as long as the payload or longer is a connection error PROTOCOL_ERROR. 6.2 says the same of HEADERS.
#[test]
fn padding_fits_into_its_frame() {
    let mut client = Client::new();
    let bytes = client.wire.post(1);
    client.ignores(&bytes);
    let bytes = wire::frame(Kind::DATA, frame::PADDED, 1, &[3, 0, 0]);
    client.ends_with(&bytes, ErrorCode::PROTOCOL_ERROR);
    let bytes = wire::frame(Kind::HEADERS, frame::PADDED | 5, 1, &[9, 0x82]);
    Client::new().ends_with(&bytes, ErrorCode::PROTOCOL_ERROR);
}

// 6.1 and 6.2: Padding means nothing: not to the content, and not to the fields.
#[test]
fn padding_is_left_out() {
    let mut client = Client::new();
    let block = client.wire.block(&wire::request("POST", "/upload"));
    let payload = [&[200][..], &block, &[0; 200]].concat();
    let mut bytes = wire::frame(Kind::HEADERS, frame::PADDED | 4, 1, &payload);
    let payload = [&[255][..], b"abcd", &[0; 255]].concat();
    bytes.extend(wire::frame(Kind::DATA, frame::PADDED, 1, &payload));
    bytes.extend(wire::frame(Kind::DATA, frame::PADDED | 1, 1, &[2, 0, 0]));
    let got = client.say(&bytes);
    assert_eq!(content(&got, 1), b"4", "{got:?}");
    // Padding and the priority of RFC 7540 together.
    let block = client.wire.block(&wire::request("GET", "/"));
    let payload = [&[3, 0, 0, 0, 1, 16][..], &block, &[0; 3]].concat();
    let got = client.say(&wire::frame(
        Kind::HEADERS,
        frame::PADDED | 0x25,
        3,
        &payload,
    ));
    assert_eq!(content(&got, 3), b"hello", "{got:?}");
}

// 6.1 and 6.9: All of the payload counts for flow control, padding too. What is counted so must also come back.
#[test]
fn padding_is_given_back() {
    let mut client = Client::new();
    let mut bytes = client.wire.post(1);
    let (mut stream, mut sent) = (client.stream_window() as i64, 0);
    let payload = [&[255][..], &[7; 256], &[0; 255]].concat();
    let frames = wire::frame(Kind::DATA, frame::PADDED, 1, &payload).repeat(64);
    let all = 2 * client.window.max(stream);
    while sent < all {
        client.window -= 64 * 512;
        stream -= 64 * 512;
        assert!(
            client.window >= 0 && stream >= 0,
            "starved after {sent} bytes"
        );
        bytes.extend_from_slice(&frames);
        for got in client.say(&bytes) {
            match got {
                Got::WindowUpdate(0, _) => {}
                Got::WindowUpdate(1, increment) => stream += i64::from(increment),
                other => panic!("{other:?}"),
            }
        }
        bytes.clear();
        sent += 64 * 512;
    }
    let got = client.say(&data(1, true, b""));
    assert_eq!(content(&got, 1), (sent / 2).to_string().as_bytes());
}

// 6.3: PRIORITY has 5 bytes; else it is a stream error FRAME_SIZE_ERROR.
#[test]
fn priority_has_five_bytes() {
    let mut client = Client::new();
    let bytes = client.wire.post(1);
    client.ignores(&bytes);
    let bytes = wire::frame(Kind::PRIORITY, 0, 1, &[0; 4]);
    client.resets(1, &bytes, ErrorCode::FRAME_SIZE_ERROR);
    // Also of a stream that is over.
    let mut client = Client::new();
    client.serves(1);
    let bytes = wire::frame(Kind::PRIORITY, 0, 1, &[0; 6]);
    client.resets(1, &bytes, ErrorCode::FRAME_SIZE_ERROR);
}

// 6.5.2: What the server announces is in range itself, and it does not say that it would be pushed to.
#[test]
fn the_servers_own_settings_are_in_their_ranges() {
    let client = Client::new();
    assert!(
        client
            .announced(Id::ENABLE_PUSH)
            .is_none_or(|push| push == 0)
    );
    let frame = client.announced(Id::MAX_FRAME_SIZE);
    assert!(frame.is_none_or(|bytes| (1 << 14..1 << 24).contains(&bytes)));
    assert!(client.stream_window() < 1 << 31);
}

// 6.5: An acknowledgement has no payload.
#[test]
fn an_acknowledgement_of_settings_is_empty() {
    let bytes = wire::frame(Kind::SETTINGS, frame::ACK, 0, &[0; 6]);
    Client::new().ends_with(&bytes, ErrorCode::FRAME_SIZE_ERROR);
}

// 6.5.2: Values out of their range are connection errors, of a window FLOW_CONTROL_ERROR and else PROTOCOL_ERROR.
#[test]
fn settings_are_in_their_ranges() {
    for (id, value, code) in [
        (Id::ENABLE_PUSH, 2, ErrorCode::PROTOCOL_ERROR),
        (
            Id::INITIAL_WINDOW_SIZE,
            1 << 31,
            ErrorCode::FLOW_CONTROL_ERROR,
        ),
        (Id::MAX_FRAME_SIZE, 16_383, ErrorCode::PROTOCOL_ERROR),
        (Id::MAX_FRAME_SIZE, 1 << 24, ErrorCode::PROTOCOL_ERROR),
    ] {
        Client::new().ends_with(&settings(&[(id, value)]), code);
    }
}

// 6.5.2: Unknown settings are ignored.
#[test]
fn unknown_settings_are_ignored_and_acknowledged() {
    let mut client = Client::new();
    assert_eq!(client.say(&settings(&[(Id(0xfff), 7)])), [Got::SettingsAck]);
}

// 6.5.3: Values are taken in the order in which they stand, and acknowledged once all are.
#[test]
fn the_last_of_several_values_counts() {
    let mut client = Client::new();
    let both = [(Id::INITIAL_WINDOW_SIZE, 100), (Id::INITIAL_WINDOW_SIZE, 1)];
    assert_eq!(client.say(&settings(&both)), [Got::SettingsAck]);
    let bytes = client.wire.get(1);
    let got = client.say(&bytes);
    assert!(
        matches!(&got[1..], [Got::Data { bytes, end: false, .. }] if bytes == b"h"),
        "{got:?}"
    );
}

// 6.5.3: Each SETTINGS frame is acknowledged.
#[test]
fn each_settings_frame_is_acknowledged() {
    let mut client = Client::new();
    let bytes = settings(&[(Id::MAX_CONCURRENT_STREAMS, 1)]).repeat(3);
    assert_eq!(client.say(&bytes), vec![Got::SettingsAck; 3]);
}

// 6.6, 8.4: A client cannot push.
#[test]
fn push_promise_is_a_protocol_error() {
    let mut client = Client::new();
    let bytes = client.wire.post(1);
    client.ignores(&bytes);
    let bytes = wire::frame(Kind::PUSH_PROMISE, 4, 1, &[0, 0, 0, 2, 0x82]);
    client.ends_with(&bytes, ErrorCode::PROTOCOL_ERROR);
}

// 6.7: PING is answered with the same payload; an answer is not answered.
#[test]
fn pings_are_answered_and_answers_are_not() {
    let mut client = Client::new();
    client.lives();
    client.ignores(&ping(true, [3; 8]));
}

// 6.8: After GOAWAY from the client, its streams go on.
#[test]
fn a_client_that_leaves_is_still_answered() {
    let mut client = Client::new();
    let mut bytes = client.wire.post(1);
    bytes.extend(wire::frame(Kind::GOAWAY, 0, 0, &[0; 8]));
    client.say(&bytes);
    let got = client.say(&data(1, true, b"four"));
    assert_eq!(got[0].status(), Some("200"), "{got:?}");
}

// 6.8 and 7: GOAWAY may hold debug data, and error codes that nobody knows.
#[test]
fn whatever_a_client_leaves_for_it_is_still_answered() {
    let mut client = Client::new();
    let mut bytes = client.wire.post(1);
    let payload = [&[0; 4][..], &[0xde, 0xad, 0xbe, 0xef], b"it is late"].concat();
    bytes.extend(wire::frame(Kind::GOAWAY, 0, 0, &payload));
    client.say(&bytes);
    let got = client.say(&data(1, true, b"four"));
    assert_eq!(content(&got, 1), b"4", "{got:?}");
}

// 6.9: An increment of 0 is PROTOCOL_ERROR, of the stream or of the connection.
#[test]
fn a_window_is_not_widened_by_nothing() {
    Client::new().ends_with(&window_update(0, 0), ErrorCode::PROTOCOL_ERROR);
    let mut client = Client::new();
    let bytes = client.wire.post(1);
    client.ignores(&bytes);
    client.resets(1, &window_update(1, 0), ErrorCode::PROTOCOL_ERROR);
}

// 6.9.1: A window above 2^31-1 is FLOW_CONTROL_ERROR, of the stream or of the connection.
#[test]
fn a_window_does_not_pass_31_bits() {
    Client::new().ends_with(
        &window_update(0, 0x7fff_ffff),
        ErrorCode::FLOW_CONTROL_ERROR,
    );
    let mut client = Client::new();
    let bytes = client.wire.post(1);
    client.ignores(&bytes);
    client.resets(
        1,
        &window_update(1, 0x7fff_ffff),
        ErrorCode::FLOW_CONTROL_ERROR,
    );
}

// 6.9.1: A stream's window holds for the client too; what passes it is FLOW_CONTROL_ERROR.
#[test]
fn more_than_a_streams_window_is_a_flow_control_error() {
    // One that is smaller than the connection's.
    let Some(mut client) = Client::with(|limits| limits.h2_stream_window = 40_000) else {
        return;
    };
    let mut bytes = client
        .wire
        .headers(1, false, &wire::request("POST", "/hold"));
    bytes.extend(fill(1, client.stream_window()));
    client.ignores(&bytes);
    client.resets(1, &data(1, false, b"x"), ErrorCode::FLOW_CONTROL_ERROR);
}

// 6.9.1: And so does the connection's.
#[test]
fn more_than_the_connections_window_is_a_flow_control_error() {
    let mut client = Client::new();
    let (each, mut stream) = (client.stream_window(), 1);
    let mut left = usize::try_from(client.window).unwrap();
    while left > 0 {
        let count = left.min(each);
        let mut bytes = client
            .wire
            .headers(stream, false, &wire::request("POST", "/hold"));
        bytes.extend(fill(stream, count));
        client.ignores(&bytes);
        (left, stream) = (left - count, stream + 2);
    }
    let mut bytes = client
        .wire
        .headers(stream, false, &wire::request("POST", "/hold"));
    bytes.extend(data(stream, false, b"x"));
    client.ends_with(&bytes, ErrorCode::FLOW_CONTROL_ERROR);
}

/// So much DATA.
fn fill(stream: u32, mut bytes: usize) -> Vec<u8> {
    let mut frames = Vec::new();
    while bytes > 0 {
        let count = bytes.min(16_384);
        frames.extend(data(stream, false, &vec![0; count]));
        bytes -= count;
    }
    frames
}

// 6.9.1: No more is sent than both windows allow.
#[test]
fn no_more_is_sent_than_the_window_allows() {
    let mut client = Client::new();
    client.say(&settings(&[(Id::INITIAL_WINDOW_SIZE, 1)]));
    let bytes = client.wire.get(1);
    let content = |got: &[Got]| -> usize {
        got.iter()
            .map(|got| match got {
                Got::Data { bytes, .. } => bytes.len(),
                _ => 0,
            })
            .sum()
    };
    assert_eq!(content(&client.say(&bytes)), 1);
    assert_eq!(content(&client.say(&window_update(1, 2))), 2);
    assert_eq!(content(&client.say(&window_update(1, 2))), 2);
}

// 6.9.2: SETTINGS move the windows of streams that exist, below nothing if need be; beyond 2^31-1 it is FLOW_CONTROL_ERROR.
#[test]
fn settings_move_windows_of_open_streams() {
    let mut client = Client::new();
    client.say(&settings(&[(Id::INITIAL_WINDOW_SIZE, 3)]));
    let bytes = client.wire.get(1);
    assert_eq!(client.say(&bytes).len(), 2);
    client.say(&settings(&[(Id::INITIAL_WINDOW_SIZE, 1)]));
    client.ignores(&window_update(1, 2));
    let got = client.say(&window_update(1, 1));
    assert!(
        matches!(&got[..], [Got::Data { bytes, .. }] if bytes == b"l"),
        "{got:?}"
    );
    let mut bytes = window_update(1, 0x7fff_ffff - 1);
    bytes.extend(settings(&[(Id::INITIAL_WINDOW_SIZE, 0x7fff_ffff)]));
    client.ends_with(&bytes, ErrorCode::FLOW_CONTROL_ERROR);
}

// 6.9.2: The connection's window does not follow SETTINGS.
#[test]
fn settings_do_not_move_the_connections_window() {
    let mut client = Client::new();
    client.say(&settings(&[(Id::INITIAL_WINDOW_SIZE, 0x7fff_ffff)]));
    let bytes = window_update(0, 0x7fff_ffff - 65_535);
    client.ignores(&bytes);
    assert!(!client.peer.has_closed());
}

// 6.10: CONTINUATION comes behind HEADERS or CONTINUATION without END_HEADERS, and nowhere else.
#[test]
fn continuation_only_continues() {
    let mut client = Client::new();
    let mut bytes = client.wire.post(1);
    bytes.extend(wire::frame(Kind::CONTINUATION, 4, 1, b""));
    client.ends_with(&bytes, ErrorCode::PROTOCOL_ERROR);
}

// 6.10: A field block in several frames is one field block.
#[test]
fn continuation_continues() {
    let mut client = Client::new();
    let block = client.wire.block(&wire::request("GET", "/"));
    let mut bytes = wire::frame(Kind::HEADERS, frame::END_STREAM, 1, &block[..2]);
    bytes.extend(wire::frame(Kind::CONTINUATION, 0, 1, &block[2..3]));
    bytes.extend(wire::frame(
        Kind::CONTINUATION,
        frame::END_HEADERS,
        1,
        &block[3..],
    ));
    assert_eq!(client.say(&bytes)[0].status(), Some("200"));
}
