//! The worker's main future. It runs once after all connections' tasks: answers what is no read or write of a
//! connection, tells the tasks of what is due, and ends the turn. So input goes before timers.
//!
//! Everything but the connections' reads and writes stands in one epoll of our own, which the runtime watches as one
//! descriptor: the worker's eventfd, the reactor of outgoing sockets, the listeners, and the sockets of silent
//! connections.
//!
//! Known fault of monoio 0.2.4, and of early glommio (DataDog/glommio issue 194): its wakers must not reach another
//! thread. None does: whoever is elsewhere writes to the worker's eventfd, and the hub tells the task.

use super::shell::{News, Shell};
use super::{Tasks, served};
use crate::context;
use crate::exchange::Dispatch;
use crate::runtime::accepting::FIRST_LISTENER;
use crate::runtime::door::{Door, Doorkeeper};
use crate::runtime::{Setup, turn};
use crate::slab::Key;
use crate::worker::{Verdict, Worker};
use lanner_limits::Moment;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::{AsFd, OwnedFd};
use std::future::poll_fn;
use std::io;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Events taken from the epoll at once.
const EVENTS_PER_TURN: usize = 256;

/// What an event's number means when it is neither a listener's nor a connection's key.
const REACTOR: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;

/// See the file's comment.
pub(in crate::runtime) struct Hub<D: Dispatch, T: Tasks> {
    shell: Rc<Shell<D>>,
    door: Door,
    /// When the sleep in progress ends.
    armed: Option<Moment>,
    /// Everything has ended but the watch over the epoll.
    ending: bool,
    /// Kept for their memory.
    due: Vec<Key>,
    events: Vec<Event>,
    runtime: PhantomData<T>,
}

impl<D: Dispatch, T: Tasks> Hub<D, T> {
    pub(in crate::runtime) fn new(setup: Setup<D>) -> io::Result<Self> {
        let Setup {
            mut worker,
            listeners,
            control,
            origin,
        } = setup;
        let hub = epoll::create(CreateFlags::CLOEXEC)?;
        let context = worker.context.clone();
        let (wake, reactor) = (EventData::new_u64(WAKE), EventData::new_u64(REACTOR));
        epoll::add(&hub, context.ready.event(), wake, EventFlags::IN)?;
        epoll::add(&hub, context.reactor.descriptor(), reactor, EventFlags::IN)?;
        let now = turn::first(&mut worker, origin);
        let door = Door::new(&worker, listeners, control, now);
        Ok(Self {
            shell: Rc::new(Shell::new(worker, hub, now)),
            door,
            armed: None,
            ending: false,
            due: Vec::new(),
            events: Vec::with_capacity(EVENTS_PER_TURN),
            runtime: PhantomData,
        })
    }

    /// Serves until the worker has stopped. Nothing is in flight then.
    pub(in crate::runtime) async fn run(mut self, started: impl FnOnce()) -> io::Result<()> {
        let watched = T::watch(self.shell.hub.as_fd())?;
        let mut watch = pin!(Some(T::readable(&watched)));
        let mut sleep = pin!(None::<T::Sleep>);
        self.mind_the_door()?;
        started();
        poll_fn(|context| {
            self.shell.set_hub_waker(context.waker());
            self.shell.begin_turn();
            // A watch that may not be dropped is in flight until the wait that was hurried has ended it.
            let idle = has_completed(&mut watch, context) || T::watch_can_be_dropped();
            if self.ending && idle {
                return Poll::Ready(Ok(()));
            }
            if self.shell.looks_first() {
                if watch.is_none() {
                    self.answer();
                    watch.set(Some(T::readable(&watched)));
                }
                if let Err(error) = self.tell_of_due() {
                    return Poll::Ready(Err(error));
                }
            }
            // Those who were told something run first; the last of them brings us back.
            if self.shell.take_told() {
                return Poll::Pending;
            }
            // The ring reports with the next turn what its epoll driver knows at once.
            if watch.is_none() {
                watch.set(Some(T::readable(&watched)));
            }
            let more = has_completed(&mut watch, context);
            if has_completed(&mut sleep, context) {
                self.armed = None;
            }
            self.end_turn(more, &mut sleep, context);
            Poll::Pending
        })
        .await
    }

    /// Answers the events in the epoll.
    fn answer(&mut self) {
        let mut events = std::mem::take(&mut self.events);
        let at_once = Duration::ZERO.try_into().ok();
        // Interrupted, it is asked again in the next turn: what is ready stays so.
        let _ = epoll::wait(
            &self.shell.hub,
            rustix::buffer::spare_capacity(&mut events),
            at_once.as_ref(),
        );
        for event in events.drain(..) {
            // The event is packed: its parts are copied out.
            let (number, flags) = (event.data.u64(), event.flags);
            match number {
                WAKE => self.shell.worker.borrow().context.ready.clear_event(),
                REACTOR => {
                    let context = self.shell.worker.borrow().context.clone();
                    context.reactor.look();
                }
                FIRST_LISTENER..WAKE => self.accept((number - FIRST_LISTENER) as usize),
                bits => {
                    let broken = flags.intersects(EventFlags::HUP | EventFlags::ERR);
                    let news = if broken { News::BROKEN } else { News::READABLE };
                    self.shell.tell(Key::from_bits(bits), news);
                }
            }
        }
        self.events = events;
    }

