//! What the two sides of an exchange share: the app's handles (request, body, upgraded stream) on one side, the
//! connection on the other.
//!
//! The app may keep or move its handles wherever it likes on its thread, also past the end of the exchange; the
//! connection marks a link closed when it is done with it, and never reuses one that somebody still holds.

use crate::body::{BodyError, Chunk};
use crate::ready::Signal;
use crate::waiter::Waiter;
use bytes::Bytes;
use lanner_protocol::{Fields, Overrides};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// How far the delivery of a body has come. One piece at most is under way: the rest stays in the connection's input,
/// where `LANNER_REQUEST_BUFFER` bounds it, or with its stream, whose window does.
#[derive(Debug, Default)]
enum Delivery {
    /// Nothing to take.
    #[default]
    Empty,
    /// A piece that the app has not taken yet; `last` if the body ends with it.
    Piece { chunk: Chunk, last: bool },
    /// The body is over.
    End,
    /// The body cannot be received.
    Failed(BodyError),
}

/// See the file's comment.
#[derive(Debug)]
pub(crate) struct Link {
    /// Where the connection is told that the app did something.
    signal: Arc<Signal>,
    delivery: RefCell<Delivery>,
    /// The app has asked something of this link. One that it never looked at needs no clearing up, which most do not.
    used: Cell<bool>,
    /// See [`Link::attend`].
    attended: Cell<bool>,
    /// The app waits for a piece that is not there.
    wanted: Cell<bool>,
    reader: Waiter,
    /// The app has begun to read or to answer; overrides come too late.
    begun: Cell<bool>,
    overrides: Cell<Option<Overrides>>,
    trailers: RefCell<Option<Fields>>,
    /// The connection is done with the exchange.
    closed: Cell<bool>,
    /// It ended before the answer was complete.
    aborted: Cell<bool>,
    /// Any number of tasks may wait for the abort.
    abort_watchers: RefCell<Vec<Waker>>,
    /// Bytes an upgraded stream has written and the connection has not taken.
    outgoing: RefCell<VecDeque<Bytes>>,
    outgoing_bytes: Cell<usize>,
    writer: Waiter,
}

impl Link {
    pub(crate) fn new(signal: Arc<Signal>) -> Self {
        Self {
            signal,
            used: Cell::default(),
            attended: Cell::default(),
            delivery: RefCell::default(),
            wanted: Cell::default(),
            reader: Waiter::default(),
            begun: Cell::default(),
            overrides: Cell::default(),
            trailers: RefCell::default(),
            closed: Cell::default(),
            aborted: Cell::default(),
            abort_watchers: RefCell::default(),
            outgoing: RefCell::default(),
            outgoing_bytes: Cell::default(),
            writer: Waiter::default(),
        }
    }

    /// Makes a link that nobody holds any more, and that is clear of the last exchange, good for the next one.
    #[inline]
    pub(crate) fn reset(&mut self, has_body: bool) {
        debug_assert!(self.is_clear(), "what an exchange leaves, its end clears");
        *self.delivery.get_mut() = if has_body {
            Delivery::Empty
        } else {
            Delivery::End
        };
        self.closed.set(false);
        self.aborted.set(false);
    }

