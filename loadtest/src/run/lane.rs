//! One thread of a run: its share of the connections, one epoll, and what it counts.
//!
//! A turn takes what the poller has, one connection after the other (`turns`). Then it looks at the clock: calls that are due,
//! connections to be made again, answers that did not come.

mod turns;

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use lanner_limits::{Limits, Machine, Moment};

use super::clock::Clock;
use super::demand::Demand;
use super::link::{Link, Stage};
use super::outcome::{Interval, Tally};
use super::plan::{Plan, Version};
use super::secure::Terms;
use super::speech::{Call, Ears, Speech};
use super::trouble::{Kind, Trouble};
use crate::opening::OPENING_MAX;
use crate::poller::{Interest, Poller};

/// What one read takes at most.
const READ_BYTES: usize = 64 * 1024;

/// How long after a failure a connection is made again: doubled with each failure in a row.
const REDIAL_PAUSE: Duration = Duration::from_millis(10);
const REDIAL_PAUSE_MAX: Duration = Duration::from_secs(1);

/// So many failures before the first answer end the run: there is nobody, or nobody who speaks what we do.
const FAILURES_MAX: u64 = 10;

/// What lanes share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Set when all are to end at once.
    pub(super) stop: AtomicBool,
    /// Something was answered.
    answered: AtomicBool,
    /// Connections that failed before that.
    failures: AtomicU64,
}

/// What a lane tells whoever watches.
#[derive(Debug)]
pub(super) enum Report {
    /// A piece of the time line is complete.
    Interval(Interval),
    /// There is no use in going on.
    Hopeless(Trouble),
}

/// A connection's place, which outlives it.
#[derive(Debug, Default)]
struct Place {
    link: Option<Link>,
    /// Told apart from what stood here before.
    generation: u32,
    /// Failures in a row.
    failures: u32,
}

/// See the file's comment.
pub(super) struct Lane<'a> {
    plan: &'a Plan,
    shared: &'a Shared,
    reports: Sender<Report>,
    clock: Clock,
    begin: Moment,
    terms: Option<&'a Terms>,
    limits: Rc<Limits>,
    poller: Poller,
    places: Vec<Place>,
    /// Which are to be connected, and when.
    redials: VecDeque<(Moment, u32)>,
    dialling: usize,
    /// Places with room for a call, where calls have their moments.
    listed: VecDeque<u32>,
    demand: Demand,
    /// Of the order of requests.
    turn: usize,
    ears: Ears,
    read: Vec<u8>,
    /// What TLS made of it.
    plain: Vec<u8>,
    interval: Interval,
    sweep_due: Moment,
    tally: Tally,
}

