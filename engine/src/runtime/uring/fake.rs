//! A kernel that does everything that a real one may, in an order and with faults that a seed chooses: short sends and
//! receives, operations that end by themselves or are interrupted, buffers that run out, completions that do not fit
//! into their queue, cancellations that come too late. What it does to sockets is done to the clients of
//! `crate::simulation`, which know what they are promised; `fake/lives.rs` has whole lives of the real driver over it.
//!
//! It reads and writes memory through the addresses that it was given, as a real one does, and sees to it that nobody
//! else does meanwhile: a buffer on offer still has the pattern it was given when it is taken, bytes to be sent are the
//! same when they are sent. So that freed memory does not go unnoticed either, run it under memcheck:
//!
//! ```text
//! CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER='valgrind --quiet --error-exitcode=9' \
//!     cargo test -p lanner --lib uring::fake
//! ```
//!
//! (a quarter of an hour; with `LANNER_RING_SEED=0..100` a minute).

mod lives;
mod offers;
mod request;

use super::buffers::Table;
use super::kernel::{Completion, Kernel, Kind, Operation, Token};
use super::sending::Slice;
use crate::context::Context;
use crate::listener::{Listening, Newcomer};
use crate::simulation::network::{Arrived, Network, Socket};
use crate::simulation::random::Random;
use lanner_limits::Moment;
use offers::Offers;
use request::{Progress, Request, What};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// Completions that fit into the queue; the others come with later calls, and cost what has overflowed its place.
const COMPLETIONS_MAX: usize = 40;

/// Buffers that a client's bytes fill before anybody else's are looked at, as on Linux 6.18.
const BURST_MAX: usize = 33;

/// Calls in a row without any time passing or anything being done: more, and the driver spins.
const IDLE_CALLS_MAX: usize = 1_000;

/// See the file's comment.
pub(super) struct Fake {
    random: Random,
    /// How many times rarer than usual faults are: on a good day an operation goes on for long.
    mildness: usize,
    context: Rc<Context>,
    network: Rc<RefCell<Network>>,
    table: Table,
    offers: Offers,
    /// Not begun yet.
    queued: VecDeque<Request>,
    running: Vec<Request>,
    completed: VecDeque<Completion<Socket>>,
    idle_calls: usize,
    tally: Tally,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) completions: u64,
    /// Of those and of everything else, what would not have happened on a good day.
    pub(super) faults: u64,
}

