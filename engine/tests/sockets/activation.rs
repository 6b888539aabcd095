//! Sets of sockets that somebody else bound to one address, as systemd's `ReusePort=` does: one for each worker where
//! the numbers agree, shared where they do not, and no connection lost on either way.

use crate::child;
use crate::client::Client;
use crate::server::{Fixture, PATIENCE, listening, start};
use lanner::{App, BoundAddress, Count, Request, Response, WorkerInfo};
use lanner_limits::Driver;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// Clients at once: with as many, no socket of a group is left out but once in 2^99 runs.
const CROWD: usize = 100;

/// Listening sockets of one group.
struct Set {
    address: SocketAddr,
    sockets: Vec<OwnedFd>,
}

impl Set {
    fn new(count: usize) -> Self {
        let mut address = SocketAddr::from(([127, 0, 0, 1], 0));
        let sockets = (0..count)
            .map(|_| {
                let kind = socket2::Type::STREAM.cloexec();
                let socket = socket2::Socket::new(socket2::Domain::IPV4, kind, None).unwrap();
                socket.set_reuse_port(true).unwrap();
                socket.bind(&address.into()).unwrap();
                address = socket.local_addr().unwrap().as_socket().unwrap();
                socket.listen(256).unwrap();
                socket.into()
            })
            .collect();
        Self { address, sockets }
    }

    /// What to listen on, one entry for each socket: their listeners are called 0, 1 and so on.
    fn listen(&self) -> String {
        let entries = self
            .sockets
            .iter()
            .map(|socket| format!("fd:{}", socket.as_raw_fd()));
        entries.collect::<Vec<_>>().join(",")
    }

    /// A server of two workers on it.
    fn serve(
        &self,
        on: Driver,
        app: impl Fn(&WorkerInfo) -> Holding + Send + Sync + 'static,
    ) -> Fixture {
        let mut limits = listening(on, &self.listen());
        limits.workers = 2;
        start(limits, app).unwrap()
    }

    fn crowd(&self) -> Vec<Client> {
        (0..CROWD).map(|_| Client::connect(self.address)).collect()
    }
}

/// Answers with its worker's number and the listener's name. Asked for `/hold`, it says so and holds its worker up.
#[derive(Clone)]
struct Holding {
    worker: usize,
    held: Sender<usize>,
    release: Arc<Mutex<Receiver<()>>>,
}

impl App for Holding {
    async fn call(&self, request: Request) -> Result<Response, lanner::Error> {
        if request.path() == "/hold" {
            self.held.send(self.worker).unwrap();
            // Until the test is done, or has failed.
            let _ = self.release.lock().unwrap().recv();
        }
        let listener = &request.connection().listener;
        Ok(Response::text(format!("{} {listener}", self.worker)))
    }
}

/// The test's end of [`Holding`].
struct Hold {
    held: Receiver<usize>,
    _release: Sender<()>,
}

fn holding() -> (
    Hold,
    impl Fn(&WorkerInfo) -> Holding + Send + Sync + 'static,
) {
    let (held_sender, held) = channel();
    let (release_sender, release) = channel();
    let release = Arc::new(Mutex::new(release));
    let factory = move |worker: &WorkerInfo| Holding {
        worker: worker.index,
        held: held_sender.clone(),
        release: release.clone(),
    };
    let hold = Hold {
        held,
        _release: release_sender,
    };
    (hold, factory)
}

/// Which worker answered connections of which listener. Every client must be answered.
fn pairs(clients: &mut [Client]) -> BTreeMap<String, BTreeSet<String>> {
    for client in &mut *clients {
        client.ask("/");
    }
    let mut pairs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for client in clients {
        let answer = client.answer();
        let (worker, listener) = answer.text().split_once(' ').unwrap();
        pairs
            .entry(worker.to_owned())
            .or_default()
            .insert(listener.to_owned());
    }
    pairs
}

