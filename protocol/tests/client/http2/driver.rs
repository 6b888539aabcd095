//! Drives a connection with requests, and with the frames of a server that knows no states, so that it can say anything.

pub(crate) use super::bytes::{data, frame, literal, reset, settings, window_update};
use crate::http1::limits;
use bytes::Bytes;
use lanner_limits::{Limits, Moment};
use lanner_protocol::client::http2::{Connection, Error, Event, Reset, StreamKey};
use lanner_protocol::client::{Body, Request, Response, SendError, Turn};
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::frame::{
    self, END_HEADERS, END_STREAM, Frame, FrameHeader, HEADER_BYTES, Kind, PREFACE,
};
use lanner_protocol::hpack::{Bounds, Decoder, Encoder, Indexing};
use lanner_protocol::{BodyLength, Fields, Output};
use std::rc::Rc;

/// An event with everything that it points at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    Response {
        stream: u32,
        status: u16,
        body: Body,
        fields: Vec<(String, String)>,
    },
    Informational(u32, u16),
    /// Pieces behind each other are joined.
    Data(u32, Vec<u8>),
    End(u32, Vec<(String, String)>),
    Reset(u32, Reset),
    GoAway(ErrorCode),
    Held,
    Closed,
    Failed(Error),
}

/// A frame that the client sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Got {
    Headers {
        stream: u32,
        end: bool,
        fields: Vec<(String, String)>,
    },
    Data(u32, bool, Vec<u8>),
    Reset(u32, ErrorCode),
    Settings(Vec<(u16, u32)>),
    SettingsAck,
    Ping(bool, [u8; 8]),
    GoAway(u32, ErrorCode, String),
    WindowUpdate(u32, u32),
}

pub(crate) struct Driver {
    pub(crate) connection: Connection,
    pub(crate) output: Output,
    pub(crate) now: Moment,
    pub(crate) response: Response,
    pub(crate) text: Vec<u8>,
    pub(crate) input: Vec<u8>,
    pub(crate) keys: Vec<StreamKey>,
    /// Whether each piece of a body counts as consumed at once.
    pub(crate) consumes: bool,
    encoder: Encoder,
    decoder: Decoder,
    preface_gone: bool,
}

impl Driver {
    /// A connection on which nothing was said.
    pub(crate) fn silent(change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = limits();
        change(&mut limits);
        Self {
            connection: Connection::new(Rc::new(limits), Moment::ZERO),
            output: Output::new(),
            now: Moment::ZERO,
            response: Response::default(),
            text: Vec::new(),
            input: Vec::new(),
            keys: Vec::new(),
            consumes: true,
            encoder: Encoder::new(4096),
            decoder: Decoder::new(4096),
            preface_gone: false,
        }
    }

