//! Field blocks: decoded, and made a request or trailers of.
//!
//! Every block is decoded, also one that nobody wants: the table of fields is one for all streams (section 4.3).

use super::*;
use crate::h2::reader::FieldBlock;
use crate::h2::request::{Around, Rejected, RequestFields, trailers};
use crate::head::Framing;
use crate::hpack::Bounds;

/// The heads of all open streams are together at most so many times as long as one may be. HPACK makes kilobytes of a byte, so
/// what a client has sent bounds nothing; and each is kept for as long as its exchange takes. A hundred requests with five
/// kilobytes of cookies each are let through.
const HEADS_MAX: usize = 16;

/// What there is too much of for one stream more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Excess {
    Streams,
    Heads,
}

impl Connection {
    /// A complete field block.
    // Apart from the rest, so that the decoder's loop has the registers: twenty instructions a request.
    #[inline(never)]
    pub(super) fn receive_block(
        &mut self,
        turn: &mut Turn<'_>,
        block: FieldBlock<'_>,
        head: &mut Head,
        text: &mut Vec<u8>,
    ) -> Result<Option<Event>, Fault> {
        let stream = block.stream;
        // Section 5.1.1: clients give odd numbers.
        if stream.is_multiple_of(2) {
            return Err(Fault::StreamNumber);
        }
        text.clear();
        if stream > self.last_stream {
            self.last_stream = stream;
            return self.receive_request(turn, block, head, text);
        }
        match self.streams.find(stream) {
            Some(key) => self.receive_trailers(turn, key, block, head, text),
            None if self.streams.was_reset(stream) || self.is_ignored(stream) => {
                self.receive_late(turn.now, stream, block.end_stream)?;
                self.terms.decoder.pass_over(block.bytes, text)?;
                Ok(None)
            }
            // Section 5.1.1: a number below the last is one that was used, or skipped and so closed.
            None => Err(Fault::ClosedStream),
        }
    }

    #[inline]
    fn receive_request(
        &mut self,
        turn: &mut Turn<'_>,
        block: FieldBlock<'_>,
        head: &mut Head,
        text: &mut Vec<u8>,
    ) -> Result<Option<Event>, Fault> {
        let (stream, end_stream) = (block.stream, block.end_stream);
        if self.is_ignored(stream) {
            self.flood.control(turn.now)?;
            self.terms.decoder.pass_over(block.bytes, text)?;
            return Ok(None);
        }
        if self.streams.count() >= self.limits.h2_max_streams as usize {
            self.terms.decoder.pass_over(block.bytes, text)?;
            self.refuse_stream(turn, stream, end_stream, Excess::Streams)?;
            return Ok(None);
        }
        self.flood.stream_opened();
        let limits = &self.limits;
        let bounds = Bounds {
            // Pseudo-fields are bounded on their own, as the request line is.
            list_bytes_max: (limits.max_request_line + limits.max_header_bytes) as u32,
            field_bytes_max: limits.h2_max_header_field as u32,
            // Counted when cookies are put together.
            fields_max: u32::MAX,
        };
        let around = Around {
            limits,
            secure: self.secure,
            connect_protocol: self.terms.own.wanted().connect_protocol,
            end_stream,
        };
        let mut fields = RequestFields::new(head, limits);
        let decoded =
            self.terms
                .decoder
                .decode_judged(block.bytes, &bounds, text, |field, text| {
                    fields.take(field, text)
                })?;
        let head_request = fields.is_head_request(text);
        match fields.judge(text, &decoded, &around) {
            Ok(_) if self.head_bytes + text.len() > HEADS_MAX * self.limits.max_header_bytes => {
                self.refuse_stream(turn, stream, end_stream, Excess::Heads)?;
                Ok(None)
            }
            Ok(priority) => {
                let event = self.open(turn, stream, end_stream, priority, head, text.len());
                Ok(Some(event))
            }
            Err(rejected) => {
                self.reject(turn, stream, end_stream, head_request, rejected)?;
                Ok(None)
            }
        }
    }

    /// Section 5.1.2: one stream too many. No app has seen it, so the client may ask again.
    #[cold]
    fn refuse_stream(
        &mut self,
        turn: &mut Turn<'_>,
        stream: u32,
        end_stream: bool,
        excess: Excess,
    ) -> Result<(), Fault> {
        self.trips.note(Trip::Streams);
        let reason = Reset::Trip(Trip::Streams);
        self.note_offence(stream, Offence::Reset(reason));
        self.encode_reset(turn, stream, reason.code(), !end_stream);
        // Before it has heard of our SETTINGS a client may know no better, and of our memory it never does.
        let is_innocent = self.terms.own.acknowledged().max_streams.is_none();
        if is_innocent || excess == Excess::Heads {
            self.flood.control(turn.now)?;
        } else {
            self.flood.reset(turn.now)?;
        }
        Ok(())
    }

