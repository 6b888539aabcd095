//! The end of a server: what was begun is finished, what is idle goes, and nothing lasts for ever.

use crate::agent::Agent;
use crate::app::{self, Gate};
use crate::client::{Client, End};
use crate::server::{Fixture, limits, serve, start};
use crate::way::Way;
use crate::wire::{self, Got};
use lanner::{App, EndReason, Request, Response, Trip};
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::frame::{END_HEADERS, END_STREAM, HEADER_BYTES, Kind};
use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Whether nobody is let in any more.
fn until_closed(server: &Fixture) {
    let closed = || TcpStream::connect(server.address()).is_err();
    crate::server::until(closed, || "the listener closes".into());
}

/// Waits at the gate, and then reads the body.
fn waits(gate: &Gate) -> impl App + Clone + Send + Sync {
    let gate = gate.clone();
    move |request: Request| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            app::sum(request).await
        }
    }
}

in_every_way! {
    fn idle_connections_are_closed_at_once(way) {
        let mut server = way.serve(|_| {}, app::hello);
        let mut agents: Vec<Agent> = (0..10).map(|_| way.agent(&server)).collect();
        agents.iter_mut().for_each(|agent| drop(agent.get("/")));
        let began = Instant::now();
        server.handle().stop();
        // One that was answered a moment ago lingers until its client has closed too.
        for mut agent in agents {
            agent.expect_end();
        }
        server.join();
        assert!(began.elapsed() < Duration::from_secs(3));
        assert_eq!(server.counters().ended(EndReason::ServerStopped), 10);
        assert!(TcpStream::connect(server.address()).is_err());
    }

    fn what_is_in_flight_is_answered_and_closed(way) {
        let gate = Gate::default();
        let mut server = way.serve(|_| {}, waits(&gate));
        let mut agent = way.agent(&server);
        let asked = agent.ask("/");
        let uploading = agent.begin("/", &[("content-length", "3")]);
        agent.put(uploading, b"a");
        gate.until_arrived(2);
        server.handle().stop();
        // The address is free while the last exchanges go on.
        until_closed(&server);
        assert!(agent.hears_nothing(asked));
        gate.open();
        agent.put(uploading, b"bc");
        agent.finish(uploading);
        for (request, expected) in [(asked, "0 0"), (uploading, "3 294")] {
            let answer = agent.answer(request);
            assert_eq!((answer.text(), answer.closes()), (expected, way.is_http1()));
        }
        agent.expect_end();
        drop(agent);
        server.join();
    }

    fn what_does_not_end_is_cut_at_the_deadline(way) {
        let timeout = Duration::from_millis(200);
        let mut server = way.serve(|limits| limits.shutdown_timeout = timeout, |_: Request| {
            std::future::pending::<Result<Response, lanner::Error>>()
        });
        let mut agent = way.agent(&server);
        agent.ask("/");
        server.until("dispatched", |counters| counters.count(lanner::Count::Requests) == 1);
        let began = Instant::now();
        server.handle().stop();
        assert_eq!(agent.rest(), [End::Reset]);
        assert!(began.elapsed() >= timeout);
        drop(agent);
        server.join();
        assert_eq!(server.counters().ended(EndReason::AppShutdownTimeout), 1);
        server.until_hits(Trip::ShutdownTimeout, 1);
    }
}

in_both_versions! {
    fn a_connection_fresh_from_accept_has_a_moment_for_its_request(way) {
        let mut server = way.serve(|_| {}, app::hello);
        let (asks, mut silent) = (server.connect(), server.connect());
        server.until_open(2);
        server.handle().stop();
        until_closed(&server);
        let mut asks = Agent::over(way, asks);
        let answer = asks.get("/");
        assert_eq!((answer.status, answer.closes()), (200, way.is_http1()));
        asks.expect_end();
        silent.expect_end();
        drop((asks, silent));
        server.join();
    }

    fn stop_now_resets_everybody(way) {
        let mut server = way.serve(|_| {}, |request: Request| async move {
            if request.path() == "/wait" {
                std::future::pending::<()>().await;
            }
            Ok(Response::text("done"))
        });
        let (mut busy, mut idle) = (way.agent(&server), way.agent(&server));
        busy.ask("/wait");
        idle.get("/");
        server.until("dispatched", |counters| counters.count(lanner::Count::Requests) == 2);
        // A graceful stop that waits, then a second signal.
        server.handle().stop();
        server.handle().stop_now();
        assert_eq!(busy.rest(), [End::Reset]);
        idle.rest();
        drop((busy, idle));
        server.join();
    }
}

