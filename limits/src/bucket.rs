//! What may happen so often and no more: a bucket that time refills, and a budget that good behaviour refills. One for
//! each of many addresses is `RateTable`.

use crate::Moment;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// How full a bucket is. Capacity and rate are arguments, so that many buckets of one rate need not repeat them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    tokens: u64,
    /// What is on its way to the next token, in billionths of one: always less than a whole.
    part: u32,
    /// Up to when time was turned into tokens.
    at: Moment,
}

impl Level {
    pub(crate) const fn full(capacity: u64, now: Moment) -> Level {
        Level {
            tokens: capacity,
            part: 0,
            at: now,
        }
    }

    /// Takes `n` tokens, or none if there are fewer. Time is turned into tokens first; a `now` before the last one adds
    /// nothing, and takes nothing away.
    pub(crate) fn take(&mut self, n: u64, now: Moment, capacity: u64, per_second: u64) -> bool {
        self.fill(now, capacity, per_second);
        if self.tokens < n {
            return false;
        }
        self.tokens -= n;
        true
    }

    pub(crate) fn give_back(&mut self, n: u64, capacity: u64) {
        self.tokens = self.tokens.saturating_add(n).min(capacity);
    }

    fn fill(&mut self, now: Moment, capacity: u64, per_second: u64) {
        if now <= self.at {
            return;
        }
        // Neither factor is above 2^64, so the product fits, and so does the part.
        let parts = now.since(self.at).as_nanos() * u128::from(per_second) + u128::from(self.part);
        self.at = now;
        let tokens = u128::from(self.tokens) + parts / NANOS_PER_SECOND;
        if tokens >= u128::from(capacity) {
            self.tokens = capacity;
            self.part = 0;
        } else {
            self.tokens = tokens as u64;
            self.part = (parts % NANOS_PER_SECOND) as u32;
        }
    }
}

/// So many tokens at once, and so many more each second. Whole-number arithmetic that keeps the remainder: however
/// often it is asked, it never gives more or less than the rate says.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    capacity: u64,
    per_second: u64,
    level: Level,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub const fn new(capacity: u64, per_second: u64, now: Moment) -> TokenBucket {
        TokenBucket {
            capacity,
            per_second,
            level: Level::full(capacity, now),
        }
    }

    /// Takes `n` tokens, or none if there are fewer.
    pub fn take(&mut self, n: u64, now: Moment) -> bool {
        self.level.take(n, now, self.capacity, self.per_second)
    }

    /// Gives back tokens that turned out not to be needed.
    pub fn give_back(&mut self, n: u64) {
        self.level.give_back(n, self.capacity);
    }

    /// When `n` tokens will be there if nobody takes any; `None` if they never will.
    #[must_use]
    pub fn ready_at(&self, n: u64) -> Option<Moment> {
        if n > self.capacity {
            return None;
        }
        let missing = u128::from(n.saturating_sub(self.level.tokens)) * NANOS_PER_SECOND;
        let missing = missing.saturating_sub(u128::from(self.level.part));
        if missing == 0 {
            return Some(self.level.at);
        }
        if self.per_second == 0 {
            return None;
        }
        let nanos =
            u64::try_from(missing.div_ceil(u128::from(self.per_second))).unwrap_or(u64::MAX);
        Some(Moment::from_nanos(
            self.level.at.as_nanos().saturating_add(nanos),
        ))
    }
}

/// A counter that bad behaviour spends and good behaviour refills: for what is legal each time and an attack many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    left: u32,
    /// Never below `left`.
    capacity: u32,
}

impl Budget {
    /// A full budget.
    #[must_use]
    pub const fn new(capacity: u32) -> Budget {
        Budget {
            left: capacity,
            capacity,
        }
    }

    /// A budget that has `left` to begin with and must earn what it holds beyond that: never more than `capacity`.
    #[must_use]
    pub const fn to_earn(left: u32, capacity: u32) -> Budget {
        Budget {
            left: if left > capacity { capacity } else { left },
            capacity,
        }
    }

    /// Spends `n`. False if that is more than is left: the bound was hit, and nothing is left then.
    #[must_use]
    pub const fn spend(&mut self, n: u32) -> bool {
        match self.left.checked_sub(n) {
            Some(left) => {
                self.left = left;
                true
            }
            None => {
                self.left = 0;
                false
            }
        }
    }

    /// Gives `n` back, up to the capacity.
    pub const fn refill(&mut self, n: u32) {
        let left = self.left.saturating_add(n);
        self.left = if left > self.capacity {
            self.capacity
        } else {
            left
        };
    }