impl Fake {
    pub(super) fn new(
        mut random: Random,
        context: Rc<Context>,
        network: Rc<RefCell<Network>>,
    ) -> Self {
        Self {
            mildness: [1, 1, 1, 100][random.below(4)],
            random,
            context,
            network,
            table: Table::new(),
            offers: Offers::default(),
            queued: VecDeque::new(),
            running: Vec::new(),
            completed: VecDeque::new(),
            idle_calls: 0,
            tally: Tally::default(),
        }
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    /// Operations that have not completed, and completions that nobody has taken.
    pub(super) fn in_flight(&self) -> usize {
        self.queued.len() + self.running.len() + self.completed.len()
    }

    /// Buffers that the driver has on offer.
    pub(super) fn on_offer(&mut self) -> usize {
        self.offers.look(&self.table)
    }

    fn now(&self) -> Moment {
        self.context.now.get()
    }

    fn fault(&mut self, once_in: usize) -> bool {
        let fault = self.random.once_in(once_in * self.mildness);
        self.tally.faults += u64::from(fault);
        fault
    }

    fn post(&mut self, token: Token, result: Result<u32, Errno>, more: bool) {
        self.post_whole(Completion {
            token,
            result,
            more,
            buffer: None,
            socket: None,
        });
    }

    fn post_whole(&mut self, completion: Completion<Socket>) {
        self.tally.completions += 1;
        self.completed.push_back(completion);
    }

    /// Whether a completion more would overflow the queue, which ends operations that would go on.
    fn is_full(&self) -> bool {
        self.completed.len() >= COMPLETIONS_MAX
    }

    fn begin_queued(&mut self) {
        while let Some(request) = self.queued.pop_front() {
            match request.what {
                What::Cancel(name) => self.cancel(request.token, name),
                _ => self.running.push(request),
            }
        }
    }

    fn cancel(&mut self, token: Token, name: Token) {
        let found = self
            .running
            .iter_mut()
            .find(|running| running.token == name);
        match found {
            Some(running) if !running.cancelled => running.cancelled = true,
            _ => {
                self.tally.faults += 1;
                self.post(token, Err(Errno::NOENT), false);
            }
        }
    }

    /// Looks at every operation, in any order. Returns whether something has completed.
    fn progress(&mut self) -> bool {
        let before = self.tally.completions;
        let mut running = std::mem::take(&mut self.running);
        for index in (1..running.len()).rev() {
            running.swap(index, self.random.below(index + 1));
        }
        for mut request in running.drain(..) {
            // Not everything is looked at each time, and some things more than once.
            let mut progress = Progress::Waits;
            let mut looks = [0, 1, 1, 2, 5, BURST_MAX][self.random.below(6)];
            while looks > 0 {
                progress = self.look_at(&mut request);
                looks = if matches!(progress, Progress::Goes) {
                    looks - 1
                } else {
                    0
                };
            }
            if !matches!(progress, Progress::Over) {
                self.running.push(request);
            }
        }
        self.tally.completions > before
    }

    fn look_at(&mut self, request: &mut Request) -> Progress {
        let token = request.token;
        if request.cancelled {
            // Sometimes it was faster.
            let late = self.fault(3);
            if late && let Progress::Over = self.look_at_what(token, &mut request.what) {
                return Progress::Over;
            }
            self.post(token, Err(Errno::CANCELED), false);
            return Progress::Over;
        }
        self.look_at_what(token, &mut request.what)
    }

    fn look_at_what(&mut self, token: Token, what: &mut What) -> Progress {
        match what {
            What::Accept => self.accept(token),
            What::Poll => self.poll(token),
            What::Receive { client, once } => self.receive(token, *client, *once),
            What::Send {
                client,
                slices,
                bytes,
            } => self.send(token, *client, slices, bytes),
            What::Watch { client, told } => self.watch(token, *client, told),
            What::Cancel(_) => Progress::Over,
        }
    }

    fn accept(&mut self, token: Token) -> Progress {
        if self.fault(300) {
            let errno = [Errno::MFILE, Errno::CONNABORTED, Errno::INTR][self.random.below(3)];
            self.post(token, Err(errno), false);
            return Progress::Over;
        }
        let now = self.now();
        let connected = if self.fault(200) {
            Some(Socket::of_nobody(&self.network))
        } else {
            Network::accept(&self.network, now)
        };
        let Some(socket) = connected else {
            return Progress::Waits;
        };
        let more = !self.is_full() && !self.fault(8);
        self.post_whole(Completion {
            token,
            result: Ok(9),
            more,
            buffer: None,
            socket: Some(socket),
        });
        if more { Progress::Goes } else { Progress::Over }
    }

    /// Both descriptors that are polled may be reported for nothing.
    fn poll(&mut self, token: Token) -> Progress {
        let is_ready = self.is_woken(token);
        if !is_ready && !self.fault(100) {
            return Progress::Waits;
        }
        self.post(token, Ok(1), false);
        Progress::Over
    }

    fn is_woken(&self, token: Token) -> bool {
        let event = self.context.ready.event();
        let mut polled = [PollFd::new(&event, PollFlags::IN)];
        let at_once = rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        token.kind() == Kind::Wake
            && rustix::event::poll(&mut polled, Some(&at_once)).is_ok_and(|ready| ready > 0)
    }

    fn receive(&mut self, token: Token, client: usize, once: bool) -> Progress {
        let network = self.network.clone();
        let mut network = network.borrow_mut();
        let end = match network.arrived(client) {
            Arrived::Nothing => return Progress::Waits,
            Arrived::Bytes => None,
            Arrived::End => Some(Ok(0)),
            Arrived::Reset => Some(Err(Errno::CONNRESET)),
        };
        if let Some(result) = end {
            self.post(token, result, false);
            return Progress::Over;
        }
        // What a stop owes to clients depends on what comes with one receive.
        let stopping = network.is_stopping();
        if !stopping && self.fault(6) {
            let errno = [Errno::NOBUFS, Errno::INTR, Errno::AGAIN][self.random.below(3)];
            self.post(token, Err(errno), false);
            return Progress::Over;
        }
        let Some(mut buffer) = self.offers.take(&self.table) else {
            self.tally.faults += 1;
            self.post(token, Err(Errno::NOBUFS), false);
            return Progress::Over;
        };
        let most = [buffer.len(), 500, 1][if stopping { 0 } else { self.random.below(3) }];
        let bytes = network.take(client, most);
        buffer.fill(&bytes);
        let more = !once && !self.is_full() && !self.fault(5);
        self.post_whole(Completion {
            token,
            result: Ok(bytes.len() as u32),
            more,
            buffer: Some(buffer.id()),
            socket: None,
        });
        if more { Progress::Goes } else { Progress::Over }
    }

    fn send(&mut self, token: Token, client: usize, slices: &[Slice], bytes: &[u8]) -> Progress {
        let network = self.network.clone();
        let mut network = network.borrow_mut();
        let Some(mut room) = network.room(client) else {
            let errno = [Errno::PIPE, Errno::CONNRESET][self.random.below(2)];
            self.post(token, Err(errno), false);
            return Progress::Over;
        };
        if room == 0 {
            return Progress::Waits;
        }
        let there = offers::read(slices);
        assert!(there == bytes, "bytes in flight have changed");
        if self.fault(8) {
            let errno = [Errno::INTR, Errno::AGAIN][self.random.below(2)];
            self.post(token, Err(errno), false);
            return Progress::Over;
        }
        if self.fault(2) {
            room = self.random.within(1..room + 1);
        }
        let count = room.min(there.len());
        network.put(client, &there[..count]);
        self.post(token, Ok(count as u32), false);
        Progress::Over
    }

    fn watch(&mut self, token: Token, client: usize, told: &mut bool) -> Progress {
        let broken = self.network.borrow().is_broken(client);
        if broken && !*told {
            *told = true;
            let events = PollFlags::HUP | PollFlags::ERR;
            self.post(token, Ok(events.bits().into()), true);
            return Progress::Goes;
        }
        if self.fault(100) {
            let more = !self.fault(2);
            self.post(token, Ok(PollFlags::RDHUP.bits().into()), more);
            return if more { Progress::Goes } else { Progress::Over };
        }
        Progress::Waits
    }

    /// Lets time pass until something happens, at most until `end`. Returns whether it got there.
    fn let_time_pass(&mut self, end: Option<Moment>) -> bool {
        let now = self.now();
        let next = self.network.borrow().next_at(now);
        let to = [next, end].into_iter().flatten().min();
        let to = to.unwrap_or_else(|| {
            let standing = self.network.borrow().standing();
            panic!("nothing will ever happen: {:?}{standing}", self.running)
        });
        let to = to.max(now);
        self.context.now.set(to);
        if to > now {
            self.idle_calls = 0;
        }
        end.is_some_and(|end| to >= end) && next.is_none_or(|next| next > to)
    }
}

impl Kernel for Fake {
    type Socket = Socket;