/// Has a process of its own serve a set of two as systemd would pass it, and a crowd ask there. Within that process,
/// nothing.
fn activated(
    on: Driver,
    test: &str,
    passed_names: &str,
    listen: &str,
) -> Option<BTreeMap<String, BTreeSet<String>>> {
    if child::is_alone() {
        let (_hold, app) = holding();
        let mut limits = listening(on, listen);
        limits.workers = 2;
        let server = start(limits, app).unwrap();
        assert_eq!(server.handle().addresses().len(), 1);
        server.until("all requests", |counters| {
            counters.count(Count::Requests) == CROWD as u64
        });
        return None;
    }
    let set = Set::new(2);
    let address = set.address;
    let [first, second] = <[OwnedFd; 2]>::try_from(set.sockets).unwrap();
    let mut command = Command::new("sh");
    // Descriptors 3 and 4 are made of its input and its errors, and those are given back.
    let script = "export LISTEN_PID=$$; exec \"$0\" \"$@\" 3<&0 4<&2 </dev/null 2>&1";
    command
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env("LISTEN_FDS", "2")
        .env("LISTEN_FDNAMES", passed_names);
    child::as_alone(&mut command, &format!("{test}::{}", child::module(on)))
        .stdin(Stdio::from(first))
        .stderr(Stdio::from(second));
    let child = command.spawn().unwrap();
    // Ours are closed: should the process fail, nobody's backlog is left for the clients to wait in.
    drop(command);
    let mut clients: Vec<Client> = (0..CROWD).map(|_| Client::connect(address)).collect();
    let pairs = pairs(&mut clients);
    drop(clients);
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{printed}"
    );
    Some(pairs)
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

