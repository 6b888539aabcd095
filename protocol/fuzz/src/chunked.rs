//! Chunked bodies: the same content however they are cut, and content that is written is read again.

use crate::script::limits;
use lanner_limits::Limits;
use lanner_protocol::Refusal;
use lanner_protocol::chunked::{
    Chunk, ChunkedDecoder, encode_chunk_header, encode_last_chunk, parse_trailers,
};

/// The first byte says where the rest is cut.
///
/// # Panics
/// If what is read depends on the cut, or what is written is not read as it was meant.
pub fn run(input: &[u8]) {
    let Some((cut, input)) = input.split_first() else {
        return;
    };
    let limits = limits();
    let cut = usize::from(*cut).min(input.len());
    let whole = decode(input, [input.len()], &limits);
    assert_eq!(
        decode(input, [cut, input.len()], &limits),
        whole,
        "cut at {cut}"
    );
    let mut written = Vec::new();
    for piece in input.chunks(cut.max(1)) {
        encode_chunk_header(piece.len(), &mut written);
        written.extend_from_slice(piece);
        written.extend_from_slice(b"\r\n");
    }
    encode_last_chunk(None, &mut written);
    let again = decode(&written, [written.len()], &limits);
    assert_eq!(
        again,
        Decoded {
            content: input.to_vec(),
            end: Some(Ok(written.len()))
        }
    );
}

#[derive(PartialEq, Eq, Debug)]
struct Decoded {
    content: Vec<u8>,
    /// Where the body ends, or why it is none.
    end: Option<Result<usize, Refusal>>,
}

fn decode(input: &[u8], ends: impl IntoIterator<Item = usize>, limits: &Limits) -> Decoded {
    let (mut decoder, mut content, mut consumed) = (ChunkedDecoder::default(), Vec::new(), 0);
    for end in ends {
        loop {
            let fresh = &input[consumed..end];
            let decoded = match decoder.decode(fresh, limits) {
                Ok(decoded) => decoded,
                Err(refusal) => {
                    return Decoded {
                        content,
                        end: Some(Err(refusal)),
                    };
                }
            };
            assert!(decoded.consumed <= fresh.len());
            consumed += decoded.consumed;
            match decoded.kind {
                Chunk::More => break,
                Chunk::Data(range) => content.extend_from_slice(&fresh[range]),
                Chunk::End { trailers } => {
                    let parsed = parse_trailers(&fresh[trailers], limits, &mut Vec::new());
                    return Decoded {
                        content,
                        end: Some(parsed.map(|()| consumed)),
                    };
                }
            }
        }
    }
    Decoded { content, end: None }
}
