//! Short texts compared by words. Names and values have a few dozen bytes: calling a comparison made for longer ones costs
//! more than this does.

use wide::u8x16;

/// Bytes looked at together.
const LANES: usize = 16;

/// Whether two texts are the same.
#[inline]
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    // The ends overlap where the length is no multiple.
    if let (Some(ends), Some(other_ends)) = (ends(one), ends(other)) {
        let equal = equal_lanes(ends.0, other_ends.0) & equal_lanes(ends.1, other_ends.1);
        return all(equal) && (one.len() <= 2 * LANES || same_between(one, other));
    }
    if let (Some(ends), Some(other_ends)) = (ends::<8>(one), ends::<8>(other)) {
        return ends == other_ends;
    }
    if let (Some(ends), Some(other_ends)) = (ends::<4>(one), ends::<4>(other)) {
        return ends == other_ends;
    }
    one.iter().zip(other).all(|(one, other)| one == other)
}

/// Whether texts of the same length are so apart from their ends.
fn same_between(one: &[u8], other: &[u8]) -> bool {
    let (lanes, _) = one.as_chunks();
    let (other_lanes, _) = other.as_chunks();
    let mut pairs = lanes.iter().zip(other_lanes).skip(1);
    pairs.all(|(one, other)| all(equal_lanes(one, other)))
}

#[inline]
fn equal_lanes(one: &[u8; LANES], other: &[u8; LANES]) -> u8x16 {
    u8x16::new(*one).simd_eq(u8x16::new(*other))
}

#[inline]
fn all(equal: u8x16) -> bool {
    equal.to_bitmask() == (1 << LANES) - 1
}

/// The first and the last `LEN` bytes.
#[inline]
fn ends<const LEN: usize>(text: &[u8]) -> Option<(&[u8; LEN], &[u8; LEN])> {
    Some((text.first_chunk()?, text.last_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_same_only_if_all_their_bytes_are() {
        let text: Vec<u8> = (0..100).collect();
        for len in 0..text.len() {
            let one = &text[..len];
            assert!(same(one, Vec::from(one).as_slice()));
            assert!(!same(one, &text[..len + 1]) && !same(&text[..len + 1], one));
            for at in 0..len {
                let mut other = one.to_vec();
                other[at] ^= 0x80;
                assert!(!same(one, &other) && !same(&other, one), "{len} {at}");
            }
        }
    }
}
