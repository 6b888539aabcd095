//! How a response is framed on the wire: one function writes the head and decides the framing, the rest keeps to it.
//!
//! The engine owns Content-Length, Transfer-Encoding, Connection and Date; an app says only how long its body is, if
//! it knows. What an app gets wrong (too many bytes, too few) is an error here, because a peer cannot be told in
//! band once the head is out.

use crate::chunked;
use crate::fields::Fields;
use crate::output::Output;
use crate::status::Status;
use bytes::Bytes;
use std::fmt;

/// What an app says of its response before the first body byte.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// The final status, 200 to 599.
    pub status: Status,
    /// The app's fields.
    pub fields: &'a Fields,
    /// How long the body will be.
    pub length: BodyLength,
}

/// How long a response body will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// Exactly so many bytes.
    Known(u64),
    /// Not known yet: chunked in HTTP/1.1, ended by the close in HTTP/1.0 (RFC 9112 section 6.3).
    Unknown,
}

/// What an app did that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseError {
    /// A 1xx status as the final one, or 101 without a request for an upgrade.
    InformationalStatus,
    /// More body bytes than were announced.
    TooManyBytes,
    /// Fewer body bytes than were announced.
    TooFewBytes,
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InformationalStatus => "a 1xx status cannot be a final answer",
            Self::TooManyBytes => "the body was longer than the length announced",
            Self::TooFewBytes => "the body was shorter than the length announced",
        })
    }
}

impl std::error::Error for ResponseError {}

/// What the connection knows when a head is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'a> {
    pub(crate) date: &'a [u8; 29],
    pub(crate) server: Option<&'a str>,
    pub(crate) head_request: bool,
    pub(crate) http10: bool,
    pub(crate) close: bool,
}

/// The framing that a written head has announced; what remains to be sent under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// `Content-Length`: so many bytes to go.
    Length { left: u64 },
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The close ends the body (HTTP/1.0).
    Close,
    /// HEAD, 204, 205, 304: the body an app offers is not sent.
    Suppressed,
}

/// Writes a response head and says which framing it announced.
#[inline]
pub(crate) fn encode_head(
    head: &ResponseHead<'_>,
    around: Circumstances<'_>,
    output: &mut Output,
) -> Framing {
    let into = output.tail();
    // Few pieces, and of a length known here: each costs 10 instructions, any other 30.
    match head.status {
        Status::OK => into.extend_from_slice(b"HTTP/1.1 200 OK\r\ndate: "),
        status => encode_other_line(status, into),
    }
    into.extend_from_slice(around.date);
    into.extend_from_slice(b"\r\n");
    if let Some(server) = around.server {
        into.extend_from_slice(b"server: ");
        into.extend_from_slice(server.as_bytes());
        into.extend_from_slice(b"\r\n");
    }
    head.fields.encode(into);
    let framing = encode_framing(head, &around, into);
    if around.close || framing == Framing::Close {
        into.extend_from_slice(b"connection: close\r\n");
    } else if around.http10 {
        into.extend_from_slice(b"connection: keep-alive\r\n");
    }
    into.extend_from_slice(b"\r\n");
    framing
}

/// The status line of other answers, up to where the date stands. Out of the way, or the compiler would make one copy of an
/// unknown length of this and the usual.
#[cold]
#[inline(never)]
fn encode_other_line(status: Status, into: &mut Vec<u8>) {
    status.encode_line(into);
    into.extend_from_slice(b"date: ");
}

#[inline]
fn encode_framing(
    head: &ResponseHead<'_>,
    around: &Circumstances<'_>,
    into: &mut Vec<u8>,
) -> Framing {
    if head.status.never_has_content() {
        return Framing::Suppressed;
    }
    // RFC 9110 section 15.3.6: a 205 has no content, and says so by its length.
    let reset = head.status == Status::RESET_CONTENT;
    let framing = match head.length {
        _ if reset => {
            encode_content_length(0, into);
            Framing::Suppressed
        }
        BodyLength::Known(length) => {
            encode_content_length(length, into);
            Framing::Length { left: length }
        }
        BodyLength::Unknown if around.http10 => Framing::Close,
        BodyLength::Unknown => {
            into.extend_from_slice(b"transfer-encoding: chunked\r\n");
            Framing::Chunked
        }
    };
    if around.head_request {
        Framing::Suppressed
    } else {
        framing
    }
}

