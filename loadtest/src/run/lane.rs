//! One thread of a run: its share of the connections, one epoll, and what it counts.
//!
//! A turn takes what the poller has, one connection after the other (`turns`). Then it looks at the clock: calls that are due,
//! connections to be made again, answers that did not come (`sweep`).

mod openings;
mod redials;
mod sweep;
mod turns;

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use lanner_limits::{Limits, Machine, Moment};

use super::clock::Clock;
use super::demand::Demand;
use super::link::{Link, Stage};
use super::outcome::{Interval, Tally};
use super::plan::{Plan, Version};
use super::secure::Terms;
use super::shared::Shared;
use super::speech::{Call, Ears, Speech};
use super::trouble::{CLOSED_UNANSWERED, Kind, QUEUE_FULL, Trouble};
use crate::poller::Poller;
pub(super) use openings::Handshake;
pub(super) use redials::pause_after;

use openings::Openings;
use redials::Redials;

/// What one read takes at most.
const READ_BYTES: usize = 64 * 1024;

/// So many connections served between two looks at the clock: in an open loop, what is due waits no longer than they take.
const SERVED_PER_LOOK: usize = 32;

/// What a lane tells whoever watches.
#[derive(Debug)]
pub(super) enum Report {
    /// A piece of the time line is complete, as far as this lane goes.
    Interval(usize, Interval),
    /// There is no use in going on.
    Hopeless(Trouble),
    /// Nothing more will come from this lane.
    Ended(usize),
}

/// A connection's place, which outlives it.
#[derive(Debug, Default)]
struct Place {
    link: Option<Link>,
    /// Told apart from what stood here before.
    generation: u32,
    /// Failures in a row.
    failures: u32,
    /// Since when the server has no room for one more connection.
    queued: Option<Moment>,
}

/// See the file's comment.
pub(super) struct Lane<'a> {
    plan: &'a Plan,
    number: usize,
    shared: &'a Shared,
    reports: Sender<Report>,
    clock: Clock,
    terms: Option<&'a Terms>,
    limits: Rc<Limits>,
    poller: Poller,
    places: Vec<Place>,
    redials: Redials,
    openings: Openings,
    /// Keys of connections with room for a call, where calls have their moments. Some may be gone.
    listed: VecDeque<u64>,
    demand: Demand,
    /// Calls sent and not answered, on all connections.
    under_way: usize,
    /// Of the order of requests.
    turn: usize,
    ears: Ears,
    read: Vec<u8>,
    /// What TLS made of it.
    plain: Vec<u8>,
    interval: Interval,
    interval_end: Moment,
    sweep_due: Moment,
    /// Where the next sweep begins.
    swept: usize,
    /// The warm-up is over.
    is_recording: bool,
    /// The time that is recorded is over.
    is_past: bool,
    tally: Tally,
}

