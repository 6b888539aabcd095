//! The chunked coding, read as a whole from memory: few long chunks, and many short ones. The other side is the loop that one
//! writes around `httparse::parse_chunk_size`; it bounds neither extensions nor the length of a line, and cannot go on in the
//! middle of one. (hyper's decoder is private to it.)

use criterion::{Criterion, Throughput};
use httparse::{Status, parse_chunk_size};
use lanner_limits::Limits;
use lanner_protocol::chunked::{Chunk, ChunkedDecoder, encode_chunk_header, encode_last_chunk};
use std::hint::black_box;

/// Bytes of the body.
const BODY_BYTES: usize = 64 * 1024;

pub(crate) fn bench(criterion: &mut Criterion) {
    let limits = crate::limits();
    for chunk_bytes in [16, 4096] {
        let coded = encode(chunk_bytes);
        assert_eq!(ours(&coded, &limits), BODY_BYTES);
        assert_eq!(httparse(&coded), BODY_BYTES);
        let mut group = criterion.benchmark_group(format!("chunked/chunks of {chunk_bytes}"));
        group.throughput(Throughput::Bytes(BODY_BYTES as u64));
        group.bench_function("lanner", |b| b.iter(|| ours(black_box(&coded), &limits)));
        group.bench_function("httparse", |b| b.iter(|| httparse(black_box(&coded))));
        group.finish();
    }
}

fn encode(chunk_bytes: usize) -> Vec<u8> {
    let mut coded = Vec::new();
    for chunk in vec![b'c'; BODY_BYTES].chunks(chunk_bytes) {
        encode_chunk_header(chunk.len(), &mut coded);
        coded.extend_from_slice(chunk);
        coded.extend_from_slice(b"\r\n");
    }
    encode_last_chunk(None, &mut coded);
    coded
}

/// How long the body is.
fn ours(mut input: &[u8], limits: &Limits) -> usize {
    let mut decoder = ChunkedDecoder::default();
    let mut body = 0;
    loop {
        let decoded = decoder.decode(input, limits).unwrap();
        match decoded.kind {
            Chunk::Data(data) => body += black_box(&input[data]).len(),
            Chunk::End { .. } => return body,
            Chunk::More => panic!("the body is whole"),
        }
        input = &input[decoded.consumed..];
    }
}

fn httparse(mut input: &[u8]) -> usize {
    let mut body = 0;
    loop {
        let Ok(Status::Complete((line, size))) = parse_chunk_size(input) else {
            panic!("the body is whole");
        };
        let end = line + size as usize;
        assert_eq!(&input[end..end + 2], b"\r\n");
        if size == 0 {
            return body;
        }
        body += black_box(&input[line..end]).len();
        input = &input[end + 2..];
    }
}
