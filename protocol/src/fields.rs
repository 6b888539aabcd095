//! Fields that an app puts on a response, checked when they are made and kept in the form in which HTTP/1.1 sends them.
//!
//! A block is one run of `name: value\r\n` lines, so that a response head is assembled by one copy. Names and values
//! are checked on the way in, which makes the block splittable again at the first colon and the line end: HTTP/2 and
//! the access log iterate it.

use crate::field::search::first_control;
use crate::field::{valid_name, valid_value};
use std::fmt;

/// The most bytes one block may hold. An app that wants more has a bug that would otherwise reach the peer.
pub(crate) const BLOCK_BYTES_MAX: usize = 64 * 1024;

/// Fields the engine decides itself: an app's copy would let the message and its framing disagree (RFC 9112 section 6),
/// or is connection-specific and has no meaning in HTTP/2 (RFC 9113 section 8.2.2).
const ENGINE_OWNED: [&str; 7] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// A block of fields. `Default` is empty and allocates nothing; so does a block of one known `Content-Type`.
#[derive(Clone, Default)]
pub struct Fields {
    /// Lines that are literals; they come first.
    fixed: &'static str,
    lines: Vec<u8>,
}

impl Fields {
    /// An empty block.
    pub const fn new() -> Self {
        Self {
            fixed: "",
            lines: Vec::new(),
        }
    }

    /// A block of one `Content-Type`.
    #[inline]
    pub fn of_content_type(value: ContentType) -> Self {
        let mut fields = Self::new();
        fields.content_type(value);
        fields
    }

    /// Whether the block has memory to write into, or needs some from [`Fields::lend`] to do without an allocation.
    pub fn has_memory(&self) -> bool {
        self.lines.capacity() > 0
    }

    /// Gives a block without memory some that was used before.
    pub fn lend(&mut self, mut memory: Vec<u8>) {
        if !self.has_memory() {
            memory.clear();
            self.lines = memory;
        }
    }

    /// Gives the memory back for [`Fields::lend`].
    pub fn into_memory(self) -> Vec<u8> {
        self.lines
    }

    /// Adds a field after those already there.
    ///
    /// # Errors
    /// [`InvalidField`] if the name is not a token (RFC 9110 section 5.1), if the value holds CR, LF, NUL or another
    /// control byte (section 5.5), if the engine owns the field (Content-Length, Transfer-Encoding, Connection, Date
    /// and their kin), or if the block would pass 64 KiB.
    pub fn append(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), InvalidField> {
        let value = value.as_ref();
        let fault = if !valid_name(name.as_bytes()) {
            Some(Fault::Name)
        } else if !valid_value(value) {
            Some(Fault::Value)
        } else if ENGINE_OWNED
            .iter()
            .any(|owned| owned.eq_ignore_ascii_case(name))
        {
            Some(Fault::EngineOwned)
        } else if self.lines.len() + name.len() + value.len() + 4 > BLOCK_BYTES_MAX {
            Some(Fault::TooLarge)
        } else {
            None
        };
        if let Some(fault) = fault {
            return Err(InvalidField {
                name: name.escape_debug().take(64).collect(),
                fault,
            });
        }
        self.append_checked(name, value);
        Ok(())
    }

    /// Adds a field known to be valid: for names and values that are literals of ours.
    pub(crate) fn append_checked(&mut self, name: &str, value: &[u8]) {
        self.lines.extend_from_slice(name.as_bytes());
        self.lines.extend_from_slice(b": ");
        self.lines.extend_from_slice(value);
        self.lines.extend_from_slice(b"\r\n");
    }

    /// Adds a `Content-Type`. The literal is checked when the program is compiled, so there is no error to handle.
    #[inline]
    pub fn content_type(&mut self, value: ContentType) {
        match value.0 {
            Line::Whole(line) if self.is_empty() => self.fixed = line,
            Line::Whole(line) => self.lines.extend_from_slice(line.as_bytes()),
            Line::Value(value) => self.append_checked("content-type", value.as_bytes()),
        }
    }

    /// The fields in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        split(self.fixed.as_bytes()).chain(split(&self.lines))
    }

    /// The same as bytes: nobody here needs to be told that names are text.
    #[inline]
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        split_lines(self.fixed.as_bytes()).chain(split_lines(&self.lines))
    }

    /// Everything in it: the lines that are literals, and those behind them.
    #[inline]
    pub(crate) fn parts(&self) -> (&'static str, &[u8]) {
        (self.fixed, &self.lines)
    }

    /// The first value of a field, its name compared without case.
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.fixed.is_empty() && self.lines.is_empty()
    }

    /// Appends the lines to a message.
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(self.fixed.as_bytes());
        if !self.lines.is_empty() {
            into.extend_from_slice(&self.lines);
        }
    }
}

