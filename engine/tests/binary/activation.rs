//! The program started by somebody who has bound its sockets already: systemd, whose place a shell takes here.

use crate::program::{Process, Serving};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// The program with these sockets as descriptors 3 and 4, the way systemd passes them. A shell moves them there from
/// where a process can be given any: input and output.
fn activated<const N: usize>(
    sockets: [OwnedFd; N],
    names: &str,
    settings: &[(&str, &str)],
) -> Serving {
    let moved = match N {
        1 => "3<&0 </dev/null",
        2 => "3<&0 4<&1 </dev/null >/dev/null",
        _ => panic!("a process has no more places to pass them in"),
    };
    let script = format!("export LISTEN_PID=$$; exec \"$0\" {moved}");
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", &script, env!("CARGO_BIN_EXE_lanner")])
        .env_clear()
        .env("LISTEN_FDS", N.to_string())
        .env("LISTEN_FDNAMES", names)
        .envs(settings.iter().copied());
    let mut sockets = sockets.into_iter();
    let mut next = || sockets.next().map_or_else(Stdio::null, Stdio::from);
    shell.stdin(next()).stdout(next());
    Serving::launch(&mut shell)
}

/// Listening sockets over which the kernel spreads the connections to one address, and that address.
fn reuse_port_set() -> ([OwnedFd; 2], SocketAddr) {
    let first = reuse_port(([127, 0, 0, 1], 0).into());
    let address = first.local_addr().unwrap();
    let second = reuse_port(address);
    ([first.into(), second.into()], address)
}

fn reuse_port(address: SocketAddr) -> TcpListener {
    let kind = socket2::Type::STREAM.cloexec();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, kind, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(256).unwrap();
    socket.into()
}

fn ask(address: SocketAddr) -> TcpStream {
    let mut connection = TcpStream::connect(address).unwrap();
    connection
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    connection.write_all(REQUEST).unwrap();
    connection
}

fn answer(mut connection: TcpStream) -> String {
    let mut text = String::new();
    connection.read_to_string(&mut text).unwrap();
    text
}

/// Stops the program, and gives what it said about where it listened.
fn ended_well(process: Process) -> (Vec<String>, String) {
    let (status, said) = process.stop();
    assert_eq!(status.code(), Some(0), "{said}");
    let listened = said
        .lines()
        .filter_map(|line| Some(line.split_once("listening on ")?.1.to_owned()));
    (listened.collect(), said)
}

#[test]
fn a_socket_of_systemds_is_served_by_number_and_by_name() {
    for listen in ["fd:3", "systemd:web"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // It waits in the queue from before the server began.
        let early = ask(listener.local_addr().unwrap());
        let serving = activated([listener.into()], "web", &[("LANNER_LISTEN", listen)]);
        let text = answer(early);
        assert!(text.ends_with("Hello, World!"), "{listen}: {text}");
        ended_well(serving.process);
    }
}

#[test]
fn a_set_of_sockets_is_one_address_and_loses_nobody() {
    let by_name = [("LANNER_LISTEN", "systemd:web"), ("LANNER_WORKERS", "2")];
    let unasked = [("LANNER_WORKERS", "2")];
    let shared = [("LANNER_WORKERS", "3")];
    for settings in [&by_name[..], &unasked, &shared] {
        let (sockets, address) = reuse_port_set();
        // Half of them wait from before the server began, in both queues.
        let mut connections: Vec<TcpStream> = (0..50).map(|_| ask(address)).collect();
        let serving = activated(sockets, "web:web", settings);
        assert_eq!(serving.address, address);
        connections.extend((0..50).map(|_| ask(address)));
        for connection in connections {
            let text = answer(connection);
            assert!(text.ends_with("Hello, World!"), "{settings:?}: {text}");
        }
        let (listened, said) = ended_well(serving.process);
        assert_eq!(listened, [format!("http://{address}")], "{settings:?}");
        assert!(
            said.contains("stopped after 100 requests on 100 connections; none was cut"),
            "{settings:?}: {said}"
        );
    }
}

#[test]
fn a_number_of_sockets_that_is_none_is_an_error_that_names_the_variable() {
    for listen in [None, Some("systemd:web")] {
        let script = "export LISTEN_PID=$$; exec \"$0\"";
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", script, env!("CARGO_BIN_EXE_lanner")])
            .env_clear()
            .env("LISTEN_FDS", "abc")
            .envs(listen.map(|listen| ("LANNER_LISTEN", listen)));
        let (status, said) = Process::start(&mut shell).end();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(
            said.contains("LISTEN_FDS=abc is not a number of sockets"),
            "{said}"
        );
        assert!(!said.contains("listening on"), "{said}");
    }
}
