//! `idle`: connections that asked once and do nothing more; see `lanner_loadtest::idle`. Prints `ready N` when all are open.

use std::io::Write;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use lanner_loadtest::arguments::{Arguments, Failure, Flag, Program};
use lanner_loadtest::descriptors;
use lanner_loadtest::dial::Sources;
use lanner_loadtest::idle::{Plan, open};
use lanner_loadtest::request::Target;

const PROGRAM: Program = Program {
    name: "idle",
    about: "Opens keep-alive connections, checks one answer on each for 200, prints `ready N`, and holds them.",
    words: None,
    flags: &[
        Flag::ADDR,
        Flag::PATH,
        Flag {
            name: "connections",
            value: Some("N"),
            default: Some("8000"),
            about: "How many to hold.",
        },
        Flag {
            name: "hold",
            value: Some("TIME"),
            default: None,
            about: "Hold for so long; without it, until standard input ends.",
        },
        Flag::SOURCES,
        Flag {
            name: "timeout",
            value: Some("TIME"),
            default: Some("10s"),
            about: "The longest time without progress while opening.",
        },
    ],
};

fn main() -> ExitCode {
    PROGRAM.start(|arguments| {
        let plan = read_plan(arguments)?;
        let hold = arguments.value_if_given::<Duration>("hold")?;
        descriptors::reserve(plan.connections)?;
        let mut held = open(&plan)?;
        say(&format!("ready {}", held.count()))?;
        match hold {
            Some(duration) => held.hold_for(duration).map_err(Failure::of("holding"))?,
            None => held
                .hold_until_end_of(std::io::stdin().as_fd())
                .map_err(Failure::of(
                    "watching standard input (use --hold where it is no pipe or terminal)",
                ))?,
        }
        say(&format!(
            "held {}, closed by the server {}",
            held.count(),
            plan.connections - held.count()
        ))
    })
}

/// A script waits for the line, so it may not stay in a buffer.
fn say(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(Failure::of("standard output"))
}

fn read_plan(arguments: &Arguments) -> Result<Plan, Failure> {
    let target = Target::read(arguments)?;
    Ok(Plan {
        connections: arguments.count("connections", 1..=1_000_000)?,
        sources: Sources::read(arguments, target.address)?,
        target,
        timeout: arguments.value("timeout")?,
    })
}
