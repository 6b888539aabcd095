//! What comes in, frame by frame: which of them is due, and who deals with it.
//!
//! A frame is looked at when it is there as a whole, but for DATA, which is handed on as it comes: what a client sends
//! slowly then waits in its stream, under its window, and not in front of everybody else.

use super::*;
use crate::h2::frame::{Frame, FrameFault, FrameHeader, HEADER_BYTES, Kind, PrefaceStep, Scope};

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
    /// A request, in the head and the text that were given; an answer is owed now.
    Request {
        /// Its stream.
        stream: StreamKey,
        /// Whether a body follows.
        body: bool,
    },
    /// A piece of a body. It counts against the stream's window until [`Connection::consumed`] is told of it.
    Data {
        /// Its stream.
        stream: StreamKey,
        /// Where in the input it stands.
        at: Range<usize>,
        /// Whether the body ends with it.
        last: bool,
    },
    /// The end of a body.
    End {
        /// Its stream.
        stream: StreamKey,
        /// Whether there are trailers: they are the fields of the head that was given, in the text that was given.
        trailers: bool,
    },
    /// The body cannot be received; the app's next read fails with this.
    BodyFailed {
        /// Its stream.
        stream: StreamKey,
        /// Why.
        refusal: Refusal,
    },
    /// The exchange is over on our side: the app's future is to be dropped, and [`Connection::release`] to be called when it
    /// is.
    Reset {
        /// Its stream.
        stream: StreamKey,
        /// Why.
        reason: Reset,
    },
    /// A client was told something that never came to a request: for the access log.
    Refused {
        /// What it was told.
        status: Status,
    },
    /// The connection is closing: its exchanges are to be dropped, and what comes in is thrown away.
    Closing,
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
    fn with(consumed: usize, event: Option<Event>) -> Self {
        match event {
            Some(event) => Self::Event(consumed, event),
            None => Self::Bytes(consumed),
        }
    }
}

impl Connection {
    /// Looks at everything received and not yet consumed, up to the first thing that concerns the app. `head` and `text` are
    /// where a request or trailers are written to; they mean something only after the event that says so.
    pub fn poll(
        &mut self,
        turn: &mut Turn<'_>,
        input: &[u8],
        head: &mut Head,
        text: &mut Vec<u8>,
    ) -> Step {
        if !self.greeted && self.fate == Fate::Open {
            self.greet(turn);
        }
        if !input.is_empty() {
            self.heard = turn.now;
        }
        let mut consumed = 0;
        loop {
            if let Some(event) = self.owed.pop_front() {
                return Step { consumed, event };
            }
            if self.fate != Fate::Open {
                return Step {
                    consumed: input.len(),
                    event: Event::Closing,
                };
            }
            // Whatever is looked at may call for an answer.
            if turn.output.len() >= self.limits.h2_max_send_buffer {
                return Step {
                    consumed,
                    event: Event::Held,
                };
            }
            let event = match self.receive(turn, &input[consumed..], head, text) {
                Ok(Taken::Bytes(count)) => {
                    consumed += count;
                    continue;
                }
                Ok(Taken::Event(count, event)) => {
                    let event = behind(event, consumed);
                    consumed += count;
                    event
                }
                Ok(Taken::None) if self.eof => {
                    self.end_of_input(turn);
                    if self.owes_events() || self.fate != Fate::Open {
                        continue;
                    }
                    // Answers are still owed.
                    Event::More
                }
                Ok(Taken::None) => {
                    self.await_rest(turn.now, input.len() - consumed);
                    Event::More
                }
                Err(fault) => {
                    self.fail(turn, fault);
                    continue;
                }
            };
            return Step { consumed, event };
        }
    }

    /// Our SETTINGS, and the rest of the connection's window: the first thing that we say (section 3.4).
    #[cold]
    fn greet(&mut self, turn: &mut Turn<'_>) {
        self.greeted = true;
        let out = turn.output.tail();
        if self.own.poll_send(turn.now, out) {
            self.settings_due = turn.now + self.limits.header_timeout;
        }
        if let Some(increment) = self.receive_window.widen(self.limits.h2_conn_window) {
            frame::encode_window_update(0, increment, out);
        }
    }

    /// The rest of a frame is to come within the time that a head has, as the rest of a field block is.
    fn await_rest(&mut self, now: Moment, bytes: usize) {
        let partial = match self.input {
            Input::Preface(preface) => preface != Preface::new() || bytes > 0,
            Input::Frame => bytes > 0 || self.block.is_some() || !self.peer.have_begun(),
            // A body has its own.
            Input::Data(_) => false,
        };
        if partial && !self.deadlines.is_set(Timer::Head) {
            self.deadlines.clear(Timer::FirstByte);
            self.deadlines
                .set(Timer::Head, now + self.limits.header_timeout);
        }
    }

