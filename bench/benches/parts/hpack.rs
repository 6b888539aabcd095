//! HPACK both ways, over the requests of one connection: the mix of the budgets, none twice, with the table that every
//! connection begins with. The other side is `loona-hpack`, which is public and maintained; what `h2` does cannot be had
//! alone (`h2_connection` has it together with all the rest).
//!
//! Reading, both sides get the same blocks, and report each field. `loona-hpack` builds the table of Huffman's code anew for
//! each string that has it, which is nearly all of its time; so blocks without that code are read as well. Writing, ours chooses Huffman's code where that is shorter
//! and finds fields by hash; `loona-hpack` writes strings as they are and searches its table from front to back. So their
//! outputs differ in length, which is printed.

use criterion::{Criterion, Throughput};
use lanner_bench::field_list::{self, Field};
use lanner_protocol::hpack::{Bounds, Decoder, Encoder, Indexing, TABLE_BYTES_INITIAL};
use std::hint::black_box;

/// Requests of the connection.
const REQUESTS: u64 = 256;

const BOUNDS: Bounds = Bounds {
    list_bytes_max: 64 * 1024,
    field_bytes_max: 16 * 1024,
    fields_max: 100,
};

pub(crate) fn bench(criterion: &mut Criterion) {
    let lists: Vec<Vec<Field>> = (0..REQUESTS)
        .map(|number| field_list::of(number, "GET", "/hello", "https"))
        .collect();
    let blocks = encode(&lists);
    let expected: usize = lists.iter().map(|list| bytes_of(list)).sum();
    assert_eq!(decode(&blocks), expected);
    assert_eq!(loona_decode(&blocks), expected);
    // They must mean the same to both; only their lengths may differ.
    let theirs = loona_encode(&lists);
    assert_eq!(decode(&theirs), expected);
    let bytes = |blocks: &[Vec<u8>]| blocks.iter().map(Vec::len).sum::<usize>();
    println!(
        "hpack: {expected} bytes of fields are {} as lanner writes them and {} as loona-hpack does",
        bytes(&blocks),
        bytes(&theirs)
    );

    for (name, blocks) in [("decode", &blocks), ("decode without Huffman", &theirs)] {
        assert_eq!(loona_decode(blocks), expected);
        let mut group = criterion.benchmark_group(format!("hpack/{name}"));
        group.throughput(Throughput::Elements(REQUESTS));
        group.bench_function("lanner", |b| b.iter(|| decode(black_box(blocks))));
        group.bench_function("loona-hpack", |b| {
            b.iter(|| loona_decode(black_box(blocks)))
        });
        group.finish();
    }

    let mut group = criterion.benchmark_group("hpack/encode");
    group.throughput(Throughput::Elements(REQUESTS));
    group.bench_function("lanner", |b| b.iter(|| encode(black_box(&lists))));
    group.bench_function("loona-hpack", |b| {
        b.iter(|| loona_encode(black_box(&lists)))
    });
    group.finish();
}

fn bytes_of(list: &[Field]) -> usize {
    let bytes = |(name, value): &Field| name.len() + value.len();
    list.iter().map(bytes).sum()
}

fn encode(lists: &[Vec<Field>]) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(TABLE_BYTES_INITIAL);
    let block = |list: &Vec<Field>| {
        let mut block = Vec::new();
        for (name, value) in list {
            encoder.encode_field(name, value, Indexing::Wanted, &mut block);
        }
        block
    };
    lists.iter().map(block).collect()
}

fn loona_encode(lists: &[Vec<Field>]) -> Vec<Vec<u8>> {
    let mut encoder = loona_hpack::Encoder::new();
    let block = |list: &Vec<Field>| {
        let fields = list.iter();
        encoder.encode(fields.map(|(name, value)| (&name[..], &value[..])))
    };
    lists.iter().map(block).collect()
}

/// The bytes of all names and values.
fn decode(blocks: &[Vec<u8>]) -> usize {
    let mut decoder = Decoder::new(TABLE_BYTES_INITIAL);
    let mut text = Vec::new();
    let mut bytes = 0;
    for block in blocks {
        text.clear();
        let report = |field: lanner_protocol::hpack::Field, text: &[u8]| {
            let (name, value) = (field.span.name.slice(text), field.span.value.slice(text));
            bytes += black_box(name).len() + black_box(value).len();
        };
        let decoded = decoder.decode(block, &BOUNDS, &mut text, report).unwrap();
        assert_eq!(decoded.exceeded, None);
    }
    bytes
}

fn loona_decode(blocks: &[Vec<u8>]) -> usize {
    let mut decoder = loona_hpack::Decoder::new();
    let mut bytes = 0;
    for block in blocks {
        let report = |name: std::borrow::Cow<'_, [u8]>, value: std::borrow::Cow<'_, [u8]>| {
            bytes += black_box(&*name).len() + black_box(&*value).len();
        };
        decoder.decode_with_cb(block, report).unwrap();
    }
    bytes
}
