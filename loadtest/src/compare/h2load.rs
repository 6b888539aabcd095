//! `h2load`: how it is called, and what it printed: of latencies only the mean, no percentiles.

use std::process::{Command, Stdio};

use super::Plan;
use super::child::pinned_to;
use super::generator::{Outcome, Target, Times, seconds};
use super::scenario::Shape;
use super::wire::Wire;

/// What it must say over TLS, or servers were compared that did not do the same.
const SECURE: [&str; 3] = [
    "TLS Protocol: TLSv1.3",
    "Cipher: TLS_AES_128_GCM_SHA256",
    "Server Temp Key: X25519 253 bits",
];

/// And what it must say that was spoken.
fn protocol(wire: Wire) -> &'static str {
    match wire {
        Wire::Http1 | Wire::Https1 => "Application protocol: http/1.1",
        Wire::Http2 => "Application protocol: h2c",
        Wire::Https2 => "Application protocol: h2",
    }
}

/// The command on one core. It sends heads of its own, all alike.
pub(crate) fn command(_plan: &Plan, target: &Target<'_>, core: usize) -> Command {
    let mut command = pinned_to(core, "h2load");
    command.args([
        "-t1",
        &format!("-c{}", target.shape.connections),
        &format!("-m{}", target.shape.depth),
        &format!("-D{}", target.whole().as_secs()),
    ]);
    command.arg(match target.shape.wire.is_http2() {
        true => "--npn-list=h2",
        false => "--h1",
    });
    if let Some(socket) = target.socket {
        command.arg(format!("--base-uri=unix:{}", socket.display()));
    }
    command.arg(target.url());
    command.stdout(Stdio::piped());
    command
}

/// What it printed. A status from 400 on, a stream that was reset and a connection that broke are all among its failed ones.
pub(crate) fn parse(text: &str, shape: Shape) -> Option<Outcome> {
    let after = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let finished = seconds(after("finished in ")?.split_once(',')?.0)?;
    let requests = after("requests: ")?;
    let count = |kind: &str| {
        let mut counts = requests.split(", ");
        let found = counts.find_map(|count| count.strip_suffix(kind));
        found?.trim().parse::<u64>().ok()
    };
    let statuses = after("status codes: ")?;
    let redirects = statuses.split(", ").find_map(|of| of.strip_suffix(" 3xx"));
    let agreed = |said: &&str| text.lines().any(|line| line == *said);
    let is_alike = !shape.wire.is_secure() || SECURE.iter().all(agreed);
    if !is_alike || !agreed(&protocol(shape.wire)) {
        return None;
    }
    let done = count(" done")?;
    Some(Outcome {
        done,
        answered: done,
        errors: count(" failed")? + count(" timeout")? + redirects?.parse::<u64>().ok()?,
        seconds: finished,
        times: Times {
            mean_millis: mean_millis(text),
            ..Times::default()
        },
    })
}

/// Under its name in the line above.
fn mean_millis(text: &str) -> Option<f64> {
    let mut lines = text.lines();
    let names = lines.find(|line| line.split_ascii_whitespace().next() == Some("min"))?;
    let column = names
        .split_ascii_whitespace()
        .position(|name| name == "mean")?;
    let times = lines.find_map(|line| line.strip_prefix("time for request:"))?;
    Some(seconds(times.split_ascii_whitespace().nth(column)?)? * 1e3)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CLEAN: &str = "starting benchmark...
TLS Protocol: TLSv1.3
Cipher: TLS_AES_128_GCM_SHA256
Server Temp Key: X25519 253 bits
Application protocol: h2

finished in 1.02s, 781216.00 req/s, 30.55MB/s
requests: 781216 total, 781728 started, 781216 done, 781216 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 781216 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 30.55MB (32031648) total, 7.45MB (7813472) headers (space savings 92.91%), 9.69MB (10155808) data
                     min         max         mean         sd        +/- sd
time for request:      167us     70.18ms      1.04ms      3.02ms    91.93%
time for connect:       74us       409us       243us       103us    62.50%
";

    const OVER_TLS: Shape = Shape {
        wire: Wire::Https2,
        ..Shape::PLAIN
    };

    #[test]
    fn a_clean_run_is_read() {
        let expected = Outcome {
            done: 781_216,
            answered: 781_216,
            errors: 0,
            seconds: 1.02,
            times: Times {
                mean_millis: Some(1.04),
                ..Times::default()
            },
        };
        assert_eq!(parse(CLEAN, OVER_TLS), Some(expected));
        let text = CLEAN.replace("time for request", "request");
        assert_eq!(parse(&text, OVER_TLS).unwrap().times, Times::default());
    }

    #[test]
    fn failures_timeouts_and_redirections_are_errors() {
        let broken = CLEAN
            .replace(
                "0 failed, 0 errored, 0 timeout",
                "20 failed, 7 errored, 3 timeout",
            )
            .replace(" 0 3xx", " 5 3xx");
        assert_eq!(parse(&broken, OVER_TLS).unwrap().errors, 28);
    }

    #[test]
    fn another_agreement_than_the_one_of_all_is_not_read() {
        for (agreed, other) in [
            ("TLSv1.3", "TLSv1.2"),
            ("128", "256"),
            ("X25519", "P-256"),
            ("protocol: h2", "protocol: http/1.1"),
        ] {
            let text = CLEAN.replace(agreed, other);
            assert_eq!(parse(&text, OVER_TLS), None, "{other}");
        }
        let cleartext = Shape {
            wire: Wire::Http2,
            ..Shape::PLAIN
        };
        assert_eq!(parse(CLEAN, cleartext), None);
        let text = CLEAN.replace("protocol: h2", "protocol: h2c");
        assert!(parse(&text, cleartext).is_some());
        assert_eq!(parse(&text, Shape::PLAIN), None);
        let text = CLEAN.replace("protocol: h2", "protocol: http/1.1");
        assert!(parse(&text, Shape::PLAIN).is_some());
    }

    #[test]
    fn an_unfinished_or_foreign_text_is_not_read() {
        for (part, other) in [
            ("finished in", "finishing"),
            ("requests:", "demands:"),
            ("done", "gone"),
            ("1.02s", "1.02y"),
            ("status codes", "codes"),
        ] {
            assert_eq!(
                parse(&CLEAN.replace(part, other), OVER_TLS),
                None,
                "{other}"
            );
        }
    }
}
