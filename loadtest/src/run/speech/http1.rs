//! HTTP/1.1: calls are answered in the order in which they were sent.

use std::collections::VecDeque;
use std::rc::Rc;

use lanner_limits::Limits;
use lanner_protocol::client::http1::{Connection, Event};

use super::{Ask, Call, Ears, Heard, News, ONLY_INTERIM, State, Trouble, Turn};
use crate::run::trouble::Kind;

#[derive(Debug)]
pub(in crate::run) struct Http1 {
    pub(super) connection: Connection,
    calls: VecDeque<Call>,
    pipeline: usize,
    /// Once it is full, the next calls are sent together when all are answered, as wrk does it: refilled one by one, a server
    /// that answers one by one costs the generator a write for each request (1.5 times wrk's CPU time beside nginx). Only where
    /// the connections set the pace: a call that is due waits for nothing but room.
    goes_in_batches: bool,
    /// No more may be sent before there is an answer; in batches, before all are there.
    is_full: bool,
    /// Of the answer whose body comes.
    status: u16,
    /// An interim answer came, and no other behind it.
    is_announced: bool,
}

impl Http1 {
    pub(super) fn new(limits: &Rc<Limits>, pipeline: usize, goes_in_batches: bool) -> Self {
        Self {
            connection: Connection::new(limits.clone()),
            calls: VecDeque::new(),
            pipeline,
            goes_in_batches,
            is_full: false,
            status: 0,
            is_announced: false,
        }
    }

    #[inline]
    pub(super) fn has_room(&self) -> bool {
        !self.is_full && self.connection.may_request()
    }

    #[inline]
    pub(super) fn ask(
        &mut self,
        turn: &mut Turn<'_>,
        ask: &Ask,
        call: Call,
    ) -> Result<(), Trouble> {
        let sent = self.connection.send_prepared(turn, &ask.http1);
        sent.map_err(|error| Trouble::new(Kind::Protocol, error))?;
        self.calls.push_back(call);
        self.is_full = self.calls.len() >= self.pipeline;
        Ok(())
    }

    #[inline]
    pub(super) fn hear(&mut self, turn: &mut Turn<'_>, input: &[u8], ears: &mut Ears) -> Heard {
        let (mut consumed, mut body_bytes) = (0, 0);
        let state = loop {
            let left = &input[consumed..];
            let step = self.connection.poll(turn, left, &mut ears.response);
            consumed += step.consumed;
            let is_last = match step.event {
                Event::More => break State::Open,
                Event::Informational { .. } => {
                    self.is_announced = true;
                    false
                }
                Event::Response { last, .. } => {
                    self.is_announced = false;
                    self.status = ears.response.status.code();
                    last
                }
                Event::Data { at, last } => {
                    body_bytes += at.len() as u64;
                    last
                }
                Event::End { .. } => true,
                Event::Switched { .. } => {
                    let text = "the server switched to another protocol, which nobody asked for";
                    break State::Failed(Trouble::new(Kind::Protocol, text));
                }
                Event::Closed => break State::Closed,
                Event::Failed(error) => break State::Failed(trouble(error)),
            };
            if is_last && let Some(call) = self.calls.pop_front() {
                let status = self.status;
                ears.news.push(News::Answered { call, status });
                self.is_full &= self.goes_in_batches && !self.calls.is_empty();
            }
        };
        Heard {
            consumed,
            body_bytes,
            is_held: false,
            state,
        }
    }

    /// As `Speech::silence`.
    pub(super) fn silence(&self) -> Option<&'static str> {
        self.is_announced.then_some(ONLY_INTERIM)
    }

    pub(super) fn calls(&self) -> impl Iterator<Item = Call> {
        self.calls.iter().copied()
    }
}

fn trouble(error: lanner_protocol::client::http1::Error) -> Trouble {
    use lanner_protocol::client::http1::Error;
    let (kind, text) = match error {
        Error::Unanswered => (
            Kind::Cut,
            "the server closed the connection without an answer",
        ),
        Error::EndInHead => (Kind::Cut, "the server closed the connection within a head"),
        Error::EndInBody => (Kind::Cut, "the server closed the connection within a body"),
        Error::ConnectionReset => (
            Kind::Cut,
            "the connection broke before the answer was complete",
        ),
        Error::NotHttp => (Kind::Protocol, "what the server sent is no HTTP/1.1"),
        Error::Unsolicited => (Kind::Protocol, "the server sent more than was asked for"),
        _ => (Kind::Protocol, "the server's answer is wrong"),
    };
    Trouble::new(kind, format_args!("{text} ({error})"))
}
