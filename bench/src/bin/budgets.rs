//! Measures what a request costs and compares it with `bench/budgets.toml`; with `--update`, writes the new figures
//! there. What the tests of this package check, they check by the same functions.
//!
//!     cargo run --release -p lanner-bench --bin budgets
//!     cargo run --release -p lanner-bench --bin budgets -- --update
//!     cargo run --release -p lanner-bench --bin budgets -- --profile keep-alive
//!     cargo run --release -p lanner-bench --bin budgets -- --profile keep-alive-64 --driver uring
//!
//! The last two leave a profile for `callgrind_annotate` instead.

use lanner_bench::budget::{self, Budgets};
use lanner_bench::instructions::{self, Case};
use lanner_bench::obstacle::Obstacle;
use lanner_bench::scenario::Scenario;
use lanner_bench::system_calls::Kind;
use lanner_bench::toolchain::{Toolchain, release_build};
use lanner_bench::{allocations, system_calls};
use lanner_loadtest::arguments::{Failure, Flag, Program};
use std::path::Path;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// Mixes of heads that a profile is made of.
const PROFILE_CYCLES: u64 = 64;

const PROGRAM: Program = Program {
    name: "budgets",
    about: "Counts instructions, allocations and system calls per request, and compares them with bench/budgets.toml.",
    words: None,
    flags: &[
        Flag {
            name: "update",
            value: None,
            default: None,
            about: "Write what was measured into the file. Promised figures stay as they are.",
        },
        Flag {
            name: "profile",
            value: Some("SCENARIO"),
            default: None,
            about: "Only run this one under callgrind, and keep its profile in the current directory.",
        },
        Flag {
            name: "driver",
            value: Some("NAME"),
            default: Some("epoll"),
            about: "The driver to profile: epoll or uring.",
        },
    ],
};

fn main() -> ExitCode {
    PROGRAM.start(|arguments| {
        let steady = release_build().map_err(fatal)?;
        if let Some(scenario) = arguments.text("profile") {
            let driver = arguments.text("driver").unwrap_or_default();
            return profile(&steady, driver, scenario);
        }
        let mut budgets = Budgets::read(&budget::path()).map_err(Failure::Run)?;
        let here = Toolchain::here().map_err(fatal)?;
        let measured = measure(&steady)?;
        if arguments.switch("update") {
            for (key, figure) in &measured {
                budgets.record(key, *figure);
            }
            // Without valgrind the old counts stand, and so does what they were counted under.
            if measured
                .iter()
                .any(|(key, _)| key.starts_with("instructions."))
            {
                budgets.record_toolchain(here.clone());
            }
            std::fs::write(budget::path(), budgets.render())
                .map_err(Failure::of("writing the budgets"))?;
        }
        let mut exceeded = 0;
        for (key, figure) in &measured {
            let verdict = budgets.judge(key, *figure, &here);
            exceeded += usize::from(verdict.fails());
            println!("{key:40} {figure:10.2} {verdict}");
        }
        match exceeded {
            0 => Ok(()),
            count => Err(Failure::Run(format!("{count} budgets are exceeded"))),
        }
    })
}

fn profile(steady: &Path, driver: &str, scenario: &str) -> Result<(), Failure> {
    let case = Case::named(driver, scenario)
        .ok_or_else(|| Failure::Usage(format!("{scenario} is not counted on {driver}")))?;
    let out = format!("callgrind.out.{driver}.{scenario}");
    instructions::profile(steady, case, PROFILE_CYCLES, Path::new(&out)).map_err(fatal)?;
    let requests = PROFILE_CYCLES * case.scenario.cycle();
    println!("{requests} requests; now: callgrind_annotate {out}");
    Ok(())
}

/// Everything that can be measured here; what cannot is told and left out.
fn measure(steady: &Path) -> Result<Vec<(String, f64)>, Failure> {
    let mut measured = Vec::new();
    for scenario in Scenario::ALL {
        let name = scenario.name();
        let figure = told(allocations::measure(scenario))?;
        measured.extend(figure.map(|figure| (format!("allocations.{name}"), figure)));
    }
    for driver in ["epoll", "monoio"] {
        for scenario in Scenario::ALL {
            let Some(calls) = told(system_calls::measure(steady, driver, scenario))? else {
                continue;
            };
            for kind in Kind::ALL {
                let key = format!("{}.{driver}.{}", kind.name(), scenario.name());
                measured.push((key, calls.of(kind)));
            }
        }
    }
    for case in Case::ALL {
        let figure = told(instructions::measure(steady, case))?;
        measured.extend(figure.map(|figure| (case.key(), figure)));
    }
    Ok(measured)
}

/// Drops what cannot be had here, but says so.
fn told<T>(outcome: Result<T, Obstacle>) -> Result<Option<T>, Failure> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(obstacle @ Obstacle::Failure(_)) => Err(fatal(obstacle)),
        Err(obstacle) => {
            eprintln!("not measured: {obstacle}");
            Ok(None)
        }
    }
}

fn fatal(obstacle: Obstacle) -> Failure {
    Failure::Run(obstacle.to_string())
}
