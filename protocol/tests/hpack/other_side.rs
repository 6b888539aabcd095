//! Another implementation reads what we write, and we read what it writes.

use crate::reader::{Pair, Reader};
use lanner_protocol::hpack::{Encoder, Indexing};
use proptest::prelude::*;

fn field() -> impl Strategy<Value = Pair> {
    let names = prop_oneof![
        prop::sample::select(vec![
            ":status",
            ":method",
            ":path",
            "date",
            "etag",
            "server",
            "set-cookie",
            "vary",
            "cookie",
            "te",
            "content-type",
            "authorization",
            "accept-encoding",
        ])
        .prop_map(|name| name.as_bytes().to_vec()),
        proptest::collection::vec(b'a'..=b'z', 1..40),
    ];
    let values = prop_oneof![
        prop::sample::select(vec!["", "200", "GET", "/", "gzip, deflate", "text/html"])
            .prop_map(|value| value.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..60),
        proptest::collection::vec(b' '..=b'~', 0..400),
    ];
    (names, values)
}

/// Sections made of fields that come again and again.
fn sections() -> impl Strategy<Value = Vec<Vec<Pair>>> {
    proptest::collection::vec(field(), 1..12).prop_flat_map(|fields| {
        let section = proptest::collection::vec(prop::sample::select(fields), 0..12);
        proptest::collection::vec(section, 1..12)
    })
}

fn indexing() -> impl Strategy<Value = Indexing> {
    prop::sample::select(vec![
        Indexing::ByName,
        Indexing::ByName,
        Indexing::Wanted,
        Indexing::Recurring,
        Indexing::Without,
        Indexing::Never,
    ])
}

#[test]
fn every_byte_that_we_code_is_read_by_the_other_side() {
    let mut encoder = Encoder::new(4096);
    let mut other = loona_hpack::Decoder::new();
    for byte in 0..=255u8 {
        // Enough digits that coding the whole is shorter.
        let value = [&[b'0'; 64][..], &[byte], &[b'0'; 5]].concat();
        let mut block = Vec::new();
        encoder.encode_field(b"vary", &value, Indexing::ByName, &mut block);
        assert!(block.len() < value.len());
        assert_eq!(other.decode(&block).unwrap(), [(b"vary".to_vec(), value)]);
    }
}

proptest! {
    #[test]
    fn the_other_side_reads_what_we_write(
        sections in sections(),
        indexings in proptest::collection::vec(indexing(), 12),
        sizes in proptest::collection::vec(0..6000u32, 12),
    ) {
        let mut encoder = Encoder::new(5000);
        let mut other = loona_hpack::Decoder::new();
        other.set_max_allowed_table_size(6000);
        for (at, section) in sections.iter().enumerate() {
            if at % 3 == 2 {
                encoder.set_peer_max(sizes[at]);
            }
            let mut block = Vec::new();
            for ((name, value), indexing) in section.iter().zip(&indexings) {
                encoder.encode_field(name, value, *indexing, &mut block);
            }
            prop_assert_eq!(&other.decode(&block).unwrap(), section);
        }
    }

    #[test]
    fn we_read_what_the_other_side_writes(sections in sections()) {
        let mut other = loona_hpack::Encoder::new();
        let mut reader = Reader::new(4096);
        for section in &sections {
            let block = other.encode(section.iter().map(|(name, value)| (&name[..], &value[..])));
            prop_assert_eq!(&reader.read(&block), section);
        }
    }
}
