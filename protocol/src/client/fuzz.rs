//! One entry for each version, for fuzzers and for the tests with random bytes: everything that must hold whatever a server
//! sends.

use super::http1::{self, Event};
use super::http2;
use super::{Request, Response, Turn};
use crate::fields::Fields;
use crate::h2::frame::{self, Frame, FrameHeader};
use crate::output::Output;
use crate::response::BodyLength;
use bytes::Bytes;
use lanner_limits::{Limits, Machine, Moment};
use std::rc::Rc;

fn limits() -> Rc<Limits> {
    let mut limits = Limits::for_machine(Machine {
        nofile: 65_536,
        memory: 1 << 30,
        cpus: 1,
    });
    limits.max_header_bytes = 2_048;
    limits.max_header_count = 20;
    limits.max_request_line = 256;
    Rc::new(limits)
}

/// Takes the first bytes for what is asked and how the rest is split, and the rest for what a server of HTTP/1.1 answers.
///
/// # Panics
/// If a bound does not hold, a range does not lie in the input, or a response is not accounted for.
pub fn fuzz_http1(bytes: &[u8]) {
    let Some((&[asked, split], rest)) = bytes.split_first_chunk() else {
        return;
    };
    let limits = limits();
    let mut connection = http1::Connection::new(Rc::clone(&limits));
    let mut output = Output::new();
    let mut response = Response::default();
    let mut turn = Turn {
        now: Moment::ZERO,
        output: &mut output,
    };
    let fields = Fields::new();
    for place in 0..=asked % 5 {
        let method: &[u8] = match (asked >> place) % 4 {
            0 => b"HEAD",
            1 => b"POST",
            _ => b"GET",
        };
        let request = Request {
            upgrade: (asked & 0x40 != 0 && method == b"GET").then_some("x"),
            body: (method == b"POST").then_some(BodyLength::Known(1)),
            ..Request::new(method, b"a", b"/", &fields)
        };
        if connection.request(&mut turn, &request).is_ok() && method == b"POST" {
            let sent = connection.send(&mut turn, Bytes::from_static(b"x"));
            assert!(sent.is_ok() && connection.finish(&mut turn, None).is_ok());
        }
    }
    let (mut input, mut finals) = (Vec::new(), 0);
    let most = limits.max_header_bytes + limits.max_request_line + 8;
    let pieces = rest.chunks(usize::from(split).max(1));
    for piece in pieces.map(Some).chain([None]) {
        match piece {
            Some(piece) => input.extend_from_slice(piece),
            None => connection.handle_eof(),
        }
        loop {
            let step = connection.poll(&mut turn, &input, &mut response);
            assert!(step.consumed <= input.len());
            let at = match &step.event {
                Event::Response { at, .. } | Event::Switched { at } => {
                    finals += 1;
                    at.clone()
                }
                Event::Informational { at }
                | Event::Data { at, .. }
                | Event::End { trailers: at } => at.clone(),
                Event::More | Event::Closed | Event::Failed(_) => 0..0,
            };
            assert!(at.end <= step.consumed);
            assert!(response.fields.len() <= limits.max_header_count);
            let place = &input[at];
            assert!(response.iter(place).count() == response.fields.len());
            input.drain(..step.consumed);
            match step.event {
                Event::More => break,
                Event::Closed | Event::Failed(_) => {
                    assert!(connection.is_over() && !connection.may_request());
                    assert!(connection.deadline().is_none() && input.is_empty());
                    break;
                }
                _ => {}
            }
        }
        assert!(input.len() <= most, "{} bytes are held", input.len());
        assert!(finals + connection.unanswered() as u64 == connection.requests());
    }
    assert!(connection.is_over());
}

