//! Finds where a message head ends, while it arrives, without ever looking at a byte twice.
//!
//! The scan knows lines, not fields: it counts them, bounds them, and refuses what no well-formed head can hold (a bare
//! LF, a bare CR, control bytes, a TLS ClientHello, HTTP/2's preface). What the lines mean is left to `head`, which
//! tokenises a complete head once; running a tokeniser on every packet is quadratic for a peer that sends single bytes.
//!
//! **A verdict does not depend on how the bytes were split.** Each fault has one byte with which it becomes known, and the
//! fault known first is the one reported. But nearly every head arrives whole and without a fault, and the tokeniser sees
//! every line anyway. So what has just arrived goes to the tokeniser first (`first_look`): if it finds a whole head there,
//! nothing is left to be scanned. Control bytes and bare CRs are looked for (`lint`) only in a head that is incomplete or
//! already at fault.

use lanner_limits::{Limits, Trip};
use memchr::memchr;

use crate::field::{is_named, is_token_byte, split_token};
use crate::misbehaviour::Misbehaviour;
use crate::refusal::Refusal;

/// How many empty lines before a request line are skipped. RFC 9112 section 2.2 asks for at least one, for clients that send a
/// line end after a body; the second is for those that also count wrongly.
pub const LEADING_EMPTY_LINES_MAX: u8 = 2;

/// What a client with prior knowledge of HTTP/2 sends first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first byte of a TLS record that holds a handshake message (RFC 8446 section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// Where a head stands in the input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeadEnd {
    /// First byte of the request line, behind the empty lines that may precede it.
    pub start: usize,
    /// One past the empty line that ends the head.
    pub end: usize,
    /// Whether a field continues on another line, which only `h1_strict=false` lets pass: the head must be copied and
    /// given to `unfold` before it is parsed.
    pub folded: bool,
}

/// The search for the end of one head; `Default` is its beginning.
///
/// `start <= section.base <= section.line <= section.looked`, all counted from the first unconsumed byte.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HeadScan {
    section: SectionScan,
    start: u32,
    phase: Phase,
    empty_lines: u8,
}

// One scan lives in every connection, idle ones included.
#[cfg(not(test))]
const _: () = assert!(size_of::<HeadScan>() <= 24);

/// `Start -> RequestLine -> Section`, and back to `Start` with the verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Phase {
    /// Before the first byte of the request line is judged; a partial HTTP/2 preface waits here too.
    #[default]
    Start,
    RequestLine,
    Section,
}

