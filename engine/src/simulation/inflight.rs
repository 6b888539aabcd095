//! Requests over `LANNER_MAX_INFLIGHT`: refused at once, or waiting for `LANNER_QUEUE_TIMEOUT` in the order they came in.
//!
//! The rules are checked from outside, by what the app was called for and what came over each connection: never more
//! at once than allowed, nobody overtakes, no place stays free while somebody waits, nobody
//! waits longer than told. Clients run away while they wait and while they are served, and the stop comes at any time.

use super::client::Client;
use super::random::Random;
use super::watch::{Deed, Sight};
use super::world::{Plan, serving};
use crate::context::Context;
use crate::{Request, Response};
use lanner_limits::{Limits, Moment, Trip};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// Scenarios of an ordinary test run.
const SEEDS: u64 = 300;

/// What the app is at.
#[derive(Default)]
struct Work {
    inflight_max: usize,
    /// The numbers of the requests it was called for, and when.
    begun: BTreeMap<usize, Moment>,
    running: BTreeSet<usize>,
}

/// One call of the app, until its future is gone.
struct Running {
    work: Rc<RefCell<Work>>,
    number: usize,
}

impl Running {
    fn begin(work: &Rc<RefCell<Work>>, number: usize) -> Self {
        let mut state = work.borrow_mut();
        state.begun.insert(number, Context::current().moment());
        state.running.insert(number);
        let running = state.running.len();
        assert!(running <= state.inflight_max, "{running} at once");
        drop(state);
        Self {
            work: work.clone(),
            number,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.work.borrow_mut().running.remove(&self.number);
    }
}

/// Answers `/work/NUMBER/MILLIS` with the number, after so long.
fn working(work: &Rc<RefCell<Work>>) -> impl crate::App + use<> {
    let work = work.clone();
    move |request: Request| {
        let work = work.clone();
        async move {
            let mut parts = request.path().split('/').skip(2).map(str::parse);
            let mut part = || parts.next().and_then(Result::ok).expect("a number");
            let (number, millis): (usize, usize) = (part(), part());
            let _running = Running::begin(&work, number);
            crate::sleep(Duration::from_millis(millis as u64)).await;
            Ok(Response::text(number.to_string()))
        }
    }
}

/// How a request stands that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The app was called for it at once, or is about to be.
    Free,
    /// It was told to wait, at that moment.
    Waits(Moment),
    /// It was answered 503.
    Refused,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    number: usize,
    client: usize,
    place: Place,
}

/// What a run has come across, so that a test can see that it tests something.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    refused: usize,
    waited_in_vain: usize,
    waited_and_begun: usize,
    left_while_waiting: usize,
    waiting_at_stop: usize,
    waiting_at_cut: usize,
}

struct Rules {
    limits: Limits,
    work: Rc<RefCell<Work>>,
    /// In the order in which they were taken.
    taken: Vec<Taken>,
    tally: Tally,
}

impl Rules {
    fn watch(&mut self, sight: &Sight<'_>) {
        match (sight.deed, sight.client) {
            (Deed::Taken, Some(client)) => self.taken(sight, client),
            (Deed::Hit(Trip::MaxInflight), Some(client)) => self.had_no_place(sight, client),
            (Deed::Hit(Trip::QueueTimeout), Some(client)) => self.waited_in_vain(sight, client),
            (Deed::Rest, _) => self.rest(sight),
            (Deed::Stopping, _) => self.tally.waiting_at_stop += self.waiting(sight).count(),
            (Deed::Cutting, _) => self.tally.waiting_at_cut += self.waiting(sight).count(),
            _ => {}
        }
    }

    fn taken(&mut self, sight: &Sight<'_>, client: usize) {
        let before = self.taken.iter().filter(|taken| taken.client == client);
        let (_, body) = &sight.clients[client].expected[before.count()];
        let number = std::str::from_utf8(body)
            .ok()
            .and_then(|text| text.parse().ok());
        self.taken.push(Taken {
            number: number.expect("its answer is its number"),
            client,
            place: Place::Free,
        });
    }

    /// The client's first request that was not begun was refused, or has to wait.
    fn had_no_place(&mut self, sight: &Sight<'_>, client: usize) {
        let running = self.work.borrow().running.len();
        let others_wait = self.waiting(sight).any(|taken| taken.client != client);
        let full = running == self.work.borrow().inflight_max;
        assert!(full || others_wait, "only {running} were running");
        let waits = self.limits.queue_timeout.is_some();
        let work = self.work.borrow();
        let mut taken = self.taken.iter_mut();
        let taken = taken.find(|taken| {
            let is_open = taken.place == Place::Free && !work.begun.contains_key(&taken.number);
            taken.client == client && is_open
        });
        let taken = taken.expect("one was taken that the app was not called for");
        (taken.place, self.tally.refused) = if waits {
            (Place::Waits(sight.now), self.tally.refused)
        } else {
            (Place::Refused, self.tally.refused + 1)
        };
    }

    fn waited_in_vain(&mut self, sight: &Sight<'_>, client: usize) {
        let timeout = self.limits.queue_timeout.expect("there is a queue");
        let slack = 2 * self.limits.timer_resolution;
        let work = self.work.borrow();
        let mut waiting = self.taken.iter_mut();
        let taken = waiting.find(|taken| {
            let waits = matches!(taken.place, Place::Waits(_));
            taken.client == client && waits && !work.begun.contains_key(&taken.number)
        });
        let taken = taken.expect("it has waited");
        if let Place::Waits(since) = std::mem::replace(&mut taken.place, Place::Refused) {
            let waited = sight.now.since(since);
            assert!((timeout..=timeout + slack).contains(&waited), "{waited:?}");
        }
        self.tally.waited_in_vain += 1;
    }

