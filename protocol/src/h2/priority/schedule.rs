//! Whose turn it is to send, among the streams of one connection that have something to send and a window to send it in.
//!
//! The order is RFC 9218's (section 10): the more urgent first; of one urgency, answers that are only of use as a whole one after
//! the other, in the order of their requests, and incremental ones in turn. Where both kinds wait at one urgency, the first whole
//! one takes its turn among the incremental ones.
//!
//! The RFC warns that this starves whoever waits behind an answer that does not end: an event stream, or a download over a slow
//! line. So one turn in [`FAIR_TURNS`] goes round all streams, whatever their priority. The urgent lose a sixteenth
//! at most, and everybody gets on: with `n` streams each has a turn among any `16 n`.
//!
//! A stream is known by a slot, a small number that its connection gives it. Streams are linked through the slots' nodes, so
//! nothing is allocated once as many slots as ever exist were seen.

use super::Priority;

/// One turn of so many goes round all streams.
pub const FAIR_TURNS: u8 = 16;

/// Urgencies there are.
const URGENCIES: usize = 8;

/// No slot.
const NONE: u32 = u32::MAX;

/// The streams that have something to send.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// By slot. Every queued node is in exactly one of the lists of its urgency, and in the round.
    nodes: Vec<Node>,
    /// Answers that are only of use as a whole, by urgency, in the order of their stream identifiers.
    whole: [List; URGENCIES],
    /// Incremental answers, by urgency; whose turn comes next is first.
    shared: [List; URGENCIES],
    /// How many turns in a row incremental answers of an urgency have had.
    shared_turns: [u32; URGENCIES],
    /// A bit for each urgency at which somebody waits.
    urgencies: u8,
    /// All of them; whose turn comes next in the round of all is first.
    round: List,
    /// Turns since the last one of the round: below `FAIR_TURNS`.
    turns: u8,
}

#[derive(Clone, Debug)]
struct Node {
    stream: u32,
    priority: Priority,
    queued: bool,
    /// In a list of its urgency, and in the round.
    links: [Link; 2],
}

/// Which of a node's links a list uses.
#[derive(Clone, Copy)]
enum Chain {
    Urgency = 0,
    Round = 1,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
    count: u32,
}

const UNLINKED: Link = Link {
    previous: NONE,
    next: NONE,
};

const EMPTY: List = List {
    first: NONE,
    last: NONE,
    count: 0,
};

const UNUSED: Node = Node {
    stream: 0,
    priority: Priority::DEFAULT,
    queued: false,
    links: [UNLINKED; 2],
};

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule::new()
    }
}

impl Schedule {
    /// Nobody waits. Holds no memory until somebody does.
    #[must_use]
    pub const fn new() -> Schedule {
        Schedule {
            nodes: Vec::new(),
            whole: [EMPTY; URGENCIES],
            shared: [EMPTY; URGENCIES],
            shared_turns: [0; URGENCIES],
            urgencies: 0,
            round: EMPTY,
            turns: 0,
        }
    }

