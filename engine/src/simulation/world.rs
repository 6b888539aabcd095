//! The driver of a simulation: `runtime/epoll.rs` with another kernel, among clients that are scripts. Whatever order of
//! calls that one keeps, this one keeps. What the worker does can be watched as it happens.

mod accepting;

use super::client::Client;
use super::random::Random;
use super::socket::Socket;
use super::watch::{Deed, Sight, WATCHED, Watch};
use crate::App;
use crate::admission::Admission;
use crate::clock::Clock;
use crate::context::{Context, Entered};
use crate::control::{Phase, StopPlan, StopStep};
use crate::counters::{Count, Counters, WorkerCounters};
use crate::date::Date;
use crate::exchange::{Dispatch, Dispatcher, Exchanges};
use crate::lease::Pool;
use crate::shared::Shared;
use crate::slab::Key;
use crate::worker::{Verdict, Worker};
use lanner_limits::{Limits, Moment};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Turns in a row without any time passing: more, and the worker spins. (A body in small chunks that a task of its own
/// reads takes two turns a chunk.)
const TURNS_AT_ONCE_MAX: usize = 100_000;

/// Memory that unsent answers of one connection may take: the response buffer, one answer more and the pieces of
/// a stream.
const OUTPUT_BYTES_MAX: usize = 400_000;

/// What a run is made of.
pub(super) struct Plan<'a> {
    pub(super) random: Random,
    pub(super) limits: Limits,
    pub(super) clients: Vec<Client>,
    /// When the stop begins.
    pub(super) stop_at: Duration,
    /// Whether the worker stands still now and then.
    pub(super) freezes: bool,
    pub(super) watch: Option<Watch<'a>>,
}

pub(super) struct World<'a, D: Dispatch> {
    random: Random,
    limits: Rc<Limits>,
    worker: Worker<D>,
    pub(super) clients: Vec<Client>,
    /// Which client a connection belongs to, by the index of its key.
    sockets: Vec<Option<(Key, usize)>>,
    connected: Vec<Option<Key>>,
    clock: Clock,
    /// Real time; `now` is the worker's.
    real: Duration,
    now: Moment,
    phase: Phase,
    stop: StopPlan,
    stop_at: Duration,
    stop_began: Option<Moment>,
    /// When what was left was cut, if anything was.
    cut: Option<Moment>,
    freezes: bool,
    /// The worker has just come round again after it had stood still.
    thawed: bool,
    due: Vec<Key>,
    watch: Option<Watch<'a>>,
    /// How often the bounds of `WATCHED` were hit, and how many requests were taken.
    told: ([u64; WATCHED.len()], u64),
    /// The worker's futures find it here.
    _entered: Entered,
}

/// A world in which `app` is served.
pub(super) fn serving<'a, A: App>(plan: Plan<'a>, app: A) -> World<'a, impl Dispatch + use<A>> {
    let context = Context::new(Arc::default(), Arc::default()).expect("there are descriptors");
    let entered = context.enter();
    let dispatch = Dispatcher::new(app, async |app: Rc<A>, request| app.call(request).await);
    let limits = Rc::new(plan.limits);
    let shared = Shared {
        limits: limits.clone(),
        pool: Pool::default(),
        exchanges: Exchanges::new(dispatch, context.ready.clone()),
        date: Date::new(),
        access_log: None,
        text: Vec::new(),
        counters: Arc::new(WorkerCounters::new()),
        admission: Admission::new(&limits),
    };
    World {
        worker: Worker::new(shared, context, Moment::ZERO),
        connected: vec![None; plan.clients.len()],
        freezes: plan.freezes,
        random: plan.random,
        limits,
        clients: plan.clients,
        sockets: Vec::new(),
        clock: Clock::new(Clock::origin()),
        real: Duration::ZERO,
        now: Moment::ZERO,
        phase: Phase::Running,
        stop: StopPlan::Running,
        stop_at: plan.stop_at,
        stop_began: None,
        cut: None,
        thawed: false,
        due: Vec::new(),
        watch: plan.watch,
        told: ([0; WATCHED.len()], 0),
        _entered: entered,
    }
}

