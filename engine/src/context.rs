//! What an app's futures reach on their worker without being handed it: timers, spawned tasks, outgoing sockets.
//!
//! One per worker, found through a thread-local. Nothing here borrows the connection being served, so an app may call
//! it from anywhere within a poll.

use crate::blocking::BlockingPool;
use crate::clock::Clock;
use crate::control::{Control, Phase};
use crate::ready::Ready;
use crate::runtime::Reactor;
use lanner_limits::Moment;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

/// A task that an app has spawned.
pub(crate) type LocalTask = Pin<Box<dyn Future<Output = ()>>>;

/// See the file's comment.
pub(crate) struct Context {
    pub(crate) ready: Arc<Ready>,
    pub(crate) reactor: Reactor,
    pub(crate) blocking: Arc<BlockingPool>,
    control: Arc<Control>,
    /// Who waits for the server's stop; wakers are made once a slot or task, so there are no more than of these.
    pub(crate) stop_watchers: RefCell<Vec<Waker>>,
    /// The worker's clock; `None` where a test makes time up.
    pub(crate) clock: RefCell<Option<Clock>>,
    /// The moment the current turn began.
    pub(crate) now: Cell<Moment>,
    /// Who sleeps until when. The number tells apart those who sleep until the same moment.
    pub(crate) sleepers: RefCell<BTreeMap<(Moment, u64), Waker>>,
    next_sleeper: Cell<u64>,
    /// Tasks spawned since the worker last looked.
    pub(crate) spawned: RefCell<Vec<LocalTask>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Context>>> = const { RefCell::new(None) };
}

impl Context {
    pub(crate) fn new(blocking: Arc<BlockingPool>, control: Arc<Control>) -> io::Result<Rc<Self>> {
        let ready = Arc::new(Ready::new()?);
        Ok(Rc::new(Self {
            reactor: Reactor::new()?,
            ready,
            blocking,
            control,
            stop_watchers: RefCell::default(),
            clock: RefCell::new(None),
            now: Cell::new(Moment::ZERO),
            sleepers: RefCell::default(),
            next_sleeper: Cell::new(0),
            spawned: RefCell::default(),
        }))
    }

    /// Makes this the context of the thread until the guard goes.
    pub(crate) fn enter(self: &Rc<Self>) -> Entered {
        Entered {
            before: CURRENT.replace(Some(self.clone())),
        }
    }

    /// The thread's context.
    ///
    /// # Panics
    /// Outside a worker's thread: a bug of the app, which asked there for what only a worker has.
    pub(crate) fn current() -> Rc<Self> {
        CURRENT
            .with_borrow(Clone::clone)
            .expect("lanner's futures run only on a lanner worker's thread")
    }

    /// This very moment, in the worker's time.
    pub(crate) fn moment(&self) -> Moment {
        self.clock
            .borrow()
            .as_ref()
            .map_or(self.now.get(), Clock::now)
    }

    /// The moment the clock was last read, gaps included.
    pub(crate) fn real(&self) -> Moment {
        self.clock
            .borrow()
            .as_ref()
            .map_or(self.now.get(), Clock::real)
    }

    pub(crate) fn sleeper_number(&self) -> u64 {
        self.next_sleeper.replace(self.next_sleeper.get() + 1)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.control.phase() != Phase::Running
    }

    /// Wakes everybody who waits for the stop, once it has begun.
    pub(crate) fn wake_stop_watchers(&self) {
        let has_any = !self.stop_watchers.borrow().is_empty();
        if has_any && self.is_stopping() {
            self.stop_watchers.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Wakes everybody who slept until `now` or earlier.
    pub(crate) fn wake_sleepers(&self, now: Moment) {
        loop {
            // Waking runs no app code that could sleep again, but the map is free again all the same.
            let waker = {
                let mut sleepers = self.sleepers.borrow_mut();
                match sleepers.first_entry() {
                    Some(entry) if entry.key().0 <= now => entry.remove(),
                    _ => return,
                }
            };
            waker.wake();
        }
    }

    pub(crate) fn next_sleeper_due(&self) -> Option<Moment> {
        self.sleepers
            .borrow()
            .first_key_value()
            .map(|((at, _), _)| *at)
    }
}

/// Puts back the context that was current before.
pub(crate) struct Entered {
    before: Option<Rc<Context>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
    }
}
