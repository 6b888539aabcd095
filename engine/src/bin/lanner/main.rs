//! The `lanner` program: reads its arguments and settings, then serves a built-in app or prints what it was asked for.
//!
//! Each file beside this one is one part of that: `arguments` and `settings` come in, `welcome` and `mirror` are the
//! apps (what they share is in `instrument`, `picture` and `refusal`), `serving` runs one of them until `signals` ends
//! it, `report` prints the tables, and `development` tells of the certificate for developing with. What goes wrong is a `Failure`, one line a mistake and an exit code. Everything
//! else is the library's.

// They panic where nobody listens any more: what is printed goes through `output`, `failure` or the log.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod arguments;
mod development;
mod failure;
mod instrument;
mod log_writer;
mod logging;
mod mirror;
mod output;
mod picture;
mod refusal;
mod report;
mod serving;
mod settings;
mod signals;
mod welcome;

use arguments::{Arguments, Command};
use failure::Failure;
use lanner::Server;
use lanner_limits::Resolved;
use mirror::Mirror;
use std::process::ExitCode;
use welcome::Welcome;

fn main() -> ExitCode {
    let outcome = run();
    log_writer::finish();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run() -> Result<(), Failure> {
    let Arguments {
        command,
        settings,
        log,
    } = Arguments::read(std::env::args_os().skip(1))?;
    match command {
        Command::Help => output::print(arguments::HELP),
        Command::Version => output::print(&format!("lanner {}\n", env!("CARGO_PKG_VERSION"))),
        Command::Table => output::print(&lanner_limits::knob::markdown_table()),
        Command::Limits => output::print(&report::limits(&settings::resolve(settings)?)),
        Command::Config => output::print(&report::config(&settings::resolve(settings)?)),
        Command::Check => output::print(&check(settings::resolve(settings)?)?),
        Command::DevelopmentCertificate(wish) => output::print(&development::told(wish)?),
        Command::Welcome => {
            serving::serve(settings::resolve(settings)?, log, |_| Welcome::default())
        }
        Command::Mirror => serving::serve(settings::resolve(settings)?, log, |_| Mirror),
    }
}

/// Opens what a start would open, and gives what there is to be said of it.
fn check(resolved: Resolved) -> Result<String, Failure> {
    let checked = Server::builder().limits(resolved.limits.clone()).check();
    let warnings = checked.map_err(Failure::Check)?;
    Ok(report::check(&resolved, &warnings))
}
