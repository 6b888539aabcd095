//! The time line of a run, put together from what its lanes tell of theirs.

use std::collections::BTreeMap;

use super::outcome::Interval;

/// Pieces come from each lane in order, and leave when no lane has anything to add.
#[derive(Debug)]
pub(super) struct TimeLine {
    begun: BTreeMap<u64, Interval>,
    /// By lane, the number of the first piece that it may still tell of.
    reached: Vec<u64>,
    /// The number of the piece that leaves next.
    next: u64,
}

impl TimeLine {
    pub(super) fn of(lanes: usize) -> Self {
        Self {
            begun: BTreeMap::new(),
            reached: vec![0; lanes],
            next: 0,
        }
    }

    /// A lane tells of a piece.
    pub(super) fn add(&mut self, lane: usize, interval: &Interval) {
        let number = interval.number;
        let sum = self.begun.entry(number);
        sum.or_insert_with(|| Interval::new(number)).merge(interval);
        if let Some(reached) = self.reached.get_mut(lane) {
            *reached = number + 1;
        }
    }

    /// A lane tells of nothing more.
    pub(super) fn end(&mut self, lane: usize) {
        if let Some(reached) = self.reached.get_mut(lane) {
            *reached = u64::MAX;
        }
    }

    /// The next piece, if it is whole; an empty one where nobody told of it, but of a later one.
    pub(super) fn take_whole(&mut self) -> Option<Interval> {
        let everybody = self.reached.iter().min().copied().unwrap_or(u64::MAX);
        if self.next >= everybody || self.begun.is_empty() {
            return None;
        }
        let number = self.next;
        self.next += 1;
        let whole = self.begun.remove(&number);
        Some(whole.unwrap_or_else(|| Interval::new(number)))
    }

    /// What is left, whole or not.
    pub(super) fn rest(self) -> impl Iterator<Item = Interval> {
        self.begun.into_values()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn interval(number: u64, answers: u64) -> Interval {
        let mut interval = Interval::new(number);
        for _ in 0..answers {
            interval.latency.record(Duration::from_millis(1));
        }
        interval
    }

    fn taken(line: &mut TimeLine) -> Vec<(u64, u64)> {
        let whole = std::iter::from_fn(|| line.take_whole());
        whole
            .map(|whole| (whole.number, whole.latency.count()))
            .collect()
    }

    #[test]
    fn a_piece_leaves_when_every_lane_has_told_of_it() {
        let mut line = TimeLine::of(2);
        line.add(0, &interval(0, 3));
        assert_eq!(taken(&mut line), []);
        line.add(1, &interval(0, 4));
        assert_eq!(taken(&mut line), [(0, 7)]);
    }

    #[test]
    fn a_lane_that_skips_pieces_leaves_no_hole() {
        let mut line = TimeLine::of(2);
        line.add(0, &interval(0, 1));
        line.add(0, &interval(3, 1));
        line.add(1, &interval(0, 1));
        line.add(1, &interval(3, 2));
        assert_eq!(taken(&mut line), [(0, 2), (1, 0), (2, 0), (3, 3)]);
    }

    #[test]
    fn a_lane_that_has_ended_holds_up_nobody() {
        let mut line = TimeLine::of(2);
        line.end(0);
        line.add(1, &interval(0, 1));
        line.add(1, &interval(1, 1));
        assert_eq!(taken(&mut line), [(0, 1), (1, 1)]);
        line.end(1);
        assert_eq!(taken(&mut line), []);
        assert_eq!(line.rest().count(), 0);
    }
}