fn is_go_away(got: &Got) -> bool {
    matches!(got, Got::GoAway { .. })
}

on_every_driver! {
    fn http2_is_left_in_two_steps_and_no_request_is_lost_between_them(driver) {
        for way in Way::both_of_http2(driver) {
            let gate = Gate::default();
            let mut server = way.serve(|_| {}, waits(&gate));
            let mut agent = way.agent(&server);
            let first = agent.post("/", b"abc");
            gate.until_arrived(1);
            agent.streams().answers_pings = false;
            server.handle().stop();
            let streams = agent.streams();
            // RFC 9113 section 6.8: no stream is refused yet.
            let said = streams.expect(is_go_away);
            let Got::GoAway { last, code, .. } = said else { unreachable!() };
            assert_eq!((last, code), ((1 << 31) - 1, ErrorCode::NO_ERROR));
            let ping = streams.expect(|got| matches!(got, Got::Ping { ack: false, .. }));
            let Got::Ping { payload, .. } = ping else { unreachable!() };
            // What its client sent before it knew is served.
            let second = agent.ask("/");
            gate.until_arrived(2);
            let streams = agent.streams();
            streams.send(&wire::ping(true, payload));
            let Got::GoAway { last, code, .. } = streams.expect(is_go_away) else { unreachable!() };
            assert_eq!((last, code), (agent.stream(second), ErrorCode::NO_ERROR));
            // And what it sends then is not looked at: neither answered nor an error, body and all.
            let late = [agent.ask("/late"), agent.begin("/late", &[])];
            agent.put(late[1], &[b'x'; 10_000]);
            agent.finish(late[1]);
            for late in late {
                assert!(agent.hears_nothing(late));
            }
            gate.open();
            assert_eq!(agent.answer(first).text(), "3 294");
            assert_eq!(agent.answer(second).text(), "0 0");
            agent.expect_end();
            assert_eq!(gate.arrived(), 2);
            drop(agent);
            server.join();
            assert_eq!(server.counters().ended(EndReason::ServerStopped), 1);
        }
    }

    fn a_field_block_that_has_begun_when_http2_is_left_may_end(driver) {
        for way in Way::both_of_http2(driver) {
            let mut server = way.serve(|_| {}, app::target);
            let mut agent = way.agent(&server);
            agent.get("/");
            let streams = agent.streams();
            streams.answers_pings = false;
            let (stream, bytes) = streams.request("GET", "/begun", &[], true);
            // The same block in two frames: the header of HEADERS loses END_HEADERS and half of its length.
            let block = &bytes[HEADER_BYTES..];
            let (head, tail) = block.split_at(block.len() / 2);
            streams.send(&wire::frame(Kind::HEADERS, END_STREAM, stream, head));
            server.handle().stop();
            streams.expect(is_go_away);
            let ping = streams.expect(|got| matches!(got, Got::Ping { .. }));
            let Got::Ping { payload, .. } = ping else { unreachable!() };
            streams.send(&wire::frame(Kind::CONTINUATION, END_HEADERS, stream, tail));
            streams.send(&wire::ping(true, payload));
            let (mut answer, end) = streams.head(stream);
            assert!(!end);
            assert_eq!(streams.content(stream, &mut answer), Ok(()));
            assert_eq!(answer.text(), "/begun");
            agent.expect_end();
            drop(agent);
            server.join();
        }
    }

    fn streams_that_do_not_end_are_cut_at_the_deadline_and_those_that_do_are_not(driver) {
        for way in Way::both_of_http2(driver) {
            let change = |limits: &mut lanner::Limits| limits.shutdown_timeout = Duration::from_millis(300);
            let gate = Gate::default();
            let waiting = gate.clone();
            let mut server = way.serve(change, move |request: Request| {
                let gate = waiting.clone();
                async move {
                    gate.pass().await;
                    if request.path() == "/never" {
                        std::future::pending::<()>().await;
                    }
                    Ok(Response::text("in time"))
                }
            });
            let mut agent = way.agent(&server);
            let (_never, ends) = (agent.ask("/never"), agent.ask("/"));
            gate.until_arrived(2);
            server.handle().stop();
            gate.open();
            assert_eq!(agent.answer(ends).text(), "in time");
            assert_eq!(agent.rest(), [End::Reset]);
            drop(agent);
            server.join();
            server.until_hits(Trip::ShutdownTimeout, 1);
        }
    }
}

