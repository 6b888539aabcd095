//! Our own driver on epoll: level-triggered, one flat loop, one shared read buffer.
//!
//! A request that comes whole and is answered at once costs one read and one write. Interest in a socket is changed
//! only when it must be: EPOLLOUT when a write fell short, EPOLLIN away while a connection wants no input.

use super::accepting::FIRST_LISTENER;
use super::door::{Door, Doorkeeper};
use super::prefetch::prefetch;
use super::{Setup, delivery, turn};
use crate::exchange::Dispatch;
use crate::slab::Key;
use crate::worker::{Verdict, Worker};
use lanner_limits::Moment;
use lanner_protocol::Output;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};
use std::io::{self, IoSlice};
use std::time::Duration;

/// Events taken from the kernel at once.
const EVENTS_PER_TURN: usize = 128;

/// How often a connection is served in one turn while its answer keeps the socket busy.
const SERVES_PER_TURN: usize = 16;

/// Writes of one connection before others get their turn, where each of them fills up: 16 slices, or what the
/// kernel's send buffer holds.
const WRITES_PER_SERVE: usize = 16;

/// Slices of one vectored write.
const SLICES_PER_WRITE: usize = 16;

/// What an event's number means when it is neither a listener's nor a connection's key.
const REACTOR: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;

/// Runs a worker until it has stopped.
pub(super) fn run<D: Dispatch>(setup: Setup<D>, started: impl FnOnce()) -> io::Result<()> {
    let mut driver = Epoll::new(setup)?;
    driver.mind_the_door()?;
    started();
    driver.run()
}

struct Epoll<D: Dispatch> {
    epoll: OwnedFd,
    worker: Worker<D>,
    /// The sockets of the worker's connections, by the index of their keys.
    sockets: Vec<Option<Socket>>,
    door: Door,
    now: Moment,
    /// Connections to be served without an event of their own; kept for its memory.
    due: Vec<Key>,
}

struct Socket {
    descriptor: OwnedFd,
    /// What the kernel was told to wait for, once it was.
    interest: Option<EventFlags>,
}

