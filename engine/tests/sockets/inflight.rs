//! How many requests a worker works on at once.

use crate::app::Gate;
use crate::client::Client;
use crate::server::serve;
use lanner::{App, Count, Limits, Request, Response, Trip};
use std::time::{Duration, Instant};

fn waits(gate: &Gate) -> impl App + Clone + Send + Sync {
    let gate = gate.clone();
    move |request: Request| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            Ok(Response::text(request.target().to_owned()))
        }
    }
}

on_every_driver! {
    fn one_request_too_many_is_answered_503(on) {
        let gate = Gate::default();
        let server = serve(on, |limits| limits.max_inflight = Some(2), waits(&gate));
        let mut busy: Vec<Client> = (0..2).map(|_| server.connect()).collect();
        for client in &mut busy {
            client.ask("/");
        }
        gate.until_arrived(2);
        let mut third = server.connect();
        let answer = third.get("/");
        // The request was fine and so is its connection.
        assert_eq!((answer.status, answer.closes()), (503, false));
        server.until_hits(Trip::MaxInflight, 1);
        gate.open();
        for client in &mut busy {
            assert_eq!(client.answer().status, 200);
        }
        assert_eq!(third.get("/again").text(), "/again");
    }

    fn a_503_for_a_request_with_a_body_keeps_the_framing(on) {
        let gate = Gate::default();
        let server = serve(on, |limits| limits.max_inflight = Some(1), waits(&gate));
        let mut busy = server.connect();
        busy.ask("/");
        gate.until_arrived(1);
        let mut other = server.connect();
        other.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\n\r\nhello");
        assert_eq!(other.answer().status, 503);
        gate.open();
        assert_eq!(busy.answer().status, 200);
        assert_eq!(other.get("/again").text(), "/again");
    }

    fn requests_may_wait_for_their_turn_and_get_it_in_order(on) {
        let gate = Gate::default();
        let change = |limits: &mut Limits| {
            limits.max_inflight = Some(1);
            limits.queue_timeout = Some(Duration::from_secs(30));
        };
        let server = serve(on, change, waits(&gate));
        let mut clients: Vec<Client> = Vec::new();
        for number in 0..5 {
            let mut client = server.connect();
            client.ask(&format!("/{number}"));
            clients.push(client);
            server.until("received", |counters| counters.count(Count::Requests) == number + 1);
        }
        assert_eq!(gate.arrived(), 1);
        // One that gives up leaves the queue.
        clients.remove(2).reset();
        server.until_open(4);
        gate.open();
        for (client, path) in clients.iter_mut().zip(["/0", "/1", "/3", "/4"]) {
            assert_eq!(client.answer().text(), path);
        }
        assert_eq!(gate.arrived(), 4);
    }

    fn a_request_that_waits_too_long_for_its_turn_is_answered_503(on) {
        let gate = Gate::default();
        let change = |limits: &mut Limits| {
            limits.max_inflight = Some(1);
            limits.queue_timeout = Some(Duration::from_millis(100));
        };
        let server = serve(on, change, waits(&gate));
        let mut first = server.connect();
        first.ask("/first");
        gate.until_arrived(1);
        let began = Instant::now();
        let mut second = server.connect();
        assert_eq!(second.get("/second").status, 503);
        assert!(began.elapsed() >= Duration::from_millis(100));
        server.until_hits(Trip::QueueTimeout, 1);
        gate.open();
        assert_eq!(first.answer().text(), "/first");
        assert_eq!(gate.arrived(), 1);
    }
}
