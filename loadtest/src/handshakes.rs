//! Handshakes one after the other on several threads, for a while. What one is, is in `secure.rs`; what it costs the server is
//! read by whoever started this.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::secure::{Client, Group, Wishes};

/// Failures in a row after which a thread sees no sense in going on.
const FAILURES_MAX: u64 = 100;

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom to connect to.
    pub address: SocketAddr,
    /// The certificate that is expected there.
    pub certificate: PathBuf,
    /// The key exchange.
    pub group: Group,
    /// Whether each handshake but a thread's first uses a ticket of the one before.
    pub resumes: bool,
    /// Connections at once, each on a thread of its own.
    pub threads: usize,
    /// For how long.
    pub time: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Handshakes that went as planned.
    pub done: u64,
    /// Those that were to be resumed and were not.
    pub not_resumed: u64,
    /// Those that failed.
    pub failed: u64,
    /// How one of those failed.
    pub failure: Option<String>,
    /// From the first handshake that counts to the end of the last.
    pub seconds: f64,
}

/// Runs it. Each thread's first handshake does not count, and must succeed: it brings the first ticket.
pub fn run(plan: &Plan) -> io::Result<Report> {
    let wishes = Wishes {
        certificate: &plan.certificate,
        group: plan.group,
        resumes: plan.resumes,
        protocol: "http/1.1",
    };
    let clients = (0..plan.threads)
        .map(|_| {
            let client = Client::new(plan.address, &wishes)?;
            client.shake_hands()?;
            Ok(client)
        })
        .collect::<io::Result<Vec<_>>>()?;
    let barrier = Barrier::new(plan.threads);
    let start = Instant::now();
    let reports = std::thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter()
            .map(|client| scope.spawn(|| work(plan, client, &barrier)))
            .collect();
        let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined.collect::<Result<Vec<_>, _>>()
    });
    let reports = reports.map_err(|_| io::Error::other("a thread panicked"))?;
    let mut sum = reports.into_iter().fold(Report::default(), Report::plus);
    sum.seconds = start.elapsed().as_secs_f64();
    Ok(sum)
}

fn work(plan: &Plan, client: &Client, barrier: &Barrier) -> Report {
    let (mut report, mut failures) = (Report::default(), 0);
    barrier.wait();
    let until = Instant::now() + plan.time;
    while Instant::now() < until && failures < FAILURES_MAX {
        match client.shake_hands() {
            Ok(resumed) if resumed == plan.resumes => report.done += 1,
            Ok(_) => report.not_resumed += 1,
            Err(error) => {
                report.failed += 1;
                failures += 1;
                report.failure = Some(error.to_string());
                continue;
            }
        }
        failures = 0;
    }
    report
}

impl Report {
    fn plus(self, other: Self) -> Self {
        Self {
            done: self.done + other.done,
            not_resumed: self.not_resumed + other.not_resumed,
            failed: self.failed + other.failed,
            failure: self.failure.or(other.failure),
            seconds: self.seconds,
        }
    }
}
