//! Tasks beside the exchanges: futures that an app spawned on its worker.

use crate::context::{Context as Worker, LocalTask};
use crate::ready::{Ready, Signal, Token};
use crate::waiter::Waiter;
use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Runs a future on this worker, beside the exchanges. It goes on when the handle is dropped, and ends with the worker.
///
/// # Panics
/// When called outside a worker's thread.
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let outcome = Rc::new(Outcome {
        value: RefCell::new(None),
        waiting: Waiter::default(),
    });
    let handle = JoinHandle {
        outcome: outcome.clone(),
    };
    let end = End(outcome);
    let worker = Worker::current();
    worker.spawned.borrow_mut().push(Box::pin(async move {
        // Dropped behind the value, or alone when the future panics.
        let end = end;
        let value = future.await;
        *end.0.value.borrow_mut() = Some(value);
    }));
    worker.ready.wake();
    handle
}

/// Waits for what a spawned task returns. Dropping it lets the task go on.
#[derive(Debug)]
pub struct JoinHandle<T> {
    outcome: Rc<Outcome<T>>,
}

#[derive(Debug)]
struct Outcome<T> {
    value: RefCell<Option<T>>,
    waiting: Waiter,
}

/// The task's side of its outcome.
struct End<T>(Rc<Outcome<T>>);

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        self.0.waiting.wake();
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, TaskPanicked>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(value) = self.outcome.value.borrow_mut().take() {
            return Poll::Ready(Ok(value));
        }
        // The task is gone and left nothing.
        if Rc::strong_count(&self.outcome) == 1 {
            return Poll::Ready(Err(TaskPanicked));
        }
        self.outcome.waiting.wait(context);
        Poll::Pending
    }
}

/// A spawned task panicked before it returned anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskPanicked;

impl fmt::Display for TaskPanicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a spawned task panicked")
    }
}

impl std::error::Error for TaskPanicked {}

/// One worker's spawned tasks.
pub(crate) struct Tasks {
    ready: Arc<Ready>,
    slots: Vec<Slot>,
    free: Vec<u32>,
}

struct Slot {
    task: Option<LocalTask>,
    signal: Arc<Signal>,
    waker: Waker,
}

impl Tasks {
    pub(crate) fn new(ready: Arc<Ready>) -> Self {
        Self {
            ready,
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Tasks that have not ended.
    #[cfg(test)]
    pub(crate) fn open(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Takes over a task; its first poll comes with the ready list.
    pub(crate) fn add(&mut self, task: LocalTask) {
        let index = self.free.pop().unwrap_or_else(|| {
            let index = u32::try_from(self.slots.len())
                .expect("fewer than 4 billion tasks fit into memory");
            let signal = Signal::new(self.ready.clone(), Token::Task(index));
            self.slots.push(Slot {
                task: None,
                waker: signal.waker(),
                signal,
            });
            index
        });
        let slot = &mut self.slots[index as usize];
        slot.task = Some(task);
        slot.signal.raise();
    }

    /// Polls one task. A panic ends the task and is logged; the worker lives on. Returns whether there was none.
    pub(crate) fn poll(&mut self, index: u32) -> bool {
        let Some(slot) = self.slots.get_mut(index as usize) else {
            return true;
        };
        slot.signal.lower();
        let Some(mut task) = slot.task.take() else {
            return true;
        };
        let mut context = Context::from_waker(&slot.waker);
        let polled = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut context)));
        let survived = polled.is_ok();
        match polled {
            Ok(Poll::Pending) => slot.task = Some(task),
            Ok(Poll::Ready(())) => self.free.push(index),
            Err(_) => {
                tracing::error!("a spawned task panicked");
                // What it held may panic again when it goes.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(task)));
                self.free.push(index);
            }
        }
        survived
    }
}
