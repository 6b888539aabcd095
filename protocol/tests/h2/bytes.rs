//! Frames and fields as bytes, for whoever plays a peer. They know no states, so anything can be said; the tests of the client's
//! half use them too.

use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::frame::{self, END_STREAM, FrameHeader, Kind};
use lanner_protocol::h2::settings::Id;

/// A field that goes into no table, with names and values that an encoder would not take.
pub(crate) fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    assert!(name.len() < 127 && value.len() < 127);
    let mut field = vec![0, name.len() as u8];
    field.extend_from_slice(name);
    field.push(value.len() as u8);
    field.extend_from_slice(value);
    field
}

pub(crate) fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader {
        length: payload.len() as u32,
        kind,
        flags,
        stream,
    };
    let mut bytes = header.bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

pub(crate) fn data(stream: u32, end: bool, content: &[u8]) -> Vec<u8> {
    frame(
        Kind::DATA,
        if end { END_STREAM } else { 0 },
        stream,
        content,
    )
}

pub(crate) fn reset(stream: u32, code: ErrorCode) -> Vec<u8> {
    frame(Kind::RST_STREAM, 0, stream, &code.0.to_be_bytes())
}

pub(crate) fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(Kind::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

pub(crate) fn settings(values: &[(Id, u32)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::encode_settings(values, &mut bytes);
    bytes
}
