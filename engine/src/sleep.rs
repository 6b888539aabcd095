//! Timers for apps.

use crate::context::Context as Worker;
use lanner_limits::Moment;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Completes after `duration`, in the worker's time: a stretch in which the whole worker stood still does not count.
///
/// # Panics
/// When polled outside a worker's thread.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep {
        state: State::New(duration),
    }
}

/// The future of [`sleep`]. Dropping it forgets the timer.
#[derive(Debug)]
pub struct Sleep {
    state: State,
}

enum State {
    New(Duration),
    Waiting {
        worker: Rc<Worker>,
        key: (Moment, u64),
    },
    Done,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let State::New(duration) = self.state {
            let worker = Worker::current();
            let key = (worker.moment() + duration, worker.sleeper_number());
            self.state = State::Waiting { worker, key };
        }
        let State::Waiting { worker, key } = &self.state else {
            return Poll::Ready(());
        };
        if worker.now.get() < key.0 {
            worker
                .sleepers
                .borrow_mut()
                .insert(*key, context.waker().clone());
            return Poll::Pending;
        }
        worker.sleepers.borrow_mut().remove(key);
        self.state = State::Done;
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let State::Waiting { worker, key } = &self.state {
            worker.sleepers.borrow_mut().remove(key);
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::New(_) => "New",
            Self::Waiting { .. } => "Waiting",
            Self::Done => "Done",
        })
    }
}
