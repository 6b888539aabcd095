//! The open loop keeps its moments, whatever the server does.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lanner_loadtest::run::Outcome;

use crate::canned::{self, ANSWER};
use crate::command::{assert_clean, load};
use crate::serving::Serving;

#[test]
fn every_arrival_is_sent_and_answered() {
    let serving = Serving::plain();
    for (how, expected) in [
        ("--rate 2000/s", 800),
        ("--rate 2000/s --threads 3", 800),
        ("--rate 2000/s --connections 1", 800),
        ("--rate 2000/s --h2 --streams 4 --threads 2", 800),
        ("--rate 500/s --close", 200),
    ] {
        let before = serving.requests();
        let words = format!("{} --duration 400ms --timeout 60s {how}", serving.url("/"));
        let outcome = load(&words);
        assert_clean(&outcome);
        assert_eq!(outcome.tally.answers(), expected, "{how}");
        assert_eq!(serving.requests() - before, expected, "{how}");
        assert_eq!(outcome.tally.unfinished, 0, "{how}");
    }
}

#[test]
fn arrivals_of_the_warm_up_are_sent_and_not_recorded() {
    let serving = Serving::plain();
    let outcome = load(&format!(
        "{} --rate 1000/s --warm-up 200ms --duration 300ms",
        serving.url("/")
    ));
    assert_clean(&outcome);
    assert_eq!(outcome.tally.answers(), 300);
    assert_eq!(serving.requests(), 500);
}

#[test]
fn latency_counts_from_the_moment_that_was_meant() {
    // One connection, and 50 ms for each of ten requests that are meant to come all at nearly once.
    let address = canned::serve(|mut stream, _| {
        while canned::read_request(&mut stream) {
            std::thread::sleep(Duration::from_millis(50));
            if stream.write_all(ANSWER).is_err() {
                return;
            }
        }
    });
    let outcome = load(&format!(
        "http://{address}/ --rate 1000/s --duration 10ms --connections 1"
    ));
    assert_clean(&outcome);
    let figures = outcome.tally.latency.figures();
    assert_eq!(figures.count, 10);
    assert!(figures.max >= Duration::from_millis(490), "{figures:?}");
    assert!(figures.p50 >= Duration::from_millis(240), "{figures:?}");
}

#[test]
fn a_call_that_is_due_takes_the_room_that_one_answer_leaves_in_a_pipeline() {
    const DEPTH: usize = 4;
    const ALL: usize = 20;
    // One answer whenever all places are taken, until everything was asked: what waits for all of them waits for ever.
    let address = canned::serve(|mut stream, _| {
        let (mut text, mut buffer, mut answered) = (Vec::new(), [0; 4096], 0);
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            text.extend_from_slice(&buffer[..count]);
            let asked = text.windows(4).filter(|four| four == b"\r\n\r\n").count();
            assert!(asked - answered <= DEPTH, "{asked} {answered}");
            let ready = if asked == ALL {
                asked - answered
            } else {
                usize::from(asked - answered == DEPTH)
            };
            answered += ready;
            if stream.write_all(&ANSWER.repeat(ready)).is_err() {
                return;
            }
        }
    });
    let outcome = load(&format!(
        "http://{address}/ --rate 1000/s --duration 20ms --connections 1 --pipeline {DEPTH} --timeout 5s"
    ));
    assert_clean(&outcome);
    assert_eq!(outcome.tally.answers(), ALL as u64);
}

/// A server that does one thing after the other, and takes so long for each.
fn working(each: Duration) -> SocketAddr {
    let turn = Mutex::new(());
    canned::serve(move |mut stream, _| {
        while canned::read_request(&mut stream) {
            let turn = turn.lock().unwrap();
            std::thread::sleep(each);
            drop(turn);
            if stream.write_all(ANSWER).is_err() {
                return;
            }
        }
    })
}

/// The rate is of what came in the time that was recorded.
#[track_caller]
fn assert_rate(outcome: &Outcome, recorded: Duration) {
    assert_eq!(outcome.recorded, recorded);
    let rate = outcome.tally.in_time.answers as f64 / recorded.as_secs_f64();
    assert!((outcome.rate() - rate).abs() < 1e-6, "{}", outcome.rate());
}