on_every_driver! {
    fn a_set_with_a_socket_for_each_worker_is_mapped_one_to_one(on) {
        let set = Set::new(2);
        let (_hold, app) = holding();
        let server = set.serve(on, app);
        assert_eq!(server.handle().addresses(), [BoundAddress::Tcp(set.address)]);
        let mut clients = set.crowd();
        let expected = BTreeMap::from([("0".into(), names(["0"])), ("1".into(), names(["1"]))]);
        assert_eq!(pairs(&mut clients), expected);
        assert_eq!(server.counters().count(Count::Accepted), CROWD as u64);
    }

    fn a_set_of_another_number_is_shared_and_a_worker_that_is_held_up_holds_nobody_up(on) {
        let set = Set::new(3);
        let (hold, app) = holding();
        let server = set.serve(on, app);
        assert_eq!(server.handle().addresses(), [BoundAddress::Tcp(set.address)]);
        let mut holder = Client::connect(set.address);
        holder.ask("/hold");
        let held = hold.held.recv_timeout(PATIENCE).unwrap();
        // Mapped to the worker that is held up, a third of these would not be answered.
        let mut clients = set.crowd();
        let other = (1 - held).to_string();
        assert_eq!(pairs(&mut clients), BTreeMap::from([(other, names(["0", "1", "2"]))]));
        drop(hold);
        assert!(holder.answer().text().starts_with(&held.to_string()));
        assert_eq!(server.counters().count(Count::Accepted), CROWD as u64 + 1);
    }

    fn one_socket_for_several_workers_is_shared_however_it_is_marked(on) {
        let set = Set::new(1);
        let (hold, app) = holding();
        let server = set.serve(on, app);
        let mut holder = Client::connect(set.address);
        holder.ask("/hold");
        let held = hold.held.recv_timeout(PATIENCE).unwrap();
        let other = (1 - held).to_string();
        assert_eq!(pairs(&mut set.crowd()), BTreeMap::from([(other, names(["0"]))]));
        drop(hold);
        holder.answer();
        drop(holder);
        assert_eq!(server.handle().addresses().len(), 1);
    }

    fn what_waits_in_a_set_while_no_server_runs_is_served_by_the_next(on) {
        let set = Set::new(2);
        for _ in 0..2 {
            // Half of a group's queues would be reset if an ended server took its sockets along.
            let mut waiting = set.crowd();
            let (_hold, app) = holding();
            let mut server = set.serve(on, app);
            assert_eq!(pairs(&mut waiting).len(), 2);
            // Connections that nobody has accepted when the stop comes are served before the end, or after it.
            drop(waiting);
            server.until_open(0);
            server.handle().stop();
            server.join();
        }
    }

    fn a_set_from_systemd_is_served_under_its_one_name(on) {
        let test = "activation::a_set_from_systemd_is_served_under_its_one_name";
        let Some(pairs) = activated(on, test, "web:web", "systemd:web") else {
            return;
        };
        // Its listener is the first of the list, so that the workers alone tell the sockets apart.
        assert_eq!(pairs, BTreeMap::from([("0".into(), names(["0"])), ("1".into(), names(["0"]))]));
    }

    fn a_set_from_systemd_may_have_a_name_for_each_socket(on) {
        let test = "activation::a_set_from_systemd_may_have_a_name_for_each_socket";
        let Some(pairs) = activated(on, test, "left:right", "systemd:left,systemd:right") else {
            return;
        };
        assert_eq!(pairs, BTreeMap::from([("0".into(), names(["0"])), ("1".into(), names(["1"]))]));
    }

    fn an_abstract_unix_socket_is_served_and_listed_by_its_name(on) {
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::net::{SocketAddr, UnixListener};
        let name = format!("lanner-test-{}-{on}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let inherited = UnixListener::bind_addr(&address).unwrap();
        let (_hold, app) = holding();
        let server = start(listening(on, &format!("fd:{}", inherited.as_raw_fd())), app).unwrap();
        assert_eq!(server.handle().addresses(), [BoundAddress::Unix(format!("@{name}").into())]);
        let stream = UnixStream::connect_addr(&address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(Client::over(stream).get("/").text(), "0 0");
    }

    fn a_socket_of_packets_is_refused_at_the_start(on) {
        let kind = socket2::Type::SEQPACKET.cloexec();
        let packets = socket2::Socket::new(socket2::Domain::UNIX, kind, None).unwrap();
        let name = format!("\0lanner-packets-{}-{on}", std::process::id());
        packets.bind(&socket2::SockAddr::unix(name).unwrap()).unwrap();
        packets.listen(1).unwrap();
        let (_hold, app) = holding();
        let told = start(listening(on, &format!("fd:{}", packets.as_raw_fd())), app)
            .err()
            .expect("it is no place to listen on")
            .to_string();
        assert!(told.contains("not a socket of streams"), "{told}");
    }

    fn sockets_of_different_addresses_are_all_listed(on) {
        let (first, second) = (Set::new(1), Set::new(1));
        let (_hold, app) = holding();
        let mut limits = listening(on, &format!("{},{}", first.listen(), second.listen()));
        limits.workers = 2;
        let server = start(limits, app).unwrap();
        let expected = [first.address, second.address].map(BoundAddress::Tcp);
        assert_eq!(server.handle().addresses(), expected);
        for (number, set) in [first, second].iter().enumerate() {
            let told = Client::connect(set.address).get("/");
            assert!(told.text().ends_with(&number.to_string()), "{}", told.text());
        }
    }
}

#[test]
fn the_helper_makes_a_set_that_the_kernel_spreads_connections_over() {
    let set = Set::new(2);
    let clients = set.crowd();
    let queued = set.sockets.into_iter().map(|socket| {
        let listener = TcpListener::from(socket);
        listener.set_nonblocking(true).unwrap();
        listener.incoming().take_while(Result::is_ok).count()
    });
    let queued: Vec<usize> = queued.collect();
    assert_eq!(queued.iter().sum::<usize>(), clients.len());
    assert!(queued.iter().all(|count| *count > 0), "{queued:?}");
}
