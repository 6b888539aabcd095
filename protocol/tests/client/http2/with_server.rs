//! The client's half against our own server's half, in memory: random requests, bodies, answers, windows and pieces, many
//! streams at once.

use super::driver::{Driver, Seen};
use crate::http1::limits;
use bytes::Bytes;
use lanner_limits::Moment;
use lanner_protocol::client::Request;
use lanner_protocol::h2::{Connection, Event, StreamKey};
use lanner_protocol::{
    BodyLength, Fate, Fields, Head, Output, Overrides, ResponseHead, Status, Turn,
};
use proptest::prelude::*;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// One request, and the answer that it is to get.
#[derive(Clone, Debug)]
struct Exchange {
    head: bool,
    body: Option<usize>,
    body_known: bool,
    status: u16,
    answer: usize,
    answer_known: bool,
    trailer: bool,
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let size = || prop_oneof![2 => 0..50usize, 1 => 0..200_000usize];
    (
        any::<bool>(),
        prop::option::of(size()),
        any::<bool>(),
        prop::sample::select(vec![200u16, 201, 204, 304, 404, 500]),
        size(),
        any::<(bool, bool)>(),
    )
        .prop_map(
            |(head, body, body_known, status, answer, (answer_known, trailer))| Exchange {
                head: head && body.is_none(),
                body,
                body_known,
                status,
                answer,
                answer_known,
                trailer,
            },
        )
}

/// Content that tells where it was cut.
fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

struct Server {
    http: Connection,
    output: Output,
    head: Head,
    text: Vec<u8>,
    input: Vec<u8>,
    plan: Vec<Exchange>,
    /// Which of the plan a stream is, and what has come of its body.
    open: HashMap<StreamKey, (usize, Vec<u8>)>,
}

impl Server {
    fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        loop {
            let mut turn = Turn {
                now: Moment::ZERO,
                output: &mut self.output,
                date: DATE,
            };
            let step = self
                .http
                .poll(&mut turn, &self.input, &mut self.head, &mut self.text);
            let whole = match step.event {
                Event::More | Event::Held => {
                    self.input.drain(..step.consumed);
                    return;
                }
                Event::Request { stream, body } => {
                    assert!(self.http.admit(stream, &mut turn, Overrides::default()));
                    let number = self.head.target.whole.str(&self.text)[1..].parse().unwrap();
                    self.open.insert(stream, (number, Vec::new()));
                    (!body).then_some(stream)
                }
                Event::Data { stream, at, last } => {
                    let bytes = &self.input[at];
                    self.open.get_mut(&stream).unwrap().1.extend(bytes);
                    self.http.consumed(stream, &mut turn, bytes.len());
                    last.then_some(stream)
                }
                Event::End { stream, .. } => Some(stream),
                other => panic!("{other:?}"),
            };
            self.input.drain(..step.consumed);
            if let Some(stream) = whole {
                self.answer(stream);
            }
        }
    }

    fn answer(&mut self, stream: StreamKey) {
        let (number, body) = self.open.remove(&stream).unwrap();
        let planned = &self.plan[number];
        assert!(
            body == content(planned.body.unwrap_or(0)),
            "the body came through"
        );
        let mut turn = Turn {
            now: Moment::ZERO,
            output: &mut self.output,
            date: DATE,
        };
        let mut fields = Fields::new();
        fields.append("X-Number", number.to_string()).unwrap();
        let head = ResponseHead {
            status: Status::new(planned.status).unwrap(),
            fields: &fields,
            length: if planned.answer_known {
                BodyLength::Known(planned.answer as u64)
            } else {
                BodyLength::Unknown
            },
        };
        self.http.respond(stream, &mut turn, &head, true).unwrap();
        if self.http.sends_body(stream) {
            let answer = Bytes::from(content(planned.answer));
            self.http.send(stream, &mut turn, answer).unwrap();
        }
        let mut trailers = Fields::new();
        trailers.append("x-sum", "1").unwrap();
        self.http
            .finish(stream, &mut turn, planned.trailer.then_some(&trailers))
            .unwrap();
    }

    fn flush(&mut self) {
        let mut turn = Turn {
            now: Moment::ZERO,
            output: &mut self.output,
            date: DATE,
        };
        self.http.flush(&mut turn);
    }
}

/// Takes so many bytes off a queue.
fn take(output: &mut Output, bytes: usize) -> Vec<u8> {
    let mut taken = Vec::new();
    for slice in output.slices() {
        let count = slice.len().min(bytes - taken.len());
        taken.extend_from_slice(&slice[..count]);
    }
    output.advance(taken.len());
    taken
}

