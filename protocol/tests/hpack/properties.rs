//! Random blocks against a plain model of RFC 7541, cut everywhere; and random bytes.

use crate::reader::{Pair, Reader, encoder_table};
use lanner_protocol::hpack::{self, Encoder, Indexing};
use proptest::prelude::*;

/// A piece of a block, numbers to be taken modulo what there is.
#[derive(Clone, Debug)]
enum Piece {
    Index(u32),
    NameIndex(Kind, u32, Vec<u8>),
    Spelled(Kind, Vec<u8>, Vec<u8>),
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    IntoTable,
    Outside,
    Never,
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => proptest::collection::vec(any::<u8>(), 0..20),
        2 => proptest::collection::vec(any::<u8>(), 60..140),
        1 => proptest::collection::vec(any::<u8>(), 200..700),
    ]
}

fn piece() -> impl Strategy<Value = Piece> {
    let kind = prop::sample::select(vec![
        Kind::IntoTable,
        Kind::IntoTable,
        Kind::IntoTable,
        Kind::Outside,
        Kind::Never,
    ]);
    prop_oneof![
        any::<u32>().prop_map(Piece::Index),
        (kind.clone(), any::<u32>(), text()).prop_map(|(a, b, c)| Piece::NameIndex(a, b, c)),
        (kind, text(), text()).prop_map(|(a, b, c)| Piece::Spelled(a, b, c)),
    ]
}

/// The table as the RFC describes it, and a block that is being made with it.
struct Model {
    fields: Vec<Pair>,
    size_max: usize,
    block: Vec<u8>,
    sent: Vec<Pair>,
}

impl Model {
    fn integer(&mut self, value: usize, bits: u32, pattern: u8) {
        let max = (1usize << bits) - 1;
        if value < max {
            self.block.push(pattern | value as u8);
            return;
        }
        self.block.push(pattern | max as u8);
        let mut left = value - max;
        while left >= 128 {
            self.block.push((left % 128) as u8 | 128);
            left /= 128;
        }
        self.block.push(left as u8);
    }

    fn string(&mut self, text: &[u8]) {
        self.integer(text.len(), 7, 0);
        self.block.extend(text);
    }

    fn evict(&mut self) {
        let size = |(name, value): &Pair| name.len() + value.len() + 32;
        while self.fields.iter().map(size).sum::<usize>() > self.size_max {
            self.fields.pop();
        }
    }

    fn resize(&mut self, size_max: usize) {
        self.integer(size_max, 5, 0x20);
        self.size_max = size_max;
        self.evict();
    }

    /// An index into the dynamic table if the number is odd and it has fields.
    fn index(&self, number: u32) -> (usize, Option<Pair>) {
        let number = number as usize;
        if number % 2 == 1 && !self.fields.is_empty() {
            let age = number / 2 % self.fields.len();
            (62 + age, Some(self.fields[age].clone()))
        } else {
            (1 + number / 2 % 61, None)
        }
    }

    fn literal(&mut self, kind: Kind, index: usize, name: Vec<u8>, value: Vec<u8>) {
        let (bits, pattern) = match kind {
            Kind::IntoTable => (6, 0x40),
            Kind::Outside => (4, 0x00),
            Kind::Never => (4, 0x10),
        };
        self.integer(index, bits, pattern);
        if index == 0 {
            self.string(&name);
        }
        self.string(&value);
        self.sent.push((name.clone(), value.clone()));
        if let Kind::IntoTable = kind {
            self.fields.insert(0, (name, value));
            self.evict();
        }
    }

    fn add(&mut self, piece: Piece, statics: &[Pair]) {
        match piece {
            Piece::Index(number) => {
                let (index, field) = self.index(number);
                self.integer(index, 7, 0x80);
                self.sent
                    .push(field.unwrap_or_else(|| statics[index - 1].clone()));
            }
            Piece::NameIndex(kind, number, value) => {
                let (index, field) = self.index(number);
                let name = field.unwrap_or_else(|| statics[index - 1].clone()).0;
                self.literal(kind, index, name, value);
            }
            Piece::Spelled(kind, name, value) => self.literal(kind, 0, name, value),
        }
    }
}

/// The static table, as the other implementation has it.
fn statics() -> Vec<Pair> {
    let block: Vec<u8> = (1..=61).map(|index| 0x80 | index).collect();
    loona_hpack::Decoder::new().decode(&block).unwrap()
}

