//! How many requests a worker works on at once.

use crate::app::Gate;
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

/// Waits at `/hold` only, and reads every body.
fn reads(gate: &Gate) -> impl App + Clone + Send + Sync {
    let gate = gate.clone();
    move |request: Request| {
        let gate = gate.clone();
        async move {
            if request.path() == "/hold" {
                gate.pass().await;
            }
            crate::app::sum(request).await
        }
    }
}

in_every_way! {
    fn one_request_too_many_is_answered_503(way) {
        let gate = Gate::default();
        let server = way.serve(|limits| limits.max_inflight = Some(2), waits(&gate));
        let mut agent = way.agent(&server);
        let busy = [agent.ask("/"), agent.ask("/")];
        gate.until_arrived(2);
        let answer = agent.get("/");
        // The request was fine and so is its connection.
        assert_eq!((answer.status, answer.closes()), (503, false));
        assert!(answer.text().contains("max_inflight"), "{}", answer.text());
        server.until_hits(Trip::MaxInflight, 1);
        // The app was not called for it.
        assert_eq!(server.counters().count(Count::Panics), 0);
        gate.open();
        for request in busy {
            assert_eq!(agent.answer(request).status, 200);
        }
        assert_eq!(agent.get("/again").text(), "/again");
        assert_eq!(gate.arrived(), 3);
    }

    fn a_503_for_a_request_with_a_body_keeps_the_framing(way) {
        let gate = Gate::default();
        let server = way.serve(|limits| limits.max_inflight = Some(1), waits(&gate));
        let mut agent = way.agent(&server);
        let busy = agent.ask("/");
        gate.until_arrived(1);
        let other = agent.post("/", b"hello");
        assert_eq!(agent.answer(other).status, 503);
        gate.open();
        assert_eq!(agent.answer(busy).status, 200);
        assert_eq!(agent.get("/again").text(), "/again");
    }

    fn what_was_refused_gives_its_place_back(way) {
        let gate = Gate::default();
        let server = way.serve(|limits| limits.max_inflight = Some(1), reads(&gate));
        let mut agent = way.agent(&server);
        let busy = agent.ask("/hold");
        gate.until_arrived(1);
        // More than streams may be open at once, half of them with a body that comes before its answer is read.
        for round in 0..150 {
            let refused = match round % 2 {
                0 => agent.ask("/"),
                _ => agent.post("/", &[1; 100]),
            };
            assert_eq!(agent.answer(refused).status, 503, "{round}");
        }
        server.until_hits(Trip::MaxInflight, 150);
        gate.open();
        assert_eq!(agent.answer(busy).status, 200);
        // Nobody else has the place now, and each gives it back.
        for _ in 0..3 {
            let next = agent.post("/", b"abc");
            assert_eq!(agent.answer(next).text(), "3 294");
        }
    }

    fn the_place_of_one_that_gave_up_is_anothers(way) {
        let gate = Gate::default();
        let server = way.serve(|limits| limits.max_inflight = Some(1), waits(&gate));
        let mut agent = way.agent(&server);
        let busy = agent.ask("/");
        gate.until_arrived(1);
        let refused = agent.ask("/");
        assert_eq!(agent.answer(refused).status, 503);
        agent.give_up(busy);
        gate.open();
        // On HTTP/1.1 the reset is on a connection of its own.
        crate::server::until(|| server.counters().open() == 1, || "one is left".to_owned());
        assert_eq!(agent.get("/next").text(), "/next");
    }
}

in_both_versions! {
    fn requests_may_wait_for_their_turn_and_get_it_in_order(way) {
        let gate = Gate::default();
        let change = |limits: &mut Limits| {
            limits.max_inflight = Some(1);
            limits.queue_timeout = Some(Duration::from_secs(30));
        };
        let server = way.serve(change, waits(&gate));
        let mut agent = way.agent(&server);
        let mut asked = Vec::new();
        for number in 0..5 {
            asked.push(agent.ask(&format!("/{number}")));
            server.until("received", |counters| counters.count(Count::Requests) == number + 1);
        }
        assert_eq!(gate.arrived(), 1);
        // One that gives up leaves the queue.
        agent.give_up(asked.remove(2));
        match way.is_http1() {
            true => server.until_open(4),
            false => agent.streams().settle(),
        }
        gate.open();
        for (request, path) in asked.into_iter().zip(["/0", "/1", "/3", "/4"]) {
            assert_eq!(agent.answer(request).text(), path);
        }
        assert_eq!(gate.arrived(), 4);
    }

    fn a_body_that_comes_while_its_request_waits_for_its_turn_is_there_in_the_end(way) {
        let gate = Gate::default();
        let change = |limits: &mut Limits| {
            limits.max_inflight = Some(1);
            limits.queue_timeout = Some(Duration::from_secs(30));
        };
        let server = way.serve(change, reads(&gate));
        let mut agent = way.agent(&server);
        let busy = agent.ask("/hold");
        gate.until_arrived(1);
        let whole = agent.post("/", &[2; 10_000]);
        let half = agent.begin("/", &[("content-length", "20")]);
        agent.put(half, &[3; 10]);
        server.until("received", |counters| counters.count(Count::Requests) == 3);
        assert!(agent.hears_nothing(whole) && agent.hears_nothing(half));
        gate.open();
        assert_eq!(agent.answer(busy).text(), "0 0");
        assert_eq!(agent.answer(whole).text(), "10000 20000");
        agent.put(half, &[3; 10]);
        agent.finish(half);
        assert_eq!(agent.answer(half).text(), "20 60");
    }

    fn a_request_that_waits_too_long_for_its_turn_is_answered_503(way) {
        let gate = Gate::default();
        let change = |limits: &mut Limits| {
            limits.max_inflight = Some(1);
            limits.queue_timeout = Some(Duration::from_millis(100));
        };
        let server = way.serve(change, waits(&gate));
        let mut agent = way.agent(&server);
        let first = agent.ask("/first");
        gate.until_arrived(1);
        let began = Instant::now();
        assert_eq!(agent.get("/second").status, 503);
        assert!(began.elapsed() >= Duration::from_millis(100));
        server.until_hits(Trip::QueueTimeout, 1);
        gate.open();
        assert_eq!(agent.answer(first).text(), "/first");
        assert_eq!(gate.arrived(), 1);
    }
}
