//! Requests: their heads, and the streams that they open.

use super::*;
use crate::client::{InvalidRequest, Request};
use crate::fields::Fields;
use crate::hpack::{self, Indexing};
use crate::response::{BodyLength, encode_decimal};
use crate::target::Scheme;

/// A request's head that is sent many times: its fields hashed and coded once, so that each costs a look into the connection's
/// table, or a copy. Its body, if it has one, is sent with [`Connection::send`].
#[derive(Clone, Debug)]
pub struct Prepared {
    fields: Vec<hpack::Prepared>,
    opening: Opening,
}

/// What the stream of a request is to know.
#[derive(Clone, Copy, Debug)]
struct Opening {
    head_request: bool,
    body: Option<BodyLength>,
}

impl Opening {
    fn of(request: &Request<'_>) -> Self {
        Self {
            head_request: request.method == b"HEAD",
            body: request.body,
        }
    }

    fn has_body(self) -> bool {
        !matches!(self.body, None | Some(BodyLength::Known(0)))
    }
}

impl Prepared {
    /// The head of a request.
    ///
    /// # Errors
    /// The request is none.
    pub fn new(request: &Request<'_>) -> Result<Prepared, InvalidRequest> {
        judge(request)?;
        let mut fields = Vec::new();
        each_field(request, |name, value| {
            fields.push(hpack::Prepared::new(name, value, Indexing::ByName));
        });
        Ok(Prepared {
            fields,
            opening: Opening::of(request),
        })
    }
}

impl Connection {
    /// Sends the head of a request that was prepared.
    ///
    /// # Errors
    /// [`SendError::NotNow`] where [`Connection::may_request`] is false.
    #[inline]
    pub fn send_prepared(
        &mut self,
        turn: &mut Turn<'_>,
        request: &Prepared,
    ) -> Result<StreamKey, SendError> {
        if !self.may_request() {
            return Err(SendError::NotNow);
        }
        self.greet(turn);
        let out = turn.output.tail();
        let begin = frame::begin_headers(out);
        for field in &request.fields {
            self.terms.encoder.encode_prepared(field, out);
        }
        Ok(self.open(turn, begin, request.opening))
    }

    /// Sends the head of a request. Its body, if it has one, is to follow.
    ///
    /// # Errors
    /// The request is none, or [`Connection::may_request`] is false.
    pub fn request(
        &mut self,
        turn: &mut Turn<'_>,
        request: &Request<'_>,
    ) -> Result<StreamKey, SendError> {
        if !self.may_request() {
            return Err(SendError::NotNow);
        }
        judge(request)?;
        self.greet(turn);
        let out = turn.output.tail();
        let begin = frame::begin_headers(out);
        let encoder = &mut self.terms.encoder;
        each_field(request, |name, value| {
            encoder.encode_field(name, value, Indexing::ByName, out);
        });
        Ok(self.open(turn, begin, Opening::of(request)))
    }

    /// The field block stands in the output from `begin` on: it opens a stream.
    #[inline]
    fn open(&mut self, turn: &mut Turn<'_>, begin: usize, opening: Opening) -> StreamKey {
        let id = self.next_stream;
        self.next_stream += 2;
        // Section 5.1.1: numbers are not used again, so a connection that has none left is left.
        self.leaving |= self.next_stream > frame::STREAM_MAX;
        let sending = opening.has_body();
        let bytes_max = self.terms.peer.values().max_frame;
        frame::finish_headers(begin, id, !sending, bytes_max, turn.output.tail());
        self.flood.stream_opened();
        let opened = Stream {
            receive: Receive::Head,
            sending,
            head_request: opening.head_request,
            blocked: None,
            informational: 0,
            send_left: match opening.body {
                Some(BodyLength::Known(length)) => Some(length),
                Some(BodyLength::Unknown) | None => None,
            },
            receive_window: ReceiveWindow::new(self.terms.own.wanted().initial_window, turn.now),
            send_window: SendWindow::new(self.terms.peer.values().initial_window),
            small_data: Default::default(),
        };
        self.streams.insert(id, opened)
    }
}

/// What HTTP/2 asks of a request beside what HTTP/1.1 asks (section 8.3.1, 8.5 and 8.6).
fn judge(request: &Request<'_>) -> Result<(), InvalidRequest> {
    request.judge()?;
    if request.method == b"CONNECT" || request.upgrade.is_some() {
        return Err(InvalidRequest::NotInHttp2);
    }
    if request.target.first() != Some(&b'/') && request.target != b"*" {
        return Err(InvalidRequest::Target);
    }
    // Section 8.2.2: TE may say nothing but this.
    let te = |name: &[u8], value: &[u8]| name.eq_ignore_ascii_case(b"te") && value != b"trailers";
    if request.fields.lines().any(|(name, value)| te(name, value)) {
        return Err(InvalidRequest::Field);
    }
    Ok(())
}

/// Each field of a request as HTTP/2 writes it, the pseudo-fields first (section 8.3).
fn each_field(request: &Request<'_>, mut write: impl FnMut(&[u8], &[u8])) {
    let scheme: &[u8] = match request.scheme {
        Scheme::Http => b"http",
        Scheme::Https => b"https",
    };
    write(b":method", request.method);
    write(b":scheme", scheme);
    write(b":authority", request.authority);
    write(b":path", request.target);
    if request.expect_continue {
        write(b"expect", b"100-continue");
    }
    if let Some(BodyLength::Known(length)) = request.body {
        let mut digits = Vec::new();
        encode_decimal(length, &mut digits);
        write(b"content-length", &digits);
    }
    each_line(request.fields, write);
}

/// Each field of a block, its name in lower case (section 8.2.1).
pub(super) fn each_line(fields: &Fields, mut write: impl FnMut(&[u8], &[u8])) {
    for (name, value) in fields.lines() {
        if name.iter().any(u8::is_ascii_uppercase) {
            write(&name.to_ascii_lowercase(), value);
        } else {
            write(name, value);
        }
    }
}
