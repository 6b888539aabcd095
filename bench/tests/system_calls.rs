//! System calls per request against `budgets.toml`. Needs strace.
#![allow(clippy::unwrap_used)]

use lanner_bench::budget::{self, Budgets};
use lanner_bench::scenario::Scenario;
use lanner_bench::system_calls::{self, Kind};
use lanner_bench::toolchain::Toolchain;
use std::path::Path;

fn check(driver: &str, scenario: Scenario) {
    let name = format!("system calls of {} on {driver}", scenario.name());
    let steady = Path::new(env!("CARGO_BIN_EXE_steady"));
    let calls = match system_calls::measure(steady, driver, scenario) {
        Ok(calls) => calls,
        Err(obstacle) => return obstacle.skip(&name),
    };
    let budgets = Budgets::read(&budget::path()).unwrap();
    let here = Toolchain::here().unwrap();
    let mut exceeded = Vec::new();
    for kind in Kind::ALL {
        let key = format!("{}.{driver}.{}", kind.name(), scenario.name());
        let verdict = budgets.judge(&key, calls.of(kind), &here);
        let line = format!("{key}: {:.3} {verdict}", calls.of(kind));
        println!("{line}");
        exceeded.extend(verdict.fails().then_some(line));
    }
    assert!(
        exceeded.is_empty(),
        "{exceeded:?}, others: {:?}",
        calls.others
    );
}

#[test]
fn a_kept_alive_request_costs_one_read_and_one_write() {
    check("epoll", Scenario::KeepAlive);
}

#[test]
fn requests_of_many_connections_cost_one_read_and_one_write_each() {
    check("epoll", Scenario::KeepAlive64);
}

#[test]
fn pipelined_requests_share_reads_and_writes() {
    check("epoll", Scenario::Pipelined16);
}

#[test]
fn an_upload_is_answered_with_one_write() {
    check("epoll", Scenario::Upload);
}

#[test]
fn a_streamed_answer_keeps_its_budget() {
    check("epoll", Scenario::Chunked);
}

#[test]
fn an_http2_request_costs_one_read_and_one_write() {
    check("epoll", Scenario::H2c);
}

#[test]
fn requests_of_many_streams_share_reads_and_writes() {
    check("epoll", Scenario::H2c16);
}

#[test]
fn a_request_over_tls_keeps_its_budget() {
    check("epoll", Scenario::Tls);
}

#[test]
fn requests_of_many_streams_over_tls_share_reads_and_writes() {
    check("epoll", Scenario::H2Tls16);
}

#[test]
fn on_monoio_requests_of_many_connections_share_ring_entries() {
    check("monoio", Scenario::KeepAlive64);
}
