//! The parts of the server, timed alone and beside what people use for the same: `cargo bench -p lanner-bench`, and
//! `cargo bench -p lanner-bench -- --test` only to see that both sides come to the same. Times are this machine's and this
//! minute's; only those of one group in one run can be compared. What must not grow is held by counts (`bench/budgets.toml`).
//!
//! Each file says what is compared with what, and what one side does more than the other.
#![allow(clippy::unwrap_used)]

mod caps;
mod chunked;
mod frames;
mod h2_connection;
mod hpack;
mod request_head;
mod wheel;

use criterion::Criterion;
use std::time::Duration;

fn main() {
    // The whole takes a minute or two; whoever wants to know better asks for more on the command line.
    let mut criterion = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1_500))
        .configure_from_args();
    request_head::bench(&mut criterion);
    chunked::bench(&mut criterion);
    hpack::bench(&mut criterion);
    frames::bench(&mut criterion);
    h2_connection::bench(&mut criterion);
    wheel::bench(&mut criterion);
    caps::bench(&mut criterion);
    criterion.final_summary();
}

/// Limits of an ordinary machine.
fn limits() -> lanner_limits::Limits {
    lanner_limits::Limits::for_machine(lanner_limits::Machine {
        nofile: 65_536,
        memory: 1 << 30,
        cpus: 1,
    })
}
