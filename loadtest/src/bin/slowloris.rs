//! `slowloris`: thousands of connections that trickle; see `lanner_loadtest::slowloris`.

use std::process::ExitCode;

use lanner_loadtest::arguments::{Arguments, Failure, Flag, Program};
use lanner_loadtest::descriptors;
use lanner_loadtest::dial::Sources;
use lanner_loadtest::request::Target;
use lanner_loadtest::slowloris::{Mode, Plan, run};

const PROGRAM: Program = Program {
    name: "slowloris",
    about: "Opens connections that send one byte at a time, and reports when the server cut each of them and what it said.",
    words: None,
    flags: &[
        Flag::ADDR,
        Flag::PATH,
        Flag {
            name: "connections",
            value: Some("N"),
            default: Some("8000"),
            about: "Connections at once.",
        },
        Flag {
            name: "mode",
            value: Some("MODE"),
            default: Some("head"),
            about: "head: a head without end; body: a body after a whole head.",
        },
        Flag {
            name: "interval",
            value: Some("TIME"),
            default: Some("5s"),
            about: "Between two bytes of a connection.",
        },
        Flag {
            name: "duration",
            value: Some("TIME"),
            default: Some("60s"),
            about: "Ends then, or once all are cut.",
        },
        Flag::SOURCES,
        Flag {
            name: "reopen",
            value: None,
            default: None,
            about: "Replace connections that were cut.",
        },
        Flag {
            name: "cling",
            value: None,
            default: None,
            about: "Go on after the server's end of stream until it resets.",
        },
        Flag::JSON,
    ],
};

fn main() -> ExitCode {
    PROGRAM.start(|arguments| {
        let plan = read_plan(arguments)?;
        descriptors::reserve(plan.connections)?;
        let report = run(&plan).map_err(Failure::of("epoll"))?;
        match arguments.switch("json") {
            true => println!("{}", report.json()),
            false => println!("{report}"),
        }
        match report.opened {
            0 => Err(Failure::Run(format!(
                "no connection to {} could be opened",
                plan.target.address
            ))),
            _ => Ok(()),
        }
    })
}

fn read_plan(arguments: &Arguments) -> Result<Plan, Failure> {
    let target = Target::read(arguments)?;
    Ok(Plan {
        connections: arguments.count("connections", 1..=1_000_000)?,
        sources: Sources::read(arguments, target.address)?,
        target,
        mode: match arguments.text("mode") {
            Some("head") => Mode::Head,
            Some("body") => Mode::Body,
            other => {
                return Err(Failure::Usage(format!(
                    "--mode {}: expected head or body",
                    other.unwrap_or_default()
                )));
            }
        },
        interval: arguments.value("interval")?,
        duration: arguments.value("duration")?,
        reopen: arguments.switch("reopen"),
        cling: arguments.switch("cling"),
    })
}
