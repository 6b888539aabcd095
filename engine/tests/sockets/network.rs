//! The bound per address where clients have many addresses: IPv6 networks of 64 bits count as one client each, end to end.
//!
//! A machine has one IPv6 loopback address, so these tests run in a network namespace of their own, whose loopback
//! device is given addresses of several networks (2001:db8::/32, RFC 3849). Where the system does not allow that they
//! say so and are skipped; only programs that are not installed fail them in CI.

use crate::app;
use crate::child;
use crate::client::Client;
use crate::server::{Fixture, PATIENCE, listening, start, until};
use lanner::{Limits, Trip};
use lanner_limits::{AddressSet, Driver, Setting, Source};
use socket2::{Domain, Socket, Type};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Instant;

const ONE: &str = "2001:db8:0:1::1";
const SAME_NETWORK: &str = "2001:db8:0:1:ffff::2";
const OTHER_NETWORK: &str = "2001:db8:0:2::1";
const SERVER: &str = "2001:db8:0:3::1";
const ADDRESSES: [&str; 4] = [ONE, SAME_NETWORK, OTHER_NETWORK, SERVER];

/// A connection from one of the machine's own addresses.
fn connect_from(from: &str, to: SocketAddr) -> Client {
    let from: IpAddr = from.parse().unwrap();
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    Client::over(socket.into())
}

/// Whether a client from `from` is let in. If so, it is kept.
fn is_let_in(from: &str, to: SocketAddr, kept: &mut Vec<Client>) -> bool {
    let mut client = connect_from(from, to);
    // Whoever is turned away hears the end, whether its request met an open socket or not.
    client.ask("/");
    let let_in = matches!(client.stream.peek(&mut [0]), Ok(1..));
    if let_in {
        assert_eq!(client.answer().status, 200);
        kept.push(client);
    }
    let_in
}

fn bounded(on: Driver, listen: &str, change: impl FnOnce(&mut Limits)) -> Fixture {
    let mut limits = listening(on, listen);
    change(&mut limits);
    start(limits, |_| app::hello).unwrap()
}

/// The program that a test needs, if it is installed. In CI that it is not is a failure.
fn installed(program: &str) -> bool {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&search)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|directory| directory.join(program).is_file());
    if !found {
        eprintln!("skipped: {program} is not installed");
        let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!ci, "{program} is not installed, and CI has it");
    }
    found
}

