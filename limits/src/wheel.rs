//! A hashed timer wheel: for every connection of a worker the one moment at which it wants to be looked at again. It
//! knows nothing of what is due then (`Deadlines` does) and nothing of sleeping (the driver does).
//!
//! Time is cut into ticks of one resolution. An entry belongs to the first tick that ends at or after its moment, and a
//! tick's entries hang in the slot `tick % SLOTS`. A slot is looked at when its tick has ended, so nothing fires early,
//! and nothing waits longer than one resolution. An entry more than one revolution away is passed over until its own
//! tick comes.
//!
//! ```text
//!            done               horizon                     done + SLOTS
//!   ──────────┼───────────────────┼──────────────────────────────┼──────►  ticks
//!     looked  │  looked at by the │  entries wait here; those    │
//!     at      │  pop_due under way│  beyond wrap around          │
//! ```

use crate::Moment;
use crate::moment::saturating_nanos;
use std::time::Duration;

/// Slots of the wheel. At the usual 64 ms they hold 131 s: the timeouts in use fit in one revolution.
const SLOTS: usize = 2_048;
const WORDS: usize = SLOTS / u64::BITS as usize;

/// The end of a list, and the slot of an entry that is in none.
const NIL: u32 = u32::MAX;
const NO_SLOT: u16 = u16::MAX;

// One bit of the summary per word; a slot number is never `NO_SLOT`.
const _: () = assert!(WORDS <= u32::BITS as usize && SLOTS < NO_SLOT as usize);
// Paid for every connection, idle ones included.
const _: () = assert!(size_of::<Entry>() <= 24);

#[derive(Clone, Copy)]
struct Entry {
    at: Moment,
    next: u32,
    previous: u32,
    slot: u16,
}

const VACANT: Entry = Entry {
    at: Moment::ZERO,
    next: NIL,
    previous: NIL,
    slot: NO_SLOT,
};

/// At most one moment per key, where a key is a slab's index. The table of entries grows to the highest key ever used and
/// stays there: 24 bytes for each.
///
/// Call [`Wheel::next_due`] to know how long to sleep, then [`Wheel::pop_due`] until it returns `None`.
pub struct Wheel {
    /// Nanoseconds of a tick, never zero.
    resolution: u64,
    /// Ticks up to here were looked at. Never past `horizon`.
    done: u64,
    /// The last tick that had ended when `pop_due` was last called; nothing is ever put at or before it.
    horizon: u64,
    /// Where in the slot of tick `done + 1` the search goes on, so that a slot full of far entries is walked once a
    /// revolution and not once for each entry popped.
    resume: u32,
    entries: Vec<Entry>,
    heads: Box<[u32; SLOTS]>,
    occupied: Occupied,
}

impl Wheel {
    /// An empty wheel whose ticks are `resolution` long (at least a nanosecond).
    #[must_use]
    pub fn new(resolution: Duration, now: Moment) -> Wheel {
        let resolution = saturating_nanos(resolution).max(1);
        let tick = now.as_nanos() / resolution;
        Wheel {
            resolution,
            done: tick,
            horizon: tick,
            resume: NIL,
            entries: Vec::new(),
            heads: Box::new([NIL; SLOTS]),
            occupied: Occupied::default(),
        }
    }

    /// Lets `key` fire at `at`, and no longer at the moment it had. A moment already past fires with the next tick.
    ///
    /// # Panics
    /// If `key` is `u32::MAX`, which no slab has room for.
    pub fn schedule(&mut self, key: u32, at: Moment) {
        assert!(key != NIL, "a slab index is below u32::MAX");
        let index = key as usize;
        if index >= self.entries.len() {
            self.entries.resize(index + 1, VACANT);
        }
        let tick = at
            .as_nanos()
            .div_ceil(self.resolution)
            .max(self.horizon + 1);
        let slot = slot_of(tick);
        if self.entries[index].slot != slot {
            self.unlink(key);
            self.link(key, slot);
        }
        self.entries[index].at = at;
    }

