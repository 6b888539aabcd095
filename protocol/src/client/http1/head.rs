//! A response's head, found and taken apart (RFC 9112 sections 2.2, 4, 5 and 6.3).
//!
//! As on the server's half: what has just arrived goes to the tokeniser first, which finds nearly every head whole and
//! well-formed. Only where that fails does the scan look for the end, byte for byte once, and say what is wrong; so a verdict
//! does not depend on how the bytes were split. Reading is always strict: a line fold, which a user agent would have to mend
//! and a gateway may answer with 502 (RFC 9112 section 5.2), is refused.

use super::error::Error;
use crate::client::{Body, Response};
use crate::field::search::first_control;
use crate::field::{FieldLine, FieldSpan, is_named, list, parse_line, strip_line_end};
use crate::framing::{BodyFields, Framing};
use crate::head::Version;
use crate::misbehaviour::Misbehaviour;
use crate::scan::{LEADING_EMPTY_LINES_MAX, SectionScan, lint};
use crate::span::Span;
use crate::status::Status;
use lanner_limits::{Limits, Trip};
use memchr::memchr;
use std::ops::Range;

/// How every response begins.
const NAME: &[u8] = b"HTTP/";

/// What a request said that decides how its response ends (RFC 9112 section 6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Asked {
    pub(super) head: bool,
    pub(super) connect: bool,
    pub(super) upgrade: bool,
}

/// A status line, taken apart.
struct StatusLine<'a> {
    version: Version,
    code: u16,
    reason: &'a [u8],
}

impl<'a> StatusLine<'a> {
    /// Splits a status line off the front of a head. The space behind the code, which must come even where no reason does, is
    /// left out by many servers.
    #[inline]
    fn split_off(head: &'a [u8]) -> Option<(StatusLine<'a>, &'a [u8])> {
        let (version, rest) = head.split_first_chunk::<9>()?;
        let version = if version == b"HTTP/1.1 " {
            Version::Http11
        } else if version == b"HTTP/1.0 " {
            Version::Http10
        } else {
            return None;
        };
        let (digits, rest) = rest.split_first_chunk::<3>()?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let code = digits
            .iter()
            .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        let (reason, rest) = match rest.strip_prefix(b" ") {
            None => (&rest[..0], rest),
            Some(text) => {
                let mut end = first_control(text)?;
                while text[end] == b'\t' {
                    end += 1 + first_control(&text[end + 1..])?;
                }
                text.split_at(end)
            }
        };
        let line = StatusLine {
            version,
            code,
            reason,
        };
        Some((line, strip_line_end(rest, true)?))
    }

    /// What is wrong with a line, given with its line end, in which no byte is.
    fn judge(line: &'a [u8]) -> Result<(), Error> {
        match Self::split_off(line) {
            Some((line, _)) => Status::new(line.code).map(|_| ()).ok_or(Error::StatusCode),
            None => Err(match line.get(NAME.len()..) {
                Some([b'1', b'.', b'0' | b'1', b' ', ..]) => Error::StatusLine,
                Some([major, b'.', minor, b' ', ..])
                    if major.is_ascii_digit() && minor.is_ascii_digit() =>
                {
                    Error::Version
                }
                _ => Error::StatusLine,
            }),
        }
    }
}

/// What the fields said, before it is judged as a whole.
#[derive(Default)]
struct Said<'a> {
    body: BodyFields<'a>,
    upgrade: Option<&'a [u8]>,
    close: bool,
    keep_alive: bool,
}

impl<'a> Said<'a> {
    /// Takes note of one field, if it is one of the few that a client itself reads.
    #[inline]
    fn listen_to(&mut self, name: &[u8], value: &'a [u8]) {
        match name.len() {
            7 if is_named(name, b"upgrade") => self.upgrade = self.upgrade.or(Some(value)),
            10 if is_named(name, b"connection") => {
                for option in list(value) {
                    self.close |= is_named(option, b"close");
                    self.keep_alive |= is_named(option, b"keep-alive");
                }
            }
            14 if is_named(name, b"content-length") => self.body.content_length(value),
            17 if is_named(name, b"transfer-encoding") => self.body.transfer_encoding(value),
            _ => {}
        }
    }
}

