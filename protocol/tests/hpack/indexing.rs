//! What the encoder puts into the table, and how few bytes a repeated response takes.

use crate::reader::{Reader, encoder_table};
use lanner_protocol::hpack::{Encoder, Indexing, Prepared};

const DATE: &[u8] = b"Mon, 21 Oct 2013 20:13:21 GMT";

fn encoded(encoder: &mut Encoder, name: &[u8], value: &[u8], indexing: Indexing) -> Vec<u8> {
    // With room, as a connection's output has; where it must grow, nothing is guessed.
    let mut out = Vec::with_capacity(16);
    encoder.encode_field(name, value, indexing, &mut out);
    out
}

#[test]
fn what_repeats_takes_one_byte_the_second_time() {
    let mut encoder = Encoder::new(4096);
    for name in ["server", "content-type", "cache-control", "vary"] {
        let first = encoded(&mut encoder, name.as_bytes(), b"x/y", Indexing::ByName);
        assert!(first.len() > 1 && first[0] & 0xc0 == 0x40);
        assert_eq!(
            encoded(&mut encoder, name.as_bytes(), b"x/y", Indexing::ByName),
            [0xbe]
        );
    }
}

#[test]
fn a_date_goes_in_when_a_second_brings_a_second_response() {
    let mut encoder = Encoder::new(4096);
    let mut reader = Reader::new(4096);
    let mut date = Prepared::new(b"date", DATE, Indexing::ByName);
    for second in 0..200u8 {
        let mut value = DATE.to_vec();
        value[17..19].copy_from_slice(format!("{:02}", second % 60).as_bytes());
        value[6] = b'0' + second / 60;
        date.set_value(&value);
        for response in 0..1 + second % 3 {
            let mut out = Vec::with_capacity(16);
            encoder.encode_prepared(&date, &mut out);
            assert_eq!(out.len() == 1, response == 2, "{second} {response}");
            assert_eq!(reader.read(&out), [(b"date".to_vec(), value.clone())]);
            assert_eq!(reader.table(), encoder_table(&encoder));
        }
    }
}

#[test]
fn a_prepared_field_is_written_as_any_other() {
    for (name, value) in [
        ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ("server", "lanner"),
        ("x-frame-options", "DENY"),
        ("te", "trailers"),
        (":method", "GET"),
        ("set-cookie", "a=b"),
    ] {
        let (mut one, mut other) = (Encoder::new(4096), Encoder::new(4096));
        let prepared = Prepared::new(name.as_bytes(), value.as_bytes(), Indexing::ByName);
        for _ in 0..4 {
            let mut out = Vec::with_capacity(16);
            one.encode_prepared(&prepared, &mut out);
            assert_eq!(
                out,
                encoded(
                    &mut other,
                    name.as_bytes(),
                    value.as_bytes(),
                    Indexing::ByName
                ),
                "{name}"
            );
        }
    }
}

#[test]
fn secrets_are_never_indexed_even_where_the_table_has_them() {
    let mut encoder = Encoder::new(4096);
    for _ in 0..3 {
        let block = encoded(&mut encoder, b"set-cookie", b"id=1", Indexing::ByName);
        // 0001 and the index 55.
        assert_eq!(block[..2], [0x1f, 40]);
        let block = encoded(&mut encoder, b"authorization", b"Basic x", Indexing::ByName);
        assert_eq!(block[..2], [0x1f, 8]);
        let block = encoded(&mut encoder, b"x-token", b"1", Indexing::Never);
        assert_eq!(block[0], 0x10);
        assert!(encoder_table(&encoder).is_empty());
    }
    encoded(&mut encoder, b"x-token", b"1", Indexing::Wanted);
    let block = encoded(&mut encoder, b"x-token", b"1", Indexing::Never);
    assert_eq!(block[0], 0x10);
}

#[test]
fn what_changes_with_every_response_leaves_the_table_alone() {
    let mut encoder = Encoder::new(4096);
    encoded(&mut encoder, b"server", b"lanner", Indexing::ByName);
    for number in 0..1000u32 {
        let number = number.to_string();
        for name in [
            &b"content-length"[..],
            b"etag",
            b"location",
            b"x-request-id",
        ] {
            encoded(&mut encoder, name, number.as_bytes(), Indexing::ByName);
        }
    }
    assert_eq!(
        encoded(&mut encoder, b"server", b"lanner", Indexing::ByName),
        [0xbe]
    );
    assert_eq!(encoder.table_fields(), 1);
}

#[test]
fn a_field_that_nobody_knows_goes_in_when_it_comes_again() {
    let mut encoder = Encoder::new(4096);
    let lens: Vec<_> = (0..3)
        .map(|_| encoded(&mut encoder, b"x-cache", b"hit", Indexing::ByName).len())
        .collect();
    assert!(lens[0] > 1 && lens[1] > 1 && lens[2] == 1, "{lens:?}");
}

#[test]
fn a_field_that_would_fill_the_table_stays_outside() {
    let mut encoder = Encoder::new(4096);
    encoded(&mut encoder, b"server", b"lanner", Indexing::ByName);
    for _ in 0..3 {
        encoded(&mut encoder, b"via", &[b'v'; 3500], Indexing::ByName);
    }
    assert_eq!(encoder.table_fields(), 1);
}

#[test]
fn every_status_is_read_as_it_was_meant() {
    let mut encoder = Encoder::new(4096);
    let mut reader = Reader::new(4096);
    for code in (100..=599).chain(100..=599) {
        let mut out = Vec::new();
        encoder.encode_status(code, &mut out);
        assert_eq!(
            reader.read(&out),
            [(b":status".to_vec(), code.to_string().into_bytes())]
        );
    }
}