    /// How many wait.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.round.count as usize
    }

    /// Whether nobody waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.round.count == 0
    }

    /// Whether the stream in this slot waits.
    #[must_use]
    pub fn contains(&self, slot: usize) -> bool {
        self.nodes.get(slot).is_some_and(|node| node.queued)
    }

    /// A stream has something to send. One that waits already keeps its place unless its priority is another. Slots are to be
    /// given from 0 upwards and used again: memory is held for the highest.
    pub fn insert(&mut self, slot: usize, stream: u32, priority: Priority) {
        if self.contains(slot) {
            if self.nodes[slot].stream == stream {
                return self.reprioritise(slot, priority);
            }
            self.remove(slot);
        }
        if slot >= self.nodes.len() {
            self.nodes.resize(slot + 1, UNUSED);
        }
        self.nodes[slot] = Node {
            stream,
            priority,
            queued: true,
            links: [UNLINKED; 2],
        };
        let slot = slot as u32;
        self.enter_urgency(slot);
        let last = self.round.last;
        self.round
            .insert_after(last, slot, Chain::Round, &mut self.nodes);
    }

    /// A stream has nothing more to send, for now or for ever. False if it did not wait.
    pub fn remove(&mut self, slot: usize) -> bool {
        if !self.contains(slot) {
            return false;
        }
        self.nodes[slot].queued = false;
        let slot = slot as u32;
        self.leave_urgency(slot);
        self.round.remove(slot, Chain::Round, &mut self.nodes);
        true
    }

    /// Gives a stream that waits another priority, and the place that goes with it; its place in the round stays. Does nothing
    /// for a stream that does not wait.
    pub fn reprioritise(&mut self, slot: usize, priority: Priority) {
        if !self.contains(slot) || self.nodes[slot].priority == priority {
            return;
        }
        let place = slot as u32;
        self.leave_urgency(place);
        self.nodes[slot].priority = priority;
        self.enter_urgency(place);
    }

    /// The slot whose stream is to send next: a frame of DATA, so that turns are about as long as one another. It goes on waiting
    /// until it is removed.
    pub fn next_turn(&mut self) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        self.turns += 1;
        if self.turns == FAIR_TURNS {
            self.turns = 0;
            let slot = self.round.first;
            self.round.rotate(Chain::Round, &mut self.nodes);
            return Some(slot as usize);
        }
        let level = self.urgencies.trailing_zeros() as usize % URGENCIES;
        let (whole, shared) = (&self.whole[level], &mut self.shared[level]);
        let turns = &mut self.shared_turns[level];
        if whole.count > 0 && *turns >= shared.count {
            *turns = 0;
            return Some(whole.first as usize);
        }
        *turns = turns.saturating_add(1);
        let slot = shared.first;
        shared.rotate(Chain::Urgency, &mut self.nodes);
        Some(slot as usize)
    }

    fn enter_urgency(&mut self, slot: u32) {
        let node = &self.nodes[slot as usize];
        let (level, stream) = (node.priority.level(), node.stream);
        self.urgencies |= 1 << level;
        if node.priority.incremental {
            let list = &mut self.shared[level];
            list.insert_after(list.last, slot, Chain::Urgency, &mut self.nodes);
            return;
        }
        // From the end, for the newest request usually comes last: one step then, and never more than there are streams.
        let list = &mut self.whole[level];
        let mut before = list.last;
        while let Some(node) = self.nodes.get(before as usize)
            && node.stream > stream
        {
            before = node.links[Chain::Urgency as usize].previous;
        }
        list.insert_after(before, slot, Chain::Urgency, &mut self.nodes);
    }

    fn leave_urgency(&mut self, slot: u32) {
        let priority = self.nodes[slot as usize].priority;
        let level = priority.level();
        let list = if priority.incremental {
            &mut self.shared[level]
        } else {
            &mut self.whole[level]
        };
        list.remove(slot, Chain::Urgency, &mut self.nodes);
        if self.whole[level].count + self.shared[level].count == 0 {
            self.urgencies &= !(1 << level);
            self.shared_turns[level] = 0;
        }
    }
}

impl Priority {
    /// Its place among the urgencies, whatever the field holds.
    fn level(self) -> usize {
        usize::from(self.urgency).min(URGENCIES - 1)
    }
}

impl List {
    /// Puts `slot` behind `before`, or first if that is none.
    fn insert_after(&mut self, before: u32, slot: u32, chain: Chain, nodes: &mut [Node]) {
        let chain = chain as usize;
        let after = match nodes.get_mut(before as usize) {
            Some(before) => std::mem::replace(&mut before.links[chain].next, slot),
            None => std::mem::replace(&mut self.first, slot),
        };
        match nodes.get_mut(after as usize) {
            Some(after) => after.links[chain].previous = slot,
            None => self.last = slot,
        }
        nodes[slot as usize].links[chain] = Link {
            previous: before,
            next: after,
        };
        self.count += 1;
    }

    /// Takes `slot`, which is in this list, out of it.
    fn remove(&mut self, slot: u32, chain: Chain, nodes: &mut [Node]) {
        let chain = chain as usize;
        let Link { previous, next } =
            std::mem::replace(&mut nodes[slot as usize].links[chain], UNLINKED);
        match nodes.get_mut(previous as usize) {
            Some(previous) => previous.links[chain].next = next,
            None => self.first = next,
        }
        match nodes.get_mut(next as usize) {
            Some(next) => next.links[chain].previous = previous,
            None => self.last = previous,
        }
        self.count -= 1;
    }

