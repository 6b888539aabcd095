//! What goes wrong is said clearly, and what was measured until then is there.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lanner_loadtest::run::{Interruption, Kind, Outcome};

use crate::canned::{self, ANSWER, frame, h2_ok};
use crate::certificate::{self, Identity};
use crate::command::{assert_clean, load, load_until, met};
use crate::serving::Serving;

/// Our own client in both versions, and the second opinion: what goes wrong is of the same kind for all.
const CLIENTS: [&str; 3] = ["", H2[0], H2[1]];
const H2: [&str; 2] = ["--h2", "--h2 --client h2-crate"];

/// Nothing of another kind went wrong.
#[track_caller]
fn assert_only(outcome: &Outcome, kind: Kind) {
    let troubles = &outcome.tally.troubles;
    assert!(met(outcome, kind).0 > 0, "{troubles:?}");
    assert_eq!(met(outcome, kind).0, troubles.sum(), "{troubles:?}");
}

/// Loads for half a minute, which nobody waits for: the run is given up, and says why.
fn given_up(words: &str, why: &str) -> Outcome {
    let begun = Instant::now();
    let outcome = load(&format!("{words} --duration 30s"));
    let text = outcome.aborted.clone();
    let text = text.unwrap_or_else(|| panic!("{words}: went on: {:?}", outcome.tally.troubles));
    assert!(text.contains(why), "{words}: {text}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{words}");
    assert_eq!(outcome.tally.answers(), 0);
    assert!(outcome.tally.troubles.sum() > 0);
    outcome
}

#[test]
fn a_refused_connection_is_said_at_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for how in ["--connections 1", "--rate 100/s", "--threads 2"] {
        let outcome = given_up(&format!("http://{address}/ {how}"), "refused");
        assert_only(&outcome, Kind::Connect);
    }
    for client in CLIENTS {
        for url in [format!("http://{address}/"), format!("https://{address}/")] {
            let outcome = given_up(&format!("{url} {client}"), "refused");
            assert_only(&outcome, Kind::Connect);
        }
    }
}

#[test]
fn a_socket_that_is_not_there_is_said_at_once() {
    for client in CLIENTS {
        let words = format!("http://localhost/ --unix-socket /nowhere/at/all {client}");
        assert_only(&given_up(&words, "No such file"), Kind::Connect);
    }
}

#[test]
fn a_target_that_swallows_packets_is_said_after_the_timeout() {
    // A queue of one that is full: what else comes is dropped, as by a firewall.
    let listener =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let held: Vec<_> = (0..4)
        .map(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)))
        .collect();
    for client in CLIENTS {
        let words = format!("http://{address}/ --timeout 300ms --connections 8 {client}");
        let outcome = given_up(&words, "no connection within 300ms");
        assert_only(&outcome, Kind::Connect);
    }
    drop(held);
}

#[test]
fn the_wrong_version_is_said() {
    let serving = Serving::plain();
    // A server of HTTP/1.1 that answers whatever comes.
    let old = canned::serve(|mut stream, _| {
        let text = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        if canned::read_something(&mut stream) {
            drop(stream.write_all(text.as_bytes()));
            canned::listen_only(stream);
        }
    });
    for client in H2 {
        let outcome = given_up(&format!("http://{old}/ {client}"), "no HTTP/2");
        assert_only(&outcome, Kind::Protocol);
    }
    // One that speaks HTTP/2 only, and says that this is none.
    let new = canned::serve(|mut stream, _| {
        let code = [0, 0, 0, 0, 0, 0, 0, 1];
        let said = [frame(4, 0, 0, &[]), frame(7, 0, 0, &code)].concat();
        drop(stream.write_all(&said));
        canned::listen_only(stream);
    });
    given_up(&format!("http://{new}/"), "no HTTP/1.1");
    for client in CLIENTS {
        let words = format!("{} {client}", serving.url("/").replace("http:", "https:"));
        let outcome = given_up(&words, "does not answer in TLS");
        assert_only(&outcome, Kind::Handshake);
    }
    let secure = Serving::secure();
    // Lanner says in HTTP/1.1 what it thinks of that: an answer, but no success.
    let url = secure.url("/").replace("https:", "http:");
    let tally = load(&format!("{url} --duration 300ms")).tally;
    assert!(tally.answers() > 0 && tally.failures() == tally.answers());
}

