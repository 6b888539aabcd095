//! What a field name and a field value may consist of (RFC 9110 section 5.1, 5.5 and 5.6), for requests, for trailers and for
//! fields that an app makes; and how a value falls apart into list elements.
//!
//! What particular fields mean is decided elsewhere: `framing`, `host`, `head`.

pub(crate) mod search;

use memchr::memchr;

use crate::misbehaviour::Misbehaviour;
use crate::span::Span;
use search::{first_control, leading, leading_plain};

/// Where one field stands in its head or trailer section.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FieldSpan {
    /// The name, in the case in which it was sent.
    pub name: Span,
    /// The value without the white space around it.
    pub value: Span,
}

/// Which bytes may stand in a token (RFC 9110 section 5.6.2).
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(
            byte as u8,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        ) || (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    table
};

/// Whether a byte may stand in a token: a method, a field name, a list option.
#[inline]
pub fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// Whether a text is a token: at least one byte, and only token bytes.
#[inline]
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
}

/// Whether a byte may stand in a field value: visible ASCII, SP, HTAB, or 0x80 to 0xFF.
#[inline]
pub fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Whether a field may be named so (RFC 9110 section 5.1).
#[inline]
pub fn valid_name(name: &[u8]) -> bool {
    is_token(name)
}

/// Whether a field may have this value: no CR, LF, NUL or other control byte than HTAB. White space around it is allowed;
/// it is not part of the value and vanishes on the way (RFC 9110 section 5.5).
#[inline]
pub fn valid_value(value: &[u8]) -> bool {
    value.iter().all(|&byte| is_value_byte(byte))
}

/// Whether a name or an option is `wanted` in any case. `wanted` is made of lower-case letters, digits and hyphens; `text`
/// holds no control bytes, as everything in a parsed head, and so setting one bit of each byte makes no two that differ
/// equal. With the length known, this is a few word comparisons; `eq_ignore_ascii_case` goes byte by byte.
#[inline]
pub(crate) fn is_named<const LEN: usize>(text: &[u8], wanted: &[u8; LEN]) -> bool {
    match <&[u8; LEN]>::try_from(text) {
        Ok(text) => {
            text.iter().zip(wanted).fold(0, |differing, (byte, want)| {
                differing | (byte | 0x20) ^ want
            }) == 0
        }
        Err(_) => false,
    }
}

/// A value without the optional white space (SP, HTAB) around it.
#[inline]
pub fn trim_ows(value: &[u8]) -> &[u8] {
    trim_ows_end(trim_ows_start(value))
}

#[inline]
fn trim_ows_start(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    value
}

#[inline]
fn trim_ows_end(mut value: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The elements of a comma-separated list, trimmed, empty ones included: whether those are harmless (RFC 9110 section 5.6.1.2) or
/// suspect depends on the field. Quoted strings are not looked into; no field that the server itself reads has any.
pub fn list_with_empty(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim_ows)
}

/// The elements of a comma-separated list, trimmed, empty ones skipped as RFC 9110 section 5.6.1.2 asks.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    list_with_empty(value).filter(|element| !element.is_empty())
}

/// Splits the token bytes off the front of `text`: a token, unless there are none.
#[inline]
pub(crate) fn split_token(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(leading(text, &TOKEN))
}

/// As one number; compared byte by byte it costs 5 instructions more, on every line.
const CRLF: u16 = u16::from_ne_bytes(*b"\r\n");

/// What follows the line end at the front of `text`: CRLF, or a bare LF if reading is not strict.
#[inline]
pub(crate) fn strip_line_end(text: &[u8], strict: bool) -> Option<&[u8]> {
    match text.split_first_chunk() {
        Some((end, rest)) if u16::from_ne_bytes(*end) == CRLF => Some(rest),
        _ if strict => None,
        _ => text.strip_prefix(b"\n"),
    }
}

/// One field line, well-formed: its name, its trimmed value, and what follows its line end.
pub(crate) struct FieldLine<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) rest: &'a [u8],
}

