//! Properties that hold for every input, tried on thousands.

use lanner_limits::Limits;
use lanner_protocol::Fields;
use lanner_protocol::chunked::{CHUNK_END, encode_chunk_header, encode_last_chunk};
use proptest::prelude::*;

use crate::driver::{End, Outcome, feed, limits};

fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(
        &[
            "0",
            "1",
            "5",
            "a",
            "F",
            "3\r\nabc\r\n",
            "1\r\nx\r\n",
            "0\r\n",
            "\r\n",
            "\r\n",
            "\n",
            "\r",
            ";",
            ";a",
            ";a=b",
            "=",
            "\"",
            "\\",
            " ",
            "hello",
            "A: b\r\n",
            "Host: a\r\n",
            ":",
            "\0",
            "0\r\n\r\n",
            "GET / HTTP/1.1\r\n",
        ][..],
    )
    .prop_map(|text| text.as_bytes().to_vec());
    prop_oneof![8 => known, 1 => prop::collection::vec(any::<u8>(), 1..4)]
}

fn same_at_every_split(input: &[u8], limits: &Limits) -> Result<(), TestCaseError> {
    let whole = feed(input, [input.len()], limits);
    for split in 0..=input.len() {
        prop_assert_eq!(
            &feed(input, [split, input.len()], limits),
            &whole,
            "split at {}",
            split
        );
    }
    prop_assert_eq!(
        &feed(input, 1..=input.len(), limits),
        &whole,
        "byte by byte"
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8 * ProptestConfig::default().cases))]

    #[test]
    fn splitting_makes_no_difference_to_chunk_like_bytes(fragments in prop::collection::vec(fragment(), 0..14)) {
        let input = fragments.concat();
        same_at_every_split(&input, &limits())?;
        let mut narrow = limits();
        narrow.h1_max_chunk_line = 6;
        narrow.h1_max_chunk_extensions = 7;
        narrow.max_header_bytes = 24;
        narrow.max_header_count = 2;
        same_at_every_split(&input, &narrow)?;
    }

    #[test]
    fn splitting_makes_no_difference_to_any_bytes(input in prop::collection::vec(any::<u8>(), 0..64)) {
        same_at_every_split(&input, &limits())?;
    }
}

proptest! {
    #[test]
    fn what_we_encode_decodes_back_under_any_split(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
        trailers in prop::collection::vec(("X-[a-z]{1,8}", "[!-~]{0,8}"), 0..4),
        behind in prop::collection::vec(any::<u8>(), 0..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut input = Vec::new();
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            encode_chunk_header(chunk.len(), &mut input);
            input.extend_from_slice(chunk);
            input.extend_from_slice(CHUNK_END);
        }
        let mut fields = Fields::new();
        for (name, value) in &trailers {
            prop_assume!(fields.append(name, value).is_ok());
        }
        encode_last_chunk(Some(&fields), &mut input);
        input.extend_from_slice(&behind);
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        ends.sort_unstable();
        ends.push(input.len());
        let expected = Outcome {
            content: chunks.concat(),
            end: End::Complete { trailers, behind: behind.len() },
        };
        prop_assert_eq!(&feed(&input, ends, &limits()), &expected);
        prop_assert_eq!(&feed(&input, 1..=input.len(), &limits()), &expected);
    }
}
