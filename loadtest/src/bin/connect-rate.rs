//! `connect-rate`: a connection a request, at moments fixed beforehand; see `lanner_loadtest::connect_rate`.

use std::process::ExitCode;
use std::time::Duration;

use lanner_loadtest::arguments::{Arguments, Failure, Flag, Program};
use lanner_loadtest::connect_rate::{Plan, Report, highest, run};
use lanner_loadtest::descriptors;
use lanner_loadtest::quantity::Rate;
use lanner_loadtest::request::Target;
use lanner_loadtest::schedule::{self, Arrivals};

const PROGRAM: Program = Program {
    name: "connect-rate",
    about: "Begins connections at moments fixed beforehand, sends one request with `Connection: close` on each, and waits for \
            the server to answer and close. Says whether the rate was held.",
    words: None,
    flags: &[
        Flag::ADDR,
        Flag::PATH,
        Flag {
            name: "destinations",
            value: Some("N"),
            default: Some("8"),
            about: "Addresses from the server's on to connect to in turn, so that ports suffice; it must listen on all.",
        },
        Flag {
            name: "rate",
            value: Some("RATE"),
            default: Some("20000/s"),
            about: "Connections per second.",
        },
        Flag {
            name: "seconds",
            value: Some("N"),
            default: Some("10"),
            about: "For so many seconds.",
        },
        Flag::POISSON,
        Flag {
            name: "timeout",
            value: Some("TIME"),
            default: Some("5s"),
            about: "A connection not answered and closed by then has failed.",
        },
        Flag {
            name: "open",
            value: Some("N"),
            default: Some("10000"),
            about: "Most connections at once.",
        },
        Flag {
            name: "highest",
            value: None,
            default: None,
            about: "If the rate is not held, look for the highest one that is, in five more runs.",
        },
        Flag::JSON,
    ],
};

fn main() -> ExitCode {
    PROGRAM.start(|arguments| {
        let plan = read_plan(arguments)?;
        descriptors::reserve(plan.open_max)?;
        let report = if arguments.switch("highest") {
            let tell = |report: &Report| eprintln!("{report}\n");
            highest(&plan, tell)?
        } else {
            run(&plan)?
        };
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
        destinations: arguments.count("destinations", 1..=Plan::DESTINATIONS_MAX)?,
        rate: arguments.value::<Rate>("rate")?,
        arrivals: Arrivals::read(arguments)?,
        duration: Duration::from_secs(arguments.count("seconds", 1..=3600)? as u64),
        timeout: arguments.value("timeout")?,
        open_max: arguments.count("open", 1..=1_000_000)?,
    };
    plan.destinations()?;
    schedule::check(plan.rate, plan.duration)?;
    Ok(plan)
}
