//! Fields that are judged when they come and not again when they are repeated.

use crate::reader::WIDE;
use lanner_protocol::hpack::{Decoder, Encoder, Indexing};

/// Any judgement that depends on every byte.
fn is_fine(name: &[u8], value: &[u8]) -> bool {
    let sum = |text: &[u8]| text.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    (3 * sum(name) + sum(value)) % 4 != 0
}

#[test]
fn only_what_was_found_in_order_comes_as_judged_however_the_table_changes() {
    let mut encoder = Encoder::new(4096);
    let mut decoder = Decoder::new(4096);
    let (mut block, mut text) = (Vec::new(), Vec::new());
    let mut seed = 1u32;
    let mut random = |below: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) % below
    };
    let (mut judged, mut judged_again) = (0, 0);
    for round in 0..5_000 {
        block.clear();
        text.clear();
        if random(100) == 0 {
            encoder.set_peer_max([200, 1_000, 4_096][random(3) as usize]);
        }
        if random(50) == 0 {
            decoder.release_memory();
            encoder.release_memory();
        }
        for _ in 0..random(8) {
            let name = format!("x-{}", random(6));
            let value = format!("{:0len$}", random(8), len = 1 + random(3) as usize * 30);
            let indexing = match random(8) {
                0 => Indexing::Without,
                1 => Indexing::Never,
                _ => Indexing::Wanted,
            };
            encoder.encode_field(name.as_bytes(), value.as_bytes(), indexing, &mut block);
        }
        let mut bounds = WIDE;
        if random(50) == 0 {
            // Some of it is not reported, and goes into the table all the same.
            bounds.fields_max = 2;
        }
        let decoded = decoder.decode_judged(&block, &bounds, &mut text, |field, text| {
            let (name, value) = (field.span.name.slice(text), field.span.value.slice(text));
            let fine = is_fine(name, value);
            if field.judged {
                assert!(fine, "{round}");
                judged += 1;
            } else {
                judged_again += u32::from(fine);
            }
            fine
        });
        assert!(decoded.is_ok());
    }
    assert!(
        judged > 1_000 && judged_again > 1_000,
        "{judged} {judged_again}"
    );
}
