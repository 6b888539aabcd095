//! Finds out what is wrong with a head that the tokeniser refused.
//!
//! The tokeniser says where in its grammar it stopped, not which rule was broken: its version error covers both 400 and
//! 505, and white space before a colon is to it any bad name. This reads the head again, slowly, and names the first rule
//! broken. It never accepts anything.

use lanner_limits::Limits;
use memchr::memchr;

use crate::field::{is_token, parse_line};
use crate::misbehaviour::Misbehaviour;
use crate::refusal::Refusal;
use crate::scan::{HeadScan, lint};

/// The first rule that a refused head breaks. What the scan knows of comes before everything else, as it does for a head
/// that arrives in pieces.
#[cold]
pub(super) fn of(head: &[u8], limits: &Limits) -> Refusal {
    match HeadScan::default().advance(head, limits) {
        Err(refusal) => refusal,
        Ok(_) => of_lines(head).into(),
    }
}

fn of_lines(head: &[u8]) -> Misbehaviour {
    if let Err(fault) = lint(head, 0, head.len()) {
        return fault;
    }
    let mut lines = head
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    if let Err(fault) = check_request_line(lines.next().unwrap_or_default()) {
        return fault;
    }
    lines
        .take_while(|line| !line.is_empty())
        .find_map(|line| parse_line(line).err())
        // Nothing is wrong with the lines, so there are too few of them: the scan hands on whole heads only.
        .unwrap_or(Misbehaviour::EarlyEof)
}

fn check_request_line(line: &[u8]) -> Result<(), Misbehaviour> {
    let (method, rest) = split_at_space(line);
    if !is_token(method) {
        return Err(Misbehaviour::InvalidMethod);
    }
    let (target, version) = split_at_space(rest.ok_or(Misbehaviour::InvalidRequestLine)?);
    if target.is_empty() {
        return Err(Misbehaviour::InvalidRequestLine);
    }
    if target.contains(&b'\t') || !target.is_ascii() {
        return Err(Misbehaviour::InvalidTarget);
    }
    // HTTP/0.9 had none.
    check_version(version.ok_or(Misbehaviour::InvalidVersion)?)
}

fn split_at_space(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr(b' ', line) {
        Some(space) => (&line[..space], Some(&line[space + 1..])),
        None => (line, None),
    }
}

fn check_version(version: &[u8]) -> Result<(), Misbehaviour> {
    match version {
        b"HTTP/1.0" | b"HTTP/1.1" => Ok(()),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(Misbehaviour::UnsupportedVersion)
        }
        // A target with a space in it, or spaces around the version.
        _ if version.contains(&b' ') => Err(Misbehaviour::InvalidRequestLine),
        _ => Err(Misbehaviour::InvalidVersion),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_broken_is_named() {
        use Misbehaviour::*;
        for (line, fault) in [
            ("GET / HTTP/2.0", UnsupportedVersion),
            ("GET / HTTP/1.2", UnsupportedVersion),
            ("GET / HTTP/0.9", UnsupportedVersion),
            ("GET / HTTP/1.10", InvalidVersion),
            ("GET / http/1.1", InvalidVersion),
            ("GET / HTTP/1,1", InvalidVersion),
            ("GET / HTTP/11", InvalidVersion),
            ("GET / HTTPS/1.1", InvalidVersion),
            ("GET / ", InvalidVersion),
            ("GET /", InvalidVersion),
            ("GET  / HTTP/1.1", InvalidRequestLine),
            ("GET /  HTTP/1.1", InvalidRequestLine),
            ("GET / HTTP/1.1 ", InvalidRequestLine),
            ("GET / a HTTP/1.1", InvalidRequestLine),
            ("GET", InvalidRequestLine),
            ("G{T / HTTP/1.1", InvalidMethod),
            ("G\tT / HTTP/1.1", InvalidMethod),
            (" GET / HTTP/1.1", InvalidMethod),
            ("GET /\ta HTTP/1.1", InvalidTarget),
            ("GET /ä HTTP/1.1", InvalidTarget),
            ("GET /\0 HTTP/1.1", ControlByte),
        ] {
            assert_eq!(
                of_lines(format!("{line}\r\nHost: a\r\n\r\n").as_bytes()),
                fault,
                "{line:?}"
            );
        }
    }

    #[test]
    fn the_first_bad_field_line_is_named() {
        use Misbehaviour::*;
        for (fields, fault) in [
            ("Host : a\r\nno colon\r\n", SpaceBeforeColon),
            ("no colon\r\nHost : a\r\n", MissingColon),
            ("(a): b\r\n", InvalidFieldName),
            (": b\r\n", InvalidFieldName),
            ("Host: a\0\r\n", ControlByte),
            ("Host: a\rb\r\n", BareCarriageReturn),
        ] {
            assert_eq!(
                of_lines(format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes()),
                fault,
                "{fields:?}"
            );
        }
    }

    #[test]
    fn a_head_with_nothing_wrong_but_its_end_is_incomplete() {
        assert_eq!(
            of_lines(b"GET / HTTP/1.1\r\nHost: a\r\n"),
            Misbehaviour::EarlyEof
        );
    }
}
