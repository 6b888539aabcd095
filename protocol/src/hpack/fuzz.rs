//! One entry for fuzzers and for the tests with random bytes: everything that must hold whatever a peer sends.

use super::{Bounds, Decoder, Encoder, Field, Indexing};

/// Takes `bytes` for settings and a few blocks, reads them, and writes what was read once more.
///
/// # Panics
/// If a bound does not hold, or if what is written is not read as it was meant.
pub fn fuzz(bytes: &[u8]) {
    let Some((&[table, list, field, count], mut rest)) = bytes.split_first_chunk() else {
        return;
    };
    let table_bytes_max = u32::from(table) * 16;
    let bounds = Bounds {
        list_bytes_max: u32::from(list) * 64,
        field_bytes_max: u32::from(field) * 16,
        fields_max: u32::from(count),
    };
    let mut decoder = Decoder::new(table_bytes_max);
    let mut encoder = Encoder::new(table_bytes_max);
    let mut mirror = Decoder::new(super::TABLE_BYTES_INITIAL);
    // Recycled, as it is by a connection.
    let mut text = Vec::new();
    while let Some((&len, after)) = rest.split_first() {
        let (block, after) = after.split_at(usize::from(len).min(after.len()));
        rest = after;
        text.clear();
        let mut fields = Vec::new();
        let result = decoder.decode(block, &bounds, &mut text, |field, text| {
            assert_eq!(field.span.value.end(), text.len());
            fields.push(field);
        });
        let capacity_max = bounds.list_bytes_max + table_bytes_max;
        assert!(text.capacity() <= 64 + 4 * capacity_max as usize);
        assert!(decoder.table_bytes() <= table_bytes_max);
        let Ok(decoded) = result else {
            return;
        };
        assert!(text.len() + 32 * fields.len() <= bounds.list_bytes_max as usize);
        assert!(fields.len() <= bounds.fields_max as usize);
        assert_eq!(
            decoded.exceeded.is_none(),
            fields.len() == decoded.fields as usize
        );
        write_again(&mut encoder, &mut mirror, &fields, &text);
        if len % 16 == 1 {
            encoder.set_peer_max(u32::from(len) * 16);
        }
    }
}

fn write_again(encoder: &mut Encoder, mirror: &mut Decoder, fields: &[Field], text: &[u8]) {
    let bounds = Bounds {
        list_bytes_max: u32::MAX,
        field_bytes_max: u32::MAX,
        fields_max: u32::MAX,
    };
    let mut block = Vec::new();
    let mut sent = Vec::new();
    for field in fields {
        let (name, value) = (field.span.name.slice(text), field.span.value.slice(text));
        let indexing = if field.never_indexed {
            Indexing::Never
        } else {
            Indexing::ByName
        };
        let name = name.to_ascii_lowercase();
        encoder.encode_field(&name, value, indexing, &mut block);
        sent.push((name, value.to_vec()));
    }
    let mut got = Vec::new();
    let mut got_text = Vec::new();
    let result = mirror.decode(&block, &bounds, &mut got_text, |field, text| {
        let (name, value) = (field.span.name.slice(text), field.span.value.slice(text));
        got.push((name.to_vec(), value.to_vec()));
    });
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(got, sent);
    if !block.is_empty() {
        assert_eq!(mirror.table_bytes(), encoder.table_bytes());
    }
}
