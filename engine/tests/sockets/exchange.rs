//! Requests and answers that follow one another on a connection.

use crate::app::{self, Gate};
use crate::client::Client;
use crate::server::serve;
use lanner::{Count, EndReason, Request, Response};

on_every_driver! {
    fn a_connection_serves_one_request_after_another(on) {
        let server = serve(on, |_| {}, app::hello);
        let mut client = server.connect();
        for _ in 0..3 {
            let answer = client.get("/");
            assert_eq!((answer.status, answer.text()), (200, "Hello, World!"));
            assert_eq!(answer.field("content-type"), Some("text/plain; charset=utf-8"));
            assert_eq!(answer.field("connection"), None);
            assert!(answer.field("date").is_some());
        }
        let counters = server.counters();
        assert_eq!((counters.count(Count::Accepted), counters.count(Count::Requests)), (1, 3));
        drop(client);
        server.until("the client's close is no fault", |counters| {
            counters.ended(EndReason::PeerClosed) == 1
        });
    }

    fn fifty_pipelined_requests_are_answered_in_order(on) {
        let server = serve(on, |_| {}, app::target);
        let mut client = server.connect();
        let requests: String = (0..50)
            .map(|number| format!("GET /{number} HTTP/1.1\r\nhost: test\r\n\r\n"))
            .collect();
        client.send(requests);
        for number in 0..50 {
            assert_eq!(client.answer().text(), format!("/{number}"));
        }
        assert_eq!(server.counters().count(Count::Requests), 50);
    }

    fn pipelined_requests_wait_for_a_slow_one_before_them(on) {
        let gate = Gate::default();
        let waiting = gate.clone();
        let server = serve(on, |_| {}, move |request: Request| {
            let gate = waiting.clone();
            async move {
                if request.path() == "/slow" {
                    gate.pass().await;
                }
                Ok(Response::text(request.target().to_owned()))
            }
        });
        let mut client = server.connect();
        client.ask("/slow").ask("/1").ask("/2");
        gate.until_arrived(1);
        // Another connection is served meanwhile.
        assert_eq!(server.connect().get("/other").text(), "/other");
        assert!(client.hears_nothing());
        gate.open();
        for expected in ["/slow", "/1", "/2"] {
            assert_eq!(client.answer().text(), expected);
        }
    }

    fn a_megabyte_of_pipelined_requests_is_answered_whole(on) {
        let server = serve(on, |_| {}, app::target);
        let client = server.connect();
        let mut writer = Client::over(client.stream.try_clone().unwrap());
        let count = 20_000;
        let sender = std::thread::spawn(move || {
            let mut requests = String::new();
            for number in 0..count {
                requests += &format!("GET /{number} HTTP/1.1\r\nhost: a-somewhat-long.name.test\r\n\r\n");
            }
            writer.send(requests);
        });
        let mut client = client;
        for number in 0..count {
            assert_eq!(client.answer().text(), format!("/{number}"));
        }
        sender.join().unwrap();
    }

    fn a_request_that_comes_byte_by_byte_is_served(on) {
        let server = serve(on, |_| {}, app::sum);
        let mut client = server.connect();
        let request = "POST /sum HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        for byte in request.bytes() {
            client.send([byte]);
        }
        assert_eq!(client.answer().text(), "3 294");
    }

    fn http10_closes_unless_it_asks_otherwise(on) {
        let server = serve(on, |_| {}, app::hello);
        let mut client = server.connect();
        let answer = client.send("GET / HTTP/1.0\r\n\r\n").answer();
        assert!(answer.closes());
        assert_eq!(answer.text(), "Hello, World!");
        client.expect_end();

        let mut client = server.connect();
        for _ in 0..2 {
            let answer = client.send("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").answer();
            assert_eq!(answer.field("connection"), Some("keep-alive"));
        }
    }

    fn a_body_of_unknown_length_ends_with_the_connection_in_http10(on) {
        let server = serve(on, |_| {}, app::echo);
        let mut client = server.connect();
        client.send("POST / HTTP/1.0\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello");
        let answer = client.answer();
        assert!(answer.closes() && answer.field("transfer-encoding").is_none());
        assert_eq!(answer.text(), "hello");
        client.expect_end();
    }

    fn a_client_that_asks_for_the_close_gets_it(on) {
        let server = serve(on, |_| {}, app::hello);
        let mut client = server.connect();
        client.send("GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        assert!(client.answer().closes());
        client.expect_end();
        server.until("announced", |counters| counters.ended(EndReason::Announced) == 1);
    }

    fn a_client_that_ends_its_side_still_gets_its_answers(on) {
        let gate = Gate::default();
        let waiting = gate.clone();
        let server = serve(on, |_| {}, move |request: Request| {
            let gate = waiting.clone();
            async move {
                gate.pass().await;
                Ok(Response::text(request.target().to_owned()))
            }
        });
        let mut client = server.connect();
        client.ask("/first").ask("/second").finish();
        gate.until_arrived(1);
        gate.open();
        assert_eq!(client.answer().text(), "/first");
        assert_eq!(client.answer().text(), "/second");
        client.expect_end();
    }

    fn the_app_sees_the_request_as_sent(on) {
        let server = serve(on, |_| {}, |request: Request| async move {
            assert_eq!(request.method_text(), "PURGE");
            assert_eq!(request.target(), "/a/./b/../c%20d?q=1&r");
            assert_eq!((request.path(), request.query()), ("/a/c%20d", Some("q=1&r")));
            assert_eq!(request.host(), "example.test:81");
            assert_eq!(request.field_str("x-one"), Some("1"));
            assert_eq!(request.field("X-TWO"), Some(&b"\xe9"[..]));
            assert_eq!(request.fields().count(), 4);
            assert_eq!(request.fields_named("X-one").collect::<Vec<_>>(), [&b"1"[..], b"2"]);
            // Views live across awaits.
            let host = request.host();
            lanner::sleep(std::time::Duration::from_millis(1)).await;
            Ok(Response::text(host.to_owned()))
        });
        let mut client = server.connect();
        client.send(b"PURGE /a/./b/../c%20d?q=1&r HTTP/1.1\r\nHost: example.test:81\r\nX-One: 1\r\nx-one: 2\r\nX-Two:\t\xe9 \r\n\r\n");
        assert_eq!(client.answer().text(), "example.test:81");
    }
}
