//! Every answer counts, once.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lanner::{Error, Request, Response, Server};

use crate::canned;
use crate::certificate;
use crate::command::{assert_clean, load};
use crate::serving::Serving;

/// What the server was asked lies between what was answered and what was sent. It is a server of its own, for one that was loaded
/// before may still be at work on what was under way then.
fn assert_counted_once(words: &str, serving: &Serving) {
    let outcome = load(words);
    assert_clean(&outcome);
    let (answers, unfinished) = (outcome.tally.answers(), outcome.tally.unfinished);
    let asked = serving.requests();
    assert!(
        (answers..=answers + unfinished).contains(&asked),
        "{words}: asked {asked}, answered {answers}, unfinished {unfinished}"
    );
}

#[test]
fn every_answer_of_a_closed_loop_counts_once() {
    for how in [
        "",
        "--pipeline 16",
        "--close",
        "--h2 --streams 8",
        "--threads 2",
        "--h2 --streams 300 --connections 1",
        "--h2 --client h2-crate --streams 8 --threads 2",
    ] {
        let serving = Serving::plain();
        let words = format!("{} --duration 400ms {how}", serving.url("/"));
        assert_counted_once(&words, &serving);
    }
}

#[test]
fn every_answer_over_tls_counts_once() {
    for how in [
        "",
        "--pipeline 4",
        "--close",
        "--h2 --streams 8",
        "--h2 --client h2-crate --streams 8",
    ] {
        let serving = Serving::secure();
        let words = format!("{} --duration 400ms {how}", serving.url("/"));
        assert_counted_once(&words, &serving);
    }
}

#[test]
fn every_answer_over_a_unix_socket_counts_once() {
    for how in ["", "--close", "--h2 --streams 4", "--h2 --client h2-crate"] {
        let serving = Serving::unix();
        let socket = serving.socket();
        let words = format!(
            "http://localhost/ --unix-socket {} --duration 400ms {how}",
            socket.display()
        );
        assert_counted_once(&words, &serving);
    }
}

#[test]
fn handshakes_are_resumed_where_it_is_asked_for_and_counted() {
    let serving = Serving::secure();
    let words = format!("{} --duration 300ms --close", serving.url("/"));
    let full = load(&words).tally;
    assert_eq!(full.resumed, 0);
    assert!(full.handshake.count() > 4);
    let outcome = load(&format!("{words} --resume"));
    assert_clean(&outcome);
    let tally = outcome.tally;
    // The first of each connection cannot be, and those behind it have a ticket.
    assert!(
        tally.resumed > 0 && tally.resumed + 4 * 4 >= tally.handshake.count(),
        "{} of {}",
        tally.resumed,
        tally.handshake.count()
    );
}

