//! Runs what an app made outside its own futures, where a panic would otherwise be the worker's: when a body or an error
//! is dropped, or an error is asked for its text.

use crate::counters::{Count, WorkerCounters};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `code`. A panic in it is counted and logged, and nobody else's affair.
pub(crate) fn caught(counters: &WorkerCounters, what: &str, code: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(code)).is_err() {
        counters.add(Count::Panics);
        tracing::error!("the app panicked {what}");
    }
}
