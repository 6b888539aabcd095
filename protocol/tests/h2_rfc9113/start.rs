//! Section 3 and 4: how a connection starts, and what a frame is.

use super::client::{Client, LARGE_BYTES, content};
use super::wire::{self, Got, greeting, literal, ping, settings, settings_ack, window_update};
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::frame::{self, Kind, PREFACE};
use lanner_protocol::h2::settings::Id;

// 3.4: The server's own preface is a SETTINGS frame, the first that it sends.
#[test]
fn the_server_begins_with_settings() {
    let mut client = Client::silent();
    let got = client.say(&greeting());
    assert!(matches!(got[0], Got::Settings(_)), "{got:?}");
}

// 3.4: SETTINGS in the preface are acknowledged as any others, behind the server's own preface.
#[test]
fn the_clients_first_settings_are_acknowledged_behind_the_servers_own() {
    let mut client = Client::silent();
    let got = client.say(&greeting());
    let own = got.iter().position(|got| matches!(got, Got::Settings(_)));
    let acknowledged = got.iter().position(|got| *got == Got::SettingsAck);
    assert!(own.is_some() && own < acknowledged, "{got:?}");
}

// 3.4: Something else in the preface's place is a connection error PROTOCOL_ERROR; where HTTP/1.1 is spoken too, it is that.
#[test]
fn a_wrong_preface_ends_the_connection() {
    let mut client = Client::silent();
    if !client.peer.is_only_http2() {
        client.peer.send(b"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n");
        let received = client.peer.receive();
        assert!(received.starts_with(b"HTTP/1."), "{received:?}");
        assert!(client.peer.has_closed());
        return;
    }
    client.ends_with(
        b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        ErrorCode::PROTOCOL_ERROR,
    );
    let mut client = Client::silent();
    client.ends_with(
        b"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n",
        ErrorCode::PROTOCOL_ERROR,
    );
}

// 3.4: Behind the preface come SETTINGS, and nothing before them; an acknowledgement is none.
#[test]
fn the_first_frame_is_settings() {
    for first in [ping(false, [0; 8]), settings_ack()] {
        let mut client = Client::silent();
        let bytes = [PREFACE.to_vec(), first].concat();
        client.ends_with(&bytes, ErrorCode::PROTOCOL_ERROR);
    }
}

// 3.4: A client need not wait for the server's SETTINGS before it sends requests.
#[test]
fn requests_may_come_with_the_preface() {
    let mut client = Client::silent();
    let mut bytes = greeting();
    bytes.extend(client.wire.get(1));
    let got = client.say(&bytes);
    assert!(got.iter().any(|got| got.status() == Some("200")), "{got:?}");
}

// 4.1: Frames of unknown types are ignored and discarded.
#[test]
fn unknown_frames_are_ignored() {
    let mut client = Client::new();
    for stream in [0, 1, 7] {
        client.ignores(&wire::frame(Kind(0xfa), 0xff, stream, b"whatever"));
    }
}

// 4.1: Flags that a type does not have are ignored.
#[test]
fn unknown_flags_are_ignored() {
    let mut client = Client::new();
    let payload = [1; 8];
    let got = client.say(&wire::frame(Kind::PING, 0xfe, 0, &payload));
    assert_eq!(got, [Got::Ping { ack: true, payload }]);
}

// 4.1: The reserved bit before the stream identifier is ignored.
#[test]
fn the_reserved_bit_is_ignored() {
    let mut client = Client::new();
    let mut bytes = ping(false, [2; 8]);
    bytes[5] |= 0x80;
    assert_eq!(client.say(&bytes).len(), 1);
    let mut bytes = client.wire.get(1);
    bytes[5] |= 0x80;
    assert_eq!(client.say(&bytes)[0].status(), Some("200"));
}

// 4.2: Frames of up to 2^14 bytes are taken from everybody.
#[test]
fn frames_of_the_largest_size_are_taken() {
    let mut client = Client::new();
    let mut bytes = client.wire.post(1);
    bytes.extend(wire::data(1, true, &[0; 16_384]));
    let got = client.say(&bytes);
    assert!(
        matches!(got.last(), Some(Got::Data { bytes, .. }) if bytes == b"16384"),
        "{got:?}"
    );
}

