//! The order of a round: shuffled, so that no server always follows the same other one, and repeatable from a seed.

/// Marsaglia's xorshift64.
#[derive(Debug)]
pub(crate) struct Shuffle(u64);

impl Shuffle {
    /// From any seed; zero is no state of the generator.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// `0..count` in some order.
    pub(crate) fn order(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for place in (1..count).rev() {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            order.swap(place, (self.0 >> 32) as usize % (place + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_a_permutation_that_its_seed_repeats() {
        let (mut one, mut same, mut seen) = (
            Shuffle::new(3),
            Shuffle::new(3),
            std::collections::BTreeSet::new(),
        );
        for _ in 0..200 {
            let order = one.order(3);
            assert_eq!(order, same.order(3));
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2]);
            seen.insert(order);
        }
        assert_eq!(seen.len(), 6, "not all orders occur: {seen:?}");
    }
}
