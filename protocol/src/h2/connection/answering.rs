//! What the app answers, and what the engine answers in its place: the heads of responses, and the end of an exchange.
//!
//! A head goes straight into the output, for the encoder's table wants blocks in the order of the wire. Bodies are sent in
//! `sending`.

use super::*;
use crate::hpack::Indexing;

/// Names of fields are copied into this where they must be written in lower case.
const NAME_BYTES_USUAL: usize = 64;

impl Connection {
    /// Begins the answer. `_complete`, that the app has nothing more to read, decides nothing here: a body that is left unread
    /// holds up nobody.
    ///
    /// # Errors
    /// What the app did wrong; the stream is as before, and still owes an answer.
    pub fn respond(
        &mut self,
        stream: StreamKey,
        turn: &mut Turn<'_>,
        head: &ResponseHead<'_>,
        _complete: bool,
    ) -> Result<(), ResponseError> {
        if head.status.code() < 200 {
            return Err(ResponseError::InformationalStatus);
        }
        let Some(found) = self.streams.at_mut(stream) else {
            return Ok(());
        };
        if found.reset || found.transmit != Transmit::Pending {
            found.transmit = Transmit::Suppressed;
            return Ok(());
        }
        if let Some(refusal) = found.failure {
            self.answer_refusal(turn, stream, refusal);
            return Ok(());
        }
        found.continue_owed = false;
        found.answered = Some(head.status);
        let (announced, transmit) = framing(head, found.head_request);
        let ends = !matches!(transmit, Transmit::Body { left } if left != Some(0));
        found.transmit = transmit;
        if ends {
            found.end = End::Sent;
        }
        self.output_rate.note(found.min_response_rate);
        self.encode_head(turn, stream.id, head, announced, ends);
        Ok(())
    }

    /// Whether body bytes offered to [`Connection::send`] go anywhere (not for HEAD, 204, 304, a replaced answer, or a stream
    /// that was reset).
    pub fn sends_body(&self, stream: StreamKey) -> bool {
        self.streams
            .at(stream)
            .is_some_and(|stream| !stream.reset && matches!(stream.transmit, Transmit::Body { .. }))
    }

    /// Ends the answer, and with it the exchange. Trailers are sent where the app did not announce a length, as on HTTP/1.1.
    ///
    /// # Errors
    /// [`ResponseError::TooFewBytes`]; the stream is reset then.
    pub fn finish(
        &mut self,
        stream: StreamKey,
        turn: &mut Turn<'_>,
        trailers: Option<&Fields>,
    ) -> Result<(), ResponseError> {
        let Some(found) = self.streams.at_mut(stream) else {
            return Ok(());
        };
        match found.transmit {
            Transmit::Pending if !found.reset => return Ok(()),
            Transmit::Body { left: Some(1..) } if !found.reset => {
                self.reset(stream, turn, ErrorCode::INTERNAL_ERROR);
                return Err(ResponseError::TooFewBytes);
            }
            Transmit::Body { left: None } if !found.reset => {
                if found.queue.is_empty() {
                    found.end = End::Sent;
                    self.output_rate.note(found.min_response_rate);
                    self.encode_end(turn, stream.id, trailers);
                } else {
                    found.end = End::Queued;
                    found.trailers = trailers.filter(|fields| !fields.is_empty()).cloned();
                }
            }
            _ => {}
        }
        self.end_exchange(turn, stream);
        Ok(())
    }

    /// The end of an answer behind its last byte.
    pub(super) fn encode_end(
        &mut self,
        turn: &mut Turn<'_>,
        stream: u32,
        trailers: Option<&Fields>,
    ) {
        match trailers {
            Some(fields) if !fields.is_empty() => {
                let out = turn.output.tail();
                let begin = frame::begin_headers(out);
                encode_fields(&mut self.terms.encoder, fields, out);
                let bytes_max = self.terms.peer.values().max_frame;
                frame::finish_headers(begin, stream, true, bytes_max, out);
            }
            _ => {
                frame::encode_data_header(stream, true, 0, turn.output.tail());
                self.flood.data_sent(0, false);
            }
        }
    }