impl<'a> FieldLine<'a> {
    /// Splits a field line off the front of `text`, in one pass; none if there is no well-formed one. `parse_line` takes
    /// longer and knows the reason.
    #[inline]
    pub(crate) fn split_off(text: &'a [u8], strict: bool) -> Option<FieldLine<'a>> {
        match Self::split_off_usual(text) {
            Some(line) => Some(line),
            None => Self::split_off_any(text, strict),
        }
    }

    /// A line as nearly all are: plain letters in the name, one space behind the colon, none behind the value, no tab
    /// within it, CRLF at its end.
    #[inline]
    fn split_off_usual(text: &'a [u8]) -> Option<FieldLine<'a>> {
        let (name, rest) = text.split_at_checked(leading_plain(text))?;
        let (&colon, rest) = rest.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(first_control(rest)?)?;
        let (&end, rest) = rest.split_first_chunk()?;
        let is_usual = u16::from_ne_bytes(colon) == u16::from_ne_bytes(*b": ")
            && u16::from_ne_bytes(end) == CRLF
            && *value.first()? != b' '
            && *value.last()? != b' '
            && !name.is_empty();
        is_usual.then_some(FieldLine { name, value, rest })
    }

    /// Any well-formed line.
    #[inline(never)]
    fn split_off_any(text: &'a [u8], strict: bool) -> Option<FieldLine<'a>> {
        let (name, rest) = split_token(text);
        let value = trim_ows_start(rest.strip_prefix(b":")?);
        let mut value_len = first_control(value)?;
        while value[value_len] == b'\t' {
            value_len += 1 + first_control(&value[value_len + 1..])?;
        }
        let (value, rest) = value.split_at(value_len);
        let rest = strip_line_end(rest, strict)?;
        (!name.is_empty()).then_some(FieldLine {
            name,
            value: trim_ows_end(value),
            rest,
        })
    }
}

/// Takes one field line apart, given without its line end: name and trimmed value. Requests are tokenised faster by
/// `FieldLine`; this is for trailers, and for finding out what is wrong with a request.
///
/// # Errors
/// The rule of RFC 9112 section 5 that the line breaks.
pub fn parse_line(line: &[u8]) -> Result<(&[u8], &[u8]), Misbehaviour> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Misbehaviour::ObsoleteFold);
    }
    let colon = memchr(b':', line).ok_or(Misbehaviour::MissingColon)?;
    let (name, value) = (&line[..colon], trim_ows(&line[colon + 1..]));
    if matches!(name.last(), Some(b' ' | b'\t')) {
        return Err(Misbehaviour::SpaceBeforeColon);
    }
    if !valid_name(name) {
        return Err(Misbehaviour::InvalidFieldName);
    }
    if !valid_value(value) {
        return Err(Misbehaviour::InvalidFieldValue);
    }
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_line() -> impl Strategy<Value = Vec<u8>> {
        let names = prop::sample::select(b"aZ0-_.:\t \r\x80".to_vec());
        let values = prop::sample::select(b"aZ~\" \t\r\n\0\x7f\x80\xff".to_vec());
        let plain = (0..40usize).prop_map(|len| vec![b'n'; len]);
        let odd = prop::collection::vec(names, 0..4);
        let separator = prop::sample::select(vec![&b": "[..], b":", b":  ", b" :", b""]);
        let value = prop_oneof![
            (0..40usize).prop_map(|len| vec![b'v'; len]),
            prop::collection::vec(values, 0..6)
        ];
        let end = prop::sample::select(vec![&b"\r\n"[..], b"\n", b"\r", b" \r\n", b""]);
        let behind =
            prop::sample::select(vec![&b""[..], b"\r\n", b"next: field with more\r\n\r\n"]);
        (plain, odd, separator, value, end, behind).prop_map(
            |(plain, odd, separator, value, end, behind)| {
                [&plain, &odd, separator, &value, end, behind].concat()
            },
        )
    }

    proptest! {
        #[test]
        fn the_fast_way_finds_nothing_that_the_other_does_not(line in any_line(), strict: bool) {
            if let Some(usual) = FieldLine::split_off_usual(&line) {
                let any = FieldLine::split_off_any(&line, strict).expect("it is well-formed");
                prop_assert_eq!((usual.name, usual.value, usual.rest), (any.name, any.value, any.rest));
                prop_assert_eq!(parse_line(&line[..line.len() - usual.rest.len() - 2]), Ok((usual.name, usual.value)));
            }
        }
    }

