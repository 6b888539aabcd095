//! What the lanes of a run share: whether it is to end before its time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::interruption::Interruption;

/// So many failures before the first answer, and no connection left, end the run: there is nobody, or nobody who speaks what we
/// do. A single connection has tried for more than a second by then.
const FAILURES_MAX: u64 = 8;

/// See the file's comment.
#[derive(Debug)]
pub(super) struct Shared {
    /// Set when there is no use in going on.
    is_given_up: AtomicBool,
    interruption: Interruption,
    /// A lane had more to do when that came.
    was_cut_short: AtomicBool,
    /// Something was answered.
    pub(super) answered: AtomicBool,
    /// Connections that failed before that.
    failures: AtomicU64,
    /// Connections that are made, or being made.
    links: AtomicU64,
}

impl Shared {
    pub(super) fn new(interruption: Interruption) -> Self {
        Self {
            is_given_up: AtomicBool::new(false),
            interruption,
            was_cut_short: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            failures: AtomicU64::new(0),
            links: AtomicU64::new(0),
        }
    }

    /// All are to end at once.
    pub(super) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    /// Asked by a lane that has more to do: whether it is to end all the same.
    #[inline]
    pub(super) fn is_to_end(&self) -> bool {
        if self.interruption.is_wanted() {
            self.was_cut_short.store(true, Ordering::Relaxed);
            return true;
        }
        self.is_given_up.load(Ordering::Relaxed)
    }

    /// Whether a lane had more to do when somebody wished the end.
    pub(super) fn was_cut_short(&self) -> bool {
        self.was_cut_short.load(Ordering::Relaxed)
    }

    /// Notes that a connection failed. Whether there is no use in going on: nothing was ever answered, and no connection is left
    /// that might be, or all have failed again and again.
    pub(super) fn failed(&self, connections: usize) -> bool {
        if self.answered.load(Ordering::Relaxed) {
            return false;
        }
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        let none_left = self.links.load(Ordering::Relaxed) == 0;
        failures >= FAILURES_MAX && none_left || failures >= FAILURES_MAX * connections as u64
    }

    /// Notes that a connection is being made.
    pub(super) fn began(&self) {
        self.links.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a connection is no more.
    pub(super) fn ended(&self) {
        self.links.fetch_sub(1, Ordering::Relaxed);
    }
}
