//! What the tasks of one worker share: the worker itself, the turn they are in, and how one of them is told that there
//! is something to do.
//!
//! The worker is borrowed for the length of a plain function only, never across an await. App code runs within such a
//! borrow, but all it can reach is the worker's `Context`.

use super::piece::Spare;
use crate::exchange::Dispatch;
use crate::runtime::{delivery, turn};
use crate::slab::Key;
use crate::worker::Worker;
use lanner_limits::Moment;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::BitOr;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

/// How long a connection may be silent before it has to give back its read buffer: longer than the gaps of one that is
/// in use, for the way back costs a cancelled read and two more system calls.
const QUIET_AFTER: Duration = Duration::from_millis(250);

/// See the file's comment.
pub(super) struct Shell<D: Dispatch> {
    pub(super) worker: RefCell<Worker<D>>,
    /// Our own epoll, which stands as one descriptor in the runtime's: for whatever is no read or write of a
    /// connection.
    pub(super) hub: OwnedFd,
    pub(super) spare: RefCell<Spare>,
    slots: RefCell<Vec<Option<Rc<Slot>>>>,
    /// Connections to be looked at for silence, and when.
    quiet: RefCell<VecDeque<(Moment, Key)>>,
    /// Connections' tasks, which outlive their connections until the kernel is done with their memory.
    tasks: Cell<usize>,
    now: Cell<Moment>,
    turn: Cell<Turn>,
    /// How long the wait that ends the turn may last.
    planned: Cell<Option<Duration>>,
    /// A task has been given something to do in this turn.
    told: Cell<bool>,
    /// Wakes the hub, which runs after all tasks and ends the turn.
    hub_waker: RefCell<Option<Waker>>,
}

/// ```text
/// Waiting ─ a task or the hub runs ─▶ Begun ─ the hub has looked ─▶ Looked ─ all tasks have run ─▶ Waiting
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Waiting,
    Begun,
    Looked,
}

/// What a connection's task is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News(u8);

