//! Integers (RFC 7541 section 5.1): the low bits of one byte, and seven bits of each byte after it where those do not do.

use super::fault::Fault;

/// How many bytes may follow the first: what 32 bits need, seven at a time.
const MORE_BYTES_MAX: u32 = 5;

/// Reads the integer that begins in the low `prefix_bits` of `first`, and takes its other bytes off `rest`.
#[inline]
pub(super) fn decode(first: u8, prefix_bits: u32, rest: &mut &[u8]) -> Result<u32, Fault> {
    let prefix_max = (1 << prefix_bits) - 1;
    let value = u32::from(first) & prefix_max;
    if value < prefix_max {
        Ok(value)
    } else {
        decode_more(value, rest)
    }
}

fn decode_more(prefix: u32, rest: &mut &[u8]) -> Result<u32, Fault> {
    let mut value = u64::from(prefix);
    for place in 0..MORE_BYTES_MAX {
        let (&byte, after) = rest.split_first().ok_or(Fault::IntegerTruncated)?;
        *rest = after;
        value += u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return u32::try_from(value).map_err(|_| Fault::IntegerOverflow);
        }
    }
    Err(Fault::IntegerTooLong)
}

/// Writes an integer: `pattern` above the low `prefix_bits` of the first byte.
#[inline]
pub(super) fn encode(value: u32, prefix_bits: u32, pattern: u8, out: &mut Vec<u8>) {
    let prefix_max = (1 << prefix_bits) - 1;
    if value < prefix_max {
        out.push(pattern | value as u8);
        return;
    }
    out.push(pattern | prefix_max as u8);
    let mut left = value - prefix_max;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(value: u32, prefix_bits: u32) -> Vec<u8> {
        let mut out = Vec::new();
        encode(value, prefix_bits, 0, &mut out);
        out
    }

    fn decoded(bytes: &[u8], prefix_bits: u32) -> Result<(u32, usize), Fault> {
        let (&first, mut rest) = bytes.split_first().expect("a first byte");
        decode(first, prefix_bits, &mut rest).map(|value| (value, bytes.len() - rest.len()))
    }

    #[test]
    fn the_examples_of_appendix_c1_are_written_and_read() {
        for (value, prefix_bits, bytes) in [
            (10, 5, &[0x0a][..]),
            (1337, 5, &[0x1f, 0x9a, 0x0a]),
            (42, 8, &[0x2a]),
        ] {
            assert_eq!(encoded(value, prefix_bits), bytes);
            assert_eq!(decoded(bytes, prefix_bits), Ok((value, bytes.len())));
        }
    }

    #[test]
    fn every_prefix_carries_every_magnitude_and_no_cut_passes_for_the_whole() {
        for prefix_bits in 4..=8 {
            let edges = (0..32).flat_map(|bit| [(1u32 << bit) - 1, 1 << bit, (1 << bit) + 1]);
            for value in edges.chain([u32::MAX - 1, u32::MAX]) {
                let bytes = encoded(value, prefix_bits);
                assert_eq!(decoded(&bytes, prefix_bits), Ok((value, bytes.len())));
                for cut in 1..bytes.len() {
                    assert_eq!(
                        decoded(&bytes[..cut], prefix_bits),
                        Err(Fault::IntegerTruncated)
                    );
                }
            }
        }
    }

    #[test]
    fn bits_above_the_prefix_are_neither_read_nor_lost() {
        assert_eq!(decoded(&[0b1110_1010], 5), Ok((10, 1)));
        let mut out = Vec::new();
        encode(10, 5, 0b1110_0000, &mut out);
        assert_eq!(out, [0b1110_1010]);
    }

    #[test]
    fn what_needs_more_than_32_bits_is_refused() {
        assert_eq!(
            decoded(&[0x7f, 0x80, 0xff, 0xff, 0xff, 0x0f], 7),
            Ok((u32::MAX, 6))
        );
        assert_eq!(
            decoded(&[0x7f, 0x81, 0xff, 0xff, 0xff, 0x0f], 7),
            Err(Fault::IntegerOverflow)
        );
        assert_eq!(
            decoded(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0x7f], 7),
            Err(Fault::IntegerOverflow)
        );
        // Zeros, whether or not an end comes.
        assert_eq!(
            decoded(&[0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], 7),
            Err(Fault::IntegerTooLong)
        );
        assert_eq!(decoded(&[0x7f, 0x80, 0x00], 7), Ok((127, 3)));
    }
}
