//! `lanner-loadtest run`, our own generator: how it is called, and what it printed.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::Plan;
use super::child::pinned_to;
use super::generator::{Outcome, Target, Times};
use super::json;
use super::scenario::Shape;

/// Runs it on one core.
pub(crate) fn command(plan: &Plan, target: &Target<'_>, core: usize) -> Command {
    let shape = target.shape;
    let mut command = pinned_to(core, plan.programs.join("lanner-loadtest"));
    command.args(["run", &target.url(), "--json"]);
    command.args(["--connections", &shape.connections.to_string()]);
    let seconds = |time: Duration| format!("{:.3}s", time.as_secs_f64());
    command.args(["--warm-up", &seconds(target.warm_up)]);
    command.args(["--duration", &seconds(target.time)]);
    if shape.wire.is_http2() {
        command.args(["--h2", "--streams", &shape.depth.to_string()]);
    } else if shape.close {
        command.arg("--close");
    } else {
        command.args(["--pipeline", &shape.depth.to_string()]);
    }
    if shape.wire.is_secure() {
        command.arg("--cacert").arg(plan.credentials.certificate());
        command.args(["--tls-suite", "TLS_AES_128_GCM_SHA256"]);
        command.args(["--tls-group", &shape.group.to_string()]);
    }
    if let Some(socket) = target.socket {
        command.arg("--unix-socket").arg(socket);
    }
    command.stdout(Stdio::piped());
    command
}

/// What it printed.
pub(crate) fn parse(text: &str, _shape: Shape) -> Option<Outcome> {
    let report = json::read(text)?;
    let number = |path: &[&str]| json::number(&report, path);
    let count = |path: &[&str]| number(path).map(|number| number as u64);
    if json::text(&report, &["aborted"]).is_some() {
        return None;
    }
    let millis = |which| number(&["latency_ms", which]);
    Some(Outcome {
        done: count(&["answers"])?,
        answered: answered(&report)?,
        errors: count(&["errors"])? + count(&["failures"])?,
        seconds: number(&["recorded_s"])?,
        times: Times {
            mean_millis: millis("mean"),
            p50_millis: millis("p50"),
            p99_millis: millis("p99"),
        },
    })
}

/// What was answered before recording began, too: the time line begins with the warm-up.
fn answered(report: &Value) -> Option<u64> {
    let pieces = report.get("time_line")?.as_array()?;
    let count = |piece| json::number(piece, &["latency_ms", "count"]);
    Some(pieces.iter().filter_map(count).sum::<f64>() as u64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CLEAN: &str = r#"{"format":1,"title":"latency_ms","asked":{"rate":null,"connections":64},"aborted":null,
        "recorded_s":0.3,"rate":100.0,"answers":30,"failures":2,"statuses":{"200":28,"404":2},"errors":3,
        "errors_by_kind":[{"kind":"cut","count":3,"first":"x"}],"unfinished":64,
        "latency_ms":{"count":30,"mean":0.5,"p50":0.4,"p90":0.5,"p99":0.75},"time_line":[{"latency_ms":{"count":20,"p50":9.0,"p99":9.0}},{"latency_ms":null},{"latency_ms":{"count":30}}]}"#;

    #[test]
    fn a_report_is_read() {
        let expected = Outcome {
            done: 30,
            answered: 50,
            errors: 5,
            seconds: 0.3,
            times: Times {
                mean_millis: Some(0.5),
                p50_millis: Some(0.4),
                p99_millis: Some(0.75),
            },
        };
        assert_eq!(parse(CLEAN, Shape::PLAIN), Some(expected));
    }

    #[test]
    fn a_run_without_an_answer_has_no_times() {
        let text = CLEAN.replace(
            "\"latency_ms\":{\"count\":30",
            "\"latency_ms\":null,\"other\":{\"count\":30",
        );
        assert_eq!(parse(&text, Shape::PLAIN).unwrap().times, Times::default());
    }

    #[test]
    fn an_aborted_run_or_a_foreign_text_is_not_read() {
        let aborted = CLEAN.replace("\"aborted\":null", "\"aborted\":\"refused\"");
        for text in [&aborted, "", "{}", "30000/s p50 1 ms", &CLEAN[1..]] {
            assert_eq!(parse(text, Shape::PLAIN), None, "{text}");
        }
    }
}