impl<'a> Lane<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        number: usize,
        demand: Demand,
        shared: &'a Shared,
        reports: Sender<Report>,
        clock: Clock,
        terms: Option<&'a Terms>,
    ) -> io::Result<Self> {
        let connections = plan.connections_of_lane(number);
        let poller = Poller::new()?;
        Ok(Self {
            plan,
            number,
            shared,
            reports,
            clock,
            terms,
            limits: Rc::new(limits(plan)),
            openings: Openings::new(plan.opening_max(), &poller)?,
            poller,
            places: (0..connections).map(|_| Place::default()).collect(),
            redials: Redials::of(connections),
            listed: VecDeque::new(),
            demand,
            under_way: 0,
            turn: plan.mix.beginning(number, plan.threads),
            ears: Ears::new(),
            read: vec![0; READ_BYTES],
            plain: Vec::new(),
            interval: Interval::new(0),
            interval_end: Moment::ZERO + plan.interval(),
            sweep_due: Moment::ZERO,
            swept: 0,
            is_recording: false,
            is_past: false,
            tally: Tally::default(),
        })
    }

    pub(super) fn run(mut self) -> io::Result<Tally> {
        let mut ready = Vec::new();
        self.handle_time(self.clock.now());
        while !self.is_over() {
            let until = self.clock.instant(self.next_moment());
            self.poller.wait(until, &mut ready)?;
            for events in ready.chunks(SERVED_PER_LOOK) {
                for event in events {
                    self.serve(*event);
                }
                self.serve_openings()?;
                self.handle_time(self.clock.now());
            }
            if ready.is_empty() {
                self.handle_time(self.clock.now());
            }
        }
        if !self.is_recording {
            self.tally.forget_bytes();
        }
        if !self.is_past {
            self.tally.note_bytes();
        }
        let under_way = self.calls().filter(|call| self.records(*call)).count();
        let waiting = self.demand.waiting(self.recorded_from());
        self.tally.unfinished += (under_way + waiting) as u64;
        if self.is_recording {
            self.note_in_vain();
        }
        let speeches = open(&self.places);
        if let Some(streams) = speeches.filter_map(Speech::narrowed).min() {
            self.tally.allow_streams(streams);
        }
        if self.interval.is_worth_telling(self.plan.pieces()) {
            self.tell_interval();
        }
        Ok(self.tally)
    }

    fn is_over(&self) -> bool {
        self.demand.is_over(self.clock.now()) && (self.demand.is_closed() || self.under_way == 0)
            || self.shared.is_to_end()
    }

    fn calls(&self) -> impl Iterator<Item = Call> {
        open(&self.places).flat_map(Speech::calls)
    }

    fn recorded_from(&self) -> Moment {
        Moment::ZERO + self.plan.warm_up
    }

    fn recorded_until(&self) -> Moment {
        self.recorded_from() + self.plan.duration
    }

    /// Whether a call counts: in an open loop by its moment, in a closed one by the moment of its answer.
    fn records(&self, call: Call) -> bool {
        match self.demand {
            Demand::Open(_) => call.start >= self.recorded_from(),
            Demand::Closed { .. } => self.clock.now() >= self.recorded_from(),
        }
    }

    fn next_moment(&self) -> Moment {
        let redial = self.redials.next_moment();
        let redial = redial.filter(|_| !self.openings.is_full());
        // A closed loop ends then.
        let until = self.recorded_until();
        let until = if self.is_past { Moment::MAX } else { until };
        self.demand
            .next_moment()
            .min(until)
            .min(redial.unwrap_or(Moment::MAX))
            .min(self.sweep_due)
            .min(self.interval_end)
    }

    // Time.

    #[inline]
    fn handle_time(&mut self, now: Moment) {
        for _ in 0..self.openings.room() {
            let Some(index) = self.redials.take_due(now) else {
                break;
            };
            self.dial(index);
        }
        if !self.is_recording && now >= self.recorded_from() {
            self.is_recording = true;
            self.tally.forget_bytes();
        }
        if !self.is_past && now >= self.recorded_until() {
            self.is_past = true;
            self.tally.note_bytes();
        }
        self.demand.handle_time(now);
        while self.demand.has_due()
            && let Some(key) = self.listed.pop_front()
        {
            self.send_listed(key);
        }
        if now >= self.sweep_due {
            self.sweep(now);
        }
        if now >= self.interval_end {
            self.turn_interval(now);
        }
    }

    /// The next piece of the time line begins. What a lane slept through was empty.
    fn turn_interval(&mut self, now: Moment) {
        let every = self.plan.interval();
        while now >= self.interval_end {
            // What a closed loop still hears when its time is over belongs to its last piece.
            if self.demand.is_closed() && self.interval.number + 1 >= self.plan.pieces() {
                self.interval_end = Moment::MAX;
                return;
            }
            self.tell_interval();
            self.interval = Interval::new(self.interval.number + 1);
            self.interval_end += every;
        }
    }

    fn tell_interval(&mut self) {
        let number = self.interval.number;
        let interval = std::mem::replace(&mut self.interval, Interval::new(number));
        // Where nobody listens any more, the run is over.
        drop(self.reports.send(Report::Interval(self.number, interval)));
    }

    // Connections.

    fn dial(&mut self, index: u32) {
        let now = self.clock.now();
        let place = &mut self.places[index as usize];
        place.generation = (place.generation + 1) & (u32::MAX >> 1);
        match Link::dial(&self.plan.place, now) {
            Ok(link) => {
                place.queued = None;
                place.link = Some(link);
                self.openings.began();
                self.shared.began();
                if let Err(trouble) = self.dialled(index) {
                    self.fail(index, &trouble);
                }
            }
            // What the queue of a unix socket says when it is full; TCP would try again by itself.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let since = *place.queued.get_or_insert(now);
                if now.since(since) < self.plan.timeout {
                    self.redials.add(now + pause_after(1), index);
                } else {
                    place.queued = None;
                    self.fail(index, &Trouble::new(Kind::Connect, QUEUE_FULL));
                }
            }
            Err(error) => self.fail(index, &Trouble::new(Kind::Connect, error)),
        }
    }

    /// The connection is of no use any more; what was asked on it is lost.
    #[cold]
    fn fail(&mut self, index: u32, trouble: &Trouble) {
        let place = &mut self.places[index as usize];
        // A server that has answered on it is worth asking again at once.
        let has_served = place.link.as_ref().is_some_and(|link| link.answered > 0);
        let pause = if has_served {
            place.failures = 0;
            Duration::ZERO
        } else {
            place.failures = place.failures.saturating_add(1);
            pause_after(place.failures)
        };
        if self.close(index, trouble) == 0 {
            self.tally.troubles.add(trouble, 1);
            self.interval.troubles += 1;
        }
        self.redials.add(self.clock.now() + pause, index);
        // Who does not answer in time may do so yet.
        if trouble.kind != Kind::TimedOut && self.shared.failed(self.plan.connections) {
            drop(self.reports.send(Report::Hopeless(trouble.clone())));
        }
    }

    /// The connection has served: another takes its place at once.
    fn renew(&mut self, index: u32) {
        let cut = Trouble::new(Kind::Cut, CLOSED_UNANSWERED);
        let place = &mut self.places[index as usize];
        let has_served = place.link.as_ref().is_some_and(|link| link.answered > 0);
        if !has_served {
            return self.fail(index, &cut);
        }
        place.failures = 0;
        self.close(index, &cut);
        self.redials.add(self.clock.now(), index);
    }

    /// Closes a connection, and counts what was asked on it as lost. Returns how many calls that were.
    fn close(&mut self, index: u32, trouble: &Trouble) -> usize {
        let Some(link) = self.places[index as usize].link.take() else {
            return 0;
        };
        self.shared.ended();
        let Stage::Open(speech) = &link.stage else {
            self.openings.ended();
            return 0;
        };
        let mut lost = 0;
        for call in speech.calls() {
            self.lose(call, trouble);
            lost += 1;
        }
        lost
    }

    fn lose(&mut self, call: Call, trouble: &Trouble) {
        self.under_way -= 1;
        self.count_lost(call, trouble);
    }

    /// Counts a call that was lost, sent or not.
    fn count_lost(&mut self, call: Call, trouble: &Trouble) {
        self.interval.troubles += 1;
        if !self.records(call) {
            return;
        }
        if trouble.kind != Kind::TimedOut {
            self.tally.troubles.add(trouble, 1);
            return;
        }
        let waited = self.clock.now().since(call.start);
        if waited >= self.plan.timeout {
            self.tally.troubles.add(trouble, 1);
            // A request that nobody answered took at least as long as we waited: leaving it out would flatter the server.
            self.tally.latency.record(waited);
        } else {
            // As would the little that this one has waited: how long it would have had to, nobody knows.
            self.tally.troubles.add(&trouble.for_another(), 1);
        }
    }
}