    /// A connection that both sides have begun.
    pub(crate) fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let mut driver = Self::silent(change);
        assert_eq!(driver.receive(greeting()), []);
        driver.got();
        driver
    }

    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A connection on which these methods were asked for `/`, as streams 1, 3, 5...
    pub(crate) fn asking(methods: &[&str]) -> Self {
        let mut driver = Self::new();
        for method in methods {
            driver.ask(method).unwrap();
        }
        driver.got();
        driver
    }

    pub(crate) fn turn<R>(&mut self, act: impl FnOnce(&mut Connection, &mut Turn<'_>) -> R) -> R {
        let mut turn = Turn {
            now: self.now,
            output: &mut self.output,
        };
        act(&mut self.connection, &mut turn)
    }

    pub(crate) fn ask(&mut self, method: &str) -> Result<StreamKey, SendError> {
        let fields = Fields::new();
        self.request(&Request::new(method.as_bytes(), b"a", b"/", &fields))
    }

    /// A POST whose body is still to come.
    pub(crate) fn post(&mut self, body: BodyLength) -> StreamKey {
        let fields = Fields::new();
        let request = Request {
            body: Some(body),
            ..Request::new(b"POST", b"a", b"/", &fields)
        };
        self.request(&request).unwrap()
    }

    pub(crate) fn request(&mut self, request: &Request<'_>) -> Result<StreamKey, SendError> {
        let key = self.turn(|connection, turn| connection.request(turn, request))?;
        self.keys.push(key);
        Ok(key)
    }

    pub(crate) fn key(&self, stream: u32) -> StreamKey {
        *self.keys.iter().find(|key| key.id() == stream).unwrap()
    }

    /// Sends what fits of a body; gives what is left.
    pub(crate) fn send(
        &mut self,
        stream: u32,
        body: impl Into<Bytes>,
        end: bool,
    ) -> Result<Bytes, SendError> {
        let key = self.key(stream);
        let mut body = body.into();
        self.turn(|connection, turn| connection.send(key, turn, &mut body, end))?;
        Ok(body)
    }

    /// The frames sent since the last call.
    pub(crate) fn got(&mut self) -> Vec<Got> {
        self.turn(Connection::flush);
        let bytes = self.output.slices().collect::<Vec<_>>().concat();
        self.output.clear();
        self.connection.handle_output(bytes.len(), 0);
        let mut rest = &bytes[..];
        if !rest.is_empty() && !std::mem::replace(&mut self.preface_gone, true) {
            rest = rest.strip_prefix(PREFACE).expect("the preface comes first");
        }
        let mut got = Vec::new();
        let mut block: Option<(u32, bool, Vec<u8>)> = None;
        while let Some((header, after)) = rest.split_first_chunk::<HEADER_BYTES>() {
            let header = FrameHeader::parse(header);
            let (payload, after) = after.split_at(header.length as usize);
            rest = after;
            got.push(match Frame::parse(header, payload).unwrap() {
                Frame::Headers {
                    stream,
                    end_stream,
                    end_headers,
                    fragment,
                    ..
                } if end_headers => self.headers_of(stream, end_stream, fragment),
                Frame::Headers {
                    stream,
                    end_stream,
                    fragment,
                    ..
                } => {
                    block = Some((stream, end_stream, fragment.to_vec()));
                    continue;
                }
                Frame::Continuation {
                    end_headers,
                    fragment,
                    ..
                } => {
                    let whole = block.as_mut().unwrap();
                    whole.2.extend_from_slice(fragment);
                    if !end_headers {
                        continue;
                    }
                    let (stream, end, bytes) = block.take().unwrap();
                    self.headers_of(stream, end, &bytes)
                }
                Frame::Data {
                    stream,
                    end_stream,
                    data,
                    ..
                } => Got::Data(stream, end_stream, data.to_vec()),
                Frame::Reset { stream, code } => Got::Reset(stream, code),
                Frame::Settings(entries) => {
                    Got::Settings(entries.iter().map(|(id, value)| (id.0, value)).collect())
                }
                Frame::SettingsAck => Got::SettingsAck,
                Frame::Ping { ack, payload } => Got::Ping(ack, payload),
                Frame::GoAway {
                    last_stream,
                    code,
                    debug,
                } => Got::GoAway(last_stream, code, String::from_utf8_lossy(debug).into()),
                Frame::WindowUpdate { stream, increment } => Got::WindowUpdate(stream, increment),
                other => panic!("a client does not send {other:?}"),
            });
        }
        assert!(rest.is_empty() && block.is_none());
        got
    }

    fn headers_of(&mut self, stream: u32, end: bool, block: &[u8]) -> Got {
        let mut fields = Vec::new();
        let bounds = Bounds {
            list_bytes_max: u32::MAX,
            field_bytes_max: u32::MAX,
            fields_max: u32::MAX,
        };
        let decoded = self
            .decoder
            .decode(block, &bounds, &mut Vec::new(), |field, text| {
                let string = |span: lanner_protocol::Span| span.str(text).to_owned();
                fields.push((string(field.span.name), string(field.span.value)));
            });
        decoded.unwrap();
        Got::Headers {
            stream,
            end,
            fields,
        }
    }

    /// Lets bytes arrive, and gives what they meant.
    pub(crate) fn receive(&mut self, bytes: impl AsRef<[u8]>) -> Vec<Seen> {
        self.input.extend_from_slice(bytes.as_ref());
        let mut seen = Vec::new();
        loop {
            let mut turn = Turn {
                now: self.now,
                output: &mut self.output,
            };
            let step =
                self.connection
                    .poll(&mut turn, &self.input, &mut self.response, &mut self.text);
            let over = matches!(
                step.event,
                Event::More | Event::Held | Event::Closed | Event::Failed(_)
            );
            if let (Event::Data { stream, at, .. }, true) = (&step.event, self.consumes) {
                self.connection.consumed(*stream, &mut turn, at.len());
            }
            self.see(step.event, &mut seen);
            self.input.drain(..step.consumed);
            if over {
                return seen;
            }
        }
    }

    fn fields(&self) -> Vec<(String, String)> {
        self.response
            .iter(&self.text)
            .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into()))
            .collect()
    }

    fn see(&self, event: Event, seen: &mut Vec<Seen>) {
        let status = self.response.status.code();
        match event {
            Event::More => {}
            Event::Held => seen.push(Seen::Held),
            Event::Response { stream, last } => {
                let stream = stream.id();
                seen.push(Seen::Response {
                    stream,
                    status,
                    body: self.response.body,
                    fields: self.fields(),
                });
                if last {
                    seen.push(Seen::End(stream, Vec::new()));
                }
            }
            Event::Informational { stream } => seen.push(Seen::Informational(stream.id(), status)),
            Event::Data { stream, at, last } => {
                let (stream, piece) = (stream.id(), &self.input[at]);
                assert!(!piece.is_empty());
                match seen.last_mut() {
                    Some(Seen::Data(same, before)) if *same == stream => {
                        before.extend_from_slice(piece);
                    }
                    _ => seen.push(Seen::Data(stream, piece.to_vec())),
                }
                if last {
                    seen.push(Seen::End(stream, Vec::new()));
                }
            }
            Event::End { stream, trailers } => {
                let fields = if trailers { self.fields() } else { Vec::new() };
                seen.push(Seen::End(stream.id(), fields));
            }
            Event::Reset { stream, reason } => seen.push(Seen::Reset(stream.id(), reason)),
            Event::GoAway { code } => seen.push(Seen::GoAway(code)),
            Event::Closed => seen.push(Seen::Closed),
            Event::Failed(error) => seen.push(Seen::Failed(error)),
        }
    }

    /// HEADERS of a server.
    pub(crate) fn headers(&mut self, stream: u32, end: bool, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in fields {
            let (name, value) = (name.as_bytes(), value.as_bytes());
            self.encoder
                .encode_field(name, value, Indexing::ByName, &mut block);
        }
        headers(stream, end, &block)
    }

    /// A response without a body.
    pub(crate) fn respond(&mut self, stream: u32) -> Vec<Seen> {
        let bytes = self.headers(stream, true, &[(":status", "204")]);
        self.receive(bytes)
    }

    /// The server closes.
    pub(crate) fn eof(&mut self) -> Vec<Seen> {
        self.connection.handle_eof();
        self.receive(b"")
    }

    /// The error that ended the connection, of which the server was told.
    pub(crate) fn failure(&mut self, bytes: impl AsRef<[u8]>) -> (Error, ErrorCode) {
        let seen = self.receive(bytes);
        let Some(Seen::Failed(error)) = seen.last() else {
            panic!("{seen:?}")
        };
        let got = self.got();
        let Some(Got::GoAway(0, code, debug)) = got.last() else {
            panic!("{got:?}")
        };
        assert_eq!(debug, error.name());
        assert_eq!(Some(*code), error.code());
        assert!(self.connection.is_over() && self.connection.streams() == 0);
        assert!(!self.connection.may_request() && self.connection.deadline().is_none());
        (*error, *code)
    }

    /// The stream that alone suffers, and why; the server was told.
    pub(crate) fn reset_of(&mut self, bytes: impl AsRef<[u8]>) -> (u32, Reset) {
        let seen = self.receive(bytes);
        let Some(Seen::Reset(stream, reason)) = seen.last() else {
            panic!("{seen:?}")
        };
        let got = self.got();
        assert!(
            got.contains(&Got::Reset(*stream, reason.code())),
            "{reason:?}: {got:?}"
        );
        assert!(!self.connection.is_over());
        (*stream, *reason)
    }
}

/// `:status: 200` by its index.
pub(crate) const OK: &[u8] = &[0x88];

pub(crate) fn headers(stream: u32, end: bool, block: &[u8]) -> Vec<u8> {
    let end = if end { END_STREAM } else { 0 };
    frame(Kind::HEADERS, END_HEADERS | end, stream, block)
}

pub(crate) fn go_away(last_stream: u32, code: ErrorCode) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::encode_go_away(last_stream, code, b"", &mut bytes);
    bytes
}

/// What a server begins with.
pub(crate) fn greeting() -> Vec<u8> {
    [settings(&[]), frame(Kind::SETTINGS, frame::ACK, 0, &[])].concat()
}
