//! Our own driver on io_uring: one flat loop, one system call a turn. The kernel accepts and receives by itself once it
//! has been asked to, into buffers of its choice; what connections answer is queued and begun with the next wait.
//!
//! Who owns what:
//! - A socket stands in this driver's own slab (`socket`) from accept until the last operation on it has completed. Its
//!   connection in the worker may be gone before; a completion finds the socket by place and generation, and the
//!   connection by the key that the socket has.
//! - Bytes received lie in a buffer (`buffers`) which is the kernel's while it is on offer and the driver's from the
//!   completion on. The worker parses where they are. If a request still holds the buffer then, another one of the
//!   worker's pool takes its place, so that a slow request never keeps the kernel from receiving for others.
//! - Bytes to be sent are lent from the connection's output (`sending`) and untouched until the send has completed. At
//!   most one send of a connection is in flight; what it has to say meanwhile gathers behind it. A send that fell short
//!   goes on with the rest: the kernel could be asked to (MSG_WAITALL), but then nobody would know how far it has come.
//! - The ring (`ring`) is dropped after everything has completed. If an error or a panic does not leave the time for
//!   that, the memory which the kernel may still use is leaked.
//!
//! Back-pressure: a connection that waits for requests is received for without end, and the kernel fills as many buffers
//! as it likes before we look: 33 of them for each client that has sent so much (Linux 6.18), and at most those on offer.
//! Once a body is open, or answers are not taken, that ends, and the connection gets one buffer at a time, when it has room
//! for one. So a client can have us hold beyond the bounds of its connection what came with its request: half a megabyte.
//! A connection that wants nothing for other reasons goes on being received for until something comes, for most of them
//! soon want some again; what comes then is taken, and the receiving is cancelled. While nothing is received a
//! connection is watched for its end.
//!
//! What a send has come to is learned from its completion, which for almost all of them comes with the very wait that
//! begins them. Only then does the worker draw its conclusions; for a send that does not complete at once it is done
//! after that wait.

mod buffers;
#[cfg(test)]
mod fake;
mod kernel;
mod listeners;
mod probe;
mod ring;
mod sending;
mod served;
mod socket;

pub(crate) use probe::Rings;

use super::door::{Door, Doorkeeper};
use super::prefetch::prefetch;
use super::{Setup, turn};
use crate::exchange::Dispatch;
use crate::slab::{Key, Slab};
use crate::worker::Worker;
use buffers::Buffers;
use kernel::{Completion, Kernel, Kind, Operation, Token};
use lanner_limits::Moment;
use listeners::{Arrival, Listeners};
use ring::Ring;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use sending::Spares;
use socket::{Flight, Socket};
use std::io;
use std::time::Duration;

/// Waits for the last operations to end when the worker has. Each comes with a completion, so they are few.
const LAST_WAITS_MAX: usize = 1000;

/// A wait that begins sends ends by then, so that the deadlines of those which do not complete at once are set.
const SETTLED_WITHIN: Duration = Duration::from_millis(1);

/// Runs a worker until it has stopped.
pub(super) fn run<D: Dispatch>(
    rings: &Rings,
    setup: Setup<D>,
    started: impl FnOnce(),
) -> io::Result<()> {
    let ring = rings.take()?;
    ring.enable()?;
    let Setup {
        mut worker,
        listeners,
        control,
        origin,
    } = setup;
    let now = turn::first(&mut worker, origin);
    let door = Door::new(&worker, listeners, control, now);
    let mut driver: Uring<D, Ring> = Uring::new(ring, worker, door, now);
    driver.mind_the_door()?;
    started();
    driver.run()?;
    driver.finish()?;
    driver.kernel.unregister_table();
    driver.buffers.retire(driver.kernel.table());
    Ok(())
}

/// See the file's comment.
struct Uring<D: Dispatch, K: Kernel> {
    kernel: K,
    worker: Worker<D>,
    sockets: Slab<Socket<K::Socket>>,
    /// The sockets of the worker's connections, by the index of their keys.
    places: Vec<Key>,
    buffers: Buffers,
    spares: Spares,
    door: Door,
    listeners: Listeners<K::Socket>,
    wake: Flight,
    reactor: Flight,
    now: Moment,
    /// Connections that sent something since the last wait, and those that did before it.
    unsettled: Vec<Key>,
    settling: Vec<Key>,
    /// Connections that are to be told of the stop.
    stopping: Vec<Key>,
    /// Completions of operations that nobody waits for. There can be none: the tests look.
    strays: usize,
    /// The kernel lost count of our buffers, or we did: nothing can be trusted any more.
    broken: Option<io::Error>,
    /// Kept for their memory.
    completions: Vec<Completion<K::Socket>>,
    arrived: Vec<(usize, Arrival<K::Socket>)>,
    due: Vec<Key>,
}

