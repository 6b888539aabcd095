//! What a block may cost, whatever it stands for.

use crate::reader::{Reader, WIDE, hex};
use lanner_protocol::hpack::{Bounds, Exceeded};

const BOUNDS: Bounds = Bounds {
    list_bytes_max: 32 * 1024,
    field_bytes_max: 16 * 1024,
    fields_max: 100,
};

/// A field that fills a table of 4 KiB, with a name of this length.
fn large_field(name_len: usize) -> Vec<u8> {
    let mut block = hex("40");
    for (len, byte) in [(name_len, b'n'), (4096 - 32 - name_len, b'v')] {
        // 7f and what is above 127, in seven bits each.
        if len < 127 {
            block.push(len as u8);
        } else {
            let more = len - 127;
            block.extend([0x7f, (more % 128) as u8 | 0x80, (more / 128) as u8]);
        }
        block.extend(vec![byte; len]);
    }
    block
}

#[test]
fn a_megabyte_of_one_byte_references_to_4_kib_costs_no_memory() {
    let mut reader = Reader::new(4096);
    reader.bounds = BOUNDS;
    reader.read(&large_field(10));
    assert_eq!(reader.decoder.table_bytes(), 4096);
    let bomb = vec![0xbe; 1 << 20];
    let decoded = reader.decode(&bomb).unwrap();
    assert_eq!(decoded.exceeded, Some(Exceeded::ListBytes));
    assert_eq!(decoded.fields, 1 << 20);
    assert_eq!(decoded.list_bytes, 4096 << 20);
    assert_eq!(reader.fields.len(), 8);
    assert_eq!(reader.text.len(), 8 * (4096 - 32));
    assert!(reader.text.capacity() <= 2 * (32 + 8) * 1024);
    assert_eq!(reader.table().len(), 1);
}

#[test]
fn a_megabyte_of_fields_that_take_a_name_of_4_kib_costs_no_memory() {
    let mut reader = Reader::new(4096);
    reader.bounds = BOUNDS;
    reader.read(&large_field(4064));
    let bomb = [0x7e, 0x00].repeat(1 << 19);
    let decoded = reader.decode(&bomb).unwrap();
    assert_eq!(decoded.exceeded, Some(Exceeded::ListBytes));
    assert_eq!(decoded.fields, 1 << 19);
    assert_eq!(reader.fields.len(), 8);
    assert!(reader.text.capacity() <= 2 * (32 + 8) * 1024);
    assert_eq!(reader.table(), [(vec![b'n'; 4064], Vec::new())]);
    // The same without a place in the table.
    let bomb = [0x0f, 0x2f, 0x00].repeat(1 << 18);
    let decoded = reader.decode(&bomb).unwrap();
    assert_eq!(decoded.fields, 1 << 18);
    assert!(reader.text.capacity() <= 2 * (32 + 8) * 1024);
}

#[test]
fn a_huffman_string_beyond_the_bounds_is_not_kept() {
    let mut reader = Reader::new(4096);
    reader.bounds = BOUNDS;
    // A megabyte, less one byte so that no bits are left over, of zeros: 5 bits each.
    let mut block = hex("40 01 61 ff 80 ff 3f");
    block.extend(vec![0; (1 << 20) - 1]);
    let decoded = reader.decode(&block).unwrap();
    assert_eq!(decoded.exceeded, Some(Exceeded::FieldBytes));
    assert_eq!(decoded.list_bytes, 33 + ((1 << 20) - 1) / 5 * 8);
    assert!(reader.text.is_empty() && reader.text.capacity() <= 64 * 1024);
    assert!(reader.table().is_empty());
}

#[test]
fn each_bound_is_passed_by_one_more_and_not_before() {
    // a: aaa, four times: 4 bytes and 32 each.
    let block = hex("00 01 61 03 616161").repeat(4);
    let outcome = |bounds: Bounds| {
        let mut reader = Reader::new(4096);
        reader.bounds = bounds;
        let decoded = reader.decode(&block).unwrap();
        assert_eq!((decoded.fields, decoded.list_bytes), (4, 4 * 36));
        (decoded.exceeded, reader.pairs().len(), reader.text.len())
    };
    assert_eq!(outcome(WIDE), (None, 4, 16));
    for (list_bytes_max, expected) in [
        (144, (None, 4, 16)),
        (143, (Some(Exceeded::ListBytes), 3, 12)),
        (36, (Some(Exceeded::ListBytes), 1, 4)),
        (0, (Some(Exceeded::ListBytes), 0, 0)),
    ] {
        assert_eq!(
            outcome(Bounds {
                list_bytes_max,
                ..WIDE
            }),
            expected
        );
    }
    for (field_bytes_max, expected) in [
        (4, (None, 4, 16)),
        (3, (Some(Exceeded::FieldBytes), 0, 0)),
        (0, (Some(Exceeded::FieldBytes), 0, 0)),
    ] {
        assert_eq!(
            outcome(Bounds {
                field_bytes_max,
                ..WIDE
            }),
            expected
        );
    }
    for (fields_max, expected) in [
        (4, (None, 4, 16)),
        (3, (Some(Exceeded::Fields), 3, 12)),
        (0, (Some(Exceeded::Fields), 0, 0)),
    ] {
        assert_eq!(outcome(Bounds { fields_max, ..WIDE }), expected);
    }
}

#[test]
fn the_table_is_kept_past_a_bound() {
    // Two fields go into the table, a third is larger than the bounds and does too, by every kind of name.
    let blocks = [
        "82 41 01 61 40 01 62 01 63 41 05 6161616161 7e 06 616161616161 40 02 6262 81 1f",
        "be bf c0 c1 c2",
    ];
    let mut strict = Reader::new(4096);
    let mut wide = Reader::new(4096);
    strict.bounds.field_bytes_max = 2;
    for block in blocks {
        strict.decode(&hex(block)).unwrap();
        wide.read(&hex(block));
        assert_eq!(strict.table(), wide.table());
        assert_eq!(wide.table().len(), 5);
    }
    strict.bounds = WIDE;
    assert_eq!(strict.read(&hex(blocks[1])), wide.pairs());
}

#[test]
fn a_bound_passed_in_one_block_is_forgotten_in_the_next() {
    let mut reader = Reader::new(4096);
    reader.bounds = BOUNDS;
    reader.bounds.fields_max = 1;
    assert_eq!(
        reader.decode(&hex("82 84")).unwrap().exceeded,
        Some(Exceeded::Fields)
    );
    assert_eq!(reader.read(&hex("84")).len(), 1);
}

#[test]
fn text_that_stands_before_the_fields_is_kept_and_not_counted() {
    let mut reader = Reader::new(4096);
    let mut text = b"before".to_vec();
    let bounds = Bounds {
        list_bytes_max: 36,
        ..BOUNDS
    };
    let mut spans = Vec::new();
    let decoded = reader.decoder.decode(
        &hex("00 01 61 03 626262"),
        &bounds,
        &mut text,
        |field, _| {
            spans.push(field.span);
        },
    );
    assert_eq!(decoded.unwrap().exceeded, None);
    assert_eq!(text, b"beforeabbb");
    assert_eq!(spans[0].name.slice(&text), b"a");
    assert_eq!(spans[0].value.slice(&text), b"bbb");
}
