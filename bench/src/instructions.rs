//! User-space instructions per request, counted by valgrind's callgrind on a release build of `steady`: the whole
//! process, of which nothing but the worker runs between the start and the stop.

use crate::load::Load;
use crate::obstacle::Obstacle;
use crate::scenario::Scenario;
use crate::subject::{Scratch, Subject, tool};
use std::path::Path;
use std::process::Command;

/// Mixes gone through before anything counts.
const WARM_CYCLES: u64 = 1;

/// The scenarios whose count does not depend on timing: with one connection in lock step, what the worker finds after
/// each wait is always the same.
pub const SCENARIOS: [Scenario; 4] = [
    Scenario::KeepAlive,
    Scenario::Pipelined16,
    Scenario::Upload,
    Scenario::Chunked,
];

/// Counts what a request of the scenario costs on our own epoll driver.
///
/// # Errors
/// If valgrind is not to be had, or the server fails.
pub fn measure(steady: &Path, scenario: Scenario) -> Result<f64, Obstacle> {
    tool("valgrind")?;
    // An upload costs much in the tool and the mix of heads is a small part of it.
    let cycles = if scenario == Scenario::Upload { 1 } else { 8 };
    let fewer = count(steady, scenario, WARM_CYCLES)?;
    let more = count(steady, scenario, WARM_CYCLES + cycles)?;
    Ok(more.saturating_sub(fewer) as f64 / (cycles * scenario.cycle()) as f64)
}

fn count(steady: &Path, scenario: Scenario, cycles: u64) -> Result<u64, Obstacle> {
    let out = Scratch::new("callgrind");
    profile(steady, scenario, cycles, &out.0)?;
    let text = std::fs::read_to_string(&out.0).map_err(Obstacle::failed("reading the profile"))?;
    total(&text).ok_or_else(|| Obstacle::Failure("the profile has no total".into()))
}

/// Runs the scenario under callgrind, which leaves its profile in `out`.
///
/// # Errors
/// If valgrind is not to be had, or the server fails.
pub fn profile(steady: &Path, scenario: Scenario, cycles: u64, out: &Path) -> Result<(), Obstacle> {
    tool("valgrind")?;
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--tool=callgrind"]);
    command.arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(steady).args(["--driver", "epoll"]);
    let subject = Subject::start(command)?;
    let mut load =
        Load::connect(scenario, subject.address).map_err(Obstacle::failed("connecting"))?;
    load.run(cycles).map_err(Obstacle::failed("the load"))?;
    drop(load);
    subject.end()
}

/// The sum of all instructions in a profile.
fn total(profile: &str) -> Option<u64> {
    profile
        .lines()
        .find_map(|line| line.strip_prefix("totals: "))
        .and_then(|count| count.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_by_its_total() {
        assert_eq!(total("events: Ir\nfn=(1)\n3 4\n\ntotals: 7\n"), Some(7));
        assert_eq!(total("events: Ir\nfn=(1)\n3 4\n"), None);
    }
}
