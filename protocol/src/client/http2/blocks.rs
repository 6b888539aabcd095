//! Field blocks: decoded, and made a response or trailers of.
//!
//! Every block is decoded, also one that nobody wants: the table of fields is one for all streams (section 4.3).

use super::response_fields::ResponseFields;
use super::*;
use crate::client::INFORMATIONAL_MAX;
use crate::h2::reader::FieldBlock;
use crate::h2::request::trailers;
use crate::hpack::Bounds;

impl Connection {
    /// A complete field block.
    #[inline]
    pub(super) fn receive_block(
        &mut self,
        turn: &mut Turn<'_>,
        block: FieldBlock<'_>,
        response: &mut Response,
        text: &mut Vec<u8>,
    ) -> Result<Option<Event>, Fault> {
        text.clear();
        let Some(key) = self.streams.find(block.stream) else {
            self.receive_late(turn.now, block.stream, block.end_stream)?;
            self.terms.decoder.pass_over(block.bytes, text)?;
            return Ok(None);
        };
        match self.streams.at(key).map(|stream| stream.receive) {
            Some(Receive::Head) => self.receive_head(turn, key, block, response, text),
            Some(Receive::Body { left }) => {
                self.receive_trailers(turn, key, left, block, response, text)
            }
            Some(Receive::Closed) | None => {
                self.terms.decoder.pass_over(block.bytes, text)?;
                self.reset_by_fault(turn, key, Reset::FrameAfterEnd);
                Ok(None)
            }
        }
    }

    /// Of a stream that the server has ended nothing more comes.
    fn forget_if(&mut self, key: StreamKey, ended: bool) {
        if ended {
            self.streams.forget_reset(key.id);
        }
    }

    #[inline]
    fn receive_head(
        &mut self,
        turn: &mut Turn<'_>,
        key: StreamKey,
        block: FieldBlock<'_>,
        response: &mut Response,
        text: &mut Vec<u8>,
    ) -> Result<Option<Event>, Fault> {
        let end_stream = block.end_stream;
        let bounds = Bounds {
            list_bytes_max: u32::try_from(self.limits.max_header_bytes).unwrap_or(u32::MAX),
            field_bytes_max: self.limits.h2_max_header_field as u32,
            fields_max: u32::MAX,
        };
        let head_request = self
            .streams
            .at(key)
            .is_some_and(|stream| stream.head_request);
        let mut fields = ResponseFields::new(response, self.limits.max_header_count);
        let decoded = self
            .terms
            .decoder
            .decode(block.bytes, &bounds, text, |field, text| {
                fields.take(field, text);
            })?;
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
        left: Option<u64>,
        block: FieldBlock<'_>,
        response: &mut Response,
        text: &mut Vec<u8>,
    ) -> Result<Option<Event>, Fault> {
        let fields = &mut response.fields;
        let rejected = trailers::decode(
            &mut self.terms.decoder,
            &self.limits,
            block,
            left,
            fields,
            text,
        )?;
        if let Some(rejected) = rejected {
            self.reset_by_fault(turn, key, rejected.into());
            self.forget_if(key, block.end_stream);
            return Ok(None);
        }
        self.receive_end(turn, key);
        Ok(Some(Event::End {
            stream: key,
            trailers: !response.fields.is_empty(),
        }))
    }
}