/// Parses the head at the front of what has arrived, and gives its length; `None` if it is not whole or not well-formed, which
/// the scan then finds out.
#[inline]
pub(super) fn parse_front(
    response: &mut Response,
    bytes: &[u8],
    asked: Asked,
    limits: &Limits,
) -> Result<Option<usize>, Error> {
    let Some((line, mut rest)) = StatusLine::split_off(bytes) else {
        return Ok(None);
    };
    let mut said = Said::default();
    let mut count = 0;
    response.fields.clear();
    let behind = loop {
        if let Some(behind) = strip_line_end(rest, true) {
            break behind;
        }
        let Some(field) = FieldLine::split_off(rest, true) else {
            return Ok(None);
        };
        if count == limits.max_header_count {
            return Ok(None);
        }
        count += 1;
        response.push(FieldSpan {
            name: Span::of(bytes, field.name),
            value: Span::of(bytes, field.value),
        });
        said.listen_to(field.name, field.value);
        rest = field.rest;
    };
    judge(response, bytes, &line, &said, asked)?;
    Ok(Some(bytes.len() - behind.len()))
}

/// Parses a complete head that the scan has found.
pub(super) fn parse(
    response: &mut Response,
    bytes: &[u8],
    asked: Asked,
    limits: &Limits,
) -> Result<(), Error> {
    match parse_front(response, bytes, asked, limits)? {
        Some(len) if len == bytes.len() => Ok(()),
        _ => Err(diagnose(bytes)),
    }
}

/// What is wrong with a complete head. The scan has judged its status line and its line ends.
#[cold]
fn diagnose(bytes: &[u8]) -> Error {
    if let Err(misbehaviour) = lint(bytes, 0, bytes.len()) {
        return misbehaviour.into();
    }
    let mut lines = bytes.split(|&byte| byte == b'\n').skip(1);
    lines
        .find_map(|line| match line.strip_suffix(b"\r") {
            None | Some([]) => None,
            Some(line) => parse_line(line).err(),
        })
        .map_or(Error::StatusLine, Error::Message)
}

#[inline]
fn judge(
    response: &mut Response,
    bytes: &[u8],
    line: &StatusLine<'_>,
    said: &Said<'_>,
    asked: Asked,
) -> Result<(), Error> {
    let status = Status::new(line.code).ok_or(Error::StatusCode)?;
    // Also where no body follows: whoever hands the fields on would hand on the contradiction.
    let framing = said.body.decide(line.version)?;
    response.status = status;
    response.version = line.version;
    response.reason = Span::of(bytes, line.reason);
    response.upgrade = said.upgrade.map(|value| Span::of(bytes, value));
    response.content_length = match framing {
        Framing::Length(length) => Some(length),
        Framing::None | Framing::Chunked => None,
    };
    response.body = body(status, framing, asked);
    response.keep_alive = !said.close
        && (line.version == Version::Http11 || said.keep_alive)
        && response.body != Body::UntilClose;
    Ok(())
}

/// RFC 9112 section 6.3, in its order.
#[inline]
fn body(status: Status, framing: Framing, asked: Asked) -> Body {
    let tunnel = asked.connect && (200..300).contains(&status.code());
    if asked.head || status.never_has_content() || tunnel {
        return Body::None;
    }
    match framing {
        Framing::Chunked => Body::Unknown,
        Framing::Length(0) => Body::None,
        Framing::Length(length) => Body::Length(length),
        Framing::None => Body::UntilClose,
    }
}