impl<D: Dispatch, K: Kernel> Uring<D, K> {
    fn new(mut kernel: K, worker: Worker<D>, door: Door, now: Moment) -> Self {
        let buffers = Buffers::new(kernel.table(), worker.shared.pool.clone());
        let mut driver = Self {
            kernel,
            worker,
            sockets: Slab::new(),
            places: Vec::new(),
            buffers,
            spares: Spares::new(),
            listeners: Listeners::new(&door.accepting),
            door,
            wake: Flight::Idle,
            reactor: Flight::Idle,
            now,
            unsettled: Vec::new(),
            settling: Vec::new(),
            stopping: Vec::new(),
            strays: 0,
            broken: None,
            completions: Vec::new(),
            arrived: Vec::new(),
            due: Vec::new(),
        };
        driver.await_wake();
        driver.await_reactor();
        driver
    }

    fn run(&mut self) -> io::Result<()> {
        while !self.is_over() {
            self.turn()?;
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.door.is_closed()
            && self.worker.connections() == 0
            && self.sockets.len() == 0
            && self.listeners.are_at_rest()
    }

    fn turn(&mut self) -> io::Result<()> {
        self.wait()?;
        // What was sent before the wait, and nothing that is sent in this turn.
        std::mem::swap(&mut self.unsettled, &mut self.settling);
        self.handle_completions();
        self.settle_all();
        self.let_in();
        self.serve_due();
        self.mind_the_door()?;
        self.tell_of_stop();
        self.listeners
            .follow(&mut self.kernel, &self.door.accepting);
        if let Some(log) = &mut self.worker.shared.access_log {
            log.hand_over();
        }
        self.broken.take().map_or(Ok(()), Err)
    }

    /// Waits for completions, at most until something is due, and reads the clock on both sides of it.
    fn wait(&mut self) -> io::Result<()> {
        let before = turn::ends(&self.worker);
        // What was sent and does not complete at once has to be settled soon, for its deadlines.
        let soon = before + SETTLED_WITHIN;
        let due = [
            self.worker.next_due(before),
            self.door.due(&self.worker, before),
            (!self.unsettled.is_empty()).then_some(soon),
        ];
        let due = due.into_iter().flatten().min();
        let planned = match due {
            _ if !self.worker.context.ready.fall_asleep() => Some(Duration::ZERO),
            // What they are waiting for has come already.
            _ if !self.stopping.is_empty() => Some(Duration::ZERO),
            due => due.map(|due| due.since(before)),
        };
        let waited = self.kernel.enter(planned);
        self.now = turn::begins(&mut self.worker, planned);
        waited
    }

    fn handle_completions(&mut self) {
        let mut completions = std::mem::take(&mut self.completions);
        self.kernel.take_completions(&mut completions);
        let mut rest = completions.drain(..);
        while let Some(completion) = rest.next() {
            // Its socket first: that says which connection it is.
            if let Some(later) = rest.as_slice().get(1)
                && let Some(place) = self.sockets.place(later.token.place())
            {
                prefetch(place);
            }
            if let Some(next) = rest.as_slice().first() {
                self.foresee(next.token);
            }
            self.handle(completion);
        }
        drop(rest);
        self.completions = completions;
    }

    /// The completion of this name is handled next.
    fn foresee(&self, token: Token) {
        if let Some(socket) = self.sockets.get(token.place())
            && let Some(place) = self.worker.place(socket.key)
        {
            prefetch(place);
        }
    }

    fn handle(&mut self, completion: Completion<K::Socket>) {
        match completion.token.kind() {
            Kind::Receive => self.handle_receive(&completion),
            Kind::Send => self.handle_send(&completion),
            Kind::Watch => self.handle_watch(&completion),
            Kind::Accept | Kind::Knock => self.listeners.complete(completion),
            Kind::Wake => {
                self.wake = Flight::Idle;
                self.worker.context.ready.clear_event();
                self.await_wake();
            }
            Kind::Reactor => {
                self.reactor = Flight::Idle;
                let context = self.worker.context.clone();
                context.reactor.look();
                self.await_reactor();
            }
            Kind::Cancel => {}
        }
    }

    /// Once each time: what is left when we have looked is told again, as a level-triggered epoll would.
    fn await_wake(&mut self) {
        if self.wake.is_idle() {
            self.wake = Flight::Running;
            let operation = Operation::Poll {
                descriptor: self.worker.context.ready.event(),
                exclusive: false,
            };
            self.kernel.push(operation, Token::numbered(Kind::Wake, 0));
        }
    }

    fn await_reactor(&mut self) {
        if self.reactor.is_idle() {
            self.reactor = Flight::Running;
            let operation = Operation::Poll {
                descriptor: self.worker.context.reactor.descriptor(),
                exclusive: false,
            };
            self.kernel
                .push(operation, Token::numbered(Kind::Reactor, 0));
        }
    }

    /// Lets in who has arrived, now that all input has been taken.
    fn let_in(&mut self) {
        let mut arrived = std::mem::take(&mut self.arrived);
        self.listeners.take_arrived(&mut arrived);
        for (number, arrival) in arrived.drain(..) {
            match arrival {
                Arrival::Connection(socket) => self.welcome(number, socket),
                Arrival::Knock => self.accept(number),
                Arrival::Failure(
                    errno @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM),
                ) => self.exhausted(number, &errno.into()),
                // Of the connection, which is gone, or of the operation, which was cancelled.
                Arrival::Failure(_) => {}
            }
        }
        self.arrived = arrived;
    }

