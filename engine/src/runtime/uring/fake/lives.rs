//! Whole lives of the real driver over the fake kernel. Everything follows from one seed, which a failure prints;
//! `LANNER_RING_SEED=N cargo test uring::fake` replays it, and `LANNER_RING_SEED=0..100000` is a longer run.

use super::{BURST_MAX, Fake, Tally};
use crate::admission::Admission;
use crate::context::Context;
use crate::control::Control;
use crate::counters::{Counters, WorkerCounters};
use crate::date::Date;
use crate::exchange::{Dispatch, Exchanges};
use crate::lease::Pool;
use crate::listener::{Bound, Listening};
use crate::runtime::door::{Door, Doorkeeper};
use crate::runtime::uring::Uring;
use crate::runtime::uring::buffers::BUFFER_BYTES;
use crate::server::ServerInfo;
use crate::shared::Shared;
use crate::simulation::network::{self, Network};
use crate::simulation::random::Random;
use crate::simulation::random_limits;
use crate::worker::Worker;
use lanner_limits::{Host, Limits, ListenUrl, Listener, Moment, Scheme, Trip};
use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;

/// What an ordinary test run does at least.
const FAULTS_MIN: u64 = 200_000;

fn live(seed: u64) -> Tally {
    let mut random = Random::new(seed);
    let limits = Rc::new(random_limits(&mut random));
    let control = Arc::<Control>::default();
    let context = Context::new(Arc::default(), control.clone()).expect("there are descriptors");
    control.join(context.ready.clone());
    let _entered = context.enter();
    let shared = Shared {
        limits: limits.clone(),
        pool: Pool::default(),
        exchanges: Exchanges::new(network::dispatch(), context.ready.clone()),
        date: Date::new(),
        access_log: None,
        text: Vec::new(),
        counters: Arc::new(WorkerCounters::new()),
        admission: Admission::new(&limits),
    };
    let network = Network::random(&mut random, &limits, control.clone());
    let worker = Worker::new(shared, context.clone(), Moment::ZERO);
    let door = Door::new(&worker, listeners(&limits), control, Moment::ZERO);
    let kernel = Fake::new(Random::new(!seed), context, network.clone());
    // What comes with a request is taken, wanted or not, and one buffer more where a cancellation comes too late.
    let held_max = limits.request_buffer + (BURST_MAX + 1) * BUFFER_BYTES;
    let mut driver = Uring::new(kernel, worker, door, Moment::ZERO);
    driver.mind_the_door().expect("nothing fails here");
    while !driver.is_over() {
        driver.turn().expect("no call fails here");
        let held = driver.worker.held_input_max();
        assert!(held <= held_max, "{held} bytes are held for one client");
    }
    driver.finish().expect("everything completes");
    judge(driver, &network, &limits)
}

/// A loopback address that is nobody else's: a process that has just lost its server, and connects to the port again, must not
/// come to this listener.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 82, 105, 110);

/// A listener that is watched like any other. Nobody connects to it: clients come from the network that is made up.
fn listeners(limits: &Limits) -> Vec<Listening> {
    let mut limits = limits.clone();
    let url = ListenUrl::Tcp {
        scheme: Scheme::Http,
        host: Host::Ip(ADDRESS.into()),
        port: 0,
    };
    limits.listeners = vec![Listener::new("fake", url, &limits)];
    let server = Arc::new(ServerInfo {
        addresses: Vec::new(),
        workers: 1,
        driver: "fake",
        driver_reason: "a test",
    });
    let mut bound = Bound::bind(&limits).expect("a port is free");
    let shares = bound.take_workers(1, &server);
    shares.expect("there are descriptors").remove(0)
}

/// Nothing is left behind, and every client got what it is promised.
fn judge<D: Dispatch>(
    mut driver: Uring<D, Fake>,
    network: &Rc<RefCell<Network>>,
    limits: &Limits,
) -> Tally {
    assert_eq!(driver.strays, 0, "completions that nobody waited for");
    assert_eq!(driver.kernel.in_flight(), 0, "operations in flight");
    assert_eq!(driver.sockets.len(), 0, "sockets");
    let on_offer = driver.kernel.on_offer();
    assert!(
        on_offer.is_power_of_two(),
        "{on_offer} buffers are on offer"
    );
    driver.buffers.retire(&driver.kernel.table);
    // Tasks and leases that clients left behind are gone with a turn more.
    driver.serve_due();
    assert_eq!(driver.worker.leftovers(), Vec::<String>::new());
    let counters = &*driver.worker.shared.counters;
    let counted = Counters::sum([counters].into_iter());
    let judged = network
        .borrow_mut()
        .judge(driver.now, limits, counted.hits(Trip::IdleShed));
    if let Err(problem) = judged {
        panic!("{problem}\n{:?}", counted.named());
    }
    driver.kernel.tally()
}

fn live_and_tell(seed: u64) -> Tally {
    let outcome = std::panic::catch_unwind(|| live(seed));
    outcome.unwrap_or_else(|panic| {
        eprintln!("LANNER_RING_SEED={seed} fails");
        std::panic::resume_unwind(panic);
    })
}

#[test]
fn every_client_gets_its_answers_whatever_the_kernel_does_and_nothing_is_left_behind() {
    let wanted = std::env::var("LANNER_RING_SEED").ok();
    let number = |text: &str| text.parse::<u64>().expect("a seed is a number");
    let (from, to) = match wanted.as_deref().map(|text| (text, text.split_once(".."))) {
        None => (0, u64::MAX),
        Some((_, Some((from, to)))) => (number(from), number(to)),
        Some((one, None)) => (number(one), number(one) + 1),
    };
    let (mut faults, mut completions, mut lives) = (0, 0, 0);
    for seed in from..to {
        let tally = live_and_tell(seed);
        faults += tally.faults;
        completions += tally.completions;
        lives += 1;
        if wanted.is_none() && faults >= FAULTS_MIN {
            break;
        }
    }
    println!("{faults} faults in {completions} completions of {lives} lives");
}

#[test]
fn the_same_seed_is_the_same_life() {
    assert_eq!(live_and_tell(7), live_and_tell(7));
}
