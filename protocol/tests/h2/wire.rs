//! A client's side of the wire: writes frames, and reads those of a server. It knows no states, so it can say anything.

#[path = "bytes.rs"]
mod bytes;

pub(crate) use self::bytes::{data, frame, literal, reset, settings, window_update};

use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::frame::{
    self, Frame, FrameHeader, HEADER_BYTES, Kind, PAYLOAD_BYTES_DEFAULT, PREFACE,
};
use lanner_protocol::hpack::{Bounds, Decoder, Encoder, Indexing, TABLE_BYTES_INITIAL};

/// A frame that a server sent, decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Got {
    Headers {
        stream: u32,
        end: bool,
        fields: Vec<(String, String)>,
    },
    Data {
        stream: u32,
        end: bool,
        bytes: Vec<u8>,
    },
    Reset(u32, ErrorCode),
    Settings(Vec<(u16, u32)>),
    SettingsAck,
    Ping {
        ack: bool,
        payload: [u8; 8],
    },
    GoAway {
        last: u32,
        code: ErrorCode,
        debug: String,
    },
    WindowUpdate(u32, u32),
}

impl Got {
    pub(crate) fn stream(&self) -> u32 {
        match self {
            Got::Headers { stream, .. } | Got::Data { stream, .. } => *stream,
            Got::Reset(stream, _) | Got::WindowUpdate(stream, _) => *stream,
            _ => 0,
        }
    }

    pub(crate) fn status(&self) -> Option<&str> {
        match self {
            Got::Headers { fields, .. } => fields
                .iter()
                .find(|(name, _)| name == ":status")
                .map(|(_, value)| value.as_str()),
            _ => None,
        }
    }
}

pub(crate) struct Wire {
    encoder: Encoder,
    decoder: Decoder,
    unread: Vec<u8>,
}

impl Wire {
    pub(crate) fn new() -> Self {
        Self {
            encoder: Encoder::new(TABLE_BYTES_INITIAL),
            decoder: Decoder::new(TABLE_BYTES_INITIAL),
            unread: Vec::new(),
        }
    }

    /// The field block of these fields.
    pub(crate) fn block(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in fields {
            self.encoder.encode_field(
                name.as_bytes(),
                value.as_bytes(),
                Indexing::ByName,
                &mut block,
            );
        }
        block
    }

    pub(crate) fn headers(&mut self, stream: u32, end: bool, fields: &[(&str, &str)]) -> Vec<u8> {
        let block = self.block(fields);
        headers(stream, end, &block)
    }

    /// A GET without anything special.
    pub(crate) fn get(&mut self, stream: u32) -> Vec<u8> {
        self.headers(stream, true, &request("GET", "/"))
    }

    /// A POST whose body is still to come.
    pub(crate) fn post(&mut self, stream: u32) -> Vec<u8> {
        self.headers(stream, false, &request("POST", "/upload"))
    }

    /// Takes what a server sent.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// The next whole frame of what was taken.
    pub(crate) fn next(&mut self) -> Option<Got> {
        let (header, rest) = self.unread.split_first_chunk::<HEADER_BYTES>()?;
        let header = FrameHeader::parse(header);
        let payload = rest.get(..header.length as usize)?.to_vec();
        self.unread.drain(..HEADER_BYTES + payload.len());
        let frame = Frame::parse(header, &payload).expect("a server's frames are fine");
        Some(match frame {
            Frame::Headers {
                stream,
                end_stream,
                end_headers,
                fragment,
                ..
            } => {
                let mut block = fragment.to_vec();
                let mut whole = end_headers;
                while !whole {
                    let (header, rest) = self.unread.split_first_chunk::<HEADER_BYTES>()?;
                    let header = FrameHeader::parse(header);
                    assert_eq!((header.kind, header.stream), (Kind::CONTINUATION, stream));
                    block.extend_from_slice(&rest[..header.length as usize]);
                    whole = header.has(frame::END_HEADERS);
                    self.unread.drain(..HEADER_BYTES + header.length as usize);
                }
                Got::Headers {
                    stream,
                    end: end_stream,
                    fields: self.decode(&block),
                }
            }
            Frame::Data {
                stream,
                end_stream,
                data,
                ..
            } => Got::Data {
                stream,
                end: end_stream,
                bytes: data.to_vec(),
            },
            Frame::Reset { stream, code } => Got::Reset(stream, code),
            Frame::Settings(entries) => {
                Got::Settings(entries.iter().map(|(id, value)| (id.0, value)).collect())
            }
            Frame::SettingsAck => Got::SettingsAck,
            Frame::Ping { ack, payload } => Got::Ping { ack, payload },
            Frame::GoAway {
                last_stream,
                code,
                debug,
            } => Got::GoAway {
                last: last_stream,
                code,
                debug: String::from_utf8_lossy(debug).into_owned(),
            },
            Frame::WindowUpdate { stream, increment } => Got::WindowUpdate(stream, increment),
            other => panic!("a server does not send {other:?}"),
        })
    }

    fn decode(&mut self, block: &[u8]) -> Vec<(String, String)> {
        let bounds = Bounds {
            list_bytes_max: u32::MAX,
            field_bytes_max: u32::MAX,
            fields_max: u32::MAX,
        };
        let mut fields = Vec::new();
        let mut text = Vec::new();
        let decoded = self
            .decoder
            .decode(block, &bounds, &mut text, |field, text| {
                let string = |span: lanner_protocol::Span| {
                    String::from_utf8_lossy(span.slice(text)).into_owned()
                };
                fields.push((string(field.span.name), string(field.span.value)));
            });
        decoded.expect("a server's field blocks are fine");
        fields
    }
}

/// The pseudo-fields of a request.
pub(crate) fn request<'a>(method: &'a str, path: &'a str) -> [(&'a str, &'a str); 4] {
    [
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "example.com"),
    ]
}

pub(crate) fn headers(stream: u32, end: bool, block: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::encode_headers(stream, end, block, PAYLOAD_BYTES_DEFAULT, &mut bytes);
    bytes
}

pub(crate) fn settings_ack() -> Vec<u8> {
    frame(Kind::SETTINGS, frame::ACK, 0, &[])
}

pub(crate) fn ping(ack: bool, payload: [u8; 8]) -> Vec<u8> {
    frame(Kind::PING, if ack { frame::ACK } else { 0 }, 0, &payload)
}

/// What a client begins with.
pub(crate) fn greeting() -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    bytes.extend_from_slice(&settings(&[]));
    bytes.extend_from_slice(&settings_ack());
    bytes
}
