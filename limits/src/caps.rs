//! How many connections each address holds. Pure counting: the engine puts it behind its sharded locks, and asks at accept
//! and tells at close.

use crate::AddressKey;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A count for each address that holds at least one connection, so the map is never longer than there are connections.
/// The hash is std's keyed one: whoever has a /48 chooses 65,536 of these keys.
#[derive(Debug, Default)]
pub struct Caps {
    /// No count is zero.
    held: HashMap<AddressKey, u32>,
}

impl Caps {
    /// Nobody holds anything.
    #[must_use]
    pub fn new() -> Caps {
        Caps::default()
    }

    /// Counts one more for `key`, unless it holds `max` already.
    #[must_use]
    pub fn try_acquire(&mut self, key: AddressKey, max: usize) -> bool {
        match self.held.entry(key) {
            Entry::Occupied(mut held) => {
                let allowed = (*held.get() as usize) < max && *held.get() < u32::MAX;
                if allowed {
                    *held.get_mut() += 1;
                }
                allowed
            }
            Entry::Vacant(none) => {
                if max > 0 {
                    none.insert(1);
                }
                max > 0
            }
        }
    }

    /// Counts one less for `key`; its entry goes with its last. A key that holds nothing stays at nothing.
    pub fn release(&mut self, key: AddressKey) {
        if let Entry::Occupied(mut held) = self.held.entry(key) {
            if *held.get() > 1 {
                *held.get_mut() -= 1;
            } else {
                held.remove();
            }
        } else {
            debug_assert!(false, "released more often than acquired: {key}");
        }
    }

    /// What `key` holds.
    #[must_use]
    pub fn held(&self, key: AddressKey) -> usize {
        self.held.get(&key).map_or(0, |held| *held as usize)
    }

    /// How many addresses hold anything.
    #[must_use]
    pub fn addresses(&self) -> usize {
        self.held.len()
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

    #[test]
    fn an_address_gets_its_share_and_no_other_pays_for_it() {
        let mut caps = Caps::new();
        assert!(caps.try_acquire(key(1), 2) && caps.try_acquire(key(1), 2));
        assert!(!caps.try_acquire(key(1), 2));
        assert!(caps.try_acquire(key(2), 2));
        caps.release(key(1));
        assert!(caps.try_acquire(key(1), 2));
    }

    #[test]
    fn an_address_that_holds_nothing_takes_no_room() {
        let mut caps = Caps::new();
        for number in 0..1_000 {
            assert!(caps.try_acquire(key(number), 1));
            caps.release(key(number));
        }
        assert_eq!(caps.addresses(), 0);
        assert!(!caps.try_acquire(key(1), 0));
        assert_eq!(caps.addresses(), 0);
    }

    #[test]
    fn a_cap_that_was_lowered_lets_nobody_new_in() {
        let mut caps = Caps::new();
        assert!((0..5).all(|_| caps.try_acquire(key(1), 5)));
        assert!(!caps.try_acquire(key(1), 3));
        caps.release(key(1));
        assert_eq!(caps.held(key(1)), 4);
    }

    proptest! {
        #[test]
        fn counts_agree_with_a_naive_model(steps in prop::collection::vec((0..6u32, any::<bool>()), 0..300)) {
            let mut caps = Caps::new();
            let mut naive: BTreeMap<u32, usize> = BTreeMap::new();
            for (number, acquire) in steps {
                let held = naive.entry(number).or_default();
                if acquire {
                    prop_assert_eq!(caps.try_acquire(key(number), 4), *held < 4);
                    *held = (*held + 1).min(4);
                } else if *held > 0 {
                    caps.release(key(number));
                    *held -= 1;
                }
                prop_assert_eq!(caps.held(key(number)), *held);
                prop_assert_eq!(caps.addresses(), naive.values().filter(|held| **held > 0).count());
            }
        }
    }
}