    /// Lets `key` not fire. Nothing happens if it would not have.
    pub fn cancel(&mut self, key: u32) {
        if (key as usize) < self.entries.len() {
            self.unlink(key);
        }
    }

    /// The moment that `key` waits for.
    #[must_use]
    pub fn scheduled(&self, key: u32) -> Option<Moment> {
        let entry = self.entries.get(key as usize)?;
        (entry.slot != NO_SLOT).then_some(entry.at)
    }

    /// When to call [`Wheel::pop_due`] next: the end of the next occupied slot. Where that slot holds only entries of a
    /// later revolution, nothing will be due then.
    #[must_use]
    pub fn next_due(&self) -> Option<Moment> {
        let tick = self.occupied_after(self.done)?;
        Some(Moment::from_nanos(tick.saturating_mul(self.resolution)))
    }

    /// One key whose moment has come, taken off the wheel; `None` when there is no other. However far `now` has moved,
    /// the calls until `None` look at each slot once.
    pub fn pop_due(&mut self, now: Moment) -> Option<u32> {
        self.advance(now);
        // Everything in a slot whose tick has ended and which belongs to this revolution is at or before this.
        let ended = Moment::from_nanos(self.horizon * self.resolution);
        loop {
            if self.resume == NIL {
                match self.occupied_after(self.done) {
                    Some(tick) if tick <= self.horizon => {
                        self.done = tick - 1;
                        self.resume = self.heads[usize::from(slot_of(tick))];
                    }
                    _ => {
                        self.done = self.horizon;
                        return None;
                    }
                }
            }
            let key = self.resume;
            let entry = self.entries[key as usize];
            self.resume = entry.next;
            if entry.next == NIL {
                self.done += 1;
            }
            if entry.at <= ended {
                self.unlink(key);
                return Some(key);
            }
        }
    }

    /// Moves the horizon to the last tick that ended by `now`.
    fn advance(&mut self, now: Moment) {
        let tick = now.as_nanos() / self.resolution;
        if tick > self.horizon {
            self.horizon = tick;
            // Entries passed over under the old horizon may be due under the new one: begin their slot again.
            self.resume = NIL;
            // One revolution visits every slot, and what is due is decided by moment, not by slot.
            self.done = self.done.max(tick.saturating_sub(SLOTS as u64));
        }
    }

    /// The first tick after `tick`, within one revolution, whose slot is occupied.
    fn occupied_after(&self, tick: u64) -> Option<u64> {
        let from = usize::from(slot_of(tick + 1));
        let slot = self.occupied.first_from(from)?;
        let distance = (slot + SLOTS - from) % SLOTS;
        Some(tick + 1 + distance as u64)
    }

    fn link(&mut self, key: u32, slot: u16) {
        let head = self.heads[usize::from(slot)];
        let entry = &mut self.entries[key as usize];
        entry.slot = slot;
        entry.previous = NIL;
        entry.next = head;
        if head == NIL {
            self.occupied.insert(usize::from(slot));
        } else {
            self.entries[head as usize].previous = key;
        }
        self.heads[usize::from(slot)] = key;
    }

    fn unlink(&mut self, key: u32) {
        let Entry {
            next,
            previous,
            slot,
            ..
        } = self.entries[key as usize];
        if slot == NO_SLOT {
            return;
        }
        self.entries[key as usize].slot = NO_SLOT;
        if self.resume == key {
            self.resume = next;
        }
        if next != NIL {
            self.entries[next as usize].previous = previous;
        }
        if previous != NIL {
            self.entries[previous as usize].next = next;
        } else {
            self.heads[usize::from(slot)] = next;
            if next == NIL {
                self.occupied.remove(usize::from(slot));
            }
        }
    }
}

const fn slot_of(tick: u64) -> u16 {
    (tick % SLOTS as u64) as u16
}

