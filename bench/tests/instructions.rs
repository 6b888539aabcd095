//! User-space instructions per request against `budgets.toml`. Needs valgrind, and builds the program it measures in the
//! release profile.
#![allow(clippy::unwrap_used)]

use lanner_bench::budget::{self, Budgets};
use lanner_bench::instructions::{self, Case};
use lanner_bench::subject::tool;
use lanner_bench::toolchain::{Toolchain, release_build};

fn check(driver: &str, scenario: &str) {
    let case = Case::named(driver, scenario).unwrap();
    let key = case.key();
    let measured = tool("valgrind")
        .and_then(|()| release_build())
        .and_then(|steady| instructions::measure(&steady, case));
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
    check("epoll", "keep-alive");
}

#[test]
fn a_request_of_one_of_many_connections_keeps_its_budget() {
    check("epoll", "keep-alive-64");
}

#[test]
fn a_pipelined_request_keeps_its_budget() {
    check("epoll", "pipelined-16");
}

#[test]
fn an_upload_keeps_its_budget() {
    check("epoll", "upload-64k");
}

#[test]
fn a_streamed_answer_keeps_its_budget() {
    check("epoll", "chunked");
}

#[test]
fn an_http2_request_keeps_its_budget() {
    check("epoll", "h2c");
}

#[test]
fn a_request_of_one_of_many_streams_keeps_its_budget() {
    check("epoll", "h2c-16");
}

#[test]
fn a_request_over_tls_keeps_its_budget() {
    check("epoll", "tls");
}

#[test]
fn a_request_of_one_of_many_streams_over_tls_keeps_its_budget() {
    check("epoll", "h2-tls-16");
}

#[test]
fn on_the_ring_a_request_of_one_of_many_connections_keeps_its_budget() {
    check("uring", "keep-alive-64");
}

#[test]
fn on_the_ring_a_pipelined_request_keeps_its_budget() {
    check("uring", "pipelined-16");
}

#[test]
fn on_the_ring_a_request_of_one_of_many_streams_keeps_its_budget() {
    check("uring", "h2c-16");
}
