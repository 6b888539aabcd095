//! The field section behind a body (RFC 9113 section 8.1): no pseudo-fields, and none of the fields that must come before
//! the content.

use super::{Malformed, Rejected, field};
use crate::chunked::is_forbidden_trailer;
use crate::field::FieldSpan;
use crate::h2::reader::FieldBlock;
use crate::hpack::{self, Bounds, Decoded, Decoder, Exceeded, Field, KnownName};
use crate::misbehaviour::Misbehaviour;
use lanner_limits::{Limits, Trip};

/// Decodes a field block that came behind the head of a message. `left` is what is missing of the content, where its length was
/// said. Gives why the block is not handed on, if it is not.
pub(crate) fn decode(
    decoder: &mut Decoder,
    limits: &Limits,
    block: FieldBlock<'_>,
    left: Option<u64>,
    fields: &mut Vec<FieldSpan>,
    text: &mut Vec<u8>,
) -> Result<Option<Rejected>, hpack::Fault> {
    let bounds = Bounds {
        list_bytes_max: u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX),
        field_bytes_max: limits.h2_max_header_field as u32,
        fields_max: u32::MAX,
    };
    let mut trailers = TrailerFields::new(fields, limits.max_header_count);
    let decoded = decoder.decode_judged(block.bytes, &bounds, text, |field, text| {
        trailers.take(field, text)
    })?;
    Ok(match trailers.judge_all(&decoded).err() {
        // Section 8.1: a field block behind the content ends the message.
        _ if !block.end_stream => Some(Malformed::TrailersWithoutEnd.into()),
        Some(Rejected::Malformed(malformed)) => Some(malformed.into()),
        _ if left.is_some_and(|left| left > 0) => Some(Malformed::ContentLength.into()),
        rejected => rejected,
    })
}

/// Takes the fields of a trailer section as they are decoded; spans are relative to the decoded text.
struct TrailerFields<'a> {
    fields: &'a mut Vec<FieldSpan>,
    fields_max: usize,
    rejected: Option<Rejected>,
}

impl<'a> TrailerFields<'a> {
    /// `fields` is emptied first and keeps its memory.
    fn new(fields: &'a mut Vec<FieldSpan>, fields_max: usize) -> Self {
        fields.clear();
        Self {
            fields,
            fields_max,
            rejected: None,
        }
    }

    /// Takes note of one field, and says whether it is in order by itself, as for a request.
    fn take(&mut self, field: Field, text: &[u8]) -> bool {
        if self.rejected.is_none() {
            self.rejected = self.judge(&field, text).err();
            self.fields.push(field.span);
        }
        self.rejected.is_none()
    }

    fn judge(&self, field: &Field, text: &[u8]) -> Result<(), Rejected> {
        let name = field.span.name.slice(text);
        if name.first() == Some(&b':') {
            return Err(Malformed::PseudoFieldInTrailers.into());
        }
        if !field.judged {
            field::judge(field, text)?;
        }
        if field.name == Some(KnownName::HOST) || is_forbidden_trailer(name) {
            return Err(Misbehaviour::ForbiddenTrailer.into());
        }
        if self.fields.len() >= self.fields_max {
            return Err(Trip::HeaderCount.into());
        }
        Ok(())
    }

    /// What the section came to.
    fn judge_all(self, decoded: &Decoded) -> Result<(), Rejected> {
        match (self.rejected, decoded.exceeded) {
            (Some(rejected), _) => Err(rejected),
            (None, Some(Exceeded::FieldBytes)) => Err(Trip::HeaderField.into()),
            (None, Some(Exceeded::ListBytes)) => Err(Trip::HeaderBytes.into()),
            (None, Some(Exceeded::Fields)) => Err(Trip::HeaderCount.into()),
            (None, None) => Ok(()),
        }
    }
}
