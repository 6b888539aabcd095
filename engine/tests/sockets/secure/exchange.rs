//! Requests and answers over TLS: one after the other, many at once, large ones, slow clients.

use super::party::{self, Tls};
use crate::app;
use crate::client::Client;
use lanner::{ContentType, Error, Request, Response};
use std::io::{Read, Write};
use std::net::TcpStream;

const LARGE_BYTES: usize = 5_000_000;

fn large() -> Vec<u8> {
    (0..LARGE_BYTES).map(|at| (at % 251) as u8).collect()
}

async fn large_answer(_request: Request) -> Result<Response, Error> {
    Ok(Response::bytes(ContentType::TEXT, large()))
}

/// What the connection knows of its TLS.
async fn facts(request: Request) -> Result<Response, Error> {
    let connection = request.connection();
    let Some(tls) = &connection.tls else {
        return Ok(Response::text("none"));
    };
    Ok(Response::text(format!(
        "{} {:?} {} {:?} {:?} {}",
        connection.scheme(),
        tls.version(),
        tls.cipher(),
        tls.server_name(),
        tls.alpn(),
        tls.resumed(),
    )))
}

fn post(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Passes on what is written a byte at a time, and reads as little.
struct Bytewise(TcpStream);

impl Write for Bytewise {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl Read for Bytewise {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let end = bytes.len().min(1);
        self.0.read(&mut bytes[..end])
    }
}

fn get(client: &mut Client<Tls>, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: a.test\r\n\r\n");
    let answer = client.send(request).answer();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text().to_owned()
}

on_every_driver! {
    fn one_connection_serves_one_request_after_another(driver) {
        let server = party::serve(driver, |_| {}, app::target);
        let mut client = party::connect(server.address());
        for number in 0..100 {
            let path = format!("/{number}");
            assert_eq!(get(&mut client, &path), path);
        }
    }

    fn pipelined_requests_are_answered_in_order(driver) {
        let server = party::serve(driver, |_| {}, app::target);
        let mut client = party::connect(server.address());
        let ask = |number: usize| format!("GET /{number} HTTP/1.1\r\nhost: a.test\r\n\r\n");
        let all: String = (0..200).map(ask).collect();
        client.send(all);
        for number in 0..200 {
            assert_eq!(client.answer().text(), format!("/{number}"));
        }
    }

    fn large_bodies_go_both_ways(driver) {
        let server = party::serve(driver, |_| {}, app::sum);
        let mut client = party::connect(server.address());
        let body = large();
        let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
        for _ in 0..2 {
            let answer = client.send(post(&body)).answer();
            assert_eq!(answer.text(), format!("{LARGE_BYTES} {sum}"));
        }
        let server = party::serve(driver, |_| {}, large_answer);
        let mut client = party::connect(server.address());
        for _ in 0..2 {
            let answer = client.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").answer();
            assert!(answer.body == body, "{} bytes", answer.body.len());
        }
    }

    fn a_body_is_sent_back_while_it_comes(driver) {
        let server = party::serve(driver, |_| {}, app::echo);
        let mut client = party::connect(server.address());
        client.send("POST / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n");
        assert_eq!(client.head().status, 200);
        for number in 0..50 {
            let piece = format!("piece {number}");
            client.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
            assert_eq!(client.chunk().unwrap(), piece.as_bytes());
        }
        client.send("0\r\n\r\n");
        assert_eq!(client.chunk(), None);
    }

    fn a_slow_reader_gets_everything(driver) {
        let server = party::serve(driver, |_| {}, large_answer);
        let plain = Client::with_small_window(server.address());
        let mut client = party::secured(plain.stream, party::config(), party::NAME);
        client.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n");
        let head = client.head();
        assert_eq!(head.field("content-length"), Some(&*LARGE_BYTES.to_string()));
        let mut body = Vec::new();
        while body.len() < LARGE_BYTES {
            let count = (LARGE_BYTES - body.len()).min(50_000);
            body.extend(client.take(count));
        }
        assert!(body == large());
    }

    fn bytes_may_come_and_go_one_by_one(driver) {
        let server = party::serve(driver, |_| {}, app::target);
        let stream = Client::connect(server.address()).stream;
        let session = party::session(party::config(), party::NAME);
        let mut client = Client::over(rustls::StreamOwned::new(session, Bytewise(stream)));
        for path in ["/one", "/two"] {
            let request = format!("GET {path} HTTP/1.1\r\nhost: a.test\r\n\r\n");
            assert_eq!(client.send(request).answer().text(), path);
        }
    }

    fn the_app_knows_what_was_agreed_on_and_whether_the_client_came_back(driver) {
        let server = party::serve(driver, |_| {}, facts);
        let config = party::trusting(None);
        for resumed in [false, true] {
            let mut client = party::connect_as(server.address(), &config, party::NAME);
            assert_eq!(
                get(&mut client, "/"),
                format!(
                    "https Tls13 TLS_AES_128_GCM_SHA256 Some(\"a.test\") Some(Http11) {resumed}"
                )
            );
        }
    }

    fn an_absolute_target_may_say_https(driver) {
        let server = party::serve(driver, |_| {}, app::target);
        let mut client = party::connect(server.address());
        client.send("GET https://a.test/x HTTP/1.1\r\nhost: a.test\r\n\r\n");
        assert_eq!(client.answer().status, 200);
    }
}