on_every_driver! {
    fn what_was_queued_before_the_stop_is_served(on) {
        let (release, released) = channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let gate = Gate::default();
        let arrived = gate.clone();
        gate.open();
        let mut server = serve(on, |_| {}, move |request: Request| {
            let (gate, released) = (arrived.clone(), released.clone());
            async move {
                if request.path() == "/hold" {
                    gate.pass().await;
                    // The whole worker stands still.
                    released.lock().unwrap().recv().unwrap();
                }
                Ok(Response::text(request.target().to_owned()))
            }
        });
        let mut open: Vec<Client> = (0..5).map(|_| server.connect()).collect();
        open.iter_mut().for_each(|client| assert_eq!(client.get("/").text(), "/"));
        let mut holding = server.connect();
        holding.ask("/hold");
        gate.until_arrived(1);
        // Requests on open connections, and connections that nobody has accepted.
        for client in &mut open {
            client.ask("/open");
        }
        let mut queued: Vec<Client> = (0..40).map(|_| server.connect()).collect();
        for client in &mut queued {
            client.ask("/queued").ask("/behind");
        }
        server.handle().stop();
        release.send(()).unwrap();

        for client in &mut open {
            // Whether it still announces the close depends on when the stop was seen.
            assert_eq!(client.answer().text(), "/open");
            client.expect_end();
        }
        for client in &mut queued {
            // An answer that does not announce the close promises the next one.
            let answer = client.answer();
            assert_eq!(answer.text(), "/queued");
            if !answer.closes() {
                assert_eq!(client.answer().text(), "/behind");
            }
            client.expect_end();
        }
        assert_eq!(holding.answer().text(), "/hold");
        drop((open, queued, holding));
        server.join();
    }

    fn a_head_that_has_begun_may_end(on) {
        let mut server = serve(on, |_| {}, app::hello);
        let mut client = server.connect();
        client.get("/");
        client.send("GET / HTTP/1.1\r\nho");
        let mut other = server.connect();
        other.get("/");
        server.handle().stop();
        other.expect_end();
        let answer = client.send("st: test\r\n\r\n").answer();
        assert_eq!((answer.status, answer.closes()), (200, true));
        client.expect_end();
        drop((client, other));
        server.join();
    }

    fn an_upgraded_connection_does_not_hold_up_the_end(on) {
        let timeout = Duration::from_millis(200);
        let mut server = serve(on, |limits| limits.shutdown_timeout = timeout, |_: Request| async {
            Ok(Response::upgrade("x", |_stream| std::future::pending()))
        });
        let mut client = server.connect();
        client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
        assert_eq!(client.head().status, 101);
        server.handle().stop();
        assert_eq!(client.rest().1, End::Reset);
        server.join();
    }

    fn an_app_learns_of_the_stop_while_the_server_still_accepts(on) {
        let hour = Duration::from_secs(3_600);
        let mut server = serve(
            on,
            |limits| (limits.shutdown_delay, limits.shutdown_timeout) = (hour, hour),
            |request: Request| async move {
                if request.path() == "/events" {
                    lanner::stopping().await;
                }
                Ok(Response::text(lanner::is_stopping().to_string()))
            },
        );
        let mut events = server.connect();
        events.ask("/events");
        let mut health = server.connect();
        assert_eq!(health.get("/health").text(), "false");
        server.until("dispatched", |counters| counters.count(lanner::Count::Requests) == 2);
        server.handle().stop();
        assert_eq!(events.answer().text(), "true");
        assert_eq!(server.connect().get("/health").text(), "true");
        drop((events, health));
        server.until_open(0);
        server.handle().stop_now();
        server.join();
    }

    fn a_stop_may_go_on_accepting_for_a_while(on) {
        let delay = Duration::from_millis(300);
        let mut server = serve(on, |limits| limits.shutdown_delay = delay, app::hello);
        let mut early = server.connect();
        early.get("/");
        let began = Instant::now();
        server.handle().stop();
        let mut late = server.connect();
        assert_eq!(late.get("/").status, 200);
        assert!(began.elapsed() < delay, "this machine is too slow to say");
        early.expect_end();
        late.expect_end();
        assert!(began.elapsed() >= delay);
        drop((early, late));
        server.join();
    }

    fn a_server_nobody_spoke_to_ends_too(on) {
        let mut two = limits(on);
        two.workers = 2;
        let mut server = start(two, |_| app::hello).unwrap();
        server.handle().stop();
        server.join();
        // Stopping what has ended is no error.
        server.handle().stop();
        server.handle().stop_now();
    }
}
