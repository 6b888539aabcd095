//! A token bucket for each of many addresses, in bounded memory.

use crate::bucket::Level;
use crate::{AddressKey, Moment};
use std::collections::HashMap;
use std::time::Duration;

/// Buckets that one table holds at most, over both generations.
pub const RATE_TABLE_ENTRIES_MAX: usize = 32_768;

/// A bucket for each address that took something lately, all of one capacity and rate. An address without a bucket has a
/// full one: forgetting one can only be generous.
///
/// Buckets live in two generations. Whoever is seen is moved to the young one; when that is half the table, or has
/// lived for as long as an empty bucket takes to fill, the old one is forgotten and the young one becomes old. So a
/// bucket forgotten for its age was full and nothing is lost, and under a flood of addresses those seen longest ago go
/// first, at no cost but a clear.
#[derive(Debug)]
pub struct RateTable {
    capacity: u64,
    per_second: u64,
    /// How long an empty bucket takes to fill.
    refill: Duration,
    /// When the young generation began.
    begun: Moment,
    /// Neither is ever longer than half of `RATE_TABLE_ENTRIES_MAX`.
    young: HashMap<AddressKey, Level>,
    old: HashMap<AddressKey, Level>,
}

impl RateTable {
    /// A table of full buckets that hold `capacity` and fill at `per_second`.
    #[must_use]
    pub fn new(capacity: u64, per_second: u64, now: Moment) -> RateTable {
        let nanos = (u128::from(capacity) * 1_000_000_000)
            .checked_div(u128::from(per_second))
            .unwrap_or(u128::MAX);
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX).saturating_add(1);
        RateTable {
            capacity,
            per_second,
            refill: Duration::from_nanos(nanos),
            begun: now,
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    /// Takes a token of `key`'s bucket; false if it has none.
    #[must_use]
    pub fn take(&mut self, key: AddressKey, now: Moment) -> bool {
        self.age(now);
        if let Some(level) = self.young.get_mut(&key) {
            return level.take(1, now, self.capacity, self.per_second);
        }
        let mut level = self
            .old
            .remove(&key)
            .unwrap_or(Level::full(self.capacity, now));
        let taken = level.take(1, now, self.capacity, self.per_second);
        self.young.insert(key, level);
        taken
    }

    /// Gives back a token that turned out not to be needed.
    pub fn give_back(&mut self, key: AddressKey) {
        if let Some(level) = self.young.get_mut(&key) {
            level.give_back(1, self.capacity);
        }
    }

    /// How many addresses have a bucket of their own.
    #[must_use]
    pub fn addresses(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn age(&mut self, now: Moment) {
        let elapsed = now.since(self.begun);
        if self.young.len() < RATE_TABLE_ENTRIES_MAX / 2 && elapsed < self.refill {
            return;
        }
        std::mem::swap(&mut self.young, &mut self.old);
        self.young.clear();
        self.begun = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    fn key(number: u32) -> AddressKey {
        AddressKey::from_ip(Ipv4Addr::from_bits(number).into())
    }

    fn millis(millis: u64) -> Moment {
        Moment::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn each_address_has_a_bucket_of_its_own() {
        let mut table = RateTable::new(2, 1, millis(0));
        assert!(table.take(key(1), millis(0)) && table.take(key(1), millis(0)));
        assert!(!table.take(key(1), millis(0)));
        assert!(table.take(key(2), millis(0)));
        assert!(table.take(key(1), millis(1_000)));
        assert!(!table.take(key(1), millis(1_000)));
    }

    #[test]
    fn a_flood_of_addresses_is_bounded_and_those_seen_lately_stay_known() {
        let mut table = RateTable::new(1, 1, millis(0));
        assert!(table.take(key(0), millis(0)));
        for number in 1..200_000 {
            assert!(table.take(key(number), millis(0)));
            if number % 10_000 == 0 {
                assert!(
                    !table.take(key(0), millis(0)),
                    "forgotten after {number} others though seen lately"
                );
            }
            assert!(table.addresses() <= RATE_TABLE_ENTRIES_MAX);
        }
    }

    #[test]
    fn addresses_that_went_quiet_are_forgotten() {
        let mut table = RateTable::new(10, 10, millis(0));
        for number in 0..1_000 {
            assert!(table.take(key(number), millis(0)));
        }
        assert!(table.take(key(5_000), millis(1_001)));
        assert!(table.take(key(5_000), millis(2_100)));
        assert_eq!(table.addresses(), 1);
    }

    #[test]
    fn a_rate_of_zero_never_refills() {
        let mut table = RateTable::new(1, 0, millis(0));
        assert!(table.take(key(1), millis(0)));
        assert!(!table.take(key(1), millis(1_000_000_000)));
    }

    proptest! {
        #[test]
        fn forgetting_by_age_changes_no_answer(
            capacity in 1..5u64, per_second in 1..5u64,
            asks in prop::collection::vec((0..4u32, 0..2_500u64), 1..200),
        ) {
            let mut table = RateTable::new(capacity, per_second, Moment::ZERO);
            let mut all: BTreeMap<u32, Level> = BTreeMap::new();
            let mut now = 0;
            for (number, later) in asks {
                now += later;
                let level = all.entry(number).or_insert(Level::full(capacity, millis(now)));
                let expected = level.take(1, millis(now), capacity, per_second);
                prop_assert_eq!(table.take(key(number), millis(now)), expected);
            }
        }
    }
}
