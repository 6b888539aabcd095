//! Timers of 8,192 connections. `move`: a connection has sent something, and its deadline moves away; that is what nearly all
//! timers do nearly all the time. `fire`: time passes, and each timer that is due is taken and set again.
//!
//! Beside the wheel stand a `BTreeMap` by moment, and a `BinaryHeap` that leaves what has moved where it is and looks again
//! when it comes up; both are exact where the wheel is late by up to a tick. `tokio_util`'s `DelayQueue` is a wheel too; it is
//! only moved here, for it fires by tokio's own clock.

use criterion::{BatchSize, Criterion, Throughput};
use lanner_limits::{Moment, Wheel};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::hint::black_box;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::time::{DelayQueue, delay_queue};

const CONNECTIONS: u32 = 8_192;

/// Timers that are moved in one round.
const MOVES: u32 = 1_024;

/// Of a wheel as the engine has it.
const TICK: Duration = Duration::from_millis(64);

/// How far away a deadline is.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What all of them can do.
trait Timers {
    fn schedule(&mut self, key: u32, at: Moment);

    /// One whose moment has come.
    fn pop_due(&mut self, now: Moment) -> Option<u32>;
}

impl Timers for Wheel {
    fn schedule(&mut self, key: u32, at: Moment) {
        Wheel::schedule(self, key, at);
    }

    fn pop_due(&mut self, now: Moment) -> Option<u32> {
        Wheel::pop_due(self, now)
    }
}

/// By moment, and by key where that is.
#[derive(Default)]
struct Tree {
    moments: Vec<Moment>,
    due: BTreeMap<(Moment, u32), ()>,
}

impl Timers for Tree {
    fn schedule(&mut self, key: u32, at: Moment) {
        let index = key as usize;
        if index >= self.moments.len() {
            self.moments.resize(index + 1, Moment::MAX);
        }
        self.due.remove(&(self.moments[index], key));
        self.moments[index] = at;
        self.due.insert((at, key), ());
    }

    fn pop_due(&mut self, now: Moment) -> Option<u32> {
        let first = self.due.first_entry()?;
        let key = first.key().1;
        (first.key().0 <= now).then(|| {
            first.remove();
            key
        })
    }
}

/// Each key is in it once; its moment there is its own or an earlier one.
#[derive(Default)]
struct Heap {
    moments: Vec<Moment>,
    due: BinaryHeap<Reverse<(Moment, u32)>>,
}

impl Timers for Heap {
    /// For moments that only move away, which is the best case of this kind of heap.
    fn schedule(&mut self, key: u32, at: Moment) {
        let index = key as usize;
        if index >= self.moments.len() {
            self.moments.resize(index + 1, Moment::MAX);
        }
        if self.moments[index] == Moment::MAX {
            self.due.push(Reverse((at, key)));
        }
        self.moments[index] = at;
    }

    fn pop_due(&mut self, now: Moment) -> Option<u32> {
        loop {
            let mut first = self.due.peek_mut()?;
            let Reverse((at, key)) = *first;
            if at > now {
                return None;
            }
            let moved = self.moments[key as usize];
            if moved > at {
                first.0.0 = moved;
                continue;
            }
            std::collections::binary_heap::PeekMut::pop(first);
            self.moments[key as usize] = Moment::MAX;
            return Some(key);
        }
    }
}

pub(crate) fn bench(criterion: &mut Criterion) {
    let wheel = || Wheel::new(TICK, Moment::ZERO);
    // Over the same time, the same number must fire.
    let fired = run(&mut full(wheel()));
    assert!(fired >= u64::from(CONNECTIONS));
    assert_eq!(run(&mut full(Tree::default())), fired);
    assert_eq!(run(&mut full(Heap::default())), fired);

    let mut group = criterion.benchmark_group("timers/move");
    group.throughput(Throughput::Elements(u64::from(MOVES)));
    group.bench_function("lanner", |b| b.iter(mover(wheel())));
    group.bench_function("BTreeMap", |b| b.iter(mover(Tree::default())));
    group.bench_function("BinaryHeap", |b| b.iter(mover(Heap::default())));
    group.bench_function("DelayQueue", |b| b.iter(queue_mover()));
    group.finish();

    let mut group = criterion.benchmark_group("timers/fire");
    group.throughput(Throughput::Elements(fired));
    let size = BatchSize::LargeInput;
    group.bench_function("lanner", |b| {
        b.iter_batched_ref(|| full(wheel()), run, size);
    });
    group.bench_function("BTreeMap", |b| {
        b.iter_batched_ref(|| full(Tree::default()), run, size);
    });
    group.bench_function("BinaryHeap", |b| {
        b.iter_batched_ref(|| full(Heap::default()), run, size);
    });
    group.finish();
}

/// A timer for every connection, spread over the time that one has.
fn full<T: Timers>(mut timers: T) -> T {
    for key in 0..CONNECTIONS {
        timers.schedule(key, Moment::ZERO + spread(key));
    }
    timers
}

/// Where a connection's timer is within the time that one has: neighbours apart, and on the edge of a tick, so that the wheel
/// fires it no later than the others.
fn spread(key: u32) -> Duration {
    let ticks = TIMEOUT.as_millis() as u32 / TICK.as_millis() as u32;
    TICK * (1 + scattered(key) % ticks)
}

/// Neighbours apart.
fn scattered(key: u32) -> u32 {
    key.wrapping_mul(0x9e37_79b9) >> 8
}

/// Lets time pass tick by tick, and sets what has fired again; counts what has.
fn run<T: Timers>(timers: &mut T) -> u64 {
    let mut fired = 0;
    let mut now = Moment::ZERO;
    while now < Moment::ZERO + TIMEOUT {
        now += TICK;
        while let Some(key) = timers.pop_due(now) {
            timers.schedule(black_box(key), now + spread(key));
            fired += 1;
        }
    }
    fired
}

/// Moves a thousand timers, others each time.
fn mover<T: Timers>(timers: T) -> impl FnMut() {
    let mut timers = full(timers);
    let (mut number, mut now) = (0, Moment::ZERO);
    move || {
        // A moment of its own for each, as requests come.
        for _ in 0..MOVES {
            now += Duration::from_micros(10);
            number += 1;
            timers.schedule(scattered(number) % CONNECTIONS, now + TIMEOUT);
        }
    }
}

fn queue_mover() -> impl FnMut() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let begin = Instant::now() + TIMEOUT;
    let mut queue = DelayQueue::new();
    let keys: Vec<delay_queue::Key> = {
        let _entered = runtime.enter();
        let insert = |key| queue.insert_at(key, begin + spread(key));
        (0..CONNECTIONS).map(insert).collect()
    };
    let (mut number, mut now) = (0, begin);
    move || {
        let _entered = runtime.enter();
        for _ in 0..MOVES {
            now += Duration::from_micros(10);
            number += 1;
            let key = &keys[scattered(number) as usize % keys.len()];
            queue.reset_at(key, now + TIMEOUT);
        }
    }
}
