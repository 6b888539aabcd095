//! `handshakes`, our own client of TLS: how it is called, and what it printed.

use std::process::{Command, Stdio};

use super::Plan;
use super::child::pinned_to;
use super::generator::{Outcome, Target, Times};
use super::json;
use super::scenario::{Shape, Work};

/// Runs it on one core.
pub(crate) fn command(plan: &Plan, target: &Target<'_>, core: usize) -> Command {
    let mut command = pinned_to(core, plan.programs.join("handshakes"));
    command.args(["--addr", &target.address.to_string(), "--certificate"]);
    command.arg(plan.credentials.certificate());
    command.args(["--threads", &target.shape.connections.to_string()]);
    command.args(["--time", &format!("{:.3}s", target.time.as_secs_f64())]);
    command.args(["--group", &target.shape.group.to_string()]);
    if target.shape.work == (Work::Handshakes { resumed: true }) {
        command.arg("--resume");
    }
    command.stdout(Stdio::piped());
    command
}

/// What it printed.
pub(crate) fn parse(text: &str, _shape: Shape) -> Option<Outcome> {
    let report = json::read(text)?;
    let count = |key| json::number(&report, &[key]).map(|number| number as u64);
    let done = count("done")?;
    Some(Outcome {
        done,
        answered: done,
        errors: count("not_resumed")? + count("failed")?,
        seconds: json::number(&report, &["seconds"])?,
        times: Times::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let text = "{\"done\":1234,\"not_resumed\":2,\"failed\":3,\"seconds\":1.002}\n";
        let expected = Outcome {
            done: 1234,
            answered: 1234,
            errors: 5,
            seconds: 1.002,
            times: Times::default(),
        };
        assert_eq!(parse(text, Shape::PLAIN), Some(expected));
        assert_eq!(parse("{\"done\":1234}", Shape::PLAIN), None);
        assert_eq!(parse("", Shape::PLAIN), None);
    }
}
