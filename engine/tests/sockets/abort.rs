//! Clients that go away before their answer.

use crate::app;
use crate::client::{Client, End};
use crate::server::{PATIENCE, serve};
use lanner::{BodyError, Count, EndReason, Request, Response};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

/// Says that it was dropped.
struct Guard(Sender<&'static str>);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

in_both_versions! {
    fn a_reset_drops_the_apps_future_at_its_await(way) {
        let (sender, events) = channel();
        let server = way.serve(|_| {}, move |_: Request| {
            let sender = sender.clone();
            async move {
                let _guard = Guard(sender);
                std::future::pending::<()>().await;
                Ok(Response::text("never"))
            }
        });
        let mut agent = way.agent(&server);
        let request = agent.ask("/");
        server.until("dispatched", |counters| counters.count(Count::Requests) == 1);
        agent.give_up(request);
        assert_eq!(events.recv_timeout(PATIENCE), Ok("dropped"));
        if way.is_http1() {
            server.until("the reason", |counters| counters.ended(EndReason::ConnectionReset) == 1);
        } else {
            agent.streams().settle();
        }
    }

    fn a_task_learns_that_its_exchange_was_aborted(way) {
        let (sender, events) = channel();
        let server = way.serve(|_| {}, move |request: Request| {
            let sender = sender.clone();
            let aborted = request.aborted();
            lanner::spawn_local(async move {
                aborted.await;
                sender.send("aborted").unwrap();
            });
            async move {
                std::future::pending::<()>().await;
                Ok(Response::text("never"))
            }
        });
        let mut agent = way.agent(&server);
        let (stays, request) = (agent.ask("/"), agent.ask("/"));
        server.until("dispatched", |counters| counters.count(Count::Requests) == 2);
        assert!(events.try_recv().is_err());
        agent.give_up(request);
        assert_eq!(events.recv_timeout(PATIENCE), Ok("aborted"));
        // The other one was not.
        assert!(agent.hears_nothing(stays) && events.try_recv().is_err());
        agent.give_up(stays);
        assert_eq!(events.recv_timeout(PATIENCE), Ok("aborted"));
    }

    fn a_reset_in_the_middle_of_an_upload_fails_the_read(way) {
        let (sender, events) = channel();
        let server = way.serve(|_| {}, move |mut request: Request| {
            let sender = sender.clone();
            async move {
                let _guard = Guard(sender);
                request.body().collect().await?;
                Ok(Response::text("whole"))
            }
        });
        let mut agent = way.agent(&server);
        let request = agent.begin("/", &[("content-length", "10")]);
        agent.put(request, b"half");
        server.until("dispatched", |counters| counters.count(Count::Requests) == 1);
        agent.give_up(request);
        assert_eq!(events.recv_timeout(PATIENCE), Ok("dropped"));
        let request = agent.post("/", b"well");
        assert_eq!(agent.answer(request).text(), "whole");
    }

    fn a_reset_while_an_answer_is_sent_ends_the_stream(way) {
        let (sender, events) = channel();
        let server = way.serve(|_| {}, move |_: Request| {
            let guard = Guard(sender.clone());
            async move { Ok(Response::stream(None, Endless(guard))) }
        });
        let mut agent = way.agent(&server);
        let request = agent.ask("/");
        agent.head(request);
        for _ in 0..100 {
            agent.piece(request);
        }
        agent.give_up(request);
        if !way.is_http1() {
            // A client that does not read is not read from, and one that does is, however much comes.
            agent.streams().settle();
        }
        assert_eq!(events.recv_timeout(PATIENCE), Ok("dropped"));
    }
}

on_every_driver! {
    fn a_close_that_the_client_asked_for_eats_no_answer_that_is_on_its_way(on) {
        let server = serve(on, |_| {}, |_: Request| async {
            Ok(Response::bytes(lanner::ContentType::BYTES, vec![b'x'; 60_000]))
        });
        for request in [
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
        ] {
            let mut client = Client::with_small_window(server.address());
            client.send(request);
            assert_eq!(client.head().status, 200);
            // Closed now, the socket would answer this with a reset.
            client.send("\r\n");
            let (rest, end) = client.rest();
            assert_eq!((rest.len(), end), (60_000, End::Closed), "{request:?}");
        }
    }

    fn a_reset_behind_pipelined_requests_is_noticed_too(on) {
        let (sender, events) = channel();
        let server = serve(on, |_| {}, move |_: Request| {
            let sender = sender.clone();
            async move {
                let _guard = Guard(sender);
                std::future::pending::<()>().await;
                Ok(Response::text("never"))
            }
        });
        let mut client = server.connect();
        client.ask("/1").ask("/2").ask("/3");
        server.until("dispatched", |counters| counters.count(Count::Requests) == 1);
        client.reset();
        assert_eq!(events.recv_timeout(PATIENCE), Ok("dropped"));
        server.until_open(0);
        assert_eq!(server.counters().count(Count::Requests), 1);
    }

    fn every_task_that_asks_learns_of_the_abort(on) {
        let (sender, events) = channel();
        let server = serve(on, |_| {}, move |request: Request| {
            for _ in 0..2 {
                let (sender, aborted) = (sender.clone(), request.aborted());
                lanner::spawn_local(async move {
                    aborted.await;
                    sender.send("aborted").unwrap();
                });
            }
            async move {
                std::future::pending::<()>().await;
                Ok(Response::text("never"))
            }
        });
        let mut client = server.connect();
        client.ask("/");
        server.until("dispatched", |counters| counters.count(Count::Requests) == 1);
        client.reset();
        for _ in 0..2 {
            assert_eq!(events.recv_timeout(PATIENCE), Ok("aborted"));
        }
    }

    fn an_exchange_that_ended_well_was_not_aborted(on) {
        let (sender, events) = channel();
        let server = serve(on, |_| {}, move |request: Request| {
            let sender = sender.clone();
            let aborted = request.aborted();
            lanner::spawn_local(async move {
                aborted.await;
                sender.send("aborted").unwrap();
            });
            app::hello(request)
        });
        let mut client = server.connect();
        for _ in 0..2 {
            assert_eq!(client.get("/").status, 200);
        }
        client.reset();
        drop(server);
        assert!(events.try_recv().is_err());
    }

    fn a_body_kept_past_its_exchange_fails_instead_of_waiting(on) {
        let (sender, events) = channel();
        let server = serve(on, |_| {}, move |mut request: Request| {
            let sender = sender.clone();
            async move {
                lanner::spawn_local(async move {
                    let read = request.body().chunk().await;
                    sender.send(read.map(|read| read.map(|_| ()))).unwrap();
                });
                Ok(Response::text("answered"))
            }
        });
        let mut client = server.connect();
        client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\n\r\n");
        assert_eq!(client.answer().text(), "answered");
        assert_eq!(events.recv_timeout(PATIENCE), Ok(Some(Err(BodyError::Aborted))));
        // What was not read is drained.
        client.send("hello").ask("/next");
        assert_eq!(client.head().status, 200);
    }

    fn a_reset_behind_more_than_is_wanted_is_noticed(on) {
        let (go_on, gate) = channel();
        let gate = Arc::new(Mutex::new(gate));
        let server = serve(on, |_| {}, move |mut request: Request| {
            let gate = gate.clone();
            async move {
                if request.path() == "/block" {
                    // Of the whole worker.
                    gate.lock().unwrap().recv().unwrap();
                }
                let is_last = request.path() == "/last";
                request.body().collect().await?;
                if is_last {
                    std::future::pending::<()>().await;
                }
                Ok(Response::text("whole"))
            }
        });
        let post = |path, length| format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n");
        let flood = vec![b'x'; 4 << 20];
        let mut blocker = server.connect();
        let mut requests = 0;
        for length in [200_000, 400_000, 600_000, 1_000_000].repeat(4) {
            let mut client = server.connect();
            // Held up at times, and then received for again; and the sockets' buffers grow.
            client.send(post("/first", flood.len())).send(&flood);
            assert_eq!(client.answer().status, 200);
            blocker.ask("/block");
            requests += 2;
            server.until("blocked", |counters| counters.count(Count::Requests) == requests);
            client.send_what_fits(&[post("/last", length).as_bytes(), &flood].concat());
            client.reset();
            go_on.send(()).unwrap();
            assert_eq!(blocker.answer().status, 200);
            server.until_open(1);
            requests = server.counters().count(Count::Requests);
        }
    }
}

/// A body that never ends.
struct Endless(#[expect(dead_code, reason = "is there to be dropped")] Guard);

impl http_body::Body for Endless {
    type Data = bytes::Bytes;
    type Error = lanner::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, lanner::Error>>> {
        let piece = bytes::Bytes::from_static(&[b'x'; 1000]);
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(piece))))
    }
}