    /// Lets go of all that the exchange which has ended put here: a free slot's link holds no memory, and tells the next
    /// exchange nothing.
    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        let delivery = self.delivery.get_mut();
        if matches!(delivery, Delivery::Piece { .. }) {
            *delivery = Delivery::Empty;
        }
        if self.used.take() {
            self.clear_up();
        }
        debug_assert!(
            self.is_clear(),
            "nothing is put into a link that is not used"
        );
    }

    /// Forgets what the app has asked of it.
    #[cold]
    fn clear_up(&mut self) {
        self.wanted.set(false);
        self.reader.take();
        self.begun.set(false);
        self.overrides.set(None);
        *self.trailers.get_mut() = None;
        // Not only what they hold goes, but their memory too.
        self.abort_watchers.take();
        self.outgoing.take();
        self.outgoing_bytes.set(0);
        self.writer.take();
    }

    /// Whether it holds nothing of an exchange, but for how far that one's body and answer came.
    pub(crate) fn is_clear(&mut self) -> bool {
        !matches!(self.delivery.get_mut(), Delivery::Piece { .. })
            && !self.used.get()
            && !self.wanted.get()
            && self.reader.is_empty()
            && !self.begun.get()
            && self.overrides.get().is_none()
            && self.trailers.get_mut().is_none()
            && self.abort_watchers.get_mut().capacity() == 0
            && self.outgoing.get_mut().capacity() == 0
            && self.outgoing_bytes.get() == 0
            && self.writer.is_empty()
    }

    // The app's side.

    /// The next piece of the body, or `None` at its end.
    pub(crate) fn poll_chunk(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Chunk, BodyError>>> {
        self.used.set(true);
        self.begun.set(true);
        let mut delivery = self.delivery.borrow_mut();
        match std::mem::take(&mut *delivery) {
            Delivery::Piece { chunk, last } => {
                if last {
                    *delivery = Delivery::End;
                }
                Poll::Ready(Some(Ok(chunk)))
            }
            Delivery::End => {
                *delivery = Delivery::End;
                Poll::Ready(None)
            }
            Delivery::Failed(error) => {
                *delivery = Delivery::Failed(error);
                Poll::Ready(Some(Err(error)))
            }
            Delivery::Empty if self.closed.get() => Poll::Ready(Some(Err(BodyError::Aborted))),
            Delivery::Empty => {
                self.reader.wait(context);
                if !self.wanted.replace(true) && !self.attended.get() {
                    self.signal.raise();
                }
                Poll::Pending
            }
        }
    }

    pub(crate) fn body_ended(&self) -> bool {
        matches!(*self.delivery.borrow(), Delivery::End)
    }

    pub(crate) fn has_trailers(&self) -> bool {
        self.trailers.borrow().is_some()
    }

    pub(crate) fn take_trailers(&self) -> Option<Fields> {
        self.trailers.borrow_mut().take()
    }

    /// Changes the exchange's limits. Returns whether it was still in time: before the first read, and before the answer.
    pub(crate) fn set_override(&self, change: impl FnOnce(&mut Overrides)) -> bool {
        if self.begun.get() || self.closed.get() {
            return false;
        }
        self.used.set(true);
        let mut overrides = self.overrides.get().unwrap_or_default();
        change(&mut overrides);
        self.overrides.set(Some(overrides));
        true
    }

    pub(crate) fn poll_aborted(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.aborted.get() {
            return Poll::Ready(());
        }
        if !self.closed.get() {
            self.used.set(true);
            let mut watchers = self.abort_watchers.borrow_mut();
            if !watchers
                .iter()
                .any(|known| known.will_wake(context.waker()))
            {
                watchers.push(context.waker().clone());
            }
        }
        Poll::Pending
    }

    /// Queues bytes of an upgraded stream once fewer than `bytes_max` wait.
    pub(crate) fn poll_write(
        &self,
        bytes: &mut Bytes,
        bytes_max: usize,
        context: &mut Context<'_>,
    ) -> Poll<bool> {
        if self.closed.get() {
            return Poll::Ready(false);
        }
        self.used.set(true);
        if self.outgoing_bytes.get() >= bytes_max {
            self.writer.wait(context);
            return Poll::Pending;
        }
        self.outgoing_bytes
            .set(self.outgoing_bytes.get() + bytes.len());
        self.outgoing.borrow_mut().push_back(std::mem::take(bytes));
        if !self.attended.get() {
            self.signal.raise();
        }
        Poll::Ready(true)
    }

    // The connection's side.

    /// Says whether the connection is polling the exchange's own future right now, and looks at what that did by
    /// itself: then nothing needs to be put on the ready list.
    pub(crate) fn attend(&self, attended: bool) {
        self.attended.set(attended);
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.get()
    }

    /// The answer has begun: what it is sent under cannot be changed any more.
    pub(crate) fn answer_begins(&self) {
        self.used.set(true);
        self.begun.set(true);
    }

    pub(crate) fn take_overrides(&self) -> Option<Overrides> {
        self.overrides.take()
    }

    /// Hands over a piece of the body. Returns the reader to wake, here and below.
    pub(crate) fn deliver(&self, chunk: Chunk, last: bool) -> Option<Waker> {
        self.settle(Delivery::Piece { chunk, last })
    }

    pub(crate) fn deliver_end(&self, trailers: Option<Fields>) -> Option<Waker> {
        *self.trailers.borrow_mut() = trailers;
        self.settle(Delivery::End)
    }

    pub(crate) fn deliver_failure(&self, error: BodyError) -> Option<Waker> {
        self.settle(Delivery::Failed(error))
    }

    fn settle(&self, delivery: Delivery) -> Option<Waker> {
        self.wanted.set(false);
        *self.delivery.borrow_mut() = delivery;
        self.reader.take()
    }

    /// The next bytes that an upgraded stream wants sent.
    pub(crate) fn take_outgoing(&self) -> Option<Bytes> {
        let bytes = self.outgoing.borrow_mut().pop_front()?;
        self.outgoing_bytes
            .set(self.outgoing_bytes.get() - bytes.len());
        self.writer.wake();
        Some(bytes)
    }

    /// Whether an upgraded stream has written what was not taken yet.
    pub(crate) fn has_outgoing(&self) -> bool {
        !self.outgoing.borrow().is_empty()
    }

    /// Begins the delivery of an upgraded connection's bytes.
    pub(crate) fn reopen(&self) {
        *self.delivery.borrow_mut() = Delivery::Empty;
    }

    /// The exchange is over; `aborted` if its answer was not completed.
    #[inline]
    pub(crate) fn close(&self, aborted: bool) {
        self.closed.set(true);
        self.aborted.set(aborted);
        if self.used.get() {
            self.tell_of_end();
        }
    }

    /// Wakes whoever waits for anything.
    #[cold]
    fn tell_of_end(&self) {
        self.wanted.set(false);
        [&self.reader, &self.writer]
            .into_iter()
            .for_each(Waiter::wake);
        let watchers = self.abort_watchers.take();
        watchers.into_iter().for_each(Waker::wake);
    }
}