impl HeadScan {
    /// The front of the input, if it is worth trying whether a whole head without a fault stands there, as nearly all do:
    /// nobody has looked at it yet, and it begins like one. What may be an empty line, a preface or a fault is left to
    /// [`HeadScan::advance`].
    #[inline]
    pub fn first_look<'a>(&mut self, input: &'a [u8], limits: &Limits) -> Option<&'a [u8]> {
        // Neither bound can be passed by a part of what keeps within both.
        let bound = limits.max_request_line.min(limits.max_header_bytes);
        let front = &input[..input.len().min(bound)];
        let plain = front.first().is_some_and(|&first| is_token_byte(first))
            && !front.starts_with(&PREFACE[..2]);
        let fresh = self.phase == Phase::Start && self.section.looked == 0 && limits.h1_strict;
        if !(fresh && plain) {
            return None;
        }
        self.section.note_examined(front.len());
        Some(front)
    }

    /// Looks at what has arrived. `input` is everything unconsumed: it begins with the same byte in every call until a
    /// head is found, and only grows. `None` asks for more. After `Some` the scan is ready for the next head.
    ///
    /// # Errors
    /// What is wrong, as soon as the byte that shows it has arrived.
    pub fn advance(&mut self, input: &[u8], limits: &Limits) -> Result<Option<HeadEnd>, Refusal> {
        let mut fresh = self.section.looked as usize;
        if self.phase == Phase::Start {
            match self.begin(input, limits.h1_strict)? {
                Some(start) => fresh = start,
                None => return Ok(None),
            }
        }
        if self.phase == Phase::RequestLine && !self.request_line(input, fresh, limits)? {
            return Ok(None);
        }
        let Some(end) = self
            .section
            .advance(input, fresh, limits, limits.h1_strict)?
        else {
            return Ok(None);
        };
        let found = HeadEnd {
            start: self.start as usize,
            end,
            folded: self.section.folded,
        };
        *self = HeadScan::default();
        Ok(Some(found))
    }

    /// Skips empty lines and judges the first byte. Gives the place from which on nothing was looked at yet.
    fn begin(&mut self, input: &[u8], strict: bool) -> Result<Option<usize>, Refusal> {
        let mut start = self.start as usize;
        loop {
            match input.get(start..).unwrap_or_default() {
                [] | [b'\r'] => return Ok(None),
                [b'\r', b'\n', ..] => start += 2,
                [b'\r', ..] => return Err(Misbehaviour::BareCarriageReturn.into()),
                [b'\n', ..] if strict => return Err(Misbehaviour::BareLineFeed.into()),
                [b'\n', ..] => start += 1,
                [b'P', rest @ ..] if matches!(rest.first(), None | Some(b'R')) => {
                    if self.preface_may_follow(&input[start..], start)? {
                        return Ok(None);
                    }
                    break;
                }
                [first, ..] if is_token_byte(*first) => break,
                [TLS_HANDSHAKE, ..] => return Err(Misbehaviour::TlsOnCleartext.into()),
                _ => return Err(Misbehaviour::InvalidMethod.into()),
            }
            self.empty_lines += 1;
            if self.empty_lines > LEADING_EMPTY_LINES_MAX {
                return Err(Misbehaviour::LeadingEmptyLines.into());
            }
            self.start = start as u32;
            self.section.looked = start as u32;
        }
        self.start = start as u32;
        self.section = SectionScan::beginning_at(start, &self.section);
        self.phase = Phase::RequestLine;
        Ok(Some(start))
    }

    /// Whether what follows `start` can still become the HTTP/2 preface. Its beginning looks like a request of method `PRI`
    /// and is judged as one only when it diverges.
    #[cold]
    fn preface_may_follow(&mut self, rest: &[u8], start: usize) -> Result<bool, Refusal> {
        let matched = (self.section.looked as usize).saturating_sub(start);
        let arrived = rest.len().min(PREFACE.len());
        self.section.note_examined(arrived - matched);
        if rest[matched..arrived] != PREFACE[matched..arrived] {
            return Ok(false);
        }
        if arrived == PREFACE.len() {
            return Err(Misbehaviour::Http2Preface.into());
        }
        self.section.looked = (start + arrived) as u32;
        Ok(true)
    }

    /// Looks for the end of the request line; true once it is found.
    fn request_line(
        &mut self,
        input: &[u8],
        fresh: usize,
        limits: &Limits,
    ) -> Result<bool, Refusal> {
        let bound = (self.start as usize).saturating_add(limits.max_request_line);
        let within = &input[..input.len().min(bound)];
        let looked = self.section.looked as usize;
        let found = memchr(b'\n', &within[looked..]);
        self.section
            .note_examined(found.map_or(within.len() - looked, |at| at + 1));
        match found {
            Some(at) => {
                let line_feed = looked + at;
                // The first byte of the line is a token byte, so there is a byte before the LF.
                if limits.h1_strict && within[line_feed - 1] != b'\r' {
                    return Err(known_at(
                        input,
                        fresh,
                        line_feed,
                        Misbehaviour::BareLineFeed,
                    ));
                }
                self.section = SectionScan::beginning_at(line_feed + 1, &self.section);
                self.phase = Phase::Section;
                Ok(true)
            }
            None if input.len() >= bound => Err(known_at(input, fresh, bound, Trip::RequestLine)),
            None => {
                self.section.looked = input.len() as u32;
                self.section.lint_fresh(input, fresh)?;
                Ok(false)
            }
        }
    }

    /// How many bytes were looked at so far, those looked at again included.
    #[cfg(test)]
    fn examined(&self) -> usize {
        self.section.examined
    }
}

