//! Hostile clients on a unix socket. They are local, but a compromised process is too: every bound that TCP clients have
//! holds for them, except those that count by an address, which they have none of.

use crate::app;
use crate::client::{Client, End};
use crate::listener::{Directory, unix_client};
use crate::response::{PIECE, Plenty};
use crate::server::{Fixture, listening, start};
use lanner::{App, Count, EndReason, Limits, Request, Response, Trip};
use lanner_limits::{AddressSet, Driver};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the tests set a timeout to.
const SHORT: Duration = Duration::from_millis(150);
/// By when it must have been noticed.
const LATE: Duration = Duration::from_secs(4);

/// A server on a unix socket.
struct Site {
    // Before the directory: the server unlinks its socket in the end.
    server: Fixture,
    directory: Directory,
}

impl Site {
    fn new<A>(name: &str, on: Driver, change: impl FnOnce(&mut Limits), app: A) -> Self
    where
        A: App + Clone + Send + Sync,
    {
        let directory = Directory::new(name, on);
        let mut limits = listening(on, &format!("unix:{}", directory.socket().display()));
        change(&mut limits);
        Self {
            server: start(limits, move |_| app.clone()).unwrap(),
            directory,
        }
    }

    fn connect(&self) -> Client<UnixStream> {
        unix_client(&self.directory.socket())
    }

    fn hits(&self, trip: Trip, hits: u64) {
        self.server.until_hits(trip, hits);
    }
}

/// Sends the beginning, then a piece each time nothing was heard for a moment, until something is. Returns how long that
/// took.
fn trickle(client: &mut Client<UnixStream>, beginning: &str, piece: &str) -> Duration {
    let began = Instant::now();
    client.send(beginning);
    let moment = Duration::from_millis(10);
    client.stream.set_read_timeout(Some(moment)).unwrap();
    let heard = |client: &Client<UnixStream>| {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        socket2::SockRef::from(&client.stream)
            .peek(&mut byte)
            .is_ok()
    };
    while !heard(client) {
        client.send(piece);
        assert!(began.elapsed() < LATE);
    }
    client.stream.set_read_timeout(Some(LATE)).unwrap();
    began.elapsed()
}