proptest! {
    #[test]
    fn blocks_of_any_make_are_read_as_the_model_says(
        blocks in proptest::collection::vec(
            (proptest::collection::vec(0..1200usize, 0..3), proptest::collection::vec(piece(), 0..12)),
            1..8,
        ),
        list_bytes_max in 0..3000u32,
    ) {
        let statics = statics();
        let mut model = Model {
            fields: Vec::new(),
            size_max: 1200,
            block: Vec::new(),
            sent: Vec::new(),
        };
        let mut reader = Reader::new(1200);
        let mut strict = Reader::new(1200);
        strict.bounds.list_bytes_max = list_bytes_max;
        for (sizes, pieces) in blocks {
            model.block.clear();
            model.sent.clear();
            for size in sizes {
                model.resize(size);
            }
            for piece in pieces {
                model.add(piece, &statics);
            }
            prop_assert_eq!(&reader.read(&model.block), &model.sent);
            prop_assert_eq!(reader.table(), model.fields.clone());
            // Under a bound less is reported, and the same is kept.
            let decoded = strict.decode(&model.block).unwrap();
            let told = strict.pairs();
            prop_assert_eq!(&told[..], &model.sent[..told.len()]);
            prop_assert_eq!(told.len() == model.sent.len(), decoded.exceeded.is_none());
            prop_assert_eq!(decoded.fields as usize, model.sent.len());
            prop_assert_eq!(strict.table(), model.fields.clone());
            prop_assert!(strict.text.len() <= list_bytes_max as usize);
            prop_assert!(strict.text.capacity() <= 2 * (list_bytes_max as usize + 2 * 1200) + 16);
        }
    }

    #[test]
    fn a_block_cut_anywhere_is_refused_or_tells_its_first_fields(
        fields in proptest::collection::vec((text(), text()), 1..6),
        plain in any::<bool>(),
    ) {
        let mut block = Vec::new();
        let mut encoder = Encoder::new(1000);
        for (name, value) in &fields {
            let name = name.to_ascii_lowercase();
            let letters: Vec<u8> = value.iter().map(|byte| b'a' + byte % 26).collect();
            let value = if plain { value } else { &letters };
            encoder.encode_field(&name, value, Indexing::Wanted, &mut block);
        }
        let mut whole = Reader::new(4096);
        let all = whole.read(&block);
        let mut ends = 0;
        for cut in 0..block.len() {
            let mut reader = Reader::new(4096);
            let result = reader.decode(&block[..cut]);
            let told = reader.pairs();
            prop_assert!(told.len() < all.len() || result.is_ok());
            prop_assert_eq!(&told[..], &all[..told.len()]);
            ends += usize::from(result.is_ok());
        }
        // Only between two fields, before the first, and behind the table's size.
        prop_assert!(ends <= all.len() + 1);
    }

    #[test]
    fn what_is_written_is_read_whatever_the_sizes(
        sections in proptest::collection::vec(
            (proptest::collection::vec(0..5000u32, 0..3), proptest::collection::vec((0..30u32, 0..300usize), 0..10)),
            1..20,
        ),
        ours in 0..5000u32,
    ) {
        let mut encoder = Encoder::new(ours);
        let mut reader = Reader::new(4096);
        for (maxima, fields) in sections {
            for max in maxima {
                encoder.set_peer_max(max);
                reader.decoder.set_max(max);
            }
            let mut block = Vec::new();
            let mut sent = Vec::new();
            for (number, len) in fields {
                let (name, value) = (format!("x-{number}"), vec![b'v'; len]);
                encoder.encode_field(name.as_bytes(), &value, Indexing::Wanted, &mut block);
                sent.push((name.into_bytes(), value));
            }
            prop_assert_eq!(reader.read(&block), sent);
            if !block.is_empty() {
                prop_assert_eq!(reader.table(), encoder_table(&encoder));
            }
        }
    }

    #[test]
    fn random_bytes_neither_panic_nor_pass_a_bound(
        bytes in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        hpack::fuzz(&bytes);
    }

    /// Bytes that are mostly references and short literals get further than uniform ones.
    #[test]
    fn plausible_bytes_neither_panic_nor_pass_a_bound(
        bytes in proptest::collection::vec(
            prop_oneof![
                any::<u8>(),
                Just(0xbe), Just(0xbf), Just(0xc0), Just(0x7e), Just(0x7f), Just(0x40), Just(0x00),
                0x80..0x90u8, 0x01..0x05u8, 0x20..0x3fu8, 0x41..0x50u8,
            ],
            4..4000,
        ),
    ) {
        hpack::fuzz(&bytes);
    }
}
