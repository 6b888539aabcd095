//! Connections that an app opens from its worker.

use crate::server::{PATIENCE, serve};
use lanner::{Count, Request, Response};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::mpsc::channel;

/// Where the request says to connect to.
fn peer(request: &Request) -> SocketAddr {
    request.query().unwrap().parse().unwrap()
}

on_every_driver! {
    fn an_app_asks_another_server_and_itself(on) {
        let server = serve(on, |_| {}, |request: Request| async move {
            if request.path() == "/inner" {
                return Ok(Response::text("from within"));
            }
            let local = request.connection().local.unwrap();
            let mut connection = lanner::connect(local).await?;
            assert_eq!(connection.peer()?, local);
            connection
                .write_all(b"GET /inner HTTP/1.1\r\nhost: self\r\nconnection: close\r\n\r\n")
                .await?;
            let (mut answer, mut buffer) = (Vec::new(), [0; 100]);
            loop {
                match connection.read(&mut buffer).await? {
                    0 => break,
                    count => answer.extend_from_slice(&buffer[..count]),
                }
            }
            assert!(answer.starts_with(b"HTTP/1.1 200 "));
            Ok(Response::text(answer[answer.len() - 11..].to_vec()))
        });
        let mut client = server.connect();
        for _ in 0..5 {
            assert_eq!(client.get("/").text(), "from within");
        }
    }

    fn a_refused_connection_is_an_error(on) {
        let server = serve(on, |_| {}, |request: Request| async move {
            let error = lanner::connect(peer(&request)).await.unwrap_err();
            Ok(Response::text(format!("{:?}", error.kind())))
        });
        // A port that was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut client = server.connect();
        for _ in 0..3 {
            assert_eq!(client.get(&format!("/?{free}")).text(), "ConnectionRefused");
        }
    }

    fn megabytes_go_both_ways_at_once(on) {
        let echo = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = echo.local_addr().unwrap();
        let echoing = std::thread::spawn(move || {
            let (mut stream, _) = echo.accept().unwrap();
            let mut buffer = vec![0; 10_000];
            loop {
                match stream.read(&mut buffer).unwrap() {
                    0 => break,
                    count => stream.write_all(&buffer[..count]).unwrap(),
                }
            }
        });
        let server = serve(on, |_| {}, |request: Request| async move {
            let mut connection = lanner::connect(peer(&request)).await?;
            let whole: Vec<u8> = (0..100_000u32).map(|i| (i % 241) as u8).collect();
            let mut back = vec![0; whole.len()];
            for _ in 0..50 {
                // As much as the other end can hold while nobody reads.
                connection.write_all(&whole).await?;
                let mut at = 0;
                while at < back.len() {
                    let count = connection.read(&mut back[at..]).await?;
                    assert!(count > 0);
                    at += count;
                }
                assert!(back == whole);
            }
            connection.finish()?;
            assert_eq!(connection.read(&mut back).await?, 0);
            Ok(Response::text("the same"))
        });
        assert_eq!(server.connect().get(&format!("/?{address}")).text(), "the same");
        echoing.join().unwrap();
    }

    fn a_peer_that_resets_is_an_error(on) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = serve(on, |_| {}, |request: Request| async move {
            let mut connection = lanner::connect(peer(&request)).await?;
            connection.write_all(b"x").await?;
            let outcome = connection.read(&mut [0; 10]).await;
            Ok(Response::text(format!("{:?}", outcome.unwrap_err().kind())))
        });
        let mut client = server.connect();
        client.ask(&format!("/?{address}"));
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0]).unwrap();
        socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(stream);
        assert_eq!(client.answer().text(), "ConnectionReset");
    }

    fn an_outgoing_connection_ends_with_the_exchange_that_opened_it(on) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, connected) = channel();
        let server = serve(on, |_| {}, move |request: Request| {
            let sender = sender.clone();
            async move {
                let mut connection = lanner::connect(peer(&request)).await?;
                sender.send(()).unwrap();
                connection.read(&mut [0; 10]).await?;
                Ok(Response::text("never"))
            }
        });
        for round in 1..=3 {
            let mut client = server.connect();
            client.ask(&format!("/?{address}"));
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            connected.recv_timeout(PATIENCE).unwrap();
            assert_eq!(server.counters().count(Count::Requests), round);
            client.reset();
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
