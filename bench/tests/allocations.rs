//! Heap allocations per request against `budgets.toml`.
#![allow(clippy::unwrap_used)]

use lanner::{Error, Request, Response};
use lanner_bench::allocations::{self, Counting};
use lanner_bench::budget::{self, Budgets};
use lanner_bench::scenario::Scenario;
use lanner_bench::toolchain::Toolchain;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn check(scenario: Scenario) {
    let measured = allocations::measure(scenario).unwrap();
    let key = format!("allocations.{}", scenario.name());
    let budgets = Budgets::read(&budget::path()).unwrap();
    let verdict = budgets.judge(&key, measured, &Toolchain::here().unwrap());
    println!("{key}: {measured:.2} {verdict}");
    assert!(!verdict.fails(), "{key}: {measured:.3} {verdict}");
}

#[test]
fn a_kept_alive_request_allocates_nothing() {
    check(Scenario::KeepAlive);
}

#[test]
fn requests_of_many_connections_allocate_nothing() {
    check(Scenario::KeepAlive64);
}

#[test]
fn pipelined_requests_allocate_nothing() {
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

#[test]
fn an_http2_request_allocates_nothing() {
    check(Scenario::H2c);
}

#[test]
fn requests_of_many_streams_allocate_nothing() {
    check(Scenario::H2c16);
}

#[test]
fn a_request_over_tls_keeps_its_budget() {
    check(Scenario::Tls);
}

#[test]
fn requests_of_many_streams_over_tls_keep_their_budget() {
    check(Scenario::H2Tls16);
}

async fn wasteful(_request: Request) -> Result<Response, Error> {
    let mut text = String::with_capacity(5);
    text.push_str("Hello");
    text.push_str(", World!");
    Ok(Response::text(text))
}

/// One block, one that outgrew it; `Bytes` takes the text over as it is, or in a block of its own.
#[test]
fn an_app_that_allocates_is_noticed() {
    let measured = allocations::measure_app(Scenario::KeepAlive, || wasteful).unwrap();
    assert!((2.0..=4.0).contains(&measured), "{measured}");
}
