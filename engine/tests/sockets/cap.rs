//! How many connections there may be, and who goes when there are too many.

use crate::app::{self, Gate};
use crate::child;
use crate::client::{Client, End};
use crate::server::{self, Fixture, PATIENCE, serve};
use lanner::{Count, EndReason, Limits, Request, Response, Trip};
use lanner_limits::{AddressSet, Driver};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::{Duration, Instant};

/// Loopback counts like any other address.
fn strangers(limits: &mut Limits) {
    limits.per_ip_exempt = AddressSet::NONE;
}

/// An app of which `/wait` answers when the gate opens.
fn waits(gate: &Gate) -> impl lanner::App + Clone + Send + Sync {
    let gate = gate.clone();
    move |request: Request| {
        let gate = gate.clone();
        async move {
            if request.path() == "/wait" {
                gate.pass().await;
            }
            Ok(Response::text("done"))
        }
    }
}

fn is_turned_away(client: &mut Client) -> bool {
    // The request may meet a socket that is closed already.
    client.send("GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    client.rest().0.is_empty()
}

on_every_driver! {
    fn one_connection_too_many_is_closed_at_once(on) {
        let gate = Gate::default();
        let change = |limits: &mut Limits| {
            limits.max_connections = 3;
            limits.idle_shed_at = 100;
        };
        let server = serve(on, change, waits(&gate));
        let mut busy: Vec<Client> = (0..3).map(|_| server.connect()).collect();
        for client in &mut busy {
            client.ask("/wait");
        }
        gate.until_arrived(3);
        let mut fourth = server.connect();
        assert_eq!(fourth.stream.peek(&mut [0]).ok(), Some(0));
        assert_eq!(server.counters().count(Count::Rejected), 1);
        server.until_hits(Trip::MaxConnections, 1);
        assert!(is_turned_away(&mut fourth));
        // None of the others noticed.
        gate.open();
        for client in &mut busy {
            assert_eq!(client.answer().text(), "done");
        }
        drop(busy);
        server.until_open(0);
        assert_eq!(server.connect().get("/").text(), "done");
    }

    fn one_address_cannot_have_everything(on) {
        let change = |limits: &mut Limits| {
            strangers(limits);
            limits.max_connections_per_ip = 2;
        };
        let server = serve(on, change, app::hello);
        let (mut first, mut second) = (server.connect(), server.connect());
        assert_eq!((first.get("/").status, second.get("/").status), (200, 200));
        assert!(is_turned_away(&mut server.connect()));
        server.until_hits(Trip::MaxConnectionsPerIp, 1);
        drop(first);
        server.until_open(1);
        assert_eq!(server.connect().get("/").status, 200);
    }

    fn exempt_addresses_may_have_everything(on) {
        let change = |limits: &mut Limits| {
            limits.max_connections_per_ip = 1;
            limits.max_connection_rate_per_ip = Some(1);
        };
        let server = serve(on, change, app::hello);
        let mut clients: Vec<Client> = (0..5).map(|_| server.connect()).collect();
        for client in &mut clients {
            assert_eq!(client.get("/").status, 200);
        }
    }

    fn one_address_cannot_connect_again_and_again(on) {
        let change = |limits: &mut Limits| {
            strangers(limits);
            limits.max_connection_rate_per_ip = Some(5);
        };
        let server = serve(on, change, app::hello);
        let began = Instant::now();
        let mut crowd: Vec<Client> = (0..40).map(|_| server.connect()).collect();
        let mut refused = crowd.iter_mut().map(is_turned_away).filter(|refused| *refused).count() as u64;
        // Five at once, and five a second: even a machine that takes seconds for this turns some away.
        assert!((1..=35).contains(&refused), "{refused}");
        while is_turned_away(&mut server.connect()) {
            refused += 1;
            assert!(began.elapsed() < PATIENCE);
        }
        server.until_hits(Trip::ConnectionRatePerIp, refused);
    }

    fn accepting_keeps_to_its_rate_and_turns_nobody_away(on) {
        let server = serve(on, |limits| limits.max_accept_rate = Some(20), app::hello);
        let began = Instant::now();
        let mut clients: Vec<Client> = (0..30).map(|_| server.connect()).collect();
        for client in &mut clients {
            assert_eq!(client.get("/").status, 200);
        }
        // Twenty at once, the rest by the rate.
        let took = began.elapsed();
        assert!((Duration::from_millis(450)..Duration::from_secs(5)).contains(&took), "{took:?}");
        let counters = server.counters();
        assert_eq!((counters.count(Count::Accepted), counters.count(Count::Rejected)), (30, 0));
        assert!(counters.hits(Trip::AcceptRate) > 0);
    }

    fn near_the_cap_the_longest_idle_connection_goes_first(on) {
        let gate = Gate::default();
        let change = |limits: &mut Limits| {
            limits.max_connections = 20;
            limits.idle_shed_at = 50;
        };
        let server = serve(on, change, waits(&gate));
        let mut active: Vec<Client> = Vec::new();
        let mut begin = || {
            let mut client = server.connect();
            client.ask("/wait");
            active.push(client);
            gate.until_arrived(active.len());
        };
        // Active ones that are older than all others, then idle ones.
        (0..3).for_each(|_| begin());
        let mut idle: Vec<Client> = (0..7).map(|_| server.connect()).collect();
        idle.iter_mut().for_each(|client| drop(client.get("/")));
        for (number, longest_idle) in idle.iter_mut().enumerate() {
            server.until_hits(Trip::IdleShed, number as u64);
            begin();
            longest_idle.expect_end();
        }
        // Only active ones are left. Those are never shed, and the cap is the cap.
        (0..10).for_each(|_| begin());
        assert!(is_turned_away(&mut server.connect()));
        gate.open();
        for client in &mut active {
            assert_eq!(client.answer().text(), "done");
        }
        assert_eq!(server.counters().ended(EndReason::Shed), 7);
    }

    fn lingering_connections_go_before_idle_ones(on) {
        let change = |limits: &mut Limits| {
            limits.max_connections = 40;
            limits.idle_shed_at = 5;
        };
        let server = serve(on, change, app::hello);
        let mut idle = server.connect();
        idle.get("/");
        let mut lingering = server.connect();
        lingering.send("nonsense\r\n\r\n");
        assert_eq!(lingering.answer().status, 400);
        // The end is heard when the server has shut its side.
        lingering.expect_end();
        let mut newcomer = server.connect();
        assert_eq!(newcomer.get("/").status, 200);
        server.until("shed", |counters| counters.hits(Trip::LingerShed) == 1);
        assert_eq!(server.counters().hits(Trip::IdleShed), 0);
        assert_eq!(idle.get("/").status, 200);
    }

    fn lingering_connections_hold_a_tenth_of_the_cap_at_most(on) {
        let server = serve(on, |limits| limits.max_connections = 40, app::hello);
        let mut clients: Vec<Client> = (0..10).map(|_| server.connect()).collect();
        for client in &mut clients {
            assert_eq!(client.send("nonsense\r\n\r\n").answer().status, 400);
        }
        server.until_open(4);
        server.until_hits(Trip::LingerShed, 6);
    }

    fn running_out_of_descriptors_is_survived(on) {
        child::alone(&format!("cap::running_out_of_descriptors_is_survived::{}", child::module(on)), || {
            out_of_descriptors(on);
        });
    }

    fn where_descriptors_run_out_idle_connections_make_room(on) {
        let name = "cap::where_descriptors_run_out_idle_connections_make_room";
        child::alone(&format!("{name}::{}", child::module(on)), || {
            idle_ones_make_room(on);
        });
    }
}

/// A server with room for twelve descriptors more than it has, the limit before that, and sockets for forty clients. In a
/// process of its own, for the limit is the process's.
fn with_few_descriptors<A>(on: Driver, app: A) -> (Fixture, Rlimit, Vec<socket2::Socket>)
where
    A: lanner::App + Clone + Send + Sync,
{
    let kind = socket2::Type::STREAM;
    let sockets: Vec<_> = (0..40)
        .map(|_| socket2::Socket::new(socket2::Domain::IPV4, kind, None).unwrap())
        .collect();
    let limits = server::limits(on);
    // What a server has open is seen from one that does not come near the limit. It must not be lowered below a server
    // that has begun: a ring accepts under the limit that held when it was asked to.
    let server = server::start(limits.clone(), |_| app::hello).unwrap();
    assert_eq!(server.connect().get("/").status, 200);
    server.until_open(0);
    let before = getrlimit(Resource::Nofile);
    let mut open: Vec<u64> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    open.sort_unstable();
    // Descriptors are given out from the lowest, and the limit is on their numbers.
    let free_below =
        |limit: u64| limit - open.iter().filter(|number| **number < limit).count() as u64;
    let room = (0..).find(|limit| free_below(*limit) == 12);
    drop(server);
    let lowered = Rlimit {
        current: room,
        maximum: before.maximum,
    };
    setrlimit(Resource::Nofile, lowered).unwrap();
    let server = server::start(limits, move |_| app.clone()).unwrap();
    assert_eq!(server.connect().get("/").status, 200);
    server.until_open(0);
    (server, before, sockets)
}

fn connect(socket: socket2::Socket, server: &Fixture) -> Client {
    socket.connect(&server.address().into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    Client::over(socket.into())
}

/// Twelve, and two that were counted as open: the listing's own descriptor, and the first client's, which a driver may
/// close a moment after that connection has ended.
const OPEN: std::ops::RangeInclusive<u64> = 6..=14;

fn out_of_descriptors(on: Driver) {
    let gate = Gate::default();
    let (server, before, sockets) = with_few_descriptors(on, waits(&gate));
    let began = Instant::now();
    // Nobody can be closed to make room: all are busy.
    let mut clients: Vec<Client> = sockets
        .into_iter()
        .map(|socket| {
            let mut client = connect(socket, &server);
            client.send("GET /wait HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
            client
        })
        .collect();
    // Accepting pauses between its failures.
    server.until("four failures", |counters| {
        counters.count(Count::AcceptErrors) >= 4
    });
    assert!(
        began.elapsed() >= Duration::from_millis(300),
        "{:?}",
        began.elapsed()
    );
    let accepted = server.counters().count(Count::Accepted) - 1;
    assert!(OPEN.contains(&accepted), "{accepted}");
    assert_eq!(server.counters().hits(Trip::IdleShed), 0);
    // Who is in is served, and descriptors come back for the others.
    gate.open();
    let mut served = 0;
    for client in &mut clients {
        let (answer, end) = client.rest();
        // A few were turned away so that they need not wait.
        match end {
            End::Closed if !answer.is_empty() => served += 1,
            End::Closed | End::Reset => assert!(answer.is_empty()),
        }
    }
    assert!(served >= 20, "{served}");
    setrlimit(Resource::Nofile, before).unwrap();
    assert_eq!(server.connect().get("/").status, 200);
}

fn idle_ones_make_room(on: Driver) {
    let (server, before, sockets) = with_few_descriptors(on, app::hello);
    let mut clients = Vec::new();
    for socket in sockets {
        let mut client = connect(socket, &server);
        assert_eq!(client.get("/").status, 200);
        clients.push(client);
    }
    let counters = server.counters();
    let shed = counters.hits(Trip::IdleShed);
    // One for each who came, and the like again for those whose descriptor took a moment to come back.
    assert!((26..=39).contains(&shed), "{shed}");
    assert!(counters.count(Count::AcceptErrors) >= shed, "{counters:?}");
    // The longest idle went, and the last who came is there.
    let last = clients.len() - 1;
    assert_eq!(clients[last].get("/").status, 200);
    let (answer, end) = clients[0].rest();
    assert!(answer.is_empty() && matches!(end, End::Closed));
    setrlimit(Resource::Nofile, before).unwrap();
    assert_eq!(server.connect().get("/").status, 200);
}
