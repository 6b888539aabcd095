//! The field section behind a body (RFC 9113 section 8.1): no pseudo-fields, and none of the fields that must come before
//! the content.

use super::{Malformed, Rejected, field};
use crate::chunked::is_forbidden_trailer;
use crate::field::FieldSpan;
use crate::hpack::{Decoded, Exceeded, Field, KnownName};
use crate::misbehaviour::Misbehaviour;
use lanner_limits::Trip;

/// Takes the fields of a trailer section as they are decoded; spans are relative to the decoded text.
pub(crate) struct TrailerFields<'a> {
    fields: &'a mut Vec<FieldSpan>,
    fields_max: usize,
    rejected: Option<Rejected>,
}

impl<'a> TrailerFields<'a> {
    /// `fields` is emptied first and keeps its memory.
    pub(crate) fn new(fields: &'a mut Vec<FieldSpan>, fields_max: usize) -> Self {
        fields.clear();
        Self {
            fields,
            fields_max,
            rejected: None,
        }
    }

    /// Takes note of one field, and says whether it is in order by itself, as for a request.
    pub(crate) fn take(&mut self, field: Field, text: &[u8]) -> bool {
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
    pub(crate) fn judge_all(self, decoded: &Decoded) -> Result<(), Rejected> {
        match (self.rejected, decoded.exceeded) {
            (Some(rejected), _) => Err(rejected),
            (None, Some(Exceeded::FieldBytes)) => Err(Trip::HeaderField.into()),
            (None, Some(Exceeded::ListBytes)) => Err(Trip::HeaderBytes.into()),
            (None, Some(Exceeded::Fields)) => Err(Trip::HeaderCount.into()),
            (None, None) => Ok(()),
        }
    }
}
