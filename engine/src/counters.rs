//! What a server counts. Each worker writes counters of its own; whoever asks adds them up.

use crate::watchdog::Pulse;
use lanner_limits::Trip;
use lanner_protocol::EndReason;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counts {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What is counted beside limits and end reasons.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Count { $($(#[$doc])* $variant,)* }

        impl Count {
            /// Every count.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in logs and metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

counts! {
    /// Connections accepted and admitted.
    Accepted = "accepted_connections",
    /// Connections closed at once: over a cap or a rate.
    Rejected = "rejected_connections",
    /// Connections that have ended.
    Ended = "ended_connections",
    /// Requests whose heads were well-formed.
    Requests = "requests",
    /// Panics caught in the app.
    Panics = "app_panics",
    /// Times a worker did not come round for over a second.
    Gaps = "worker_gaps",
    /// Times accepting failed for want of descriptors or memory.
    AcceptErrors = "accept_errors",
    /// Lines of the access log that were dropped because the writer could not keep up.
    LogLinesDropped = "log_lines_dropped",
}

/// One worker's counters. Written by that worker only; a reader may see them a moment late.
#[derive(Debug)]
pub(crate) struct WorkerCounters {
    /// Shows the watchdog that the worker comes round.
    pub(crate) pulse: Pulse,
    counts: Box<[AtomicU64]>,
    trips: Box<[AtomicU64]>,
    ends: Box<[AtomicU64]>,
}

impl WorkerCounters {
    pub(crate) fn new() -> Self {
        let zeros = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            pulse: Pulse::default(),
            counts: zeros(Count::ALL.len()),
            trips: zeros(Trip::ALL.len()),
            ends: zeros(EndReason::ALL.len()),
        }
    }

    pub(crate) fn add(&self, count: Count) {
        bump(&self.counts[count as usize]);
    }

    pub(crate) fn trip(&self, trip: Trip) {
        bump(&self.trips[trip as usize]);
    }

    pub(crate) fn end(&self, reason: EndReason) {
        self.add(Count::Ended);
        bump(&self.ends[reason as usize]);
    }
}

/// One writer: a load and a store are enough, and cost no locked instruction.
fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// The counters of a whole server at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    counts: Vec<u64>,
    trips: Vec<u64>,
    ends: Vec<u64>,
}

impl Counters {
    pub(crate) fn sum<'a>(workers: impl Iterator<Item = &'a WorkerCounters>) -> Self {
        let mut sum = Self {
            counts: vec![0; Count::ALL.len()],
            trips: vec![0; Trip::ALL.len()],
            ends: vec![0; EndReason::ALL.len()],
        };
        for worker in workers {
            add_all(&mut sum.counts, &worker.counts);
            add_all(&mut sum.trips, &worker.trips);
            add_all(&mut sum.ends, &worker.ends);
        }
        sum
    }

    /// One count.
    pub fn count(&self, count: Count) -> u64 {
        self.counts.get(count as usize).copied().unwrap_or(0)
    }

    /// Connections open now.
    pub fn open(&self) -> u64 {
        self.count(Count::Accepted)
            .saturating_sub(self.count(Count::Ended))
    }

    /// How often a limit was hit.
    pub fn hits(&self, trip: Trip) -> u64 {
        self.trips.get(trip as usize).copied().unwrap_or(0)
    }

    /// How many connections ended for a reason.
    pub fn ended(&self, reason: EndReason) -> u64 {
        self.ends.get(reason as usize).copied().unwrap_or(0)
    }

    /// Everything that is not zero, by name: counts, `limit:NAME` and `end:NAME`.
    pub fn named(&self) -> Vec<(String, u64)> {
        let counts = Count::ALL
            .iter()
            .map(|count| (count.name().to_owned(), self.count(*count)));
        let trips = Trip::ALL
            .iter()
            .map(|trip| (format!("limit:{}", trip.name()), self.hits(*trip)));
        let ends = EndReason::ALL
            .iter()
            .map(|end| (format!("end:{}", end.name()), self.ended(*end)));
        counts
            .chain(trips)
            .chain(ends)
            .filter(|(_, value)| *value > 0)
            .collect()
    }
}

fn add_all(sum: &mut [u64], of: &[AtomicU64]) {
    for (sum, value) in sum.iter_mut().zip(of) {
        *sum += value.load(Ordering::Relaxed);
    }
}
