//! Requests and answers of HTTP/2, written and read with the codecs of `lanner_protocol`: what they cost is the client's, and
//! they have tests of their own against other implementations. Of the state of a connection there is as much as a client needs
//! that asks for something short and waits.

use crate::field_list::Field;
use lanner_protocol::h2::frame::{self, Frame, FrameHeader, HEADER_BYTES, PAYLOAD_BYTES_DEFAULT};
use lanner_protocol::h2::settings::Id;
use lanner_protocol::hpack::{Bounds, Decoder, Encoder, Indexing, TABLE_BYTES_INITIAL};
use std::collections::HashMap;
use std::fmt;
use std::io;

/// What answers may weigh.
const BOUNDS: Bounds = Bounds {
    list_bytes_max: 16 * 1024,
    field_bytes_max: 8 * 1024,
    fields_max: 32,
};

/// All the room for answers that a connection's window can have, so that no WINDOW_UPDATE is needed on the way.
const WINDOW_MORE: u32 = frame::STREAM_MAX - 65_535;

/// One connection.
pub(super) struct Http2 {
    encoder: Encoder,
    decoder: Decoder,
    /// The number of the next stream.
    stream: u32,
    /// What came of answers that are not complete, by stream: their bodies, once a head with status 200 is there.
    answers: HashMap<u32, Option<Vec<u8>>>,
    settings: bool,
    settings_ack: bool,
    text: Vec<u8>,
}

impl fmt::Debug for Http2 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Http2");
        shown.field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Default for Http2 {
    fn default() -> Self {
        Self {
            encoder: Encoder::new(TABLE_BYTES_INITIAL),
            decoder: Decoder::new(TABLE_BYTES_INITIAL),
            stream: 1,
            answers: HashMap::new(),
            settings: false,
            settings_ack: false,
            text: Vec::new(),
        }
    }
}

impl Http2 {
    /// What a client says first.
    pub(super) fn write_greeting(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(frame::PREFACE);
        frame::encode_settings(&[], out);
        frame::encode_window_update(0, WINDOW_MORE, out);
    }

