//! Where a server listens: TCP in all its forms, unix sockets, descriptors that others opened.

use crate::app;
use crate::child;
use crate::client::Client;
use crate::server::{Fixture, PATIENCE, listening, serve, start, until};
use lanner::{BoundAddress, Count, Request, Response, StartError};
use lanner_limits::Driver;
use rustix::process::{PidfdFlags, PidfdGetfdFlags};
use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Answers with the two ends of its connection.
async fn ends(request: Request) -> Result<Response, lanner::Error> {
    let connection = request.connection();
    Ok(Response::text(format!(
        "{:?} {:?}",
        connection.peer, connection.local
    )))
}

fn start_on(on: Driver, listen: &str) -> Result<Fixture, StartError> {
    start(listening(on, listen), |_| ends)
}

fn refusal(on: Driver, listen: &str) -> String {
    start_on(on, listen)
        .err()
        .expect("cannot listen there")
        .to_string()
}

/// A directory for one test's sockets.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str, on: Driver) -> Self {
        let path = std::env::temp_dir().join(format!("lanner-{}-{name}-{on}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn unix_client(path: &Path) -> Client<UnixStream> {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Client::over(stream)
}

fn has_ipv6() -> bool {
    let found = TcpListener::bind("[::1]:0").is_ok();
    if !found {
        eprintln!("skipped: this machine has no IPv6");
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI has IPv6");
    }
    found
}

/// The server's end of a client's connection, found among this process's descriptors.
fn server_end(client: &Client) -> OwnedFd {
    let itself =
        rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).unwrap();
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|number| {
            rustix::process::pidfd_getfd(&itself, number, PidfdGetfdFlags::empty()).ok()
        })
        .find(|descriptor| {
            // Both ends are compared: connections to other servers may have the same port at theirs.
            let socket = socket2::SockRef::from(descriptor);
            let ends = [socket.peer_addr(), socket.local_addr()]
                .map(|address| address.ok().and_then(|address| address.as_socket()));
            ends == [Some(client.local()), client.stream.peer_addr().ok()]
        })
        .expect("the connection is open")
}

