//! What comes in, frame by frame: which of them is due, and who deals with it.
//!
//! A frame is looked at when it is there as a whole, but for DATA, which is handed on as it comes.

use super::*;
use crate::h2::frame::{Frame, FrameFault, FrameHeader, HEADER_BYTES, Kind, Scope};
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

/// What a look at the front of the input gave.
pub(super) enum Taken {
    /// There is too little of it.
    None,
    /// So many bytes are done with.
    Bytes(usize),
    /// The same, and they meant this. Ranges count from where the look began.
    Event(usize, Event),
}

impl Taken {
    #[inline]
    fn with(consumed: usize, event: Option<Event>) -> Self {
        match event {
            Some(event) => Self::Event(consumed, event),
            None => Self::Bytes(consumed),
        }
    }
}

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
            match self.receive(turn, &input[consumed..], response, text) {
                Ok(Taken::Bytes(count)) => consumed += count,
                Ok(Taken::Event(count, event)) => {
                    let event = behind(event, consumed);
                    consumed += count;
                    return Step { consumed, event };
                }
                Ok(Taken::None) if self.eof => self.end_of_input(turn),
                Ok(Taken::None) => {
                    self.await_rest(turn.now, input.len() - consumed);
                    let event = Event::More;
                    return Step { consumed, event };
                }
                Err(error) => self.fail(turn, error),
            }
        }
    }

    /// The rest of a frame is to come within the time that a head has, as the rest of a field block is, and as the server's first
    /// SETTINGS are.
    fn await_rest(&mut self, now: Moment, bytes: usize) {
        let partial = match self.input {
            Input::Frame => bytes > 0 || self.block.is_some() || !self.peer.have_begun(),
            Input::Data(_) => false,
        };
        if partial && self.head_due == Moment::MAX {
            self.head_due = now + self.limits.header_timeout;
        }
    }

    #[inline]
    fn receive(
        &mut self,
        turn: &mut Turn<'_>,
        input: &[u8],
        response: &mut Response,
        text: &mut Vec<u8>,
    ) -> Result<Taken, Error> {
        if let Input::Data(frame) = self.input {
            return Ok(self.receive_data(turn, frame, input));
        }
        let Some((header, rest)) = input.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(Taken::None);
        };
        let header = FrameHeader::parse(header);
        self.judge_turn(header)?;
        if let Err(fault) = header.judge(self.limits.h2_max_frame) {
            return self.receive_faulty(turn, header, rest, fault);
        }
        if header.kind == Kind::DATA {
            return self.receive_data_header(turn, header, rest);
        }
        let Some(payload) = rest.get(..header.length as usize) else {
            return Ok(Taken::None);
        };
        let event = match Frame::parse(header, payload) {
            Ok(frame) => self.receive_whole(turn, frame, response, text)?,
            Err(fault) => {
                self.stream_fault(turn, header.stream, fault)?;
                None
            }
        };
        if self.block.is_none() {
            self.head_due = Moment::MAX;
        }
        Ok(Taken::with(HEADER_BYTES + payload.len(), event))
    }

    /// Section 3.4: SETTINGS come first. Section 4.3: nothing comes between the frames of a field block.
    #[inline]
    fn judge_turn(&self, header: FrameHeader) -> Result<(), Error> {
        if let Some(block) = &self.block {
            let is_more = header.kind == Kind::CONTINUATION && header.stream == block.stream;
            return if is_more {
                Ok(())
            } else {
                Err(Error::FieldBlock)
            };
        }
        if !self.peer.have_begun() && (header.kind != Kind::SETTINGS || header.has(frame::ACK)) {
            return Err(Error::FirstFrame);
        }
        Ok(())
    }

    /// A frame whose header shows that it is wrong. Where only its stream suffers, its payload is passed over.
    #[cold]
    fn receive_faulty(
        &mut self,
        turn: &mut Turn<'_>,
        header: FrameHeader,
        rest: &[u8],
        fault: FrameFault,
    ) -> Result<Taken, Error> {
        if fault.answer().1 == Scope::Stream && rest.len() < header.length as usize {
            return Ok(Taken::None);
        }
        self.stream_fault(turn, header.stream, fault)?;
        Ok(Taken::Bytes(HEADER_BYTES + header.length as usize))
    }

    /// A frame is wrong by itself.
    #[cold]
    fn stream_fault(
        &mut self,
        turn: &mut Turn<'_>,
        stream: u32,
        fault: FrameFault,
    ) -> Result<(), Error> {
        if fault.answer().1 == Scope::Connection {
            return Err(fault.into());
        }
        match self.streams.find(stream) {
            Some(key) => self.reset_by_fault(turn, key, Reset::Frame(fault)),
            // An idle stream cannot be reset.
            None if self.is_idle(stream) => return Err(fault.into()),
            None => self.flood.control(turn.now)?,
        }
        Ok(())
    }

    #[inline]
    fn receive_whole(
        &mut self,
        turn: &mut Turn<'_>,
        frame: Frame<'_>,
        response: &mut Response,
        text: &mut Vec<u8>,
    ) -> Result<Option<Event>, Error> {
        match frame {
            Frame::Headers {
                stream,
                end_stream,
                end_headers,
                fragment,
                ..
            } => {
                self.flood.field_block();
                if end_headers {
                    return self.receive_block(turn, stream, end_stream, fragment, response, text);
                }
                self.begin_block(turn.now, stream, end_stream, fragment)?;
            }
            Frame::Continuation {
                end_headers,
                fragment,
                ..
            } => return self.continue_block(turn, end_headers, fragment, response, text),
            Frame::WindowUpdate { stream, increment } => {
                self.receive_window_update(turn, stream, increment)?;
            }
            Frame::Reset { stream, code } => self.receive_reset(turn, stream, code)?,
            Frame::Settings(entries) => self.receive_settings(turn, entries)?,
            Frame::SettingsAck => self.receive_settings_ack(turn)?,
            Frame::Ping { ack, payload } => self.receive_ping(turn, ack, payload)?,
            Frame::GoAway {
                last_stream, code, ..
            } => self.receive_go_away(turn, last_stream, code)?,
            Frame::Priority { .. } => self.flood.priority()?,
            Frame::PriorityUpdate { .. } => return Err(Error::PriorityUpdate),
            Frame::Unknown { .. } => self.flood.control(turn.now)?,
            // Handed on as it comes, long before this.
            Frame::Data { .. } => {}
        }
        Ok(None)
    }

    /// Whether we have not opened a stream of this number. Even numbers are the server's to give, and it may give none.
    #[inline]
    pub(super) fn is_idle(&self, stream: u32) -> bool {
        stream >= self.next_stream || stream.is_multiple_of(2)
    }
}

/// The same event seen from `by` bytes earlier in the input.
#[inline]
fn behind(event: Event, by: usize) -> Event {
    match event {
        Event::Data { stream, at, last } => Event::Data {
            stream,
            at: at.start + by..at.end + by,
            last,
        },
        event => event,
    }
}