    /// Whether the server has said its SETTINGS and taken note of ours; what is then to be said is in `out`.
    pub(super) fn hear_greeting(
        &mut self,
        received: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> io::Result<bool> {
        if self.take_answer(received, &[])? {
            return wrong("answer came unasked");
        }
        let is_heard = self.settings && self.settings_ack;
        if is_heard {
            frame::encode_settings_ack(out);
        }
        Ok(is_heard)
    }

    /// Adds a request without a body. Its path goes into no table, as clients have it; other fields may.
    pub(super) fn write_request(&mut self, fields: &[Field], out: &mut Vec<u8>) {
        let begin = frame::begin_headers(out);
        for (name, value) in fields {
            let indexing = match name.as_slice() {
                b":path" => Indexing::Without,
                _ => Indexing::Wanted,
            };
            self.encoder.encode_field(name, value, indexing, out);
        }
        frame::finish_headers(begin, self.stream, true, PAYLOAD_BYTES_DEFAULT, out);
        self.answers.insert(self.stream, None);
        self.stream += 2;
    }

    /// Takes frames until an answer is complete, which must be 200 with this body; false if there is none.
    pub(super) fn take_answer(&mut self, received: &mut Vec<u8>, right: &[u8]) -> io::Result<bool> {
        let mut at = 0;
        let mut is_complete = false;
        while let Some(header) = received[at..].first_chunk::<HEADER_BYTES>()
            && !is_complete
        {
            let header = FrameHeader::parse(header);
            let start = at + HEADER_BYTES;
            let Some(payload) = received.get(start..start + header.length as usize) else {
                break;
            };
            let judged = header.judge(PAYLOAD_BYTES_DEFAULT);
            let frame = judged.and_then(|()| Frame::parse(header, payload));
            let frame =
                frame.map_err(|fault| io::Error::other(format!("an answer's frame: {fault:?}")))?;
            is_complete = self.handle(&frame, right)?;
            at = start + payload.len();
        }
        received.drain(..at);
        Ok(is_complete)
    }

    /// True where an answer ends.
    fn handle(&mut self, frame: &Frame<'_>, right: &[u8]) -> io::Result<bool> {
        match *frame {
            Frame::Settings(entries) => {
                self.settings = true;
                for (id, value) in entries.iter() {
                    if id == Id::HEADER_TABLE_SIZE {
                        self.encoder.set_peer_max(value);
                    }
                }
            }
            Frame::SettingsAck => self.settings_ack = true,
            Frame::WindowUpdate { .. } => {}
            Frame::Headers {
                stream,
                end_stream: false,
                end_headers: true,
                fragment,
                ..
            } => self.take_head(stream, fragment)?,
            Frame::Data {
                stream,
                end_stream,
                data,
                ..
            } => return self.take_data(stream, data, end_stream, right),
            ref other => return wrong(&format!("answer has another frame: {other:?}")),
        }
        Ok(false)
    }

    fn take_head(&mut self, stream: u32, block: &[u8]) -> io::Result<()> {
        self.text.clear();
        let mut is_right = false;
        let report = |field: lanner_protocol::hpack::Field, text: &[u8]| {
            let (name, value) = (field.span.name.slice(text), field.span.value.slice(text));
            is_right |= name == b":status" && value == b"200";
        };
        let decoded = self
            .decoder
            .decode(block, &BOUNDS, &mut self.text, report)
            .map_err(|fault| io::Error::other(format!("an answer's fields: {fault:?}")))?;
        match self.answers.get_mut(&stream) {
            Some(answer @ None) if is_right && decoded.exceeded.is_none() => {
                *answer = Some(Vec::new());
                Ok(())
            }
            _ => wrong("answer is not 200, or to another question"),
        }
    }

    fn take_data(
        &mut self,
        stream: u32,
        data: &[u8],
        end_stream: bool,
        right: &[u8],
    ) -> io::Result<bool> {
        let Some(Some(body)) = self.answers.get_mut(&stream) else {
            return wrong("answer has a body and no head");
        };
        body.extend_from_slice(data);
        if !end_stream {
            return Ok(false);
        }
        if body != right {
            return wrong("answer's body is not as it should be");
        }
        self.answers.remove(&stream);
        Ok(true)
    }
}

fn wrong<T>(what: &str) -> io::Result<T> {
    Err(io::Error::other(format!("an {what}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::field_list;

    /// A client that has asked twice.
    fn asked() -> Http2 {
        let (mut http2, mut out) = (Http2::default(), Vec::new());
        for number in 0..2 {
            http2.write_request(&field_list::of(number, "GET", "/", "http"), &mut out);
        }
        http2
    }

    /// 0x88 is `:status: 200` and 0x8d `:status: 404`.
    fn answer(stream: u32, status: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame::encode_headers(stream, false, &[status], PAYLOAD_BYTES_DEFAULT, &mut bytes);
        frame::encode_data(stream, true, body, PAYLOAD_BYTES_DEFAULT, &mut bytes);
        bytes
    }

    #[test]
    fn an_answer_is_complete_with_its_last_byte_in_whichever_order() {
        let (third, first) = (answer(3, 0x88, b"abc"), answer(1, 0x88, b"abc"));
        let both = [third.clone(), first].concat();
        for cut in 0..both.len() {
            let mut http2 = asked();
            let mut received = both[..cut].to_vec();
            let is_first_here = cut >= third.len();
            let taken = http2.take_answer(&mut received, b"abc").unwrap();
            assert_eq!(taken, is_first_here, "{cut}");
            assert!(!is_first_here || !http2.take_answer(&mut received, b"abc").unwrap());
            received.extend_from_slice(&both[cut..]);
            assert!(http2.take_answer(&mut received, b"abc").unwrap());
            assert_eq!(received.is_empty(), is_first_here);
        }
    }

    #[test]
    fn what_is_not_the_expected_answer_is_an_error() {
        let twice = [answer(1, 0x88, b"abc"), answer(1, 0x88, b"abc")].concat();
        let mut reset = Vec::new();
        frame::encode_reset(1, lanner_protocol::h2::error_code::ErrorCode(0), &mut reset);
        for bytes in [
            answer(1, 0x8d, b"abc"),
            answer(1, 0x88, b"abd"),
            answer(5, 0x88, b"abc"),
            twice,
            reset,
        ] {
            let (mut http2, mut received) = (asked(), bytes);
            let first = http2.take_answer(&mut received, b"abc");
            let taken = first.and_then(|_| http2.take_answer(&mut received, b"abc"));
            assert!(taken.is_err(), "{received:?}");
        }
    }

    #[test]
    fn a_greeting_is_heard_when_both_its_frames_are_there() {
        let (mut http2, mut out) = (Http2::default(), Vec::new());
        let mut received = Vec::new();
        frame::encode_settings(&[(Id::HEADER_TABLE_SIZE, 0)], &mut received);
        assert!(!http2.hear_greeting(&mut received, &mut out).unwrap());
        assert!(out.is_empty());
        frame::encode_settings_ack(&mut received);
        assert!(http2.hear_greeting(&mut received, &mut out).unwrap());
        let mut ack = Vec::new();
        frame::encode_settings_ack(&mut ack);
        assert_eq!(out, ack);
    }
}
