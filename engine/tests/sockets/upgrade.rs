//! Connections that leave HTTP behind.

use crate::app::Gate;
use crate::client::End;
use crate::server::serve;
use lanner::{App, BodyError, EndReason, Request, Response, Trip};
use std::sync::mpsc::channel;

const UPGRADE: &str =
    "GET /chat HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: shout, other\r\n\r\n";

/// Sends back what comes, in capitals, until it hears a full stop.
fn shout() -> impl App + Clone + Send + Sync {
    |request: Request| async move {
        if !request.offers_upgrade("shout") {
            return Ok(Response::text("no"));
        }
        Ok(Response::upgrade("shout", |mut stream| async move {
            while let Some(Ok(bytes)) = stream.read().await {
                if stream.write(bytes.to_ascii_uppercase()).await.is_err() || bytes.contains(&b'.')
                {
                    return;
                }
            }
        }))
    }
}

on_every_driver! {
    fn bytes_go_both_ways_after_the_101(on) {
        let server = serve(on, |_| {}, shout());
        let mut client = server.connect();
        // HTTP first.
        assert_eq!(client.get("/").text(), "no");
        let head = client.send(UPGRADE).head();
        assert_eq!((head.status, head.field("upgrade")), (101, Some("shout")));
        assert_eq!(head.field("connection"), Some("upgrade"));
        for word in ["one", "two", "three"] {
            client.send(word);
            assert_eq!(client.take(word.len()), word.to_uppercase().into_bytes());
        }
        client.send("end.");
        assert_eq!(client.take(4), b"END.");
        client.expect_end();
        drop(client);
        server.until("the reason", |counters| counters.ended(EndReason::UpgradeFinished) == 1);
    }

    fn bytes_sent_along_with_the_offer_wait_for_the_101(on) {
        let gate = Gate::default();
        let waiting = gate.clone();
        let (sender, read) = channel();
        let server = serve(on, |_| {}, move |request: Request| {
            let (gate, sender) = (waiting.clone(), sender.clone());
            async move {
                assert!(request.offers_upgrade("shout"));
                gate.pass().await;
                Ok(Response::upgrade("shout", move |mut stream| async move {
                    while let Some(Ok(bytes)) = stream.read().await {
                        sender.send(bytes.to_vec()).unwrap();
                    }
                }))
            }
        });
        let mut client = server.connect();
        // Bytes that look like a request, of which an intermediary might think so too.
        client.send(UPGRADE).send("GET /smuggled HTTP/1.1\r\nhost: test\r\n\r\n");
        gate.until_arrived(1);
        assert!(client.hears_nothing() && read.try_recv().is_err());
        gate.open();
        assert_eq!(client.head().status, 101);
        client.send("more").finish();
        client.expect_end();
        drop(server);
        let whole: Vec<u8> = read.iter().flatten().collect();
        assert_eq!(whole, b"GET /smuggled HTTP/1.1\r\nhost: test\r\n\r\nmore");
    }

    fn an_upgrade_that_is_not_taken_is_an_ordinary_request(on) {
        let server = serve(on, |_| {}, crate::app::hello);
        let mut client = server.connect();
        client.send(UPGRADE).ask("/next");
        assert_eq!(client.answer().text(), "Hello, World!");
        assert_eq!(client.answer().text(), "Hello, World!");
    }

    fn an_upgrade_that_was_not_offered_is_a_500(on) {
        let server = serve(on, |_| {}, |_: Request| async {
            Ok(Response::upgrade("shout", |_| async {}))
        });
        let mut client = server.connect();
        assert_eq!(client.get("/").status, 500);
        let mut client = server.connect();
        client.send("GET / HTTP/1.0\r\nconnection: upgrade\r\nupgrade: shout\r\n\r\n");
        assert_eq!(client.answer().status, 500);
        server.until("nothing is counted as upgraded", |counters| {
            counters.hits(Trip::MaxUpgradedConnections) == 0
        });
    }

    fn upgraded_connections_have_a_cap_of_their_own(on) {
        let change = |limits: &mut lanner::Limits| {
            limits.max_upgraded_connections = Some(1);
            limits.max_connections = 2;
            limits.idle_shed_at = 100;
        };
        let server = serve(on, change, shout());
        let mut first = server.connect();
        assert_eq!(first.send(UPGRADE).head().status, 101);
        let mut second = server.connect();
        let answer = second.send(UPGRADE).answer();
        assert_eq!((answer.status, answer.closes()), (503, true));
        second.expect_end();
        drop(second);
        server.until_open(1);
        server.until_hits(Trip::MaxUpgradedConnections, 1);
        // The first one has left the other count: there is room for two.
        let (mut third, mut fourth) = (server.connect(), server.connect());
        assert_eq!((third.get("/").status, fourth.get("/").status), (200, 200));
        // When it ends its place is free.
        first.send(".");
        first.take(1);
        drop(first);
        drop(fourth);
        server.until_open(1);
        assert_eq!(third.send(UPGRADE).head().status, 101);
    }

    fn a_writer_waits_for_a_slow_reader(on) {
        let server = serve(on, |_| {}, |_: Request| async {
            Ok(Response::upgrade("shout", |mut stream| async move {
                for number in 0..2_000u32 {
                    let block = vec![(number % 256) as u8; 10_000];
                    stream.write(block).await.unwrap();
                }
            }))
        });
        let mut client = server.connect();
        assert_eq!(client.send(UPGRADE).head().status, 101);
        let (rest, end) = client.rest();
        assert_eq!((rest.len(), end), (20_000_000, End::Closed));
        assert!(rest.chunks(10_000).zip(0u32..).all(|(block, number)| block.iter().all(|byte| *byte == (number % 256) as u8)));
    }

    fn a_reset_is_told_to_the_handler(on) {
        let (sender, told) = channel();
        let gate = Gate::default();
        let waiting = gate.clone();
        let server = serve(on, |_| {}, move |_: Request| {
            let (sender, gate) = (sender.clone(), waiting.clone());
            async move {
                Ok(Response::upgrade("shout", move |mut stream| async move {
                    // A task of its own outlives the handler, which is dropped.
                    lanner::spawn_local(async move {
                        gate.pass().await;
                        let outcome = stream.read().await.map(|read| read.map(|_| ()));
                        sender.send((outcome, stream.write("x").await)).unwrap();
                    })
                    .await
                    .unwrap();
                }))
            }
        });
        let mut client = server.connect();
        assert_eq!(client.send(UPGRADE).head().status, 101);
        gate.until_arrived(1);
        client.reset();
        server.until_open(0);
        gate.open();
        let (read, write) = told.recv_timeout(crate::server::PATIENCE).unwrap();
        assert_eq!(read, Some(Err(BodyError::Aborted)));
        assert_eq!(write, Err(BodyError::Aborted));
    }
}