#[test]
fn fields_stay_findable_while_many_come_and_go() {
    let mut encoder = Encoder::new(4096);
    let mut reader = Reader::new(4096);
    let mut found = 0;
    for round in 0..3000u32 {
        for field in [round, round / 2, round % 20] {
            let value = field.to_string();
            let out = encoded(&mut encoder, b"vary", value.as_bytes(), Indexing::ByName);
            // A literal takes three bytes at least.
            found += u32::from(out.len() < 3);
            assert_eq!(reader.read(&out), [(b"vary".to_vec(), value.into_bytes())]);
        }
        assert_eq!(reader.table(), encoder_table(&encoder));
    }
    // Looking at every field of the table would find 3,625.
    assert!(found > 3500, "{found}");
}

#[test]
fn a_content_length_is_written_in_as_few_bytes_as_any_other_way() {
    let mut encoder = Encoder::new(4096);
    let mut reader = Reader::new(4096);
    let powers = (0..20).map(|power| 10u64.pow(power));
    let edges = powers.flat_map(|power| [power - 1, power, power / 2 * 3, power + power / 7]);
    for length in edges.chain(0..2000).chain([u64::MAX]) {
        let text = length.to_string();
        let mut out = Vec::new();
        encoder.encode_content_length(length, &mut out);
        let other = encoded(
            &mut encoder,
            b"content-length",
            text.as_bytes(),
            Indexing::ByName,
        );
        assert_eq!(out.len(), other.len());
        assert_eq!(
            reader.read(&out),
            [(b"content-length".to_vec(), text.into_bytes())]
        );
    }
    assert_eq!(encoder.table_fields(), 0);
}

#[test]
fn what_followed_last_time_is_not_taken_for_what_follows_now() {
    let mut encoder = Encoder::new(4096);
    let mut reader = Reader::new(4096);
    let mut out = Vec::new();
    let mut short = 0;
    for round in 0..4000u32 {
        // In ever changing company, so that fields are evicted and text is moved; now and then all of them are.
        let newcomer = format!("{:0len$}", round, len = 1 + round as usize * 7 % 300);
        let mut fields = vec![
            (&b"server"[..], &b"lanner"[..]),
            (b"content-type", b"text/html; charset=utf-8"),
            (b"vary", b"accept-encoding"),
            (b"x-frame-options", b"DENY"),
        ];
        if round % 3 == 0 {
            fields.insert(round as usize / 3 % 5, (b"via", newcomer.as_bytes()));
        }
        if round % 7 == 0 {
            fields.swap(0, 2);
        }
        // The same length and the same ends, of the value or of the name.
        match round % 11 {
            0 => fields[1].1 = b"text/html; charsex=utf-8",
            1 => fields[2] = (b"vbry", b"accept-encoding"),
            2 => fields[3].1 = b"DONY",
            _ => {}
        }
        if round % 40 == 0 {
            encoder.release_memory();
        }
        if round % 500 == 250 {
            encoder.set_peer_max(if round % 1000 == 250 { 300 } else { 4096 });
        }
        out.clear();
        encoder.encode_status(200, &mut out);
        for (name, value) in &fields {
            encoder.encode_field(name, value, Indexing::Wanted, &mut out);
        }
        short += u32::from(out.len() == 1 + fields.len());
        let got = reader.read(&out);
        assert_eq!(got[0], (b":status".to_vec(), b"200".to_vec()));
        let expected = fields
            .iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()));
        assert_eq!(got[1..], expected.collect::<Vec<_>>());
        assert_eq!(reader.table(), encoder_table(&encoder));
    }
    assert!(short > 1500, "{short}");
}

#[test]
fn text_that_moved_is_not_taken_for_what_was_there_before() {
    let mut encoder = Encoder::new(300);
    let mut reader = Reader::new(4096);
    let mut seed = 1u32;
    for _ in 0..30_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // All of one length, so that one's place becomes another's.
        let value = format!("{:03}", (seed >> 16) % 10);
        let out = encoded(&mut encoder, b"vary", value.as_bytes(), Indexing::Wanted);
        assert_eq!(reader.read(&out), [(b"vary".to_vec(), value.into_bytes())]);
    }
}

#[test]
fn a_block_begins_with_the_new_size_also_where_its_first_field_was_to_be_expected() {
    let mut encoder = Encoder::new(4096);
    for _ in 0..3 {
        encoded(&mut encoder, b"server", b"lanner", Indexing::Wanted);
    }
    encoder.set_peer_max(100);
    assert_eq!(
        encoded(&mut encoder, b"server", b"lanner", Indexing::Wanted),
        [0x3f, 100 - 31, 0xbe]
    );
}

#[test]
fn fields_are_found_again_after_memory_was_given_back() {
    let mut encoder = Encoder::new(4096);
    let mut reader = Reader::new(4096);
    let values: Vec<String> = (0..40).map(|number| format!("value {number}")).collect();
    for value in &values {
        let out = encoded(&mut encoder, b"x-a", value.as_bytes(), Indexing::Wanted);
        reader.read(&out);
    }
    encoder.release_memory();
    reader.decoder.release_memory();
    assert_eq!(reader.table(), encoder_table(&encoder));
    for value in &values {
        let out = encoded(&mut encoder, b"x-a", value.as_bytes(), Indexing::Wanted);
        assert_eq!(out.len(), 1, "{value}");
        assert_eq!(
            reader.read(&out),
            [(b"x-a".to_vec(), value.as_bytes().to_vec())]
        );
    }
    assert_eq!(encoder.table_fields(), values.len());
}