/// Which slots hold anything: a bit each, and above them a bit for each word that is not zero.
#[derive(Default)]
struct Occupied {
    words: [u64; WORDS],
    summary: u32,
}

impl Occupied {
    fn insert(&mut self, slot: usize) {
        self.words[slot / 64] |= 1 << (slot % 64);
        self.summary |= 1 << (slot / 64);
    }

    fn remove(&mut self, slot: usize) {
        self.words[slot / 64] &= !(1 << (slot % 64));
        if self.words[slot / 64] == 0 {
            self.summary &= !(1 << (slot / 64));
        }
    }

    /// The first occupied slot at or after `from`, going around.
    fn first_from(&self, from: usize) -> Option<usize> {
        let word = from / 64;
        let here = self.words[word] & (u64::MAX << (from % 64));
        if here != 0 {
            return Some(word * 64 + here.trailing_zeros() as usize);
        }
        // Words after this one, else from the start; this one again last, for its slots before `from`.
        let after = self.summary & u32::MAX.checked_shl(word as u32 + 1).unwrap_or(0);
        let summary = if after != 0 { after } else { self.summary };
        if summary == 0 {
            return None;
        }
        let word = summary.trailing_zeros() as usize;
        Some(word * 64 + self.words[word].trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const TICK: Duration = Duration::from_millis(64);
    const REVOLUTION: u64 = 64 * SLOTS as u64;

    fn millis(millis: u64) -> Moment {
        Moment::ZERO + Duration::from_millis(millis)
    }

    fn pop_all(wheel: &mut Wheel, now: Moment) -> Vec<u32> {
        let mut keys: Vec<u32> = std::iter::from_fn(|| wheel.pop_due(now)).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn an_entry_fires_at_the_end_of_its_tick_and_never_before_its_moment() {
        let mut wheel = Wheel::new(TICK, Moment::ZERO);
        wheel.schedule(7, millis(100));
        assert_eq!(wheel.next_due(), Some(millis(128)));
        assert_eq!(wheel.scheduled(7), Some(millis(100)));
        assert_eq!(wheel.pop_due(millis(127)), None);
        assert_eq!(wheel.pop_due(millis(128)), Some(7));
        assert_eq!(wheel.pop_due(millis(128)), None);
        assert_eq!(wheel.scheduled(7), None);
        assert_eq!(wheel.next_due(), None);
    }

    #[test]
    fn a_moment_on_the_edge_of_a_tick_fires_at_that_edge() {
        let mut wheel = Wheel::new(TICK, Moment::ZERO);
        wheel.schedule(0, millis(128));
        assert_eq!(wheel.pop_due(millis(127)), None);
        assert_eq!(wheel.pop_due(millis(128)), Some(0));
    }

    #[test]
    fn a_moment_already_past_fires_with_the_next_tick() {
        let mut wheel = Wheel::new(TICK, Moment::ZERO);
        assert_eq!(wheel.pop_due(millis(1_000)), None);
        wheel.schedule(3, millis(10));
        assert_eq!(wheel.pop_due(millis(1_000)), None);
        let due = wheel.next_due().unwrap();
        assert!(due > millis(1_000) && due <= millis(1_000) + TICK);
        assert_eq!(wheel.pop_due(due), Some(3));
    }

    #[test]
    fn scheduling_again_moves_the_one_entry() {
        let mut wheel = Wheel::new(TICK, Moment::ZERO);
        wheel.schedule(1, millis(64));
        wheel.schedule(1, millis(640));
        assert_eq!(pop_all(&mut wheel, millis(600)), []);
        wheel.schedule(1, millis(650));
        assert_eq!(pop_all(&mut wheel, millis(704)), [1]);
    }

    #[test]
    fn a_cancelled_entry_never_fires() {
        let mut wheel = Wheel::new(TICK, Moment::ZERO);
        for key in 0..3 {
            wheel.schedule(key, millis(64));
        }
        wheel.cancel(1);
        wheel.cancel(1);
        wheel.cancel(99);
        assert_eq!(pop_all(&mut wheel, millis(64)), [0, 2]);
    }

    #[test]
    fn an_entry_beyond_a_revolution_waits_for_its_own() {
        let mut wheel = Wheel::new(TICK, Moment::ZERO);
        let far = millis(3 * REVOLUTION + 64);
        wheel.schedule(5, far);
        let mut wakes = 0;
        loop {
            let due = wheel.next_due().unwrap();
            wakes += 1;
            match wheel.pop_due(due) {
                None => assert!(due < far),
                Some(key) => {
                    assert_eq!((key, due), (5, far));
                    break;
                }
            }
        }
        assert_eq!(wakes, 4, "one wake a revolution");
    }

    #[test]
    fn a_jump_of_hours_fires_everything_once_and_then_sleeps_properly() {
        let mut wheel = Wheel::new(TICK, Moment::ZERO);
        for key in 0..5_000 {
            wheel.schedule(key, millis(u64::from(key) * 97));
        }
        let now = millis(10 * 3_600_000);
        assert_eq!(pop_all(&mut wheel, now), (0..5_000).collect::<Vec<_>>());
        wheel.schedule(1, now + Duration::from_millis(1));
        assert!(wheel.next_due().unwrap() <= now + Duration::from_millis(1) + TICK);
    }

    #[test]
    fn what_is_scheduled_between_pops_neither_fires_early_nor_gets_lost() {
        let mut wheel = Wheel::new(TICK, Moment::ZERO);
        for key in 0..4 {
            wheel.schedule(key, millis(64));
        }
        let now = millis(64);
        let first = wheel.pop_due(now).unwrap();
        // Its owner asks for another moment at once, one of them in the past; and cancels a neighbour.
        wheel.schedule(first, millis(1));
        wheel.cancel((first + 3) % 4);
        let rest = pop_all(&mut wheel, now);
        assert_eq!(rest.len(), 2);
        assert!(!rest.contains(&first));
        assert_eq!(pop_all(&mut wheel, millis(128)), [first]);
    }

    #[test]
    fn a_jump_between_pops_finds_what_was_passed_over_before_it() {
        let mut wheel = Wheel::new(TICK, Moment::ZERO);
        let far = 9;
        // One slot, last come first: 2, 9 (a revolution later), 1, 0; and 3 in the slot after it.
        for (key, at) in [(0, 64), (1, 64), (far, 64 + REVOLUTION), (2, 64), (3, 128)] {
            wheel.schedule(key, millis(at));
        }
        assert_eq!(wheel.pop_due(millis(64)), Some(2));
        assert_eq!(wheel.pop_due(millis(64)), Some(1));
        assert_eq!(pop_all(&mut wheel, millis(64 + REVOLUTION)), [0, 3, far]);
    }

    #[test]
    fn a_wheel_nobody_asked_for_a_day_still_fires_within_a_tick() {
        let mut wheel = Wheel::new(TICK, Moment::ZERO);
        let day = millis(24 * 3_600_000);
        wheel.schedule(0, day + Duration::from_millis(5));
        assert_eq!(pop_all(&mut wheel, day), []);
        let due = wheel.next_due().unwrap();
        assert!(
            due >= day + Duration::from_millis(5) && due <= day + Duration::from_millis(5) + TICK,
            "{due}"
        );
        assert_eq!(pop_all(&mut wheel, due), [0]);
    }

    #[test]
    fn the_end_of_time_is_a_moment_that_never_comes() {
        let mut wheel = Wheel::new(Duration::from_nanos(3), Moment::ZERO);
        wheel.schedule(0, Moment::MAX);
        assert_eq!(pop_all(&mut wheel, Moment::from_nanos(u64::MAX - 10)), []);
        assert_eq!(wheel.scheduled(0), Some(Moment::MAX));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Schedule(u32, u64),
        ScheduleBetweenPops(u32, u64),
        Cancel(u32),
        Advance(u64),
        SleepUntilDue,
    }

    fn step() -> impl Strategy<Value = Step> {
        let ahead = prop_oneof![8 => 0..3_000u64, 1 => 0..400_000u64, 1 => Just(0u64)];
        prop_oneof![
            6 => (0..40u32, ahead.clone()).prop_map(|(key, ahead)| Step::Schedule(key, ahead)),
            2 => (0..40u32, ahead.clone()).prop_map(|(key, ahead)| Step::ScheduleBetweenPops(key, ahead)),
            2 => (0..40u32).prop_map(Step::Cancel),
            4 => ahead.prop_map(Step::Advance),
            1 => (0..10_000_000u64).prop_map(Step::Advance),
            3 => Just(Step::SleepUntilDue),
        ]
    }

    /// A map from key to moment, and the tick it may first fire with.
    #[derive(Default)]
    struct Naive {
        entries: BTreeMap<u32, (u64, u64)>,
        horizon: u64,
    }

    impl Naive {
        fn schedule(&mut self, key: u32, at: u64) {
            self.entries
                .insert(key, (at, at.div_ceil(64).max(self.horizon + 1)));
        }

        fn pop(&mut self, now: u64) -> Vec<u32> {
            self.horizon = now / 64;
            let due: Vec<u32> = self
                .entries
                .iter()
                .filter(|(_, (_, tick))| *tick <= self.horizon)
                .map(|(key, _)| *key)
                .collect();
            self.entries.retain(|key, _| !due.contains(key));
            due
        }
    }

    proptest! {
        #[test]
        fn the_wheel_agrees_with_a_naive_model(start in 0..1_000_000u64, steps in prop::collection::vec(step(), 1..120)) {
            let mut now = start;
            let mut wheel = Wheel::new(TICK, millis(now));
            let mut naive = Naive { horizon: now / 64, ..Naive::default() };
            for step in steps {
                match step {
                    Step::Schedule(key, ahead) => {
                        // Up to a second in the past.
                        let at = (now + ahead).saturating_sub(1_000);
                        wheel.schedule(key, millis(at));
                        naive.schedule(key, at);
                    }
                    Step::Cancel(key) => {
                        wheel.cancel(key);
                        naive.entries.remove(&key);
                    }
                    Step::Advance(by) => {
                        now += by;
                        prop_assert_eq!(pop_all(&mut wheel, millis(now)), naive.pop(now));
                    }
                    Step::SleepUntilDue => {
                        if let Some(due) = wheel.next_due() {
                            now = now.max(due.as_nanos() / 1_000_000);
                        }
                        prop_assert_eq!(pop_all(&mut wheel, millis(now)), naive.pop(now));
                    }
                    Step::ScheduleBetweenPops(key, ahead) => {
                        now += 200;
                        let mut expected = naive.pop(now);
                        if let Some(first) = wheel.pop_due(millis(now)) {
                            let mut popped = vec![first];
                            let at = now + ahead;
                            // A key still to be popped is taken away by this, and comes back later.
                            if !popped.contains(&key) {
                                expected.retain(|other| *other != key);
                            }
                            wheel.schedule(key, millis(at));
                            naive.schedule(key, at);
                            popped.extend(pop_all(&mut wheel, millis(now)));
                            popped.sort_unstable();
                            prop_assert_eq!(popped, expected);
                        } else {
                            prop_assert!(expected.is_empty());
                        }
                    }
                }
                prop_assert_eq!(wheel.next_due().is_some(), !naive.entries.is_empty());
                let earliest = naive.entries.values().map(|(_, tick)| tick * 64).min();
                if let (Some(due), Some(earliest)) = (wheel.next_due(), earliest) {
                    prop_assert!(due <= millis(earliest), "would sleep past {}: {}", earliest, due);
                }
                for key in 0..40 {
                    prop_assert_eq!(wheel.scheduled(key), naive.entries.get(&key).map(|(at, _)| millis(*at)));
                }
            }
        }
    }
}