/// What came of one stream: status, content, whether trailers came, whether it ended.
type Came = (u16, Vec<u8>, bool, bool);

fn see(seen: Vec<Seen>, came: &mut HashMap<u32, Came>) {
    for each in seen {
        match each {
            Seen::Response { stream, status, .. } => {
                let before = came.insert(stream, (status, Vec::new(), false, false));
                assert_eq!(before, None);
            }
            Seen::Data(stream, bytes) => came.get_mut(&stream).unwrap().1.extend(bytes),
            Seen::End(stream, trailers) => {
                let came = came.get_mut(&stream).unwrap();
                (came.2, came.3) = (!trailers.is_empty(), true);
            }
            Seen::Held => {}
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_exchange_comes_through(
        plan in prop::collection::vec(exchange(), 1..12), depth in 1..6u32,
        windows in any::<[bool; 2]>(), max_frame in prop_oneof![Just(16_384u32), Just(70_000)],
        cuts in prop::collection::vec(prop_oneof![1..30usize, 1..40_000usize], 1..20),
    ) {
        let mut client = Driver::silent(|limits| {
            limits.h2_max_streams = depth;
            limits.h2_max_frame = max_frame;
            if windows[0] {
                (limits.h2_stream_window, limits.h2_conn_window) = (65_535, 65_535);
            }
        });
        let mut limits = limits();
        limits.h2_max_streams = 4;
        if windows[1] {
            (limits.h2_stream_window, limits.h2_conn_window) = (65_535, 65_535);
        }
        let mut server = Server {
            http: Connection::new(Rc::new(limits), Moment::ZERO, 0),
            output: Output::new(),
            head: Head::default(),
            text: Vec::new(),
            input: Vec::new(),
            plan: plan.clone(),
            open: HashMap::new(),
        };
        let fields = Fields::new();
        let mut cuts = cuts.iter().copied().cycle();
        let mut waiting: VecDeque<(u32, Bytes)> = VecDeque::new();
        let (mut came, mut next, mut rounds) = (HashMap::new(), 0, 0);
        while came.values().filter(|came: &&Came| came.3).count() < plan.len() {
            rounds += 1;
            prop_assert!(rounds < 1_000_000, "it comes to an end");
            // A client that has heard of the server's bound keeps to it; before, this one does not go beyond.
            if next < plan.len() && client.connection.may_request() && client.connection.streams() < 4 {
                let exchange = &plan[next];
                let path = format!("/{next}");
                let method: &[u8] = match (exchange.body, exchange.head) {
                    (Some(_), _) => b"POST",
                    (None, true) => b"HEAD",
                    (None, false) => b"GET",
                };
                let body = exchange.body.map(|bytes| match exchange.body_known {
                    true => BodyLength::Known(bytes as u64),
                    false => BodyLength::Unknown,
                });
                let request = Request { body, ..Request::new(method, b"a", path.as_bytes(), &fields) };
                let stream = client.request(&request).unwrap().id();
                prop_assert_eq!(stream as usize, 2 * next + 1);
                if request.has_body() {
                    let rest = client.send(stream, content(exchange.body.unwrap()), true).unwrap();
                    if !rest.is_empty() {
                        waiting.push_back((stream, rest));
                    }
                }
                next += 1;
            }
            while let Some(key) = client.connection.take_resumed() {
                let at = waiting.iter().position(|(stream, _)| *stream == key.id()).unwrap();
                let (stream, rest) = waiting.remove(at).unwrap();
                let rest = client.send(stream, rest, true).unwrap();
                if !rest.is_empty() {
                    waiting.push_back((stream, rest));
                }
            }
            let before = client.output.len();
            let up = take(&mut client.output, cuts.next().unwrap());
            client.connection.handle_output(before, client.output.len());
            server.receive(&up);
            server.flush();
            let queued = server.output.len();
            let down = take(&mut server.output, cuts.next().unwrap());
            server.http.handle_output(Moment::ZERO, queued, server.output.len());
            see(client.receive(&down), &mut came);
        }
        prop_assert_eq!(client.connection.streams(), 0);
        prop_assert!(!client.connection.is_over() && client.connection.may_request());
        prop_assert_eq!(server.http.fate(), Fate::Open);
        prop_assert!(waiting.is_empty() && server.open.is_empty());
        for (number, exchange) in plan.iter().enumerate() {
            let none = exchange.head || matches!(exchange.status, 204 | 304);
            let answer = content(if none { 0 } else { exchange.answer });
            let trailer = exchange.trailer && !exchange.answer_known && !none;
            let expected = (exchange.status, answer, trailer, true);
            prop_assert!(came[&(2 * number as u32 + 1)] == expected, "{number}: {exchange:?}");
        }
    }
}
