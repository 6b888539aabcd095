//! A response out of the fields of its field section (RFC 9113 sections 8.2, 8.3.2 and 8.1.1).

use super::error::Reset;
use crate::client::{Body, Response};
use crate::framing::{BodyFields, Framing};
use crate::h2::request::{Malformed, Rejected, field};
use crate::head::Version;
use crate::hpack::{Decoded, Exceeded, Field, KnownName, StaticPair};
use crate::span::Span;
use crate::status::Status;
use lanner_limits::Trip;

/// Takes the fields of a response as they are decoded; spans are relative to the decoded text.
pub(super) struct ResponseFields<'a> {
    response: &'a mut Response,
    fields_max: u32,
    count: u32,
    status: Option<Status>,
    /// `:status` has come, whatever it said.
    has_status: bool,
    content_length: Option<Span>,
    several_lengths: bool,
    rejected: Option<Reset>,
}

impl<'a> ResponseFields<'a> {
    pub(super) fn new(response: &'a mut Response, fields_max: usize) -> Self {
        response.fields.clear();
        Self {
            response,
            fields_max: u32::try_from(fields_max).unwrap_or(u32::MAX),
            count: 0,
            status: None,
            has_status: false,
            content_length: None,
            several_lengths: false,
            rejected: None,
        }
    }

    /// Takes note of one field.
    #[inline]
    pub(super) fn take(&mut self, field: Field, text: &[u8]) {
        let reset = match field.name {
            Some(KnownName::STATUS) => self.take_status(&field, text).err(),
            // Section 8.3: those of requests must not appear in responses.
            Some(
                KnownName::METHOD
                | KnownName::SCHEME
                | KnownName::AUTHORITY
                | KnownName::PATH
                | KnownName::PROTOCOL,
            ) => Some(Malformed::PseudoFieldUnknown.into()),
            _ => self.take_regular(&field, text).err(),
        };
        if reset.is_some() && self.rejected.is_none() {
            self.rejected = reset;
        }
    }

    #[inline]
    fn take_status(&mut self, field: &Field, text: &[u8]) -> Result<(), Reset> {
        if std::mem::replace(&mut self.has_status, true) {
            return Err(Malformed::PseudoFieldRepeated.into());
        }
        if self.count > 0 {
            return Err(Malformed::PseudoFieldLate.into());
        }
        self.status = match field.pair {
            Some(StaticPair::STATUS_200) => Some(Status::OK),
            _ => parse_status(field.span.value.slice(text)),
        };
        // Section 8.6: 101 does not exist here.
        match self.status {
            None | Some(Status::SWITCHING_PROTOCOLS) => Err(Reset::Status),
            Some(_) => Ok(()),
        }
    }

    #[inline]
    fn take_regular(&mut self, field: &Field, text: &[u8]) -> Result<(), Reset> {
        field::judge(field, text)?;
        self.count += 1;
        if self.count > self.fields_max {
            return Err(Reset::Refused(Trip::HeaderCount.into()));
        }
        if field.name == Some(KnownName::CONTENT_LENGTH) {
            self.several_lengths |= self.content_length.replace(field.span.value).is_some();
        }
        self.response.push(field.span);
        Ok(())
    }

    /// Decides what the fields mean, and writes it into the response. `head_request` is whether only the head was asked for,
    /// `end_stream` whether nothing follows.
    #[inline]
    pub(super) fn judge(
        self,
        text: &[u8],
        decoded: &Decoded,
        head_request: bool,
        end_stream: bool,
    ) -> Result<(), Reset> {
        if let Some(rejected) = self.rejected {
            return Err(rejected);
        }
        if let Some(exceeded) = decoded.exceeded {
            return Err(Reset::Refused(trip(exceeded).into()));
        }
        let status = self
            .status
            .ok_or(Reset::Malformed(Malformed::PseudoFieldMissing))?;
        let announced = match self.content_length {
            None => None,
            Some(length) => announced(length.slice(text), self.several_lengths)?,
        };
        let response = self.response;
        response.status = status;
        response.version = Version::Http2;
        response.reason = Span::default();
        response.upgrade = None;
        response.keep_alive = true;
        response.content_length = announced;
        let contentless = head_request || status.never_has_content();
        response.body = match announced {
            _ if end_stream => Body::None,
            Some(length @ 1..) if !contentless => Body::Length(length),
            _ => Body::Unknown,
        };
        // Section 8.1.1: a length that is not kept. Where there is no content by definition, it says something else.
        if end_stream && !contentless && announced.is_some_and(|length| length > 0) {
            return Err(Malformed::ContentLength.into());
        }
        Ok(())
    }
}

fn trip(exceeded: Exceeded) -> Trip {
    match exceeded {
        Exceeded::FieldBytes => Trip::HeaderField,
        Exceeded::ListBytes => Trip::HeaderBytes,
        Exceeded::Fields => Trip::HeaderCount,
    }
}

fn announced(value: &[u8], several: bool) -> Result<Option<u64>, Reset> {
    let mut body = BodyFields::default();
    body.content_length(value);
    if several {
        body.content_length(value);
    }
    match body.decide(Version::Http11) {
        Ok(Framing::Length(length)) => Ok(Some(length)),
        Ok(Framing::None | Framing::Chunked) => Ok(None),
        Err(misbehaviour) => Err(Rejected::from(misbehaviour).into()),
    }
}

fn parse_status(digits: &[u8]) -> Option<Status> {
    let digits: &[u8; 3] = digits.try_into().ok()?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits
        .iter()
        .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    Status::new(code)
}
