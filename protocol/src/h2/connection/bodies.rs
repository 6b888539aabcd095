//! What comes in of bodies: DATA, whom it is for, and the credit that is given for it (section 5.2, 6.1 and 6.9).
//!
//! Credit is given for what the app has consumed, and for what nobody will: that must not hold up other streams.

use super::receiving::Taken;
use super::*;
use crate::h2::reader::DataHeader;
use crate::h2::request::Malformed;

impl Connection {
    /// The header of a DATA frame is there, and what it costs is known: all of that is decided before the content comes.
    #[inline]
    pub(super) fn receive_data_header(
        &mut self,
        turn: &mut Turn<'_>,
        header: DataHeader,
    ) -> Result<Option<Event>, Fault> {
        // Section 6.9: the connection's window counts in any case.
        self.receive_window.receive(header.flow_bytes)?;
        let found = self.streams.find(header.stream);
        let stream = match found {
            Some(key) => self.count_data(turn, key, header)?.then_some(key),
            None => {
                self.pass_over_data(turn, header)?;
                None
            }
        };
        self.reader.begin_data(header, stream);
        self.make_room_for_readers(turn);
        // There is no content to end the body with.
        let ended = stream.filter(|_| header.end_stream && header.data == 0);
        let is_told = ended.is_some_and(|key| self.end_body(turn, key));
        Ok(ended.filter(|_| is_told).map(|stream| Event::End {
            stream,
            trailers: false,
        }))
    }

    /// The body has ended, without trailers. Returns whether somebody reads it.
    fn end_body(&mut self, turn: &mut Turn<'_>, key: StreamKey) -> bool {
        let is_read = self.streams.at(key).is_some_and(Stream::is_read);
        self.stop_waiting(turn.now, key);
        self.receive_end(turn, key);
        is_read
    }

    /// DATA of a stream that is not there.
    #[cold]
    fn pass_over_data(&mut self, turn: &mut Turn<'_>, header: DataHeader) -> Result<(), Fault> {
        let stream = header.stream;
        if self.is_ignored(stream) || self.streams.was_reset(stream) {
            self.receive_late(turn.now, stream, header.end_stream)?;
            self.credit_connection(turn, header.flow_bytes);
            return Ok(());
        }
        Err(if self.is_idle(stream) {
            Fault::IdleStream
        } else {
            Fault::ClosedStream
        })
    }

    /// Counts a frame. False if nobody wants it; it is credited then.
    fn count_data(
        &mut self,
        turn: &mut Turn<'_>,
        key: StreamKey,
        header: DataHeader,
    ) -> Result<bool, Fault> {
        let Some(stream) = self.streams.at_mut(key) else {
            return Ok(false);
        };
        if stream.receive == Receive::Closed {
            self.receive_late_data(turn, key, header)?;
            return Ok(false);
        }
        // What the window does not let in it does not count either: the connection's has, and is to be credited.
        if stream.receive_window.receive(header.flow_bytes).is_err() {
            self.credit_connection(turn, header.flow_bytes);
            self.reset_by_fault(turn, key, Reset::Window);
            return Ok(false);
        }
        let left = stream.body_left;
        let (data, ends) = (u64::from(header.data), header.end_stream);
        if left.is_some_and(|left| left < data || ends && left > data) {
            self.reset_by_fault(turn, key, Reset::Malformed(Malformed::ContentLength));
            return Ok(false);
        }
        stream.body_left = left.map(|left| left - data);
        stream.body_bytes += data;
        self.flood
            .data_received(&mut stream.small_data, header.data, ends, turn.now)?;
        let is_read = stream.is_read();
        let too_long = stream.max_body.is_some_and(|max| stream.body_bytes > max);
        let overhead = header.flow_bytes - header.data;
        if is_read && too_long {
            self.fail_body(turn, key, Trip::RequestBody.into());
        } else if !is_read {
            self.discard(turn, key, header.data, overhead);
        } else if overhead > 0 {
            self.credit(key, turn, overhead);
        }
        Ok(true)
    }

    /// DATA behind the end of the client's half (section 5.1, "half-closed (remote)" and "closed").
    #[cold]
    fn receive_late_data(
        &mut self,
        turn: &mut Turn<'_>,
        key: StreamKey,
        header: DataHeader,
    ) -> Result<(), Fault> {
        self.credit_connection(turn, header.flow_bytes);
        self.receive_behind_end(turn, key, header.end_stream)
    }

    /// Nobody reads this: all of it is credited at once. Only where its stream is drained may the client send more of it.
    fn discard(&mut self, turn: &mut Turn<'_>, key: StreamKey, data: u32, overhead: u32) {
        let Some(stream) = self.streams.at_mut(key) else {
            return;
        };
        self.flood.data_discarded(&mut stream.small_data);
        match &mut stream.receive {
            Receive::Draining {
                budget: Some(budget),
            } if u64::from(data) <= *budget => {
                *budget -= u64::from(data);
                self.credit(key, turn, data + overhead);
            }
            // What its window lets through is bounded by that.
            Receive::Draining { budget: None } => self.credit_unread(turn, key),
            Receive::Draining { budget: Some(_) } => {
                stream.receive = Receive::Stopped;
                self.note(Trip::BodyDrainMax.into());
                self.stop_body(turn, key);
            }
            Receive::Open | Receive::Stopped | Receive::Closed => self.credit_unread(turn, key),
        }
    }

