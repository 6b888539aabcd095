//! Why the program ends early, said in lines that a person can act on, and the exit code for whoever started it.

use lanner::StartError;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// Why the program ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is none; one line says why.
    Usage(String),
    /// Settings that cannot be, a line for each.
    Settings(Vec<String>),
    /// The server did not start.
    Start(StartError),
    /// It would not start.
    Check(Vec<StartError>),
    /// Something of the system's, and what it was needed for.
    System(&'static str, io::Error),
}

impl Failure {
    /// Says it on standard error. The codes are those of most servers and shells: 2 for what the operator wrote, 1 for
    /// what the machine did not give.
    pub(crate) fn report(&self) -> ExitCode {
        let (lines, code) = match self {
            Self::Usage(problem) => (
                vec![
                    problem.clone(),
                    "`lanner --help` says what there is".to_owned(),
                ],
                2,
            ),
            Self::Settings(mistakes) => (mistakes.clone(), 2),
            Self::Start(StartError::Limits(mistakes)) => (lines_of(mistakes), 2),
            Self::Start(error) => (lines_of(error), 1),
            Self::Check(errors) => (errors.iter().flat_map(lines_of).collect(), 1),
            Self::System(what, error) => (vec![format!("{what}: {error}")], 1),
        };
        for line in lines {
            // Not `eprintln!`: it panics where nobody listens.
            let _ = writeln!(io::stderr(), "lanner: {line}");
        }
        ExitCode::from(code)
    }
}

fn lines_of(text: &impl Display) -> Vec<String> {
    text.to_string().lines().map(str::to_owned).collect()
}
