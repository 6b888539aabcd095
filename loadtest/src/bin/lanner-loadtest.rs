//! `lanner-loadtest`: loads servers and measures them; see `lanner_loadtest::run` and `lanner_loadtest::compare`.

use std::process::ExitCode;

use lanner_loadtest::arguments::{Arguments, Failure, command_line, print_help};
use lanner_loadtest::compare;
use lanner_loadtest::descriptors;
use lanner_loadtest::report::{Destinations, Progress, Record};
use lanner_loadtest::run::{self, Interruption, command};

const USAGE: &str = "usage: lanner-loadtest run URL [flags]
       lanner-loadtest compare [SERVER...] [flags]

`lanner-loadtest run --help` and `lanner-loadtest compare --help` list their flags.";

fn main() -> ExitCode {
    let mut words = command_line();
    match words.next().as_deref() {
        Some("run") => command::PROGRAM.start_with(words, run),
        Some("compare") => compare::PROGRAM.start_with(words, compare::run),
        Some("--help" | "-h") => {
            print_help(USAGE);
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
    let destinations = Destinations::open(arguments)?;
    let others = plan.threads * run::DESCRIPTORS_OF_A_THREAD;
    descriptors::reserve_beside(plan.connections, others)?;
    let interruption = Interruption::by_signals().map_err(Failure::of("taking signals"))?;
    let mut progress = if destinations.is_json() {
        Progress::hidden(&plan)
    } else {
        Progress::on_terminal(&plan)
    };
    let outcome = run::run(&plan, &interruption, &mut |interval| {
        progress.handle_interval(interval);
    });
    // Before anything is printed where the bar stood.
    drop(progress);
    let outcome = outcome.map_err(|error| Failure::Run(error.to_string()))?;
    destinations.write(&Record::new(destinations.title(), &plan, &outcome))?;
    match outcome.aborted {
        Some(reason) if outcome.is_interrupted => {
            Err(Failure::Run(format!("the run was {reason}")))
        }
        Some(reason) => Err(Failure::Run(format!("the run was aborted: {reason}"))),
        None => match outcome.tally.without_answer() {
            Some(why) => Err(Failure::Run(why)),
            None => Ok(()),
        },
    }
}