    /// The exchange is over in the engine: the app's future has ended.
    pub(super) fn end_exchange(&mut self, turn: &mut Turn<'_>, key: StreamKey) {
        self.stop_waiting(turn.now, key);
        let Some(stream) = self.streams.at_mut(key) else {
            return;
        };
        stream.transmit = Transmit::Over;
        stream.due.request = Moment::MAX;
        self.last_answer = LastAnswer::new(key, stream);
        if stream.is_over() {
            self.remove(turn, key);
        } else if stream.receive == Receive::Open {
            self.drain(turn, key);
        }
    }

    /// The engine has dropped an exchange that [`Event::Reset`] ended: its stream is free.
    pub fn release(&mut self, stream: StreamKey, turn: &mut Turn<'_>) {
        let ended = self
            .streams
            .at(stream)
            .is_some_and(|stream| stream.reset || stream.transmit == Transmit::Suppressed);
        if ended {
            self.end_exchange(turn, stream);
        }
    }

    /// The app or the engine gives a stream up: its exchange is over, and the client is told so by `code`.
    pub fn reset(&mut self, stream: StreamKey, turn: &mut Turn<'_>, code: ErrorCode) {
        let Some(found) = self.streams.at(stream) else {
            return;
        };
        let more = found.receive != Receive::Closed;
        if !found.reset && (more || found.end != End::Sent) {
            self.encode_reset(turn, stream.id, code, more);
        }
        if let Some(found) = self.streams.at_mut(stream) {
            found.reset = true;
            found.receive = Receive::Closed;
            found.end = End::Sent;
            self.end_exchange(turn, stream);
        }
    }

    /// Answers with the engine's own words for a refusal, and ends the exchange. Other streams go on.
    pub fn refuse(&mut self, stream: StreamKey, turn: &mut Turn<'_>, refusal: Refusal) {
        self.note(refusal);
        if self.awaits_response(stream) {
            self.answer_refusal(turn, stream, refusal);
            self.end_exchange(turn, stream);
        } else {
            self.reset(stream, turn, ErrorCode::INTERNAL_ERROR);
        }
    }

    /// Writes the engine's own words. What the app may still offer goes nowhere.
    pub(super) fn answer_refusal(&mut self, turn: &mut Turn<'_>, key: StreamKey, refusal: Refusal) {
        let Some(stream) = self.streams.at_mut(key) else {
            return;
        };
        stream.transmit = Transmit::Suppressed;
        stream.end = End::Sent;
        stream.continue_owed = false;
        let (head_request, room) = (stream.head_request, stream.send_window.available());
        let (status, sent) = self.encode_refusal(turn, key.id, refusal, head_request, room);
        if let Some(stream) = self.streams.at_mut(key) {
            stream.answered = Some(status);
            stream.body_bytes_sent = sent;
        }
    }

    /// Answers what never became a request.
    pub(super) fn answer_unopened(
        &mut self,
        turn: &mut Turn<'_>,
        stream: u32,
        head_request: bool,
        refusal: Refusal,
    ) {
        self.note(refusal);
        let room = self.terms.peer.values().initial_window;
        let (status, _) = self.encode_refusal(turn, stream, refusal, head_request, room);
        self.owed.push_back(Event::Refused { status });
    }

    /// A head, and the words behind it if there is `room` for them in the stream's window and in the connection's: nothing
    /// of such an answer is kept.
    #[cold]
    fn encode_refusal(
        &mut self,
        turn: &mut Turn<'_>,
        stream: u32,
        refusal: Refusal,
        head_request: bool,
        room: u32,
    ) -> (Status, u64) {
        let status = refusal
            .status()
            .and_then(Status::new)
            .unwrap_or(Status::BAD_REQUEST);
        let text = format!("{status}\n{refusal}\n");
        let bytes = text.len() as u32;
        let mut fields = Fields::new();
        fields.content_type(ContentType::TEXT);
        let fits = !head_request && bytes <= room.min(self.send_window.available());
        let head = ResponseHead {
            status,
            fields: &fields,
            length: BodyLength::Known(u64::from(bytes)),
        };
        let announced = (fits || head_request).then_some(u64::from(bytes));
        self.encode_head(turn, stream, &head, announced, !fits);
        if !fits {
            return (status, 0);
        }
        self.send_window.take(bytes);
        self.flood.data_sent(bytes, false);
        let out = turn.output.tail();
        frame::encode_data(
            stream,
            true,
            text.as_bytes(),
            self.terms.peer.values().max_frame,
            out,
        );
        (status, u64::from(bytes))
    }