    /// Content of the DATA frame under way, or its padding, which begins at `from` in all of the input.
    #[inline]
    pub(super) fn receive_data(&mut self, turn: &mut Turn<'_>, input: &[u8], from: usize) -> Taken {
        let piece = self.reader.read_data(input)?;
        let count = piece.bytes;
        let Some((key, stream)) = piece
            .stream
            .and_then(|key| Some((key, self.streams.at_mut(key)?)))
        else {
            return Some((count, None));
        };
        let is_read = stream.is_read();
        if is_read {
            stream.continue_owed = false;
            stream.read_rate.on_bytes(count as u64);
            self.stop_waiting(turn.now, key);
        }
        if piece.last {
            self.receive_end(turn, key);
        }
        let event = is_read.then_some(Event::Data {
            stream: key,
            at: from..from + count,
            last: piece.last,
        });
        Some((count, event))
    }

    /// The client's half is whole.
    pub(super) fn receive_end(&mut self, turn: &mut Turn<'_>, key: StreamKey) {
        let Some(stream) = self.streams.at_mut(key) else {
            return;
        };
        stream.receive = Receive::Closed;
        stream.due.drain = Moment::MAX;
        if stream.is_over() {
            self.remove(turn, key);
        }
    }

    // What the app does.

    /// Takes the app's overrides, and judges by them the announced body length and what has come of the body: an app may take
    /// its time before it asks for less. Returns whether to dispatch; if not, a 413 is queued already, and the exchange is over.
    pub fn admit(&mut self, stream: StreamKey, turn: &mut Turn<'_>, overrides: Overrides) -> bool {
        let Some(found) = self.streams.at_mut(stream) else {
            return false;
        };
        if let Some(rate) = overrides.min_body_rate {
            found.min_body_rate = rate;
        }
        if let Some(rate) = overrides.min_response_rate {
            found.min_response_rate = rate;
        }
        if let Some(max) = overrides.max_body {
            found.max_body = max;
        }
        let known = found.body_bytes + found.body_left.unwrap_or(0);
        let over = found.max_body.is_some_and(|max| known > max);
        if over {
            self.refuse(stream, turn, Trip::RequestBody.into());
        }
        !over
    }

    /// The app waits for body bytes, of which none are there.
    pub fn want_body(&mut self, stream: StreamKey, turn: &mut Turn<'_>) {
        let Some(found) = self.streams.at_mut(stream) else {
            return;
        };
        if !found.is_read() || found.wanted {
            return;
        }
        found.wanted = true;
        found.read_rate.start_wait(turn.now);
        let deadline = found
            .min_body_rate
            .and_then(|rate| found.read_rate.deadline(rate))
            .unwrap_or(Moment::MAX);
        found.due.body = deadline;
        // RFC 9110 section 10.1.1: sent when the app reads, and omitted once content has begun to arrive.
        let continues = std::mem::take(&mut found.continue_owed);
        if continues && found.transmit == Transmit::Pending {
            self.encode_continue(turn, stream.id);
        }
        self.due_by(deadline);
        self.make_room_for_readers(turn);
    }

    pub(super) fn stop_waiting(&mut self, now: Moment, key: StreamKey) {
        if let Some(stream) = self.streams.at_mut(key)
            && stream.wanted
        {
            stream.wanted = false;
            stream.read_rate.stop_wait(now);
            stream.due.body = Moment::MAX;
        }
    }

    /// The app has consumed so many bytes of the body, or they were thrown away: the client may send as many more.
    pub fn consumed(&mut self, stream: StreamKey, turn: &mut Turn<'_>, bytes: usize) {
        let Some(found) = self.streams.at_mut(stream) else {
            return;
        };
        let unread = found.receive_window.unread();
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(unread);
        if bytes > 0 {
            self.flood.data_consumed(&mut found.small_data, bytes);
            self.credit(stream, turn, bytes);
        }
    }

    // Credit.

    /// `bytes` of a stream are consumed.
    fn credit(&mut self, key: StreamKey, turn: &mut Turn<'_>, bytes: u32) {
        let size_max = self.stream_window_max();
        let Some(stream) = self.streams.at_mut(key) else {
            return;
        };
        let bytes = bytes.min(stream.receive_window.unread());
        let increment = stream.receive_window.consume(bytes, size_max, turn.now);
        let is_of_use =
            stream.is_read() || matches!(stream.receive, Receive::Draining { budget: Some(_) });
        if let (Some(increment), true) = (increment, is_of_use) {
            self.encode_window_update(turn, key.id, increment);
        }
        self.credit_connection(turn, bytes);
    }

