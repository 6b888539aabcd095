//! Finding a field in the encoder's table by a hash of its name and value, without looking at the others.
//!
//! Slots are written over, never cleared: whether the field that a slot tells of is still in the table, and the same, is
//! for the caller to see. Two fields with the same hash cost nothing but compression.

/// How many fields a bucket remembers.
const BUCKET_LEN: usize = 4;

#[derive(Clone, Copy, Default)]
struct Slot {
    hash: u32,
    /// As which one the field went into the table.
    number: u32,
}

type Bucket = [Slot; BUCKET_LEN];

/// The fields of a table by their hash.
pub(super) struct Lookup {
    /// None before the first field, then a power of two.
    buckets: Vec<Bucket>,
}

impl Lookup {
    /// It allocates when the first field is noted.
    pub(super) const fn new() -> Lookup {
        Lookup {
            buckets: Vec::new(),
        }
    }

    /// Whether no field was noted.
    pub(super) fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// The number of the field with this hash of which `is_it` is true.
    #[inline]
    pub(super) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        for slot in self.buckets.get(self.place(hash))? {
            if slot.hash == hash && is_it(slot.number) {
                return Some(slot.number);
            }
        }
        None
    }

    /// Notes the field that went in last, as `number`, into a table that holds at most `table_bytes_max`: in the place of
    /// the oldest, which may be there no more.
    pub(super) fn note(&mut self, hash: u32, number: u32, table_bytes_max: u32) {
        if self.buckets.is_empty() {
            // A field counts 32 bytes and its text, so at most half of the slots are in use, in truth a quarter. However
            // large the table, the cap is not worth passing: what is not found is sent again.
            let slots = (table_bytes_max / 16).clamp(16, 8192);
            let count = (slots as usize / BUCKET_LEN).next_power_of_two();
            self.buckets = vec![Bucket::default(); count];
        }
        let place = self.place(hash);
        let oldest = self.buckets[place]
            .iter_mut()
            .max_by_key(|slot| number.wrapping_sub(slot.number));
        if let Some(slot) = oldest {
            *slot = Slot { hash, number };
        }
    }

    /// Beyond the end if there are no buckets.
    #[inline]
    fn place(&self, hash: u32) -> usize {
        hash as usize & self.buckets.len().wrapping_sub(1)
    }
}

/// A factor with its bits well spread: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The last eight bytes, or what there is, some of them once more.
#[inline]
fn last_bytes(text: &[u8]) -> u64 {
    if let Some(word) = text.last_chunk() {
        u64::from_le_bytes(*word)
    } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
    } else if let (Some(&first), Some(&last)) = (text.first(), text.last()) {
        let middle = text[text.len() / 2];
        u64::from(first) << 16 | u64::from(middle) << 8 | u64::from(last)
    } else {
        0
    }
}

/// The hash of a field, in which every byte counts.
#[inline]
pub(super) fn hash(name: &[u8], value: &[u8]) -> u32 {
    let lengths = (name.len() as u64) << 32 ^ value.len() as u64;
    let hash = mix_all(mix_all(lengths.wrapping_mul(SPREAD), name), value);
    // Once more, for what differs in the last bytes alone has changed few bits so far, and a place is made of the lowest.
    ((hash ^ hash >> 32).wrapping_mul(SPREAD) >> 32) as u32
}

#[inline]
fn mix(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(SPREAD).rotate_left(29)
}

#[inline]
fn mix_all(mut hash: u64, text: &[u8]) -> u64 {
    let mut rest = text;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        hash = mix(hash, u64::from_le_bytes(*word));
        rest = after;
    }
    if rest.is_empty() {
        return hash;
    }
    // The lengths are in the hash, so nothing is taken for another.
    mix(hash, last_bytes(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_until_newer_ones_needed_its_slot() {
        let mut lookup = Lookup::new();
        assert_eq!(lookup.find(7, |_| true), None);
        for number in 1..=BUCKET_LEN as u32 {
            lookup.note(7, number, 4096);
        }
        for number in 1..=BUCKET_LEN as u32 {
            assert_eq!(lookup.find(7, |found| found == number), Some(number));
        }
        lookup.note(7, 5, 4096);
        assert_eq!(lookup.find(7, |found| found == 1), None);
        assert_eq!(lookup.find(7, |found| found == 5), Some(5));
        assert_eq!(lookup.find(8, |_| true), None);
    }

    #[test]
    fn fields_that_differ_in_their_last_bytes_are_spread_over_the_buckets() {
        let mut lookup = Lookup::new();
        let hashes: Vec<u32> = (10..74)
            .map(|number| hash(b"etag", format!("value {number}").as_bytes()))
            .collect();
        for (number, hash) in (1..).zip(&hashes) {
            lookup.note(*hash, number, 4096);
        }
        let found = (1..).zip(&hashes);
        let found = found.filter(|(number, hash)| lookup.find(**hash, |_| true) == Some(*number));
        assert_eq!(found.count(), hashes.len());
    }

    #[test]
    fn every_byte_and_the_border_between_name_and_value_count() {
        let text: Vec<u8> = (b'a'..=b'z').collect();
        for len in 0..text.len() {
            let of_this = hash(&text[..len], b"v");
            for at in 0..len {
                let mut other = text[..len].to_vec();
                other[at] ^= 1;
                assert_ne!(hash(&other, b"v"), of_this, "{len} {at}");
                assert_ne!(hash(b"v", &other), hash(b"v", &text[..len]), "{len} {at}");
            }
            assert_ne!(
                hash(&text[..len], &text[len..]),
                hash(&text[..len + 1], &text[len + 1..])
            );
        }
    }
}