on_every_driver! {
    fn port_0_becomes_a_real_one_that_can_be_read(on) {
        let server = serve(on, |_| {}, ends);
        let address = server.address();
        assert_eq!(address.ip(), IpAddr::from(Ipv4Addr::LOCALHOST));
        assert_ne!(address.port(), 0);
        assert_eq!(server.handle().addresses(), [BoundAddress::Tcp(address)]);
        assert_eq!(server.handle().addresses()[0].to_string(), format!("http://{address}"));
        let mut client = server.connect();
        assert_eq!(client.get("/").text(), format!("Some({}) Some({address})", client.local()));
    }

    fn the_app_knows_what_the_server_is_bound_to(on) {
        let server = serve(on, |_| {}, |request: Request| async move {
            let server = &request.connection().server;
            Ok(Response::text(format!("{} {} {}", server.addresses[0], server.workers, server.driver)))
        });
        let expected = format!("http://{} 1 {on}", server.address());
        // monoio names the driver it runs on, which may be the other one of its two.
        let told = server.connect().get("/");
        assert!(told.text() == expected || on == Driver::Monoio, "{}", told.text());
    }

    fn several_addresses_serve_at_once_and_have_names(on) {
        let server = start(listening(on, "http://127.0.0.1:0,http://127.0.0.2:0"), |_| {
            |request: Request| async move { Ok(Response::text(request.connection().listener.to_string())) }
        })
        .unwrap();
        let addresses: Vec<SocketAddr> =
            server.handle().addresses().iter().filter_map(BoundAddress::tcp).collect();
        assert_eq!(addresses.len(), 2);
        for (number, address) in addresses.into_iter().enumerate() {
            assert_eq!(Client::connect(address).get("/").text(), number.to_string());
        }
    }

    fn a_port_in_use_is_an_error_although_groups_share_ports(on) {
        let server = serve(on, |_| {}, ends);
        let told = refusal(on, &format!("http://{}", server.address()));
        assert!(told.contains("in use") && told.contains(&server.address().to_string()), "{told}");
        // The first one goes on.
        assert_eq!(server.connect().get("/").status, 200);
        // Somebody else's, without a group.
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let told = refusal(on, &format!("http://{}", other.local_addr().unwrap()));
        assert!(told.contains("in use"), "{told}");
    }

    fn a_port_can_be_used_again_right_after_its_server_ended(on) {
        let mut server = serve(on, |_| {}, ends);
        let address = server.address();
        let mut client = server.connect();
        assert_eq!(client.get("/").status, 200);
        // The server closes first, so its end stays in TIME-WAIT.
        server.handle().stop();
        client.expect_end();
        drop(client);
        server.join();
        // TIME-WAIT lasts for a minute; a process that another test is just starting has a copy of the listener only until
        // it runs its program.
        let again = RefCell::new(None);
        let starts = || {
            *again.borrow_mut() = start_on(on, &format!("http://{address}")).ok();
            again.borrow().is_some()
        };
        until(starts, || format!("{address} can be used again"));
        let again = again.into_inner().unwrap();
        assert_eq!(again.connect().get("/").status, 200);
    }

    fn one_address_that_cannot_be_bound_stops_all(on) {
        let told = refusal(on, "http://127.0.0.1:0,http://192.0.2.1:0");
        assert!(told.contains("192.0.2.1"), "{told}");
    }

    fn ipv6_is_served(on) {
        if !has_ipv6() {
            return;
        }
        let server = start_on(on, "http://[::1]:0").unwrap();
        assert_eq!(server.address().ip(), IpAddr::from(Ipv6Addr::LOCALHOST));
        let mut client = server.connect();
        assert_eq!(client.get("/").text(), format!("Some({}) Some({})", client.local(), server.address()));
    }

    fn every_address_is_one_socket_on_which_ipv4_clients_are_ipv4_clients(on) {
        if !has_ipv6() {
            return;
        }
        let server = start_on(on, "http://*:0").unwrap();
        assert_eq!(server.handle().addresses().len(), 1);
        let port = server.address().port();
        for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
            let address = SocketAddr::new(ip, port);
            let mut client = Client::connect(address);
            assert_eq!(client.get("/").text(), format!("Some({}) Some({address})", client.local()));
        }
    }

    fn localhost_is_both_families_on_one_port(on) {
        if !has_ipv6() {
            return;
        }
        let server = start_on(on, "http://localhost:0").unwrap();
        let addresses: Vec<SocketAddr> =
            server.handle().addresses().iter().filter_map(BoundAddress::tcp).collect();
        assert_eq!(addresses.len(), 2);
        assert_eq!(addresses[0].port(), addresses[1].port());
        for address in addresses {
            assert_eq!(Client::connect(address).get("/").status, 200);
        }
    }

    fn a_unix_socket_serves_with_the_mode_asked_for_and_is_removed_in_the_end(on) {
        let directory = Directory::new("mode", on);
        let path = directory.socket();
        let listen = format!("unix:{}?mode=0640", path.display());
        let mut server = start_on(on, &listen).unwrap();
        let metadata = std::fs::metadata(&path).unwrap();
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
        assert_eq!(server.handle().addresses(), [BoundAddress::Unix(path.clone())]);
        let mut client = unix_client(&path);
        for _ in 0..2 {
            assert_eq!(client.get("/").text(), "None None");
        }
        drop(client);
        server.until_open(0);
        server.handle().stop();
        server.join();
        assert!(!path.exists());
    }

    fn a_stale_unix_socket_is_replaced_and_a_live_one_is_not(on) {
        let directory = Directory::new("stale", on);
        let path = directory.socket();
        let listen = format!("unix:{}", path.display());
        drop(UnixListener::bind(&path).unwrap());
        // A process that another test is just starting has a copy until it runs its program.
        until(|| UnixStream::connect(&path).is_err(), || "nobody listens any more".into());
        assert!(path.exists());
        let server = start_on(on, &listen).unwrap();
        assert_eq!(unix_client(&path).get("/").status, 200);
        let told = refusal(on, &listen);
        assert!(told.contains("in use"), "{told}");
        assert_eq!(unix_client(&path).get("/").status, 200);
        drop(server);
        assert!(!path.exists());
    }

    fn what_is_not_a_socket_is_left_alone(on) {
        let directory = Directory::new("file", on);
        let path = directory.socket();
        std::fs::write(&path, "precious").unwrap();
        let told = refusal(on, &format!("unix:{}", path.display()));
        assert!(told.contains("not a socket"), "{told}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }

    fn a_unix_client_that_goes_away_ends_its_exchange(on) {
        let directory = Directory::new("gone", on);
        let path = directory.socket();
        let server = start(listening(on, &format!("unix:{}", path.display())), |_| {
            |_: Request| std::future::pending::<Result<Response, lanner::Error>>()
        })
        .unwrap();
        let mut client = unix_client(&path);
        client.ask("/");
        server.until("dispatched", |counters| counters.count(Count::Requests) == 1);
        drop(client);
        server.until_open(0);
    }

    fn a_descriptor_that_was_open_already_is_served(on) {
        let inherited = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = inherited.local_addr().unwrap();
        let server = start_on(on, &format!("fd:{}", inherited.as_raw_fd())).unwrap();
        assert_eq!(server.address(), address);
        assert_eq!(server.connect().get("/").status, 200);
        drop(server);
        // It is still whoever's opened it.
        assert_eq!(inherited.local_addr().unwrap(), address);
        drop(inherited);
        let told = refusal(on, "fd:2000000000");
        assert!(told.contains("not open"), "{told}");
        let file = std::fs::File::open("/dev/null").unwrap();
        let told = refusal(on, &format!("fd:{}", file.as_raw_fd()));
        assert!(told.contains("not a listening socket"), "{told}");
    }

    fn a_socket_from_systemd_is_found_by_its_name(on) {
        let test = format!("listener::a_socket_from_systemd_is_found_by_its_name::{}", child::module(on));
        if child::is_alone() {
            let told = refusal(on, "systemd:other");
            assert!(told.contains("web"), "{told}");
            let server = start_on(on, "systemd:web").unwrap();
            server.until("two requests", |counters| counters.count(Count::Requests) == 2);
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", "export LISTEN_PID=$$; exec \"$0\" \"$@\" 3<&0 </dev/null"])
            .arg(std::env::current_exe().unwrap())
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDNAMES", "web")
            .stdin(OwnedFd::from(listener));
        let child = child::as_alone(&mut command, &test).spawn().unwrap();
        drop(command);
        for _ in 0..2 {
            // The connection waits in the backlog until the server is up.
            assert_eq!(Client::connect(address).get("/").status, 200);
        }
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(refusal(on, "systemd:web").contains("systemd passed no socket"));
    }

    fn accepted_sockets_have_the_options_of_their_listener(on) {
        let change = |limits: &mut lanner::Limits| {
            limits.tcp_user_timeout = Some(std::time::Duration::from_secs(17));
            limits.tcp_keepalive = Some(std::time::Duration::from_secs(18));
            limits.tcp_notsent_lowat = Some(99 << 10);
        };
        for nodelay in [true, false] {
            let server = serve(on, |limits| { change(limits); limits.tcp_nodelay = nodelay; }, app::hello);
            let mut client = server.connect();
            client.get("/");
            let accepted = server_end(&client);
            let accepted = socket2::SockRef::from(&accepted);
            assert_eq!(accepted.tcp_nodelay().unwrap(), nodelay);
            assert_eq!(accepted.tcp_user_timeout().unwrap().map(|timeout| timeout.as_secs()), Some(17));
            assert!(accepted.keepalive().unwrap());
            assert_eq!(accepted.tcp_keepalive_time().unwrap().as_secs(), 18);
            assert_eq!(accepted.tcp_notsent_lowat().unwrap(), 99 << 10);
        }
    }

    fn a_client_that_says_nothing_may_be_left_to_the_kernel(on) {
        let deferred = |limits: &mut lanner::Limits| {
            limits.tcp_defer_accept = Some(std::time::Duration::from_secs(60));
        };
        let server = serve(on, deferred, app::hello);
        let mut silent = server.connect();
        assert_eq!(server.connect().get("/").status, 200);
        assert_eq!(server.counters().count(Count::Accepted), 1);
        assert_eq!(silent.get("/").status, 200);
        assert_eq!(server.counters().count(Count::Accepted), 2);
    }
}
