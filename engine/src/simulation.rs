//! Whole lives of a worker over sockets and a clock that are made up: the real [`Worker`] with an app of many
//! behaviours, scripted clients beside each other, a network with small buffers, a server that stops or freezes.
//!
//! Everything follows from one seed, which a failure prints; `LANNER_SIMULATION_SEED=N cargo test simulation` replays it,
//! and `LANNER_SIMULATION_SEED=0..100000` is a longer run.
//! The driver here is `runtime/epoll.rs` with another kernel: whatever order of calls that one keeps, this one keeps.

mod answers;
mod app;
mod client;
mod random;
mod socket;

use crate::App;
use crate::admission::Admission;
use crate::clock::Clock;
use crate::context::Context;
use crate::control::{Phase, StopPlan, StopStep};
use crate::counters::{Counters, WorkerCounters};
use crate::date::Date;
use crate::exchange::{Dispatch, Dispatcher, Exchanges};
use crate::lease::Pool;
use crate::request::ConnectionInfo;
use crate::server::ServerInfo;
use crate::shared::Shared;
use crate::slab::Key;
use crate::worker::{Verdict, Worker};
use client::Client;
use lanner_limits::{Limits, Machine, Moment};
use random::Random;
use socket::Socket;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Seeds of an ordinary test run.
const SEEDS: u64 = 300;

/// Turns in a row without any time passing: more, and the worker spins. (A body in small chunks that a task of its own
/// reads takes two turns a chunk.)
const TURNS_AT_ONCE_MAX: usize = 100_000;

/// Memory that unsent answers of one connection may take: the response buffer, one answer more and the pieces of
/// a stream.
const OUTPUT_BYTES_MAX: usize = 400_000;

struct World<D: Dispatch> {
    random: Random,
    limits: Rc<Limits>,
    worker: Worker<D>,
    admission: Arc<Admission>,
    clients: Vec<Client>,
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
    freezes: bool,
    /// The worker has just come round again after it had stood still.
    thawed: bool,
    due: Vec<Key>,
}

fn limits(random: &mut Random) -> Limits {
    let mut limits = Limits::for_machine(Machine {
        nofile: 65_536,
        memory: 1 << 30,
        cpus: 1,
    });
    limits.max_pipelined = [1, 2, 16][random.below(3)];
    limits.response_buffer = [4 << 10, 64 << 10][random.below(2)];
    limits.request_buffer = [4 << 10, 256 << 10][random.below(2)];
    limits
}

fn simulate(seed: u64) {
    let mut random = Random::new(seed);
    let limits = Rc::new(limits(&mut random));
    let context = Context::new(Arc::default()).expect("there are descriptors");
    let _entered = context.enter();
    let dispatch = Dispatcher::new(app::app, async |app: Rc<_>, request| {
        App::call(&*app, request).await
    });
    let admission = Admission::new(&limits);
    let shared = Shared {
        limits: limits.clone(),
        pool: Pool::default(),
        exchanges: Exchanges::new(dispatch, context.ready.clone()),
        date: Date::new(),
        access_log: None,
        counters: Arc::new(WorkerCounters::new()),
        admission: admission.clone(),
    };
    let clients: Vec<Client> = (0..random.within(1..25))
        .map(|_| Client::random(&mut random, &limits))
        .collect();
    // Before, in the middle of, or after everything that the clients do.
    let latest = [20_000, 100_000, 2_000_000][random.below(3)];
    let stop_at = random.millis(0..latest);
    let mut world = World {
        worker: Worker::new(shared, context, Moment::ZERO),
        connected: vec![None; clients.len()],
        freezes: random.once_in(3),
        random,
        limits,
        admission,
        clients,
        sockets: Vec::new(),
        clock: Clock::new(Clock::origin()),
        real: Duration::ZERO,
        now: Moment::ZERO,
        phase: Phase::Running,
        stop: StopPlan::Running,
        stop_at,
        stop_began: None,
        thawed: false,
        due: Vec::new(),
    };
    world.run();
    world.judge();
}

