//! User-space instructions per request, counted by valgrind's callgrind on a release build of `steady`: the whole
//! process, of which nothing but the worker runs between the start and the stop.
//!
//! With one connection in lock step on epoll, what the worker finds after each wait is always the same. With more, and
//! on a ring, where an answer and the next request may come with one wait or with two, `steady` goes in steps: the
//! server never looks for input before the next round is there as a whole. With TLS it does too, so that counting begins behind
//! the handshake: what is computed there depends on numbers drawn by lot.

use crate::endpoint::Endpoint;
use crate::load::Load;
use crate::obstacle::Obstacle;
use crate::scenario::Scenario;
use crate::subject::{Scratch, Subject, tool};
use std::path::Path;
use std::process::Command;

/// Mixes gone through before anything counts.
const WARM_CYCLES: u64 = 1;

/// The function of `steady` that it comes to at the end of its first step, if it goes in steps.
const BEGIN: &str = "wait_for_first_step";

/// What is counted: a driver, and what is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// As LANNER_DRIVER.
    pub driver: &'static str,
    /// What is asked.
    pub scenario: Scenario,
}

impl Case {
    /// All of them. What a request or an answer with a long body costs on a ring depends on the parts in which the
    /// kernel hands it over, so that is left out.
    pub const ALL: [Self; 12] = [
        Self::on("epoll", Scenario::KeepAlive),
        Self::on("epoll", Scenario::KeepAlive64),
        Self::on("epoll", Scenario::Pipelined16),
        Self::on("epoll", Scenario::Upload),
        Self::on("epoll", Scenario::Chunked),
        Self::on("epoll", Scenario::H2c),
        Self::on("epoll", Scenario::H2c16),
        Self::on("epoll", Scenario::Tls),
        Self::on("epoll", Scenario::H2Tls16),
        Self::on("uring", Scenario::KeepAlive64),
        Self::on("uring", Scenario::Pipelined16),
        Self::on("uring", Scenario::H2c16),
    ];

    const fn on(driver: &'static str, scenario: Scenario) -> Self {
        Self { driver, scenario }
    }

    /// The case of these names, if it is one that is counted.
    pub fn named(driver: &str, scenario: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|case| case.driver == driver && case.scenario.name() == scenario)
    }

    /// The name in budgets, where epoll goes without saying.
    pub fn key(self) -> String {
        let scenario = self.scenario.name();
        match self.driver {
            "epoll" => format!("instructions.{scenario}"),
            driver => format!("instructions.{driver}.{scenario}"),
        }
    }

    /// Whether the count would depend on timing if the server did not wait for each round.
    fn goes_in_steps(self) -> bool {
        let scenario = self.scenario;
        self.driver != "epoll" || scenario.connections() > 1 || scenario.is_secure()
    }
}

/// Counts what a request costs.
///
/// # Errors
/// If valgrind or the driver is not to be had, or the server fails.
pub fn measure(steady: &Path, case: Case) -> Result<f64, Obstacle> {
    tool("valgrind")?;
    let cycles = match case.scenario {
        // An upload costs much in the tool and the mix of heads is a small part of it.
        Scenario::Upload => 1,
        // A cycle has many requests.
        Scenario::KeepAlive64 => 4,
        _ => 8,
    };
    let fewer = count(steady, case, WARM_CYCLES)?;
    let more = count(steady, case, WARM_CYCLES + cycles)?;
    Ok(more.saturating_sub(fewer) as f64 / (cycles * case.scenario.cycle()) as f64)
}

fn count(steady: &Path, case: Case, cycles: u64) -> Result<u64, Obstacle> {
    let out = Scratch::new("callgrind");
    profile(steady, case, cycles, &out.0)?;
    let text = std::fs::read_to_string(&out.0).map_err(Obstacle::failed("reading the profile"))?;
    if case.goes_in_steps() && !text.contains(BEGIN) {
        return Err(Obstacle::Failure(format!("steady has no {BEGIN}")));
    }
    total(&text).ok_or_else(|| Obstacle::Failure("the profile has no total".into()))
}

/// Runs the case under callgrind, which leaves its profile in `out`.
///
/// # Errors
/// If valgrind or the driver is not to be had, or the server fails.
pub fn profile(steady: &Path, case: Case, cycles: u64, out: &Path) -> Result<(), Obstacle> {
    tool("valgrind")?;
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--tool=callgrind"]);
    command.arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(format!("--zero-before=*{BEGIN}*"));
    command.arg(steady).args(["--driver", case.driver]);
    let endpoint = Endpoint::of(case.scenario).map_err(Obstacle::failed("the certificate"))?;
    command.args(endpoint.arguments());
    if case.goes_in_steps() {
        let step = case.scenario.round().to_string();
        command.args(["--step", &step]);
    }
    let mut subject = Subject::start(command)?;
    let mut load =
        Load::connect(&endpoint, subject.address).map_err(Obstacle::failed("connecting"))?;
    let ran = match case.goes_in_steps() {
        true => load.run_in_steps(cycles, &mut subject),
        false => load.run(cycles),
    };
    ran.map_err(Obstacle::failed("the load"))?;
    if !case.goes_in_steps() {
        drop(load);
        return subject.end();
    }
    // The server has a round to answer, and ends within it: the clients are not to be gone by then.
    let ended = subject.end();
    drop(load);
    ended
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
    use std::collections::HashSet;

    #[test]
    fn a_profile_is_read_by_its_total() {
        assert_eq!(total("events: Ir\nfn=(1)\n3 4\n\ntotals: 7\n"), Some(7));
        assert_eq!(total("events: Ir\nfn=(1)\n3 4\n"), None);
    }

    #[test]
    fn a_case_is_found_by_its_names_and_no_two_have_one_key() {
        let keys: HashSet<_> = Case::ALL.into_iter().map(Case::key).collect();
        assert_eq!(keys.len(), Case::ALL.len());
        for case in Case::ALL {
            assert_eq!(Case::named(case.driver, case.scenario.name()), Some(case));
        }
        assert_eq!(Case::named("uring", "upload-64k"), None);
    }
}
