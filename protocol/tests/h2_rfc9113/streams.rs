//! Section 5: streams, their states, their numbers, and how many there are.

use super::client::{Client, LARGE_BYTES, content};
use super::wire::{self, Got, data, reset, settings, window_update};
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::frame::Kind;
use lanner_protocol::h2::settings::Id;

// 5.1, idle: anything but HEADERS and PRIORITY is a connection error PROTOCOL_ERROR.
#[test]
fn frames_of_idle_streams_are_protocol_errors() {
    for bytes in [
        data(1, true, b"x"),
        reset(1, ErrorCode::CANCEL),
        window_update(1, 1),
        wire::frame(Kind::CONTINUATION, 4, 1, b""),
    ] {
        Client::new().ends_with(&bytes, ErrorCode::PROTOCOL_ERROR);
    }
}

// 5.1: PRIORITY may be of a stream in any state.
#[test]
fn priority_is_taken_in_every_state() {
    let mut client = Client::new();
    let priority = |stream| wire::frame(Kind::PRIORITY, 0, stream, &[0, 0, 0, 0, 16]);
    client.ignores(&priority(1));
    let bytes = client.wire.post(1);
    client.ignores(&bytes);
    client.ignores(&priority(1));
    client.say(&data(1, true, b""));
    client.ignores(&priority(1));
}

// 5.1, half-closed (remote): anything but WINDOW_UPDATE, PRIORITY and RST_STREAM is an error STREAM_CLOSED.
#[test]
fn frames_behind_the_end_of_the_clients_half_are_stream_closed() {
    let asked = || {
        let mut client = Client::new();
        client.say(&settings(&[(Id::INITIAL_WINDOW_SIZE, 0)]));
        let bytes = client.wire.get(1);
        // The answer waits for a window, so the stream is half-closed.
        assert_eq!(client.say(&bytes).len(), 1);
        client
    };
    let mut client = asked();
    client.resets(1, &data(1, false, b"x"), ErrorCode::STREAM_CLOSED);
    let mut client = asked();
    let bytes = client.wire.headers(1, true, &[("x", "1")]);
    client.resets(1, &bytes, ErrorCode::STREAM_CLOSED);
    let mut client = asked();
    client.ignores(&wire::frame(Kind::PRIORITY, 0, 1, &[0, 0, 0, 0, 16]));
    let got = client.say(&window_update(1, 100));
    assert!(matches!(&got[..], [Got::Data { end: true, .. }]), "{got:?}");
}

// 5.1, closed: frames behind END_STREAM of both halves may end the connection with STREAM_CLOSED; WINDOW_UPDATE and RST_STREAM
// may have been on their way.
#[test]
fn frames_of_closed_streams_are_stream_closed_or_passed_over() {
    for late in [data(1, true, b"x"), wire::headers(1, true, b"\x82")] {
        let mut client = Client::new();
        client.serves(1);
        client.ends_with(&late, ErrorCode::STREAM_CLOSED);
    }
    let mut client = Client::new();
    client.serves(1);
    client.ignores(&window_update(1, 1));
    client.ignores(&reset(1, ErrorCode::CANCEL));
}

// 5.1, closed: whoever has sent RST_STREAM sends nothing more on that stream.
#[test]
fn frames_behind_the_clients_own_reset_are_stream_closed() {
    for late in [data(1, true, b"x"), wire::headers(1, true, b"\x82")] {
        let mut client = Client::new();
        let bytes = client.wire.post(1);
        client.ignores(&bytes);
        client.ignores(&reset(1, ErrorCode::CANCEL));
        client.ends_with(&late, ErrorCode::STREAM_CLOSED);
    }
}

// 5.1, closed: behind the client's RST_STREAM the server sends nothing more on that stream (6.4), though it had content left.
#[test]
fn nothing_is_sent_behind_the_clients_reset() {
    let mut client = Client::new();
    let bytes = client
        .wire
        .headers(1, true, &wire::request("GET", "/large"));
    let got = client.say(&bytes);
    assert_eq!(content(&got, 1).len(), 65_535, "what the windows allow");
    let got = client.say(&reset(1, ErrorCode::CANCEL));
    assert_eq!(got, []);
    let mut bytes = window_update(0, 1 << 20);
    bytes.extend(window_update(1, 1 << 20));
    assert_eq!(client.say(&bytes), []);
    client.serves(3);
}

// 7 and 5.4.2: An error code that nobody knows is as good as any other.
#[test]
fn unknown_error_codes_are_error_codes() {
    let mut client = Client::new();
    let bytes = client.wire.post(1);
    client.ignores(&bytes);
    client.ignores(&reset(1, ErrorCode(0xdead_beef)));
    client.serves(3);
}

// 5.1.1: With the first use of a number all lower ones that were idle are closed.
#[test]
fn numbers_that_were_passed_over_are_closed() {
    let mut client = Client::new();
    client.serves(5);
    client.ends_with(&data(3, true, b"x"), ErrorCode::STREAM_CLOSED);
}

