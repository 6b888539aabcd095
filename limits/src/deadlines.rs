//! The deadlines of one connection: a fixed table by kind. Only the earliest of them reaches the worker's `Wheel`; what to
//! do when one passes is the connection's business.

use crate::Moment;

/// What a connection can be waiting for with a clock running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Timer {
    /// The first byte ever, from accept.
    FirstByte,
    /// The next request, while nothing is under way.
    KeepAlive,
    /// The end of a head (or of trailers), from its first byte.
    Head,
    /// Body bytes at the least rate, while the app waits on them.
    BodyRate,
    /// Response bytes taken at the least rate.
    ResponseRate,
    /// The whole exchange.
    Request,
    /// The rest of a body that nobody will read.
    Drain,
    /// The peer's close after ours.
    Linger,
    /// The connection's own age.
    Age,
    /// The server's stop.
    Stop,
}

impl Timer {
    /// Every kind, in the order of the table.
    pub const ALL: [Timer; 10] = [
        Timer::FirstByte,
        Timer::KeepAlive,
        Timer::Head,
        Timer::BodyRate,
        Timer::ResponseRate,
        Timer::Request,
        Timer::Drain,
        Timer::Linger,
        Timer::Age,
        Timer::Stop,
    ];

    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// One deadline per [`Timer`], each armed or not.
#[derive(Clone, Debug)]
pub struct Deadlines {
    /// Meaningful only where the bit in `armed` is set.
    moments: [Moment; Timer::ALL.len()],
    armed: u16,
}

// There is one of these per connection, idle ones included.
const _: () = assert!(size_of::<Deadlines>() <= 88);
const _: () = assert!(Timer::ALL.len() <= u16::BITS as usize);

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines::new()
    }
}

impl Deadlines {
    /// A table with nothing armed.
    #[must_use]
    pub const fn new() -> Deadlines {
        Deadlines {
            moments: [Moment::ZERO; Timer::ALL.len()],
            armed: 0,
        }
    }

    /// Arms `timer`, or moves it.
    #[inline]
    pub const fn set(&mut self, timer: Timer, at: Moment) {
        self.moments[timer as usize] = at;
        self.armed |= timer.bit();
    }

    /// Disarms `timer`; nothing happens if it was not armed.
    #[inline]
    pub const fn clear(&mut self, timer: Timer) {
        self.armed &= !timer.bit();
    }

    /// Disarms every timer.
    pub const fn clear_all(&mut self) {
        self.armed = 0;
    }

    /// Whether `timer` is armed.
    #[inline]
    #[must_use]
    pub const fn is_set(&self, timer: Timer) -> bool {
        self.armed & timer.bit() != 0
    }

    /// When `timer` passes, if it is armed.
    #[inline]
    #[must_use]
    pub const fn at(&self, timer: Timer) -> Option<Moment> {
        if self.is_set(timer) {
            Some(self.moments[timer as usize])
        } else {
            None
        }
    }

    /// The earliest armed deadline: the one for the wheel.
    #[inline]
    #[must_use]
    pub fn earliest(&self) -> Option<Moment> {
        self.first().map(|(_, at)| at)
    }

    /// The earliest timer whose deadline has come, disarmed. Of two at the same moment, the first of the table.
    #[inline]
    pub fn take_expired(&mut self, now: Moment) -> Option<Timer> {
        let (timer, at) = self.first()?;
        if at > now {
            return None;
        }
        self.clear(timer);
        Some(timer)
    }

    /// Walks the armed bits only: usually one or two of ten.
    #[inline]
    fn first(&self) -> Option<(Timer, Moment)> {
        let mut rest = self.armed;
        let mut first = None;
        while rest != 0 {
            let timer = Timer::ALL[rest.trailing_zeros() as usize];
            rest &= rest - 1;
            let at = self.moments[timer as usize];
            if first.is_none_or(|(_, earliest)| at < earliest) {
                first = Some((timer, at));
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn moment(nanos: u64) -> Moment {
        Moment::from_nanos(nanos)
    }

    #[test]
    fn all_lists_the_timers_at_their_own_places() {
        for (place, timer) in Timer::ALL.into_iter().enumerate() {
            assert_eq!(timer as usize, place);
        }
    }

    #[test]
    fn expired_timers_come_earliest_first_and_once() {
        let mut deadlines = Deadlines::new();
        deadlines.set(Timer::KeepAlive, moment(30));
        deadlines.set(Timer::Age, moment(10));
        deadlines.set(Timer::Stop, moment(40));
        assert_eq!(deadlines.earliest(), Some(moment(10)));
        assert_eq!(deadlines.take_expired(moment(9)), None);
        assert_eq!(deadlines.take_expired(moment(30)), Some(Timer::Age));
        assert_eq!(deadlines.take_expired(moment(30)), Some(Timer::KeepAlive));
        assert_eq!(deadlines.take_expired(moment(30)), None);
        assert_eq!(deadlines.earliest(), Some(moment(40)));
    }

    #[test]
    fn a_cleared_timer_never_expires() {
        let mut deadlines = Deadlines::new();
        deadlines.set(Timer::Head, moment(1));
        deadlines.clear(Timer::Head);
        assert!(!deadlines.is_set(Timer::Head));
        assert_eq!(deadlines.at(Timer::Head), None);
        assert_eq!(deadlines.take_expired(Moment::MAX), None);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(usize, u64),
        Clear(usize),
        Expire(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..Timer::ALL.len(), 0..50u64).prop_map(|(timer, at)| Step::Set(timer, at)),
            (0..Timer::ALL.len()).prop_map(Step::Clear),
            (0..50u64).prop_map(Step::Expire),
        ]
    }

    proptest! {
        #[test]
        fn the_table_agrees_with_a_map(steps in prop::collection::vec(step(), 0..200)) {
            let mut table = Deadlines::new();
            let mut map: BTreeMap<Timer, Moment> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Set(timer, at) => {
                        table.set(Timer::ALL[timer], moment(at));
                        map.insert(Timer::ALL[timer], moment(at));
                    }
                    Step::Clear(timer) => {
                        table.clear(Timer::ALL[timer]);
                        map.remove(&Timer::ALL[timer]);
                    }
                    Step::Expire(now) => {
                        let due = map.iter().filter(|(_, at)| **at <= moment(now)).min_by_key(|(timer, at)| (**at, **timer));
                        let due = due.map(|(timer, _)| *timer);
                        if let Some(timer) = due {
                            map.remove(&timer);
                        }
                        prop_assert_eq!(table.take_expired(moment(now)), due);
                    }
                }
                prop_assert_eq!(table.earliest(), map.values().min().copied());
                for timer in Timer::ALL {
                    prop_assert_eq!(table.at(timer), map.get(&timer).copied());
                }
            }
        }
    }
}
