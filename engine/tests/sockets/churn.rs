//! Churn: clients that come, talk and go in every way there is, many at once and in an order of chance, for a while.
//! Afterwards the server has to be what it was: every connection counted as ended, every future dropped, and exactly
//! the descriptors open that were open before.
//!
//! The server runs in a process of its own (`serving`), so that its descriptors are nobody else's. What one client does
//! is in `visit`; what they all did together is in `tally`, and a run that has not done enough of everything goes on
//! until it has.
//!
//! The seed is printed, and `SEED=n` repeats its choices (not the kernel's). A long run, a minute for each driver, one
//! after the other:
//!
//! ```sh
//! CHURN_SECONDS=60 cargo test -p lanner --test sockets churn:: -- --nocapture --test-threads=1
//! ```

mod random;
mod serving;
mod tally;
mod visit;

use crate::child;
use crate::server::{PATIENCE, until};
use random::Random;
use serving::Serving;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tally::Tally;
use visit::{Departure, Visit};

/// How long a run takes if nobody says otherwise.
const SECONDS: u64 = 3;

/// Threads of clients that leave by themselves, and how many connections each of them holds at once.
const CROWDS: u64 = 8;
const CROWD_MAX: usize = 32;

/// Abandoned connections held at once. Beyond it the oldest is waited for: the server has to end it.
const ABANDONED_MAX: usize = 128;

/// How long a run may go on beyond its time for want of variety.
const OVERTIME: Duration = PATIENCE.saturating_mul(3);

/// What all threads of clients share.
struct Run {
    addresses: Vec<SocketAddr>,
    tally: Mutex<Tally>,
    began: Instant,
    length: Duration,
    /// A thread has panicked.
    failed: AtomicBool,
}

/// Held by every thread: if one fails, the others need not go on.
struct Alarm<'a>(&'a AtomicBool);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

impl Run {
    fn is_over(&self) -> bool {
        let so_far = self.began.elapsed();
        if self.failed.load(Ordering::Relaxed) {
            return true;
        }
        if so_far < self.length {
            return false;
        }
        let missing = self.tally.lock().unwrap().missing();
        assert!(
            missing.is_none() || so_far < self.length + OVERTIME,
            "after {so_far:?} still too few: {missing:?}"
        );
        missing.is_none()
    }

    fn note(&self, what: impl FnOnce(&mut Tally)) {
        what(&mut self.tally.lock().unwrap());
    }

    /// A new connection as far as it gets before it leaves. One that the server ends too early is counted and gone.
    fn begin(&self, random: &mut Random, departures: &[Departure]) -> Option<Visit> {
        let address = *random.one_of(&self.addresses);
        let departure = *random.one_of(departures);
        let mut visit = Visit::arrive(address, departure, random);
        self.note(|tally| tally.opened += 1);
        let talked = visit.talk(random);
        self.note(|tally| visit.uses().iter().for_each(|one| tally.used(*one)));
        match talked {
            Ok(()) => Some(visit),
            Err(error) => {
                self.note(|tally| tally.cut(&visit, &error));
                None
            }
        }
    }

    fn leave(&self, visit: Visit) {
        let (stage, departure) = (visit.stage(), visit.departure());
        let unheard = visit.is_unheard();
        match visit.leave() {
            Ok(()) => self.note(|tally| tally.left(stage, departure, unheard)),
            Err((visit, error)) => self.note(|tally| tally.cut(&visit, &error)),
        }
    }

    /// Clients that leave by themselves, in another order than they came.
    fn crowd(&self, mut random: Random) {
        let _alarm = Alarm(&self.failed);
        let departures = [Departure::Close, Departure::HalfClose, Departure::Reset];
        let mut present = Vec::new();
        while !self.is_over() {
            if present.len() < CROWD_MAX && random.below(2) == 0 {
                present.extend(self.begin(&mut random, &departures));
            } else if !present.is_empty() {
                let index = random.index(present.len());
                self.leave(present.swap_remove(index));
            }
        }
        present.into_iter().for_each(|visit| self.leave(visit));
    }

    /// Clients that say nothing any more and do not leave either. Gives those that are still there.
    fn abandoned(&self, mut random: Random) -> VecDeque<Visit> {
        let _alarm = Alarm(&self.failed);
        let mut present = VecDeque::new();
        while !self.is_over() {
            if let Some(visit) = self.begin(&mut random, &[Departure::Abandon]) {
                self.note(|tally| tally.left(visit.stage(), Departure::Abandon, false));
                present.push_back(visit);
            }
            if present.len() > ABANDONED_MAX
                && let Some(oldest) = present.pop_front()
            {
                oldest.outlast();
            }
        }
        present
    }

    /// Everybody at once. Gives the connections that were abandoned and not waited for.
    fn go(&self, seed: u64) -> VecDeque<Visit> {
        std::thread::scope(|scope| {
            for number in 1..=CROWDS {
                scope.spawn(move || self.crowd(Random::new(seed, number)));
            }
            let abandoned = scope.spawn(|| self.abandoned(Random::new(seed, 0)));
            abandoned
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a whole number"))
}

on_every_driver! {
    fn whatever_clients_do_the_server_is_afterwards_what_it_was(on) {
        if child::is_alone() {
            return serving::serve_until_told(on);
        }
        let seed = number_from("SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
        let length = Duration::from_secs(number_from("CHURN_SECONDS").unwrap_or(SECONDS));
        println!("{on}: SEED={seed} CHURN_SECONDS={}", length.as_secs());
        let test = "churn::whatever_clients_do_the_server_is_afterwards_what_it_was";
        let mut server = Serving::start(&format!("{test}::{}", child::module(on)));
        let (descriptors, memory) = (server.descriptors(), server.memory());
        let run = Run {
            addresses: server.addresses().to_vec(),
            tally: Mutex::default(),
            began: Instant::now(),
            length,
            failed: AtomicBool::new(false),
        };

        let abandoned = run.go(seed);

        // Those that were abandoned are still there: it is the server that ends them.
        let mut counters = server.counters();
        let deadline = Instant::now() + PATIENCE;
        while counters["open"] > 0 || counters["alive"] > 0 {
            assert!(Instant::now() < deadline, "never ended: {counters:?}");
            std::thread::park_timeout(Duration::from_millis(1));
            counters = server.counters();
        }
        drop(abandoned);
        until(
            || server.descriptors() == descriptors,
            || {
                let mut after = server.descriptors();
                after.retain(|number, target| descriptors.get(number) != Some(target));
                format!("before {descriptors:?}; now changed or new: {after:?}")
            },
        );
        let tally = run.tally.into_inner().unwrap();
        println!("{on}: {tally}");
        println!("{on}: the server counted {counters:?}");
        println!("{on}: its memory went from {memory} to {} KiB", server.memory());
        tally.agrees_with(&counters);
        server.stop();
    }
}
