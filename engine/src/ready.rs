//! How anything tells a worker that a future can go on: a list of numbers, and an eventfd for when the worker sleeps.
//!
//! Wakers are made once per slot and reused with it. A waker that an app kept from an earlier exchange in the same
//! slot causes one poll too many, which futures allow. Each number stands in the list at most once, so the list is
//! bounded by the number of slots.

use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// One worker's list of what can go on.
#[derive(Debug)]
pub(crate) struct Ready {
    list: Mutex<Vec<Token>>,
    /// Something is in the list, or a wake without a token was asked for.
    pending: AtomicBool,
    /// The worker is about to wait, or waits: whoever adds to the list must also write to `event`.
    asleep: AtomicBool,
    event: OwnedFd,
}

/// What can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// The exchange in this slot.
    Exchange(u32),
    /// The spawned task with this index.
    Task(u32),
}

impl Ready {
    pub(crate) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            list: Mutex::new(Vec::new()),
            pending: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            event,
        })
    }

    /// Readable when the worker was woken while it slept.
    pub(crate) fn event(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    /// Wakes the worker without saying why: it looks at everything once each turn.
    pub(crate) fn wake(&self) {
        self.pending.store(true, Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::SeqCst) {
            // The counter can only overflow when it is far from zero, and then the worker wakes all the same.
            let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
        }
    }

    fn push(&self, token: Token) {
        self.list
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(token);
        self.wake();
    }

    /// Says that the worker is about to wait. Returns whether it may: not if something came meanwhile.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        if !self.pending.load(Ordering::SeqCst) {
            return true;
        }
        self.asleep.store(false, Ordering::SeqCst);
        false
    }

    /// Says that the worker is awake again.
    pub(crate) fn wake_up(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Empties the eventfd after it became readable.
    pub(crate) fn clear_event(&self) {
        let _ = rustix::io::read(&self.event, &mut [0u8; 8]);
    }

    /// Takes the list, in exchange for an empty one. Returns whether anything was there.
    pub(crate) fn take(&self, into: &mut Vec<Token>) -> bool {
        debug_assert!(into.is_empty());
        if !self.pending.swap(false, Ordering::SeqCst) {
            return false;
        }
        std::mem::swap(
            into,
            &mut *self.list.lock().unwrap_or_else(PoisonError::into_inner),
        );
        !into.is_empty()
    }
}

/// One slot's way into the list.
#[derive(Debug)]
pub(crate) struct Signal {
    ready: Arc<Ready>,
    token: Token,
    queued: AtomicBool,
}

impl Signal {
    pub(crate) fn new(ready: Arc<Ready>, token: Token) -> Arc<Self> {
        Arc::new(Self {
            ready,
            token,
            queued: AtomicBool::new(false),
        })
    }

    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        self.clone().into()
    }

    /// Puts the slot on the list, unless it stands there already.
    pub(crate) fn raise(&self) {
        if !self.queued.swap(true, Ordering::SeqCst) {
            self.ready.push(self.token);
        }
    }

    /// To be called when the slot was taken off the list, before it is polled: what is raised from now on counts anew.
    pub(crate) fn lower(&self) {
        self.queued.store(false, Ordering::SeqCst);
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.raise();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.raise();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_signal_stands_in_the_list_once_until_it_is_lowered() {
        let ready = Arc::new(Ready::new().unwrap());
        let signal = Signal::new(ready.clone(), Token::Exchange(7));
        let waker = signal.waker();
        waker.wake_by_ref();
        waker.wake_by_ref();
        let mut list = Vec::new();
        assert!(ready.take(&mut list));
        assert_eq!(list, [Token::Exchange(7)]);
        list.clear();
        signal.lower();
        waker.wake();
        assert!(ready.take(&mut list));
        assert_eq!(list.len(), 1);
    }

    #[test]
    fn a_wake_before_the_sleep_prevents_it() {
        let ready = Arc::new(Ready::new().unwrap());
        let signal = Signal::new(ready.clone(), Token::Task(1));
        assert!(ready.fall_asleep());
        ready.wake_up();
        signal.raise();
        assert!(!ready.fall_asleep());
    }

    #[test]
    fn a_wake_from_another_thread_makes_the_event_readable() {
        let ready = Arc::new(Ready::new().unwrap());
        assert!(ready.fall_asleep());
        let signal = Signal::new(ready.clone(), Token::Task(1));
        std::thread::spawn(move || signal.raise()).join().unwrap();
        let mut buffer = [0u8; 8];
        assert_eq!(rustix::io::read(ready.event(), &mut buffer).unwrap(), 8);
    }
}