/// The search for the end of one head; `Default` is its beginning.
///
/// `start <= looked`, both counted from the first unconsumed byte.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct HeadScan {
    phase: Phase,
    /// First byte of the status line, behind the empty lines that may precede it.
    start: u32,
    /// Everything before was looked at; in `Section`, the section knows.
    looked: u32,
    empty_lines: u8,
    section: SectionScan,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Phase {
    /// Empty lines, and then the name of the protocol.
    #[default]
    Start,
    StatusLine,
    Section,
}

impl HeadScan {
    /// Whether nobody has looked at anything yet.
    #[inline]
    pub(super) fn is_fresh(&self) -> bool {
        self.phase == Phase::Start && self.looked == 0
    }

    /// The front of the input, if it is worth trying whether a whole head without a fault stands there.
    #[inline]
    pub(super) fn first_look<'a>(&self, input: &'a [u8], limits: &Limits) -> Option<&'a [u8]> {
        // Neither bound can be passed by a part of what keeps within both.
        let bound = limits.max_request_line.min(limits.max_header_bytes);
        self.is_fresh().then(|| &input[..input.len().min(bound)])
    }

    /// Looks at what has arrived: all that is unconsumed, which begins with the same byte in every call until a head is
    /// found. `None` asks for more.
    pub(super) fn advance(
        &mut self,
        input: &[u8],
        limits: &Limits,
    ) -> Result<Option<Range<usize>>, Error> {
        if self.phase == Phase::Start && !self.begin(input)? {
            return Ok(None);
        }
        if self.phase == Phase::StatusLine && !self.status_line(input, limits)? {
            return Ok(None);
        }
        let fresh = (self.looked as usize).max(self.section.looked());
        let end = self.section.advance(input, fresh, limits, true)?;
        self.looked = input.len() as u32;
        Ok(end.map(|end| self.start as usize..end))
    }

    /// Skips empty lines, as a server does before a request (section 2.2), and looks for the protocol's name.
    fn begin(&mut self, input: &[u8]) -> Result<bool, Error> {
        loop {
            let start = self.start as usize;
            match input.get(start..).unwrap_or_default() {
                [] | [b'\r'] => break,
                [b'\r', b'\n', ..] if self.empty_lines < LEADING_EMPTY_LINES_MAX => {
                    self.empty_lines += 1;
                    self.start += 2;
                }
                [b'\r', b'\n', ..] => return Err(Misbehaviour::LeadingEmptyLines.into()),
                [b'\r', ..] => return Err(Misbehaviour::BareCarriageReturn.into()),
                [b'\n', ..] => return Err(Misbehaviour::BareLineFeed.into()),
                rest => {
                    let arrived = rest.len().min(NAME.len());
                    if rest[..arrived] != NAME[..arrived] {
                        return Err(Error::NotHttp);
                    }
                    if arrived < NAME.len() {
                        break;
                    }
                    self.phase = Phase::StatusLine;
                    self.looked = (start + arrived) as u32;
                    return Ok(true);
                }
            }
        }
        self.looked = input.len() as u32;
        Ok(false)
    }

    /// Looks for the end of the status line, and judges it; true once it is found.
    fn status_line(&mut self, input: &[u8], limits: &Limits) -> Result<bool, Error> {
        let start = self.start as usize;
        let fresh = self.looked as usize;
        let bound = start.saturating_add(limits.max_request_line);
        let within = &input[..input.len().min(bound)];
        let Some(at) = memchr(b'\n', within.get(fresh..).unwrap_or_default()) else {
            lint(input, fresh, within.len())?;
            if input.len() >= bound {
                return Err(Trip::RequestLine.into());
            }
            self.looked = input.len() as u32;
            return Ok(false);
        };
        let line_feed = fresh + at;
        lint(input, fresh, line_feed)?;
        if within[line_feed - 1] != b'\r' {
            return Err(Misbehaviour::BareLineFeed.into());
        }
        StatusLine::judge(&within[start..=line_feed])?;
        self.phase = Phase::Section;
        self.looked = (line_feed + 1) as u32;
        self.section = SectionScan::beginning_at(line_feed + 1, &SectionScan::default());
        Ok(true)
    }
}