impl<'a> Lane<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        number: usize,
        shared: &'a Shared,
        reports: Sender<Report>,
        clock: Clock,
        terms: Option<&'a Terms>,
    ) -> io::Result<Self> {
        let begin = clock.now();
        let lanes = plan.threads;
        let connections = plan.connections / lanes + usize::from(number < plan.connections % lanes);
        let mut redials = VecDeque::with_capacity(connections);
        redials.extend((0..connections as u32).map(|index| (begin, index)));
        Ok(Self {
            plan,
            shared,
            reports,
            clock,
            begin,
            terms,
            limits: Rc::new(limits(plan)),
            poller: Poller::new()?,
            places: (0..connections).map(|_| Place::default()).collect(),
            redials,
            dialling: 0,
            listed: VecDeque::new(),
            demand: Demand::new(plan, number, begin),
            turn: plan.mix.beginning(number, lanes),
            ears: Ears::new(),
            read: vec![0; READ_BYTES],
            plain: Vec::new(),
            interval: Interval::new(0),
            sweep_due: begin,
            tally: Tally::default(),
        })
    }

    pub(super) fn run(mut self) -> io::Result<Tally> {
        let mut ready = Vec::new();
        self.handle_time(self.clock.now());
        while !self.is_over() {
            let until = self.clock.instant(self.next_moment());
            self.poller.wait(until, &mut ready)?;
            for event in &ready {
                self.serve(*event);
            }
            self.handle_time(self.clock.now());
        }
        self.tally.unfinished += self.calls().filter(|call| self.records(*call)).count() as u64;
        self.tell_interval();
        Ok(self.tally)
    }

    fn is_over(&self) -> bool {
        let now = self.clock.now();
        let is_closed = matches!(self.demand, Demand::Closed { .. });
        self.shared.stop.load(Ordering::Relaxed)
            || self.demand.is_over(now) && (is_closed || self.calls().next().is_none())
    }

    fn calls(&self) -> impl Iterator<Item = Call> {
        let links = self.places.iter().filter_map(|place| place.link.as_ref());
        let speeches = links.filter_map(|link| match &link.stage {
            Stage::Open(speech) => Some(speech),
            Stage::Dialling(_) | Stage::Handshaking(_) => None,
        });
        speeches.flat_map(Speech::calls)
    }

    /// Whether a call counts: in an open loop by its moment, in a closed one by the moment of its answer.
    fn records(&self, call: Call) -> bool {
        match self.demand {
            Demand::Open(_) => call.start >= self.begin + self.plan.warm_up,
            Demand::Closed { .. } => {
                let now = self.clock.now();
                now >= self.begin + self.plan.warm_up
            }
        }
    }

    fn next_moment(&self) -> Moment {
        let redial = self.redials.front().map(|(moment, _)| *moment);
        let redial = redial.filter(|_| self.dialling < OPENING_MAX);
        self.demand
            .next_moment()
            .min(redial.unwrap_or(Moment::MAX))
            .min(self.sweep_due)
    }

    // Time.

    fn handle_time(&mut self, now: Moment) {
        while self.dialling < OPENING_MAX
            && let Some((moment, index)) = self.redials.front().copied()
            && moment <= now
        {
            self.redials.pop_front();
            self.dial(index, now);
        }
        self.demand.handle_time(now);
        while self.demand.has_due()
            && let Some(index) = self.listed.pop_front()
        {
            self.send_listed(index);
        }
        if now >= self.sweep_due {
            self.sweep(now);
        }
        let number = now.since(self.begin).as_nanos() / self.plan.interval().as_nanos().max(1);
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        if number > self.interval.number {
            self.tell_interval();
            self.interval = Interval::new(number);
        }
    }

    fn tell_interval(&mut self) {
        let number = self.interval.number;
        let interval = std::mem::replace(&mut self.interval, Interval::new(number));
        // Where nobody listens any more, the run is over.
        drop(self.reports.send(Report::Interval(interval)));
    }

    /// Looks for what has waited too long.
    fn sweep(&mut self, now: Moment) {
        let every = (self.plan.timeout / 10).min(self.plan.interval());
        self.sweep_due = now + every.max(Duration::from_millis(1));
        let timeout = self.plan.timeout;
        if now.since(Moment::ZERO) < timeout {
            return;
        }
        let since = Moment::from_nanos(now.as_nanos() - timeout.as_nanos() as u64);
        let late = Trouble::new(Kind::TimedOut, format_args!("no answer within {timeout:?}"));
        while let Some(call) = self.demand.take_expired(since) {
            self.lose(call, &late);
        }
        for index in 0..self.places.len() as u32 {
            let Some(link) = &self.places[index as usize].link else {
                continue;
            };
            let trouble = match &link.stage {
                Stage::Dialling(begun) if *begun <= since => Trouble::new(
                    Kind::Connect,
                    format_args!("no connection within {timeout:?}"),
                ),
                Stage::Handshaking(begun) if *begun <= since => Trouble::new(
                    Kind::Handshake,
                    format_args!("not agreed within {timeout:?}"),
                ),
                Stage::Open(speech) if speech.calls().any(|call| call.start <= since) => {
                    late.clone()
                }
                _ => continue,
            };
            self.fail(index, &trouble);
        }
    }

    // Connections.

    fn dial(&mut self, index: u32, now: Moment) {
        let place = &mut self.places[index as usize];
        place.generation = (place.generation + 1) & (u32::MAX >> 1);
        let key = key(index, place.generation);
        let made = Link::dial(&self.plan.place, now).and_then(|link| {
            self.poller.add(link.descriptor(), key, Interest::Write)?;
            Ok(link)
        });
        match made {
            Ok(link) => {
                place.link = Some(link);
                self.dialling += 1;
            }
            Err(error) => self.fail(index, &Trouble::new(Kind::Connect, error)),
        }
    }

    /// The connection is of no use any more; what was asked on it is lost.
    #[cold]
    fn fail(&mut self, index: u32, trouble: &Trouble) {
        let place = &mut self.places[index as usize];
        place.failures = place.failures.saturating_add(1);
        let doublings = place.failures.saturating_sub(1).min(10);
        let pause = (REDIAL_PAUSE * (1 << doublings)).min(REDIAL_PAUSE_MAX);
        let lost = self.close(index, trouble);
        if matches!(trouble.kind, Kind::Connect | Kind::Handshake) || lost == 0 {
            self.tally.troubles.add(trouble, 1);
            self.interval.troubles += 1;
        }
        self.redials.push_back((self.clock.now() + pause, index));
        if !self.shared.answered.load(Ordering::Relaxed)
            && self.shared.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES_MAX
        {
            drop(self.reports.send(Report::Hopeless(trouble.clone())));
        }
    }

    /// The connection has served: another takes its place at once.
    fn renew(&mut self, index: u32) {
        let cut = Trouble::new(
            Kind::Cut,
            "the server closed the connection before it had answered",
        );
        let place = &mut self.places[index as usize];
        let has_served = place.link.as_ref().is_some_and(|link| link.answered > 0);
        if !has_served {
            return self.fail(index, &cut);
        }
        place.failures = 0;
        self.close(index, &cut);
        self.redials.push_front((self.clock.now(), index));
    }

    /// Closes a connection, and counts what was asked on it as lost. Returns how many calls that were.
    fn close(&mut self, index: u32, trouble: &Trouble) -> usize {
        let Some(link) = self.places[index as usize].link.take() else {
            return 0;
        };
        if link.is_listed {
            self.listed.retain(|listed| *listed != index);
        }
        let Stage::Open(speech) = &link.stage else {
            self.dialling -= usize::from(matches!(link.stage, Stage::Dialling(_)));
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
        self.interval.troubles += 1;
        if self.records(call) {
            self.tally.troubles.add(trouble, 1);
            // A request that nobody answered took at least as long as we waited: leaving it out would flatter the server.
            if trouble.kind == Kind::TimedOut {
                let waited = self.clock.now().since(call.start);
                self.tally.latency.record(waited);
            }
        }
    }
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
    // A slow answer is a fact to be measured: the plan's own timeout judges it.
    limits.header_timeout = plan.timeout.max(limits.header_timeout);
    limits
}

/// Both windows of HTTP/2: no server waits for us (h2load has the same).
const WINDOW_BYTES: u32 = (1 << 30) - 1;
