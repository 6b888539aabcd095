//! `lanner-loadtest`: loads servers and measures them; see `lanner_loadtest::run`.

use std::process::ExitCode;

use lanner_loadtest::arguments::{Arguments, Failure, command_line};
use lanner_loadtest::descriptors;
use lanner_loadtest::run::{self, command};

const USAGE: &str = "usage: lanner-loadtest run URL [flags]

`lanner-loadtest run --help` lists its flags.";

fn main() -> ExitCode {
    let mut words = command_line();
    match words.next().as_deref() {
        Some("run") => command::PROGRAM.start_with(words, run),
        Some("--help" | "-h") => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Some(other) => {
            eprintln!("lanner-loadtest: there is no `{other}`\n{USAGE}");
            ExitCode::from(2)
        }
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let plan = command::read_plan(arguments)?;
    descriptors::reserve(plan.connections)?;
    let outcome = run::run(&plan, &mut |_| {}).map_err(Failure::of("running"))?;
    println!(
        "{:.0}/s {}",
        outcome.rate(),
        outcome.tally.latency.figures()
    );
    println!("connect {}", outcome.tally.connect.figures());
    println!("handshake {}", outcome.tally.handshake.figures());
    println!(
        "{:?} {:?} unfinished {}",
        outcome.tally.statuses, outcome.tally.troubles, outcome.tally.unfinished
    );
    match outcome.aborted {
        Some(text) => Err(Failure::Run(text)),
        None => Ok(()),
    }
}
