//! System calls per request, counted by strace on the worker's thread. They do not depend on optimisation, so any build
//! of `steady` will do.

use crate::endpoint::Endpoint;
use crate::load::Load;
use crate::obstacle::Obstacle;
use crate::scenario::Scenario;
use crate::subject::{Scratch, Subject, tool};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// System calls of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Reads of a socket that brought something.
    Reads,
    /// Reads that did not.
    ReadsFailed,
    /// Writes to a socket that took something.
    Writes,
    /// Writes that did not.
    WritesFailed,
    /// Waits for events.
    Waits,
    /// Entries into an io_uring.
    RingEnters,
    /// Anything else.
    Others,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Reads,
        Self::ReadsFailed,
        Self::Writes,
        Self::WritesFailed,
        Self::Waits,
        Self::RingEnters,
        Self::Others,
    ];

    /// The name in budgets.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::ReadsFailed => "reads-failed",
            Self::Writes => "writes",
            Self::WritesFailed => "writes-failed",
            Self::Waits => "waits",
            Self::RingEnters => "ring-enters",
            Self::Others => "other-calls",
        }
    }

    fn of(call: &str, succeeded: bool) -> Self {
        match call {
            "read" | "readv" | "recvfrom" | "recvmsg" if succeeded => Self::Reads,
            "read" | "readv" | "recvfrom" | "recvmsg" => Self::ReadsFailed,
            "write" | "writev" | "sendto" | "sendmsg" if succeeded => Self::Writes,
            "write" | "writev" | "sendto" | "sendmsg" => Self::WritesFailed,
            "epoll_wait" | "epoll_pwait" | "epoll_pwait2" => Self::Waits,
            "io_uring_enter" => Self::RingEnters,
            _ => Self::Others,
        }
    }
}

/// What a request costs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SystemCalls {
    counts: BTreeMap<Kind, f64>,
    /// Calls of the kind [`Kind::Others`], by name.
    pub others: BTreeMap<String, f64>,
}

impl SystemCalls {
    /// Calls of a kind per request.
    pub fn of(&self, kind: Kind) -> f64 {
        self.counts.get(&kind).copied().unwrap_or_default()
    }
}

/// Mixes gone through before anything counts.
const WARM_CYCLES: u64 = 1;

/// Mixes that count.
const CYCLES: u64 = 4;

/// Counts what a request of the scenario costs on a driver.
///
/// # Errors
/// If strace or the driver is not to be had, or the server fails.
pub fn measure(steady: &Path, driver: &str, scenario: Scenario) -> Result<SystemCalls, Obstacle> {
    tool("strace")?;
    let fewer = trace(steady, driver, scenario, WARM_CYCLES)?;
    let more = trace(steady, driver, scenario, WARM_CYCLES + CYCLES)?;
    // A driver that fell back to another one must not pass for the one that was asked for.
    if driver == "monoio" && !more.contains_key(&("io_uring_enter".to_owned(), true)) {
        return Err(Obstacle::Driver(
            "monoio runs without a ring here: nothing to count".into(),
        ));
    }
    Ok(difference(
        &fewer,
        &more,
        (CYCLES * scenario.cycle()) as f64,
    ))
}

/// Calls by name and success.
type Tally = BTreeMap<(String, bool), f64>;

fn trace(steady: &Path, driver: &str, scenario: Scenario, cycles: u64) -> Result<Tally, Obstacle> {
    let log = Scratch::new("strace");
    let endpoint = Endpoint::of(scenario).map_err(Obstacle::failed("the certificate"))?;
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-s", "0", "-o"]).arg(&log.0);
    command.arg(steady).args(["--driver", driver]);
    command.args(endpoint.arguments());
    let subject = Subject::start(command)?;
    let worker = subject.worker;
    let mut load =
        Load::connect(&endpoint, subject.address).map_err(Obstacle::failed("connecting"))?;
    load.run(cycles).map_err(Obstacle::failed("the load"))?;
    drop(load);
    subject.end()?;
    let text = std::fs::read_to_string(&log.0).map_err(Obstacle::failed("reading the trace"))?;
    Ok(tally(&text, worker))
}

/// Counts a thread's calls in what strace wrote: `THREAD call(arguments) = result`, where a call that others interrupt
/// is broken in two, `<unfinished ...>` and `<... call resumed>`.
fn tally(text: &str, thread: u32) -> Tally {
    let mut tally = Tally::new();
    for line in text.lines() {
        let Some((id, rest)) = line.split_once(' ') else {
            continue;
        };
        let Some((call, result)) = rest.trim_start().rsplit_once(" = ") else {
            continue;
        };
        if id.parse() != Ok(thread) {
            continue;
        }
        let name = match call.strip_prefix("<... ") {
            Some(resumed) => resumed.split(' ').next(),
            None => call.split('(').next(),
        };
        let key = (
            name.unwrap_or_default().to_owned(),
            !result.starts_with('-'),
        );
        *tally.entry(key).or_default() += 1.0;
    }
    tally
}

fn difference(fewer: &Tally, more: &Tally, requests: f64) -> SystemCalls {
    let mut calls = SystemCalls::default();
    for ((name, succeeded), count) in more {
        let before = fewer.get(&(name.clone(), *succeeded));
        let each = (count - before.copied().unwrap_or_default()) / requests;
        let kind = Kind::of(name, *succeeded);
        *calls.counts.entry(kind).or_default() += each;
        if kind == Kind::Others && each != 0.0 {
            *calls.others.entry(name.clone()).or_default() += each;
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "\
17    read(0, \"\"..., 8)                     = 5
18    recvfrom(9, \"\"..., 32768, 0, NULL, NULL) = 77
18    sendto(9, \"\"..., 130, MSG_NOSIGNAL, NULL, 0) = 130
18    recvfrom(9, 0x7f, 32768, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)
18    epoll_wait(5,  <unfinished ...>
17    write(1, \"\"..., 3)                    = 3
18    <... epoll_wait resumed>[{events=EPOLLIN, data=0x1}], 256, -1) = 1
18    brk(0x55) = 0x55
18    +++ exited with 0 +++
";

    #[test]
    fn calls_of_one_thread_are_counted_also_where_others_interrupt() {
        let calls = difference(&Tally::new(), &tally(TRACE, 18), 1.0);
        let counts = Kind::ALL.map(|kind| calls.of(kind));
        assert_eq!(counts, [1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
        assert_eq!(calls.others.get("brk"), Some(&1.0));
    }

    #[test]
    fn what_both_runs_do_cancels_out() {
        let once = tally(TRACE, 18);
        let twice: Tally = once.iter().map(|(key, n)| (key.clone(), n * 3.0)).collect();
        assert_eq!(difference(&once, &twice, 2.0).of(Kind::Reads), 1.0);
        assert_eq!(difference(&once, &once, 2.0).of(Kind::Others), 0.0);
    }
}
