//! Table sizes that change while the connection lives (RFC 7541 section 4.2).

use crate::reader::{Reader, encoder_table, hex};
use lanner_protocol::hpack::{Encoder, Fault, Indexing};

#[test]
fn a_smaller_bound_must_be_answered_at_the_next_block_and_only_there() {
    let mut reader = Reader::new(4096);
    reader.read(&hex("41 01 61"));
    reader.decoder.set_max(64);
    assert_eq!(reader.table().len(), 1, "evicted when the peer says so");
    reader.read(&hex("3f 21 be"));
    reader.read(&hex("be"));
    reader.decoder.set_max(33);
    reader.read(&hex("3f 02 82"));
    assert!(reader.table().is_empty());
}

#[test]
fn a_bound_that_is_no_smaller_than_the_table_needs_no_answer() {
    let mut reader = Reader::new(4096);
    reader.decoder.set_max(8192);
    reader.read(&hex("82"));
    reader.read(&hex("3f e1 3f 82"));
    let mut reader = Reader::new(4096);
    reader.read(&hex("3f 21 82"));
    reader.decoder.set_max(64);
    reader.read(&hex("82"));
}

#[test]
fn the_smallest_bound_between_two_blocks_is_the_first_answer() {
    for (block, outcome) in [
        ("20 3f e1 1f 82", None),
        ("20 82", None),
        ("3f e1 1f 82", Some(Fault::SizeUpdateAboveBound)),
        ("82", Some(Fault::SizeUpdateMissing)),
        ("3f 00 20 82", Some(Fault::SizeUpdateAboveBound)),
    ] {
        let mut reader = Reader::new(4096);
        reader.read(&hex("41 01 61"));
        reader.decoder.set_max(0);
        reader.decoder.set_max(4096);
        assert_eq!(reader.decode(&hex(block)).err(), outcome, "{block}");
    }
}

#[test]
fn an_empty_block_neither_owes_nor_pays() {
    let mut reader = Reader::new(4096);
    reader.decoder.set_max(0);
    reader.read(b"");
    assert_eq!(reader.decode(&hex("82")), Err(Fault::SizeUpdateMissing));
}

#[test]
fn a_table_of_size_zero_holds_nothing_and_refers_to_nothing() {
    let mut encoder = Encoder::new(0);
    let mut reader = Reader::new(4096);
    for _ in 0..3 {
        let mut out = Vec::new();
        encoder.encode_field(b"server", b"lanner", Indexing::Wanted, &mut out);
        assert_eq!(
            reader.read(&out),
            [(b"server".to_vec(), b"lanner".to_vec())]
        );
        assert!(encoder_table(&encoder).is_empty() && reader.table().is_empty());
    }
}

#[test]
fn the_encoder_tells_the_smallest_size_then_the_final_one_once() {
    let mut encoder = Encoder::new(4096);
    let block = |encoder: &mut Encoder| {
        let mut out = Vec::new();
        encoder.encode_status(200, &mut out);
        out
    };
    assert_eq!(block(&mut encoder), hex("88"));
    encoder.set_peer_max(100);
    assert_eq!(block(&mut encoder), hex("3f 45 88"));
    assert_eq!(block(&mut encoder), hex("88"));
    encoder.set_peer_max(0);
    encoder.set_peer_max(70);
    encoder.set_peer_max(64);
    assert_eq!(block(&mut encoder), hex("20 3f 21 88"));
    // More than we want: ours is the final one.
    encoder.set_peer_max(u32::MAX);
    assert_eq!(block(&mut encoder), hex("3f e1 1f 88"));
    encoder.set_peer_max(4096);
    assert_eq!(block(&mut encoder), hex("88"));
    // There and back between two blocks empties the peer's table too.
    encoder.set_peer_max(0);
    encoder.set_peer_max(4096);
    assert_eq!(block(&mut encoder), hex("20 3f e1 1f 88"));
}

#[test]
fn an_encoder_with_less_than_the_initial_size_says_so_first() {
    let mut out = Vec::new();
    Encoder::new(0).encode_status(404, &mut out);
    assert_eq!(out, hex("20 8d"));
    out.clear();
    Encoder::new(8192).encode_status(404, &mut out);
    assert_eq!(out, hex("8d"));
}
