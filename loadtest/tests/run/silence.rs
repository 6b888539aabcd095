//! A server that never answers, in whichever way, makes no run that looks like success: it is told as errors, and in words, both
//! where the timeout passes and where the run ends before that.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use lanner_loadtest::run::{Interruption, Kind, Outcome};

use crate::canned::{self, frame};
use crate::certificate::Identity;
use crate::command::{load, load_until, met};

/// Loads with a timeout that passes, and with one that does not.
fn unanswered(words: &str, kind: Kind, why: [&str; 2]) {
    let times = [
        "--timeout 100ms --duration 500ms",
        "--timeout 60s --duration 300ms",
    ];
    for (times, why) in times.into_iter().zip(why) {
        let words = format!("{words} {times}");
        let outcome = load(&words);
        judge(&words, &outcome, kind, why);
    }
}

fn judge(words: &str, outcome: &Outcome, kind: Kind, why: &str) {
    let tally = &outcome.tally;
    assert_eq!(tally.answers(), 0, "{words}");
    let (count, text) = met(outcome, kind);
    assert!(count > 0, "{words}: {:?}", tally.troubles);
    assert!(text.contains(why), "{words}: {text}");
    // But for what was being made again when the run ended.
    let others = Kind::ALL.into_iter().filter(|other| *other != kind);
    for other in others {
        let (count, text) = met(outcome, other);
        let is_made_again = matches!(other, Kind::Connect | Kind::Handshake);
        assert!(
            count == 0 || is_made_again && text.contains("by the end of the run"),
            "{words}: {:?}",
            tally.troubles
        );
    }
    let told = tally.without_answer().unwrap();
    assert!(told.contains(why), "{words}: {told}");
}

const BOTH: [&str; 2] = ["--h2", "--h2 --client h2-crate"];

#[test]
fn no_stream_that_may_be_opened() {
    // The word comes before a request does, and behind it.
    for is_early in [true, false] {
        let address = canned::serve(move |mut stream, _| {
            if is_early || canned::read_something(&mut stream) {
                drop(stream.write_all(&canned::streams_max(0)));
                canned::listen_only(stream);
            }
        });
        for how in ["", "--streams 3", "--rate 100/s"] {
            let words = format!("http://{address}/ --h2 {how}");
            let why = "SETTINGS_MAX_CONCURRENT_STREAMS is 0";
            if how.contains("rate") {
                // An open loop waits for every answer or its timeout.
                let words = format!("{words} --timeout 200ms --duration 500ms");
                judge(&words, &load(&words), Kind::TimedOut, why);
            } else {
                unanswered(&words, Kind::TimedOut, [why, why]);
            }
        }
        let words = format!("http://{address}/ --h2 --client h2-crate --streams 2");
        let late = "no answer within 100ms: the server allows no stream";
        unanswered(&words, Kind::TimedOut, [late, "no answer by the end"]);
    }
}

#[test]
fn no_settings() {
    let address = canned::serve(|stream, _| canned::listen_only(stream));
    unanswered_in_h2(address, "not even its SETTINGS");
}

/// By both clients, of which only our own says `why`.
fn unanswered_in_h2(address: SocketAddr, why: &str) {
    let whys = [
        [why, why],
        ["no answer within 100ms", "no answer by the end"],
    ];
    for (client, whys) in BOTH.into_iter().zip(whys) {
        let words = format!("http://{address}/ {client}");
        unanswered(&words, Kind::TimedOut, whys);
    }
}

#[test]
fn a_connection_and_nothing_else() {
    let address = canned::serve(|stream, _| canned::hold(stream));
    for how in ["", "--pipeline 4", "--close", BOTH[0], BOTH[1]] {
        let words = format!("http://{address}/ {how}");
        let whys = ["no answer within 100ms", "no answer by the end of the run"];
        unanswered(&words, Kind::TimedOut, whys);
    }
}

#[test]
fn nothing_in_tls() {
    let address = canned::serve(|stream, _| canned::hold(stream));
    for how in ["", BOTH[0], BOTH[1]] {
        let words = format!("https://{address}/ {how} --duration 300ms --timeout 60s");
        let why = "TLS was not agreed on by the end of the run";
        judge(&words, &load(&words), Kind::Handshake, why);
    }
    // Here TLS is agreed on, and then there is nothing.
    let address = canned::serve_secure(&Identity::for_localhost());
    let words = format!("https://{address}/ --timeout 700ms --duration 3s");
    judge(
        &words,
        &load(&words),
        Kind::TimedOut,
        "no answer within 700ms",
    );
    let words = format!("https://{address}/ --timeout 60s --duration 2s");
    let why = "no answer by the end of the run";
    judge(&words, &load(&words), Kind::TimedOut, why);
}

/// The server says by `interim` that an answer will come, once for each request.
fn announcing(interim: fn(u32) -> Vec<u8>) -> SocketAddr {
    canned::serve(move |stream, _| canned::answer_h2(stream, move |id| Some(interim(id))))
}

#[test]
fn only_interim_answers() {
    let address = canned::serve(|mut stream, _| {
        while canned::read_request(&mut stream) {
            let text =
                "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
            if stream.write_all(text.as_bytes()).is_err() {
                return;
            }
        }
    });
    let why = "only interim answers (1xx) came";
    unanswered(&format!("http://{address}/"), Kind::TimedOut, [why, why]);
    // A literal without a place in the table: `:status: 103`.
    let address = announcing(|id| frame(1, 4, id, b"\x08\x03103"));
    unanswered_in_h2(address, why);
}

#[test]
fn a_server_that_answers_some_leaves_the_others_unfinished() {
    let interruption = Interruption::default();
    let (wish, unanswered) = (interruption.clone(), AtomicU64::new(0));
    let address = canned::serve(move |mut stream, number| {
        canned::answer(&mut stream, u64::from(number == 0));
        // All four connections have asked then.
        if canned::read_request(&mut stream) && unanswered.fetch_add(1, Ordering::SeqCst) == 3 {
            wish.interrupt();
        }
        canned::hold(stream);
    });
    let words = format!("http://{address}/ --duration 1h --timeout 10m");
    let outcome = load_until(&words, &interruption);
    assert_eq!(outcome.tally.answers(), 1);
    assert_eq!(
        outcome.tally.troubles.sum(),
        0,
        "{:?}",
        outcome.tally.troubles
    );
    assert_eq!(outcome.tally.unfinished, 4);
    assert_eq!(outcome.tally.without_answer(), None);
}