fn split(lines: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    split_lines(lines).map_while(|(name, value)| Some((std::str::from_utf8(name).ok()?, value)))
}

/// Takes lines apart again. What made them has checked that names hold no colon and values no line end.
#[inline]
fn split_lines(mut rest: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let colon = memchr::memchr(b':', rest)?;
        let (name, value) = rest.split_at(colon);
        let value = value.get(2..)?;
        // The first byte below a space, but for a tab: there is no other in a value.
        let mut end = first_control(value)?;
        while value[end] == b'\t' {
            end += 1 + first_control(&value[end + 1..])?;
        }
        rest = value.get(end + 2..)?;
        Some((name, &value[..end]))
    })
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.iter()
                    .map(|(name, value)| (name, value.escape_ascii().to_string())),
            )
            .finish()
    }
}

/// A media type that was checked when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentType(Line);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Everything the field needs, so that the usual types are one copy.
    Whole(&'static str),
    Value(&'static str),
}

impl ContentType {
    /// `text/plain; charset=utf-8`
    pub const TEXT: Self = Self(Line::Whole("content-type: text/plain; charset=utf-8\r\n"));
    /// `text/html; charset=utf-8`
    pub const HTML: Self = Self(Line::Whole("content-type: text/html; charset=utf-8\r\n"));
    /// `application/json`
    pub const JSON: Self = Self(Line::Whole("content-type: application/json\r\n"));
    /// `application/octet-stream`
    pub const BYTES: Self = Self(Line::Whole("content-type: application/octet-stream\r\n"));

    /// Takes any visible ASCII literal.
    ///
    /// # Panics
    /// If the text holds anything but visible ASCII and spaces; in a `const` that is a compile error.
    pub const fn new(text: &'static str) -> Self {
        let bytes = text.as_bytes();
        assert!(!bytes.is_empty());
        let mut index = 0;
        while index < bytes.len() {
            assert!(
                bytes[index] >= b' ' && bytes[index] < 0x7f,
                "a media type is visible ASCII"
            );
            index += 1;
        }
        Self(Line::Value(text))
    }
}

/// A field that an app may not send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidField {
    name: String,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Name,
    Value,
    EngineOwned,
    TooLarge,
}

impl fmt::Display for InvalidField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.fault {
            Fault::Name => "its name is not a token (RFC 9110 section 5.1)",
            Fault::Value => {
                "its value holds a control byte such as CR, LF or NUL (RFC 9110 section 5.5)"
            }
            Fault::EngineOwned => "the engine decides this field itself",
            Fault::TooLarge => "the fields of one response may not pass 64 KiB",
        };
        write!(f, "field `{}` refused: {why}", self.name)
    }
}

impl std::error::Error for InvalidField {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fields_come_back_in_order_and_are_found_without_case() {
        let mut fields = Fields::new();
        fields.append("X-One", "1").unwrap();
        fields.append("x-empty", "").unwrap();
        fields.append("x-time", "a: b: c\td").unwrap();
        let all: Vec<_> = fields.iter().collect();
        assert_eq!(
            all,
            [
                ("X-One", &b"1"[..]),
                ("x-empty", b""),
                ("x-time", b"a: b: c\td")
            ]
        );
        assert_eq!(fields.first("x-one"), Some(&b"1"[..]));
        let mut encoded = Vec::new();
        fields.encode(&mut encoded);
        assert_eq!(encoded, b"X-One: 1\r\nx-empty: \r\nx-time: a: b: c\td\r\n");
    }

    #[test]
    fn response_splitting_is_refused_at_construction() {
        for (name, value) in [
            ("x", "a\r\nset-cookie: b"),
            ("x", "a\nb"),
            ("x", "a\0"),
            ("x y", "a"),
            ("x\r\ny", "a"),
            ("", "a"),
            ("x:", "a"),
        ] {
            assert!(
                Fields::new().append(name, value).is_err(),
                "{name:?}: {value:?}"
            );
        }
    }

    #[test]
    fn framing_fields_belong_to_the_engine() {
        for name in ["Content-Length", "TRANSFER-ENCODING", "connection", "Date"] {
            let error = Fields::new().append(name, "1").unwrap_err();
            assert!(error.to_string().contains("engine"), "{error}");
        }
    }

    #[test]
    fn a_block_has_a_bound() {
        let mut fields = Fields::new();
        let value = vec![b'a'; BLOCK_BYTES_MAX];
        assert!(fields.append("x", value).is_err());
        assert!(fields.is_empty());
    }
}
