//! `wrk`: how it is called, and what it printed.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use lanner_loadtest::arguments::Failure;

use crate::child::{Pinned, pinned_to};
use crate::scenario::Shape;
use crate::scripts::Scripts;

/// How much longer than asked for it may take: opening thousands of connections counts as extra.
const SLACK: Duration = Duration::from_secs(30);

/// One run's outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// Requests that were answered.
    pub(crate) requests: u64,
    /// Of those, with a status of 400 or more.
    pub(crate) bad_statuses: u64,
    /// Connects, reads and writes that failed, and requests that took longer than two seconds.
    pub(crate) socket_errors: u64,
    /// Seconds it took.
    pub(crate) seconds: f64,
}

/// Runs it on one core.
pub(crate) fn run(
    core: usize,
    address: SocketAddr,
    shape: Shape,
    mixed: bool,
    time: Duration,
    scripts: &Scripts,
) -> Result<Outcome, Failure> {
    let mut command = command(core, address, shape, mixed, time, scripts);
    let text = Pinned::start("wrk", &mut command)?.output(time + SLACK)?;
    parse(&text).ok_or_else(|| Failure::Run(format!("wrk printed something new:\n{text}")))
}

fn command(
    core: usize,
    address: SocketAddr,
    shape: Shape,
    mixed: bool,
    time: Duration,
    scripts: &Scripts,
) -> Command {
    let mut command = pinned_to(core, "wrk");
    command.args([
        "-t1",
        &format!("-c{}", shape.connections),
        &format!("-d{}s", time.as_secs()),
    ]);
    if shape.close {
        command.args(["-H", "Connection: close"]);
    }
    let url = format!("http://{address}/hello");
    match (shape.depth, mixed) {
        (1, false) => command.arg(url),
        (1, true) => command.arg("-s").arg(scripts.keepalive()).arg(url),
        (depth, _) => {
            command.arg("-s").arg(scripts.pipeline()).arg(url);
            let mix = if mixed { "mixed" } else { "plain" };
            command.args(["--", &depth.to_string(), mix])
        }
    };
    command.stdout(Stdio::piped());
    command
}

fn parse(text: &str) -> Option<Outcome> {
    let mut outcome = Outcome::default();
    let mut complete = false;
    for line in text.lines().map(str::trim) {
        if let Some((requests, rest)) = line.split_once(" requests in ") {
            outcome.requests = requests.parse().ok()?;
            outcome.seconds = seconds(rest.split_once(',')?.0)?;
            complete = true;
        } else if let Some(count) = line.strip_prefix("Non-2xx or 3xx responses: ") {
            outcome.bad_statuses = count.parse().ok()?;
        } else if let Some(kinds) = line.strip_prefix("Socket errors: ") {
            for kind in kinds.split(", ") {
                outcome.socket_errors += kind.rsplit_once(' ')?.1.parse::<u64>().ok()?;
            }
        }
    }
    complete.then_some(outcome)
}

/// A time as wrk prints it, such as `998.10ms`, `5.00s`, `1.02m`.
fn seconds(text: &str) -> Option<f64> {
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
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CLEAN: &str = "Running 1s test @ http://127.0.0.1:18081/hello
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   495.19us  415.32us   6.81ms   96.74%
    Req/Sec   101.13k    12.85k  114.82k    70.00%
  100901 requests in 1.01s, 15.49MB read
Requests/sec: 100281.16
Transfer/sec:     15.40MB
";

    #[test]
    fn a_clean_run_is_read() {
        let expected = Outcome {
            requests: 100_901,
            seconds: 1.01,
            ..Outcome::default()
        };
        assert_eq!(parse(CLEAN), Some(expected));
    }

    #[test]
    fn errors_are_counted_by_kind() {
        let errors = "MB read\n  Socket errors: connect 1, read 20, write 0, timeout 3\n  Non-2xx or 3xx responses: 97213\n";
        let outcome = parse(&CLEAN.replace("MB read\n", errors)).unwrap();
        assert_eq!(
            (
                outcome.socket_errors,
                outcome.bad_statuses,
                outcome.requests
            ),
            (24, 97_213, 100_901)
        );
    }

    #[test]
    fn an_unfinished_or_foreign_text_is_not_read() {
        for text in [
            "",
            "unable to connect to 127.0.0.1:1 Connection refused\n",
            "x requests in 1.01s, 1MB read",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&CLEAN.replace("1.01s", "1.01y")), None);
    }

    #[test]
    fn times_carry_their_unit() {
        assert_eq!(seconds("5.00s"), Some(5.0));
        assert_eq!(seconds("998.00ms"), Some(0.998));
        assert_eq!(seconds("1.50m"), Some(90.0));
        assert_eq!(seconds("5"), None);
    }

    #[test]
    fn a_script_is_used_only_where_wrk_alone_would_not_do() {
        let scripts = Scripts::write().unwrap();
        let words = |shape: Shape, mixed: bool| {
            let address = "127.0.0.1:80".parse().unwrap();
            let command = command(1, address, shape, mixed, Duration::from_secs(5), &scripts);
            let words: Vec<_> = command
                .get_args()
                .map(|word| word.to_string_lossy().into_owned())
                .collect();
            words[4..].join(" ")
        };
        let plain = Shape {
            connections: 64,
            depth: 1,
            close: false,
            shares_core: false,
        };
        let pipelined = Shape { depth: 16, ..plain };
        let closing = Shape {
            close: true,
            ..plain
        };
        let url = "http://127.0.0.1:80/hello";
        let keepalive = scripts.keepalive().display().to_string();
        let pipeline = scripts.pipeline().display().to_string();
        let start = "1 wrk -t1 -c64 -d5s";
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
    }
}