    /// RFC 9110 section 15.2.1: the client may send what it holds back.
    pub(super) fn encode_continue(&mut self, turn: &mut Turn<'_>, stream: u32) {
        let out = turn.output.tail();
        let begin = frame::begin_headers(out);
        self.terms.encoder.encode_status(100, out);
        frame::finish_headers(
            begin,
            stream,
            false,
            self.terms.peer.values().max_frame,
            out,
        );
    }

    #[inline]
    fn encode_head(
        &mut self,
        turn: &mut Turn<'_>,
        stream: u32,
        head: &ResponseHead<'_>,
        announced: Option<u64>,
        ends: bool,
    ) {
        let out = turn.output.tail();
        let begin = frame::begin_headers(out);
        let state = self.terms.encoder.state();
        let repeated = state.is_some_and(|state| {
            self.heads
                .repeat(head.status, turn.date, head.fields, state, out)
        });
        if !repeated {
            self.encode_other_head(turn.date, head, out);
        }
        if let Some(length) = announced {
            self.terms.encoder.encode_content_length(length, out);
        }
        frame::finish_headers(begin, stream, ends, self.terms.peer.values().max_frame, out);
    }

    /// A head whose fields must be looked for. It is kept, for the next one may be the same.
    fn encode_other_head(&mut self, date: &[u8; 29], head: &ResponseHead<'_>, out: &mut Vec<u8>) {
        let begin = out.len();
        let before = self.terms.encoder.state();
        let encoder = &mut self.terms.encoder;
        encoder.encode_status(head.status.code(), out);
        // The same for all answers of a second.
        encoder.encode_field(b"date", date, Indexing::ByName, out);
        if let Some(server) = &self.limits.server_header {
            encoder.encode_field(b"server", server.as_bytes(), Indexing::Wanted, out);
        }
        encode_fields(encoder, head.fields, out);
        if let Some(state) = self
            .terms
            .encoder
            .state()
            .filter(|state| before == Some(*state))
        {
            self.heads
                .keep(head.status, date, head.fields, state, &out[begin..]);
        }
    }
}

/// Which length is announced, and what is sent: as on HTTP/1.1, without the codings that HTTP/2 does not have.
fn framing(head: &ResponseHead<'_>, head_request: bool) -> (Option<u64>, Transmit) {
    if head.status.never_has_content() {
        return (None, Transmit::Suppressed);
    }
    let length = match head.length {
        // RFC 9110 section 15.3.6: a 205 has no content, and says so by its length.
        _ if head.status == Status::RESET_CONTENT => return (Some(0), Transmit::Suppressed),
        BodyLength::Known(length) => Some(length),
        BodyLength::Unknown => None,
    };
    let transmit = if head_request {
        Transmit::Suppressed
    } else {
        Transmit::Body { left: length }
    };
    (length, transmit)
}

/// An app's fields. Names are in lower case on HTTP/2 (section 8.2.1), however the app writes them.
#[inline]
fn encode_fields(encoder: &mut Encoder, fields: &Fields, out: &mut Vec<u8>) {
    for (name, value) in fields.lines() {
        if !name.iter().any(u8::is_ascii_uppercase) {
            encoder.encode_field(name, value, Indexing::ByName, out);
            continue;
        }
        let mut usual = [0; NAME_BYTES_USUAL];
        match usual.get_mut(..name.len()) {
            Some(lower) => {
                lower.copy_from_slice(name);
                lower.make_ascii_lowercase();
                encoder.encode_field(lower, value, Indexing::ByName, out);
            }
            None => {
                let lower = name.to_ascii_lowercase();
                encoder.encode_field(&lower, value, Indexing::ByName, out);
            }
        }
    }
}