// 4.2: A frame above SETTINGS_MAX_FRAME_SIZE that can alter the state of the whole connection is a connection error
// FRAME_SIZE_ERROR; of DATA a stream error would do.
#[test]
fn frames_above_the_largest_size_are_frame_size_errors() {
    for kind in [Kind::HEADERS, Kind::SETTINGS, Kind::DATA, Kind(0xfa)] {
        let mut client = Client::new();
        let stream = if kind == Kind::SETTINGS { 0 } else { 1 };
        let announced = client.announced(Id::MAX_FRAME_SIZE);
        assert!(announced.is_none_or(|max| max == 16_384));
        client.ends_with(
            &wire::frame(kind, 0, stream, &[0; 16_386]),
            ErrorCode::FRAME_SIZE_ERROR,
        );
    }
}

// 4.2: A frame too small for what it must hold is FRAME_SIZE_ERROR.
#[test]
fn frames_too_small_are_frame_size_errors() {
    for (kind, flags, stream, payload) in [
        (Kind::PING, 0, 0, &[0; 7][..]),
        (Kind::GOAWAY, 0, 0, &[0; 7]),
        (Kind::RST_STREAM, 0, 1, &[0; 3]),
        (Kind::WINDOW_UPDATE, 0, 0, &[0; 3]),
        (Kind::SETTINGS, 0, 0, &[0; 5]),
    ] {
        let mut client = Client::new();
        client.ends_with(
            &wire::frame(kind, flags, stream, payload),
            ErrorCode::FRAME_SIZE_ERROR,
        );
    }
}

// 4.2: No frame that the server sends is longer than the client takes. Every frame of every case is held to that; here there
// is a reason for longer ones.
#[test]
fn long_content_comes_in_frames_that_the_client_takes() {
    let mut client = Client::new();
    client.say(&settings(&[(Id::INITIAL_WINDOW_SIZE, 1 << 20)]));
    client.say(&window_update(0, 1 << 20));
    let bytes = client
        .wire
        .headers(1, true, &wire::request("GET", "/large"));
    let got = client.say(&bytes);
    assert_eq!(content(&got, 1).len(), LARGE_BYTES);
}

// 4.3: A field block that cannot be decoded is a connection error COMPRESSION_ERROR.
#[test]
fn what_is_no_field_block_is_a_compression_error() {
    for block in [
        &b"\x80"[..],
        b"\xff\xff\xff\xff\xff\xff",
        b"\x40\x05ab",
        b"\xbe",
    ] {
        let mut client = Client::new();
        client.ends_with(&wire::headers(1, true, block), ErrorCode::COMPRESSION_ERROR);
    }
}

// 4.3: Blocks are decoded also where nobody wants what is in them, so that the tables stay the same.
#[test]
fn blocks_of_refused_streams_change_the_table() {
    let mut client = Client::new();
    let mut fields = wire::request("GET", "").to_vec();
    fields.push(("x-remembered", "value"));
    let bytes = client.wire.headers(1, true, &fields);
    client.resets(1, &bytes, ErrorCode::PROTOCOL_ERROR);
    let mut fields = wire::request("GET", "/").to_vec();
    fields.push(("x-remembered", "value"));
    let bytes = client.wire.headers(3, true, &fields);
    assert_eq!(client.say(&bytes)[0].status(), Some("200"));
}

// 4.3: The frames of a field block are contiguous; not even frames of unknown types come in between.
#[test]
fn nothing_comes_between_the_frames_of_a_field_block() {
    for between in [
        ping(false, [0; 8]),
        wire::frame(Kind(0xfa), 0, 0, b""),
        wire::frame(Kind::CONTINUATION, frame::END_HEADERS, 3, b""),
        wire::headers(3, true, &literal(b"x", b"1")),
        wire::data(1, false, b"x"),
    ] {
        let mut client = Client::new();
        let mut bytes = wire::frame(Kind::HEADERS, 0, 1, b"");
        bytes.extend(between);
        client.ends_with(&bytes, ErrorCode::PROTOCOL_ERROR);
    }
}

