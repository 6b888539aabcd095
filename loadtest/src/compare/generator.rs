//! What sends a load: one of the engines, called in its own way on one core, all of them read into the same few figures.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::arguments::Failure;

use super::child::Pinned;
use super::engine::Engine;
use super::scenario::Shape;
use super::scripts::Scripts;
use super::{Plan, h2load, handshakes, ours, wrk};

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
    /// Where the generator tells of them.
    pub(crate) times: Option<Times>,
}

/// How long answers took, as the generator saw it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Times {
    pub(crate) p50_millis: f64,
    pub(crate) p99_millis: f64,
}

/// Where a load goes, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) address: SocketAddr,
    /// Where it goes instead of to the address.
    pub(crate) socket: Option<&'a Path>,
    pub(crate) shape: Shape,
    pub(crate) time: Duration,
    pub(crate) scripts: &'a Scripts,
}

impl Target<'_> {
    /// What is asked for.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}/hello", self.shape.wire.scheme(), self.address)
    }
}

/// A generator: the command, and what it printed.
type Generator = (
    fn(&Plan, &Target<'_>, usize) -> Command,
    fn(&str, Shape) -> Option<Outcome>,
);

/// Runs the right one on one core.
pub(crate) fn run(plan: &Plan, target: &Target<'_>, core: usize) -> Result<Outcome, Failure> {
    let engine = Engine::of(plan, target.shape)?;
    let (command, parse): Generator = match engine {
        Engine::Lanner => (ours::command, ours::parse),
        Engine::Wrk => (wrk::command, wrk::parse),
        Engine::H2load => (h2load::command, h2load::parse),
        Engine::Handshakes => (handshakes::command, handshakes::parse),
    };
    let mut command = command(plan, target, core);
    plan.credentials.bind(&mut command);
    let text = Pinned::start(engine.name(), &mut command)?.output(target.time + SLACK)?;
    parse(&text, target.shape)
        .ok_or_else(|| Failure::Run(format!("{engine} printed something new:\n{text}")))
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