    /// A request that is none: reset, or answered as HTTP/1.1 would be. A client may not make us do either at will.
    #[cold]
    fn reject(
        &mut self,
        turn: &mut Turn<'_>,
        stream: u32,
        end_stream: bool,
        head_request: bool,
        rejected: Rejected,
    ) -> Result<(), Fault> {
        let code = match rejected {
            Rejected::Malformed(malformed) => {
                let reason = Reset::Malformed(malformed);
                self.note_offence(stream, Offence::Reset(reason));
                Some(reason.code())
            }
            Rejected::Refused(refusal) => {
                self.note_offence(stream, Offence::Refused(refusal));
                self.answer_unopened(turn, stream, head_request, refusal);
                // Section 8.1.1: what is malformed may be answered first, and is an error of its stream even so.
                match refusal.status() {
                    Some(400) => Some(ErrorCode::PROTOCOL_ERROR),
                    _ if end_stream => None,
                    _ => Some(ErrorCode::NO_ERROR),
                }
            }
        };
        if let Some(code) = code {
            self.encode_reset(turn, stream, code, !end_stream);
            self.flood.reset(turn.now)?;
        }
        Ok(())
    }

    #[inline]
    fn open(
        &mut self,
        turn: &mut Turn<'_>,
        stream: u32,
        end_stream: bool,
        priority: Option<Priority>,
        head: &Head,
        head_bytes: usize,
    ) -> Event {
        self.requests += 1;
        self.head_bytes += head_bytes;
        if self.streams.count() == 0 {
            self.deadlines.clear(Timer::KeepAlive);
            self.release_due = Moment::MAX;
        }
        let announced = match head.framing {
            Framing::Length(length) => Some(length),
            Framing::None | Framing::Chunked => None,
        };
        let now = turn.now;
        let mut due = StreamDeadlines::NONE;
        if let Some(timeout) = self.limits.request_timeout {
            due.request = now + timeout;
            self.due_by(due.request);
        }
        let body = !end_stream && announced != Some(0);
        let priority = self.first_priority(stream, priority);
        let opened = Stream {
            receive: if end_stream {
                Receive::Closed
            } else {
                Receive::Open
            },
            transmit: Transmit::Pending,
            end: End::No,
            priority,
            head_request: head.method == crate::method::Method::Head,
            head_bytes: head_bytes as u32,
            continue_owed: head.expect_continue && body,
            wanted: false,
            bodiless: !body,
            is_held: false,
            reset: false,
            answered: None,
            failure: None,
            body_left: announced,
            body_bytes: 0,
            body_bytes_sent: 0,
            max_body: self.limits.max_request_body,
            min_body_rate: self.limits.body_rate(),
            min_response_rate: self.limits.response_rate(),
            receive_window: ReceiveWindow::new(self.terms.own.wanted().initial_window, now),
            send_window: SendWindow::new(self.terms.peer.values().initial_window),
            small_data: Default::default(),
            read_rate: Default::default(),
            write_rate: WriteRate::default(),
            due,
            queue: Default::default(),
            trailers: None,
        };
        let key = self.streams.insert(stream, opened);
        if self
            .limits
            .max_requests_per_connection
            .is_some_and(|max| self.requests >= max)
        {
            self.trips.note(Trip::MaxRequestsPerConnection);
            self.leave(turn, EndReason::Announced);
        }
        Event::Request { stream: key, body }
    }

    /// RFC 9218 section 7: what a PRIORITY_UPDATE said before the request came counts more than the request's own field.
    #[inline]
    fn first_priority(&mut self, stream: u32, field: Option<Priority>) -> Priority {
        self.speaks_priorities |= field.is_some();
        if !self.early_priorities.is_empty() {
            let early = self
                .early_priorities
                .iter()
                .position(|(early, _)| *early == stream)
                .map(|at| self.early_priorities.swap_remove(at).1);
            // Streams are opened in the order of their numbers, so older ones will not come any more.
            self.early_priorities.retain(|(early, _)| *early > stream);
            if let Some(priority) = early {
                return priority;
            }
        }
        match field {
            Some(priority) => priority,
            None if self.speaks_priorities => Priority::DEFAULT,
            None => Priority::UNSPOKEN,
        }
    }

    /// A second field block of a stream: trailers, if it is anything.
    #[cold]
    fn receive_trailers(
        &mut self,
        turn: &mut Turn<'_>,
        key: StreamKey,
        block: FieldBlock<'_>,
        head: &mut Head,
        text: &mut Vec<u8>,
    ) -> Result<Option<Event>, Fault> {
        let Some(stream) = self.streams.at(key) else {
            return Ok(None);
        };
        if stream.receive == Receive::Closed {
            return self.receive_late_block(turn, key, block, text);
        }
        let (is_read, left) = (stream.is_read(), stream.body_left);
        let fields = &mut head.fields;
        let rejected = trailers::decode(
            &mut self.terms.decoder,
            &self.limits,
            block,
            left,
            fields,
            text,
        )?;
        if let Some(Rejected::Malformed(malformed)) = rejected {
            self.reset_by_fault(turn, key, Reset::Malformed(malformed));
            return Ok(None);
        }
        self.stop_waiting(turn.now, key);
        self.receive_end(turn, key);
        Ok(match rejected {
            _ if !is_read => None,
            Some(Rejected::Refused(refusal)) => {
                self.fail_body(turn, key, refusal);
                None
            }
            _ => Some(Event::End {
                stream: key,
                trailers: !head.fields.is_empty(),
            }),
        })
    }

    /// HEADERS behind the end of the client's half (section 5.1, "half-closed (remote)" and "closed").
    fn receive_late_block(
        &mut self,
        turn: &mut Turn<'_>,
        key: StreamKey,
        block: FieldBlock<'_>,
        text: &mut Vec<u8>,
    ) -> Result<Option<Event>, Fault> {
        self.terms.decoder.pass_over(block.bytes, text)?;
        self.receive_behind_end(turn, key, block.end_stream)?;
        Ok(None)
    }
}