/// What is said on the connections that are made.
fn open(places: &[Place]) -> impl Iterator<Item = &Speech> {
    let links = places.iter().filter_map(|place| place.link.as_ref());
    links.filter_map(|link| match &link.stage {
        Stage::Open(speech) => Some(speech),
        Stage::Dialling(_) | Stage::Handshaking(_) => None,
    })
}

/// The poller's name for a connection.
fn key(index: u32, generation: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(index)
}

/// What the protocol may use: as much as a server could want to send, for it is the server that is measured.
fn limits(plan: &Plan) -> Limits {
    let mut limits = Limits::for_machine(Machine {
        nofile: 65_536,
        memory: 1 << 32,
        cpus: 1,
    });
    if let Version::Http2 { streams } = plan.version {
        limits.h2_max_streams = u32::try_from(streams).unwrap_or(u32::MAX);
    }
    limits.h2_stream_window = WINDOW_BYTES;
    limits.h2_conn_window = WINDOW_BYTES;
    // A server may end each stream with a reset behind a whole answer (RFC 9113 section 8.1).
    limits.h2_control_burst = CONTROL_FRAMES_MAX;
    limits.h2_control_rate = CONTROL_FRAMES_MAX;
    // A slow answer is a fact to be measured: the plan's own timeout judges it.
    limits.header_timeout = plan.timeout.max(limits.header_timeout);
    limits
}

/// Frames a second that carry no answer: more than a server can answer requests.
const CONTROL_FRAMES_MAX: u64 = 1_000_000;

/// Both windows of HTTP/2: no server waits for us (h2load has the same).
const WINDOW_BYTES: u32 = (1 << 30) - 1;
