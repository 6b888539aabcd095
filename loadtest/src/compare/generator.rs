//! What sends a load: one of the engines, called in its own way on one core, all of them read into the same few figures.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::arguments::Failure;

use super::child::Pinned;
use super::engine::Engine;
use super::scenario::Shape;
use super::scripts::Scripts;
use super::{Plan, h2load, handshakes, ours, wrk};

/// How much longer than asked for one may take: opening thousands of connections counts as extra.
const SLACK: Duration = Duration::from_secs(30);

/// What is shown of a report that nobody understands.
const STRANGE_CHARS_MAX: usize = 4000;

/// What a generator tells of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// Requests that were answered, or handshakes that were made, while it recorded.
    pub(crate) done: u64,
    /// Those and the ones before it recorded: what CPU time was spent on.
    pub(crate) answered: u64,
    /// What did not go as it should.
    pub(crate) errors: u64,
    /// Seconds that it recorded.
    pub(crate) seconds: f64,
    pub(crate) times: Times,
}

/// How long answers took, as the generator saw it; what it does not tell is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Times {
    pub(crate) mean_millis: Option<f64>,
    pub(crate) p50_millis: Option<f64>,
    pub(crate) p99_millis: Option<f64>,
}

/// A load that was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) outcome: Outcome,
    /// What the generator's processes used, from their start to their end.
    pub(crate) cpu_seconds: f64,
    /// Seconds from its start to its end.
    pub(crate) lasted: f64,
}

/// Where a load goes, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) address: SocketAddr,
    /// Where it goes instead of to the address.
    pub(crate) socket: Option<&'a Path>,
    pub(crate) shape: Shape,
    /// For so long it is sent before anything is recorded; a generator that knows no warm-up records it too.
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
    pub(crate) scripts: &'a Scripts,
}

impl Target<'_> {
    /// What is asked for.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}/hello", self.shape.wire.scheme(), self.address)
    }

    /// From the first request to the last: as long for all generators, so that what each costs at its start is spread over as
    /// much.
    pub(crate) fn whole(&self) -> Duration {
        self.warm_up + self.time
    }
}

/// A generator: the command, and what it printed.
type Generator = (
    fn(&Plan, &Target<'_>, usize) -> Command,
    fn(&str, Shape) -> Option<Outcome>,
);

/// Runs one on one core.
pub(crate) fn run(
    plan: &Plan,
    engine: Engine,
    target: &Target<'_>,
    core: usize,
) -> Result<Sent, Failure> {
    let (command, parse): Generator = match engine {
        Engine::Lanner => (ours::command, ours::parse),
        Engine::Wrk => (wrk::command, wrk::parse),
        Engine::H2load => (h2load::command, h2load::parse),
        Engine::Handshakes => (handshakes::command, handshakes::parse),
    };
    let mut command = command(plan, target, core);
    plan.credentials.bind(&mut command);
    let start = Instant::now();
    let process = Pinned::start(engine.name(), &mut command)?;
    let ending = process.ending(target.whole() + SLACK)?;
    let lasted = start.elapsed().as_secs_f64();
    let text = &ending.text;
    let outcome = parse(text, target.shape).ok_or_else(|| {
        let start: String = text.chars().take(STRANGE_CHARS_MAX).collect();
        Failure::Run(format!("{engine} printed something new:\n{start}"))
    })?;
    Ok(Sent {
        outcome,
        cpu_seconds: ending.cpu_seconds,
        lasted,
    })
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