impl News {
    /// It can go on, or has to.
    pub(super) const SERVE: Self = Self(1);
    /// Its parked socket can be read.
    pub(super) const READABLE: Self = Self(2);
    /// Its parked socket is broken.
    pub(super) const BROKEN: Self = Self(4);
    /// It has been silent for a moment.
    pub(super) const QUIET: Self = Self(8);
    /// The server stops.
    pub(super) const STOP: Self = Self(16);
    /// It was closed from outside its task, and is to be reset if the other one says so.
    pub(super) const CLOSED: Self = Self(32);
    pub(super) const RESET: Self = Self(64);

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for News {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// How one connection's task is reached.
pub(super) struct Slot {
    pub(super) key: Key,
    /// Open for as long as the slot stands in the shell and the task has not come to its end.
    pub(super) socket: BorrowedFd<'static>,
    news: Cell<News>,
    waker: Cell<Option<Waker>>,
    /// When something last happened.
    active: Cell<Moment>,
    /// It stands in the queue of those to be looked at for silence.
    watched: Cell<bool>,
}

impl Slot {
    /// Whether input waits in the socket: bytes, or the client's end. What a read has brought in is not there any more.
    pub(super) fn has_input(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        rustix::net::recv(self.socket, &mut [0u8], flags) != Err(Errno::AGAIN)
    }

    pub(super) fn take_news(&self) -> News {
        self.news.take()
    }

    /// Takes note of the task's waker, which stays the same for as long as there is the task.
    pub(super) fn register(&self, waker: &Waker) {
        let known = self.waker.take();
        self.waker.set(known.or_else(|| Some(waker.clone())));
    }
}

impl<D: Dispatch> Shell<D> {
    pub(super) fn new(worker: Worker<D>, hub: OwnedFd, now: Moment) -> Self {
        Self {
            worker: RefCell::new(worker),
            hub,
            spare: RefCell::default(),
            slots: RefCell::default(),
            quiet: RefCell::default(),
            tasks: Cell::new(0),
            now: Cell::new(now),
            turn: Cell::new(Turn::Begun),
            planned: Cell::new(None),
            told: Cell::new(false),
            hub_waker: RefCell::new(None),
        }
    }

    pub(super) fn now(&self) -> Moment {
        self.now.get()
    }

    // The turn.

    /// To be called whenever a task is polled: the turn may begin with it, and the hub must end it.
    pub(super) fn enter(&self) -> Moment {
        self.begin_turn();
        if let Some(hub) = &*self.hub_waker.borrow() {
            hub.wake_by_ref();
        }
        self.now.get()
    }

    pub(super) fn begin_turn(&self) {
        if self.turn.get() == Turn::Waiting {
            self.turn.set(Turn::Begun);
            let now = turn::begins(&mut self.worker.borrow_mut(), self.planned.get());
            self.now.set(now);
        }
    }

    /// Whether the hub has not looked at anything yet in this turn. What becomes due later is for the next one, so that
    /// the sockets have theirs in between.
    pub(super) fn looks_first(&self) -> bool {
        self.turn.replace(Turn::Looked) == Turn::Begun
    }

    pub(super) fn end_turn(&self, planned: Option<Duration>) {
        self.turn.set(Turn::Waiting);
        self.planned.set(planned);
    }

    pub(super) fn set_hub_waker(&self, waker: &Waker) {
        let mut known = self.hub_waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    /// Whether a task has been told something since the last call: it runs before the turn ends.
    pub(super) fn take_told(&self) -> bool {
        self.told.take()
    }

    // Connections.

    /// A place for a new connection's task, which is about to run.
    pub(super) fn open_slot(&self, key: Key, socket: BorrowedFd<'static>) -> Rc<Slot> {
        let slot = Rc::new(Slot {
            key,
            socket,
            news: Cell::new(News::SERVE),
            waker: Cell::new(None),
            active: Cell::new(self.now()),
            watched: Cell::new(false),
        });
        let mut slots = self.slots.borrow_mut();
        let index = key.index as usize;
        if index >= slots.len() {
            slots.resize_with(index + 1, || None);
        }
        slots[index] = Some(slot.clone());
        self.tasks.set(self.tasks.get() + 1);
        self.told.set(true);
        slot
    }

    /// The connection is gone. Its number may belong to another already.
    pub(super) fn close_slot(&self, slot: &Slot) {
        let mut slots = self.slots.borrow_mut();
        if let Some(place) = slots.get_mut(slot.key.index as usize)
            && place.as_ref().is_some_and(|held| held.key == slot.key)
        {
            *place = None;
        }
    }

    /// The connection's task ends.
    pub(super) fn task_ends(&self) {
        self.tasks.set(self.tasks.get() - 1);
    }

    pub(super) fn tasks(&self) -> usize {
        self.tasks.get()
    }

    /// Gives a connection's task something to do. Only the hub calls this.
    ///
    /// Known fault of monoio 0.2.4: a task that is woken while it runs goes to the front of the queue and is polled
    /// again before all others. So a task never tells itself anything: what it cannot finish waits in the worker's list
    /// of those that yielded, and the hub tells it in the next turn.
    pub(super) fn tell(&self, key: Key, news: News) {
        let slots = self.slots.borrow();
        let Some(Some(slot)) = slots.get(key.index as usize) else {
            return;
        };
        if slot.key != key {
            return;
        }
        slot.news.set(slot.news.get() | news);
        self.told.set(true);
        if let Some(waker) = slot.waker.take() {
            waker.wake_by_ref();
            slot.waker.set(Some(waker));
        }
    }

    /// Sends what may be sent before a close, if there is room for it.
    pub(super) fn say_at_once(&self, key: Key, bytes: &[u8]) {
        if let Some(Some(slot)) = self.slots.borrow().get(key.index as usize)
            && slot.key == key
        {
            delivery::say_at_once(slot.socket, bytes);
        }
    }

    /// Whether a connection's socket has nothing that was not read yet. For the hub, which runs when the tasks have
    /// taken in all that their reads have brought.
    pub(super) fn has_nothing_unread(&self, key: Key) -> bool {
        let slots = self.slots.borrow();
        match slots.get(key.index as usize) {
            Some(Some(slot)) if slot.key == key => !slot.has_input(),
            _ => true,
        }
    }

    // Silence.

    /// Something has happened on a connection that now waits for more.
    pub(super) fn note_activity(&self, slot: &Slot) {
        slot.active.set(self.now());
        self.watch(slot);
    }

    fn watch(&self, slot: &Slot) {
        if !slot.watched.replace(true) {
            let at = self.now() + QUIET_AFTER;
            self.quiet.borrow_mut().push_back((at, slot.key));
        }
    }

    /// When a connection is to be looked at for silence.
    pub(super) fn quiet_due(&self) -> Option<Moment> {
        self.quiet.borrow().front().map(|(at, _)| *at)
    }

    /// Tells those that have been silent. Each connection is looked at once in a while, whatever its traffic, so a
    /// request costs nothing here.
    pub(super) fn tell_the_quiet(&self) {
        let now = self.now();
        while let Some(key) = self.pop_quiet(now) {
            let slot = self
                .slots
                .borrow()
                .get(key.index as usize)
                .cloned()
                .flatten();
            let Some(slot) = slot.filter(|slot| slot.key == key) else {
                continue;
            };
            slot.watched.set(false);
            if slot.active.get() + QUIET_AFTER <= now {
                self.tell(key, News::QUIET);
            } else {
                self.watch(&slot);
            }
        }
    }

    fn pop_quiet(&self, now: Moment) -> Option<Key> {
        let mut quiet = self.quiet.borrow_mut();
        let (at, _) = quiet.front()?;
        if *at > now {
            return None;
        }
        quiet.pop_front().map(|(_, key)| key)
    }

    /// Has the hub watch a silent connection's socket, once: for input, or only for the end if `read` is false.
    pub(super) fn park(&self, slot: &Slot, read: bool, known: bool) -> rustix::io::Result<()> {
        let mut interest = EventFlags::ONESHOT;
        interest.set(EventFlags::IN, read);
        let data = EventData::new_u64(slot.key.to_bits());
        if known {
            epoll::modify(&self.hub, slot.socket, data, interest)
        } else {
            epoll::add(&self.hub, slot.socket, data, interest)
        }
    }
}