    /// Tells the connections that have something to do without input, and goes on with a stop.
    fn tell_of_due(&mut self) -> io::Result<()> {
        let now = self.shell.now();
        let mut due = std::mem::take(&mut self.due);
        self.shell.worker.borrow_mut().collect(now, &mut due);
        for key in due.drain(..) {
            self.shell.tell(key, News::SERVE);
        }
        self.due = due;
        self.shell.tell_the_quiet();
        self.mind_the_door()?;
        if let Some(log) = &mut self.shell.worker.borrow_mut().shared.access_log {
            log.hand_over();
        }
        Ok(())
    }

    /// All tasks have run: has the runtime wait until something happens or is due.
    fn end_turn(
        &mut self,
        more: bool,
        sleep: &mut Pin<&mut Option<T::Sleep>>,
        context: &mut Context<'_>,
    ) {
        let worker = self.shell.worker.borrow();
        let before = turn::ends(&worker);
        let over = worker.connections() == 0 && self.shell.tasks() == 0;
        self.ending = self.door.is_closed() && over;
        let due = [
            worker.next_due(before),
            self.door.due(&worker, before),
            self.shell.quiet_due(),
        ];
        let due = due.into_iter().flatten().min();
        let ready = &worker.context.ready;
        let idle = ready.fall_asleep() && !more && !self.ending;
        let planned = match due {
            _ if !idle => Some(Duration::ZERO),
            due => due.map(|due| due.since(before)),
        };
        self.shell.end_turn(planned);
        match (planned, due) {
            (Some(Duration::ZERO), _) => return self.hurry(&worker.context),
            (Some(planned), Some(due)) if self.armed.is_none_or(|armed| due < armed) => {
                sleep.set(Some(T::sleep(planned)));
                self.armed = Some(due);
            }
            _ => return,
        }
        if has_completed(sleep, context) {
            self.armed = None;
            self.hurry(&worker.context);
        }
    }

    /// Has the coming wait end at once.
    ///
    /// Known fault of monoio 0.2.4: tasks that wake one another keep its ring from reaping completions, and one that
    /// wakes itself even keeps the others from running. glommio 0.9 does not look at its rings either while tasks wake
    /// one another, until a timer of 100 ms cuts them short. So whoever has more to do goes through a wait like
    /// everybody else.
    fn hurry(&self, context: &context::Context) {
        if T::spawning_hurries() {
            let shell = self.shell.clone();
            T::spawn(async move {
                shell.enter();
            });
        } else {
            // The counter can only overflow when it is far from zero, and then the wait ends all the same.
            let _ = rustix::io::write(context.ready.event(), &1u64.to_ne_bytes());
        }
    }
}

impl<D: Dispatch, T: Tasks> Doorkeeper<D> for Hub<D, T> {
    type Socket = OwnedFd;

    fn door(&mut self) -> &mut Door {
        &mut self.door
    }

    fn now(&self) -> Moment {
        self.shell.now()
    }

    fn with_worker<R>(&mut self, how: impl FnOnce(&mut Worker<D>) -> R) -> R {
        how(&mut self.shell.worker.borrow_mut())
    }

    /// Known fault of monoio 0.2.4: an accept that is dropped as it completes leaks the connection. None is ever in
    /// flight here: the listeners are watched, and accepted from without waiting.
    fn watch_listeners(&mut self, on: bool) -> io::Result<()> {
        self.door
            .accepting
            .watch_through(self.shell.hub.as_fd(), on)
    }

    fn adopt(&mut self, descriptor: OwnedFd) -> OwnedFd {
        descriptor
    }

    fn open(&mut self, key: Key, descriptor: OwnedFd) {
        let now = self.shell.now();
        if let Err(error) = served::spawn::<D, T>(&self.shell, descriptor, key) {
            tracing::error!(%error, "a connection cannot be watched");
            let mut worker = self.shell.worker.borrow_mut();
            worker.handle_reset(key);
            worker.settle(key, now, || true);
        }
    }

    /// The place is free at once; the task closes the socket when it runs.
    fn make_room(&mut self, newcomers: usize) -> bool {
        let now = self.shell.now();
        let mut worker = self.shell.worker.borrow_mut();
        let Some(key) = worker.shed(now, newcomers, |key| self.shell.has_nothing_unread(key))
        else {
            return false;
        };
        worker.advance(key, now);
        let news = match worker.settle(key, now, || true) {
            Verdict::Close => News::CLOSED,
            Verdict::Reset => News::CLOSED | News::RESET,
            Verdict::Wait { .. } | Verdict::Again | Verdict::Shutdown | Verdict::Stale => {
                News::SERVE
            }
        };
        worker.farewell(|bytes| self.shell.say_at_once(key, bytes));
        drop(worker);
        self.shell.tell(key, news);
        true
    }

    fn stop_connection(&mut self, key: Key) {
        self.shell.tell(key, News::STOP);
    }

    fn cut_connection(&mut self, key: Key) {
        self.shell.tell(key, News::SERVE);
    }
}

/// Polls what may be waited for, and takes it away once it has happened. Returns whether it is not there any more.
fn has_completed<F: Future>(waited: &mut Pin<&mut Option<F>>, context: &mut Context<'_>) -> bool {
    if let Some(future) = waited.as_mut().as_pin_mut()
        && future.poll(context).is_ready()
    {
        waited.set(None);
    }
    waited.is_none()
}
