//! Every malformed block is refused for its own reason.

use crate::reader::{Reader, hex};
use lanner_protocol::hpack::Fault;

/// The outcome after `:authority: a` went into a table of 4,096 bytes, which is index 62 then.
fn fault_of(block: &str) -> Result<(), Fault> {
    let mut reader = Reader::new(4096);
    reader.read(&hex("41 01 61"));
    reader.decode(&hex(block)).map(|_| ())
}

#[test]
fn every_fault_has_blocks_that_show_it() {
    let cases = [
        (
            Fault::IntegerTruncated,
            &["ff", "ff 80", "7f", "0f", "3f"][..],
        ),
        // Also the length of a string.
        (
            Fault::IntegerTruncated,
            &["00 7f", "41 ff", "00 01 61 7f ff"],
        ),
        (
            Fault::IntegerOverflow,
            &["ff 81 ff ff ff 0f", "00 7f ff ff ff ff 7f"],
        ),
        (
            Fault::IntegerTooLong,
            &[
                "ff 80 80 80 80 80 00",
                "ff ff ff ff ff ff ff ff ff 01",
                "3f 80 80 80 80 80 80",
            ],
        ),
        (
            Fault::StringTruncated,
            &[
                "00",
                "40",
                "00 02 61",
                "41",
                "41 02 61",
                "00 01 61",
                "00 01 61 01",
                "41 82 1f",
                "00 7f ff ff ff ff 0e 61",
            ],
        ),
        (Fault::IndexZero, &["80", "82 80"]),
        (
            Fault::IndexBeyondTable,
            &[
                "bf",
                "ff 00",
                "ff 80 ff ff ff 0f",
                "7f 00 01 61",
                "0f 30 01 61",
                "1f 30 01 61",
            ],
        ),
        (
            Fault::SizeUpdateAboveBound,
            &["3f e2 1f", "20 3f e2 1f", "3f 80 ff ff ff 0f"],
        ),
        (
            Fault::SizeUpdateLate,
            &["82 20", "20 82 3f e1 1f", "82 3f e2 1f"],
        ),
        (
            Fault::SizeUpdatesTooMany,
            &["20 20 20", "20 3f e1 1f 20 82"],
        ),
        (
            Fault::HuffmanEndOfString,
            &["41 84 ff ff ff ff", "00 01 61 85 1f ff ff ff ff"],
        ),
        (
            Fault::HuffmanPaddingLong,
            &["41 82 1f ff", "41 81 ff", "00 82 1f ff 01 61"],
        ),
        (
            Fault::HuffmanPaddingNotOnes,
            &["41 81 18", "41 81 1e", "00 81 fe 01 61"],
        ),
    ];
    for (fault, blocks) in cases {
        for block in blocks {
            assert_eq!(fault_of(block), Err(fault), "{block}");
        }
    }
    let mut reader = Reader::new(4096);
    reader.decoder.set_max(100);
    assert_eq!(reader.decode(&hex("82")), Err(Fault::SizeUpdateMissing));
    let shown = |fault| cases.iter().any(|(shown, _)| *shown == fault);
    for fault in Fault::ALL {
        assert!(
            shown(fault) || fault == Fault::SizeUpdateMissing,
            "{fault:?}"
        );
    }
}

#[test]
fn what_is_just_allowed_is_read() {
    for block in [
        "be",
        "7e 01 61",
        "0f 2f 01 61",
        "3f e1 1f",
        "20 3f e1 1f 82",
        "41 80",
        "41 81 1f",
    ] {
        assert_eq!(fault_of(block), Ok(()), "{block}");
    }
    assert_eq!(fault_of(""), Ok(()));
}

#[test]
fn names_of_faults_are_distinct() {
    for (at, fault) in Fault::ALL.iter().enumerate() {
        let first = Fault::ALL
            .iter()
            .position(|other| other.name() == fault.name());
        assert_eq!(first, Some(at));
    }
}

#[test]
fn a_fault_past_a_bound_is_found_as_well() {
    for (block, fault) in [
        ("82 00 01 61 84 ff ff ff ff", Fault::HuffmanEndOfString),
        ("82 00 82 1f ff 00", Fault::HuffmanPaddingLong),
        ("82 41 81 18", Fault::HuffmanPaddingNotOnes),
        ("82 bf", Fault::IndexBeyondTable),
        ("82 80", Fault::IndexZero),
        ("82 00 05 61", Fault::StringTruncated),
    ] {
        let mut reader = Reader::new(4096);
        reader.bounds.fields_max = 0;
        assert_eq!(reader.decode(&hex(block)), Err(fault), "{block}");
        assert!(reader.fields.is_empty());
    }
}
