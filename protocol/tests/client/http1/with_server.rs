//! The client's half against our own server's half, in memory: random requests, bodies, answers and pieces, pipelined or not.

use super::driver::{Driver, Seen, joined, limits};
use bytes::Bytes;
use lanner_limits::Moment;
use lanner_protocol::client::Request;
use lanner_protocol::{
    BodyLength, Connection, Event, Fate, Fields, Head, Output, Overrides, ResponseHead, Status,
    Turn,
};
use proptest::prelude::*;
use std::rc::Rc;

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// One request, and the answer that it is to get.
#[derive(Clone, Debug)]
struct Exchange {
    head: bool,
    body: Option<Vec<Vec<u8>>>,
    chunked: bool,
    status: u16,
    answer: Vec<Vec<u8>>,
    known: bool,
    trailer: bool,
}

fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let piece = (
        any::<u8>(),
        prop_oneof![4 => 0..40usize, 1 => 4_000..9_000usize],
    );
    prop::collection::vec(piece.prop_map(|(byte, len)| vec![byte; len]), 0..4)
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let status = prop::sample::select(vec![200u16, 201, 204, 304, 404, 500]);
    (
        any::<bool>(),
        prop::option::of(pieces()),
        any::<bool>(),
        status,
        pieces(),
        any::<(bool, bool)>(),
    )
        .prop_map(
            |(head, body, chunked, status, answer, (known, trailer))| Exchange {
                head: head && body.is_none(),
                body,
                chunked,
                status,
                answer,
                known,
                trailer,
            },
        )
}

fn total(pieces: &[Vec<u8>]) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

/// A server that answers as planned, when it has read the whole request.
struct Server {
    http: Connection,
    output: Output,
    head: Head,
    input: Vec<u8>,
    plan: Vec<Exchange>,
    /// Which of the plan is being answered.
    at: usize,
    body: Vec<u8>,
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
            let step = if self.http.in_exchange() {
                self.http.want_body(&mut turn, self.input.len());
                self.http.poll_body(&mut turn, &self.input)
            } else {
                self.http
                    .poll_request(&mut turn, &self.input, &mut self.head)
            };
            let whole = match step.event {
                Event::More | Event::Held | Event::Closing => {
                    self.input.drain(..step.consumed);
                    return;
                }
                Event::Head { .. } => {
                    assert!(self.http.admit(&mut turn, Overrides::default()));
                    self.body.clear();
                    !self.http.body_open()
                }
                Event::Data { at, last } => {
                    self.body.extend_from_slice(&self.input[at]);
                    last
                }
                Event::End { .. } => true,
                other => panic!("{other:?}"),
            };
            self.input.drain(..step.consumed);
            if whole {
                self.answer();
            }
        }
    }

    fn answer(&mut self) {
        let planned = self.plan[self.at].clone();
        self.at += 1;
        let expected = planned.body.clone().unwrap_or_default().concat();
        assert!(self.body == expected, "the body came through");
        let mut turn = Turn {
            now: Moment::ZERO,
            output: &mut self.output,
            date: DATE,
        };
        let fields = Fields::new();
        let head = ResponseHead {
            status: Status::new(planned.status).unwrap(),
            fields: &fields,
            length: if planned.known {
                BodyLength::Known(total(&planned.answer))
            } else {
                BodyLength::Unknown
            },
        };
        self.http.respond(&mut turn, &head, true).unwrap();
        if self.http.sends_body() {
            for piece in planned.answer {
                self.http.send(&mut turn, Bytes::from(piece)).unwrap();
            }
        }
        let mut trailers = Fields::new();
        trailers.append("x-sum", "1").unwrap();
        self.http
            .finish(&mut turn, planned.trailer.then_some(&trailers))
            .unwrap();
    }
}

/// Takes so many bytes off a queue.
fn take(output: &mut Output, bytes: usize) -> Vec<u8> {
    let all = output.slices().collect::<Vec<_>>().concat();
    let taken = all[..bytes.min(all.len())].to_vec();
    output.advance(taken.len());
    taken
}

/// What the client is to see.
fn expected(plan: &[Exchange]) -> Vec<(u16, Vec<u8>, bool)> {
    let none = |exchange: &Exchange| exchange.head || matches!(exchange.status, 204 | 304);
    plan.iter()
        .map(|exchange| {
            let content = if none(exchange) {
                Vec::new()
            } else {
                exchange.answer.concat()
            };
            let trailer = exchange.trailer && !exchange.known && !none(exchange);
            (exchange.status, content, trailer)
        })
        .collect()
}

fn request<'a>(exchange: &Exchange, fields: &'a Fields) -> Request<'a> {
    let method: &[u8] = match (&exchange.body, exchange.head) {
        (Some(_), _) => b"POST",
        (None, true) => b"HEAD",
        (None, false) => b"GET",
    };
    Request {
        body: exchange.body.as_ref().map(|body| {
            if exchange.chunked {
                BodyLength::Unknown
            } else {
                BodyLength::Known(total(body))
            }
        }),
        ..Request::new(method, b"a", b"/", fields)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_exchange_comes_through(
        plan in prop::collection::vec(exchange(), 1..8), depth in 1..4usize,
        cuts in prop::collection::vec(prop_oneof![1..8usize, 1..3_000usize], 1..20),
    ) {
        let mut client = Driver::new();
        let mut server = Server {
            http: Connection::new(Rc::new(limits()), Moment::ZERO, 0),
            output: Output::new(),
            head: Head::default(),
            input: Vec::new(),
            plan: plan.clone(),
            at: 0,
            body: Vec::new(),
        };
        let fields = Fields::new();
        let mut cuts = cuts.iter().copied().cycle();
        let (mut seen, mut next, mut rounds) = (Vec::new(), 0, 0);
        while client.connection.responses() < plan.len() as u64 {
            rounds += 1;
            prop_assert!(rounds < 100_000, "it comes to an end");
            if next < plan.len() && client.connection.unanswered() < depth && client.connection.may_request() {
                let exchange = &plan[next];
                client.request(&request(exchange, &fields)).unwrap();
                for piece in exchange.body.iter().flatten() {
                    if client.connection.sends_body() {
                        client.turn(|connection, turn| connection.send(turn, piece.clone().into())).unwrap();
                    }
                }
                client.turn(|connection, turn| connection.finish(turn, None)).unwrap();
                next += 1;
            }
            let up = take(&mut client.output, cuts.next().unwrap());
            server.receive(&up);
            let queued = server.output.len();
            let down = take(&mut server.output, cuts.next().unwrap());
            server.http.handle_output(Moment::ZERO, queued, server.output.len());
            seen.extend(client.receive(&down));
        }
        prop_assert!(client.connection.is_reusable());
        prop_assert_eq!(server.http.fate(), Fate::Open);
        let mut came = Vec::new();
        for each in joined(seen) {
            match each {
                Seen::Response { status, .. } => came.push((status, Vec::new(), false)),
                Seen::Data(bytes) => came.last_mut().unwrap().1 = bytes,
                Seen::End(trailers) => came.last_mut().unwrap().2 = !trailers.is_empty(),
                other => prop_assert!(false, "{other:?}"),
            }
        }
        prop_assert!(came == expected(&plan));
    }
}
