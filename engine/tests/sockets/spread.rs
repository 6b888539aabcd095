//! How connections are spread over workers. The kernel chooses by a hash of both ends' addresses, so the split is luck
//! and only printed; that nobody is lost and no worker left out is not. To see it:
//!
//! ```sh
//! cargo test -p lanner --test sockets spread:: -- --nocapture
//! ```

use crate::child;
use crate::client::Client;
use crate::server::{limits, start};
use lanner::{Count, Request, Response, WorkerInfo};
use lanner_limits::Driver;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that the crowd does not need.
const SPARE: u64 = 200;

/// Connects so many clients at once, has each answered by its worker's name, and gives how many each worker has.
fn split(on: Driver, connections: usize) -> [usize; 2] {
    let mut limits = limits(on);
    limits.workers = 2;
    // Nobody is to be shed.
    limits.max_connections = 2 * connections;
    let server = start(limits, |worker: &WorkerInfo| {
        let index = worker.index;
        move |_: Request| async move { Ok(Response::text(index.to_string())) }
    })
    .unwrap();
    let mut clients: Vec<Client> = (0..connections).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.ask("/");
    }
    let mut split = [0; 2];
    for client in &mut clients {
        let answer = client.answer();
        assert!(answer.status == 200 && !answer.closes(), "{answer:?}");
        let worker: usize = answer.text().parse().unwrap();
        split[worker] += 1;
    }
    let counters = server.counters();
    assert_eq!(counters.open(), connections as u64);
    for (count, expected) in [
        (Count::Accepted, connections),
        (Count::Rejected, 0),
        (Count::AcceptErrors, 0),
    ] {
        assert_eq!(counters.count(count), expected as u64, "{}", count.name());
    }
    server.until("all requests are counted", |counters| {
        counters.count(Count::Requests) == connections as u64
    });
    assert!(split.iter().all(|share| *share > 0), "{split:?}");
    split
}

/// Both ends of every connection are in this process.
fn make_room_for(connections: usize) {
    let needed = 2 * connections as u64 + SPARE;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < needed) {
        let raised = Rlimit {
            current: Some(needed),
            maximum,
        };
        setrlimit(Resource::Nofile, raised).expect("`ulimit -Hn` allows that many descriptors");
    }
}

on_every_driver! {
    fn two_workers_share_few_and_many_connections_and_lose_none(on) {
        let test = "spread::two_workers_share_few_and_many_connections_and_lose_none";
        let printed = child::alone(&format!("{test}::{}", child::module(on)), || {
            for connections in [64, 2_000] {
                make_room_for(connections);
                let [first, second] = split(on, connections);
                println!("\nspread: {on}: {connections} connections, {first}:{second}");
            }
        });
        let Some(printed) = printed else { return };
        let lines = printed.lines().filter(|line| line.starts_with("spread: "));
        assert_eq!(lines.map(|line| println!("{line}")).count(), 2, "{printed}");
    }
}
