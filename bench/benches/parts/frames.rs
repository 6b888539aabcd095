//! HTTP/2 frames as bytes, ours alone: no crate has a frame codec in public that could stand beside it (`h2`'s is private, and
//! is in `h2_connection` together with all the rest).

use criterion::{Criterion, Throughput};
use lanner_protocol::h2::frame::{self, Frame, FrameHeader, HEADER_BYTES};
use std::hint::black_box;

/// Streams whose frames there are.
const STREAMS: u32 = 100;

/// What a request's field block has after the first few.
const BLOCK: [u8; 24] = [0x82; 24];

const DATA: [u8; 1024] = [b'd'; 1024];

/// Frames of a stream: HEADERS, DATA, WINDOW_UPDATE, PING.
const FRAMES: u64 = 4 * STREAMS as u64;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut bytes = Vec::new();
    encode(&mut bytes);
    assert_eq!(decode(&bytes), FRAMES);
    let mut group = criterion.benchmark_group("frames");
    group.throughput(Throughput::Elements(FRAMES));
    group.bench_function("lanner reads", |b| b.iter(|| decode(black_box(&bytes))));
    let mut out = Vec::with_capacity(bytes.len());
    group.bench_function("lanner writes", |b| {
        b.iter(|| {
            out.clear();
            encode(&mut out);
            black_box(&out).len()
        })
    });
    group.finish();
}

fn encode(out: &mut Vec<u8>) {
    let most = frame::PAYLOAD_BYTES_DEFAULT;
    for stream in (0..STREAMS).map(|number| 2 * number + 1) {
        frame::encode_headers(stream, false, black_box(&BLOCK), most, out);
        frame::encode_data(stream, true, black_box(&DATA), most, out);
        frame::encode_window_update(0, 1024, out);
        frame::encode_ping(false, [7; 8], out);
    }
}

/// How many frames there are.
fn decode(mut input: &[u8]) -> u64 {
    let mut frames = 0;
    while let Some((header, rest)) = input.split_first_chunk::<HEADER_BYTES>() {
        let header = FrameHeader::parse(header);
        header.judge(frame::PAYLOAD_BYTES_DEFAULT).unwrap();
        let (payload, rest) = rest.split_at(header.length as usize);
        let frame: Frame<'_> = Frame::parse(header, payload).unwrap();
        black_box(&frame);
        frames += 1;
        input = rest;
    }
    frames
}