// 5.1, closed: DATA that came too late counts against the connection's window all the same, and is given back: other streams
// must not starve by it.
#[test]
fn late_data_is_counted_and_given_back() {
    let mut client = Client::new();
    let mut bytes = client.wire.post(1);
    bytes.extend(window_update(1, 0));
    client.resets(1, &bytes, ErrorCode::PROTOCOL_ERROR);
    let mut sent = 0;
    let (all, piece) = (4 * client.window, data(1, false, &[0; 16_384]));
    while sent < all {
        assert!(client.window >= 2 * 16_384, "starved after {sent} bytes");
        client.window -= 2 * 16_384;
        let got = client.say(&piece.repeat(2));
        assert!(
            got.iter().all(|got| matches!(got, Got::WindowUpdate(0, _))),
            "{got:?}"
        );
        sent += 2 * 16_384;
    }
    client.serves(3);
}

// 5.1, closed: frames that were on their way when we sent RST_STREAM are ignored, but count for flow control and the table.
#[test]
fn frames_behind_our_reset_are_ignored() {
    let mut client = Client::new();
    let mut bytes = client.wire.post(1);
    bytes.extend(window_update(1, 0));
    client.resets(1, &bytes, ErrorCode::PROTOCOL_ERROR);
    client.ignores(&data(1, false, b"late"));
    let bytes = client.wire.headers(1, true, &[("x-late", "1")]);
    client.ignores(&bytes);
    client.serves(3);
}

// 5.1.1: Clients give odd numbers, and each higher than all before; else it is a connection error PROTOCOL_ERROR.
#[test]
fn streams_have_odd_numbers_that_rise() {
    let mut client = Client::new();
    let bytes = client.wire.get(2);
    client.ends_with(&bytes, ErrorCode::PROTOCOL_ERROR);
    let mut client = Client::new();
    client.serves(5);
    let bytes = client.wire.get(3);
    // A lower number is a stream that was closed by that, and we say so.
    client.ends_with(&bytes, ErrorCode::STREAM_CLOSED);
}

// 5.1.2: One stream more than was announced is refused, by PROTOCOL_ERROR or REFUSED_STREAM.
#[test]
fn streams_beyond_those_announced_are_refused() {
    let mut client = Client::new();
    for number in 0..100 {
        let bytes = client.wire.post(1 + 2 * number);
        client.ignores(&bytes);
    }
    let bytes = client.wire.get(201);
    client.resets(201, &bytes, ErrorCode::REFUSED_STREAM);
    let got = client.say(&data(1, true, b""));
    assert_eq!(got[0].status(), Some("200"));
    client.serves(203);
}

// 5.3.1 of RFC 7540: a stream cannot depend on itself.
#[test]
fn a_stream_does_not_depend_on_itself() {
    let mut client = Client::new();
    let bytes = client.wire.post(1);
    client.ignores(&bytes);
    let bytes = wire::frame(Kind::PRIORITY, 0, 1, &[0, 0, 0, 1, 16]);
    client.resets(1, &bytes, ErrorCode::PROTOCOL_ERROR);
    let mut client = Client::new();
    let bytes = wire::frame(Kind::HEADERS, 0x25, 1, &[0, 0, 0, 1, 16, 0x82]);
    client.ends_with(&bytes, ErrorCode::PROTOCOL_ERROR);
}

// 5.3.2: Priorities of RFC 7540 are read and change nothing, in HEADERS too.
#[test]
fn old_priorities_change_nothing() {
    let mut client = Client::new();
    let mut payload = vec![0x80, 0, 0, 9, 255];
    payload.extend(client.wire.block(&wire::request("GET", "/")));
    let got = client.say(&wire::frame(Kind::HEADERS, 0x25, 1, &payload));
    assert_eq!(got[0].status(), Some("200"), "{got:?}");
}

// 5.2.1: Windows begin with 65,535 bytes, of each stream and of the connection, and only WINDOW_UPDATE on stream 0 widens the
// latter.
#[test]
fn the_connections_window_holds_for_all_streams_together() {
    let mut client = Client::new();
    client.say(&settings(&[(Id::INITIAL_WINDOW_SIZE, 1 << 20)]));
    let bytes = [1, 3]
        .map(|stream| {
            client
                .wire
                .headers(stream, true, &wire::request("GET", "/large"))
        })
        .concat();
    let count = |got: &[Got]| content(got, 1).len() + content(got, 3).len();
    let got = client.say(&bytes);
    assert_eq!(count(&got), 65_535);
    assert_eq!(client.say(&window_update(1, 1 << 20)), []);
    let got = client.say(&window_update(0, 4_465));
    assert_eq!(count(&got), 4_465);
    let got = client.say(&window_update(0, 1 << 20));
    assert_eq!(count(&got), 2 * LARGE_BYTES - 70_000);
}

// 5.4.2: RST_STREAM is not answered by RST_STREAM.
#[test]
fn a_reset_is_not_answered_by_a_reset() {
    let mut client = Client::new();
    let bytes = client.wire.post(1);
    client.ignores(&bytes);
    client.ignores(&reset(1, ErrorCode::CANCEL));
    client.ignores(&reset(1, ErrorCode::CANCEL));
}

// 5.2.1: Flow control is about DATA only: a head goes out with a window of nothing.
#[test]
fn heads_need_no_window() {
    let mut client = Client::new();
    client.say(&settings(&[(Id::INITIAL_WINDOW_SIZE, 0)]));
    let bytes = client.wire.get(1);
    let got = client.say(&bytes);
    assert!(
        matches!(&got[..], [Got::Headers { end: false, .. }]),
        "{got:?}"
    );
}