/// The search for the end of a field section: the fields of a head, or trailers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct SectionScan {
    /// First byte of the section.
    base: u32,
    /// First byte of the line that is arriving.
    line: u32,
    /// Everything before was looked at. Equal to `line` as long as the line's first byte is not judged.
    looked: u32,
    /// Field lines so far, continuations not counted.
    count: u16,
    folded: bool,
    #[cfg(test)]
    examined: usize,
}

impl SectionScan {
    #[cfg_attr(not(test), allow(unused_variables))]
    pub(crate) fn beginning_at(base: usize, before: &SectionScan) -> SectionScan {
        let base = base as u32;
        SectionScan {
            base,
            line: base,
            looked: base,
            count: 0,
            folded: false,
            #[cfg(test)]
            examined: before.examined,
        }
    }

    /// How far the scan has looked: what the next call's `fresh` is, if it stands alone.
    pub(crate) fn looked(&self) -> usize {
        self.looked as usize
    }

    /// Looks for the empty line; gives the place behind it. `fresh` is where the bytes begin that no call before this one
    /// has seen.
    pub(crate) fn advance(
        &mut self,
        input: &[u8],
        fresh: usize,
        limits: &Limits,
        strict: bool,
    ) -> Result<Option<usize>, Refusal> {
        let bound = (self.base as usize).saturating_add(limits.max_header_bytes);
        let within = &input[..input.len().min(bound)];
        let mut line = self.line as usize;
        let mut looked = self.looked as usize;
        loop {
            if looked == line {
                match within.get(line..).unwrap_or_default() {
                    [] | [b'\r'] => break,
                    [b'\r', b'\n', ..] => return Ok(Some(line + 2)),
                    [b'\r', ..] => {
                        return Err(known_at(
                            input,
                            fresh,
                            line + 1,
                            Misbehaviour::BareCarriageReturn,
                        ));
                    }
                    [b'\n', ..] if strict => {
                        return Err(known_at(input, fresh, line, Misbehaviour::BareLineFeed));
                    }
                    [b'\n', ..] => return Ok(Some(line + 1)),
                    [b' ' | b'\t', ..] => self.continuation(input, fresh, line, strict)?,
                    _ => {
                        self.count = self.count.saturating_add(1);
                        if usize::from(self.count) > limits.max_header_count {
                            return Err(known_at(input, fresh, line, Trip::HeaderCount));
                        }
                    }
                }
                looked = line + 1;
            }
            let found = memchr(b'\n', &within[looked..]);
            self.note_examined(found.map_or(within.len() - looked, |at| at + 1));
            let Some(at) = found else {
                looked = within.len();
                break;
            };
            let line_feed = looked + at;
            if strict && within[line_feed - 1] != b'\r' {
                return Err(known_at(
                    input,
                    fresh,
                    line_feed,
                    Misbehaviour::BareLineFeed,
                ));
            }
            line = line_feed + 1;
            looked = line;
        }
        if input.len() >= bound {
            return Err(known_at(input, fresh, bound, Trip::HeaderBytes));
        }
        self.line = line as u32;
        self.looked = looked as u32;
        self.lint_fresh(input, fresh)?;
        Ok(None)
    }

    /// A line that begins with white space.
    #[cold]
    fn continuation(
        &mut self,
        input: &[u8],
        fresh: usize,
        line: usize,
        strict: bool,
    ) -> Result<(), Refusal> {
        if line == self.base as usize {
            return Err(known_at(
                input,
                fresh,
                line,
                Misbehaviour::SpaceBeforeFirstField,
            ));
        }
        if strict {
            return Err(known_at(input, fresh, line, Misbehaviour::ObsoleteFold));
        }
        self.folded = true;
        Ok(())
    }