on_every_driver! {
    fn a_head_that_trickles_is_answered_408(on) {
        let site = Site::new("head", on, |limits| limits.header_timeout = SHORT, app::hello);
        let mut client = site.connect();
        assert!(trickle(&mut client, "GET / HTTP/1.1\r\nhost: test\r\nx: ", "y") >= SHORT);
        let answer = client.answer();
        assert_eq!((answer.status, answer.closes()), (408, true));
        client.expect_end_or_reset();
        site.hits(Trip::HeaderTimeout, 1);
    }

    fn a_body_that_trickles_is_answered_408(on) {
        let change = |limits: &mut Limits| {
            limits.min_body_rate = Some(100_000);
            limits.min_body_rate_grace = SHORT;
        };
        let site = Site::new("body", on, change, app::sum);
        let mut client = site.connect();
        let head = "POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";
        assert!(trickle(&mut client, head, "1\r\na\r\n") >= SHORT);
        assert_eq!(client.answer().status, 408);
        client.expect_end_or_reset();
        site.hits(Trip::MinBodyRate, 1);
    }

    fn silence_is_closed_before_a_request_and_between_two(on) {
        let change = |limits: &mut Limits| {
            limits.first_byte_timeout = SHORT;
            limits.keepalive_timeout = SHORT;
        };
        let site = Site::new("silence", on, change, app::hello);
        let (mut silent, mut idle) = (site.connect(), site.connect());
        assert_eq!(idle.get("/").status, 200);
        for client in [&mut silent, &mut idle] {
            client.expect_end();
        }
        site.hits(Trip::FirstByteTimeout, 1);
        site.hits(Trip::KeepaliveTimeout, 1);
    }

    fn garbage_is_answered_400_and_hurts_nobody_else(on) {
        let site = Site::new("garbage", on, |_| {}, app::hello);
        let mut bystander = site.connect();
        assert_eq!(bystander.get("/").status, 200);
        let every_byte: Vec<u8> = (0..=255).collect();
        let binary = every_byte.repeat(100);
        for garbage in [&binary[..], b"\x16\x03\x01\x02\x00", b"nonsense\r\n\r\n", b"\r\n\r\n\r\n\r\n", b"GET / HTTP/1.1\nx"] {
            let mut client = site.connect();
            let answer = client.send(garbage).answer();
            assert_eq!((answer.status, answer.closes()), (400, true));
            client.expect_end();
        }
        assert_eq!(bystander.get("/").status, 200);
        assert_eq!(site.server.counters().count(Count::Requests), 2);
    }

    fn what_is_too_large_is_refused_and_the_answer_can_be_read(on) {
        let site = Site::new("large", on, |limits| limits.max_request_body = Some(1_000), app::sum);
        let many: String = (0..101).map(|number| format!("x-{number}: y\r\n")).collect();
        let chunks = "400\r\n".to_owned() + &"x".repeat(0x400) + "\r\n";
        for (bytes, status, trip) in [
            (format!("GET /{} HTTP/1.1\r\n", "x".repeat(9_000)), 414, Trip::RequestLine),
            (format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n"), 431, Trip::HeaderCount),
            (format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(33_000)), 431, Trip::HeaderBytes),
            (format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{chunks}"), 413, Trip::RequestBody),
        ] {
            let mut client = site.connect();
            let answer = client.send(bytes).answer();
            assert_eq!((answer.status, answer.closes()), (status, true), "{trip}");
            client.expect_end();
            site.hits(trip, 1);
        }
    }

    fn a_413_arrives_although_the_client_still_sends_ten_megabytes(on) {
        let site = Site::new("upload", on, |_| {}, app::sum);
        let mut client = site.connect();
        client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 40000000\r\n\r\n");
        // A unix socket that is closed with bytes unread makes its peer's reads fail just as a reset does.
        client.send(vec![b'x'; 10_000_000]);
        let answer = client.answer();
        assert_eq!((answer.status, answer.closes()), (413, true));
        client.expect_end();
        drop(client);
        site.server.until("the reason", |counters| {
            counters.ended(EndReason::MaxRequestBodySizeExceeded) == 1
        });
    }

    fn a_refused_client_that_stays_is_let_go(on) {
        let site = Site::new("stays", on, |limits| limits.body_drain_timeout = SHORT, app::hello);
        let mut client = site.connect();
        let began = Instant::now();
        assert_eq!(client.send("nonsense\r\n\r\n").answer().status, 400);
        client.expect_end();
        // It goes on sending, which is read away and not answered.
        while site.server.counters().open() > 0 {
            assert!(began.elapsed() < LATE);
            let _ = std::io::Write::write_all(&mut client.stream, b"more nonsense\r\n\r\n");
            std::thread::park_timeout(Duration::from_millis(1));
        }
        assert!(began.elapsed() >= SHORT);
    }

    fn an_answer_that_nobody_takes_is_given_up(on) {
        let change = |limits: &mut Limits| {
            limits.min_response_rate = Some(1 << 30);
            limits.min_response_rate_grace = SHORT;
        };
        let taken = Arc::default();
        let counted = Arc::clone(&taken);
        let site = Site::new("reader", on, change, move |_: Request| {
            let taken = Arc::clone(&counted);
            async move {
                Ok(Response::stream(None, Plenty { left: 1_000 * PIECE, taken }))
            }
        });
        let mut client = site.connect();
        let began = Instant::now();
        client.ask("/");
        site.hits(Trip::MinResponseRate, 1);
        assert!((SHORT..LATE).contains(&began.elapsed()));
        site.server.until_open(0);
        // What the socket held is all that the app was asked for.
        let taken = taken.load(std::sync::atomic::Ordering::SeqCst);
        assert!(taken < 500 * PIECE, "{taken}");
        // The answer says by its framing that it is not whole.
        let (bytes, _) = client.rest();
        assert!(bytes.len() < 500 * PIECE && !bytes.ends_with(b"0\r\n\r\n"));
    }

    fn the_cap_holds_and_idle_clients_make_room(on) {
        let change = |limits: &mut Limits| {
            limits.max_connections = 4;
            limits.idle_shed_at = 100;
        };
        let gate = app::Gate::default();
        let waiting = gate.clone();
        let site = Site::new("cap", on, change, move |request: Request| {
            let gate = waiting.clone();
            async move {
                if request.path() == "/wait" {
                    gate.pass().await;
                }
                Ok(Response::text("done"))
            }
        });
        let mut idle = site.connect();
        assert_eq!(idle.get("/").status, 200);
        let mut busy: Vec<_> = (0..4).map(|_| site.connect()).collect();
        for client in &mut busy {
            client.ask("/wait");
        }
        gate.until_arrived(4);
        idle.expect_end();
        site.hits(Trip::IdleShed, 1);
        let mut fifth = site.connect();
        assert_eq!(fifth.rest().0, b"");
        assert_eq!(site.server.counters().count(Count::Rejected), 1);
        gate.open();
        for client in &mut busy {
            assert_eq!(client.answer().text(), "done");
        }
    }

    fn bounds_by_address_do_not_count_clients_without_one(on) {
        let change = |limits: &mut Limits| {
            limits.per_ip_exempt = AddressSet::NONE;
            limits.max_connections_per_ip = 1;
            limits.max_connection_rate_per_ip = Some(1);
        };
        let site = Site::new("address", on, change, app::hello);
        let mut clients: Vec<_> = (0..5).map(|_| site.connect()).collect();
        for client in &mut clients {
            assert_eq!(client.get("/").status, 200);
        }
    }

    fn clients_that_run_away_leave_nothing_behind(on) {
        let site = Site::new("away", on, |_| {}, app::echo);
        for bytes in [
            "",
            "GET / HT",
            "GET / HTTP/1.1\r\nhost: test\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 1000\r\n\r\nabc",
            "POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
            "nonsense\r\n\r\n",
        ] {
            for _ in 0..10 {
                site.connect().send(bytes);
            }
        }
        site.server.until("all came", |counters| counters.count(Count::Accepted) == 60);
        site.server.until_open(0);
        let mut client = site.connect();
        assert_eq!(client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\nok").answer().text(), "ok");
    }
}

impl Client<UnixStream> {
    /// Expects the end. A client that was sending in the very moment of it may see a reset instead.
    fn expect_end_or_reset(&mut self) {
        let (rest, end) = self.rest();
        assert!(rest.is_empty() && matches!(end, End::Closed | End::Reset));
    }
}
