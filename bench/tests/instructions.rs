//! User-space instructions per request against `budgets.toml`. Needs valgrind, and builds the program it measures in the
//! release profile.
#![allow(clippy::unwrap_used)]

use lanner_bench::budget::{self, Budgets};
use lanner_bench::instructions;
use lanner_bench::scenario::Scenario;
use lanner_bench::subject::tool;
use lanner_bench::toolchain::{Toolchain, release_build};

fn check(scenario: Scenario) {
    let key = format!("instructions.{}", scenario.name());
    let measured = tool("valgrind")
        .and_then(|()| release_build())
        .and_then(|steady| instructions::measure(&steady, scenario));
    let measured = match measured {
        Ok(measured) => measured,
        Err(obstacle) => return obstacle.skip(&key),
    };
    let budgets = Budgets::read(&budget::path()).unwrap();
    let verdict = budgets.judge(&key, measured, &Toolchain::here().unwrap());
    println!("{key}: {measured:.1} {verdict}");
    assert!(!verdict.fails(), "{key}: {measured:.1} {verdict}");
}

#[test]
fn a_kept_alive_request_keeps_its_budget() {
    check(Scenario::KeepAlive);
}

#[test]
fn a_pipelined_request_keeps_its_budget() {
    check(Scenario::Pipelined16);
}

#[test]
fn an_upload_keeps_its_budget() {
    check(Scenario::Upload);
}

#[test]
fn a_streamed_answer_keeps_its_budget() {
    check(Scenario::Chunked);
}
