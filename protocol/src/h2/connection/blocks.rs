//! Field blocks: gathered from their frames, decoded, and made a request or trailers of.
//!
//! Every block is decoded, also one that nobody wants: the table of fields is one for all streams (section 4.3).

use super::*;
use crate::h2::request::{Around, Malformed, Rejected, RequestFields, TrailerFields};
use crate::head::Framing;
use crate::hpack::Bounds;

/// Nothing of such a block is copied or reported.
const UNWANTED: Bounds = Bounds {
    list_bytes_max: 0,
    field_bytes_max: 0,
    fields_max: 0,
};

impl Connection {
    /// HEADERS that CONTINUATION follows.
    pub(super) fn begin_block(
        &mut self,
        now: Moment,
        stream: u32,
        end_stream: bool,
        fragment: &[u8],
    ) -> Result<(), Fault> {
        self.flood.field_block();
        self.block = Some(Block {
            stream,
            end_stream,
            bytes: Vec::new(),
        });
        self.deadlines
            .set(Timer::Head, now + self.limits.header_timeout);
        self.gather(fragment)
    }

    pub(super) fn continue_block(
        &mut self,
        turn: &mut Turn<'_>,
        end_headers: bool,
        fragment: &[u8],
        head: &mut Head,
        text: &mut Vec<u8>,
    ) -> Result<Option<Event>, Fault> {
        self.flood.continuation()?;
        self.gather(fragment)?;
        if !end_headers {
            return Ok(None);
        }
        let block = self.block.take().ok_or(Fault::FieldBlock)?;
        self.receive_block(
            turn,
            block.stream,
            block.end_stream,
            &block.bytes,
            head,
            text,
        )
    }

    /// Frames are bounded in number already; bytes are too, for this is held while the rest comes. Twice what a head may be:
    /// one that is only somewhat too long is answered with 431.
    fn gather(&mut self, fragment: &[u8]) -> Result<(), Fault> {
        let bytes_max = 2 * (self.limits.max_request_line + self.limits.max_header_bytes);
        let block = self.block.as_mut().ok_or(Fault::FieldBlock)?;
        if block.bytes.len() + fragment.len() > bytes_max {
            return Err(Trip::HeaderBytes.into());
        }
        // Held for as long as a head may take, by as many as like to: not a byte more than came.
        block.bytes.reserve_exact(fragment.len());
        block.bytes.extend_from_slice(fragment);
        Ok(())
    }

    /// A complete field block.
    #[inline]
    pub(super) fn receive_block(
        &mut self,
        turn: &mut Turn<'_>,
        stream: u32,
        end_stream: bool,
        block: &[u8],
        head: &mut Head,
        text: &mut Vec<u8>,
    ) -> Result<Option<Event>, Fault> {
        // Section 5.1.1: clients give odd numbers.
        if stream.is_multiple_of(2) {
            return Err(Fault::StreamNumber);
        }
        text.clear();
        if stream > self.last_stream {
            self.last_stream = stream;
            return self.receive_request(turn, stream, end_stream, block, head, text);
        }
        match self.streams.find(stream) {
            Some(key) => self.receive_trailers(turn, key, end_stream, block, head, text),
            None if self.streams.was_reset(stream) || self.is_ignored(stream) => {
                self.receive_late(turn.now, stream, end_stream)?;
                self.pass_over(block, text)?;
                Ok(None)
            }
            // Section 5.1.1: a number below the last is one that was used, or skipped and so closed.
            None => Err(Fault::ClosedStream),
        }
    }

    /// Decodes a block that nobody wants.
    fn pass_over(&mut self, block: &[u8], text: &mut Vec<u8>) -> Result<(), Fault> {
        self.decoder.decode(block, &UNWANTED, text, |_, _| {})?;
        text.clear();
        Ok(())
    }

    #[inline]
    fn receive_request(
        &mut self,
        turn: &mut Turn<'_>,
        stream: u32,
        end_stream: bool,
        block: &[u8],
        head: &mut Head,
        text: &mut Vec<u8>,
    ) -> Result<Option<Event>, Fault> {
        if self.is_ignored(stream) {
            self.flood.control(turn.now)?;
            self.pass_over(block, text)?;
            return Ok(None);
        }
        if self.streams.count() >= self.limits.h2_max_streams as usize {
            self.pass_over(block, text)?;
            self.refuse_stream(turn, stream, end_stream)?;
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
            connect_protocol: self.own.wanted().connect_protocol,
            end_stream,
        };
        let mut fields = RequestFields::new(head, limits);
        let decoded = self
            .decoder
            .decode_judged(block, &bounds, text, |field, text| fields.take(field, text))?;
        let head_request = fields.is_head_request(text);
        match fields.judge(text, &decoded, &around) {
            Ok(priority) => Ok(Some(self.open(turn, stream, end_stream, priority, head))),
            Err(rejected) => {
                self.reject(turn, stream, end_stream, head_request, rejected)?;
                Ok(None)
            }
        }
    }

