//! A response's head as a client has it, from either version of HTTP.

use crate::field::FieldSpan;
use crate::head::Version;
use crate::span::Span;
use crate::status::Status;

/// What follows a response's head (RFC 9112 section 6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Body {
    /// Nothing: the response is complete.
    #[default]
    None,
    /// So many bytes, more than none.
    Length(u64),
    /// As much as comes before the last chunk, or before the stream's end; trailers may follow.
    Unknown,
    /// As much as comes before the server closes.
    UntilClose,
}

/// A response's head. Spans are relative to the bytes that the event pointed at, or to the text that HTTP/2 decodes into. One
/// serves one response after another and keeps its memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// The status.
    pub status: Status,
    /// The version in which it came.
    pub version: Version,
    /// The reason phrase; empty on HTTP/2, which has none.
    pub reason: Span,
    /// The fields in the order in which they came, without `:status`; after the end of a body, its trailers.
    pub fields: Vec<FieldSpan>,
    /// What follows.
    pub body: Body,
    /// What Content-Length says, also where nothing follows, as for HEAD (RFC 9110 section 8.6).
    pub content_length: Option<u64>,
    /// Whether the server keeps the connection (RFC 9112 section 9.3).
    pub keep_alive: bool,
    /// The value of Upgrade.
    pub upgrade: Option<Span>,
    /// Whether `fields` are to be filled in.
    pub(crate) keeps_fields: bool,
}

impl Default for Response {
    fn default() -> Self {
        Self {
            status: Status::OK,
            version: Version::Http11,
            reason: Span::default(),
            fields: Vec::new(),
            body: Body::None,
            content_length: None,
            keep_alive: true,
            upgrade: None,
            keeps_fields: true,
        }
    }
}

impl Response {
    /// For whoever wants to know no more than status and length: fields are judged and forgotten.
    #[must_use]
    pub fn without_fields() -> Self {
        Self {
            keeps_fields: false,
            ..Self::default()
        }
    }

    /// The value of the first field of this name, which is given in lower case. `bytes` are those that the spans lie in.
    pub fn field<'a>(&self, bytes: &'a [u8], name_lower: &str) -> Option<&'a [u8]> {
        self.fields
            .iter()
            .find(|field| {
                field
                    .name
                    .slice(bytes)
                    .eq_ignore_ascii_case(name_lower.as_bytes())
            })
            .map(|field| field.value.slice(bytes))
    }

    /// All fields as (name, value), in the order and in the case in which they came.
    pub fn iter<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.fields
            .iter()
            .map(move |field| (field.name.str(bytes), field.value.slice(bytes)))
    }

    #[inline]
    pub(crate) fn push(&mut self, field: FieldSpan) {
        if self.keeps_fields {
            self.fields.push(field);
        }
    }
}