impl<D: Dispatch> World<D> {
    fn run(&mut self) {
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
            self.let_clients_act();
            self.worker.turn_begins(self.now);
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
        let due = [self.worker.next_due(before), self.stop.due()]
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
            None if self.phase == Phase::Running => Some(client.connects_at()),
            None => None,
            Some(_) => client.next_at(),
        }
    }

    fn let_clients_act(&mut self) {
        for index in 0..self.clients.len() {
            if self.client_at(index).is_none_or(|at| at > self.real) {
                continue;
            }
            if self.connected[index].is_none() {
                self.accept(index);
            }
            self.clients[index].act(self.real, self.now);
        }
    }

    fn accept(&mut self, index: usize) {
        let peer = SocketAddr::from((Ipv4Addr::from(0xc000_0200 + index as u32), 1_000));
        let info = ConnectionInfo {
            id: index as u64,
            peer: Some(peer),
            local: None,
            listener: "sim".into(),
            server: Arc::new(ServerInfo {
                addresses: Vec::new(),
                workers: 1,
                driver: "simulation",
                driver_reason: "a test",
            }),
        };
        let permit = self
            .admission
            .admit(Some(peer.ip()), &self.limits, self.now)
            .expect("the cap is far away");
        let key = self.worker.accept(info, permit, self.now);
        let place = key.index as usize;
        if place >= self.sockets.len() {
            self.sockets.resize(place + 1, None);
        }
        self.sockets[place] = Some((key, index));
        self.connected[index] = Some(key);
        self.clients[index].socket.reads = true;
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
            match self.worker.settle(key, self.now) {
                Verdict::Again => {}
                Verdict::Wait { read, write } => {
                    if let Some(socket) = self.socket(key) {
                        (socket.reads, socket.writes) = (read, write);
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
        match self.stop.step(self.phase, &limits, self.now) {
            StopStep::Nothing => {}
            StopStep::CloseListeners => {
                self.stop_began = Some(self.now);
                self.clients.iter_mut().for_each(Client::note_stop);
                for key in self.worker.stop() {
                    self.read(key, false);
                    self.serve(key);
                    self.worker.handle_stop(key, self.now);
                    self.serve(key);
                }
            }
            StopStep::CutAll => {
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

    fn judge(&mut self) {
        let stop_began = self.stop_began.expect("every run ends with a stop");
        let slack = 2 * self.limits.timer_resolution;
        let stopped = (stop_began, stop_began + self.limits.shutdown_timeout);
        for (index, client) in self.clients.iter().enumerate() {
            if self.connected[index].is_none() {
                continue;
            }
            if let Err(problem) = client.judge(stopped, slack, &self.limits) {
                panic!(
                    "client {index}, {}: {problem}\nmarked {:?}, stop began {stop_began}, {}, closed {:?}, reset {}\n{:?}",
                    client.name,
                    client.marked,
                    client.socket.summary(),
                    client.socket.server_closed,
                    client.socket.server_reset,
                    Counters::sum([&*self.worker.shared.counters].into_iter()).named(),
                );
            }
        }
        // Tasks and leases that clients left behind are gone with a turn more.
        self.serve_due();
        assert_eq!(self.worker.leftovers(), Vec::<String>::new());
    }
}

fn simulate_and_tell(seed: u64) {
    let outcome = std::panic::catch_unwind(|| simulate(seed));
    if let Err(panic) = outcome {
        eprintln!("LANNER_SIMULATION_SEED={seed} fails");
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn every_client_gets_what_it_is_promised_and_nothing_is_left_behind() {
    let wanted = std::env::var("LANNER_SIMULATION_SEED").unwrap_or_else(|_| format!("0..{SEEDS}"));
    let number = |text: &str| text.parse::<u64>().expect("a seed is a number");
    match wanted.split_once("..") {
        Some((from, to)) => (number(from)..number(to)).for_each(simulate_and_tell),
        None => simulate_and_tell(number(&wanted)),
    }
}
