//! Whole lives of a worker over sockets and a clock that are made up: the real [`Worker`] with an app of many
//! behaviours, scripted clients beside each other, a network with small buffers, a server that stops or freezes.
//!
//! Everything follows from one seed, which a failure prints; `LANNER_SIMULATION_SEED=N cargo test simulation` replays it,
//! and `LANNER_SIMULATION_SEED=0..100000` is a longer run.
//!
//! Clients of all kinds are let loose here; the other scenarios bring a worker to one of its bounds, and watch from outside
//! whom that hits.

mod answers;
mod app;
mod client;
mod inflight;
mod lingering;
pub(crate) mod network;
mod pressure;
pub(crate) mod random;
mod socket;
mod watch;
mod world;

use client::Client;
use lanner_limits::{Limits, Machine};
use random::Random;
use world::{Plan, serving};

/// Seeds of an ordinary test run.
const SEEDS: u64 = 300;

/// The limits of a machine that is large enough for any scenario.
fn limits() -> Limits {
    Limits::for_machine(Machine {
        nofile: 65_536,
        memory: 1 << 30,
        cpus: 1,
    })
}

/// The same, with buffers and pipelines of various lengths.
pub(crate) fn random_limits(random: &mut Random) -> Limits {
    let mut limits = limits();
    limits.max_pipelined = [1, 2, 16][random.below(3)];
    limits.response_buffer = [4 << 10, 64 << 10][random.below(2)];
    limits.request_buffer = [4 << 10, 256 << 10][random.below(2)];
    limits
}

fn simulate(seed: u64) {
    let mut random = Random::new(seed);
    let limits = random_limits(&mut random);
    let clients: Vec<Client> = (0..random.within(1..25))
        .map(|_| Client::random(&mut random, &limits))
        .collect();
    // Before, in the middle of, or after everything that the clients do.
    let latest = [20_000, 100_000, 2_000_000][random.below(3)];
    let plan = Plan {
        stop_at: random.millis(0..latest),
        freezes: random.once_in(3),
        random,
        limits,
        clients,
        watch: None,
    };
    let mut world = serving(plan, app::app);
    world.run();
    world.judge(|_| false);
}

/// Runs a scenario with every seed that is asked for, or with the first `count`; a failure prints its seed.
fn with_every_seed<T>(count: u64, scenario: fn(u64) -> T) -> Vec<T> {
    let wanted = std::env::var("LANNER_SIMULATION_SEED").unwrap_or_else(|_| format!("0..{count}"));
    let number = |text: &str| text.parse::<u64>().expect("a seed is a number");
    let seeds = match wanted.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&wanted)..number(&wanted) + 1,
    };
    let with_seed = |seed| {
        std::panic::catch_unwind(|| scenario(seed)).unwrap_or_else(|panic| {
            eprintln!("LANNER_SIMULATION_SEED={seed} fails");
            std::panic::resume_unwind(panic);
        })
    };
    seeds.map(with_seed).collect()
}

#[test]
fn every_client_gets_what_it_is_promised_and_nothing_is_left_behind() {
    with_every_seed(SEEDS, simulate);
}
