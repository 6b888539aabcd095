//! Exchanges: requests being answered, each a recycled slot whose future is polled in place.
//!
//! A slot keeps its memory between requests (the future's, the head's, the link's), so that a handler which answers at
//! once costs no allocation. Idle connections hold none, and slots that a peak has left behind are given back.

use crate::Error;
use crate::app::App;
use crate::lease::Piece;
use crate::link::Link;
use crate::ready::{Ready, Signal, Token};
use crate::request::{ConnectionInfo, Request, RequestHead, RequestView};
use crate::response::{BodyStream, Response};
use crate::slab::Key;
use lanner_limits::Moment;
use lanner_protocol::h2::StreamKey;
use lanner_protocol::{Head, Overrides};
use std::collections::BTreeMap;
use std::mem::{forget, replace};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Slots that were free all this time are given back. Requests come and go faster; a peak that returns within it finds them.
const GIVE_BACK_AFTER: Duration = Duration::from_secs(10);

/// Calls an app. This is what gives the futures of its `async fn call` a type that a slot can hold.
pub(crate) trait Dispatch: 'static {
    type Future: Future<Output = Result<Response, Error>> + 'static;

    fn dispatch(&self, request: Request) -> Self::Future;

    fn admit(&self, head: RequestView<'_>) -> Overrides;
}

/// An app and the closure that calls it.
pub(crate) struct Dispatcher<A, C> {
    app: Rc<A>,
    call: C,
}

impl<A, C> Dispatcher<A, C> {
    pub(crate) fn new(app: A, call: C) -> Self {
        Self {
            app: Rc::new(app),
            call,
        }
    }
}

impl<A, C, F> Dispatch for Dispatcher<A, C>
where
    A: App,
    C: Fn(Rc<A>, Request) -> F + 'static,
    F: Future<Output = Result<Response, Error>> + 'static,
{
    type Future = F;

    fn dispatch(&self, request: Request) -> F {
        (self.call)(self.app.clone(), request)
    }

    fn admit(&self, head: RequestView<'_>) -> Overrides {
        self.app.admit(head)
    }
}

/// What an exchange is doing.
pub(crate) enum Stage {
    /// The slot is free, or its request is not dispatched yet.
    Idle,
    /// The request waits until fewer are being worked on (`LANNER_MAX_INFLIGHT`), in the place that it drew.
    Queued { ticket: u64 },
    /// The app works on its answer.
    Calling,
    /// The answer's body is being produced.
    Streaming(BodyStream),
    /// Another protocol is being spoken.
    Upgraded(Pin<Box<dyn Future<Output = ()>>>),
}

/// One exchange.
pub(crate) struct Exchange<F> {
    signal: Arc<Signal>,
    waker: Waker,
    /// What the app is to be called with; it becomes the future's when that is first polled.
    request: Option<Request>,
    /// None before the first poll, and in a slot that was given back.
    future: Option<Pin<Box<Option<F>>>>,
    pub(crate) stage: Stage,
    /// It was taken from the queue, and a place is kept for it until it begins.
    called_up: bool,
    pub(crate) link: Rc<Link>,
    pub(crate) head: Rc<RequestHead>,
    /// Whose exchange it is.
    pub(crate) connection: Key,
    /// On which of its streams, where it has them.
    stream: Option<StreamKey>,
    /// A poll may bring something new.
    pub(crate) due: bool,
    pub(crate) started: Moment,
}

/// What became of polling an app.
pub(crate) enum Polled {
    Pending,
    Answered,
    Panicked,
}

/// What is told of an exchange that has ended.
pub(crate) struct Ended {
    /// Another protocol was being spoken.
    pub(crate) was_upgraded: bool,
    /// The app panicked while what was left of it was dropped.
    pub(crate) panicked: bool,
}

/// One worker's exchanges. Their number is bounded by that of its connections and of their streams.
pub(crate) struct Exchanges<D: Dispatch> {
    dispatch: D,
    ready: Arc<Ready>,
    slots: Vec<Exchange<D::Future>>,
    /// The one that was used last on top.
    free: Vec<u32>,
    /// So many at the bottom of `free` have not been used since `give_back_due` was set.
    untouched: usize,
    give_back_due: Moment,
    /// Exchanges that the app has been called for.
    inflight: usize,
    /// Exchanges that were taken from the queue and have not begun.
    called_up: usize,
    /// Slots that wait for others to end, by the tickets that they drew when they came in.
    queue: BTreeMap<u64, u32>,
    next_ticket: u64,
}

