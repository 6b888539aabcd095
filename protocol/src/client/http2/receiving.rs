//! What comes in, and who deals with it. Which frame is due, and what it is made of, is the reader's to say.

use super::*;
use crate::h2::frame::{Frame, FrameFault};
use crate::h2::reader::Part;
use std::ops::Range;

/// What came of looking at the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// So many bytes at the front of the input are done with. Ranges in `event` lie within them.
    pub consumed: usize,
    /// What they meant.
    pub event: Event,
}

/// What the input means so far, or what has become of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing can be said until more bytes come; those not consumed must be given again, with more behind them.
    More,
    /// The input is not wanted before more of the output has gone out.
    Held,
    /// The head of a final response, in the response and the text that were given.
    Response {
        /// Its stream.
        stream: StreamKey,
        /// Whether the response ends with it.
        last: bool,
    },
    /// An informational response, in the response and the text that were given: the final one is still to come.
    Informational {
        /// Its stream.
        stream: StreamKey,
    },
    /// A piece of a body. It counts against both windows until [`Connection::consumed`] is told of it.
    Data {
        /// Its stream.
        stream: StreamKey,
        /// Where in the input it stands.
        at: Range<usize>,
        /// Whether the response ends with it.
        last: bool,
    },
    /// The end of a body.
    End {
        /// Its stream.
        stream: StreamKey,
        /// Whether there are trailers: they are the response's fields now, in the text that was given.
        trailers: bool,
    },
    /// The stream is gone. Where the response was complete, this concerns the request's body only.
    Reset {
        /// Its stream.
        stream: StreamKey,
        /// Why.
        reason: Reset,
    },
    /// The server goes away: no request is taken any more. Streams that it has not looked at end with [`Event::Reset`]; others
    /// go on.
    GoAway {
        /// Why.
        code: ErrorCode,
    },
    /// Nothing more will come, and nothing is missing.
    Closed,
    /// The connection failed, and with it every stream that was open.
    Failed(Error),
}

/// How many bytes at the front of the input are done with, and what they meant; none where there are too few of them.
pub(super) type Taken = Option<(usize, Option<Event>)>;

impl Connection {
    /// Looks at everything received and not yet consumed, up to the next thing that it means. `response` and `text` are where
    /// heads and trailers are written to; they mean something only after the event that says so.
    pub fn poll(
        &mut self,
        turn: &mut Turn<'_>,
        input: &[u8],
        response: &mut Response,
        text: &mut Vec<u8>,
    ) -> Step {
        self.greet(turn);
        if !input.is_empty() {
            self.heard = turn.now;
        }
        let mut consumed = 0;
        loop {
            if let Some(event) = self.owed.pop_front() {
                return Step { consumed, event };
            }
            if self.over {
                let event = self.failed.map_or(Event::Closed, Event::Failed);
                let consumed = input.len();
                return Step { consumed, event };
            }
            // Whatever is looked at may call for an answer.
            if turn.output.len() >= self.limits.h2_max_send_buffer {
                let event = Event::Held;
                return Step { consumed, event };
            }
            match self.receive(turn, input, consumed, response, text) {
                Ok(Some((count, event))) => {
                    consumed += count;
                    if let Some(event) = event {
                        return Step { consumed, event };
                    }
                }
                Ok(None) if self.eof => self.end_of_input(turn),
                Ok(None) => {
                    self.await_rest(turn.now, input.len() - consumed);
                    let event = Event::More;
                    return Step { consumed, event };
                }
                Err(fault) => self.fail(turn, fault),
            }
        }
    }

    /// The rest of a frame is to come within the time that a head has, as the rest of a field block is, and as the server's first
    /// SETTINGS are.
    fn await_rest(&mut self, now: Moment, bytes: usize) {
        let partial = self.reader.awaits_rest(bytes) || !self.terms.peer.have_begun();
        if partial && self.head_due == Moment::MAX {
            self.head_due = now + self.limits.header_timeout;
        }
    }

    /// Looks at what begins at `from`.
    #[inline]
    fn receive(
        &mut self,
        turn: &mut Turn<'_>,
        input: &[u8],
        from: usize,
        response: &mut Response,
        text: &mut Vec<u8>,
    ) -> Result<Taken, Fault> {
        let rest = &input[from..];
        if self.reader.is_in_data() {
            return Ok(self.receive_data(turn, rest, from));
        }
        let have_begun = self.terms.peer.have_begun();
        let Some((part, consumed)) = self.reader.read(rest, have_begun, &mut self.flood)? else {
            return Ok(None);
        };
        let event = match part {
            Part::Block(block) => self.receive_block(turn, block, response, text)?,
            Part::BlockEnd => match self.reader.take_block() {
                Some(block) => self.receive_block(turn, block.whole(), response, text)?,
                None => None,
            },
            Part::Data(data) => self.receive_data_header(turn, data)?,
            Part::Frame(frame) => {
                self.receive_frame(turn, frame)?;
                None
            }
            Part::BlockPiece => None,
            Part::Faulty { stream, fault } => {
                self.receive_faulty(turn, stream, fault)?;
                None
            }
        };
        if !self.reader.is_in_block() {
            self.head_due = Moment::MAX;
        }
        Ok(Some((consumed, event)))
    }

    /// A frame is wrong by itself, and its stream suffers.
    #[cold]
    fn receive_faulty(
        &mut self,
        turn: &mut Turn<'_>,
        stream: u32,
        fault: FrameFault,
    ) -> Result<(), Fault> {
        match self.streams.find(stream) {
            Some(key) => self.reset_by_fault(turn, key, Reset::Frame(fault)),
            // An idle stream cannot be reset.
            None if self.is_idle(stream) => return Err(fault.into()),
            None => self.flood.control(turn.now)?,
        }
        Ok(())
    }

    #[inline]
    fn receive_frame(&mut self, turn: &mut Turn<'_>, frame: Frame<'_>) -> Result<(), Fault> {
        match frame {
            Frame::WindowUpdate { stream, increment } => {
                self.receive_window_update(turn, stream, increment)
            }
            Frame::Reset { stream, code } => self.receive_reset(turn, stream, code),
            Frame::Settings(entries) => self.receive_settings(turn, entries),
            Frame::SettingsAck => self.receive_settings_ack(turn),
            Frame::Ping { ack, payload } => self.receive_ping(turn, ack, payload),
            Frame::GoAway {
                last_stream, code, ..
            } => self.receive_go_away(turn, last_stream, code),
            Frame::Priority { .. } => Ok(self.flood.priority()?),
            Frame::PriorityUpdate { .. } => Err(Fault::PriorityUpdate),
            Frame::Unknown { .. } => Ok(self.flood.control(turn.now)?),
            // The reader has parts of their own for these.
            Frame::Headers { .. } | Frame::Continuation { .. } | Frame::Data { .. } => Ok(()),
        }
    }

    /// Whether we have not opened a stream of this number. Even numbers are the server's to give, and it may give none.
    #[inline]
    pub(super) fn is_idle(&self, stream: u32) -> bool {
        stream >= self.next_stream || stream.is_multiple_of(2)
    }
}
