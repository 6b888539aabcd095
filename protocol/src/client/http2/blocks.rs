//! Field blocks: gathered from their frames, decoded, and made a response or trailers of.
//!
//! Every block is decoded, also one that nobody wants: the table of fields is one for all streams (section 4.3).

use super::response_fields::ResponseFields;
use super::*;
use crate::client::INFORMATIONAL_MAX;
use crate::h2::request::{Malformed, TrailerFields};
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
    ) -> Result<(), Error> {
        self.block = Some(Block {
            stream,
            end_stream,
            bytes: Vec::new(),
        });
        self.head_due = now + self.limits.header_timeout;
        self.gather(fragment)
    }

    pub(super) fn continue_block(
        &mut self,
        turn: &mut Turn<'_>,
        end_headers: bool,
        fragment: &[u8],
        response: &mut Response,
        text: &mut Vec<u8>,
    ) -> Result<Option<Event>, Error> {
        if self.block.is_none() {
            return Err(Error::FieldBlock);
        }
        self.flood.continuation()?;
        self.gather(fragment)?;
        if !end_headers {
            return Ok(None);
        }
        let block = self.block.take().ok_or(Error::FieldBlock)?;
        let (stream, end_stream) = (block.stream, block.end_stream);
        self.receive_block(turn, stream, end_stream, &block.bytes, response, text)
    }

    /// Frames are bounded in number already; bytes are too, for this is held while the rest comes. Twice what a head may be:
    /// one that is only somewhat too long ends its stream, and not the connection.
    fn gather(&mut self, fragment: &[u8]) -> Result<(), Error> {
        let bytes_max = 2 * self.limits.max_header_bytes;
        let block = self.block.as_mut().ok_or(Error::FieldBlock)?;
        // What fits into one frame was let in as a frame already.
        if !block.bytes.is_empty() && block.bytes.len() + fragment.len() > bytes_max {
            return Err(Trip::HeaderBytes.into());
        }
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
        response: &mut Response,
        text: &mut Vec<u8>,
    ) -> Result<Option<Event>, Error> {
        text.clear();
        let Some(key) = self.streams.find(stream) else {
            self.receive_late_block(turn, stream, end_stream, block, text)?;
            return Ok(None);
        };
        match self.streams.at(key).map(|stream| stream.receive) {
            Some(Receive::Head) => self.receive_head(turn, key, end_stream, block, response, text),
            Some(Receive::Body { .. }) => {
                self.receive_trailers(turn, key, end_stream, block, response, text)
            }
            Some(Receive::Closed) | None => {
                self.decoder.decode(block, &UNWANTED, text, |_, _| {})?;
                self.reset_by_fault(turn, key, Reset::FrameAfterEnd);
                Ok(None)
            }
        }
    }

    /// A block of a stream that is not open.
    #[cold]
    fn receive_late_block(
        &mut self,
        turn: &mut Turn<'_>,
        stream: u32,
        end_stream: bool,
        block: &[u8],
        text: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if self.is_idle(stream) {
            return Err(Error::IdleStream);
        }
        if !self.streams.was_reset(stream) {
            return Err(Error::ClosedStream);
        }
        self.flood.control(turn.now)?;
        self.decoder.decode(block, &UNWANTED, text, |_, _| {})?;
        if end_stream {
            self.streams.forget_reset(stream);
        }
        Ok(())
    }

    /// Of a stream that the server has ended nothing more comes.
    fn forget_if(&mut self, key: StreamKey, ended: bool) {
        if ended {
            self.streams.forget_reset(key.id);
        }
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            list_bytes_max: u32::try_from(self.limits.max_header_bytes).unwrap_or(u32::MAX),
            field_bytes_max: self.limits.h2_max_header_field as u32,
            fields_max: u32::MAX,
        }
    }

    #[inline]
    fn receive_head(
        &mut self,
        turn: &mut Turn<'_>,
        key: StreamKey,
        end_stream: bool,
        block: &[u8],
        response: &mut Response,
        text: &mut Vec<u8>,
    ) -> Result<Option<Event>, Error> {
        let bounds = self.bounds();
        let head_request = self
            .streams
            .at(key)
            .is_some_and(|stream| stream.head_request);
        let mut fields = ResponseFields::new(response, self.limits.max_header_count);
        let decoded = self
            .decoder
            .decode(block, &bounds, text, |field, text| fields.take(field, text))?;
        if let Err(reason) = fields.judge(text, &decoded, head_request, end_stream) {
            self.reset_by_fault(turn, key, reason);
            self.forget_if(key, end_stream);
            return Ok(None);
        }
        if response.status.code() < 200 {
            return Ok(self.receive_informational(turn, key, end_stream));
        }
        if end_stream {
            self.receive_end(turn, key);
        } else if let Some(stream) = self.streams.at_mut(key) {
            // Section 8.1.1: where there is no content by definition, none may come.
            let contentless = head_request || response.status.never_has_content();
            let left = if contentless {
                Some(0)
            } else {
                response.content_length
            };
            stream.receive = Receive::Body { left };
        }
        Ok(Some(Event::Response {
            stream: key,
            last: end_stream,
        }))
    }

    /// Section 8.1: informational responses do not end the stream.
    #[cold]
    fn receive_informational(
        &mut self,
        turn: &mut Turn<'_>,
        key: StreamKey,
        end_stream: bool,
    ) -> Option<Event> {
        let stream = self.streams.at_mut(key)?;
        stream.informational += 1;
        if end_stream {
            self.reset_by_fault(turn, key, Reset::OutOfOrder);
            self.streams.forget_reset(key.id);
            return None;
        }
        if stream.informational > INFORMATIONAL_MAX {
            self.reset_by_fault(turn, key, Reset::InformationalFlood);
            return None;
        }
        Some(Event::Informational { stream: key })
    }

    /// A field block behind the content: trailers, if it is anything.
    #[cold]
    fn receive_trailers(
        &mut self,
        turn: &mut Turn<'_>,
        key: StreamKey,
        end_stream: bool,
        block: &[u8],
        response: &mut Response,
        text: &mut Vec<u8>,
    ) -> Result<Option<Event>, Error> {
        let bounds = self.bounds();
        let mut trailers = TrailerFields::new(&mut response.fields, self.limits.max_header_count);
        let decoded = self
            .decoder
            .decode_judged(block, &bounds, text, |field, text| {
                trailers.take(field, text)
            })?;
        let judged = trailers.judge_all(&decoded);
        let left = match self.streams.at(key).map(|stream| stream.receive) {
            Some(Receive::Body { left }) => left,
            _ => None,
        };
        let reason = match judged {
            // Section 8.1: a field block behind the content ends the message.
            _ if !end_stream => Some(Malformed::TrailersWithoutEnd.into()),
            Err(rejected) => Some(Reset::from(rejected)),
            Ok(()) if left.is_some_and(|left| left > 0) => Some(Malformed::ContentLength.into()),
            Ok(()) => None,
        };
        if let Some(reason) = reason {
            self.reset_by_fault(turn, key, reason);
            self.forget_if(key, end_stream);
            return Ok(None);
        }
        self.receive_end(turn, key);
        Ok(Some(Event::End {
            stream: key,
            trailers: !response.fields.is_empty(),
        }))
    }
}
