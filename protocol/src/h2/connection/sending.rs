//! Bodies on their way out: straight into the output where nothing is in their way, else through their stream's queue, whose
//! turn comes as windows and priorities (RFC 9218) allow.
//!
//! What may wait is bounded three times: in the output by half of `LANNER_H2_MAX_SEND_BUFFER`, in all streams together by the
//! whole of it, and in each by `LANNER_RESPONSE_BUFFER`; the other half of the output is for answers to what comes in, which is
//! looked at for as long as there is room for them. But a stream with nothing waiting and a window for a frame may always bring
//! something, so that streams which their client does not read stop nobody else.
//!
//! Where there is no window, what an app makes would only lie here. It is asked when its client is ready for it; but for one
//! frame in all such streams together, which lets short answers come to their end.

use super::*;
use crate::h2::priority::FAIR_TURNS;

/// The longest DATA frame we send, whatever the peer takes: others have their turn in between.
const TURN_BYTES_MAX: usize = 16 * 1024;

/// One stream in so many goes on in its turn, however urgent others are: as it is for those that have something waiting.
const FAIR_RESUMES: u8 = FAIR_TURNS;

impl Connection {
    /// Queues a piece of the answer's body.
    ///
    /// # Errors
    /// [`ResponseError::TooManyBytes`]; the stream is reset then, since the client cannot be told otherwise.
    #[inline]
    pub fn send(
        &mut self,
        stream: StreamKey,
        turn: &mut Turn<'_>,
        piece: Bytes,
    ) -> Result<(), ResponseError> {
        let has_room = turn.output.len() < self.bodies_bytes_max();
        let Some(found) = self.streams.at_mut(stream) else {
            return Ok(());
        };
        let Transmit::Body { left } = &mut found.transmit else {
            return Ok(());
        };
        if found.reset || piece.is_empty() {
            return Ok(());
        }
        let bytes = piece.len();
        let mut ends = false;
        if let Some(left) = left {
            let Some(rest) = left.checked_sub(bytes as u64) else {
                self.reset(stream, turn, ErrorCode::INTERNAL_ERROR);
                return Err(ResponseError::TooManyBytes);
            };
            *left = rest;
            ends = rest == 0;
        }
        found.body_bytes_sent += bytes as u64;
        let is_free = found.queue.is_empty()
            && bytes <= TURN_BYTES_MAX
            && bytes <= found.send_window.available() as usize
            && bytes <= self.send_window.available() as usize
            && has_room
            && self.schedule.is_empty();
        if !is_free {
            self.queue(stream, turn, piece, ends);
            return Ok(());
        }
        found.send_window.take(bytes as u32);
        if ends {
            found.end = End::Sent;
        }
        self.output_rate.note(found.min_response_rate);
        self.send_window.take(bytes as u32);
        self.flood.data_sent(bytes as u32, false);
        frame::encode_data_header(stream.id, ends, bytes, turn.output.tail());
        turn.output.push_shared(piece);
        Ok(())
    }

    fn queue(&mut self, key: StreamKey, turn: &mut Turn<'_>, piece: Bytes, ends: bool) {
        let Some(stream) = self.streams.at_mut(key) else {
            return;
        };
        let bytes = piece.len();
        if ends {
            stream.end = End::Queued;
        }
        stream.queue.push_shared(piece);
        self.queued_bytes += bytes;
        if let Some(rate) = stream.min_response_rate {
            let unsent = stream.queue.len() as u64;
            let due = stream
                .write_rate
                .on_queued(turn.now, bytes as u64, unsent, rate);
            stream.due.response = due;
            self.due_by(due);
        }
        self.reschedule(key);
    }

    /// Whether the engine is to poll the app for more of this stream's body. If not, [`Connection::take_resumed`] names the
    /// stream when it is.
    pub fn accepts_body(&mut self, stream: StreamKey, turn: &Turn<'_>) -> bool {
        if !self.is_full(stream, turn.output.len()) {
            return true;
        }
        self.hold(stream, turn.now);
        false
    }

    /// The stream waits to hear that it may go on. Whoever shuts its window to an app that has nothing waiting gets the time
    /// that as much takes as might wait.
    fn hold(&mut self, key: StreamKey, now: Moment) {
        let connection_shut = self.send_window.is_shut();
        let Some(stream) = self.streams.at_mut(key) else {
            return;
        };
        if !std::mem::replace(&mut stream.is_held, true) {
            self.held.push_back(key);
        }
        let is_shut = connection_shut || stream.send_window.is_shut();
        if let (Some(rate), true) = (stream.min_response_rate, is_shut)
            && stream.due.response == Moment::MAX
        {
            let bytes = self.limits.response_buffer as u64;
            let due = WriteRate::new().on_queued(now, bytes, bytes, rate);
            stream.due.response = due;
            self.due_by(due);
        }
    }

