//! Bodies on their way out: straight into the output where nothing is in their way, else through their stream's queue, whose
//! turn comes as windows and priorities (RFC 9218) allow.
//!
//! What may wait is bounded three times: in the output by half of `LANNER_H2_MAX_SEND_BUFFER`, in all streams together by the
//! whole of it, and in each by `LANNER_RESPONSE_BUFFER`; the other half of the output is for answers to what comes in, which is
//! looked at for as long as there is room for them. But a stream with nothing waiting may always bring something, so that streams
//! which their client does not read stop nobody else.

use super::*;

/// The longest DATA frame we send, whatever the peer takes: others have their turn in between.
const TURN_BYTES_MAX: usize = 16 * 1024;

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
        let had_room = self.queued_bytes < self.limits.h2_max_send_buffer;
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
        if self.is_full(key) {
            self.note_full(key);
        }
        if had_room && self.queued_bytes >= self.limits.h2_max_send_buffer {
            self.note_all_full();
        }
    }

    fn note_full(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.at_mut(key) {
            self.full_streams += usize::from(!std::mem::replace(&mut stream.was_full, true));
        }
    }

    /// All streams together have as much waiting as they may: each that has something waiting is full by that, whether it
    /// brings more or not.
    #[cold]
    fn note_all_full(&mut self) {
        for place in 0..self.streams.places() {
            if let Some(key) = self.streams.key_at(place)
                && self.is_full(key)
            {
                self.note_full(key);
            }
        }
    }

    /// Whether the engine is to poll the app for more of this stream's body. If not, [`Connection::take_resumed`] names the
    /// stream when it is.
    pub fn accepts_body(&self, stream: StreamKey) -> bool {
        !self.is_full(stream)
    }

    /// Bytes of this stream that are queued and not yet in the output.
    pub fn waiting(&self, stream: StreamKey) -> usize {
        self.streams.at(stream).map_or(0, Stream::waiting)
    }

    fn is_full(&self, key: StreamKey) -> bool {
        let waiting = self.waiting(key);
        waiting >= self.limits.response_buffer
            || waiting > 0 && self.queued_bytes >= self.limits.h2_max_send_buffer
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
        if self.queued_bytes > 0 {
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
        if self.full_streams > 0 {
            self.find_resumed();
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

    fn find_resumed(&mut self) {
        for place in 0..self.streams.places() {
            let Some(key) = self.streams.key_at(place) else {
                continue;
            };
            if self.is_full(key) {
                continue;
            }
            if let Some(stream) = self.streams.at_mut(key)
                && std::mem::take(&mut stream.was_full)
            {
                self.full_streams -= 1;
                self.resumed.push_back(key);
            }
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
        if unsent > 0 {
            self.backlog = true;
            // The client is busy with the last answer; the time for its next request has not begun.
            self.deadlines.clear(Timer::KeepAlive);
            if let (Some(rate), true) = (self.limits.response_rate(), queued > 0) {
                let deadline = self
                    .write_rate
                    .on_queued(now, queued as u64, unsent as u64, rate);
                self.deadlines.set(Timer::ResponseRate, deadline);
            }
            return self.may_flush() && unsent < self.bodies_bytes_max();
        }
        if self.deadlines.is_set(Timer::ResponseRate) {
            self.write_rate.clear();
            self.deadlines.clear(Timer::ResponseRate);
        }
        let had_backlog = std::mem::take(&mut self.backlog);
        // A field block that is under way need not open a stream, and its own deadline ends with it.
        if had_backlog && self.streams.count() == 0 && self.fate == Fate::Open {
            self.idle_since = now;
            self.deadlines
                .set(Timer::KeepAlive, now + self.limits.keepalive_timeout);
        }
        had_backlog || self.may_flush()
    }

    /// How full of bodies the output may be. A driver that writes in the background has it filled again whenever it looks, and a
    /// client that takes a long answer as fast as it comes must still be heard.
    fn bodies_bytes_max(&self) -> usize {
        self.limits.h2_max_send_buffer / 2
    }

    /// Whether [`Connection::flush`] would move something: streams whose windows are shut wait for their client.
    fn may_flush(&self) -> bool {
        !self.schedule.is_empty() && !self.send_window.is_shut()
    }
}
