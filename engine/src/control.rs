//! How workers are told to stop.

use crate::ready::Ready;
use lanner_limits::{Limits, Moment};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How far the end of the server has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    Running = 0,
    /// What was begun may end, until the deadline.
    Stopping = 1,
    /// The end, now.
    Ending = 2,
}

/// Shared by a server's handle and its workers.
#[derive(Debug, Default)]
pub(crate) struct Control {
    phase: AtomicU8,
    workers: Mutex<Vec<Arc<Ready>>>,
}

impl Control {
    /// Takes note of a worker to be woken on every change.
    pub(crate) fn join(&self, ready: Arc<Ready>) {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        // Who comes late must not miss what was said before.
        if self.phase() != Phase::Running {
            ready.wake();
        }
        workers.push(ready);
    }

    /// Goes on to a later phase; there is no way back.
    pub(crate) fn advance(&self, to: Phase) {
        self.phase.fetch_max(to as u8, Ordering::SeqCst);
        self.workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .for_each(|ready| ready.wake());
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Running,
            1 => Phase::Stopping,
            _ => Phase::Ending,
        }
    }
}

/// One worker's way through a stop: it goes on accepting for `LANNER_SHUTDOWN_DELAY`, then serves what was queued and
/// what is open, and cuts what is left at `LANNER_SHUTDOWN_TIMEOUT`. Its moments are real ones, gaps included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopPlan {
    Running,
    Delayed {
        accept_until: Moment,
        cut_at: Moment,
    },
    Draining {
        cut_at: Moment,
    },
    Cut,
}

/// What a worker has to do now because of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopStep {
    Nothing,
    /// Accept what is queued, close the listeners, tell every connection.
    CloseListeners,
    /// Cut every connection.
    CutAll,
}

impl StopPlan {
    /// Follows the phase and the clock.
    pub(crate) fn step(&mut self, phase: Phase, limits: &Limits, now: Moment) -> StopStep {
        let before = *self;
        if phase == Phase::Ending && before != Self::Cut {
            *self = Self::Cut;
            return StopStep::CutAll;
        }
        match before {
            Self::Running if phase == Phase::Stopping => {
                let accept_until = now + limits.shutdown_delay;
                *self = Self::Delayed {
                    accept_until,
                    cut_at: now + limits.shutdown_timeout,
                };
                self.step(phase, limits, now)
            }
            Self::Delayed {
                accept_until,
                cut_at,
            } if now >= accept_until => {
                *self = Self::Draining { cut_at };
                StopStep::CloseListeners
            }
            Self::Draining { cut_at } if now >= cut_at => {
                *self = Self::Cut;
                StopStep::CutAll
            }
            _ => StopStep::Nothing,
        }
    }

    /// Whether the worker may end once it has no connections.
    pub(crate) fn is_draining(self) -> bool {
        matches!(self, Self::Draining { .. } | Self::Cut)
    }

    /// When the next step is due.
    pub(crate) fn due(self) -> Option<Moment> {
        match self {
            Self::Delayed { accept_until, .. } => Some(accept_until),
            Self::Draining { cut_at } => Some(cut_at),
            Self::Running | Self::Cut => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_limits::Machine;
    use std::time::Duration;

    #[test]
    fn a_stop_goes_on_accepting_then_drains_then_cuts() {
        let mut limits = Limits::for_machine(Machine {
            nofile: 100_000,
            memory: 1 << 33,
            cpus: 1,
        });
        limits.shutdown_delay = Duration::from_secs(2);
        limits.shutdown_timeout = Duration::from_secs(10);
        let at = |seconds| Moment::ZERO + Duration::from_secs(seconds);
        let mut plan = StopPlan::Running;
        assert_eq!(plan.step(Phase::Running, &limits, at(1)), StopStep::Nothing);
        assert_eq!(
            plan.step(Phase::Stopping, &limits, at(5)),
            StopStep::Nothing
        );
        assert_eq!(plan.due(), Some(at(7)));
        assert_eq!(
            plan.step(Phase::Stopping, &limits, at(7)),
            StopStep::CloseListeners
        );
        assert_eq!(
            plan.step(Phase::Stopping, &limits, at(14)),
            StopStep::Nothing
        );
        assert_eq!(
            plan.step(Phase::Stopping, &limits, at(15)),
            StopStep::CutAll
        );
        assert_eq!(
            plan.step(Phase::Stopping, &limits, at(16)),
            StopStep::Nothing
        );
    }

    #[test]
    fn a_second_signal_ends_at_once() {
        let limits = Limits::for_machine(Machine {
            nofile: 100_000,
            memory: 1 << 33,
            cpus: 1,
        });
        let mut plan = StopPlan::Running;
        assert_eq!(
            plan.step(Phase::Stopping, &limits, Moment::ZERO),
            StopStep::CloseListeners
        );
        assert_eq!(
            plan.step(Phase::Ending, &limits, Moment::ZERO),
            StopStep::CutAll
        );
    }
}
