//! One answer at a time, as far as a load generator must understand it: the status, where it ends, and whether the
//! connection lives on. Only answers with `Content-Length` (or none by their status) are understood; a server under
//! measurement that answers otherwise is reported, not guessed at.

use std::fmt;

/// A longer head is refused: a broken server must not fill our memory.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// A complete answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Whether another request may follow on the connection.
    pub keeps_alive: bool,
}

/// Why bytes are no answer we understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The head is longer than we accept.
    HeadTooLong,
    /// The first line is no HTTP/1 status line.
    StatusLine,
    /// A field is malformed.
    Field,
    /// Neither `Content-Length` nor a status without a body.
    Length,
    /// Bytes after the end of the only answer that was asked for.
    Unasked,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::HeadTooLong => "a head over 64 KiB",
            Self::StatusLine => "no HTTP/1 status line",
            Self::Field => "a malformed field",
            Self::Length => "no Content-Length",
            Self::Unasked => "more bytes than one answer",
        })
    }
}

/// Reads answers from the bytes of one connection, at most one request being under way.
#[derive(Debug, Default)]
pub struct AnswerReader {
    head: Vec<u8>,
    /// Set once the head is complete, with the body bytes still to come.
    body: Option<(Answer, u64)>,
}

impl AnswerReader {
    /// A reader at the start of an answer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes; `Some` when they complete the answer, after which the reader is ready for the next one.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<Option<Answer>, Fault> {
        while self.body.is_none() {
            let Some(head_end) = self.extend_head(bytes)? else {
                return Ok(None);
            };
            bytes = &bytes[head_end..];
            let (answer, length) = judge(&self.head)?;
            self.head.clear();
            // An interim answer only announces the one that counts.
            if answer.status >= 200 {
                self.body = Some((answer, length));
            }
        }
        let Some((answer, left)) = self.body else {
            return Ok(None);
        };
        let left = left.checked_sub(bytes.len() as u64).ok_or(Fault::Unasked)?;
        self.body = (left > 0).then_some((answer, left));
        Ok((left == 0).then_some(answer))
    }

    /// Adds bytes to the head up to its blank line, and says how many of them belonged to it.
    fn extend_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        let seen = self.head.len();
        let room = HEAD_BYTES_MAX - seen;
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let from = seen.saturating_sub(3);
        match self.head[from..]
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
        {
            Some(place) => {
                self.head.truncate(from + place + 4);
                Ok(Some(self.head.len() - seen))
            }
            None if bytes.len() >= room => Err(Fault::HeadTooLong),
            None => Ok(None),
        }
    }
}

/// What a complete head says, and how many body bytes follow.
fn judge(head: &[u8]) -> Result<(Answer, u64), Fault> {
    let head = std::str::from_utf8(head).map_err(|_| Fault::Field)?;
    let mut lines = head.trim_end_matches("\r\n").split("\r\n");
    let (status, persistent) = lines
        .next()
        .and_then(status_line)
        .ok_or(Fault::StatusLine)?;
    let mut answer = Answer {
        status,
        keeps_alive: persistent,
    };
    let mut length = None;
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(Fault::Field)?;
        let value = value.trim_matches([' ', '\t']);
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.parse::<u64>().map_err(|_| Fault::Length)?);
        } else if name.eq_ignore_ascii_case("connection") {
            if value.eq_ignore_ascii_case("close") {
                answer.keeps_alive = false;
            } else if value.eq_ignore_ascii_case("keep-alive") {
                answer.keeps_alive = true;
            }
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(Fault::Length);
        }
    }
    match status {
        100..=199 | 204 | 304 => Ok((answer, 0)),
        _ => Ok((answer, length.ok_or(Fault::Length)?)),
    }
}

/// The status of a status line, and whether its version keeps connections unless told otherwise.
pub(crate) fn status_line(line: &str) -> Option<(u16, bool)> {
    let (version, rest) = line.split_at_checked(9)?;
    let persistent = match version {
        "HTTP/1.1 " => true,
        "HTTP/1.0 " => false,
        _ => return None,
    };
    let code = rest.get(..3)?;
    let status = code
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| code.parse().ok())??;
    (100..=999)
        .contains(&status)
        .then_some((status, persistent))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HELLO: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length:  5\r\n\r\nhello";

    fn whole(bytes: &[u8]) -> Result<Option<Answer>, Fault> {
        AnswerReader::new().feed(bytes)
    }

    #[test]
    fn an_answer_is_the_same_at_every_split_and_byte_by_byte() {
        let expected = Answer {
            status: 200,
            keeps_alive: true,
        };
        for split in 1..HELLO.len() {
            let mut reader = AnswerReader::new();
            assert_eq!(reader.feed(&HELLO[..split]), Ok(None), "split {split}");
            assert_eq!(
                reader.feed(&HELLO[split..]),
                Ok(Some(expected)),
                "split {split}"
            );
        }
        let mut reader = AnswerReader::new();
        for _ in 0..2 {
            for (index, byte) in HELLO.iter().enumerate() {
                let complete = index + 1 == HELLO.len();
                assert_eq!(reader.feed(&[*byte]), Ok(complete.then_some(expected)));
            }
        }
    }

    #[test]
    fn the_connection_field_and_the_version_decide_whether_it_lives_on() {
        for (head, keeps_alive) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
                true,
            ),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
                true,
            ),
        ] {
            assert_eq!(
                whole(head.as_bytes()),
                Ok(Some(Answer {
                    status: 200,
                    keeps_alive
                })),
                "{head}"
            );
        }
    }

    #[test]
    fn an_interim_answer_is_passed_over() {
        let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
        for split in 1..bytes.len() {
            let mut reader = AnswerReader::new();
            assert_eq!(reader.feed(&bytes[..split]), Ok(None));
            assert_eq!(reader.feed(&bytes[split..]).unwrap().unwrap().status, 204);
        }
    }

    #[test]
    fn what_is_not_understood_is_a_fault() {
        for (bytes, fault) in [
            (&b"HTTP/2 200\r\n\r\n"[..], Fault::StatusLine),
            (b"HTTP/1.1 2x0 OK\r\n\r\n", Fault::StatusLine),
            (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Fault::StatusLine),
            (b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", Fault::Field),
            (b"HTTP/1.1 200 OK\r\n\r\n", Fault::Length),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                Fault::Length,
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                Fault::Length,
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc",
                Fault::Unasked,
            ),
        ] {
            assert_eq!(whole(bytes), Err(fault), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_head_without_end_is_refused_at_its_bound() {
        let mut reader = AnswerReader::new();
        let mut fed = 0;
        let fault = loop {
            assert!(fed <= HEAD_BYTES_MAX, "the bound was not applied");
            match reader.feed(&[b'x'; 1000]) {
                Ok(_) => fed += 1000,
                Err(fault) => break fault,
            }
        };
        assert_eq!(fault, Fault::HeadTooLong);
        assert!(reader.head.len() <= HEAD_BYTES_MAX);
    }
}
