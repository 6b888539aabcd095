//! However many connections are asked for, no more are under way at once than a listen backlog holds, and each is measured once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lanner_loadtest::opening::OPENING_MAX;
use lanner_loadtest::run::{Interruption, Kind};

use crate::canned;
use crate::command::{load, load_until, met};
use crate::serving::Serving;

const CLIENTS: [&str; 3] = ["", "--h2", "--h2 --client h2-crate"];

#[test]
fn no_more_are_under_way_than_a_backlog_holds_on_however_many_threads() {
    for (client, threads) in [("", 1), ("--h2", 3), ("--h2 --client h2-crate", 2)] {
        let (open, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let peak = most.clone();
        // Nobody answers in TLS, so none is ever made.
        let address = canned::serve(move |stream, _| {
            let now_open = open.fetch_add(1, Ordering::SeqCst) + 1;
            peak.fetch_max(now_open, Ordering::SeqCst);
            canned::listen_only(stream);
            open.fetch_sub(1, Ordering::SeqCst);
        });
        let outcome = load(&format!(
            "https://{address}/ {client} --connections 400 --threads {threads} --timeout 60s --duration 2s"
        ));
        let under_way = (OPENING_MAX / threads * threads) as u64;
        assert_eq!(
            met(&outcome, Kind::Handshake).0,
            under_way,
            "{client} {threads}"
        );
        let most = most.load(Ordering::SeqCst);
        assert!(most <= under_way, "{client} {threads}: {most}");
        assert_eq!(outcome.tally.connect.count(), under_way);
    }
}

#[test]
fn every_connection_is_made_and_measured_once() {
    for start in [Serving::plain, Serving::secure] {
        for client in CLIENTS {
            // Of its own, for one that was loaded before may still be at work on what was under way then.
            let serving = start();
            let interruption = Interruption::default();
            serving.interrupt_at(300, &interruption);
            let words = format!(
                "{} {client} --connections 300 --threads 2",
                serving.url("/")
            );
            let words = format!("{words} --duration 1h --timeout 10m");
            let outcome = load_until(&words, &interruption);
            assert!(outcome.is_interrupted);
            let tally = &outcome.tally;
            assert_eq!(tally.troubles.sum(), 0, "{:?}", tally.troubles);
            assert_eq!(tally.connect.count(), 300, "{words}");
            let handshakes = if words.contains("https") { 300 } else { 0 };
            assert_eq!(tally.handshake.count(), handshakes, "{words}");
        }
    }
}

#[test]
fn connections_that_come_and_go_are_made_again_and_again() {
    let serving = Serving::secure();
    let interruption = Interruption::default();
    serving.interrupt_at(400, &interruption);
    // More than may be under way, and each of them is for one request.
    let outcome = load_until(
        &format!(
            "{} --close --connections 200 --duration 1h --timeout 10m",
            serving.url("/")
        ),
        &interruption,
    );
    let tally = &outcome.tally;
    assert_eq!(tally.troubles.sum(), 0, "{:?}", tally.troubles);
    assert!(
        tally.handshake.count() >= 400,
        "{}",
        tally.handshake.count()
    );
    assert!(tally.connect.count() >= tally.handshake.count());
}
