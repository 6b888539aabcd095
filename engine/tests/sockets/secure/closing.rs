//! How connections with TLS end: both sides say so, and what is no TLS is told so.

use super::party;
use crate::app::{self, Gate};
use crate::client::{Client, End};
use crate::server::until;
use lanner::{EndReason, Error, Request, Response};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

on_every_driver! {
    fn the_last_answer_is_followed_by_a_close_that_says_so(driver) {
        let server = party::serve(driver, |_| {}, app::hello);
        let mut client = party::connect(server.address());
        client.send("GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n");
        assert!(client.answer().closes());
        // Without close_notify this would be an error.
        client.expect_end();
        drop(client);
        server.until_open(0);
        assert_eq!(server.counters().ended(EndReason::Announced), 1);
    }

    fn a_client_that_says_no_more_comes_still_gets_its_answer(driver) {
        let gate = Gate::default();
        let app = {
            let gate = gate.clone();
            move |_request: Request| {
                let gate = gate.clone();
                async move {
                    gate.pass().await;
                    Ok::<_, Error>(Response::text("late"))
                }
            }
        };
        let server = party::serve(driver, |_| {}, app);
        let mut client = party::connect(server.address());
        client.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n");
        client.stream.conn.send_close_notify();
        client.stream.flush().unwrap();
        gate.until_arrived(1);
        gate.open();
        assert_eq!(client.answer().text(), "late");
        client.expect_end();
    }

    fn a_whole_request_before_a_bare_end_of_the_stream_is_answered(driver) {
        let server = party::serve(driver, |_| {}, app::hello);
        let mut client = party::connect(server.address());
        client.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n");
        client.stream.sock.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.answer().status, 200);
        client.expect_end();
    }

    fn a_body_that_a_bare_end_of_the_stream_cuts_is_no_whole_body(driver) {
        let server = party::serve(driver, |_| {}, app::sum);
        let mut client = party::connect(server.address());
        client.send("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 10\r\n\r\nhalf");
        client.stream.sock.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.answer().status, 400);
        drop(client);
        server.until_open(0);
        assert_eq!(server.counters().ended(EndReason::UnexpectedEndOfRequestContent), 1);
    }

    fn plain_http_is_told_that_this_port_speaks_https(driver) {
        let server = party::serve(driver, |_| {}, app::hello);
        let mut client = Client::connect(server.address());
        let answer = client.get("/");
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("HTTPS"), "{}", answer.text());
        assert!(answer.closes());
        client.expect_end();
        drop(client);
        server.until_open(0);
        assert_eq!(server.counters().ended(EndReason::TlsHandshakeFailed), 1);
    }

    fn nonsense_is_answered_with_an_alert(driver) {
        let server = party::serve(driver, |_| {}, app::hello);
        let mut client = Client::connect(server.address());
        // A handshake that does not begin with a ClientHello.
        client.send([22, 3, 1, 0, 4, 20, 0, 0, 0]);
        let (alert, end) = client.rest();
        assert_eq!((alert.first(), end), (Some(&21), End::Closed), "{alert:?}");
        drop(client);
        server.until_open(0);
        assert_eq!(server.counters().ended(EndReason::TlsHandshakeFailed), 1);
    }

    fn a_record_that_was_tampered_with_ends_the_connection(driver) {
        let server = party::serve(driver, |_| {}, app::hello);
        let mut client = party::shaken(server.address());
        client.stream.sock.write_all(&[23, 3, 3, 0, 40]).unwrap();
        client.stream.sock.write_all(&[7; 40]).unwrap();
        let mut rest = Vec::new();
        let error = client.stream.read_to_end(&mut rest).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        drop(client);
        server.until_open(0);
        assert_eq!(server.counters().ended(EndReason::ConnectionReset), 1);
    }

    fn a_stop_waits_for_a_handshake_and_the_request_behind_it(driver) {
        let mut server = party::serve(driver, |_| {}, app::hello);
        let address = server.address();
        let mut client = party::connect(address);
        client.stream.conn.write_tls(&mut client.stream.sock).unwrap();
        server.until_open(1);
        // Something has come back, so the handshake is under way.
        client.stream.sock.peek(&mut [0]).unwrap();
        server.handle().stop();
        until(
            || TcpStream::connect(address).is_err(),
            || "nobody else is let in".to_owned(),
        );
        let answer = client.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").answer();
        assert_eq!(answer.status, 200);
        assert!(answer.closes());
        client.expect_end();
        drop(client);
        server.join();
    }
}