    #[test]
    fn a_field_line_is_a_token_a_colon_and_a_value() {
        assert_eq!(parse_line(b"Host:a"), Ok((&b"Host"[..], &b"a"[..])));
        assert_eq!(
            parse_line(b"Host: \ta:b \t"),
            Ok((&b"Host"[..], &b"a:b"[..]))
        );
        assert_eq!(parse_line(b"Empty:"), Ok((&b"Empty"[..], &b""[..])));
        for (line, fault) in [
            (&b"Host"[..], Misbehaviour::MissingColon),
            (b"", Misbehaviour::MissingColon),
            (b"Host : a", Misbehaviour::SpaceBeforeColon),
            (b"Host\t: a", Misbehaviour::SpaceBeforeColon),
            (b" Host: a", Misbehaviour::ObsoleteFold),
            (b": a", Misbehaviour::InvalidFieldName),
            (b"Ho st: a", Misbehaviour::InvalidFieldName),
            (b"Ho\0st: a", Misbehaviour::InvalidFieldName),
            (b"Host: a\0b", Misbehaviour::InvalidFieldValue),
            (b"Host: a\rb", Misbehaviour::InvalidFieldValue),
            (b"Host: a\x0b", Misbehaviour::InvalidFieldValue),
        ] {
            assert_eq!(
                parse_line(line),
                Err(fault),
                "{:?}",
                line.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn token_bytes_are_exactly_those_of_the_rfc() {
        let allowed =
            b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        for byte in 0..=255 {
            assert_eq!(is_token_byte(byte), allowed.contains(&byte), "{byte:#04x}");
        }
    }

    #[test]
    fn value_bytes_are_visible_ascii_space_tab_and_the_upper_half() {
        for byte in 0..=255u8 {
            let allowed = byte == 9 || (32..=126).contains(&byte) || byte >= 128;
            assert_eq!(is_value_byte(byte), allowed, "{byte:#04x}");
        }
    }

    #[test]
    fn a_name_is_a_token_and_never_empty() {
        assert!(valid_name(b"X-Forwarded-For"));
        for name in [
            &b""[..],
            b"a b",
            b"a:",
            b" a",
            b"a\r\nb",
            b"a\0",
            b"(a)",
            "ä".as_bytes(),
        ] {
            assert!(!valid_name(name), "{name:?}");
        }
    }

    #[test]
    fn a_value_cannot_hold_what_ends_a_line() {
        for value in [&b""[..], b"a", b"a b\tc", b" a ", b"\x80\xff", b"\"<>\\^{}"] {
            assert!(valid_value(value), "{value:?}");
        }
        for value in [
            &b"a\r\nb"[..],
            b"a\nb",
            b"a\rb",
            b"a\0b",
            b"\x7f",
            b"\x1b[0m",
        ] {
            assert!(!valid_value(value), "{value:?}");
        }
    }

    #[test]
    fn a_name_is_recognised_in_any_case_and_no_other_byte_passes_for_one_of_its_letters() {
        assert!(
            is_named(b"Keep-Alive", b"keep-alive") && is_named(b"100-CONTINUE", b"100-continue")
        );
        assert!(!is_named(b"keep-aliv", b"keep-alive") && !is_named(b"keep-alives", b"keep-alive"));
        let wanted = b"100-continue-abdfghjklmpqrsvwxyz";
        for at in 0..wanted.len() {
            for byte in (0..=255).filter(|&byte| is_value_byte(byte)) {
                let mut text = *wanted;
                text[at] = byte;
                assert_eq!(
                    is_named(&text, wanted),
                    text.eq_ignore_ascii_case(wanted),
                    "{byte:#04x} at {at}"
                );
            }
        }
    }

    #[test]
    fn only_space_and_tab_are_trimmed() {
        assert_eq!(trim_ows(b" \t a b \t"), b"a b");
        assert_eq!(trim_ows(b"\x0ba\x0c"), b"\x0ba\x0c");
        assert_eq!(trim_ows(b" \t "), b"");
        assert_eq!(trim_ows(b""), b"");
    }

    #[test]
    fn list_elements_are_trimmed_and_empty_ones_skipped() {
        let elements = |value| list(value).collect::<Vec<_>>();
        assert_eq!(elements(b"close"), [b"close"]);
        assert_eq!(elements(b", a ,,\tb\t, "), [b"a", b"b"]);
        assert_eq!(elements(b""), [b""; 0]);
        assert_eq!(list_with_empty(b"a,,b").count(), 3);
        assert_eq!(list_with_empty(b"").count(), 1);
    }
}