    /// Those that wait now, whose clients are still there.
    fn waiting(&self, sight: &Sight<'_>) -> impl Iterator<Item = &Taken> {
        let begun = self.work.borrow().begun.clone();
        self.taken.iter().filter(move |taken| {
            let socket = &sight.clients[taken.client].socket;
            matches!(taken.place, Place::Waits(_))
                && socket.server_closed.is_none()
                && !begun.contains_key(&taken.number)
        })
    }

    /// Nothing is left to do: all places are taken, or nobody waits; and nobody has waited for too long.
    fn rest(&self, sight: &Sight<'_>) {
        let work = self.work.borrow();
        for taken in self.waiting(sight) {
            assert_eq!(work.running.len(), work.inflight_max, "{taken:?} waits");
        }
        self.nobody_overtakes(&work.begun);
    }

    /// Places that are free at the same moment are taken at the same moment, in whatever order.
    fn nobody_overtakes(&self, begun: &BTreeMap<usize, Moment>) {
        let moments = self
            .taken
            .iter()
            .filter_map(|taken| begun.get(&taken.number));
        assert!(moments.is_sorted(), "{begun:?} of {:?}", self.taken);
    }

    /// Compares what every client got with what became of its requests.
    fn judge(&mut self, clients: &[Client], was_cut: impl Fn(&Client) -> bool) {
        let work = self.work.borrow();
        for (index, client) in clients.iter().enumerate() {
            let taken: Vec<&Taken> = self
                .taken
                .iter()
                .filter(|taken| taken.client == index)
                .collect();
            let answers = &client.reader.answers;
            assert!(
                answers.len() <= taken.len(),
                "client {index} got more than it asked"
            );
            for (answer, taken) in answers.iter().zip(&taken) {
                let begun = work.begun.contains_key(&taken.number);
                let expected = match taken.place {
                    Place::Refused => 503,
                    Place::Free | Place::Waits(_) => 200,
                };
                assert_eq!(
                    (answer.status, begun),
                    (expected, expected == 200),
                    "client {index}"
                );
                let number = taken.number.to_string();
                assert!(!begun || answer.body == number.as_bytes(), "client {index}");
            }
            let gone = client.runs_away() || was_cut(client);
            assert!(
                gone || answers.len() == taken.len(),
                "client {index}: {taken:?}"
            );
            assert!(
                gone || answers.len() >= client.owed(),
                "client {index}: {taken:?}"
            );
            for taken in taken {
                let begun = work.begun.contains_key(&taken.number);
                match taken.place {
                    Place::Waits(_) if begun => self.tally.waited_and_begun += 1,
                    Place::Waits(_) if client.runs_away() => self.tally.left_while_waiting += 1,
                    Place::Refused => assert!(!begun, "client {index}: {taken:?}"),
                    _ => {}
                }
            }
        }
        assert!(work.running.is_empty());
    }
}

fn a_queue(seed: u64) -> Tally {
    let mut random = Random::new(seed);
    let mut limits = super::limits();
    let inflight_max = random.within(1..5);
    limits.max_inflight = Some(inflight_max);
    let waits = !random.once_in(3);
    limits.queue_timeout = waits.then(|| random.millis(100..8_000));
    let longest = [2_000, 25_000][random.below(2)];
    limits.shutdown_timeout = random.millis(500..longest);
    let millis = [50, 600, 6_000][random.below(3)];
    let mut next = 0;
    let grain = Duration::from_millis([1, millis as u64 / 10][random.below(2)]);
    let clients: Vec<Client> = (0..random.within(2..30))
        .map(|_| Client::asking(&mut random, millis, &mut next).in_step(grain))
        .collect();
    let work = Rc::new(RefCell::new(Work {
        inflight_max,
        ..Work::default()
    }));
    let rules = RefCell::new(Rules {
        limits: limits.clone(),
        work: work.clone(),
        taken: Vec::new(),
        tally: Tally::default(),
    });
    let latest = [millis * 5, 200_000][random.below(2)];
    let plan = Plan {
        stop_at: random.millis(0..latest),
        freezes: false,
        random,
        limits,
        clients,
        watch: Some(Box::new(|sight| rules.borrow_mut().watch(sight))),
    };
    let mut world = serving(plan, working(&work));
    world.run();
    world.judge(|_| false);
    let cut = world.cut_at();
    let was_cut = |client: &Client| {
        let closed = client.socket.server_closed;
        cut.is_some_and(|cut| closed.is_some_and(|closed| closed >= cut))
    };
    let mut rules = rules.borrow_mut();
    rules.judge(&world.clients, was_cut);
    rules.tally
}

#[test]
fn over_the_bound_requests_wait_in_order_or_are_refused_and_no_place_is_lost() {
    let tallies = super::with_every_seed(SEEDS, a_queue);
    if tallies.len() < SEEDS as usize {
        return;
    }
    // Whatever there is a rule for has come up, and not just once.
    let several = |case: &str, count: fn(&Tally) -> usize| {
        let sum: usize = tallies.iter().map(count).sum();
        assert!(sum >= 20, "{case}: {sum}");
    };
    several("refused", |tally| tally.refused);
    several("waited in vain", |tally| tally.waited_in_vain);
    several("waited and begun", |tally| tally.waited_and_begun);
    several("left while waiting", |tally| tally.left_while_waiting);
    several("waiting at the stop", |tally| tally.waiting_at_stop);
    several("waiting at the cut", |tally| tally.waiting_at_cut);
}
