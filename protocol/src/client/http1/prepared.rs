//! Requests as bytes: written for one connection, or once for many.

use super::Asked;
use crate::client::{InvalidRequest, Request};
use crate::output::Output;
use crate::response::{BodyLength, Framing, encode_decimal};
use bytes::Bytes;

/// Up to here a prepared body is kept in one piece with its head, so that sending it is one copy.
const JOINED_BYTES_MAX: usize = 4096;

/// What the connection must know of a request once it is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Sent {
    pub(super) asked: Asked,
    /// It is the last one.
    pub(super) close: bool,
}

impl Sent {
    fn of(request: &Request<'_>) -> Self {
        Self {
            asked: Asked {
                head: request.method == b"HEAD",
                connect: request.method == b"CONNECT",
                upgrade: request.upgrade.is_some(),
            },
            close: request.close,
        }
    }
}

/// A whole request, body and all, written once for as many connections and times as it is sent.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(super) front: Vec<u8>,
    /// The body where it is long; empty where it is part of `front`.
    pub(super) rest: Bytes,
    pub(super) sent: Sent,
}

impl Prepared {
    /// The request with all of its body. `request.body` is overruled: the body's length is known, and where it is empty and
    /// `request.body` is none, nothing is said about it.
    ///
    /// # Errors
    /// The request is none.
    pub fn new(request: &Request<'_>, body: Bytes) -> Result<Prepared, InvalidRequest> {
        let known = BodyLength::Known(body.len() as u64);
        let request = Request {
            body: (request.body.is_some() || !body.is_empty()).then_some(known),
            ..*request
        };
        request.judge()?;
        let mut front = Vec::new();
        encode(&request, &mut front);
        let joined = body.len() <= JOINED_BYTES_MAX;
        if joined {
            front.extend_from_slice(&body);
        }
        Ok(Prepared {
            front,
            rest: if joined { Bytes::new() } else { body },
            sent: Sent::of(&request),
        })
    }

    /// How many bytes it is on the wire.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        self.front.len() + self.rest.len()
    }
}

/// Writes a request's head. Gives what its body is to keep to, and what its response will depend on.
pub(super) fn write(
    request: &Request<'_>,
    output: &mut Output,
) -> Result<(Framing, Sent), InvalidRequest> {
    request.judge()?;
    Ok((encode(request, output.tail()), Sent::of(request)))
}

fn encode(request: &Request<'_>, into: &mut Vec<u8>) -> Framing {
    into.extend_from_slice(request.method);
    into.push(b' ');
    into.extend_from_slice(request.target);
    into.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    into.extend_from_slice(request.authority);
    into.extend_from_slice(b"\r\n");
    request.fields.encode(into);
    let framing = encode_framing(request.body, into);
    if let Some(protocol) = request.upgrade {
        into.extend_from_slice(b"connection: upgrade\r\nupgrade: ");
        into.extend_from_slice(protocol.as_bytes());
        into.extend_from_slice(b"\r\n");
    }
    if request.close {
        into.extend_from_slice(b"connection: close\r\n");
    }
    if request.expect_continue {
        into.extend_from_slice(b"expect: 100-continue\r\n");
    }
    into.extend_from_slice(b"\r\n");
    framing
}

fn encode_framing(body: Option<BodyLength>, into: &mut Vec<u8>) -> Framing {
    match body {
        None => Framing::Length { left: 0 },
        Some(BodyLength::Known(length)) => {
            into.extend_from_slice(b"content-length: ");
            encode_decimal(length, into);
            into.extend_from_slice(b"\r\n");
            Framing::Length { left: length }
        }
        Some(BodyLength::Unknown) => {
            into.extend_from_slice(b"transfer-encoding: chunked\r\n");
            Framing::Chunked
        }
    }
}
