//! What sends a load, by its shape: `wrk`, `h2load`, or our own client where each connection is a handshake. How each is called,
//! and what it prints, is in a file of its name.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::arguments::Failure;

use super::child::Pinned;
use super::scenario::{Shape, Work};
use super::scripts::Scripts;
use super::{Plan, h2load, handshakes, wrk};

/// How much longer than asked for one may take: opening thousands of connections counts as extra.
const SLACK: Duration = Duration::from_secs(30);

/// One run's outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// Requests that were answered, or handshakes that were made.
    pub(crate) done: u64,
    /// What did not go as it should.
    pub(crate) errors: u64,
    /// Seconds it took.
    pub(crate) seconds: f64,
}

/// Where a load goes, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) shape: Shape,
    pub(crate) time: Duration,
    pub(crate) scripts: &'a Scripts,
}

/// A generator: its name, the command, and what it printed.
type Generator = (
    &'static str,
    fn(&Plan, &Target<'_>, usize) -> Command,
    fn(&str, Shape) -> Option<Outcome>,
);

/// Runs the right one on one core.
pub(crate) fn run(plan: &Plan, target: &Target<'_>, core: usize) -> Result<Outcome, Failure> {
    let (name, command, parse) = generator(target.shape);
    let mut command = command(plan, target, core);
    plan.credentials.bind(&mut command);
    let text = Pinned::start(name, &mut command)?.output(target.time + SLACK)?;
    parse(&text, target.shape)
        .ok_or_else(|| Failure::Run(format!("{name} printed something new:\n{text}")))
}

fn generator(shape: Shape) -> Generator {
    match shape.work {
        Work::Handshakes { .. } => ("handshakes", handshakes::command, handshakes::parse),
        Work::Requests if shape.wire.is_http2() => ("h2load", h2load::command, h2load::parse),
        Work::Requests => ("wrk", wrk::command, wrk::parse),
    }
}

/// A time as wrk and h2load print it, such as `998.10ms`, `5.00s`, `1.02m`.
pub(crate) fn seconds(text: &str) -> Option<f64> {
    let unit = text.find(|character: char| character.is_ascii_alphabetic())?;
    let scale = match &text[unit..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Some(text[..unit].parse::<f64>().ok()? * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_carry_their_unit() {
        assert_eq!(seconds("5.00s"), Some(5.0));
        assert_eq!(seconds("998.00ms"), Some(0.998));
        assert_eq!(seconds("1.50m"), Some(90.0));
        assert_eq!(seconds("5"), None);
    }
}
