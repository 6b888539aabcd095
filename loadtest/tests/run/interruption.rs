//! A run that somebody interrupts keeps what was measured until then, and says how long that was.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lanner_loadtest::run::{Interruption, Outcome};

use crate::canned::{self, ANSWER, h2_ok};
use crate::command::load_until;

/// Has the run interrupted when so many requests were answered.
fn interrupting(after: u64, is_h2: bool) -> (SocketAddr, Interruption) {
    let interruption = Interruption::default();
    let (wish, answers) = (interruption.clone(), AtomicU64::new(0));
    let count = move || {
        if answers.fetch_add(1, Ordering::SeqCst) == after {
            wish.interrupt();
        }
    };
    let address = canned::serve(move |mut stream, _| {
        if is_h2 {
            return canned::answer_h2(stream, |id| {
                count();
                Some(h2_ok(id))
            });
        }
        while canned::read_request(&mut stream) && stream.write_all(ANSWER).is_ok() {
            count();
        }
    });
    (address, interruption)
}

/// Loads for an hour, or until somebody has enough.
fn interrupted(how: &str) -> Outcome {
    let (address, interruption) = interrupting(100, how.contains("--h2"));
    let words = format!("http://{address}/ --duration 1h {how}");
    let outcome = load_until(&words, &interruption);
    assert!(outcome.is_interrupted, "{how}");
    assert_eq!(outcome.aborted.as_deref(), Some("interrupted"), "{how}");
    assert_eq!(outcome.tally.troubles.sum(), 0, "{how}");
    outcome
}

#[test]
fn what_was_measured_until_then_is_there_over_the_time_it_took() {
    for how in [
        "",
        "--threads 2",
        "--rate 1000/s",
        "--h2 --streams 2",
        "--h2 --streams 2 --client h2-crate --threads 2",
    ] {
        let outcome = interrupted(how);
        let answers = outcome.tally.answers();
        assert!(answers >= 90, "{how}: {answers}");
        assert_eq!(outcome.tally.latency.count(), answers, "{how}");
        let seconds = outcome.recorded.as_secs_f64();
        assert!(seconds > 0.0 && seconds < 600.0, "{how}: {seconds}");
        assert!((outcome.rate() - answers as f64 / seconds).abs() < 1e-6);
    }
}

#[test]
fn in_the_warm_up_nothing_was_measured_yet() {
    for how in ["", "--h2 --client h2-crate"] {
        let outcome = interrupted(&format!("{how} --warm-up 1h"));
        assert_eq!(outcome.tally.answers(), 0, "{how}");
        assert_eq!(outcome.recorded, Duration::ZERO, "{how}");
        assert!(outcome.warm_up < Duration::from_secs(600), "{how}");
        assert_eq!(outcome.tally.bytes_read, 0, "{how}");
        let told: u64 = outcome
            .time_line
            .iter()
            .map(|piece| piece.latency.count())
            .sum();
        assert!(told >= 90, "{how}: {told}");
    }
}

#[test]
fn a_wish_that_comes_when_all_is_done_changes_nothing() {
    let (address, interruption) = interrupting(u64::MAX, false);
    let words = format!("http://{address}/ --rate 1000/s --duration 100ms");
    let outcome = load_until(&words, &interruption);
    interruption.interrupt();
    assert!(!outcome.is_interrupted);
    assert_eq!(outcome.recorded, Duration::from_millis(100));
}
