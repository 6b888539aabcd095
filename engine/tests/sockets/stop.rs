//! The end of a server: what was begun is finished, what is idle goes, and nothing lasts for ever.

use crate::app::{self, Gate};
use crate::client::{Client, End};
use crate::server::{limits, serve, start};
use lanner::{EndReason, Request, Response, Trip};
use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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

    fn idle_connections_are_closed_at_once(on) {
        let mut server = serve(on, |_| {}, app::hello);
        let mut clients: Vec<Client> = (0..10).map(|_| server.connect()).collect();
        clients.iter_mut().for_each(|client| drop(client.get("/")));
        let began = Instant::now();
        server.handle().stop();
        // One that was answered a moment ago lingers until its client has closed too.
        for mut client in clients {
            client.expect_end();
        }
        server.join();
        assert!(began.elapsed() < Duration::from_secs(3));
        assert_eq!(server.counters().ended(EndReason::ServerStopped), 10);
        assert!(TcpStream::connect(server.address()).is_err());
    }

    fn what_is_in_flight_is_answered_and_closed(on) {
        let gate = Gate::default();
        let waiting = gate.clone();
        let mut server = serve(on, |_| {}, move |request: Request| {
            let gate = waiting.clone();
            async move {
                gate.pass().await;
                app::sum(request).await
            }
        });
        let mut client = server.connect();
        client.ask("/");
        let mut uploading = server.connect();
        uploading.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\n\r\na");
        gate.until_arrived(2);
        server.handle().stop();
        // The address is free while the last exchanges go on.
        crate::server::until(|| TcpStream::connect(server.address()).is_err(), || "the listener closes".into());
        assert!(client.hears_nothing());
        gate.open();
        uploading.send("bc");
        for (client, expected) in [(&mut client, "0 0"), (&mut uploading, "3 294")] {
            let answer = client.answer();
            assert_eq!((answer.text(), answer.closes()), (expected, true));
            client.expect_end();
        }
        drop((client, uploading));
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

    fn a_connection_fresh_from_accept_has_a_moment_for_its_request(on) {
        let mut server = serve(on, |_| {}, app::hello);
        let (mut asks, mut silent) = (server.connect(), server.connect());
        server.until_open(2);
        server.handle().stop();
        crate::server::until(|| TcpStream::connect(server.address()).is_err(), || "the listener closes".into());
        let answer = asks.get("/");
        assert_eq!((answer.status, answer.closes()), (200, true));
        silent.expect_end();
        drop((asks, silent));
        server.join();
    }

    fn what_does_not_end_is_cut_at_the_deadline(on) {
        let timeout = Duration::from_millis(200);
        let mut server = serve(on, |limits| limits.shutdown_timeout = timeout, |_: Request| {
            std::future::pending::<Result<Response, lanner::Error>>()
        });
        let mut client = server.connect();
        client.ask("/");
        server.until("dispatched", |counters| counters.count(lanner::Count::Requests) == 1);
        let began = Instant::now();
        server.handle().stop();
        assert_eq!(client.rest(), (Vec::new(), End::Reset));
        assert!(began.elapsed() >= timeout);
        server.join();
        assert_eq!(server.counters().ended(EndReason::AppShutdownTimeout), 1);
        server.until_hits(Trip::ShutdownTimeout, 1);
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

    fn stop_now_resets_everybody(on) {
        let mut server = serve(on, |_| {}, |request: Request| async move {
            if request.path() == "/wait" {
                std::future::pending::<()>().await;
            }
            Ok(Response::text("done"))
        });
        let (mut busy, mut idle) = (server.connect(), server.connect());
        busy.ask("/wait");
        idle.get("/");
        server.until("dispatched", |counters| counters.count(lanner::Count::Requests) == 2);
        // A graceful stop that waits, then a second signal.
        server.handle().stop();
        server.handle().stop_now();
        assert_eq!(busy.rest(), (Vec::new(), End::Reset));
        idle.rest();
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
