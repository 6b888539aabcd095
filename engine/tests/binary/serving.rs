//! A server's life as a process: what it says at its start, where it listens, how signals end it, and that neither a
//! closed log nor a client that runs away does.

use crate::program::{Directory, Process, Serving, lanner};
use rustix::process::Signal;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

#[test]
fn start_up_says_version_workers_driver_caps_and_every_address() {
    let mut command = lanner(
        &[],
        &[
            ("LANNER_WORKERS", "2"),
            ("LANNER_DRIVER", "epoll"),
            ("LANNER_MAX_CONNECTIONS", "77"),
        ],
    );
    command.env("LANNER_LISTEN", "http://127.0.0.1:0,http://127.0.0.1:0");
    let server = Serving::launch(&mut command);
    let (status, said) = server.process.stop();
    assert!(status.success(), "{said}");
    for part in [
        concat!("lanner ", env!("CARGO_PKG_VERSION")),
        "2 workers",
        "driver epoll: asked for",
        "connections 77,",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let addresses: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split_once("listening on "))
        .map(|found| found.1)
        .collect();
    assert_eq!(addresses.len(), 2, "{said}");
    assert!(
        addresses[0] != addresses[1] && addresses.iter().all(|address| !address.ends_with(":0")),
        "{said}"
    );
}

#[test]
fn a_request_that_was_begun_is_finished_after_the_first_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Serving::start(&[], &[]);
        let mut connection = half_an_echo(&server);
        server.process.signal(signal);
        server.process.line_with("stopping");
        connection.write_all(b"cd").unwrap();
        let mut rest = String::new();
        connection.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "cd");
        let (status, said) = server.process.end();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(
            said.contains("stopped after 1 requests on 1 connections; none was cut"),
            "{said}"
        );
    }
}

#[test]
fn a_second_signal_ends_at_once_and_says_who_was_cut() {
    let mut server = Serving::start(&[], &[]);
    let mut connection = half_an_echo(&server);
    server.process.signal(Signal::TERM);
    server.process.line_with("stopping");
    server.process.signal(Signal::INT);
    let (status, said) = server.process.end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("cut before their end: 1"), "{said}");
    let mut rest = Vec::new();
    let _ = connection.read_to_end(&mut rest);
    assert!(rest.is_empty());
}

#[test]
fn what_is_not_finished_in_the_shutdown_timeout_is_cut() {
    let server = Serving::start(&[], &[("LANNER_SHUTDOWN_TIMEOUT", "300ms")]);
    let _connection = half_an_echo(&server);
    let (status, said) = server.process.stop();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("cut before their end: 1"), "{said}");
}

/// A connection on which half of a body of four bytes was sent, and came back.
fn half_an_echo(server: &Serving) -> TcpStream {
    let mut connection = server.connect();
    connection
        .write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
        .unwrap();
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with("\r\n\r\nab") {
        connection.read_exact(&mut byte).unwrap();
        text.push(char::from(byte[0]));
    }
    connection
}

#[test]
fn an_idle_connection_does_not_hold_the_stop_up() {
    let server = Serving::start(&[], &[]);
    let mut connection = server.connect();
    connection
        .write_all(b"HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut head = [0; 15];
    connection.read_exact(&mut head).unwrap();
    let (status, said) = server.process.stop();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("none was cut"), "{said}");
}

#[test]
fn a_log_that_nobody_reads_any_more_does_not_end_the_server() {
    let mut server = Serving::start(&["--log", "debug"], &[]);
    server.process.stop_listening();
    for _ in 0..20 {
        assert_eq!(server.request("GET", "/hello").body, "Hello, World!");
    }
    server.process.signal(Signal::TERM);
    let (status, _) = server.process.end();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_client_that_runs_away_from_its_answer_does_not_end_the_server() {
    let server = Serving::start(&[], &[]);
    for _ in 0..20 {
        let mut connection = server.connect();
        connection
            .write_all(b"GET /bytes/100000000 HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        connection.read_exact(&mut [0; 64]).unwrap();
    }
    assert_eq!(server.request("GET", "/hello").body, "Hello, World!");
    assert_eq!(server.process.stop().0.code(), Some(0));
}

#[test]
fn the_access_log_is_one_line_a_request_on_standard_output() {
    let mut command = lanner(
        &[],
        &[
            ("LANNER_LOG_ACCESS", "combined"),
            ("LANNER_LISTEN", "http://127.0.0.1:0"),
        ],
    );
    let mut server = Serving::launch(command.stdout(Stdio::piped()));
    let mut log = BufReader::new(server.process.stdout());
    server.request("GET", "/hello");
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    assert!(line.contains("] \"GET /hello HTTP/1.1\" 200 13 "), "{line}");
    // Nobody reads it any more: lines are lost, requests are not.
    drop(log);
    for _ in 0..20 {
        assert_eq!(server.request("GET", "/hello").status(), 200);
    }
    assert_eq!(server.process.stop().0.code(), Some(0));
}

#[test]
fn a_unix_socket_has_its_mode_and_goes_with_the_server() {
    let directory = Directory::new();
    let path = directory.0.join("lanner.sock");
    let listen = format!("listen=unix:{}?mode=0600", path.display());
    // A socket that a server left behind when it was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    // A process that another test is just starting has a copy until it runs its program.
    while UnixStream::connect(&path).is_ok() {}
    let mut process = Process::start(&mut lanner(&["--set", &listen], &[]));
    process.line_with("listening on unix:");
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let mut connection = UnixStream::connect(&path).unwrap();
    connection
        .write_all(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    connection.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("Hello, World!"), "{text}");
    assert_eq!(process.stop().0.code(), Some(0));
    assert!(!path.exists());
}
