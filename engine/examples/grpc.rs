//! A gRPC service without a gRPC library: its framing is five bytes before each message, its status is a trailer, and the rest
//! is HTTP/2. Messages are the well-known wrapper types of protobuf, which clients have at hand.
//!
//! ```text
//! LANNER_LISTEN=http://127.0.0.1:8080 cargo run --release --example grpc
//!
//! service Greeter {                                                    // package lanner.example
//!   rpc Greet(google.protobuf.StringValue) returns (google.protobuf.StringValue);
//!   rpc Count(google.protobuf.UInt32Value) returns (stream google.protobuf.UInt32Value);
//!   rpc Chat(stream google.protobuf.StringValue) returns (stream google.protobuf.StringValue);
//! }
//! ```

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use lanner::{Body, Error, Method, Request, Response, Server, Status};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// What a client is told; numbers are gRPC's.
const OK: u8 = 0;
const INVALID_ARGUMENT: u8 = 3;
const UNIMPLEMENTED: u8 = 12;

/// The longest message that is taken: gRPC's own default.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

pub(crate) async fn app(mut request: Request) -> Result<Response, Error> {
    let is_grpc = request
        .field("content-type")
        .is_some_and(|kind| kind.starts_with(b"application/grpc"));
    if request.method() != Method::Post || !is_grpc {
        return Ok(Response::text("gRPC is spoken here\n").with_status(Status::NOT_FOUND));
    }
    match request.path() {
        "/lanner.example.Greeter/Greet" => {
            let mut messages = Messages::of(request.into_body());
            let Some(message) = std::future::poll_fn(|context| messages.poll_next(context)).await?
            else {
                return failure(INVALID_ARGUMENT, "a message is missing");
            };
            let Some(name) = string(&message) else {
                return failure(INVALID_ARGUMENT, "that is no StringValue");
            };
            let mut answer = Some(string_value(&format!("Hello, {name}!")));
            answered_by(Answers::new(move |_| Poll::Ready(Ok(answer.take()))))
        }
        "/lanner.example.Greeter/Count" => {
            let whole = request.body().collect().await?;
            let Some(count) = whole.get(PREFIX_BYTES..).and_then(number) else {
                return failure(INVALID_ARGUMENT, "that is no UInt32Value");
            };
            let mut next = 0;
            answered_by(Answers::new(move |_| {
                next += 1;
                Poll::Ready(Ok((next <= count).then(|| uint32_value(next))))
            }))
        }
        "/lanner.example.Greeter/Chat" => {
            // Answers go out while messages still come in.
            let mut messages = Messages::of(request.into_body());
            answered_by(Answers::new(move |context| messages.poll_next(context)))
        }
        _ => failure(UNIMPLEMENTED, "no such method"),
    }
}

/// Flag and length before each message.
const PREFIX_BYTES: usize = 5;

/// The messages in a request's body.
struct Messages {
    body: Body,
    unread: VecDeque<u8>,
}

impl Messages {
    fn of(body: Body) -> Self {
        Self {
            body,
            unread: VecDeque::new(),
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Vec<u8>>, Error>> {
        loop {
            if let Some(message) = self.take()? {
                return Poll::Ready(Ok(Some(message)));
            }
            match ready!(self.body.poll_chunk(context)) {
                Some(chunk) => self.unread.extend(chunk?.iter()),
                None if self.unread.is_empty() => return Poll::Ready(Ok(None)),
                None => return Poll::Ready(Err(broken("the last message is not whole"))),
            }
        }
    }

    fn take(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if self.unread.len() < PREFIX_BYTES {
            return Ok(None);
        }
        let prefix: Vec<u8> = self.unread.range(..PREFIX_BYTES).copied().collect();
        if prefix[0] != 0 {
            return Err(broken("compression was not agreed upon"));
        }
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        if length > MESSAGE_BYTES_MAX {
            return Err(broken("a message is too long"));
        }
        if self.unread.len() < PREFIX_BYTES + length {
            return Ok(None);
        }
        self.unread.drain(..PREFIX_BYTES);
        Ok(Some(self.unread.drain(..length).collect()))
    }
}

fn broken(what: &'static str) -> Error {
    Error::with_status(Status::BAD_REQUEST, what)
}

/// A body of messages, and the status behind them.
struct Answers<N> {
    next: N,
    over: bool,
}

impl<N> Answers<N>
where
    N: FnMut(&mut Context<'_>) -> Poll<Result<Option<Vec<u8>>, Error>> + Unpin + 'static,
{
    fn new(next: N) -> Self {
        Self { next, over: false }
    }
}

impl<N> http_body::Body for Answers<N>
where
    N: FnMut(&mut Context<'_>) -> Poll<Result<Option<Vec<u8>>, Error>> + Unpin + 'static,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let frame = ready!((self.next)(context)).map(|message| match message {
            Some(message) => Frame::data(framed(&message)),
            None => {
                self.over = true;
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from(u16::from(OK)));
                Frame::trailers(trailers)
            }
        });
        Poll::Ready(Some(frame))
    }
}

fn answered_by(
    answers: impl http_body::Body<Data = Bytes, Error = Error> + 'static,
) -> Result<Response, Error> {
    Ok(Response::stream(None, answers).with_field("content-type", "application/grpc")?)
}

/// A status without a message before it, which then stands in the head.
fn failure(status: u8, message: &str) -> Result<Response, Error> {
    Ok(Response::new(Status::OK)
        .with_field("content-type", "application/grpc")?
        .with_field("grpc-status", status.to_string())?
        .with_field("grpc-message", message)?)
}

fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0][..], &length.to_be_bytes(), message].concat().into()
}

// As much of protobuf as a message of one field needs. A field that is not there has its default.

/// The number of a varint, and what is behind it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (place, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f).checked_shl(7 * place as u32)?;
        if byte & 0x80 == 0 {
            return Some((number, &bytes[place + 1..]));
        }
    }
    None
}

fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// `StringValue`: field 1, of bytes.
fn string(message: &[u8]) -> Option<&str> {
    let Some((0x0a, rest)) = message.split_first() else {
        return message.is_empty().then_some("");
    };
    let (length, text) = varint(rest)?;
    (length == text.len() as u64).then(|| std::str::from_utf8(text).ok())?
}

fn string_value(text: &str) -> Vec<u8> {
    let mut message = vec![0x0a];
    put_varint(text.len() as u64, &mut message);
    message.extend_from_slice(text.as_bytes());
    message
}

/// `UInt32Value`: field 1, a varint.
fn number(message: &[u8]) -> Option<u32> {
    let Some((0x08, rest)) = message.split_first() else {
        return message.is_empty().then_some(0);
    };
    let (number, rest) = varint(rest)?;
    rest.is_empty().then_some(u32::try_from(number).ok())?
}

fn uint32_value(number: u32) -> Vec<u8> {
    let mut message = vec![0x08];
    put_varint(number.into(), &mut message);
    message
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder().environment().start(|_worker| app)?;
    println!("serving on {:?}", server.handle().addresses());
    Ok(server.join()?)
}