impl<D: Dispatch> Epoll<D> {
    fn new(setup: Setup<D>) -> io::Result<Self> {
        let Setup {
            mut worker,
            listeners,
            control,
            origin,
        } = setup;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let context = &worker.context;
        epoll::add(
            &epoll,
            context.ready.event(),
            EventData::new_u64(WAKE),
            EventFlags::IN,
        )?;
        epoll::add(
            &epoll,
            context.reactor.descriptor(),
            EventData::new_u64(REACTOR),
            EventFlags::IN,
        )?;
        let now = turn::first(&mut worker, origin);
        let door = Door::new(&worker, listeners, control, now);
        Ok(Self {
            epoll,
            worker,
            sockets: Vec::new(),
            door,
            now,
            due: Vec::new(),
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS_PER_TURN);
        loop {
            self.wait(&mut events)?;
            for at in 0..events.len() {
                if let Some(next) = events.get(at + 1) {
                    self.foresee(*next);
                }
                self.handle(events[at]);
            }
            events.clear();
            self.serve_due();
            self.mind_the_door()?;
            if let Some(log) = &mut self.worker.shared.access_log {
                log.hand_over();
            }
            if self.door.is_closed() && self.worker.connections() == 0 {
                return Ok(());
            }
        }
    }

    /// Waits for events, at most until something is due, and reads the clock on both sides of it.
    fn wait(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        let before = turn::ends(&self.worker);
        let due = [
            self.worker.next_due(before),
            self.door.due(&self.worker, before),
        ];
        let due = due.into_iter().flatten().min();
        let ready = self.worker.context.ready.clone();
        let planned = match due {
            _ if !ready.fall_asleep() => Some(Duration::ZERO),
            due => due.map(|due| due.since(before)),
        };
        let timeout = planned.map(timespec);
        let waited = epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(events),
            timeout.as_ref(),
        );
        self.now = turn::begins(&mut self.worker, planned);
        match waited {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The event is handled next.
    fn foresee(&self, event: Event) {
        let number = event.data.u64();
        if number < FIRST_LISTENER
            && let Some(place) = self.worker.place(Key::from_bits(number))
        {
            prefetch(place);
        }
    }

    fn handle(&mut self, event: Event) {
        // The event is packed: its parts are copied out.
        let (number, flags) = (event.data.u64(), event.flags);
        match number {
            WAKE => self.worker.context.ready.clear_event(),
            REACTOR => self.worker.context.reactor.look(),
            FIRST_LISTENER..WAKE => self.accept((number - FIRST_LISTENER) as usize),
            bits => self.handle_connection(Key::from_bits(bits), flags),
        }
    }

    fn handle_connection(&mut self, key: Key, flags: EventFlags) {
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            let broken = flags.intersects(EventFlags::HUP | EventFlags::ERR);
            self.read(key, broken);
        }
        self.serve(key);
    }

    /// Reads once. Level-triggered epoll tells if more is there.
    fn read(&mut self, key: Key, broken: bool) {
        let Some(socket) = socket(&self.sockets, key) else {
            return;
        };
        let Some(room) = self.worker.room(key) else {
            if broken {
                self.worker.handle_reset(key);
            }
            return;
        };
        match rustix::net::recv(&socket.descriptor, room, RecvFlags::empty()) {
            Ok((_, 0)) => self.worker.handle_eof(key),
            Ok((_, count)) => self.worker.received(key, count),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.worker.handle_reset(key),
        }
    }

    /// Lets a connection do what it can, writes, and does with its socket what came of it.
    fn serve(&mut self, key: Key) {
        for _ in 0..SERVES_PER_TURN {
            self.worker.advance(key, self.now);
            self.write(key);
            let sockets = &self.sockets;
            let is_delivered =
                || socket(sockets, key).is_none_or(|socket| delivery::is_over(&socket.descriptor));
            match self.worker.settle(key, self.now, is_delivered) {
                Verdict::Again => {}
                Verdict::Wait { read, write } => return self.watch(key, read, write),
                Verdict::Shutdown => {
                    if let Some(socket) = socket(&self.sockets, key) {
                        let _ = rustix::net::shutdown(&socket.descriptor, Shutdown::Write);
                    }
                    self.worker.handle_shutdown(key, self.now);
                }
                Verdict::Stale => return,
                Verdict::Close => return self.close(key, false),
                Verdict::Reset => return self.close(key, true),
            }
        }
        self.worker.put_off(key);
    }

    fn write(&mut self, key: Key) {
        let Some(socket) = socket(&self.sockets, key) else {
            return;
        };
        let Some(output) = self.worker.output(key) else {
            return;
        };
        for _ in 0..WRITES_PER_SERVE {
            if output.is_empty() {
                return;
            }
            match send(socket.descriptor.as_fd(), output) {
                Ok(count) => {
                    let whole = count == output.len();
                    let vectored = output.contiguous().is_none();
                    output.advance(count);
                    // A plain write that fell short filled the socket; a vectored one may have had more slices.
                    if !whole && !vectored {
                        return;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    output.clear();
                    return self.worker.handle_reset(key);
                }
            }
        }
    }

    /// Tells the kernel what to wait for, if that has changed.
    fn watch(&mut self, key: Key, read: bool, write: bool) {
        let Some(socket) = self
            .sockets
            .get_mut(key.index as usize)
            .and_then(Option::as_mut)
        else {
            return;
        };
        let mut interest = EventFlags::empty();
        interest.set(EventFlags::IN, read);
        interest.set(EventFlags::OUT, write);
        let before = socket.interest.replace(interest);
        if before == Some(interest) {
            return;
        }
        let data = EventData::new_u64(key.to_bits());
        let told = match before {
            None => epoll::add(&self.epoll, &socket.descriptor, data, interest),
            Some(_) => epoll::modify(&self.epoll, &socket.descriptor, data, interest),
        };
        if told.is_err() {
            self.worker.handle_reset(key);
            self.worker.put_off(key);
        }
    }

    fn close(&mut self, key: Key, reset: bool) {
        let Some(socket) = self
            .sockets
            .get_mut(key.index as usize)
            .and_then(Option::take)
        else {
            return;
        };
        let worker = &mut self.worker;
        worker.farewell(|bytes| delivery::say_at_once(&socket.descriptor, bytes));
        if reset {
            // RFC 9293 section 3.10.4: closing with a zero linger sends a reset.
            let _ =
                rustix::net::sockopt::set_socket_linger(&socket.descriptor, Some(Duration::ZERO));
        }
    }

    /// Serves what became due without an event.
    fn serve_due(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        self.worker.collect(self.now, &mut due);
        for key in due.drain(..) {
            self.serve(key);
        }
        self.due = due;
    }
}

impl<D: Dispatch> Doorkeeper<D> for Epoll<D> {
    type Socket = OwnedFd;

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
        self.door.accepting.watch_through(self.epoll.as_fd(), on)
    }

    fn adopt(&mut self, descriptor: OwnedFd) -> OwnedFd {
        descriptor
    }

    fn open(&mut self, key: Key, descriptor: OwnedFd) {
        let index = key.index as usize;
        if index >= self.sockets.len() {
            self.sockets.resize_with(index + 1, || None);
        }
        self.sockets[index] = Some(Socket {
            descriptor,
            interest: None,
        });
        if self.worker.shared.limits.tcp_defer_accept.is_none() {
            return self.watch(key, true, false);
        }
        // Its first bytes are there, unless its client was silent for too long. One that is answered and closed at once is
        // never waited for.
        self.read(key, false);
        self.serve(key);
    }

    fn make_room(&mut self, newcomers: usize) -> bool {
        let sockets = &self.sockets;
        let shed = self
            .worker
            .shed(self.now, newcomers, |key| is_quiet(sockets, key));
        shed.inspect(|key| self.serve(*key)).is_some()
    }

    fn stop_connection(&mut self, key: Key) {
        // What has come but was not read yet was sent before the stop.
        self.read(key, false);
        self.serve(key);
        self.worker.handle_stop(key, self.now);
        self.serve(key);
    }

    fn cut_connection(&mut self, key: Key) {
        self.serve(key);
    }
}

/// A connection's socket.
fn socket(sockets: &[Option<Socket>], key: Key) -> Option<&Socket> {
    sockets.get(key.index as usize).and_then(Option::as_ref)
}

/// Whether nothing has come on an idle connection that was not read yet: a request, or the client's end.
fn is_quiet(sockets: &[Option<Socket>], key: Key) -> bool {
    let Some(socket) = socket(sockets, key) else {
        return true;
    };
    let mut byte = [0];
    rustix::net::recv(&socket.descriptor, &mut byte, RecvFlags::PEEK) == Err(Errno::AGAIN)
}

fn send(socket: BorrowedFd<'_>, output: &Output) -> rustix::io::Result<usize> {
    if let Some(bytes) = output.contiguous() {
        return rustix::net::send(socket, bytes, SendFlags::NOSIGNAL);
    }
    let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
    let mut count = 0;
    for (slot, slice) in slices.iter_mut().zip(output.slices()) {
        *slot = IoSlice::new(slice);
        count += 1;
    }
    let mut nothing = SendAncillaryBuffer::default();
    rustix::net::sendmsg(socket, &slices[..count], &mut nothing, SendFlags::NOSIGNAL)
}

/// Rounded up, so that what is due at the end of a wait is due.
fn timespec(duration: Duration) -> rustix::time::Timespec {
    rustix::time::Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