#[test]
fn a_certificate_that_is_not_trusted_is_said() {
    let serving = Serving::secure();
    let directory = certificate::directory();
    let (stranger, _) = Identity::for_localhost().write(&directory);
    for client in CLIENTS {
        let url = serving.url("/");
        let words = format!("{url} --cacert {} {client}", stranger.display());
        assert_only(&given_up(&words, "certificate"), Kind::Handshake);
        // The server's own is.
        let own = serving.chain();
        let words = format!("{url} --cacert {} {client}", own.display());
        // When it is asked for the second time on the only connection, it has answered.
        let interruption = Interruption::default();
        serving.interrupt_at_request(2, &interruption);
        let words = format!("{words} --connections 1 --duration 1h --timeout 10m");
        let outcome = load_until(&words, &interruption);
        assert!(outcome.is_interrupted && outcome.tally.answers() > 0);
        assert_eq!(outcome.tally.troubles.sum(), 0, "{words}");
    }
    // But not when its time is over.
    let expired = Identity::expired();
    let (chain, _) = expired.write(&directory);
    let address = canned::serve_secure(&expired);
    for client in CLIENTS {
        let words = format!("https://{address}/ --cacert {} {client}", chain.display());
        assert_only(&given_up(&words, "expired"), Kind::Handshake);
    }
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_server_that_dies_leaves_what_was_measured() {
    for client in CLIENTS {
        let interruption = Interruption::default();
        let (answers, wish) = (AtomicU64::new(0), interruption.clone());
        let address = canned::serve(move |mut stream, _| {
            let is_alive = || {
                let before = answers.fetch_add(1, Ordering::SeqCst);
                // More often than there are connections: some have been cut, and come back.
                if before >= 520 {
                    wish.interrupt();
                }
                before < 500
            };
            if client.is_empty() {
                while is_alive() {
                    canned::answer(&mut stream, 1);
                }
            } else {
                canned::answer_h2(stream, |id| is_alive().then(|| h2_ok(id)));
            }
        });
        let words = format!("http://{address}/ {client} --duration 1h --timeout 10m");
        let outcome = load_until(&words, &interruption);
        // It did not end by itself, for a server that has answered may do so again.
        assert!(outcome.is_interrupted, "{client}: {:?}", outcome.aborted);
        assert_only(&outcome, Kind::Cut);
        let answers = outcome.tally.answers();
        if client.is_empty() {
            assert_eq!(answers, 500);
        } else {
            // What was written when it died may not have come.
            assert!((490..=500).contains(&answers), "{client}: {answers}");
        }
    }
}

#[test]
fn a_connection_that_is_reset_is_cut() {
    let reset = |stream: std::net::TcpStream| {
        let socket = socket2::Socket::from(stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    };
    let before = canned::serve(move |mut stream, _| {
        if canned::read_something(&mut stream) {
            reset(stream);
        }
    });
    for client in CLIENTS {
        let outcome = given_up(&format!("http://{before}/ {client}"), "");
        assert_only(&outcome, Kind::Cut);
        let outcome = given_up(&format!("https://{before}/ {client}"), "");
        assert_only(&outcome, Kind::Handshake);
    }
}

#[test]
fn a_connection_that_is_closed_before_anything_is_said_is_cut() {
    let address = canned::serve(|mut stream, _| {
        canned::read_something(&mut stream);
    });
    for client in CLIENTS {
        let outcome = given_up(&format!("http://{address}/ {client}"), "closed");
        assert_only(&outcome, Kind::Cut);
        let outcome = given_up(&format!("https://{address}/ {client}"), "closed");
        assert_only(&outcome, Kind::Handshake);
    }
}

#[test]
fn ciphertext_that_is_none_is_said() {
    let address = canned::serve_secure_and(&Identity::for_localhost(), |mut stream| {
        // A record of application data that nobody encrypted.
        drop(stream.write_all(&[0x17, 3, 3, 0, 32]));
        drop(stream.write_all(&[7; 32]));
        canned::listen_only(stream);
    });
    for client in CLIENTS {
        let outcome = given_up(&format!("https://{address}/ {client}"), "decrypt");
        assert_only(&outcome, Kind::Protocol);
    }
}

#[test]
fn a_server_that_never_answers_is_told_by_timeouts() {
    for how in ["", "--pipeline 3", "--rate 100/s"] {
        let address = canned::serve(|stream, _| canned::listen_only(stream));
        let outcome = load(&format!(
            "http://{address}/ --timeout 100ms --duration 500ms {how}"
        ));
        let (late, text) = met(&outcome, Kind::TimedOut);
        assert!(late > 0 && text.contains("100ms"), "{how}: {late} {text}");
        // They took as long as was waited for them, at the least.
        let figures = outcome.tally.latency.figures();
        assert!(
            figures.p50 >= Duration::from_millis(99),
            "{how}: {figures:?}"
        );
    }
    let silent = canned::serve(|stream, _| canned::listen_only(stream));
    let words = format!("https://{silent}/ --timeout 200ms");
    given_up(&words, "TLS was not agreed on within 200ms");
}

#[test]
fn every_arrival_is_answered_or_lost() {
    let address = canned::serve(|stream, _| canned::listen_only(stream));
    let outcome = load(&format!(
        "http://{address}/ --timeout 100ms --rate 1000/s --duration 300ms --connections 2"
    ));
    assert_eq!(met(&outcome, Kind::TimedOut).0, 300);
    assert_eq!(outcome.tally.latency.count(), 300);
}

#[test]
fn only_what_has_waited_as_long_as_the_timeout_is_late() {
    let address = canned::serve(|stream, _| canned::listen_only(stream));
    let outcome = load(&format!(
        "http://{address}/ --timeout 500ms --rate 100/s --duration 1s --connections 1 --pipeline 64"
    ));
    let tally = &outcome.tally;
    let (late, _) = met(&outcome, Kind::TimedOut);
    let (given_up, text) = met(&outcome, Kind::GivenUp);
    assert!(late > 0 && given_up > 0, "{:?}", tally.troubles);
    assert_eq!(late + given_up, 100, "{:?}", tally.troubles);
    assert_eq!(
        text,
        "given up with its connection, not late itself: no answer within 500ms"
    );
    // Latencies are of those that were late, to three digits.
    assert_eq!(tally.latency.count(), late);
    let least = Duration::from_nanos(tally.latency.nanoseconds().min());
    assert!(least >= Duration::from_millis(499), "{least:?}");
}

#[test]
fn one_late_stream_is_given_up_and_the_others_go_on() {
    let connections = std::sync::Arc::new(AtomicU64::new(0));
    let made = connections.clone();
    let address = canned::serve(move |stream, _| {
        made.fetch_add(1, Ordering::SeqCst);
        // The third request is never answered.
        canned::answer_h2(stream, |id| {
            Some(if id == 5 { Vec::new() } else { h2_ok(id) })
        });
    });
    for client in H2 {
        connections.store(0, Ordering::SeqCst);
        let outcome = load(&format!(
            "http://{address}/ {client} --streams 4 --connections 1 --timeout 700ms --duration 2s"
        ));
        assert_only(&outcome, Kind::TimedOut);
        assert_eq!(outcome.tally.troubles.sum(), 1);
        assert!(outcome.tally.answers() > 10);
        assert_eq!(connections.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn garbage_is_said() {
    // The second begins like a frame that is not there as a whole, which the crate waits for until its requests are late.
    let texts: [(&'static [u8], &[&str]); 2] = [
        (b"what is this\r\n\r\n", &H2),
        (b"\x00\x01\x02 what is this\r\n\r\n", &H2[..1]),
    ];
    for (text, clients) in texts {
        let address = canned::serve(move |mut stream, _| {
            if canned::read_something(&mut stream) {
                drop(stream.write_all(text));
                canned::listen_only(stream);
            }
        });
        let outcome = given_up(&format!("http://{address}/"), "no HTTP/1.1");
        assert_only(&outcome, Kind::Protocol);
        for client in clients {
            let outcome = given_up(&format!("http://{address}/ {client}"), "no HTTP/2");
            assert_only(&outcome, Kind::Protocol);
        }
        for client in CLIENTS {
            let outcome = given_up(&format!("https://{address}/ {client}"), "");
            assert_only(&outcome, Kind::Handshake);
        }
    }
}

/// Connections, one after the other, of a server that answers once on each.
const ASKED_AGAIN: u64 = 100;

#[test]
fn a_server_that_closes_without_saying_so_is_asked_again_at_once() {
    for client in CLIENTS {
        let interruption = Interruption::default();
        let wish = interruption.clone();
        let address = canned::serve(move |mut stream, number| {
            if number == ASKED_AGAIN {
                wish.interrupt();
            }
            if client.is_empty() {
                canned::answer(&mut stream, 1);
            } else {
                // HTTP/2 says so by GOAWAY, and without it the next request is lost.
                canned::answer_h2(stream, |id| (id == 1).then(|| h2_ok(id)));
            }
        });
        let words = format!("http://{address}/ {client} --connections 1 --duration 1h");
        let outcome = load_until(&words, &interruption);
        assert!(outcome.is_interrupted, "{client}: {:?}", outcome.aborted);
        let answers = outcome.tally.answers();
        assert!(answers + 1 >= ASKED_AGAIN, "{client}: {answers}");
        if !client.is_empty() {
            assert_only(&outcome, Kind::Cut);
        }
    }
    // What says so, or speaks HTTP/1.0, is no trouble at all.
    let polite = canned::serve(|mut stream, _| {
        if canned::read_request(&mut stream) {
            drop(stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    assert_clean(&load(&format!("http://{polite}/ --duration 200ms")));
}

#[test]
fn streams_that_are_reset_are_counted_and_the_others_too() {
    let address = canned::serve(|stream, _| {
        canned::answer_h2(stream, |id| {
            Some(if id % 8 == 1 {
                frame(3, 0, id, &2_u32.to_be_bytes())
            } else {
                h2_ok(id)
            })
        });
    });
    for how in ["--h2 --rate 1000/s", H2[1]] {
        let outcome = load(&format!("http://{address}/ {how} --duration 320ms"));
        assert_only(&outcome, Kind::StreamReset);
        let (resets, text) = met(&outcome, Kind::StreamReset);
        assert!(text.contains("reset the stream"), "{text}");
        assert!(outcome.tally.answers() > 0);
        if how.contains("--rate") {
            assert_eq!(resets + outcome.tally.answers(), 320);
        }
    }
}

#[test]
fn a_server_that_goes_away_is_connected_to_again() {
    let address = canned::serve(|stream, _| {
        canned::answer_h2(stream, |id| {
            let mut said = h2_ok(id);
            if id == 41 {
                let payload = [id.to_be_bytes(), [0; 4]].concat();
                said.extend(frame(7, 0, 0, &payload));
            }
            Some(said)
        });
    });
    for client in H2 {
        let outcome = load(&format!(
            "http://{address}/ {client} --streams 4 --duration 300ms --connections 2"
        ));
        let tally = &outcome.tally;
        assert!(
            tally.answers() > 42 && tally.connect.count() > 2,
            "{client}: {:?}",
            tally.troubles
        );
        // Those behind it were not looked at, and that is all that went wrong.
        let (reset, _) = met(&outcome, Kind::StreamReset);
        assert_eq!(
            tally.troubles.sum(),
            reset,
            "{client}: {:?}",
            tally.troubles
        );
    }
}

#[test]
fn a_full_queue_of_a_unix_socket_is_waited_for() {
    let directory = certificate::directory();
    let path = directory.join("socket");
    let listener =
        socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    listener
        .bind(&socket2::SockAddr::unix(&path).unwrap())
        .unwrap();
    listener.listen(1).unwrap();
    std::thread::spawn(move || {
        use std::io::Read;
        let listener: std::os::unix::net::UnixListener = listener.into();
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).is_ok_and(|count| count > 0)
                    && stream.write_all(ANSWER).is_ok()
                {}
            });
        }
    });
    let outcome = load(&format!(
        "http://localhost/ --unix-socket {} --connections 64 --duration 300ms",
        path.display()
    ));
    assert_clean(&outcome);
    assert_eq!(outcome.tally.connect.count(), 64);
    std::fs::remove_dir_all(directory).unwrap();
}