    fn push(&mut self, operation: Operation<'_, Socket>, token: Token) {
        let request = Request::new(operation, token);
        let already = self.queued.iter().chain(&self.running);
        let twice = already
            .filter(|request| request.token.kind() != Kind::Cancel)
            .any(|request| request.token == token);
        assert!(!twice, "{token:?} is in flight already");
        self.queued.push_back(request);
        // The queue is full: it is worked off in between.
        if self.fault(50) {
            self.begin_queued();
            self.progress();
        }
    }

    fn enter(&mut self, wait_max: Option<Duration>) -> io::Result<()> {
        self.idle_calls += 1;
        assert!(
            self.idle_calls < IDLE_CALLS_MAX,
            "the driver spins at {}: {:?}",
            self.now(),
            self.running
        );
        self.begin_queued();
        let end = wait_max.map(|wait_max| self.now() + wait_max);
        loop {
            let now = self.now();
            self.network.borrow_mut().let_clients_act(now);
            if self.progress() {
                self.idle_calls = 0;
            }
            // What does not fit is given out later.
            let interrupted = self.fault(100);
            if !self.completed.is_empty() || interrupted {
                return Ok(());
            }
            if self.running.iter().any(|request| self.is_ready(request)) {
                continue;
            }
            if self.let_time_pass(end) {
                return Ok(());
            }
        }
    }

    fn take_completions(&mut self, into: &mut Vec<Completion<Socket>>) {
        let count = self.completed.len().min(COMPLETIONS_MAX);
        into.extend(self.completed.drain(..count));
    }

    fn is_drained(&mut self) -> bool {
        self.completed.is_empty()
    }

    fn table(&mut self) -> &mut Table {
        &mut self.table
    }

    fn adopt(&mut self, _: OwnedFd) -> Socket {
        panic!("nobody connects to the listener that the driver was given")
    }

    fn introduce(&self, socket: &Socket, listening: &Listening) -> Option<Newcomer> {
        let peer = socket.peer()?;
        Some(listening.introduce(Some(peer), || None))
    }

    fn is_quiet(&self, socket: &Socket) -> bool {
        self.network.borrow_mut().is_quiet(socket.client())
    }

    fn is_delivered(&self, socket: &Socket) -> bool {
        self.network.borrow().is_delivered(socket.client())
    }

    fn say_at_once(&self, _socket: &Socket, _bytes: &[u8]) {
        panic!("only who has TLS says something before a close")
    }

    fn shut_down(&self, socket: &Socket) {
        self.network.borrow_mut().shut_down(socket.client());
    }

    fn reset_on_close(&self, socket: &Socket) {
        socket.reset_on_close();
    }
}

impl Fake {
    /// Whether an operation would complete if it were looked at.
    fn is_ready(&self, request: &Request) -> bool {
        let network = self.network.borrow();
        match &request.what {
            _ if request.cancelled => true,
            What::Accept => network.somebody_connects(self.now()),
            What::Receive { client, .. } => network.arrived(*client) != Arrived::Nothing,
            What::Send { client, .. } => network.room(*client) != Some(0),
            What::Watch { client, told } => !told && network.is_broken(*client),
            What::Poll => self.is_woken(request.token),
            What::Cancel(_) => false,
        }
    }
}
