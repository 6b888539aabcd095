//! Work that would block a worker, on threads of its own.
//!
//! The queue is bounded: a full one is an error at once, since waiting behind a thousand blocking jobs is worse for
//! everybody than an error at once.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Jobs that may wait for a thread, in the whole server.
pub(crate) const QUEUE_MAX: usize = 1024;

/// Threads at most; they begin when there is work for them and then stay.
const THREADS_MAX: usize = 32;

type Job = Box<dyn FnOnce() + Send>;

/// The server's threads for blocking work.
#[derive(Default)]
pub(crate) struct BlockingPool {
    state: Mutex<State>,
    work: Condvar,
}

impl fmt::Debug for BlockingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        write!(
            f,
            "BlockingPool({} threads, {} jobs)",
            state.threads,
            state.queue.len()
        )
    }
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    threads: usize,
    idle: usize,
    stopped: bool,
}

impl BlockingPool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(self: &Arc<Self>, job: Job) -> Result<(), BlockingError> {
        let mut state = self.lock();
        if state.stopped || state.queue.len() >= QUEUE_MAX {
            return Err(BlockingError::QueueFull);
        }
        state.queue.push_back(job);
        if state.idle < state.queue.len() && state.threads < THREADS_MAX {
            let pool = self.clone();
            let spawned = std::thread::Builder::new()
                .name("lanner-blocking".into())
                .spawn(move || pool.run());
            match spawned {
                Ok(_) => state.threads += 1,
                Err(_) if state.threads > 0 => {}
                Err(_) => {
                    state.queue.pop_back();
                    return Err(BlockingError::NoThread);
                }
            }
        }
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    fn run(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                drop(state);
                job();
                state = self.lock();
            } else if state.stopped {
                return;
            } else {
                state.idle += 1;
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }

    /// Lets the threads end when they have nothing left to do.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.work.notify_all();
    }
}

/// Runs `work` on a thread that may block, and completes with what it returns.
///
/// # Errors
/// [`BlockingError`]: too much waits already, no thread could be started, or `work` panicked.
///
/// # Panics
/// When called outside a worker's thread.
pub fn blocking<T, F>(work: F) -> Blocking<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let shared = Arc::new(Mutex::new(Outcome {
        value: None,
        waker: None,
    }));
    let outcome = shared.clone();
    let job = Box::new(move || {
        let value = catch_unwind(AssertUnwindSafe(work)).map_err(|_| BlockingError::Panicked);
        settle(&outcome, value);
    });
    if let Err(error) = crate::context::Context::current().blocking.submit(job) {
        settle(&shared, Err(error));
    }
    Blocking { shared }
}

fn settle<T>(outcome: &Mutex<Outcome<T>>, value: Result<T, BlockingError>) {
    let waker = {
        let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.value = Some(value);
        outcome.waker.take()
    };
    if let Some(waker) = waker {
        waker.wake();
    }
}

struct Outcome<T> {
    value: Option<Result<T, BlockingError>>,
    waker: Option<Waker>,
}

/// The future of [`blocking`]. Dropping it does not stop the work.
pub struct Blocking<T> {
    shared: Arc<Mutex<Outcome<T>>>,
}

impl<T> Future for Blocking<T> {
    type Output = Result<T, BlockingError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut outcome = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = outcome.value.take() {
            return Poll::Ready(value);
        }
        outcome.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

/// Why blocking work was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockingError {
    /// 1,024 jobs wait already, or the server stops.
    QueueFull,
    /// The system did not give a thread.
    NoThread,
    /// The work panicked.
    Panicked,
}

impl fmt::Display for BlockingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QueueFull => "too much blocking work is waiting already",
            Self::NoThread => "the system gave no thread for blocking work",
            Self::Panicked => "the blocking work panicked",
        })
    }
}

impl std::error::Error for BlockingError {}