#[test]
fn a_server_that_falls_behind_has_the_rate_of_what_it_does() {
    let address = working(Duration::from_millis(5));
    let outcome = load(&format!(
        "http://{address}/ --rate 1000/s --duration 200ms --threads 2"
    ));
    assert_clean(&outcome);
    assert_rate(&outcome, Duration::from_millis(200));
    let tally = &outcome.tally;
    // 5 ms each.
    assert!(tally.in_time.answers <= 40, "{}", tally.in_time.answers);
    assert_eq!(tally.in_time.answers + tally.late, 200);
    assert!(tally.late_until >= Duration::from_millis(790));
    // All bytes are told, and those that count for the rate.
    let each = ANSWER.len() as u64;
    assert_eq!(tally.bytes_read, 200 * each);
    // One on each connection may be read before the clock is looked at.
    assert!(tally.in_time.bytes_read <= 44 * each);
    assert!(tally.in_time.bytes_written < tally.bytes_written);
    let in_line: u64 = outcome.time_line.iter().map(|piece| piece.late).sum();
    assert_eq!(in_line, tally.late);
}

#[test]
fn a_server_that_is_behind_since_the_warm_up_has_its_rate_too() {
    let address = working(Duration::from_millis(5));
    let outcome = load(&format!(
        "http://{address}/ --rate 1000/s --warm-up 300ms --duration 300ms"
    ));
    assert_clean(&outcome);
    assert_rate(&outcome, Duration::from_millis(300));
    let tally = &outcome.tally;
    // What it did then was to answer the requests of the warm-up: none of its own was answered before all of those.
    assert_eq!((tally.answers(), tally.late), (300, 300));
    assert!((1..=60).contains(&tally.in_time.answers));
}

#[test]
fn one_request_that_hangs_lowers_the_rate_by_one_answer() {
    let (hung, seen) = (Duration::from_millis(1_500), AtomicU64::new(0));
    let address = canned::serve(move |mut stream, _| {
        while canned::read_request(&mut stream) {
            if seen.fetch_add(1, Ordering::SeqCst) == 10 {
                std::thread::sleep(hung);
            }
            if stream.write_all(ANSWER).is_err() {
                return;
            }
        }
    });
    let outcome = load(&format!("http://{address}/ --rate 100/s --duration 500ms"));
    assert_clean(&outcome);
    assert_rate(&outcome, Duration::from_millis(500));
    let tally = &outcome.tally;
    assert!(tally.late >= 1);
    assert_eq!(tally.in_time.answers + tally.late, 50);
    assert!(tally.late_until >= Duration::from_millis(1_000));
    assert!(tally.latency.figures().max >= hung - Duration::from_millis(2));
}

/// A server that answers at once, but for a tenth of each second, in which it does nothing.
fn stalling() -> SocketAddr {
    let begun = Instant::now();
    canned::serve(move |mut stream, _| {
        stream.set_nodelay(true).unwrap();
        while canned::read_request(&mut stream) {
            let phase = begun.elapsed().as_millis() % 1000;
            if (400..500).contains(&phase) {
                std::thread::sleep(Duration::from_millis(500 - phase as u64));
            }
            if stream.write_all(ANSWER).is_err() {
                return;
            }
        }
    })
}

#[test]
fn a_stall_shows_in_the_open_loop_and_hides_in_the_closed_one() {
    let address = stalling();
    // A tenth of the arrivals meets the stall, so that the slowest hundredth is its first tenth. There are more connections than
    // arrivals in it.
    let open = load(&format!(
        "http://{address}/ --rate 300/s --connections 40 --duration 2s"
    ));
    assert_clean(&open);
    assert_eq!(open.tally.answers(), 600);
    let p99 = open.tally.latency.figures().p99;
    assert!(p99 >= Duration::from_millis(80), "open loop: {p99:?}");
    // One connection meets it once a second, with one request of the thousands that it sends. A machine that is busy with
    // something else may stall by itself: three runs are tried.
    let closed = (0..3).map(|_| {
        let closed = load(&format!("http://{address}/ --connections 1 --duration 2s"));
        assert_clean(&closed);
        let figures = closed.tally.latency.figures();
        assert!(figures.max >= Duration::from_millis(50), "{figures:?}");
        figures.p99
    });
    let p99s: Vec<_> = closed.collect_until(|p99| *p99 < Duration::from_millis(20));
    let last = p99s.last().unwrap();
    assert!(*last < Duration::from_millis(20), "closed loop: {p99s:?}");
}

/// Takes up to the first that will do.
trait CollectUntil: Iterator + Sized {
    fn collect_until(mut self, will_do: impl Fn(&Self::Item) -> bool) -> Vec<Self::Item> {
        let mut all = Vec::new();
        for item in self.by_ref() {
            let is_last = will_do(&item);
            all.push(item);
            if is_last {
                break;
            }
        }
        all
    }
}

impl<I: Iterator> CollectUntil for I {}
