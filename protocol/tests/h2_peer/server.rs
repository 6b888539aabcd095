//! Our half with an app on it that answers as planned, as soon as a request is whole.

use crate::exchange::{End, Exchange, Lines, content};
use crate::wire::Wire;
use lanner_limits::{Limits, Machine, Moment};
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::{Connection, Event, StreamKey};
use lanner_protocol::{BodyLength, Fate, Fields, Head, Output, ResponseHead, Status, Turn};
use std::rc::Rc;

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// What came of a request.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) fields: Lines,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Lines,
    pub(crate) is_whole: bool,
}

/// A stream that is being answered.
struct Open {
    stream: StreamKey,
    plan: usize,
    /// Pieces of the answer that are sent; none before the request is whole.
    sent: Option<usize>,
    has_begun: bool,
}

pub(crate) struct Server {
    connection: Connection,
    output: Output,
    input: Vec<u8>,
    head: Head,
    text: Vec<u8>,
    plans: Vec<Exchange>,
    open: Vec<Open>,
    pub(crate) received: Vec<Received>,
}

impl Server {
    pub(crate) fn new(plans: &[Exchange], change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::for_machine(Machine {
            nofile: 65_536,
            memory: 1 << 30,
            cpus: 1,
        });
        change(&mut limits);
        Self {
            connection: Connection::new(Rc::new(limits), Moment::ZERO, 0),
            output: Output::new(),
            input: Vec::new(),
            head: Head::default(),
            text: Vec::new(),
            plans: plans.to_vec(),
            open: Vec::new(),
            received: plans.iter().map(|_| Received::default()).collect(),
        }
    }

    /// Reads some, works, and writes some.
    pub(crate) fn turn(&mut self, wire: &Wire) {
        {
            let mut queues = wire.0.borrow_mut();
            let there = queues.to_server.len();
            let count = if there == 0 { 0 } else { queues.cut(there) };
            self.input.extend(queues.to_server.drain(..count));
        }
        let mut output = std::mem::take(&mut self.output);
        loop {
            let mut turn = turn(&mut output);
            let step = self
                .connection
                .poll(&mut turn, &self.input, &mut self.head, &mut self.text);
            let goes_on = self.handle(&mut turn, step.event);
            self.input.drain(..step.consumed);
            if !goes_on {
                break;
            }
        }
        loop {
            self.answer(&mut output);
            self.connection.flush(&mut turn(&mut output));
            if self.connection.take_resumed().is_none() {
                break;
            }
        }
        let mut queues = wire.0.borrow_mut();
        let bytes = output.slices().collect::<Vec<_>>().concat();
        let taken = if bytes.is_empty() {
            0
        } else {
            queues.cut(bytes.len())
        };
        queues.to_client.extend_from_slice(&bytes[..taken]);
        output.advance(taken);
        self.connection
            .handle_output(Moment::ZERO, bytes.len(), output.len());
        self.output = output;
        assert_eq!(
            self.connection.fate(),
            Fate::Open,
            "{:?}",
            self.connection.end_reason()
        );
    }

    fn handle(&mut self, turn: &mut Turn<'_>, event: Event) -> bool {
        match event {
            Event::More | Event::Held | Event::Closing => return false,
            Event::Request { stream, body } => {
                let mut lines = self.lines();
                let at = lines.iter().position(|(name, _)| name == "x-plan");
                let (_, plan) = lines.swap_remove(at.expect("every request says which it is"));
                let plan: usize = String::from_utf8(plan).unwrap().parse().unwrap();
                let received = &mut self.received[plan];
                assert_eq!(received.line, "", "each comes once");
                let method = self.head.method_span.str(&self.text);
                let target = self.head.target.whole.str(&self.text);
                received.line = format!("{method} {target}");
                assert_eq!(self.head.host.str(&self.text), "example.com");
                received.fields = lines;
                received.is_whole = !body;
                let sent = (!body).then_some(0);
                self.open.push(Open {
                    stream,
                    plan,
                    sent,
                    has_begun: false,
                });
                if body {
                    self.connection.want_body(stream, turn);
                }
            }
            Event::Data { stream, at, last } => {
                let count = at.len();
                let bytes = self.input[at].to_vec();
                if let Some(open) = self.open.iter_mut().find(|open| open.stream == stream) {
                    let received = &mut self.received[open.plan];
                    received.body.extend_from_slice(&bytes);
                    if last {
                        received.is_whole = true;
                        open.sent = Some(0);
                    }
                }
                self.connection.consumed(stream, turn, count);
            }
            Event::End { stream, trailers } => {
                let lines = if trailers { self.lines() } else { Lines::new() };
                if let Some(open) = self.open.iter_mut().find(|open| open.stream == stream) {
                    let received = &mut self.received[open.plan];
                    (received.trailers, received.is_whole) = (lines, true);
                    open.sent = Some(0);
                }
            }
            Event::Reset { stream, .. } => {
                self.open.retain(|open| open.stream != stream);
                self.connection.release(stream, turn);
            }
            Event::BodyFailed { .. } | Event::Refused { .. } => panic!("{event:?}"),
        }
        true
    }

    fn lines(&self) -> Lines {
        self.head
            .iter(&self.text)
            .map(|(name, value)| (name.to_owned(), value.to_vec()))
            .collect()
    }

    /// Sends what there is room for.
    fn answer(&mut self, output: &mut Output) {
        let mut open = std::mem::take(&mut self.open);
        open.retain_mut(|open| !self.advance(open, output));
        self.open = open;
    }

    /// True when the exchange is over.
    fn advance(&mut self, open: &mut Open, output: &mut Output) -> bool {
        let Some(sent) = &mut open.sent else {
            return false;
        };
        let plan = &self.plans[open.plan];
        let (stream, mut turn) = (open.stream, turn(output));
        if !std::mem::replace(&mut open.has_begun, true) {
            let fields = fields(&plan.answer_fields);
            let head = ResponseHead {
                status: Status::new(plan.status).unwrap(),
                fields: &fields,
                length: match plan.announced {
                    true => BodyLength::Known(plan.answer.iter().sum::<usize>() as u64),
                    false => BodyLength::Unknown,
                },
            };
            let responded = self.connection.respond(stream, &mut turn, &head, true);
            responded.unwrap();
        }
        let whole = content(&plan.answer);
        while let Some(piece) = plan.answer.get(*sent) {
            if !self.connection.accepts_body(stream, &turn) {
                return false;
            }
            let begin: usize = plan.answer[..*sent].iter().sum();
            let bytes = bytes::Bytes::copy_from_slice(&whole[begin..begin + piece]);
            self.connection.send(stream, &mut turn, bytes).unwrap();
            *sent += 1;
        }
        if plan.end == End::AppGivesUp {
            self.connection
                .reset(stream, &mut turn, ErrorCode::INTERNAL_ERROR);
        } else {
            let trailers = fields(&plan.answer_trailers);
            let finished = self.connection.finish(stream, &mut turn, Some(&trailers));
            finished.unwrap();
        }
        true
    }
}

fn turn(output: &mut Output) -> Turn<'_> {
    Turn {
        now: Moment::ZERO,
        output,
        date: DATE,
    }
}

fn fields(lines: &Lines) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in lines {
        fields.append(name, value).unwrap();
    }
    fields
}
