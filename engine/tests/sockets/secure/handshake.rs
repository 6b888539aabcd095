//! Handshakes cut in pieces, and those that do not go on.

use super::party::{self, Shake};
use crate::app;
use crate::client::Client;
use lanner::{EndReason, Trip};
use std::io::Write as _;
use std::time::Duration;

on_every_driver! {
    fn a_handshake_may_be_cut_anywhere(driver) {
        let server = party::serve(driver, |_| {}, app::hello);
        let hello = party::hello(party::config(), party::NAME);
        // Every place in the first record's header, then some.
        for cut in (1..12).chain((12..hello.len()).step_by(hello.len() / 6)) {
            let mut client = party::connect(server.address());
            let mut hello = Vec::new();
            client.stream.conn.write_tls(&mut hello).unwrap();
            for part in [&hello[..cut], &hello[cut..]] {
                client.stream.sock.write_all(part).unwrap();
            }
            client.shake();
            assert_eq!(client.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").answer().status, 200);
        }
    }

    fn a_handshake_that_does_not_begin_or_end_is_cut(driver) {
        let server = party::serve(
            driver,
            |limits| limits.tls_handshake_timeout = Duration::from_millis(80),
            app::hello,
        );
        let mut silent = Client::connect(server.address());
        silent.expect_end();
        let mut half = Client::connect(server.address());
        half.send(&party::hello(party::config(), party::NAME)[..50]).expect_end();
        let mut whole = Client::connect(server.address());
        whole.send(party::hello(party::config(), party::NAME));
        let (answer, _) = whole.rest();
        assert!(answer.len() > 500, "{}", answer.len());
        server.until_hits(Trip::TlsHandshakeTimeout, 3);
        server.until_open(0);
        assert_eq!(server.counters().ended(EndReason::TlsHandshakeFailed), 3);
    }

    fn after_the_handshake_the_first_request_may_take_its_time(driver) {
        let server = party::serve(
            driver,
            |limits| {
                limits.tls_handshake_timeout = Duration::from_secs(5);
                limits.first_byte_timeout = Duration::from_millis(20);
                limits.keepalive_timeout = Duration::from_millis(150);
            },
            app::hello,
        );
        let mut client = party::shaken(server.address());
        client.expect_end();
        server.until_hits(Trip::KeepaliveTimeout, 1);
        assert_eq!(server.counters().hits(Trip::FirstByteTimeout), 0);
    }

    fn a_hello_without_end_is_cut(driver) {
        let server = party::serve(
            driver,
            |limits| limits.tls_max_handshake_bytes = 16 * 1024,
            app::hello,
        );
        let mut client = Client::connect(server.address());
        // The message says that it has 65,000 bytes.
        let mut record = vec![22, 3, 1, 0x20, 0, 1, 0, 0xfd, 0xe8];
        record.resize(5 + 0x2000, 0);
        client.send_what_fits(&[record.clone(), record].concat());
        client.send_what_fits(&[22, 3, 1, 0x20, 0, 0]);
        let _ = client.rest();
        server.until_hits(Trip::TlsHandshakeBytes, 1);
    }

    fn a_client_that_goes_away_in_the_middle_is_no_success(driver) {
        let server = party::serve(driver, |_| {}, app::hello);
        let mut client = Client::connect(server.address());
        client.send(party::hello(party::config(), party::NAME));
        client.take(1);
        client.finish();
        let _ = client.rest();
        drop(client);
        server.until_open(0);
        assert_eq!(server.counters().ended(EndReason::TlsHandshakeFailed), 1);
        // One that never said anything only looked whether somebody is there.
        let client = Client::connect(server.address());
        client.finish();
        drop(client);
        server.until("it ended", |counters| counters.ended(EndReason::PeerClosed) == 1);
    }
}