    fn welcome(&mut self, number: usize, socket: K::Socket) {
        // Without its listener it comes after everybody was cut; without a peer it has gone already.
        let listening = self.door.accepting.listeners().get(number);
        let newcomer = listening.and_then(|listening| self.kernel.introduce(&socket, listening));
        if let Some(newcomer) = newcomer {
            self.admit(socket, newcomer);
        }
    }

    /// Serves what became due without a completion.
    fn serve_due(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        self.worker.collect(self.now, &mut due);
        for key in due.drain(..) {
            self.serve_key(key);
        }
        self.due = due;
    }

    /// The worker has ended: has everything complete that is still in flight.
    fn finish(&mut self) -> io::Result<()> {
        for kind in [Kind::Wake, Kind::Reactor] {
            let name = Token::numbered(Kind::Cancel, 0);
            let operation = Operation::Cancel(Token::numbered(kind, 0));
            self.kernel.push(operation, name);
        }
        for _ in 0..LAST_WAITS_MAX {
            self.kernel.enter(Some(Duration::from_millis(10)))?;
            let mut completions = std::mem::take(&mut self.completions);
            self.kernel.take_completions(&mut completions);
            for completion in completions.drain(..) {
                match completion.token.kind() {
                    Kind::Wake => self.wake = Flight::Idle,
                    Kind::Reactor => self.reactor = Flight::Idle,
                    _ => {}
                }
            }
            if self.wake.is_idle() && self.reactor.is_idle() {
                return Ok(());
            }
        }
        Err(io::Error::other("the ring did not come to rest"))
    }
}

impl<D: Dispatch, K: Kernel> Doorkeeper<D> for Uring<D, K> {
    type Socket = K::Socket;

    fn door(&mut self) -> &mut Door {
        &mut self.door
    }

    fn now(&self) -> Moment {
        self.now
    }

    fn with_worker<R>(&mut self, how: impl FnOnce(&mut Worker<D>) -> R) -> R {
        how(&mut self.worker)
    }

    fn watch_listeners(&mut self, on: bool) -> io::Result<()> {
        let accepting = &self.door.accepting;
        self.listeners.watch(&mut self.kernel, accepting, on);
        Ok(())
    }

    fn has_ceased_accepting(&mut self) -> bool {
        let accepting = &self.door.accepting;
        self.listeners.watch(&mut self.kernel, accepting, false);
        self.listeners.are_at_rest()
    }

    fn adopt(&mut self, descriptor: OwnedFd) -> K::Socket {
        self.kernel.adopt(descriptor)
    }

    fn open(&mut self, key: Key, socket: K::Socket) {
        self.open_socket(key, socket);
    }

    fn make_room(&mut self, newcomers: usize) -> bool {
        let drained = self.kernel.is_drained();
        let (kernel, sockets, places) = (&self.kernel, &self.sockets, &self.places);
        let shed = self.worker.shed(self.now, newcomers, |key| {
            served::find(sockets, places, key)
                .and_then(|at| sockets.get(at))
                .is_none_or(|socket| {
                    // The worker does not know of a send that was begun in this turn: it concludes nothing before the wait.
                    socket.send.is_idle() && drained && kernel.is_quiet(socket.socket())
                })
        });
        shed.inspect(|key| self.serve_key(*key)).is_some()
    }

    fn stop_connection(&mut self, key: Key) {
        if let Some(at) = served::find(&self.sockets, &self.places, key)
            && let Some(socket) = self.sockets.get_mut(at)
        {
            socket.heard = 0;
            self.stopping.push(key);
        }
    }

    fn cut_connection(&mut self, key: Key) {
        self.serve_key(key);
    }
}