// 4.3.1: A table that the client has made smaller is announced at the beginning of the next block (RFC 7541 section 4.2: the
// smallest size that there was in between, and the last).
#[test]
fn a_smaller_table_of_the_clients_is_announced_and_kept_to() {
    let mut client = Client::new();
    client.serves(1);
    client.serves(3);
    client.say(&settings(&[(Id::HEADER_TABLE_SIZE, 0)]));
    client.serves(5);
    let heads: Vec<_> = client
        .frames
        .iter()
        .filter(|(header, _)| header.kind == Kind::HEADERS)
        .collect();
    assert_eq!(heads[0].1[0], 0x20, "an update to a table of nothing");
    // The client's decoder has emptied its table with that, and would refuse an index into it.
    client.serves(7);
}

// 4.3.1: The server's encoder may use a larger table than it began with only once it has said so, and never a larger one than
// the client allows. A decoder that allows it as much as that refuses anything else.
#[test]
fn a_larger_table_of_the_clients_is_not_used_unannounced() {
    let mut client = Client::new();
    client.say(&settings(&[(Id::HEADER_TABLE_SIZE, 65_536)]));
    for stream in 0..50 {
        client.serves(1 + 2 * stream);
    }
}

// RFC 7541 section 6.3: An update beyond what the server allows is an error of decoding, and so a COMPRESSION_ERROR.
#[test]
fn a_table_larger_than_allowed_is_a_compression_error() {
    let mut client = Client::new();
    let allowed = client.announced(Id::HEADER_TABLE_SIZE).unwrap_or(4096);
    let mut block = Vec::new();
    // 2^5-1 in the prefix, and the rest in groups of seven bits, the lowest first.
    block.push(0x3f);
    let mut rest = allowed + 1 - 31;
    while rest >= 128 {
        block.push((rest % 128) as u8 | 0x80);
        rest /= 128;
    }
    block.push(rest as u8);
    block.extend(client.wire.block(&wire::request("GET", "/")));
    client.ends_with(
        &wire::headers(1, true, &block),
        ErrorCode::COMPRESSION_ERROR,
    );
}

// 4.3.1: Behind the acknowledgement of a table that the server has made smaller, the next block begins with an update that
// keeps to it; else it is a connection error COMPRESSION_ERROR.
#[test]
fn blocks_that_ignore_a_smaller_table_are_compression_errors() {
    let small = || Client::with(|limits| limits.h2_header_table = 1_024);
    let Some(mut client) = small() else {
        return println!("skipped: not a server whose limits are ours to set");
    };
    assert_eq!(client.announced(Id::HEADER_TABLE_SIZE), Some(1_024));
    let block: Vec<u8> = wire::request("GET", "/")
        .iter()
        .flat_map(|(name, value)| literal(name.as_bytes(), value.as_bytes()))
        .collect();
    client.ends_with(
        &wire::headers(1, true, &block),
        ErrorCode::COMPRESSION_ERROR,
    );
    let mut client = small().expect("the same server");
    let block = [&[0x3f, 0xe1, 0x07][..], &block].concat();
    let got = client.say(&wire::headers(1, true, &block));
    assert_eq!(got[0].status(), Some("200"), "{got:?}");
}

// 5.4.1: GOAWAY names the last stream that was, or may have been, processed.
#[test]
fn go_away_names_the_last_stream() {
    let mut client = Client::new();
    client.serves(5);
    let got = client.say(&wire::frame(Kind::PING, 0, 1, &[0; 8]));
    assert!(matches!(got[..], [Got::GoAway { last: 5, .. }]), "{got:?}");
    // What comes behind is not looked at.
    let bytes = client.wire.get(7);
    assert_eq!(client.say(&bytes), []);
    assert!(client.peer.has_closed());
}
