//! A place for the waker of whoever waits.

use std::cell::Cell;
use std::fmt;
use std::task::{Context, Waker};

/// Holds at most one waker: the last one to wait counts.
#[derive(Default)]
pub(crate) struct Waiter(Cell<Option<Waker>>);

impl Waiter {
    pub(crate) fn wait(&self, context: &Context<'_>) {
        self.0.set(Some(context.waker().clone()));
    }

    pub(crate) fn take(&self) -> Option<Waker> {
        self.0.take()
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&mut self) -> bool {
        self.0.get_mut().is_none()
    }

    pub(crate) fn wake(&self) {
        self.0.take().into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiter")
    }
}