impl<D: Dispatch> Exchanges<D> {
    pub(crate) fn new(dispatch: D, ready: Arc<Ready>) -> Self {
        Self {
            dispatch,
            ready,
            slots: Vec::new(),
            free: Vec::new(),
            untouched: 0,
            give_back_due: Moment::ZERO,
            inflight: 0,
            called_up: 0,
            queue: BTreeMap::new(),
            next_ticket: 0,
        }
    }

    /// Whether a new exchange may begin: not before those that wait.
    pub(crate) fn may_begin(&self, inflight_max: Option<usize>) -> bool {
        inflight_max.is_none_or(|max| self.inflight + self.called_up < max && self.queue.is_empty())
    }

    /// Whether an exchange has been called up from the queue; asking takes its place.
    pub(crate) fn take_call(&mut self, index: u32) -> bool {
        let called_up = std::mem::take(&mut self.slots[index as usize].called_up);
        self.called_up -= usize::from(called_up);
        called_up
    }

    /// Takes an exchange that has become another protocol's out of the count of those that the app works on.
    pub(crate) fn release_place(&mut self) {
        self.inflight -= 1;
        self.wake_queued();
    }

    /// Puts an exchange in the queue. It is woken when another one ends.
    pub(crate) fn queue(&mut self, index: u32) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.slots[index as usize].stage = Stage::Queued { ticket };
        self.queue.insert(ticket, index);
    }

    /// Wakes the first in the queue.
    #[inline]
    fn wake_queued(&mut self) {
        if !self.queue.is_empty() {
            self.call_up();
        }
    }

    #[cold]
    fn call_up(&mut self) {
        if let Some((_, index)) = self.queue.pop_first() {
            let slot = &mut self.slots[index as usize];
            slot.called_up = true;
            self.called_up += 1;
            slot.signal.raise();
        }
    }

    /// Where the head of the next request is to be parsed to: that of the free slot which [`Exchanges::reserve`] takes.
    #[inline]
    pub(crate) fn spare_head(&mut self, connection: Key) -> &mut Head {
        let index = self.spare(connection);
        &mut head_of(&mut self.slots[index as usize]).head
    }

    /// The free slot that is used next.
    #[inline]
    fn spare(&mut self, connection: Key) -> u32 {
        match self.free.last() {
            Some(index) => *index,
            None => self.add_spare(connection),
        }
    }

    #[cold]
    fn add_spare(&mut self, connection: Key) -> u32 {
        let index = self.add_slot(connection);
        self.free.push(index);
        index
    }

    /// Takes the slot of [`Exchanges::spare_head`] for the request whose head was parsed there, from `piece`.
    #[inline(always)]
    pub(crate) fn reserve(
        &mut self,
        connection: Key,
        stream: Option<StreamKey>,
        info: &Rc<ConnectionInfo>,
        piece: Piece,
        now: Moment,
    ) -> u32 {
        let index = self.spare(connection);
        self.free.pop();
        self.untouched = self.untouched.min(self.free.len());
        let slot = &mut self.slots[index as usize];
        slot.connection = connection;
        slot.stream = stream;
        slot.started = now;
        let head = head_of(slot);
        head.piece = Some(piece);
        if !head
            .connection
            .as_ref()
            .is_some_and(|held| Rc::ptr_eq(held, info))
        {
            head.connection = Some(info.clone());
        }
        index
    }

    fn add_slot(&mut self, connection: Key) -> u32 {
        let index = u32::try_from(self.slots.len())
            .expect("fewer than 4 billion exchanges fit into memory");
        let signal = Signal::new(self.ready.clone(), Token::Exchange(index));
        self.slots.push(Exchange {
            waker: signal.waker(),
            request: None,
            future: None,
            stage: Stage::Idle,
            called_up: false,
            link: Rc::new(Link::new(signal.clone())),
            head: Rc::default(),
            signal,
            connection,
            stream: None,
            due: false,
            started: Moment::ZERO,
        });
        index
    }

    /// Gives back what free slots hold, but for those that were used lately: a peak is over at some time. To be called in each
    /// turn of the worker.
    #[inline]
    pub(crate) fn give_back(&mut self, now: Moment) {
        if self.give_back_due <= now {
            self.give_back_untouched();
            self.give_back_due = now + GIVE_BACK_AFTER;
        }
    }

    /// Slots at the end of the table go. In others, what an app and its requests made large goes: who has a slot keeps its
    /// number, however long its exchange takes.
    #[cold]
    fn give_back_untouched(&mut self) {
        for index in &self.free[..self.untouched] {
            let slot = &mut self.slots[*index as usize];
            slot.future = None;
            slot.head = Rc::default();
        }
        // Lower numbers are used first from now on, so that those at the end of the table become free.
        self.free.sort_unstable_by(|one, other| other.cmp(one));
        let slots = self.slots.len();
        let at_end = (0..slots).rev().zip(&self.free[..self.untouched]);
        let at_end = at_end
            .take_while(|(last, index)| *last == **index as usize)
            .count();
        self.slots.truncate(slots - at_end);
        self.free.drain(..at_end);
        self.slots.shrink_to_fit();
        self.free.shrink_to_fit();
        self.untouched = self.free.len();
    }

    /// Exchanges that are open, and those of them that the app has been called for.
    #[cfg(test)]
    pub(crate) fn open(&self) -> (usize, usize) {
        (self.slots.len() - self.free.len(), self.inflight)
    }

    #[inline]
    pub(crate) fn slot(&mut self, index: u32) -> &mut Exchange<D::Future> {
        &mut self.slots[index as usize]
    }

    /// Whose exchange is in this slot, when its number was taken off the ready list.
    pub(crate) fn woken(&mut self, index: u32) -> Option<(Key, Option<StreamKey>)> {
        let slot = self.slots.get_mut(index as usize)?;
        slot.signal.lower();
        if matches!(slot.stage, Stage::Idle) {
            return None;
        }
        slot.due = true;
        Some((slot.connection, slot.stream))
    }

    /// Asks the app which limits are to hold for the request; `None` if it panicked.
    pub(crate) fn admit(&mut self, index: u32) -> Option<Overrides> {
        let head = &self.slots[index as usize].head;
        catch_unwind(AssertUnwindSafe(|| self.dispatch.admit(RequestView(head)))).ok()
    }

    /// Has the app called, by the next poll, with the request in the slot.
    #[inline(always)]
    pub(crate) fn begin(&mut self, index: u32, has_body: bool) {
        let slot = &mut self.slots[index as usize];
        match Rc::get_mut(&mut slot.link) {
            Some(link) => link.reset(has_body),
            None => {
                let mut link = Link::new(slot.signal.clone());
                link.reset(has_body);
                slot.link = Rc::new(link);
            }
        }
        slot.request = Some(Request::new(slot.head.clone(), slot.link.clone()));
        debug_assert!(matches!(slot.stage, Stage::Idle | Stage::Queued { .. }));
        // Neither holds anything. To drop it would be a call that finds that out, on every request.
        forget(replace(&mut slot.stage, Stage::Calling));
        slot.due = true;
        self.inflight += 1;
    }

    /// Polls the app's future, the first time after it was made. The answer, if there is one, is put where it is wanted:
    /// handing it through every return value on the way would cost a dozen instructions each time.
    #[inline]
    pub(crate) fn poll_call(
        &mut self,
        index: u32,
        answer: &mut Option<Result<Response, Error>>,
    ) -> Polled {
        let Self {
            dispatch, slots, ..
        } = self;
        let slot = &mut slots[index as usize];
        slot.due = false;
        let request = slot.request.take();
        let mut context = Context::from_waker(&slot.waker);
        let future = slot.future.get_or_insert_with(|| Box::pin(None));
        slot.link.attend(true);
        let polled = catch_unwind(AssertUnwindSafe(|| {
            if let Some(request) = request {
                // A plain function that panics before its first await panics here.
                future.set(Some(dispatch.dispatch(request)));
            }
            let Some(called) = future.as_mut().as_pin_mut() else {
                return false;
            };
            if let Poll::Ready(made) = called.poll(&mut context) {
                *answer = Some(made);
                future.set(None);
            }
            true
        }));
        slot.link.attend(false);
        match polled {
            Ok(true) if answer.is_some() => Polled::Answered,
            Ok(true) => Polled::Pending,
            Ok(false) | Err(_) => Polled::Panicked,
        }
    }

    /// Ends the exchange and frees its slot: the app's future is dropped where it stands.
    #[inline(always)]
    pub(crate) fn end(&mut self, index: u32, aborted: bool) -> Ended {
        let slot = &mut self.slots[index as usize];
        let stage = replace(&mut slot.stage, Stage::Idle);
        let called = !matches!(stage, Stage::Idle | Stage::Queued { .. });
        // Its place in the queue must not pass on to whoever has the slot next.
        if let Stage::Queued { ticket } = stage {
            self.queue.remove(&ticket);
        }
        let counted = matches!(stage, Stage::Calling | Stage::Streaming(_));
        let was_upgraded = matches!(stage, Stage::Upgraded(_));
        // It was never called.
        slot.request = None;
        let future = slot.future.as_mut().filter(|future| future.is_some());
        let panicked = match future {
            // Of an app that has answered at once, nothing is left.
            None if matches!(stage, Stage::Calling) => {
                forget(stage);
                false
            }
            future => drop_caught(stage, future),
        };
        // A request that was never dispatched has no link: the one here is of an exchange that may have ended well.
        if called {
            slot.link.close(aborted);
        }
        slot.due = false;
        // A free slot must not keep a buffer from the pool, nor anything else of the exchange: not its own, and not with
        // whoever still holds the request.
        match Rc::get_mut(&mut slot.head) {
            Some(head) => head.piece = None,
            None => slot.head = Rc::default(),
        }
        match Rc::get_mut(&mut slot.link) {
            Some(link) => link.clear(),
            None => slot.link = Rc::new(Link::new(slot.signal.clone())),
        }
        let called_up = std::mem::take(&mut slot.called_up);
        self.called_up -= usize::from(called_up);
        self.inflight -= usize::from(counted);
        self.free.push(index);
        // One that ends after it was called up leaves the place that was kept for it.
        if called_up || counted {
            self.wake_queued();
        }
        Ended {
            was_upgraded,
            panicked,
        }
    }
}

