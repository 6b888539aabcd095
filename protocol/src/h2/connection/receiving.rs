//! What comes in, and who deals with it. Which frame is due, and what it is made of, is the reader's to say.

use super::*;
use crate::h2::frame::{Frame, FrameFault, PrefaceStep};
use crate::h2::reader::Part;

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

/// How many bytes at the front of the input are done with, and what they meant; none where there are too few of them.
pub(super) type Taken = Option<(usize, Option<Event>)>;

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
            let event = match self.receive(turn, input, consumed, head, text) {
                Ok(Some((count, event))) => {
                    consumed += count;
                    match event {
                        Some(event) => event,
                        None => continue,
                    }
                }
                Ok(None) if self.eof => {
                    self.end_of_input(turn);
                    if self.owes_events() || self.fate != Fate::Open {
                        continue;
                    }
                    // Answers are still owed.
                    Event::More
                }
                Ok(None) => {
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

    /// Our SETTINGS: the first thing that we say (section 3.4). The connection's window stays what it begins with until apps
    /// read what comes: what it allows at once, every client can make us hold.
    #[cold]
    fn greet(&mut self, turn: &mut Turn<'_>) {
        self.greeted = true;
        let out = turn.output.tail();
        self.terms.send(&self.limits, turn.now, out);
        // The client may take its time before it begins; only then it is to answer.
        self.terms.due = Moment::MAX;
        // It may have been asked to leave before it could say so.
        if self.leaving == Leaving::Announced {
            self.say_leaving(turn);
        }
    }

    /// The rest of a frame is to come within the time that a head has, as the rest of a field block is.
    fn await_rest(&mut self, now: Moment, bytes: usize) {
        let partial = match self.preface {
            Some(preface) => preface != Preface::new() || bytes > 0,
            // A body has its own.
            None => self.reader.awaits_rest(bytes) || !self.terms.peer.have_begun(),
        };
        if partial && !self.deadlines.is_set(Timer::Head) {
            if self.preface.is_some() {
                self.end_first_wait();
            }
            self.deadlines
                .set(Timer::Head, now + self.limits.header_timeout);
        }
    }

    /// The client's first bytes have come. The time for its first request begins with its SETTINGS.
    #[cold]
    fn end_first_wait(&mut self) {
        self.deadlines.clear(Timer::FirstByte);
        self.deadlines.clear(Timer::KeepAlive);
    }

    /// Looks at what begins at `from`.
    #[inline]
    fn receive(
        &mut self,
        turn: &mut Turn<'_>,
        input: &[u8],
        from: usize,
        head: &mut Head,
        text: &mut Vec<u8>,
    ) -> Result<Taken, Fault> {
        let rest = &input[from..];
        if self.reader.is_in_data() {
            return Ok(self.receive_data(turn, rest, from));
        }
        if self.preface.is_some() {
            return self.receive_preface(turn.now, rest);
        }
        let have_begun = self.terms.peer.have_begun();
        let Some((part, consumed)) = self.reader.read(rest, have_begun, &mut self.flood)? else {
            return Ok(None);
        };
        let event = match part {
            Part::Block(block) => self.receive_block(turn, block, head, text)?,
            Part::BlockEnd => match self.reader.take_block() {
                Some(block) => self.receive_block(turn, block.whole(), head, text)?,
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
        if self.deadlines.is_set(Timer::Head) && !self.reader.is_in_block() {
            self.deadlines.clear(Timer::Head);
        }
        Ok(Some((consumed, event)))
    }

    #[cold]
    fn receive_preface(&mut self, now: Moment, input: &[u8]) -> Result<Taken, Fault> {
        let Some(preface) = &mut self.preface else {
            return Ok(None);
        };
        match preface.advance(input) {
            PrefaceStep::More if input.is_empty() => Ok(None),
            PrefaceStep::More => Ok(Some((input.len(), None))),
            PrefaceStep::Complete { consumed } => {
                self.end_first_wait();
                let due = now + self.limits.header_timeout;
                self.deadlines.set(Timer::Head, due);
                self.terms.due = due;
                self.preface = None;
                Ok(Some((consumed, None)))
            }
            PrefaceStep::Diverged { .. } => Err(Fault::Preface),
        }
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
    fn receive_frame(&mut self, turn: &mut Turn<'_>, frame: Frame<'_>) -> Result<(), Fault> {
        match frame {
            Frame::WindowUpdate { stream, increment } => {
                self.receive_window_update(turn, stream, increment)
            }
            Frame::Reset { stream, code } => self.receive_reset(turn, stream, code),
            Frame::Settings(entries) => self.receive_settings(turn, entries),
            Frame::SettingsAck => self.receive_settings_ack(turn),
            Frame::Ping { ack, payload } => self.receive_ping(turn, ack, payload),
            Frame::GoAway { .. } => self.receive_go_away(turn),
            Frame::Priority { .. } => Ok(self.flood.priority()?),
            Frame::PriorityUpdate { stream, value } => self.receive_priority_update(stream, value),
            Frame::Unknown { .. } => Ok(self.flood.control(turn.now)?),
            // The reader has parts of their own for these.
            Frame::Headers { .. } | Frame::Continuation { .. } | Frame::Data { .. } => Ok(()),
        }
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