    /// Section 5.1.2: one stream too many. It was not looked at, so the client may ask again.
    #[cold]
    fn refuse_stream(
        &mut self,
        turn: &mut Turn<'_>,
        stream: u32,
        end_stream: bool,
    ) -> Result<(), Fault> {
        self.trip = Some(Trip::Streams);
        let reason = Reset::Trip(Trip::Streams);
        self.note_offence(stream, Offence::Reset(reason));
        self.encode_reset(turn, stream, reason.code(), !end_stream);
        // Before it has heard of our SETTINGS a client may know no better.
        if self.own.acknowledged().max_streams.is_none() {
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
    ) -> Event {
        self.requests += 1;
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
        let key = self.streams.insert(Stream {
            id: stream,
            receive: if end_stream {
                Receive::Closed
            } else {
                Receive::Open
            },
            transmit: Transmit::Pending,
            end: End::No,
            priority,
            head_request: head.method == crate::method::Method::Head,
            continue_owed: head.expect_continue && body,
            wanted: false,
            bodiless: !body,
            was_full: false,
            reset: false,
            answered: None,
            failure: None,
            body_left: announced,
            body_bytes: 0,
            body_bytes_sent: 0,
            max_body: self.limits.max_request_body,
            min_body_rate: self.limits.body_rate(),
            min_response_rate: self.limits.response_rate(),
            receive_window: ReceiveWindow::new(self.own.wanted().initial_window, now),
            send_window: SendWindow::new(self.peer.values().initial_window),
            small_data: Default::default(),
            read_rate: Default::default(),
            write_rate: WriteRate::default(),
            due,
            queue: Default::default(),
            trailers: None,
        });
        if self
            .limits
            .max_requests_per_connection
            .is_some_and(|max| self.requests >= max)
        {
            self.trip = Some(Trip::MaxRequestsPerConnection);
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
        end_stream: bool,
        block: &[u8],
        head: &mut Head,
        text: &mut Vec<u8>,
    ) -> Result<Option<Event>, Fault> {
        let is_read = match self.streams.at(key) {
            Some(stream) if stream.receive == Receive::Closed => {
                return self.receive_late_block(turn, key, end_stream, block, text);
            }
            Some(stream) => stream.is_read(),
            None => false,
        };
        let bounds = Bounds {
            list_bytes_max: self.limits.max_header_bytes as u32,
            field_bytes_max: self.limits.h2_max_header_field as u32,
            fields_max: u32::MAX,
        };
        let mut trailers = TrailerFields::new(&mut head.fields, self.limits.max_header_count);
        let decoded = self
            .decoder
            .decode_judged(block, &bounds, text, |field, text| {
                trailers.take(field, text)
            })?;
        let judged = trailers.judge_all(&decoded);
        let length_kept = self
            .streams
            .at(key)
            .is_some_and(|stream| stream.body_left.is_none_or(|left| left == 0));
        // Section 8.1: a field block behind the content ends the message.
        let malformed = match judged {
            _ if !end_stream => Some(Malformed::TrailersWithoutEnd),
            Err(Rejected::Malformed(malformed)) => Some(malformed),
            _ if !length_kept => Some(Malformed::ContentLength),
            _ => None,
        };
        if let Some(malformed) = malformed {
            self.reset_by_fault(turn, key, Reset::Malformed(malformed));
            return Ok(None);
        }
        self.stop_waiting(turn.now, key);
        self.receive_end(turn, key);
        Ok(match judged {
            _ if !is_read => None,
            Err(Rejected::Refused(refusal)) => {
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
        end_stream: bool,
        block: &[u8],
        text: &mut Vec<u8>,
    ) -> Result<Option<Event>, Fault> {
        self.pass_over(block, text)?;
        self.receive_behind_end(turn, key, end_stream)?;
        Ok(None)
    }
}