    #[inline]
    fn receive(
        &mut self,
        turn: &mut Turn<'_>,
        input: &[u8],
        head: &mut Head,
        text: &mut Vec<u8>,
    ) -> Result<Taken, Fault> {
        match &mut self.input {
            Input::Frame => self.receive_frame(turn, input, head, text),
            Input::Data(_) => self.receive_data(turn, input),
            Input::Preface(preface) => match preface.advance(input) {
                PrefaceStep::More if input.is_empty() => Ok(Taken::None),
                PrefaceStep::More => Ok(Taken::Bytes(input.len())),
                PrefaceStep::Complete { consumed } => {
                    self.deadlines.clear(Timer::FirstByte);
                    self.deadlines
                        .set(Timer::Head, turn.now + self.limits.header_timeout);
                    self.input = Input::Frame;
                    Ok(Taken::Bytes(consumed))
                }
                PrefaceStep::Diverged { .. } => Err(Fault::Preface),
            },
        }
    }

    #[inline]
    fn receive_frame(
        &mut self,
        turn: &mut Turn<'_>,
        input: &[u8],
        head: &mut Head,
        text: &mut Vec<u8>,
    ) -> Result<Taken, Fault> {
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
        let consumed = HEADER_BYTES + payload.len();
        let event = match Frame::parse(header, payload) {
            Ok(frame) => self.receive_whole(turn, frame, head, text)?,
            Err(fault) => {
                self.stream_fault(turn, header.stream, fault)?;
                None
            }
        };
        if self.deadlines.is_set(Timer::Head) && self.block.is_none() {
            self.deadlines.clear(Timer::Head);
        }
        Ok(Taken::with(consumed, event))
    }

    /// Section 3.4: SETTINGS come first. Section 4.3: nothing comes between the frames of a field block.
    #[inline]
    fn judge_turn(&self, header: FrameHeader) -> Result<(), Fault> {
        if let Some(block) = &self.block {
            let is_more = header.kind == Kind::CONTINUATION && header.stream == block.stream;
            return if is_more {
                Ok(())
            } else {
                Err(Fault::FieldBlock)
            };
        }
        if !self.peer.have_begun() && (header.kind != Kind::SETTINGS || header.has(frame::ACK)) {
            return Err(Fault::FirstFrame);
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
    ) -> Result<Taken, Fault> {
        if fault.answer().1 == Scope::Connection {
            return Err(fault.into());
        }
        if rest.len() < header.length as usize {
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
    ) -> Result<(), Fault> {
        if fault.answer().1 == Scope::Connection {
            return Err(fault.into());
        }
        match self.streams.find(stream) {
            Some(key) => self.reset_by_fault(turn, key, Reset::Frame(fault)),
            // Section 5.1: PRIORITY may be of any stream. An idle one cannot be reset.
            None if self.is_idle(stream) => return Err(fault.into()),
            None if self.streams.was_reset(stream) => self.flood.control(turn.now)?,
            // It is over already, which does not make the frame right.
            None => {
                self.encode_reset(turn, stream, fault.answer().0, false);
                self.flood.reset(turn.now)?;
            }
        }
        Ok(())
    }

    #[inline]
    fn receive_whole(
        &mut self,
        turn: &mut Turn<'_>,
        frame: Frame<'_>,
        head: &mut Head,
        text: &mut Vec<u8>,
    ) -> Result<Option<Event>, Fault> {
        match frame {
            Frame::Headers {
                stream,
                end_stream,
                end_headers,
                fragment,
                ..
            } => {
                if end_headers {
                    self.flood.field_block();
                    return self.receive_block(turn, stream, end_stream, fragment, head, text);
                }
                self.begin_block(turn.now, stream, end_stream, fragment)?;
            }
            Frame::Continuation {
                end_headers,
                fragment,
                ..
            } => return self.continue_block(turn, end_headers, fragment, head, text),
            Frame::WindowUpdate { stream, increment } => {
                self.receive_window_update(turn, stream, increment)?;
            }
            Frame::Reset { stream, code } => self.receive_reset(turn, stream, code)?,
            Frame::Settings(entries) => self.receive_settings(turn, entries)?,
            Frame::SettingsAck => self.receive_settings_ack(turn)?,
            Frame::Ping { ack, payload } => self.receive_ping(turn, ack, payload)?,
            Frame::GoAway { .. } => self.receive_go_away(turn)?,
            Frame::Priority { .. } => self.flood.priority()?,
            Frame::PriorityUpdate { stream, value } => {
                self.receive_priority_update(stream, value)?;
            }
            Frame::Unknown { .. } => self.flood.control(turn.now)?,
            // Handed on as it comes, long before this.
            Frame::Data { .. } => {}
        }
        Ok(None)
    }

    /// Whether nothing has come of a stream yet. Even numbers are ours to give, and we give none.
    #[inline]
    pub(super) fn is_idle(&self, stream: u32) -> bool {
        stream > self.last_stream || stream.is_multiple_of(2)
    }

    /// Whether we said that we would not look at a stream.
    #[inline]
    pub(super) fn is_ignored(&self, stream: u32) -> bool {
        matches!(self.leaving, Leaving::Final { last_stream } if stream > last_stream)
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
