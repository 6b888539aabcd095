//! `wrk`: how it is called, and what it printed.
//!
//! Where requests are pipelined its latencies are left out: it takes one a batch, from the first byte written to the last answer,
//! and then adds samples for what it takes to have been held up, by a mean of single requests that no batch can keep. Its 99th
//! percentile is then below its 50th.

use std::process::{Command, Stdio};

use super::Plan;
use super::child::pinned_to;
use super::generator::{Outcome, Target, Times, seconds};
use super::scenario::Shape;

/// The command on one core.
pub(crate) fn command(_plan: &Plan, target: &Target<'_>, core: usize) -> Command {
    arguments(target, core)
}

fn arguments(target: &Target<'_>, core: usize) -> Command {
    let (shape, scripts) = (target.shape, target.scripts);
    let mut command = pinned_to(core, "wrk");
    command.args([
        "-t1",
        "--latency",
        &format!("-c{}", shape.connections),
        &format!("-d{}s", target.whole().as_secs()),
    ]);
    if shape.close {
        command.args(["-H", "Connection: close"]);
    }
    let url = target.url();
    match (shape.depth, shape.mixed) {
        (1, false) => command.arg(url),
        (1, true) => command.arg("-s").arg(scripts.keepalive()).arg(url),
        (depth, _) => {
            command.arg("-s").arg(scripts.pipeline()).arg(url);
            let mix = if shape.mixed { "mixed" } else { "plain" };
            command.args(["--", &depth.to_string(), mix])
        }
    };
    command.stdout(Stdio::piped());
    command
}

/// What it printed.
pub(crate) fn parse(text: &str, shape: Shape) -> Option<Outcome> {
    let mut outcome = Outcome::default();
    let mut complete = false;
    let mut times = Times::default();
    let millis = |text: &str| Some(seconds(text.trim())? * 1e3);
    for line in text.lines().map(str::trim) {
        if let Some((requests, rest)) = line.split_once(" requests in ") {
            outcome.done = requests.parse().ok()?;
            outcome.seconds = seconds(rest.split_once(',')?.0)?;
            complete = true;
        } else if let Some(figures) = line.strip_prefix("Latency  ") {
            times.mean_millis = figures.split_ascii_whitespace().next().and_then(millis);
        } else if let Some(time) = line.strip_prefix("50% ") {
            times.p50_millis = millis(time);
        } else if let Some(time) = line.strip_prefix("99% ") {
            times.p99_millis = millis(time);
        } else if let Some(count) = line.strip_prefix("Non-2xx or 3xx responses: ") {
            outcome.errors += count.parse::<u64>().ok()?;
        } else if let Some(kinds) = line.strip_prefix("Socket errors: ") {
            for kind in kinds.split(", ") {
                outcome.errors += kind.rsplit_once(' ')?.1.parse::<u64>().ok()?;
            }
        }
    }
    outcome.answered = outcome.done;
    if shape.depth == 1 {
        outcome.times = times;
    }
    complete.then_some(outcome)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;
    use crate::compare::scripts::Scripts;
    use crate::compare::wire::Wire;

    const CLEAN: &str = "Running 1s test @ http://127.0.0.1:18081/hello
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   495.00us  415.32us   6.81ms   96.74%
    Req/Sec   101.13k    12.85k  114.82k    70.00%
  Latency Distribution
     50%  412.00us
     75%  520.00us
     90%    0.98ms
     99%    2.50ms
  100901 requests in 1.01s, 15.49MB read
Requests/sec: 100281.16
Transfer/sec:     15.40MB
";

    #[test]
    fn a_clean_run_is_read() {
        let expected = Outcome {
            done: 100_901,
            answered: 100_901,
            seconds: 1.01,
            times: Times {
                mean_millis: Some(0.495),
                p50_millis: Some(0.412),
                p99_millis: Some(2.5),
            },
            ..Outcome::default()
        };
        assert_eq!(parse(CLEAN, Shape::PLAIN), Some(expected));
        // One that was not asked for the distribution.
        let without = parse(&CLEAN.replace("%  ", ":  "), Shape::PLAIN).unwrap();
        assert_eq!(
            (without.times.p50_millis, without.times.p99_millis),
            (None, None)
        );
    }

    #[test]
    fn latencies_of_pipelined_batches_are_not_taken_for_those_of_requests() {
        let pipelined = Shape {
            depth: 16,
            ..Shape::PLAIN
        };
        let outcome = parse(CLEAN, pipelined).unwrap();
        assert_eq!((outcome.done, outcome.times), (100_901, Times::default()));
    }

    #[test]
    fn errors_of_every_kind_are_counted() {
        let errors = "MB read\n  Socket errors: connect 1, read 20, write 0, timeout 3\n  Non-2xx or 3xx responses: 97213\n";
        let outcome = parse(&CLEAN.replace("MB read\n", errors), Shape::PLAIN).unwrap();
        assert_eq!((outcome.errors, outcome.done), (24 + 97_213, 100_901));
    }

    #[test]
    fn an_unfinished_or_foreign_text_is_not_read() {
        for text in [
            "",
            "unable to connect to 127.0.0.1:1 Connection refused\n",
            "x requests in 1.01s, 1MB read",
        ] {
            assert_eq!(parse(text, Shape::PLAIN), None, "{text}");
        }
        assert_eq!(parse(&CLEAN.replace("1.01s", "1.01y"), Shape::PLAIN), None);
    }

    #[test]
    fn a_script_is_used_only_where_wrk_alone_would_not_do() {
        let scripts = Scripts::write().unwrap();
        let words = |shape: Shape, mixed: bool| {
            let shape = Shape { mixed, ..shape };
            let target = Target {
                address: "127.0.0.1:80".parse().unwrap(),
                socket: None,
                shape,
                warm_up: Duration::from_secs(1),
                time: Duration::from_secs(4),
                scripts: &scripts,
            };
            let command = arguments(&target, 1);
            let words: Vec<_> = command
                .get_args()
                .map(|word| word.to_string_lossy().into_owned())
                .collect();
            words[4..].join(" ")
        };
        let plain = Shape::PLAIN;
        let pipelined = Shape { depth: 16, ..plain };
        let closing = Shape {
            close: true,
            ..plain
        };
        let url = "http://127.0.0.1:80/hello";
        let keepalive = scripts.keepalive().display().to_string();
        let pipeline = scripts.pipeline().display().to_string();
        let start = "1 wrk -t1 --latency -c64 -d5s";
        assert_eq!(words(plain, false), format!("{start} {url}"));
        assert_eq!(words(plain, true), format!("{start} -s {keepalive} {url}"));
        for (mixed, mix) in [(false, "plain"), (true, "mixed")] {
            assert_eq!(
                words(pipelined, mixed),
                format!("{start} -s {pipeline} {url} -- 16 {mix}")
            );
        }
        assert_eq!(
            words(closing, false),
            format!("{start} -H Connection: close {url}")
        );
        let secure = Shape {
            wire: Wire::Https1,
            ..plain
        };
        let url = "https://127.0.0.1:80/hello";
        assert_eq!(words(secure, false), format!("{start} {url}"));
    }
}
