//! When the next request is to be sent: as soon as there is room for it, or at its own moment.

use std::collections::VecDeque;
use std::time::Duration;

use lanner_limits::Moment;

use super::plan::{Pace, Plan};
use super::speech::Call;
use crate::schedule::schedule;

/// What one lane has to send.
#[derive(Debug)]
pub(super) enum Demand {
    /// Without end, but for the run's.
    Closed { end: Moment },
    /// Fixed beforehand.
    Open(Arrivals),
}

/// Moments at which requests are to be sent.
#[derive(Debug)]
pub(super) struct Arrivals {
    begin: Moment,
    /// Counted from `begin`.
    schedule: Vec<Duration>,
    /// The first that is not due yet.
    next: usize,
    /// Due, but there was no room on any connection.
    due: VecDeque<Moment>,
}

impl Demand {
    /// Of one of the plan's lanes, from the moment on at which its clock is started: each has its share of the rate, and its
    /// arrivals lie between those of the others.
    pub(super) fn new(plan: &Plan, lane: usize) -> Self {
        let span = plan.warm_up + plan.duration;
        let Pace::Open { rate, arrivals } = plan.pace else {
            return Self::Closed {
                end: Moment::ZERO + span,
            };
        };
        let share = rate.share(1.0 / plan.threads as f64);
        let offset = Duration::from_secs_f64(lane as f64 / rate.per_second());
        Self::Open(Arrivals {
            begin: Moment::ZERO + offset,
            schedule: schedule(share, arrivals.of_lane(lane), span.saturating_sub(offset)),
            next: 0,
            due: VecDeque::new(),
        })
    }

    /// The next call that is to be sent now, if there is one.
    #[inline]
    pub(super) fn take(&mut self, now: Moment) -> Option<Call> {
        let start = match self {
            Self::Closed { end } => (now < *end).then_some(now),
            Self::Open(arrivals) => arrivals.due.pop_front(),
        };
        start.map(|start| Call { start })
    }

    /// Whether the connections set the pace.
    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// Whether calls wait for room.
    pub(super) fn has_due(&self) -> bool {
        matches!(self, Self::Open(arrivals) if !arrivals.due.is_empty())
    }

    /// Whether nothing is left to be sent.
    pub(super) fn is_over(&self, now: Moment) -> bool {
        match self {
            Self::Closed { end } => now >= *end,
            Self::Open(arrivals) => {
                arrivals.next == arrivals.schedule.len() && arrivals.due.is_empty()
            }
        }
    }

    /// How many calls that count from `since` on are due and were not sent.
    pub(super) fn waiting(&self, since: Moment) -> usize {
        match self {
            Self::Closed { .. } => 0,
            Self::Open(arrivals) => arrivals.due.iter().filter(|due| **due >= since).count(),
        }
    }

    /// Notes which calls are due by now.
    pub(super) fn handle_time(&mut self, now: Moment) {
        if let Self::Open(arrivals) = self {
            while let Some(start) = arrivals.next_start()
                && start <= now
            {
                arrivals.due.push_back(start);
                arrivals.next += 1;
            }
        }
    }

    /// Takes out a call that has waited since `since` or longer.
    pub(super) fn take_expired(&mut self, since: Moment) -> Option<Call> {
        let Self::Open(arrivals) = self else {
            return None;
        };
        let start = *arrivals.due.front().filter(|start| **start <= since)?;
        arrivals.due.pop_front();
        Some(Call { start })
    }

    /// When the next call is due; never where the connections set the pace.
    pub(super) fn next_moment(&self) -> Moment {
        match self {
            Self::Closed { end } => *end,
            Self::Open(arrivals) => arrivals.next_start().unwrap_or(Moment::MAX),
        }
    }
}

impl Arrivals {
    fn next_start(&self) -> Option<Moment> {
        let start = self.schedule.get(self.next)?;
        Some(self.begin + *start)
    }
}
