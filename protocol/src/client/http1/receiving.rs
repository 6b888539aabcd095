//! What comes in: heads, bodies, the end of the server's side.

use super::head::{self, Asked, HeadScan};
use super::{Connection, Error, Receive, Transmit, Turn};
use crate::chunked::{ChunkedDecoder, parse_trailers};
use crate::client::{Body, INFORMATIONAL_MAX, Response};
use crate::receive::{BodyDecoder, Decoded};
use crate::scan::LEADING_EMPTY_LINES_MAX;
use crate::status::Status;
use std::ops::Range;

/// What came of looking at the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// So many bytes at the front of the input are done with. Ranges in `event` lie within them.
    pub consumed: usize,
    /// What they meant.
    pub event: Event,
}

/// What the input means so far. Ranges are positions in the input that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing can be said until more bytes come; those not consumed must be given again, with more behind them.
    More,
    /// The head of the final response to the first request that has none.
    Response {
        /// Where it stands: what the response's spans are relative to.
        at: Range<usize>,
        /// Whether the response ends with it.
        last: bool,
    },
    /// An informational response (RFC 9110 section 15.2): the final one is still to come.
    Informational {
        /// Where it stands.
        at: Range<usize>,
    },
    /// The server has switched to the protocol that it was offered, or connected a CONNECT: what follows is [`Event::Data`] until
    /// the server closes, and [`Connection::send`] sends what goes the other way.
    Switched {
        /// Where the head stands.
        at: Range<usize>,
    },
    /// A piece of the body.
    Data {
        /// Where it stands.
        at: Range<usize>,
        /// Whether the response ends with it.
        last: bool,
    },
    /// The end of the body.
    End {
        /// Where the trailers stand; they are the response's fields now, whose spans are relative to this. Empty if there are
        /// none.
        trailers: Range<usize>,
    },
    /// Nothing more will come, and nothing is missing but what [`Connection::unanswered`] tells.
    Closed,
    /// The connection failed, and with it the response under way.
    Failed(Error),
}

impl Step {
    const fn new(consumed: usize, event: Event) -> Self {
        Self { consumed, event }
    }
}

impl Connection {
    /// Looks at everything received and not yet consumed, up to the next thing that it means. `response` is where heads and
    /// trailers are parsed to; it means something only after the event that says so.
    #[inline]
    pub fn poll(&mut self, turn: &mut Turn<'_>, input: &[u8], response: &mut Response) -> Step {
        let step = match &mut self.receive {
            Receive::Head(_) => self.receive_head(turn, input, response),
            Receive::Body(_) => self.receive_body(turn, input, response),
            Receive::UntilClose | Receive::Tunnel => Ok(self.receive_rest(input)),
            Receive::Over => Ok(self.receive_nothing(input)),
        };
        step.unwrap_or_else(|error| {
            self.fail(error);
            self.receive_nothing(input)
        })
    }

    #[cold]
    fn receive_nothing(&self, input: &[u8]) -> Step {
        let event = self.failed.map_or(Event::Closed, Event::Failed);
        Step::new(input.len(), event)
    }

    #[inline]
    fn receive_head(
        &mut self,
        turn: &mut Turn<'_>,
        input: &[u8],
        response: &mut Response,
    ) -> Result<Step, Error> {
        let Some(&asked) = self.in_flight.front() else {
            return self.receive_unasked(input);
        };
        let Receive::Head(scan) = &mut self.receive else {
            return Ok(Step::new(0, Event::More));
        };
        if let Some(front) = scan.first_look(input, &self.limits)
            && let Some(len) = head::parse_front(response, front, asked, &self.limits)?
        {
            return self.take_head(asked, 0..len, response);
        }
        match scan.advance(input, &self.limits)? {
            Some(at) => {
                head::parse(response, &input[at.clone()], asked, &self.limits)?;
                self.take_head(asked, at, response)
            }
            None if self.eof && input.iter().all(|byte| matches!(byte, b'\r' | b'\n')) => {
                Err(Error::Unanswered)
            }
            None if self.eof => Err(Error::EndInHead),
            None => {
                if self.head_due.is_none() && !input.is_empty() {
                    self.head_due = Some(turn.now + self.limits.header_timeout);
                }
                Ok(Step::new(0, Event::More))
            }
        }
    }