impl<D: Dispatch> World<'_, D> {
    /// Lives from the beginning to the end of the stop.
    pub(super) fn run(&mut self) {
        let mut turns_at_once = 0;
        loop {
            turns_at_once = if self.wait() { 0 } else { turns_at_once + 1 };
            assert!(
                turns_at_once < TURNS_AT_ONCE_MAX,
                "the worker spins at {}, next due {:?}: {}",
                self.now,
                self.worker.next_due(self.now),
                self.standing()
            );
            self.worker.turn_begins(self.now);
            self.let_clients_act();
            self.handle_events();
            self.serve_due();
            self.follow_stop();
            if self.freezes && self.random.once_in(300) {
                // A handler holds up its worker.
                self.real += self.random.millis(1_500..20_000);
            }
            if self.stop.is_draining() && self.worker.connections() == 0 {
                break;
            }
        }
        // What is on its way still arrives, at the pace of whoever takes it.
        for client in &mut self.clients {
            while let Some(at) = client.next_at() {
                self.real = self.real.max(at);
                client.act(self.real, self.now);
            }
        }
    }

    /// Moves real time to whatever comes next, and sometimes well beyond. Returns whether there was time to wait.
    fn wait(&mut self) -> bool {
        let (before, _) = self.clock.end_at(self.real);
        // As the step itself, its moment is a real one.
        let stop = self
            .stop
            .due()
            .map(|due| before + due.since(self.clock.real()));
        let due = [self.worker.next_due(before), stop]
            .into_iter()
            .flatten()
            .min();
        let ready = self.worker.context.ready.clone();
        let planned = match due {
            _ if !ready.fall_asleep() => Some(Duration::ZERO),
            due => due.map(|due| due.since(before)),
        };
        let events = self.clients.iter().any(|client| client.socket.is_ready());
        let client = (0..self.clients.len())
            .filter_map(|index| self.client_at(index))
            .min()
            .map(|at| at.saturating_sub(self.real));
        let stop = (self.phase == Phase::Running).then(|| self.stop_at.saturating_sub(self.real));
        let next = [planned, client, stop].into_iter().flatten().min();
        let wait = if events {
            Duration::ZERO
        } else {
            next.expect("somebody still waits for something")
        };
        if wait > Duration::ZERO {
            self.tell(Deed::Rest, None);
        }
        self.real += wait;
        self.thawed = self.freezes && self.random.once_in(100);
        if self.thawed {
            // Long enough to be noticed: a shorter standstill cannot be told from a quiet network.
            self.real += planned.unwrap_or_default() + self.random.millis(1_001..60_000);
        }
        ready.wake_up();
        self.worker.context.ready.clear_event();
        let planned = planned.map(|planned| if events { Duration::ZERO } else { planned });
        (self.now, _) = self.clock.begin_at(self.real, planned);
        wait > Duration::ZERO
    }

    fn client_at(&self, index: usize) -> Option<Duration> {
        let client = &self.clients[index];
        match self.connected[index] {
            None if client.socket.connected.is_some() => None,
            None if self.phase == Phase::Running => Some(client.connects_at()),
            None => None,
            Some(_) => client.next_at(),
        }
    }

    fn let_clients_act(&mut self) {
        for index in 0..self.clients.len() {
            // Who is late comes with the next turn, in the same moment.
            let is_late = self.watch.is_some() && self.random.once_in(4);
            if is_late || self.client_at(index).is_none_or(|at| at > self.real) {
                continue;
            }
            if self.connected[index].is_none() {
                self.accept(index);
            }
            self.clients[index].act(self.real, self.now);
        }
    }

    /// Tells whoever watches.
    fn tell(&mut self, deed: Deed, client: Option<usize>) {
        if let Some(watch) = &mut self.watch {
            watch(&Sight {
                deed,
                client,
                now: self.now,
                clients: &self.clients,
            });
        }
    }

    /// Tells what the counters say of the connection that was just served.
    fn tell_counted(&mut self, client: usize) {
        if self.watch.is_none() {
            return;
        }
        let counters = Counters::sum([&*self.worker.shared.counters].into_iter());
        let (hits, requests) = self.told;
        self.told = (
            WATCHED.map(|trip| counters.hits(trip)),
            counters.count(Count::Requests),
        );
        for _ in requests..self.told.1 {
            self.tell(Deed::Taken, Some(client));
        }
        for (index, trip) in WATCHED.into_iter().enumerate() {
            for _ in hits[index]..self.told.0[index] {
                self.tell(Deed::Hit(trip), Some(client));
            }
        }
    }

    fn socket(&mut self, key: Key) -> Option<&mut Socket> {
        let (_, client) = self.sockets[key.index as usize].filter(|(held, _)| *held == key)?;
        Some(&mut self.clients[client].socket)
    }

    fn handle_events(&mut self) {
        let mut ready: Vec<Key> = (0..self.clients.len())
            .filter(|index| self.clients[*index].socket.is_ready())
            .filter_map(|index| self.connected[index])
            .collect();
        for index in (1..ready.len()).rev() {
            ready.swap(index, self.random.below(index + 1));
        }
        for key in ready {
            let Some(socket) = self.socket(key) else {
                continue;
            };
            let broken = socket.is_broken();
            if broken || socket.reads {
                self.read(key, broken);
            }
            self.serve(key);
        }
    }

    fn read(&mut self, key: Key, broken: bool) {
        // What gathered while the worker stood still is all there at once, before any deadline is looked at; and at the
        // stop, everything that has come is read.
        let all = self.thawed || self.phase != Phase::Running;
        let most = [usize::MAX, 500, 1][if all { 0 } else { self.random.below(3) }];
        let Some(room) = self.worker.room(key) else {
            if broken {
                self.worker.handle_reset(key);
            }
            return;
        };
        let (_, client) = self.sockets[key.index as usize].expect("a connection has a socket");
        let socket = &mut self.clients[client].socket;
        if socket.client_reset {
            return self.worker.handle_reset(key);
        }
        let count = socket.inbound.len().min(room.len()).min(most);
        room[..count].copy_from_slice(&socket.inbound.make_contiguous()[..count]);
        socket.inbound.drain(..count);
        match count {
            0 if socket.client_ended => self.worker.handle_eof(key),
            0 => {}
            _ => self.worker.received(key, count),
        }
    }

    fn serve(&mut self, key: Key) {
        for _ in 0..16 {
            self.worker.advance(key, self.now);
            self.write(key);
            let is_delivered = self
                .socket(key)
                .is_none_or(|socket| socket.inbound.is_empty() && socket.outbound.is_empty());
            let verdict = self.worker.settle(key, self.now, || is_delivered);
            if let Some((_, client)) =
                self.sockets[key.index as usize].filter(|(held, _)| *held == key)
            {
                self.tell_counted(client);
            }
            match verdict {
                Verdict::Again => {}
                Verdict::Wait { read, write } => {
                    let now = self.now;
                    if let Some(socket) = self.socket(key) {
                        (socket.reads, socket.writes) = (read, write);
                        if socket.server_ended.is_some() {
                            socket.lingers.get_or_insert(now);
                        }
                    }
                    return;
                }
                Verdict::Shutdown => {
                    let now = self.now;
                    if let Some(socket) = self.socket(key) {
                        socket.server_ended.get_or_insert(now);
                    }
                    self.worker.handle_shutdown(key, now);
                }
                Verdict::Stale => return,
                Verdict::Close => return self.close(key, false),
                Verdict::Reset => return self.close(key, true),
            }
        }
        self.worker.put_off(key);
    }

    fn write(&mut self, key: Key) {
        let Some((_, client)) = self.sockets[key.index as usize].filter(|(held, _)| *held == key)
        else {
            return;
        };
        let socket = &mut self.clients[client].socket;
        let Some(output) = self.worker.output(key) else {
            return;
        };
        assert!(
            output.len() <= OUTPUT_BYTES_MAX,
            "{} bytes are queued",
            output.len()
        );
        if socket.client_reset && !output.is_empty() {
            output.clear();
            return self.worker.handle_reset(key);
        }
        let mut room = socket.room();
        if self.random.once_in(4) {
            room = self.random.within(0..room + 1);
        }
        let count = room.min(output.len());
        let mut left = count;
        for slice in output.slices() {
            let taken = left.min(slice.len());
            socket.outbound.extend(&slice[..taken]);
            left -= taken;
        }
        output.advance(count);
        if count > 0 {
            socket.written = Some(self.now);
        }
    }

    fn close(&mut self, key: Key, reset: bool) {
        let now = self.now;
        if let Some(socket) = self.socket(key) {
            socket.server_ended.get_or_insert(now);
            socket.server_closed = Some(now);
            socket.server_reset = reset;
            (socket.reads, socket.writes) = (false, false);
            if reset {
                socket.outbound.clear();
            }
        }
        self.sockets[key.index as usize] = None;
    }

    fn serve_due(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        self.worker.collect(self.now, &mut due);
        // One for having been put off, one for an exchange that was woken, one for a deadline.
        assert!(
            due.len() <= 3 * self.worker.connections(),
            "{} are due",
            due.len()
        );
        for key in due.drain(..) {
            self.serve(key);
        }
        self.due = due;
    }

    fn follow_stop(&mut self) {
        if self.real >= self.stop_at {
            self.phase = Phase::Stopping;
        }
        let limits = self.limits.clone();
        match self.stop.step(self.phase, &limits, self.clock.real()) {
            StopStep::Nothing => {}
            StopStep::CloseListeners => {
                self.stop_began = Some(self.now);
                self.tell(Deed::Stopping, None);
                self.clients.iter_mut().for_each(Client::note_stop);
                for key in self.worker.stop(self.now) {
                    self.read(key, false);
                    self.serve(key);
                    self.worker.handle_stop(key, self.now);
                    self.serve(key);
                }
            }
            StopStep::CutAll => {
                self.cut = Some(self.now);
                self.tell(Deed::Cutting, None);
                for key in self.worker.keys() {
                    self.worker.handle_stop_deadline(key);
                    self.serve(key);
                }
            }
        }
    }

    fn standing(&self) -> String {
        let open = self.clients.iter().zip(&self.connected);
        open.filter(|(client, key)| key.is_some() && client.socket.server_closed.is_none())
            .map(|(client, _)| format!("\n{}: {}", client.name, client.socket.summary()))
            .collect()
    }

    /// Checks what every client was promised, but for those that are `excused`, and that nothing is left behind.
    pub(super) fn judge(&mut self, is_excused: impl Fn(usize) -> bool) {
        let stop_began = self.stop_began.expect("every run ends with a stop");
        let slack = 2 * self.limits.timer_resolution;
        for (index, client) in self.clients.iter().enumerate() {
            if self.connected[index].is_none() || is_excused(index) {
                continue;
            }
            if let Err(problem) = client.judge((stop_began, self.cut), slack, &self.limits) {
                panic!(
                    "client {index}, {}: {problem}\nmarked {:?}, stop began {stop_began}, {}, closed {:?}, reset {}\n{:?}",
                    client.name,
                    client.marked,
                    client.socket.summary(),
                    client.socket.server_closed,
                    client.socket.server_reset,
                    self.counters().named(),
                );
            }
        }
        // Tasks and leases that clients left behind are gone with a turn more.
        self.serve_due();
        assert_eq!(self.worker.leftovers(), Vec::<String>::new());
    }

    /// When whatever was left was cut, if anything was.
    pub(super) fn cut_at(&self) -> Option<Moment> {
        self.cut
    }

    /// Everything counted so far.
    pub(super) fn counters(&self) -> Counters {
        Counters::sum([&*self.worker.shared.counters].into_iter())
    }
}