/// The decimal digits of a length that is written as one piece.
const SHORT_DIGITS_MAX: usize = 4;

const NAME: usize = b"content-length: ".len();

#[inline]
fn encode_content_length(length: u64, into: &mut Vec<u8>) {
    let digits = match length {
        0..=9 => 1,
        10..=99 => 2,
        100..=999 => 3,
        1_000..=9_999 => SHORT_DIGITS_MAX,
        _ => return encode_other_content_length(length, into),
    };
    let mut line = *b"content-length: 0000\r\n";
    let mut rest = length as u16;
    for place in (NAME..NAME + digits).rev() {
        line[place] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    line[NAME + digits] = b'\r';
    line[NAME + digits + 1] = b'\n';
    // All of it, which is of a length known here, and then without what is too much.
    into.extend_from_slice(&line);
    into.truncate(into.len() - (SHORT_DIGITS_MAX - digits));
}

#[inline(never)]
fn encode_other_content_length(length: u64, into: &mut Vec<u8>) {
    into.extend_from_slice(b"content-length: ");
    encode_decimal(length, into);
    into.extend_from_slice(b"\r\n");
}

/// Appends a number in decimal digits.
#[inline]
pub(crate) fn encode_decimal(mut number: u64, into: &mut Vec<u8>) {
    // Two divisions fewer for the lengths of most small answers: 40 instructions.
    if number < 100 {
        let (tens, ones) = (number as u8 / 10, number as u8 % 10);
        let digits = [b'0' + tens, b'0' + ones];
        return into.extend_from_slice(&digits[usize::from(tens == 0)..]);
    }
    let mut digits = [0u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    into.extend_from_slice(&digits[start..]);
}

impl Framing {
    /// Queues a piece of the body.
    #[inline(always)]
    pub(crate) fn send(&mut self, piece: Bytes, output: &mut Output) -> Result<(), ResponseError> {
        match self {
            Self::Suppressed => {}
            _ if piece.is_empty() => {}
            Self::Close => output.push_shared(piece),
            Self::Length { left } => {
                *left = left
                    .checked_sub(piece.len() as u64)
                    .ok_or(ResponseError::TooManyBytes)?;
                output.push_shared(piece);
            }
            Self::Chunked => {
                chunked::encode_chunk_header(piece.len(), output.tail());
                output.push_shared(piece);
                output.push(chunked::CHUNK_END);
            }
        }
        Ok(())
    }

    /// Ends the body. Trailers are sent where the framing has a place for them, and dropped elsewhere
    /// (RFC 9110 section 6.5: a sender may always leave them out).
    #[inline]
    pub(crate) fn finish(
        self,
        trailers: Option<&Fields>,
        output: &mut Output,
    ) -> Result<(), ResponseError> {
        match self {
            Self::Suppressed | Self::Close => Ok(()),
            Self::Length { left: 0 } => Ok(()),
            Self::Length { .. } => Err(ResponseError::TooFewBytes),
            Self::Chunked => {
                chunked::encode_last_chunk(trailers, output.tail());
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    fn encode(
        status: u16,
        length: BodyLength,
        change: impl Fn(&mut Circumstances<'_>),
    ) -> (String, Framing) {
        let mut output = Output::new();
        let mut around = Circumstances {
            date: DATE,
            server: None,
            head_request: false,
            http10: false,
            close: false,
        };
        change(&mut around);
        let mut fields = Fields::new();
        fields.append("x", "y").unwrap();
        let head = ResponseHead {
            status: Status::new(status).unwrap(),
            fields: &fields,
            length,
        };
        let framing = encode_head(&head, around, &mut output);
        (
            String::from_utf8(output.contiguous().unwrap().to_vec()).unwrap(),
            framing,
        )
    }

    #[test]
    fn a_known_length_is_announced() {
        let (text, framing) = encode(200, BodyLength::Known(13), |_| {});
        assert_eq!(
            text,
            "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\nx: y\r\ncontent-length: 13\r\n\r\n"
        );
        assert_eq!(framing, Framing::Length { left: 13 });
    }

    #[test]
    fn an_unknown_length_is_chunked_or_ended_by_the_close() {
        let (text, framing) = encode(200, BodyLength::Unknown, |_| {});
        assert!(
            text.contains("transfer-encoding: chunked\r\n") && !text.contains("content-length")
        );
        assert_eq!(framing, Framing::Chunked);
        let (text, framing) = encode(200, BodyLength::Unknown, |around| around.http10 = true);
        assert!(text.contains("connection: close\r\n") && !text.contains("transfer-encoding"));
        assert_eq!(framing, Framing::Close);
    }

    /// RFC 9110 section 8.6: no Content-Length in 1xx and 204; section 15.4.5: a 304 has no content.
    #[test]
    fn statuses_without_content_announce_none() {
        for status in [204, 304] {
            let (text, framing) = encode(status, BodyLength::Known(13), |_| {});
            assert!(
                !text.contains("content-length") && !text.contains("transfer-encoding"),
                "{text}"
            );
            assert_eq!(framing, Framing::Suppressed);
        }
        let (text, framing) = encode(205, BodyLength::Known(13), |_| {});
        assert!(text.contains("content-length: 0\r\n"), "{text}");
        assert_eq!(framing, Framing::Suppressed);
    }

    /// RFC 9110 section 9.3.2: HEAD has the fields of GET and no content.
    #[test]
    fn head_announces_what_get_would_and_sends_nothing() {
        let (text, mut framing) = encode(200, BodyLength::Known(13), |around| {
            around.head_request = true
        });
        assert!(text.contains("content-length: 13\r\n"));
        let mut output = Output::new();
        framing
            .send(Bytes::from_static(b"Hello, World!"), &mut output)
            .unwrap();
        framing.finish(None, &mut output).unwrap();
        assert!(output.is_empty());
    }

    #[test]
    fn an_http10_client_that_keeps_alive_is_told_so() {
        let (text, _) = encode(200, BodyLength::Known(0), |around| around.http10 = true);
        assert!(text.contains("connection: keep-alive\r\n"));
    }

    #[test]
    fn too_many_and_too_few_bytes_are_errors() {
        let mut output = Output::new();
        let mut framing = Framing::Length { left: 3 };
        assert_eq!(
            framing.send(Bytes::from_static(b"four"), &mut output),
            Err(ResponseError::TooManyBytes)
        );
        let mut framing = Framing::Length { left: 3 };
        framing
            .send(Bytes::from_static(b"12"), &mut output)
            .unwrap();
        assert_eq!(
            framing.finish(None, &mut output),
            Err(ResponseError::TooFewBytes)
        );
    }

    /// RFC 9112 section 7.1: an empty chunk would end the body.
    #[test]
    fn an_empty_piece_does_not_end_a_chunked_body() {
        let mut output = Output::new();
        let mut framing = Framing::Chunked;
        framing.send(Bytes::new(), &mut output).unwrap();
        framing
            .send(Bytes::from_static(b"ab"), &mut output)
            .unwrap();
        let mut trailers = Fields::new();
        trailers.append("t", "1").unwrap();
        framing.finish(Some(&trailers), &mut output).unwrap();
        assert_eq!(
            output.contiguous().unwrap(),
            b"2\r\nab\r\n0\r\nt: 1\r\n\r\n"
        );
    }

    #[test]
    fn lengths_are_exact_at_the_edges() {
        for length in [
            0,
            9,
            10,
            13,
            99,
            100,
            999,
            1_000,
            9_999,
            10_000,
            65_536,
            u64::MAX,
        ] {
            let mut line = b"before".to_vec();
            encode_content_length(length, &mut line);
            assert_eq!(
                line,
                format!("beforecontent-length: {length}\r\n").into_bytes()
            );
        }
    }

    #[test]
    fn decimals_are_exact_at_the_edges() {
        for number in [0, 9, 10, 99, 100, u64::MAX] {
            let mut into = Vec::new();
            encode_decimal(number, &mut into);
            assert_eq!(into, number.to_string().into_bytes());
        }
    }
}