#[test]
fn requests_come_by_their_weights() {
    let serving = Serving::plain();
    let directory = certificate::directory();
    let file = directory.join("urls");
    std::fs::write(&file, "3 /\n1 POST /other\n").unwrap();
    let words = format!(
        "{} --urls {} --rate 1000/s --duration 400ms",
        serving.url("/"),
        file.display()
    );
    assert_clean(&load(&words));
    assert_eq!(serving.requests(), 400);
    assert_eq!(serving.asked(|asked| &asked.others), 100);
    assert_eq!(serving.asked(|asked| &asked.posts), 100);
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn fields_are_sent_with_every_request() {
    let serving = Serving::plain();
    let mut answers = 0;
    for how in ["", "--h2", "--h2 --client h2-crate"] {
        let words = format!(
            "{} --header x-token:7 --duration 300ms {how}",
            serving.url("/")
        );
        let outcome = load(&words);
        assert_clean(&outcome);
        answers += outcome.tally.answers();
    }
    assert!(serving.asked(|asked| &asked.tokens) >= answers);
    for how in ["", "--h2", "--h2 --client h2-crate"] {
        let before = serving.asked(|asked| &asked.named);
        let words = format!(
            "{} --header Host:named.test --duration 300ms {how}",
            serving.url("/")
        );
        assert_clean(&load(&words));
        assert!(serving.asked(|asked| &asked.named) > before, "{how}");
    }
}

#[test]
fn large_bodies_come_down_as_a_whole() {
    for serving in [Serving::plain(), Serving::secure()] {
        for how in ["", "--h2 --streams 4", "--h2 --client h2-crate --streams 4"] {
            let words = format!("{} --duration 300ms {how}", serving.url("/large"));
            let outcome = load(&words);
            assert_clean(&outcome);
            let whole = outcome.tally.answers() * 300_000;
            assert!(outcome.tally.body_bytes >= whole, "{how}");
            assert!(outcome.tally.bytes_read > whole, "{how}");
        }
    }
}

#[test]
fn large_bodies_go_up_as_a_whole() {
    for serving in [Serving::plain(), Serving::secure()] {
        for how in ["", "--h2 --streams 4", "--h2 --client h2-crate --streams 4"] {
            let before = (serving.requests(), serving.asked(|asked| &asked.body_bytes));
            // Far beyond what sockets, windows and the output take at once, and all of it answered: none may stand still.
            let words = format!(
                "{} --data-bytes 3000000 --rate 20/s --duration 500ms --timeout 60s {how}",
                serving.url("/")
            );
            // The second opinion has no open loop.
            let words = if how.contains("h2-crate") {
                words
                    .replace("--rate 20/s", "--connections 1")
                    .replace("500ms", "3s")
            } else {
                words
            };
            let outcome = load(&words);
            assert_clean(&outcome);
            let asked = serving.requests() - before.0;
            let bytes = serving.asked(|asked| &asked.body_bytes) - before.1;
            assert!(bytes >= outcome.tally.answers() * 3_000_000, "{how}");
            if !how.contains("h2-crate") {
                assert_eq!((outcome.tally.answers(), asked), (10, 10), "{how}");
                assert_eq!(bytes, 30_000_000, "{how}");
            }
        }
    }
}

#[test]
fn an_answer_that_comes_before_the_body_is_out_counts() {
    let serving = Serving::plain();
    for how in ["", "--h2 --streams 4", "--h2 --client h2-crate --streams 4"] {
        let words = format!(
            "{} --data-bytes 3000000 --duration 300ms {how}",
            serving.url("/early")
        );
        let outcome = load(&words);
        assert!(
            outcome.tally.statuses[&200] > 0,
            "{how}: {:?}",
            outcome.tally.troubles
        );
    }
}

#[test]
fn an_answer_behind_which_the_server_closes_counts_though_the_body_was_cut_off() {
    use std::io::Read;
    let address = canned::serve(|mut stream, _| {
        // A little of the body, the answer, and a reset for the rest of it.
        let mut some = [0; 1000];
        if stream.read_exact(&mut some).is_ok() {
            let text = "HTTP/1.1 413 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            drop(stream.write_all(text.as_bytes()));
        }
    });
    let outcome = load(&format!(
        "http://{address}/ --data-bytes 20000000 --duration 300ms"
    ));
    assert!(
        outcome.tally.statuses[&413] > 0,
        "{:?}",
        outcome.tally.troubles
    );
}

#[test]
fn streams_that_the_server_does_not_allow_are_told() {
    let address = canned::serve(|mut stream, _| {
        drop(stream.write_all(&canned::streams_max(3)));
        canned::answer_h2(stream, |id| Some(canned::h2_ok(id)));
    });
    for client in ["", "--client h2-crate"] {
        for (streams, allowed) in [(20, Some(3)), (3, None)] {
            let outcome = load(&format!(
                "http://{address}/ --h2 {client} --streams {streams} --duration 300ms"
            ));
            assert!(outcome.tally.answers() > 0);
            assert_eq!(outcome.tally.streams_allowed, allowed, "{client} {streams}");
        }
    }
}

#[test]
fn requests_of_a_pipeline_go_together_when_all_before_them_are_answered() {
    const TOGETHER: usize = 3;
    let (batches, early) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let told = (batches.clone(), early.clone());
    let address = canned::serve(move |mut stream, _| {
        let mut buffer = [0; 4096];
        loop {
            let mut asked = String::new();
            stream.set_read_timeout(None).unwrap();
            while asked.matches("\r\n\r\n").count() < TOGETHER {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => return,
                    Ok(count) => asked.push_str(&String::from_utf8_lossy(&buffer[..count])),
                }
            }
            told.0.fetch_add(1, Ordering::SeqCst);
            stream.write_all(canned::ANSWER).unwrap();
            // Long enough for whoever would send one for it.
            stream
                .set_read_timeout(Some(Duration::from_millis(20)))
                .unwrap();
            if stream.read(&mut buffer).is_ok_and(|count| count > 0) {
                told.1.fetch_add(1, Ordering::SeqCst);
                return;
            }
            stream
                .write_all(&canned::ANSWER.repeat(TOGETHER - 1))
                .unwrap();
        }
    });
    let outcome = load(&format!(
        "http://{address}/ --connections 1 --pipeline {TOGETHER} --duration 400ms"
    ));
    assert!(outcome.tally.answers() > 0);
    assert_eq!(early.load(Ordering::SeqCst), 0);
    assert!(batches.load(Ordering::SeqCst) > 1);
}

#[test]
fn streams_that_are_answered_before_their_body_is_taken_make_room_for_others() {
    let server = Server::builder()
        .set("listen", "http://127.0.0.1:0")
        .set("workers", "1")
        .set("h2_max_streams", "2")
        .set("max_request_body", "1000")
        .start(|_worker| |_: Request| async { Ok::<_, Error>(Response::text("taken")) })
        .unwrap();
    let address = server.handle().addresses()[0].to_string();
    for client in ["own", "h2-crate"] {
        let words = "--h2 --connections 1 --streams 2 --data-bytes 10000000 --duration 400ms";
        let outcome = load(&format!("{address}/ {words} --client {client}"));
        assert_eq!(outcome.tally.troubles.sum(), 0, "{client}");
        assert!(
            outcome.tally.statuses[&413] > 2,
            "{client}: {:?}",
            outcome.tally
        );
    }
    server.handle().stop_now();
    server.join().unwrap();
}
