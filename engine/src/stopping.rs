//! How an app learns that its server stops.

use crate::context::Context as Worker;
use std::future::poll_fn;
use std::task::Poll;

/// Whether the server has been told to stop. It may go on accepting for `LANNER_SHUTDOWN_DELAY`: a health check that says
/// so has its balancer look elsewhere meanwhile.
///
/// # Panics
/// Outside a worker's thread.
pub fn is_stopping() -> bool {
    Worker::current().is_stopping()
}

/// Completes when the server is told to stop: for answers that would go on without end, an event stream or a long poll,
/// which are reset at `LANNER_SHUTDOWN_TIMEOUT` otherwise.
///
/// # Panics
/// When polled outside a worker's thread.
pub async fn stopping() {
    poll_fn(|context| {
        let worker = Worker::current();
        if worker.is_stopping() {
            return Poll::Ready(());
        }
        let mut watchers = worker.stop_watchers.borrow_mut();
        if !watchers
            .iter()
            .any(|known| known.will_wake(context.waker()))
        {
            watchers.push(context.waker().clone());
        }
        Poll::Pending
    })
    .await
}
