//! `honest`: an open-loop client that measures what users feel; see `lanner_loadtest::honest`.

use std::process::ExitCode;

use lanner_loadtest::arguments::{Arguments, Failure, Flag, Program};
use lanner_loadtest::descriptors;
use lanner_loadtest::honest::{Plan, run};
use lanner_loadtest::quantity::Rate;
use lanner_loadtest::request::Target;
use lanner_loadtest::schedule::{self, Arrivals};

const PROGRAM: Program = Program {
    name: "honest",
    about: "Sends requests at moments fixed beforehand, and measures each from its intended start (no coordinated omission).",
    words: None,
    flags: &[
        Flag::ADDR,
        Flag::PATH,
        Flag {
            name: "rate",
            value: Some("RATE"),
            default: Some("500/s"),
            about: "Requests per second.",
        },
        Flag {
            name: "connections",
            value: Some("N"),
            default: Some("16"),
            about: "Keep-alive connections used in turn.",
        },
        Flag {
            name: "duration",
            value: Some("TIME"),
            default: Some("10s"),
            about: "Recorded for so long.",
        },
        Flag {
            name: "warm-up",
            value: Some("TIME"),
            default: Some("1s"),
            about: "Sent but not recorded before that.",
        },
        Flag {
            name: "timeout",
            value: Some("TIME"),
            default: Some("10s"),
            about: "A request unanswered by then has failed.",
        },
        Flag::POISSON,
        Flag::JSON,
    ],
};

fn main() -> ExitCode {
    PROGRAM.start(|arguments| {
        let plan = read_plan(arguments)?;
        descriptors::reserve(plan.connections)?;
        let address = plan.target.address;
        let report = run(&plan).map_err(Failure::of(&format!("connecting to {address}")))?;
        match arguments.switch("json") {
            true => println!("{}", report.json()),
            false => println!("{report}"),
        }
        Ok(())
    })
}

fn read_plan(arguments: &Arguments) -> Result<Plan, Failure> {
    let plan = Plan {
        target: Target::read(arguments)?,
        connections: arguments.count("connections", 1..=100_000)?,
        rate: arguments.value::<Rate>("rate")?,
        arrivals: Arrivals::read(arguments)?,
        warm_up: arguments.value("warm-up")?,
        duration: arguments.value("duration")?,
        timeout: arguments.value("timeout")?,
    };
    schedule::check(plan.rate, plan.warm_up + plan.duration)?;
    Ok(plan)
}
