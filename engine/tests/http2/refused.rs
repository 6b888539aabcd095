//! Requests that the server answers in its app's place, with a body still to come.

use crate::socket::Socket;
use lanner_limits::{Driver, UnderscoreHeaders};
use lanner_protocol::h2::frame::{
    self, END_HEADERS, END_STREAM, FrameHeader, HEADER_BYTES, Kind, PREFACE,
};
use lanner_protocol::hpack::{Bounds, Decoder, TABLE_BYTES_INITIAL};

/// A frame, written by hand.
fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind.0, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// POST without its body.
fn post(stream: u32, path: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86, 0x04, path.len() as u8];
    block.extend(path.as_bytes());
    block.extend([0x01, 1, b'a']);
    frame(Kind::HEADERS, END_HEADERS, stream, &block)
}

/// How many streams `received` ended.
fn ended(mut received: &[u8]) -> usize {
    let mut count = 0;
    while let Some((header, rest)) = received.split_first_chunk::<HEADER_BYTES>() {
        let header = FrameHeader::parse(header);
        let ends = [Kind::HEADERS, Kind::DATA].contains(&header.kind) && header.has(END_STREAM);
        count += usize::from(ends);
        received = &rest[header.length as usize..];
    }
    count
}

/// A slot that was not given back would be another stream's before its own is over, which a debug build does not survive.
#[test]
fn one_too_many_is_over_before_its_body_is() {
    for driver in [Driver::Epoll, Driver::Uring] {
        let Some(mut socket) = Socket::to_one_with(driver, |limits| limits.max_inflight = Some(1))
        else {
            return;
        };
        socket.send(PREFACE);
        socket.send(&frame(Kind::SETTINGS, 0, 0, &[]));
        socket.send(&frame(Kind::SETTINGS, frame::ACK, 0, &[]));
        socket.send(&post(1, "/hold"));
        assert_eq!(ended(&socket.receive()), 0);
        for round in 0..20 {
            let streams = (0..50).map(|number| 3 + 2 * (50 * round + number));
            let mut bytes = Vec::new();
            for stream in streams {
                bytes.extend(post(stream, "/"));
                bytes.extend(frame(Kind::DATA, END_STREAM, stream, b"a body"));
            }
            socket.send(&bytes);
            assert_eq!(ended(&socket.receive()), 50);
        }
    }
}

/// GET for a path that is too long, which takes one step of a turn where others take two.
fn too_long(stream: u32) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x04, 0x7f, 237, 63];
    block.extend([b'/'; 127 + 63 * 128 + 109]);
    block.extend([0x01, 1, b'a']);
    frame(Kind::HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

/// As above, wherever between the steps of a request its connection has had its share of the turn.
#[test]
fn one_too_many_is_over_even_where_the_turn_is() {
    for driver in [Driver::Epoll, Driver::Uring] {
        let Some(mut socket) = Socket::to_one_with(driver, |limits| {
            limits.max_inflight = Some(1);
            // More of them come at once than their clients are allowed.
            limits.h2_reset_burst = 100_000;
        }) else {
            return;
        };
        socket.send(PREFACE);
        socket.send(&frame(Kind::SETTINGS, 0, 0, &[]));
        socket.send(&frame(Kind::SETTINGS, frame::ACK, 0, &[]));
        socket.send(&post(1, "/hold"));
        assert_eq!(ended(&socket.receive()), 0);
        let mut stream = 1;
        for round in 0..8 {
            let mut bytes = Vec::new();
            for number in 0..90 + round {
                stream += 2;
                if number < round {
                    bytes.extend(too_long(stream));
                } else {
                    let get = [0x82, 0x86, 0x84, 0x01, 1, b'a'];
                    bytes.extend(frame(Kind::HEADERS, END_HEADERS | END_STREAM, stream, &get));
                }
            }
            socket.send(&bytes);
            assert_eq!(ended(&socket.receive()), 90 + round);
        }
    }
}

/// As over HTTP/1.1, what is wrong with a request's trailers is said, where its app has not begun to answer.
#[test]
fn trailers_that_are_refused_are_answered_with_400() {
    let reject = |limits: &mut lanner::Limits| {
        limits.underscore_headers = UnderscoreHeaders::Reject;
    };
    for (name, status) in [(b"x_a", 400), (b"x-a", 200)] {
        let Some(mut socket) = Socket::to_one_with(Driver::Epoll, reject) else {
            return;
        };
        socket.send(PREFACE);
        socket.send(&frame(Kind::SETTINGS, 0, 0, &[]));
        socket.send(&frame(Kind::SETTINGS, frame::ACK, 0, &[]));
        socket.send(&post(1, "/"));
        socket.send(&frame(Kind::DATA, 0, 1, b"a body"));
        assert_eq!(ended(&socket.receive()), 0, "its app waits for the rest");
        let mut trailers = vec![0, 3];
        trailers.extend(name);
        trailers.extend([1, b'1']);
        let flags = END_HEADERS | END_STREAM;
        socket.send(&frame(Kind::HEADERS, flags, 1, &trailers));
        assert_eq!(answered(&socket.receive()), [status]);
    }
}

/// The statuses in `received`.
fn answered(mut received: &[u8]) -> Vec<u16> {
    let mut decoder = Decoder::new(TABLE_BYTES_INITIAL);
    let mut statuses = Vec::new();
    let bounds = Bounds {
        list_bytes_max: u32::MAX,
        field_bytes_max: u32::MAX,
        fields_max: u32::MAX,
    };
    while let Some((header, rest)) = received.split_first_chunk::<HEADER_BYTES>() {
        let header = FrameHeader::parse(header);
        let (payload, rest) = rest.split_at(header.length as usize);
        if header.kind == Kind::HEADERS {
            let decoded = decoder.decode(payload, &bounds, &mut Vec::new(), |field, text| {
                if field.span.name.slice(text) == b":status" {
                    statuses.push(field.span.value.str(text).parse().unwrap());
                }
            });
            decoded.unwrap();
        }
        received = rest;
    }
    statuses
}