/// The head of a slot in which no request has begun.
#[inline]
fn head_of<F>(slot: &mut Exchange<F>) -> &mut RequestHead {
    // `end` leaves none behind that somebody still holds.
    Rc::get_mut(&mut slot.head).expect("a free slot's head is not shared")
}

/// Drops what is left of an exchange. Returns whether the app panicked at that.
fn drop_caught<F>(stage: Stage, future: Option<&mut Pin<Box<Option<F>>>>) -> bool {
    let dropped = catch_unwind(AssertUnwindSafe(|| {
        drop(stage);
        if let Some(future) = future {
            future.set(None);
        }
    }));
    if dropped.is_err() {
        tracing::error!("an app's future panicked while it was dropped");
    }
    dropped.is_err()
}

impl<F> Exchange<F> {
    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::lease::Pool;
    use crate::server::ServerInfo;
    use crate::upgrade::Upgraded;
    use bytes::Bytes;

    /// What bytes are kept in.
    struct Held(#[allow(dead_code)] Arc<()>);

    impl AsRef<[u8]> for Held {
        fn as_ref(&self) -> &[u8] {
            b"unsent"
        }
    }

    /// An app that never answers.
    struct Silent;

    impl Dispatch for Silent {
        type Future = std::future::Pending<Result<Response, Error>>;

        fn dispatch(&self, _request: Request) -> Self::Future {
            std::future::pending()
        }

        fn admit(&self, _head: RequestView<'_>) -> Overrides {
            Overrides::default()
        }
    }

    struct Driver {
        exchanges: Exchanges<Silent>,
        info: Rc<ConnectionInfo>,
        pool: Pool,
        now: Moment,
    }

    impl Driver {
        fn new() -> Self {
            Self {
                exchanges: Exchanges::new(Silent, Arc::new(Ready::new().unwrap())),
                info: Rc::new(ConnectionInfo {
                    id: 1,
                    peer: None,
                    local: None,
                    listener: "test".into(),
                    server: Arc::new(ServerInfo {
                        addresses: Vec::new(),
                        workers: 1,
                        driver: "test",
                        driver_reason: "a test",
                    }),
                    tls: None,
                }),
                pool: Pool::default(),
                now: Moment::ZERO,
            }
        }

        fn reserve(&mut self) -> u32 {
            let key = Key::from_bits(0);
            self.exchanges.spare_head(key);
            let piece = self.pool.copy(b"GET / HTTP/1.1\r\n\r\n");
            self.exchanges
                .reserve(key, None, &self.info, piece, self.now)
        }

        /// An exchange whose app is at work.
        fn open(&mut self) -> u32 {
            let index = self.reserve();
            self.exchanges.begin(index, false);
            self.exchanges.poll_call(index, &mut None);
            index
        }

        fn end(&mut self, indices: impl IntoIterator<Item = u32>) {
            for index in indices {
                self.exchanges.end(index, true);
            }
        }

        /// So much time passes that slots nobody needed are given back.
        fn wait(&mut self) {
            self.now += GIVE_BACK_AFTER;
            self.exchanges.give_back(self.now);
        }

        /// Slots, and those of them that hold memory for a future.
        fn held(&self) -> (usize, usize) {
            let slots = &self.exchanges.slots;
            let futures = slots.iter().filter(|slot| slot.future.is_some());
            (slots.len(), futures.count())
        }
    }

    #[test]
    fn what_a_peak_has_left_behind_is_given_back() {
        let mut driver = Driver::new();
        let open: Vec<u32> = (0..100).map(|_| driver.open()).collect();
        driver.wait();
        driver.wait();
        assert_eq!(driver.held(), (100, 100));
        driver.end(open);
        assert_eq!(driver.held(), (100, 100));
        // All of them were used since the last look.
        driver.wait();
        assert_eq!(driver.held(), (100, 100));
        driver.wait();
        assert_eq!(driver.held(), (0, 0));
        let again = driver.open();
        assert_eq!((again, driver.held()), (0, (1, 1)));
    }

    #[test]
    fn slots_that_are_used_again_and_again_are_kept() {
        let mut driver = Driver::new();
        for _ in 0..10 {
            let open: Vec<u32> = (0..3).map(|_| driver.open()).collect();
            driver.end(open);
            driver.wait();
            assert_eq!(driver.held(), (3, 3));
        }
    }

    #[test]
    fn an_exchange_that_takes_long_keeps_its_own_slot_only() {
        let mut driver = Driver::new();
        let open: Vec<u32> = (0..100).map(|_| driver.open()).collect();
        driver.end(open.iter().copied().filter(|index| *index != 60));
        driver.wait();
        driver.wait();
        assert_eq!(driver.held(), (61, 1));
        assert_eq!(driver.exchanges.open(), (1, 1));
        // What is there is used before the table grows, from its beginning.
        let next = driver.open();
        assert_eq!((next, driver.held()), (0, (61, 2)));
        driver.end([60, next]);
        driver.wait();
        driver.wait();
        assert_eq!(driver.held(), (0, 0));
    }

    #[test]
    fn a_waker_of_a_slot_that_is_gone_wakes_nobody() {
        let mut driver = Driver::new();
        let index = driver.open();
        let waker = driver.exchanges.slot(index).waker().clone();
        driver.end([index]);
        driver.wait();
        driver.wait();
        waker.wake();
        assert_eq!(driver.exchanges.woken(index), None);
    }

    #[test]
    fn bytes_that_an_upgraded_connection_did_not_send_are_given_back_with_it() {
        let mut driver = Driver::new();
        let open: Vec<u32> = (0..10).map(|_| driver.open()).collect();
        let owner = Arc::new(());
        for index in &open {
            let exchange = driver.exchanges.slot(*index);
            let link = exchange.link.clone();
            link.reopen();
            let bytes = Held(owner.clone());
            exchange.stage = Stage::Upgraded(Box::pin(async move {
                let mut stream = Upgraded::new(link);
                stream.write(Bytes::from_owner(bytes)).await.unwrap();
                std::future::pending().await
            }));
            let waker = exchange.waker().clone();
            let Stage::Upgraded(handler) = &mut exchange.stage else {
                panic!("it was upgraded");
            };
            let polled = handler.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending() && exchange.link.has_outgoing());
            driver.exchanges.release_place();
        }
        assert_eq!(Arc::strong_count(&owner), 11);
        // The first is still spoken to when the others are reset.
        driver.end(open.iter().copied().skip(1));
        assert_eq!(Arc::strong_count(&owner), 2);
        for index in &open[1..] {
            let exchange = driver.exchanges.slot(*index);
            assert!(Rc::get_mut(&mut exchange.link).unwrap().is_clear());
        }
    }

    #[test]
    fn what_an_exchange_was_told_ends_with_it() {
        let mut driver = Driver::new();
        let index = driver.open();
        let request = driver.exchanges.slot(index).link.clone();
        assert!(request.set_override(|overrides| overrides.max_body = Some(Some(0))));
        drop(request);
        driver.end([index]);
        assert_eq!(driver.reserve(), index);
        assert_eq!(driver.exchanges.slot(index).link.take_overrides(), None);
    }

    #[test]
    fn who_leaves_the_queue_does_not_hold_up_those_behind() {
        let mut driver = Driver::new();
        let working = driver.open();
        let waiting: Vec<u32> = (0..3).map(|_| driver.reserve()).collect();
        for index in &waiting {
            driver.exchanges.queue(*index);
        }
        driver.end([waiting[0]]);
        // Its slot is another's now, who has not waited.
        let other = driver.reserve();
        assert_eq!(other, waiting[0]);
        driver.end([working]);
        let called: Vec<bool> = [other, waiting[1], waiting[2]]
            .into_iter()
            .map(|index| driver.exchanges.take_call(index))
            .collect();
        assert_eq!(called, [false, true, false]);
    }
}