    /// The slow look at an incomplete section's new bytes, so that a control byte is refused when it arrives.
    fn lint_fresh(&mut self, input: &[u8], fresh: usize) -> Result<(), Refusal> {
        self.note_examined(input.len().saturating_sub(fresh));
        Ok(lint(input, fresh, input.len())?)
    }

    #[cfg_attr(not(test), allow(unused_variables))]
    #[inline]
    fn note_examined(&mut self, bytes: usize) {
        #[cfg(test)]
        {
            self.examined += bytes;
        }
    }
}

/// The refusal for a fault that becomes known with the byte at `at`, unless an earlier byte already shows another.
#[cold]
fn known_at(input: &[u8], fresh: usize, at: usize, reason: impl Into<Refusal>) -> Refusal {
    match lint(input, fresh, at) {
        Err(earlier) => earlier.into(),
        Ok(()) => reason.into(),
    }
}

/// Looks for bytes that no head may hold among those from `from` up to `to`: control bytes, and a CR that is followed by
/// something else than LF. A CR right before `from` counts; one right before `to` is not judged yet.
pub(crate) fn lint(input: &[u8], from: usize, to: usize) -> Result<(), Misbehaviour> {
    let mut after_return = from > 0 && input.get(from - 1) == Some(&b'\r');
    for &byte in input.get(from..to).unwrap_or_default() {
        if after_return && byte != b'\n' {
            return Err(Misbehaviour::BareCarriageReturn);
        }
        after_return = byte == b'\r';
        if byte.is_ascii_control() && !matches!(byte, b'\t' | b'\r' | b'\n') {
            return Err(Misbehaviour::ControlByte);
        }
    }
    Ok(())
}

/// Whether a field that says where a message ends, or whom it is for, continues on another line. Those who read folds do not
/// all read them alike, and for these fields that is request smuggling.
pub(crate) fn folds_framing(head: &[u8]) -> bool {
    let mut framing = false;
    head.split(|&byte| byte == b'\n').any(|line| {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return framing;
        }
        let (name, _) = split_token(line);
        framing = is_named(name, b"host")
            || is_named(name, b"content-length")
            || is_named(name, b"transfer-encoding");
        false
    })
}