    /// Bytes of this stream that are queued and not yet in the output.
    pub fn waiting(&self, stream: StreamKey) -> usize {
        self.streams.at(stream).map_or(0, Stream::waiting)
    }

    fn is_full(&self, key: StreamKey, unsent: usize) -> bool {
        let Some(stream) = self.streams.at(key) else {
            return false;
        };
        // Its app is asked for nothing but the end.
        if stream.end != End::No {
            return false;
        }
        let waiting = stream.waiting();
        let room = if unsent < self.bodies_bytes_max() {
            self.room(stream)
        } else {
            0
        };
        waiting >= self.limits.response_buffer
            || waiting > 0 && room <= waiting
            || waiting > 0 && self.queued_bytes >= self.limits.h2_max_send_buffer
            || room < TURN_BYTES_MAX && self.queued_bytes >= self.limits.response_buffer
            || room == 0 && self.queued_bytes >= TURN_BYTES_MAX
    }

    /// What the windows of a stream and of the connection let out.
    fn room(&self, stream: &Stream) -> usize {
        let room = stream.send_window.available();
        room.min(self.send_window.available()) as usize
    }

    /// Whether the client takes what it is given: no app waits for a window of its client's.
    pub(super) fn takes_answers(&self) -> bool {
        let mut held = self.held.iter().filter_map(|key| self.streams.at(*key));
        held.all(|stream| self.room(stream) >= TURN_BYTES_MAX)
    }

    /// A stream that was full and is not any more.
    pub fn take_resumed(&mut self) -> Option<StreamKey> {
        while let Some(key) = self.resumed.pop_front() {
            if self.streams.at(key).is_some_and(|stream| !stream.reset) {
                return Some(key);
            }
        }
        None
    }

    /// Puts a stream among those whose turn comes, or takes it out, as its window and its queue say.
    #[inline]
    pub(super) fn reschedule(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.at(key) else {
            return;
        };
        if stream.queue.is_empty() {
            return;
        }
        if stream.send_window.is_shut() {
            self.schedule.remove(key.place());
        } else {
            self.schedule.insert(key.place(), key.id, stream.priority);
        }
    }

    /// Moves what streams have queued into the output. To be called before each write.
    #[inline]
    pub fn flush(&mut self, turn: &mut Turn<'_>) {
        if self.greeted && self.fate == Fate::Open {
            self.terms.send(&self.limits, turn.now, turn.output.tail());
        }
        if self.queued_bytes > 0 || !self.held.is_empty() {
            self.flush_streams(turn);
        }
    }

    fn flush_streams(&mut self, turn: &mut Turn<'_>) {
        let bytes_max = self.bodies_bytes_max();
        while turn.output.len() < bytes_max && !self.send_window.is_shut() {
            let Some(place) = self.schedule.next_turn() else {
                break;
            };
            match self.streams.key_at(place) {
                Some(key) => self.take_turn(turn, key),
                None => {
                    self.schedule.remove(place);
                }
            }
        }
        if let Some(index) = self.next_resumed(turn.output.len()) {
            self.resume(index);
        }
        if self.eof {
            self.give_up_blocked(turn);
        }
    }

    /// One frame of a stream's body.
    fn take_turn(&mut self, turn: &mut Turn<'_>, key: StreamKey) {
        let Some(stream) = self.streams.at_mut(key) else {
            return;
        };
        let waiting = stream.queue.len();
        let window = stream
            .send_window
            .available()
            .min(self.send_window.available()) as usize;
        let frame_max = TURN_BYTES_MAX.min(self.terms.peer.values().max_frame as usize);
        let bytes = waiting.min(window).min(frame_max);
        let is_last = bytes == waiting;
        let ends = is_last && stream.end == End::Queued;
        let end_here = ends && stream.trailers.is_none();
        frame::encode_data_header(key.id, end_here, bytes, turn.output.tail());
        stream.queue.move_to(bytes, turn.output);
        stream.send_window.take(bytes as u32);
        self.output_rate.note(stream.min_response_rate);
        self.send_window.take(bytes as u32);
        self.queued_bytes -= bytes;
        self.flood
            .data_sent(bytes as u32, bytes == window && !is_last);
        if !is_last {
            if stream.send_window.is_shut() {
                self.schedule.remove(key.place());
            }
            return;
        }
        self.schedule.remove(key.place());
        stream.write_rate.clear();
        stream.due.response = Moment::MAX;
        if ends {
            stream.end = End::Sent;
            if let Some(trailers) = stream.trailers.take() {
                self.encode_end(turn, key.id, Some(&trailers));
            }
            self.after_end(turn, key);
        }
    }