    /// Makes the first the last.
    fn rotate(&mut self, chain: Chain, nodes: &mut [Node]) {
        if self.count > 1 {
            let first = self.first;
            self.remove(first, chain, nodes);
            self.insert_after(self.last, first, chain, nodes);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn whole(urgency: u8) -> Priority {
        Priority {
            urgency,
            incremental: false,
        }
    }

    fn shared(urgency: u8) -> Priority {
        Priority {
            urgency,
            incremental: true,
        }
    }

    /// Streams 1, 3, 5 ... in the slots 0, 1, 2 ...
    fn schedule(priorities: &[Priority]) -> Schedule {
        let mut schedule = Schedule::new();
        for (slot, priority) in priorities.iter().enumerate() {
            schedule.insert(slot, 2 * slot as u32 + 1, *priority);
        }
        schedule
    }

    fn turns(schedule: &mut Schedule, count: usize) -> Vec<usize> {
        (0..count).map(|_| schedule.next_turn().unwrap()).collect()
    }

    #[test]
    fn the_more_urgent_comes_first() {
        let mut schedule = schedule(&[whole(7), shared(3), whole(0), shared(1)]);
        let mut order = Vec::new();
        while let Some(slot) = schedule.next_turn() {
            order.push(slot);
            assert!(schedule.remove(slot));
        }
        assert_eq!(order, [2, 3, 1, 0]);
    }

    #[test]
    fn whole_answers_come_one_after_the_other_in_the_order_of_their_requests() {
        let mut schedule = Schedule::new();
        for (slot, stream) in [(4, 9), (1, 1), (3, 7), (0, 3), (2, 5)] {
            schedule.insert(slot, stream, whole(3));
        }
        assert_eq!(turns(&mut schedule, 5), [1; 5]);
        schedule.remove(1);
        assert_eq!(turns(&mut schedule, 5), [0; 5]);
        // Blocked for a while and back again, it has its old place.
        schedule.insert(1, 1, whole(3));
        assert_eq!(turns(&mut schedule, 5), [1; 5]);
    }

    #[test]
    fn incremental_answers_take_turns() {
        let mut schedule = schedule(&[shared(3), shared(3), shared(3)]);
        assert_eq!(turns(&mut schedule, 7), [0, 1, 2, 0, 1, 2, 0]);
        schedule.remove(1);
        assert_eq!(turns(&mut schedule, 4), [2, 0, 2, 0]);
    }

    #[test]
    fn the_first_whole_answer_takes_its_turn_among_incremental_ones() {
        let mut schedule = schedule(&[shared(3), whole(3), shared(3), whole(3)]);
        assert_eq!(turns(&mut schedule, 9), [0, 2, 1, 0, 2, 1, 0, 2, 1]);
    }

    #[test]
    fn a_stream_that_is_reprioritised_takes_its_new_place_at_once() {
        let mut schedule = schedule(&[whole(3), whole(3), shared(5)]);
        assert_eq!(schedule.next_turn(), Some(0));
        schedule.reprioritise(2, whole(1));
        assert_eq!(schedule.next_turn(), Some(2));
        schedule.insert(2, 5, whole(3));
        assert_eq!(schedule.next_turn(), Some(0));
        schedule.reprioritise(9, whole(0));
        assert_eq!(schedule.count(), 3);
    }

    #[test]
    fn nobody_starves_behind_an_answer_that_does_not_end() {
        let mut endless = vec![whole(0)];
        endless.extend([whole(0), shared(0), whole(3), shared(3), whole(7)]);
        let streams = endless.len();
        let mut schedule = schedule(&endless);
        let order = turns(&mut schedule, 16_000);
        for slot in 0..streams {
            let longest = order
                .split(|served| *served == slot)
                .map(<[usize]>::len)
                .max();
            assert!(
                longest.unwrap() < streams * usize::from(FAIR_TURNS),
                "slot {slot}"
            );
        }
        // And the urgent lose no more than that one turn.
        let urgent = order.iter().filter(|slot| **slot <= 2).count();
        assert!(urgent >= 15_000, "{urgent}");
    }

    #[test]
    fn urgencies_beyond_seven_are_the_least() {
        let mut schedule = schedule(&[whole(200), whole(7)]);
        assert_eq!(schedule.next_turn(), Some(0));
        schedule.insert(2, 5, whole(6));
        assert_eq!(schedule.next_turn(), Some(2));
    }

    #[test]
    fn nothing_is_allocated_for_slots_that_were_seen() {
        let mut schedule = schedule(&[shared(3); 100]);
        let nodes = (schedule.nodes.as_ptr(), schedule.nodes.capacity());
        for stream in 0..100_000 {
            let slot = schedule.next_turn().unwrap();
            schedule.remove(slot);
            schedule.insert(slot, 201 + 2 * stream, whole((stream % 8) as u8));
        }
        assert_eq!(nodes, (schedule.nodes.as_ptr(), schedule.nodes.capacity()));
    }

    /// The same rules over plain lists, searched from end to end.
    #[derive(Default)]
    struct Naive {
        waiting: BTreeMap<usize, (u32, Priority)>,
        shared: Vec<usize>,
        round: Vec<usize>,
        shared_turns: [usize; URGENCIES],
        turns: u8,
    }

    impl Naive {
        fn insert(&mut self, slot: usize, stream: u32, priority: Priority) {
            match self.waiting.get(&slot) {
                Some((old, _)) if *old == stream => return self.reprioritise(slot, priority),
                Some(_) => self.remove(slot),
                None => {}
            }
            self.waiting.insert(slot, (stream, priority));
            self.round.push(slot);
            if priority.incremental {
                self.shared.push(slot);
            }
        }

        fn remove(&mut self, slot: usize) {
            let Some((_, priority)) = self.waiting.remove(&slot) else {
                return;
            };
            self.round.retain(|other| *other != slot);
            self.shared.retain(|other| *other != slot);
            self.forget_turns(priority.level());
        }

        fn reprioritise(&mut self, slot: usize, priority: Priority) {
            let Some((stream, old)) = self.waiting.get(&slot).copied() else {
                return;
            };
            if old == priority {
                return;
            }
            self.shared.retain(|other| *other != slot);
            self.waiting.remove(&slot);
            self.forget_turns(old.level());
            self.waiting.insert(slot, (stream, priority));
            if priority.incremental {
                self.shared.push(slot);
            }
        }

        fn forget_turns(&mut self, level: usize) {
            if !self
                .waiting
                .values()
                .any(|(_, priority)| priority.level() == level)
            {
                self.shared_turns[level] = 0;
            }
        }

        fn next_turn(&mut self) -> Option<usize> {
            let level = self
                .waiting
                .values()
                .map(|(_, priority)| priority.level())
                .min()?;
            self.turns += 1;
            if self.turns == FAIR_TURNS {
                self.turns = 0;
                self.round.rotate_left(1);
                return self.round.last().copied();
            }
            let at_level = |slot: &usize| self.waiting[slot].1.level() == level;
            let shared: Vec<usize> = self.shared.iter().copied().filter(at_level).collect();
            let whole = self
                .waiting
                .iter()
                .filter(|(_, (_, priority))| priority.level() == level && !priority.incremental)
                .min_by_key(|(_, (stream, _))| *stream)
                .map(|(slot, _)| *slot);
            if let Some(whole) = whole
                && self.shared_turns[level] >= shared.len()
            {
                self.shared_turns[level] = 0;
                return Some(whole);
            }
            self.shared_turns[level] += 1;
            self.shared.retain(|other| *other != shared[0]);
            self.shared.push(shared[0]);
            Some(shared[0])
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(usize, Priority),
        Remove(usize),
        Reprioritise(usize, Priority),
        Next,
    }

    fn step() -> impl Strategy<Value = Step> {
        // Few urgencies and slots, so that they meet.
        let priority = || {
            (prop::sample::select(vec![0u8, 3, 7]), any::<bool>()).prop_map(
                |(urgency, incremental)| Priority {
                    urgency,
                    incremental,
                },
            )
        };
        prop_oneof![
            3 => (0..12usize, priority()).prop_map(|(slot, priority)| Step::Insert(slot, priority)),
            2 => (0..12usize).prop_map(Step::Remove),
            1 => (0..12usize, priority()).prop_map(|(slot, priority)| Step::Reprioritise(slot, priority)),
            6 => Just(Step::Next),
        ]
    }

    proptest! {
        #[test]
        fn the_schedule_does_what_plain_lists_do(steps in prop::collection::vec(step(), 0..300)) {
            let mut schedule = Schedule::new();
            let mut naive = Naive::default();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(slot, priority) => {
                        // A slot that waits keeps its stream; otherwise streams come in no particular order.
                        let stream = match naive.waiting.get(&slot) {
                            Some((stream, _)) if number % 5 > 0 => *stream,
                            _ => (number as u32).wrapping_mul(2_654_435_761) | 1,
                        };
                        schedule.insert(slot, stream, priority);
                        naive.insert(slot, stream, priority);
                    }
                    Step::Remove(slot) => {
                        prop_assert_eq!(schedule.remove(slot), naive.waiting.contains_key(&slot));
                        naive.remove(slot);
                    }
                    Step::Reprioritise(slot, priority) => {
                        schedule.reprioritise(slot, priority);
                        naive.reprioritise(slot, priority);
                    }
                    Step::Next => prop_assert_eq!(schedule.next_turn(), naive.next_turn()),
                }
                prop_assert_eq!(schedule.count(), naive.waiting.len());
                for slot in 0..12 {
                    prop_assert_eq!(schedule.contains(slot), naive.waiting.contains_key(&slot));
                }
            }
        }
    }
}
