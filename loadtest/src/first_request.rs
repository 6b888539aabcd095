//! The first request on a fresh connection, of either version of HTTP, as bytes that were written down beforehand. It is for
//! connections that are to be held afterwards, so it knows no more of HTTP/2 than one request needs.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use crate::answer::AnswerReader;

/// What every server of a comparison answers.
pub const BODY: &[u8] = b"Hello, World!";

/// The version, and what HTTP/2 says of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1.
    One,
    /// HTTP/2 with this scheme: `http` or `https`.
    Two {
        /// Whether TLS is below.
        is_secure: bool,
    },
}

/// Frame types and flags of RFC 9113, section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// More than any of the servers sends for one answer.
const FRAMES_MAX: usize = 64;

/// Asks for `/hello` and reads the whole answer; anything but the one that is agreed on fails.
pub fn ask(link: &mut (impl Read + Write), to: SocketAddr, version: Version) -> io::Result<()> {
    match version {
        Version::One => ask_http1(link, to),
        Version::Two { is_secure } => ask_http2(link, to, is_secure),
    }
}

fn ask_http1(link: &mut (impl Read + Write), to: SocketAddr) -> io::Result<()> {
    link.write_all(format!("GET /hello HTTP/1.1\r\nHost: {to}\r\n\r\n").as_bytes())?;
    link.flush()?;
    let (mut reader, mut bytes) = (AnswerReader::new(), [0; 4096]);
    loop {
        let count = link.read(&mut bytes)?;
        if count == 0 {
            return Err(wrong("the connection ended before its answer"));
        }
        let fed = reader.feed(&bytes[..count]);
        match fed.map_err(|fault| wrong(&fault.to_string()))? {
            None => {}
            Some(answer) if answer.status == 200 && answer.keeps_alive => return Ok(()),
            Some(answer) => return Err(wrong(&format!("answered {answer:?}"))),
        }
    }
}

fn ask_http2(link: &mut (impl Read + Write), to: SocketAddr, is_secure: bool) -> io::Result<()> {
    let mut asked = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    put_frame(&mut asked, SETTINGS, 0, 0, &[]);
    let fields = request_fields(to, is_secure);
    put_frame(&mut asked, HEADERS, END_STREAM | END_HEADERS, 1, &fields);
    link.write_all(&asked)?;
    link.flush()?;
    let (mut body, mut acknowledged) = (Vec::new(), false);
    for _ in 0..FRAMES_MAX {
        let frame = Frame::read(link)?;
        match frame.kind {
            SETTINGS if frame.flags & ACK == 0 => {
                let mut answer = Vec::new();
                put_frame(&mut answer, SETTINGS, ACK, 0, &[]);
                link.write_all(&answer)?;
                link.flush()?;
                acknowledged = true;
            }
            DATA => {
                body.extend_from_slice(&frame.payload);
                if frame.flags & END_STREAM != 0 {
                    return match body == BODY && acknowledged {
                        true => Ok(()),
                        false => Err(wrong("another answer than the one agreed on")),
                    };
                }
            }
            HEADERS if frame.flags & END_STREAM != 0 => return Err(wrong("an empty answer")),
            RST_STREAM | GOAWAY => {
                return Err(wrong("the request was refused with a frame"));
            }
            _ => {}
        }
    }
    Err(wrong("many frames and no answer"))
}

/// RFC 7541: method GET and the scheme are in the static table, path and authority are written out after their names there.
fn request_fields(to: SocketAddr, is_secure: bool) -> Vec<u8> {
    let (path, authority) = ("/hello", to.to_string());
    let mut block = vec![0x82, if is_secure { 0x87 } else { 0x86 }];
    for (name, value) in [(4, path), (1, authority.as_str())] {
        // An address with its port is shorter than the 127 bytes from where on a length takes more than one.
        block.extend([name, value.len() as u8]);
        block.extend(value.as_bytes());
    }
    block
}

fn put_frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
}

struct Frame {
    kind: u8,
    flags: u8,
    payload: Vec<u8>,
}

impl Frame {
    fn read(link: &mut impl Read) -> io::Result<Self> {
        let mut head = [0; 9];
        link.read_exact(&mut head)?;
        // Three bytes of it: 16 MiB at the most, and no server sends more than the 16 KiB that we allow by default.
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        link.read_exact(&mut payload)?;
        Ok(Self {
            kind: head[3],
            flags: head[4],
            payload,
        })
    }
}

fn wrong(text: &str) -> io::Error {
    io::Error::other(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A peer that says what it was told to, and remembers what it heard.
    struct Scripted {
        says: io::Cursor<Vec<u8>>,
        heard: Vec<u8>,
    }

    impl Read for Scripted {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.says.read(buffer)
        }
    }

    impl Write for Scripted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.heard.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn asked(version: Version, says: Vec<u8>) -> (Result<(), String>, Vec<u8>) {
        let mut peer = Scripted {
            says: io::Cursor::new(says),
            heard: Vec::new(),
        };
        let outcome = ask(&mut peer, "127.0.0.1:80".parse().unwrap(), version);
        (outcome.map_err(|error| error.to_string()), peer.heard)
    }

    fn frames(frames: &[(u8, u8, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, flags, payload) in frames {
            put_frame(&mut bytes, *kind, *flags, 1, payload);
        }
        bytes
    }

    #[test]
    fn an_http2_request_is_asked_acknowledged_and_its_answer_taken() {
        let says = frames(&[
            (SETTINGS, 0, &[0, 3, 0, 0, 0, 100]),
            (SETTINGS, ACK, &[]),
            (HEADERS, END_HEADERS, &[0x88]),
            (DATA, 0, b"Hello, "),
            (DATA, END_STREAM, b"World!"),
        ]);
        let (outcome, heard) = asked(Version::Two { is_secure: false }, says);
        assert_eq!(outcome, Ok(()));
        let expected = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
            \0\0\0\x04\0\0\0\0\0\
            \0\0\x18\x01\x05\0\0\0\x01\x82\x86\x04\x06/hello\x01\x0c127.0.0.1:80\
            \0\0\0\x04\x01\0\0\0\0";
        assert_eq!(
            heard.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

    #[test]
    fn any_other_http2_answer_is_refused() {
        let settings = (SETTINGS, 0, &[][..]);
        for says in [
            frames(&[]),
            frames(&[settings, (DATA, END_STREAM, b"Hello, World?")]),
            // The server's settings come first, whatever it is asked.
            frames(&[(DATA, END_STREAM, BODY)]),
            frames(&[settings, (HEADERS, END_HEADERS | END_STREAM, &[0x8d])]),
            frames(&[settings, (RST_STREAM, 0, &[0, 0, 0, 7])]),
            frames(&[settings, (GOAWAY, 0, &[0; 8])]),
            frames(&[settings; FRAMES_MAX]),
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        ] {
            let (outcome, _) = asked(Version::Two { is_secure: true }, says.clone());
            assert!(outcome.is_err(), "{}", says.escape_ascii());
        }
    }

    #[test]
    fn an_http1_answer_must_be_a_kept_200() {
        for (says, right) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true),
            ("HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nok", false),
            (
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
                false,
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", false),
        ] {
            let (outcome, heard) = asked(Version::One, says.as_bytes().to_vec());
            assert_eq!(outcome.is_ok(), right, "{says}");
            assert_eq!(heard, b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n");
        }
    }
}