    /// What is left to spend.
    #[must_use]
    pub const fn left(&self) -> u32 {
        self.left
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn millis(millis: u64) -> Moment {
        Moment::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = TokenBucket::new(3, 10, millis(0));
        assert!((0..3).all(|_| bucket.take(1, millis(0))));
        assert!(!bucket.take(1, millis(99)));
        assert!(bucket.take(1, millis(100)));
        assert!(!bucket.take(1, millis(100)));
        assert!(bucket.take(3, millis(10_000)));
        assert!(!bucket.take(1, millis(10_000)));
    }

    #[test]
    fn being_asked_often_costs_no_tokens_and_makes_none() {
        // Three a second asked every millisecond: a bucket that rounded each time would never fill, or overflow.
        let mut bucket = TokenBucket::new(1, 3, millis(0));
        let taken = (0..=100_000)
            .filter(|now| bucket.take(1, millis(*now)))
            .count();
        // The full bucket at the start, and then one each 334 ms: asked in whole milliseconds only, 333.3 are too few.
        assert!((300..=301).contains(&taken), "{taken}");
    }

    #[test]
    fn a_clock_that_stands_or_goes_back_makes_no_tokens() {
        let mut bucket = TokenBucket::new(1, 1_000, millis(50));
        assert!(bucket.take(1, millis(50)));
        assert!(!bucket.take(1, millis(50)));
        assert!(!bucket.take(1, millis(0)));
        assert!(bucket.take(1, millis(51)));
    }

    #[test]
    fn ready_at_is_the_first_moment_at_which_take_succeeds() {
        let mut bucket = TokenBucket::new(5, 3, millis(0));
        assert!(bucket.take(5, millis(0)));
        let at = bucket.ready_at(2).unwrap();
        assert!(
            !bucket
                .clone()
                .take(2, Moment::from_nanos(at.as_nanos() - 1))
        );
        assert!(bucket.clone().take(2, at));
        assert_eq!(bucket.ready_at(6), None);
        assert_eq!(
            TokenBucket::new(5, 0, millis(7)).ready_at(5),
            Some(millis(7))
        );
    }

    #[test]
    fn a_budget_is_spent_by_bad_and_refilled_by_good_behaviour() {
        let mut budget = Budget::new(10);
        assert!(budget.spend(4) && budget.spend(6));
        assert_eq!(budget.left(), 0);
        budget.refill(3);
        assert!(!budget.spend(4), "more than is left");
        assert!(!budget.spend(1), "nothing is left after the bound was hit");
        budget.refill(u32::MAX);
        assert_eq!(budget.left(), 10);
    }

    #[test]
    fn a_budget_that_is_to_be_earned_holds_what_it_began_with_and_what_was_earned() {
        let mut budget = Budget::to_earn(2, 5);
        assert!(budget.spend(2) && !budget.spend(1));
        budget.refill(9);
        assert_eq!(budget.left(), 5);
        assert_eq!(Budget::to_earn(9, 5).left(), 5);
    }

    #[test]
    fn tokens_given_back_are_there_again_and_never_more_than_it_holds() {
        let mut bucket = TokenBucket::new(2, 1, Moment::ZERO);
        assert!(bucket.take(2, Moment::ZERO));
        bucket.give_back(1);
        assert!(bucket.take(1, Moment::ZERO) && !bucket.take(1, Moment::ZERO));
        bucket.give_back(5);
        assert!(bucket.take(2, Moment::ZERO) && !bucket.take(1, Moment::ZERO));
    }

    proptest! {
        #[test]
        fn a_bucket_never_gives_more_than_burst_and_rate(
            capacity in 0..1_000u64, per_second in 0..1_000_000u64,
            asks in prop::collection::vec((0..20u64, 0..3_000_000_000u64), 1..100),
        ) {
            let mut bucket = TokenBucket::new(capacity, per_second, Moment::ZERO);
            let mut now = 0u64;
            let mut taken = 0u128;
            for (n, nanos) in asks {
                now += nanos;
                if bucket.take(n, Moment::from_nanos(now)) {
                    taken += u128::from(n);
                }
                let most = u128::from(capacity) + u128::from(now) * u128::from(per_second) / NANOS_PER_SECOND;
                prop_assert!(taken <= most);
            }
        }

        #[test]
        fn how_often_time_is_looked_at_makes_no_difference(
            per_second in 1..10_000u64, steps in prop::collection::vec(0..50_000_000u64, 1..100),
        ) {
            // A capacity that is not reached: at the rim, tokens are lost on purpose.
            let mut often = TokenBucket::new(u64::MAX, per_second, Moment::ZERO);
            let mut once = often.clone();
            prop_assert!(often.take(u64::MAX, Moment::ZERO) && once.take(u64::MAX, Moment::ZERO));
            let mut now = Moment::ZERO;
            for step in steps {
                now += Duration::from_nanos(step);
                prop_assert!(often.take(0, now));
            }
            prop_assert!(once.take(0, now));
            prop_assert_eq!(often.level, once.level);
        }

        #[test]
        fn the_ends_of_every_range_are_survived(
            capacity in any::<u64>(), per_second in any::<u64>(), n in any::<u64>(), a in any::<u64>(), b in any::<u64>(),
        ) {
            let mut bucket = TokenBucket::new(capacity, per_second, Moment::from_nanos(a));
            bucket.take(n, Moment::from_nanos(b));
            bucket.take(n, Moment::MAX);
            prop_assert!(bucket.level.tokens <= capacity);
            let _ = bucket.ready_at(n);
        }
    }
}