/// Joins continued field lines in place: each line end before a continuation becomes spaces (RFC 9112 section 5.2). The length,
/// and with it every place already found, stays.
pub fn unfold(head: &mut [u8]) {
    let mut from = 0;
    while let Some(at) = head.get(from..).and_then(|rest| memchr(b'\n', rest)) {
        let line_feed = from + at;
        if matches!(head.get(line_feed + 1), Some(b' ' | b'\t')) {
            head[line_feed] = b' ';
            if line_feed > 0 && head[line_feed - 1] == b'\r' {
                head[line_feed - 1] = b' ';
            }
        }
        from = line_feed + 1;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use lanner_limits::Machine;

    use super::*;

    fn limits() -> Limits {
        Limits::for_machine(Machine {
            nofile: 65_536,
            memory: 1 << 30,
            cpus: 1,
        })
    }

    /// Feeds byte by byte; gives the scan as it was before the last byte.
    fn byte_by_byte(input: &[u8], limits: &Limits) -> (HeadScan, Result<Option<HeadEnd>, Refusal>) {
        let mut scan = HeadScan::default();
        for len in 1..input.len() {
            assert_eq!(
                scan.advance(&input[..len], limits),
                Ok(None),
                "after {len} bytes"
            );
        }
        let before = scan.clone();
        (before, scan.advance(input, limits))
    }

    #[test]
    fn no_byte_is_looked_at_again_and_again_however_small_the_pieces() {
        let long = format!(
            "GET /{} HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
            "a".repeat(8_000),
            "b".repeat(30_000)
        );
        let many = format!("\r\n\r\nGET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(99));
        let short = format!("GET / HTTP/1.1\r\n{}\r\n", "A\r\n".repeat(99));
        let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r".to_owned();
        let nearly = format!("PRI * HTTP/2.0\r\nHost: {}\r\n\r\n", "a".repeat(1_000));
        for input in [long, many, short, preface, nearly] {
            let (scan, _) = byte_by_byte(input.as_bytes(), &limits());
            let examined = scan.examined();
            assert!(
                examined > 0 && examined <= 3 * input.len(),
                "{examined} of {}",
                input.len()
            );
        }
    }

    #[test]
    fn what_arrives_in_one_piece_is_looked_at_three_times_at_most() {
        let input = b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n";
        let mut scan = HeadScan::default();
        // Everything but the last byte, so that the counter is still there to be read: for the end of the head, for the ends
        // of its lines, for what no incomplete head may hold.
        scan.advance(&input[..input.len() - 1], &limits()).unwrap();
        assert!(scan.examined() <= 3 * input.len());
    }

    #[test]
    fn after_a_head_the_scan_is_as_new() {
        let (_, found) = byte_by_byte(b"\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n", &limits());
        assert_eq!(
            found,
            Ok(Some(HeadEnd {
                start: 2,
                end: 26,
                folded: false
            }))
        );
        let mut scan = HeadScan::default();
        let two = b"GET / HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n";
        let first = scan.advance(two, &limits()).unwrap().unwrap();
        assert_eq!(first.end, 18);
        assert_eq!(scan, HeadScan::default());
        let second = scan.advance(&two[first.end..], &limits()).unwrap().unwrap();
        assert_eq!((second.start, second.end), (0, 19));
    }

    #[test]
    fn unfolding_keeps_the_length_and_touches_only_line_ends_before_white_space() {
        for (folded, unfolded) in [
            ("A: b\r\n c\r\n\r\n", "A: b   c\r\n\r\n"),
            ("A: b\n\tc\n\n", "A: b \tc\n\n"),
            ("A:\r\n \r\n b\r\nC: d\r\n\r\n", "A:      b\r\nC: d\r\n\r\n"),
            ("A: b\r\n\r\n", "A: b\r\n\r\n"),
            ("", ""),
            ("\n ", "  "),
        ] {
            let mut bytes = folded.as_bytes().to_vec();
            unfold(&mut bytes);
            assert_eq!(
                bytes.escape_ascii().to_string(),
                unfolded.as_bytes().escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn relaxed_reading_reports_folds_so_that_they_get_joined() {
        let mut relaxed = limits();
        relaxed.h1_strict = false;
        let (_, found) = byte_by_byte(b"GET / HTTP/1.1\nA: b\r\n c\n\n", &relaxed);
        assert_eq!(
            found,
            Ok(Some(HeadEnd {
                start: 0,
                end: 25,
                folded: true
            }))
        );
        let (_, found) = byte_by_byte(b"GET / HTTP/1.1\nA: b\n\n", &relaxed);
        assert_eq!(
            found,
            Ok(Some(HeadEnd {
                start: 0,
                end: 21,
                folded: false
            }))
        );
    }

    #[test]
    fn lint_sees_what_no_head_may_hold_and_a_return_across_its_borders() {
        assert_eq!(lint(b"a\tb\r\n\x80", 0, 6), Ok(()));
        assert_eq!(lint(b"a\0", 0, 2), Err(Misbehaviour::ControlByte));
        assert_eq!(lint(b"a\0", 0, 1), Ok(()));
        assert_eq!(lint(b"\rb", 1, 2), Err(Misbehaviour::BareCarriageReturn));
        assert_eq!(lint(b"\rb", 0, 1), Ok(()));
        assert_eq!(lint(b"\r\n", 1, 2), Ok(()));
        assert_eq!(lint(b"ab", 5, 9), Ok(()));
    }
}
