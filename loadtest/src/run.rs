//! `lanner-loadtest run`: loads a server from as many threads as asked for, and measures what it answers.
//!
//! [`run`] does what a [`Plan`] says and returns an [`Outcome`]. Each thread is a `lane` with connections of its own
//! (`link`), on which a `speech` of one version of HTTP sends the calls that `demand` asks for. Nothing is shared between
//! lanes but a few words that end a run before its time, because there is no use in it or because somebody wishes it
//! (`interruption`). Reading the command line and writing reports is left to others.

mod clock;
pub mod command;
mod demand;
mod h2_crate;
mod interruption;
mod lane;
mod link;
mod mix;
mod origin;
mod outcome;
mod plan;
mod ports;
mod secure;
mod shared;
mod speech;
mod time_line;
mod trouble;

pub use interruption::Interruption;
pub use mix::{Common, Mix, Share, Unsendable};
pub use origin::{Origin, Place};
pub use outcome::{Interval, Outcome, Tally};
pub use plan::{Client, Pace, Plan, TlsTerms, Version};
pub use trouble::{Kind, Trouble, Troubles};

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use clock::Clock;
use demand::Demand;
use lane::{Lane, Report};
use secure::Terms;
use shared::Shared;
use time_line::TimeLine;

/// What a thread needs beside its connections: pollers, timers, and what wakes it.
pub const DESCRIPTORS_OF_A_THREAD: usize = 8;

/// Carries out a plan, or as much of it as there is time for before somebody interrupts it. `watch` sees each piece of the time
/// line when all threads have told of it.
///
/// # Errors
/// Something of ours is missing: descriptors, threads, the file of authorities. What is wrong with the server is in the outcome.
pub fn run(
    plan: &Plan,
    interruption: &Interruption,
    watch: &mut dyn FnMut(&Interval),
) -> io::Result<Outcome> {
    let terms = plan
        .origin
        .is_secure
        .then(|| Terms::new(plan))
        .transpose()?;
    let shared = Shared::new(interruption.clone());
    let (sender, receiver) = mpsc::channel();
    let processors = processors(plan.threads);
    // What is to be sent when may be long to write down, so that is done before the clock runs.
    let demands: Vec<_> = (0..plan.threads)
        .map(|lane| Demand::new(plan, lane))
        .collect();
    let clock = Clock::start();
    let mut outcome = Outcome {
        tally: Tally::default(),
        time_line: Vec::new(),
        interval: plan.interval(),
        recorded: plan.duration,
        warm_up: plan.warm_up,
        aborted: None,
        is_interrupted: false,
    };
    let tallies = std::thread::scope(|scope| {
        let work = |number: usize, demand: Demand, sender: Sender<Report>| {
            if let Some(processor) = processors.get(number) {
                pin(*processor);
            }
            let ended = sender.clone();
            let terms = terms.as_ref();
            let tally = match plan.client {
                Client::Own => Lane::new(plan, number, demand, &shared, sender, clock, terms)
                    .and_then(Lane::run),
                Client::H2Crate => h2_crate::run(plan, number, &shared, sender, clock, terms),
            };
            if tally.is_err() {
                // The others' figures would be of another load than was asked for.
                shared.give_up();
            }
            drop(ended.send(Report::Ended(number)));
            tally
        };
        let threads: Vec<_> = demands
            .into_iter()
            .enumerate()
            .map(|(number, demand)| {
                let sender = sender.clone();
                let name = format!("lane {number}");
                let thread = std::thread::Builder::new().name(name);
                let thread = thread.spawn_scoped(scope, move || work(number, demand, sender));
                if thread.is_err() {
                    shared.give_up();
                }
                thread
            })
            .collect();
        drop(sender);
        outcome.listen(&receiver, plan.threads, &shared, watch);
        threads
            .into_iter()
            .map(|thread| {
                let panicked = |_| io::Error::other("a thread panicked");
                thread?.join().map_err(panicked)?
            })
            .collect::<io::Result<Vec<_>>>()
    })?;
    for tally in tallies {
        outcome.tally.merge(tally);
    }
    if outcome.aborted.is_none() {
        outcome.tally.settle();
    }
    if shared.was_cut_short() && outcome.aborted.is_none() {
        outcome.is_interrupted = true;
        outcome.aborted = Some(interruption.to_string());
    }
    if outcome.aborted.is_some() {
        outcome.end_at(Duration::from_nanos(clock.now().as_nanos()));
    }
    Ok(outcome)
}

impl Outcome {
    /// Puts the time line together as it comes, until every lane has ended.
    fn listen(
        &mut self,
        reports: &Receiver<Report>,
        lanes: usize,
        shared: &Shared,
        watch: &mut dyn FnMut(&Interval),
    ) {
        let mut line = TimeLine::of(lanes);
        for report in reports {
            match report {
                Report::Hopeless(trouble) => {
                    shared.give_up();
                    self.aborted.get_or_insert(trouble.text);
                }
                Report::Interval(lane, interval) => line.add(lane, &interval),
                Report::Ended(lane) => line.end(lane),
            }
            while let Some(whole) = line.take_whole() {
                watch(&whole);
                self.time_line.push(whole);
            }
        }
        // Where a thread has ended without saying so.
        self.time_line.extend(line.rest());
    }
}

/// One processor for each thread, where there are just so many: else the system knows better which of them are free, and
/// the server may be on the first.
fn processors(threads: usize) -> Vec<usize> {
    let Ok(allowed) = sched_getaffinity(None) else {
        return Vec::new();
    };
    let processors: Vec<_> = (0..CpuSet::MAX_CPU)
        .filter(|one| allowed.is_set(*one))
        .collect();
    if processors.len() != threads {
        return Vec::new();
    }
    processors
}

fn pin(processor: usize) {
    let mut only = CpuSet::new();
    only.set(processor);
    // Where it is not allowed, the system places the thread as it likes.
    let _ = sched_setaffinity(None, &only);
}
