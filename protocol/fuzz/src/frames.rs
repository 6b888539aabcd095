//! Single frames of HTTP/2: whatever is parsed lies within its payload, and means what its header says.

use lanner_protocol::h2::frame::{Frame, FrameHeader, HEADER_BYTES, PAYLOAD_BYTES_DEFAULT};

/// Takes bytes for frames, one behind the other.
///
/// # Panics
/// If a header does not survive being written again, or a frame says something else than its header.
pub fn run(mut input: &[u8]) {
    while let Some((bytes, rest)) = input.split_first_chunk::<HEADER_BYTES>() {
        let header = FrameHeader::parse(bytes);
        let mut again = *bytes;
        again[5] &= 0x7f;
        assert_eq!(header.bytes(), again);
        let payload = &rest[..rest.len().min(header.length as usize)];
        input = &rest[payload.len()..];
        // A length that is true, so that most frames come to be parsed.
        let header = FrameHeader {
            length: payload.len() as u32,
            ..header
        };
        let judged = header.judge(PAYLOAD_BYTES_DEFAULT);
        let parsed = Frame::parse(header, payload);
        if payload.len() as u32 <= PAYLOAD_BYTES_DEFAULT && judged.is_err() {
            assert!(parsed.is_err(), "{judged:?}, but {parsed:?}");
        }
        match parsed {
            Ok(Frame::Data { stream, data, .. }) => {
                assert!(stream == header.stream && data.len() <= payload.len());
            }
            Ok(Frame::Headers {
                stream, fragment, ..
            }) => {
                assert!(stream == header.stream && fragment.len() <= payload.len());
            }
            Ok(Frame::Settings(entries)) => {
                assert_eq!(entries.count() * 6, payload.len());
                assert_eq!(entries.iter().count(), entries.count());
            }
            Ok(_) | Err(_) => {}
        }
    }
}