    /// END_STREAM is out.
    fn after_end(&mut self, turn: &mut Turn<'_>, key: StreamKey) {
        let Some(stream) = self.streams.at(key) else {
            return;
        };
        if stream.transmit != Transmit::Over {
            return;
        }
        if stream.is_over() {
            self.remove(turn, key);
        } else if stream.receive == Receive::Stopped {
            self.stop_body(turn, key);
        }
    }

    /// Which of those that wait to go on is next, if one can: the most urgent, and of those who has waited longest. One at a
    /// time, for what it brings may be all that there is room for.
    fn next_resumed(&self, unsent: usize) -> Option<usize> {
        let mut goes_on = self.held.iter().enumerate().filter_map(|(index, key)| {
            let stream = self.streams.at(*key)?;
            (!self.is_full(*key, unsent)).then_some((stream.priority.urgency, index))
        });
        let (_, index) = if self.resumes.is_multiple_of(FAIR_RESUMES) {
            goes_on.next()?
        } else {
            goes_on.min()?
        };
        Some(index)
    }

    fn resume(&mut self, index: usize) {
        let Some(key) = self.held.remove(index) else {
            return;
        };
        self.resumes = self.resumes.wrapping_add(1);
        if let Some(stream) = self.streams.at_mut(key) {
            stream.is_held = false;
            if stream.queue.is_empty() {
                stream.due.response = Moment::MAX;
            }
            self.resumed.push_back(key);
        }
    }

    /// The client has ended its side, so windows that are shut stay so.
    #[cold]
    fn give_up_blocked(&mut self, turn: &mut Turn<'_>) {
        let all = self.send_window.is_shut();
        for place in 0..self.streams.places() {
            let Some(key) = self.streams.key_at(place) else {
                continue;
            };
            let blocked = self.streams.at(key).is_some_and(|stream| {
                !stream.queue.is_empty() && (all || stream.send_window.is_shut())
            });
            if blocked {
                self.reset_with(turn, key, Reset::EarlyEof);
            }
        }
    }

    /// A write took what it could: `queued` bytes had been added since the last call, `unsent` are left. Returns whether
    /// something had waited for this output to go out: [`Connection::flush`] is to be called, and the input to be looked at
    /// again then.
    pub fn handle_output(&mut self, now: Moment, queued: usize, unsent: usize) -> bool {
        self.output_bytes += queued as u64;
        self.flood.output_sent(
            self.output_bytes - (unsent as u64).min(self.output_bytes),
            self.output_bytes,
        );
        let backlog = std::mem::replace(&mut self.backlog, unsent);
        if backlog > 0 && unsent < backlog + queued {
            self.heard = now;
        }
        if unsent > 0 {
            // The client is busy with the last answer; the time for its next request has not begun.
            self.deadlines.clear(Timer::KeepAlive);
            if queued > 0 {
                let usual = self.limits.response_rate();
                let rate = &mut self.output_rate;
                match rate.on_queued(now, queued as u64, unsent as u64, usual) {
                    Some(due) => self.deadlines.set(Timer::ResponseRate, due),
                    None => self.deadlines.clear(Timer::ResponseRate),
                }
            }
            return self.may_flush(unsent) && unsent < self.bodies_bytes_max();
        }
        self.output_rate.clear();
        self.deadlines.clear(Timer::ResponseRate);
        let had_backlog = backlog > 0;
        // A field block that is under way need not open a stream, and its own deadline ends with it.
        if had_backlog && self.streams.count() == 0 && self.fate == Fate::Open {
            self.idle_since = now;
            self.deadlines
                .set(Timer::KeepAlive, now + self.limits.keepalive_timeout);
        }
        had_backlog || self.may_flush(unsent)
    }

    /// How full of bodies the output may be. A driver that writes in the background has it filled again whenever it looks, and a
    /// client that takes a long answer as fast as it comes must still be heard.
    fn bodies_bytes_max(&self) -> usize {
        self.limits.h2_max_send_buffer / 2
    }

    /// Whether [`Connection::flush`] would move something or name somebody: streams whose windows are shut wait for their
    /// client.
    fn may_flush(&self, unsent: usize) -> bool {
        !self.schedule.is_empty() && !self.send_window.is_shut()
            || self.next_resumed(unsent).is_some()
    }
}