/// A shell in a network of its own that has all of [`ADDRESSES`], and goes on with its arguments as a command. As root
/// no user namespace is needed, which some systems forbid where they allow the network's.
fn in_own_network(as_root: bool) -> Command {
    let unshare: &[&str] = if as_root {
        &["--net"]
    } else {
        &["--user", "--map-root-user", "--net"]
    };
    let added: String = ADDRESSES
        .iter()
        .map(|address| format!("ip -6 address add {address}/64 dev lo nodad && "))
        .collect();
    let script = format!("PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && {added} exec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(unshare).args(["sh", "-c", &script, "sh"]);
    command
}

/// The way to a network of our own that this system allows.
fn own_network() -> Option<Command> {
    if !installed("unshare") || !installed("ip") {
        return None;
    }
    let mut reasons = Vec::new();
    for as_root in [true, false] {
        let tried = in_own_network(as_root)
            .arg("true")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if tried.status.success() {
            return Some(in_own_network(as_root));
        }
        reasons.push(String::from_utf8_lossy(&tried.stderr).trim().to_owned());
    }
    eprintln!(
        "skipped: no network namespace of our own: {}",
        reasons.join("; ")
    );
    None
}

fn can_be_reached(address: &str) -> bool {
    let address: IpAddr = address.parse().unwrap();
    let listener = TcpListener::bind((address, 0));
    listener.is_ok_and(|listener| TcpStream::connect(listener.local_addr().unwrap()).is_ok())
}

/// Runs `scenario` in a process of its own, in a network of its own.
fn alone_in_own_network(on: Driver, test: &str, scenario: impl FnOnce()) {
    if child::is_alone() {
        // The kernel makes an address's route a moment after the address.
        for address in ADDRESSES {
            until(
                || can_be_reached(address),
                || format!("{address} can be reached"),
            );
        }
        return scenario();
    }
    let Some(mut command) = own_network() else {
        return;
    };
    command.arg(std::env::current_exe().unwrap());
    let test = format!("network::{test}::{}", child::module(on));
    let child = child::as_alone(&mut command, &test).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

on_every_driver! {
    fn an_ipv6_network_counts_as_one_client(on) {
        alone_in_own_network(on, "an_ipv6_network_counts_as_one_client", || {
            // Exempt is what is loopback, which these addresses are not although the device is.
            let change = |limits: &mut Limits| limits.max_connections_per_ip = 2;
            for listen in [format!("http://[{SERVER}]:0"), "http://*:0".to_owned()] {
                let server = bounded(on, &listen, change);
                let to = SocketAddr::new(SERVER.parse().unwrap(), server.address().port());
                let mut kept = Vec::new();
                assert!(is_let_in(ONE, to, &mut kept));
                assert!(is_let_in(SAME_NETWORK, to, &mut kept));
                // Their network has its two, whichever of its addresses comes next.
                for (number, from) in (1..).zip([ONE, SAME_NETWORK, ONE]) {
                    assert!(!is_let_in(from, to, &mut kept), "{from}");
                    server.until_hits(Trip::MaxConnectionsPerIp, number);
                }
                // The network beside it pays nothing for that.
                assert!(is_let_in(OTHER_NETWORK, to, &mut kept));
                assert!(is_let_in(OTHER_NETWORK, to, &mut kept));
                assert!(!is_let_in(OTHER_NETWORK, to, &mut kept));
                // What one address gives back, another of its network may have.
                drop(kept.remove(0));
                server.until_open(3);
                assert!(is_let_in(SAME_NETWORK, to, &mut kept));
                assert!(!is_let_in(ONE, to, &mut kept));
                drop(kept);
                server.until_open(0);
                assert_eq!(server.counters().hits(Trip::MaxConnectionsPerIp), 5);
            }
        });
    }

    fn the_rate_of_connections_counts_by_network_too(on) {
        alone_in_own_network(on, "the_rate_of_connections_counts_by_network_too", || {
            let change = |limits: &mut Limits| limits.max_connection_rate_per_ip = Some(1);
            let server = bounded(on, &format!("http://[{SERVER}]:0"), change);
            let to = server.address();
            let mut kept = Vec::new();
            assert!(is_let_in(ONE, to, &mut kept));
            assert!(is_let_in(OTHER_NETWORK, to, &mut kept));
            // Its network has had its one. Only on a machine that took a second for this is there another.
            let began = Instant::now();
            while is_let_in(SAME_NETWORK, to, &mut kept) {
                assert!(began.elapsed() < PATIENCE);
            }
            server.until_hits(Trip::ConnectionRatePerIp, 1);
        });
    }

    fn an_exempt_network_is_not_counted(on) {
        alone_in_own_network(on, "an_exempt_network_is_not_counted", || {
            let change = |limits: &mut Limits| {
                limits.per_ip_exempt = networks("2001:db8:0:1::/64");
                limits.max_connections_per_ip = 1;
            };
            let server = bounded(on, &format!("http://[{SERVER}]:0"), change);
            let to = server.address();
            let mut kept = Vec::new();
            for from in [ONE, ONE, SAME_NETWORK] {
                assert!(is_let_in(from, to, &mut kept), "{from}");
            }
            assert!(is_let_in(OTHER_NETWORK, to, &mut kept));
            assert!(!is_let_in(OTHER_NETWORK, to, &mut kept));
        });
    }

    fn ipv4_clients_of_a_socket_for_both_families_count_one_by_one(on) {
        // They come as ::ffff:a.b.c.d, which are all in one network of 64 bits. All of 127.0.0.0/8 is this machine.
        let server = bounded(on, "http://*:0", |limits| {
            limits.per_ip_exempt = AddressSet::NONE;
            limits.max_connections_per_ip = 1;
        });
        let to = SocketAddr::from(([127, 0, 0, 1], server.address().port()));
        let mut kept = Vec::new();
        for from in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
            assert!(is_let_in(from, to, &mut kept), "{from}");
            assert!(!is_let_in(from, to, &mut kept), "{from}");
        }
        server.until_hits(Trip::MaxConnectionsPerIp, 3);
    }
}

/// A set of networks, as an operator would write it.
fn networks(text: &str) -> AddressSet {
    let setting = Setting {
        name: "per_ip_exempt".into(),
        value: text.into(),
        source: Source::CommandLine,
    };
    let resolved = Limits::resolve([setting], lanner::machine()).unwrap();
    resolved.limits.per_ip_exempt
}
