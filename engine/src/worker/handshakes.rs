//! The TLS handshakes of a worker whose ClientHello is whole: whose turn it is to be answered, and who goes when there are
//! too many (`LANNER_TLS_MAX_HANDSHAKES`). The newest is never the one refused, or whoever holds all the places could lock
//! everybody else out; and a single address holds at most an eighth of them.
//!
//! Each worker has its share of the places, so that handshakes on different workers have nothing in common.

use crate::slab::Key;
use lanner_limits::{AddressKey, Limits};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// What a single address may hold of all places.
const ADDRESS_SHARE: usize = 8;

/// See the file's comment.
#[derive(Debug)]
pub(super) struct Handshakes {
    places_max: usize,
    address_max: usize,
    next: u64,
    /// Those that wait for us, the first to come first.
    waiting: VecDeque<(u64, Key)>,
    /// Those that have been answered and wait for their peer, oldest first.
    answered: BTreeMap<u64, (Key, Option<AddressKey>)>,
    /// Those of `answered` whose address counts.
    by_address: HashMap<AddressKey, BTreeSet<u64>>,
}

impl Handshakes {
    pub(super) fn new(limits: &Limits) -> Handshakes {
        let places_max = (limits.tls_max_handshakes / limits.workers.max(1)).max(1);
        Handshakes {
            places_max,
            address_max: (places_max / ADDRESS_SHARE).max(1),
            next: 0,
            waiting: VecDeque::new(),
            answered: BTreeMap::new(),
            by_address: HashMap::new(),
        }
    }

    /// A ClientHello is whole. Returns the handshake's number.
    pub(super) fn queue(&mut self, key: Key) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiting.push_back((number, key));
        number
    }

    /// Whether somebody waits for us.
    pub(super) fn are_due(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whose turn it is. Its connection may be gone.
    pub(super) fn next(&mut self) -> Option<(u64, Key)> {
        self.waiting.pop_front()
    }

    /// A handshake is about to be answered, and then waits for its peer. Returns the connection that has to go for it.
    pub(super) fn answer(
        &mut self,
        number: u64,
        key: Key,
        address: Option<AddressKey>,
    ) -> Option<Key> {
        let same = address.and_then(|address| self.by_address.get(&address));
        let oldest_of_address = same
            .filter(|numbers| numbers.len() >= self.address_max)
            .and_then(BTreeSet::first)
            .copied();
        let oldest = || self.answered.keys().next().copied();
        let is_full = self.answered.len() >= self.places_max;
        let goes = oldest_of_address.or_else(|| is_full.then(oldest).flatten());
        let gone = goes.and_then(|number| self.end(number));
        self.answered.insert(number, (key, address));
        if let Some(address) = address {
            self.by_address.entry(address).or_default().insert(number);
        }
        gone
    }

    /// A handshake is over, however it ended. Returns its connection, if it had been answered.
    pub(super) fn end(&mut self, number: u64) -> Option<Key> {
        let (key, address) = self.answered.remove(&number)?;
        if let Some(address) = address
            && let Some(numbers) = self.by_address.get_mut(&address)
        {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_address.remove(&address);
            }
        }
        Some(key)
    }

    /// How many wait, for us or for their peer.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.answered.len().max(self.by_address.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::Slab;
    use lanner_limits::Machine;
    use std::net::IpAddr;

    fn handshakes(places: usize) -> Handshakes {
        let mut limits = Limits::for_machine(Machine {
            nofile: 4096,
            memory: 1 << 32,
            cpus: 1,
        });
        limits.tls_max_handshakes = places;
        limits.workers = 1;
        Handshakes::new(&limits)
    }

    fn keys<const N: usize>() -> [Key; N] {
        let mut slab = Slab::new();
        std::array::from_fn(|_| slab.insert_with(|_| ()))
    }

    fn address(last: u8) -> Option<AddressKey> {
        Some(AddressKey::from_ip(IpAddr::from([192, 0, 2, last])))
    }

    fn answer(handshakes: &mut Handshakes, key: Key, from: Option<AddressKey>) -> Option<Key> {
        let number = handshakes.queue(key);
        assert_eq!(handshakes.next(), Some((number, key)));
        handshakes.answer(number, key, from)
    }

    #[test]
    fn the_oldest_goes_for_the_newest() {
        let mut all = handshakes(2);
        let [first, second, third] = keys();
        assert_eq!(answer(&mut all, first, None), None);
        assert_eq!(answer(&mut all, second, None), None);
        assert_eq!(answer(&mut all, third, None), Some(first));
        assert_eq!(all.end(1), Some(second));
        assert_eq!(all.end(1), None);
        assert_eq!(answer(&mut all, first, None), None);
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn an_address_with_an_eighth_of_the_places_makes_room_from_among_its_own() {
        let mut all = handshakes(16);
        let [other, one, two, three, four] = keys();
        assert_eq!(answer(&mut all, other, address(1)), None);
        assert_eq!(answer(&mut all, one, address(2)), None);
        assert_eq!(answer(&mut all, two, address(2)), None);
        assert_eq!(answer(&mut all, three, address(2)), Some(one));
        assert_eq!(answer(&mut all, four, address(2)), Some(two));
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn whoever_is_exempt_counts_for_no_address() {
        let mut all = handshakes(16);
        for key in keys::<16>() {
            assert_eq!(answer(&mut all, key, None), None);
        }
        assert!(all.by_address.is_empty());
    }

    #[test]
    fn nothing_is_left_of_handshakes_that_are_over() {
        let mut all = handshakes(16);
        let [one, two] = keys();
        answer(&mut all, one, address(1));
        answer(&mut all, two, address(1));
        all.end(0);
        all.end(1);
        assert_eq!((all.len(), all.by_address.len()), (0, 0));
    }
}