    /// What a stream has unread is consumed by nobody.
    pub(super) fn credit_unread(&mut self, turn: &mut Turn<'_>, key: StreamKey) {
        if let Some(stream) = self.streams.at_mut(key) {
            self.flood.data_discarded(&mut stream.small_data);
            let unread = stream.receive_window.unread();
            if unread > 0 {
                self.credit(key, turn, unread);
            }
        }
    }

    /// The connection's window is the same for all: what one stream holds unread, others cannot use, but for
    /// `make_room_for_readers`. It grows for a client
    /// that is served as fast as it sends, and not for one that leaves its answers where they are: whatever apps then read and
    /// send back would be held here.
    pub(super) fn credit_connection(&mut self, turn: &mut Turn<'_>, bytes: u32) {
        let size_max = if self.windows_grow && self.takes_answers() {
            self.limits.h2_conn_window
        } else {
            0
        };
        if let Some(increment) = self.receive_window.consume(bytes, size_max, turn.now) {
            self.encode_window_update(turn, 0, increment);
        }
    }

    /// Where what apps leave unread takes up all of the connection's window, other streams whose apps wait for bytes would wait
    /// for those: then it grows, as far as it may, and what is owed is given at once.
    #[inline]
    fn make_room_for_readers(&mut self, turn: &mut Turn<'_>) {
        if self.receive_window.credit() == 0 {
            self.widen_for_readers(turn);
        }
    }

    #[cold]
    fn widen_for_readers(&mut self, turn: &mut Turn<'_>) {
        let waits = |stream: &Stream| stream.wanted && stream.receive_window.credit() > 0;
        let mut streams = (0..self.streams.places()).filter_map(|place| self.streams.key_at(place));
        let is_waited_for = streams.any(|key| self.streams.at(key).is_some_and(waits));
        if !is_waited_for {
            return;
        }
        let mut size = self.receive_window.size();
        if self.windows_grow && self.takes_answers() {
            size = size
                .saturating_add(WINDOW_DEFAULT)
                .min(self.limits.h2_conn_window);
        }
        if let Some(increment) = self.receive_window.widen(size) {
            self.encode_window_update(turn, 0, increment);
        }
    }

    // Bodies that end before their end.

    /// A body that cannot be received: the app's read fails, and the engine's answer wins if none was begun.
    pub(super) fn fail_body(&mut self, turn: &mut Turn<'_>, key: StreamKey, refusal: Refusal) {
        self.note(refusal);
        self.stop_waiting(turn.now, key);
        let Some(stream) = self.streams.at_mut(key) else {
            return;
        };
        stream.failure = Some(refusal);
        stream.continue_owed = false;
        self.owed.push_back(Event::BodyFailed {
            stream: key,
            refusal,
        });
        self.credit_unread(turn, key);
    }

    /// The trailers that [`Event::End`] told of are refused. The body is whole, and its app may be told otherwise; what we say
    /// wins over its answer if none was begun, as on HTTP/1.1.
    pub fn fail_trailers(&mut self, stream: StreamKey, refusal: Refusal) {
        self.note(refusal);
        if let Some(found) = self.streams.at_mut(stream) {
            found.failure = Some(refusal);
        }
    }

    /// The exchange is over and the body is not: it is drained within bounds. One that is known to pass them gets no
    /// more credit, and its client is told to stop when it has had its time: together with the answer, some take the reset for
    /// a failure of both (curl 7.88).
    pub(super) fn drain(&mut self, turn: &mut Turn<'_>, key: StreamKey) {
        let Some(stream) = self.streams.at_mut(key) else {
            return;
        };
        let max = self.limits.body_drain_max;
        let hopeless = stream.body_left.is_some_and(|left| left > max) || stream.failure.is_some();
        stream.receive = Receive::Draining {
            budget: (!hopeless).then_some(max),
        };
        stream.due.drain = turn.now + self.limits.body_drain_timeout;
        let due = stream.due.drain;
        self.due_by(due);
        self.credit_unread(turn, key);
    }

    /// Section 8.1: the answer is complete, so the client need not go on. Before that, a reset would take the answer away: the
    /// stream gets no more credit until then.
    ///
    /// Such a reset is not among those that `LANNER_H2_RESET_BURST` counts. What makes rapid resets an attack (CVE-2023-44487,
    /// and by our own hand CVE-2025-8671) is that a stream makes room for the next one while its exchange still costs us; here the
    /// exchange is over and its answer is out. It took a place among `LANNER_H2_MAX_STREAMS` until then, and takes it until the
    /// client has sent more than the drain's budget or let all its time pass: that is the bound. Counting would end connections
    /// on which a proxy brings many honest clients' uploads that are too large.
    pub(super) fn stop_body(&mut self, turn: &mut Turn<'_>, key: StreamKey) {
        self.credit_unread(turn, key);
        if self
            .streams
            .at(key)
            .is_some_and(|stream| stream.end == End::Sent)
        {
            self.encode_reset(turn, key.id, ErrorCode::NO_ERROR, true);
            self.remove(turn, key);
        }
    }
}