/// Takes the first bytes for what is asked and how the rest is split, and the rest for the frames of a server of HTTP/2. Where
/// the third byte is odd, what a server begins with comes before them.
///
/// # Panics
/// If a bound does not hold, a stream is not accounted for, or what the client sends is no sequence of frames.
pub fn fuzz_http2(bytes: &[u8]) {
    let Some((&[asked, split, greets], rest)) = bytes.split_first_chunk() else {
        return;
    };
    let limits = limits();
    let mut connection = http2::Connection::new(Rc::clone(&limits), Moment::ZERO);
    let (mut output, mut response, mut text) = (Output::new(), Response::default(), Vec::new());
    let mut turn = Turn {
        now: Moment::ZERO,
        output: &mut output,
    };
    let fields = Fields::new();
    let mut open = Vec::new();
    for place in 0..=asked % 5 {
        let method: &[u8] = match (asked >> place) % 4 {
            0 => b"HEAD",
            1 => b"POST",
            _ => b"GET",
        };
        let request = Request {
            body: (method == b"POST").then_some(BodyLength::Unknown),
            ..Request::new(method, b"a", b"/", &fields)
        };
        if let Ok(stream) = connection.request(&mut turn, &request) {
            open.push(stream);
        }
    }
    let mut input = Vec::new();
    if greets % 2 == 1 {
        frame::encode_settings(&[], &mut input);
        frame::encode_settings_ack(&mut input);
    }
    let pieces = rest.chunks(usize::from(split).max(1));
    for piece in pieces.map(Some).chain([None]) {
        match piece {
            Some(piece) => input.extend_from_slice(piece),
            None => connection.handle_eof(),
        }
        loop {
            let step = connection.poll(&mut turn, &input, &mut response, &mut text);
            assert!(step.consumed <= input.len());
            let consumed = step.consumed;
            match step.event {
                http2::Event::Data { stream, at, .. } => {
                    assert!(at.end <= consumed && !at.is_empty());
                    connection.consumed(stream, &mut turn, at.len());
                }
                http2::Event::Response { .. } | http2::Event::Informational { .. } => {
                    assert!(response.fields.len() <= limits.max_header_count);
                    assert!(response.iter(&text).count() == response.fields.len());
                }
                http2::Event::Reset { stream, .. } => assert!(!connection.is_open(stream)),
                http2::Event::More | http2::Event::Held => {
                    input.drain(..consumed);
                    break;
                }
                http2::Event::Closed | http2::Event::Failed(_) => {
                    assert!(connection.is_over() && connection.streams() == 0);
                    assert!(connection.deadline().is_none());
                    input.clear();
                    break;
                }
                http2::Event::End { .. } | http2::Event::GoAway { .. } => {}
            }
            input.drain(..consumed);
        }
        // A frame, and another's header.
        assert!(input.len() <= limits.h2_max_frame as usize + 2 * frame::HEADER_BYTES);
        // What is blocked is no more than what is open.
        for stream in &open {
            let mut piece = Bytes::from_static(&[b'x'; 20_000]);
            let sent = connection.send(*stream, &mut turn, &mut piece, false);
            assert!(sent.is_ok() || piece.len() == 20_000);
        }
        while connection.take_resumed().is_some() {}
        let sent = turn.output.slices().collect::<Vec<_>>().concat();
        turn.output.clear();
        connection.handle_output(sent.len(), 0);
        assert_frames(sent.strip_prefix(frame::PREFACE).unwrap_or(&sent));
    }
    assert!(connection.is_over());
}

/// What the client sends is frames, as a whole, none of which is wrong by itself.
fn assert_frames(mut bytes: &[u8]) {
    while let Some((header, rest)) = bytes.split_first_chunk::<{ frame::HEADER_BYTES }>() {
        let header = FrameHeader::parse(header);
        assert_eq!(header.judge(frame::PAYLOAD_BYTES_MAX), Ok(()));
        let (payload, after) = rest.split_at(header.length as usize);
        assert!(Frame::parse(header, payload).is_ok());
        bytes = after;
    }
    assert!(bytes.is_empty());
}
