//! One entry for each version, for fuzzers and for the tests with random bytes: everything that must hold whatever a server
//! sends.

use super::http1::{self, Event};
use super::{Request, Response, Turn};
use crate::fields::Fields;
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