    /// Section 9.2: without a request, whatever comes is no response; only empty lines are passed over.
    #[cold]
    fn receive_unasked(&mut self, input: &[u8]) -> Result<Step, Error> {
        let mut consumed = 0;
        loop {
            match &input[consumed..] {
                [] if self.eof => {
                    self.end();
                    return Ok(Step::new(consumed, Event::Closed));
                }
                [] => return Ok(Step::new(consumed, Event::More)),
                [b'\r'] if !self.eof => return Ok(Step::new(consumed, Event::More)),
                [b'\r', b'\n', ..] if self.empty_lines < LEADING_EMPTY_LINES_MAX => {
                    self.empty_lines += 1;
                    consumed += 2;
                }
                _ => return Err(Error::Unsolicited),
            }
        }
    }

    #[inline]
    fn take_head(
        &mut self,
        asked: Asked,
        at: Range<usize>,
        response: &Response,
    ) -> Result<Step, Error> {
        self.head_due = None;
        self.note_version(response.version);
        let code = response.status.code();
        let consumed = at.end;
        if code < 200 {
            return self.take_informational(asked, at, response.status);
        }
        self.in_flight.pop_front();
        if asked.connect && code < 300 {
            return Ok(self.switch(at));
        }
        self.may_switch &= !self.in_flight.is_empty();
        self.informational = 0;
        self.keeps = response.keep_alive;
        let last = response.body == Body::None;
        match response.body {
            Body::None => self.end_response(),
            Body::Length(left) => self.receive = Receive::Body(BodyDecoder::Length { left }),
            Body::Unknown => {
                self.receive = Receive::Body(BodyDecoder::Chunked(ChunkedDecoder::default()));
            }
            Body::UntilClose => self.receive = Receive::UntilClose,
        }
        Ok(Step::new(consumed, Event::Response { at, last }))
    }

    #[cold]
    fn take_informational(
        &mut self,
        asked: Asked,
        at: Range<usize>,
        status: Status,
    ) -> Result<Step, Error> {
        if status == Status::SWITCHING_PROTOCOLS {
            if !asked.upgrade {
                return Err(Error::SwitchUnasked);
            }
            self.in_flight.pop_front();
            return Ok(self.switch(at));
        }
        self.informational += 1;
        if self.informational > INFORMATIONAL_MAX {
            return Err(Error::InformationalFlood);
        }
        self.receive = Receive::Head(HeadScan::default());
        Ok(Step::new(at.end, Event::Informational { at }))
    }

    fn switch(&mut self, at: Range<usize>) -> Step {
        self.receive = Receive::Tunnel;
        self.transmit = Transmit::Tunnel;
        self.responses += 1;
        Step::new(at.end, Event::Switched { at })
    }

    #[inline]
    fn receive_body(
        &mut self,
        turn: &mut Turn<'_>,
        input: &[u8],
        response: &mut Response,
    ) -> Result<Step, Error> {
        let Receive::Body(body) = &mut self.receive else {
            return Ok(Step::new(0, Event::More));
        };
        match body.decode(input, &self.limits)? {
            Decoded::Data { consumed, at, last } => {
                if last {
                    self.end_response();
                }
                Ok(Step::new(consumed, Event::Data { at, last }))
            }
            Decoded::End { consumed, trailers } => {
                response.fields.clear();
                if !trailers.is_empty() {
                    let lines = &input[trailers.clone()];
                    parse_trailers(lines, &self.limits, &mut response.fields)?;
                }
                self.head_due = None;
                self.end_response();
                Ok(Step::new(consumed, Event::End { trailers }))
            }
            Decoded::More { .. } if self.eof => Err(Error::EndInBody),
            Decoded::More { consumed } => {
                // A trailer section has the time that a head has.
                if body.in_trailers() && self.head_due.is_none() {
                    self.head_due = Some(turn.now + self.limits.header_timeout);
                }
                Ok(Step::new(consumed, Event::More))
            }
        }
    }

    /// What only the close ends: a body, or a tunnel.
    fn receive_rest(&mut self, input: &[u8]) -> Step {
        if !input.is_empty() {
            let at = 0..input.len();
            return Step::new(input.len(), Event::Data { at, last: false });
        }
        if !self.eof {
            return Step::new(0, Event::More);
        }
        if matches!(self.receive, Receive::UntilClose) {
            self.responses += 1;
        }
        self.end();
        Step::new(0, Event::End { trailers: 0..0 })
    }

    /// A response is complete. The connection goes on if neither side said that it does not, and if nothing of the request's
    /// body can get in the way of the next one's.
    #[inline]
    fn end_response(&mut self) {
        self.responses += 1;
        self.empty_lines = 0;
        // A server that answers before it has the whole body may still read it: the driver sends it, or closes.
        let goes_on = self.keeps && !(self.last && self.in_flight.is_empty());
        if goes_on {
            self.receive = Receive::Head(HeadScan::default());
        } else {
            self.end();
        }
    }
}
