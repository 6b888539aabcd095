//! Several workers behind one address.

use crate::client::Client;
use crate::server::{Fixture, limits, listening, start};
use lanner::{App, Count, Limits, Request, Response, WorkerInfo};
use lanner_limits::AddressSet;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Answers with its worker's number.
fn number(worker: &WorkerInfo) -> impl App + use<> {
    let index = worker.index;
    move |_: Request| async move { Ok(Response::text(index.to_string())) }
}

fn two(mut limits: Limits) -> Fixture {
    limits.workers = 2;
    start(limits, number).unwrap()
}

fn numbers<S: std::io::Read + std::io::Write>(connect: impl Fn() -> Client<S>) -> BTreeSet<String> {
    let mut clients: Vec<_> = (0..64).map(|_| connect()).collect();
    clients
        .iter_mut()
        .map(|client| client.get("/").text().to_owned())
        .collect()
}

fn both() -> BTreeSet<String> {
    BTreeSet::from(["0".into(), "1".into()])
}

on_every_driver! {
    fn two_workers_both_get_connections(on) {
        let server = two(limits(on));
        assert_eq!(server.handle().info().workers, 2);
        assert_eq!(numbers(|| server.connect()), both());
        assert_eq!(server.counters().count(Count::Accepted), 64);
    }

    fn two_workers_share_a_listener_that_cannot_be_a_group(on) {
        let inherited = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&inherited);
        let server = two(listening(on, &format!("fd:{number}")));
        // Which one wakes is the kernel's choice; both at once only when there is a crowd.
        let mut seen = BTreeSet::new();
        for _ in 0..50 {
            seen.extend(numbers(|| server.connect()));
            if seen == both() {
                break;
            }
        }
        assert_eq!(seen, both());
    }

    fn caps_hold_over_all_workers(on) {
        let mut limits = limits(on);
        limits.workers = 2;
        limits.max_connections_per_ip = 5;
        limits.per_ip_exempt = AddressSet::NONE;
        let server = start(limits, number).unwrap();
        let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
        let served = clients
            .iter_mut()
            .filter_map(|client| {
                let rest = client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
                rest.stream.peek(&mut [0]).ok().filter(|count| *count > 0)
            })
            .count();
        assert_eq!(served, 5);
        assert_eq!(server.counters().count(Count::Rejected), 15);
    }

    fn each_worker_has_an_app_of_its_own_made_on_its_thread(on) {
        let made = Arc::new(AtomicUsize::new(0));
        let counting = made.clone();
        let mut limits = limits(on);
        limits.workers = 2;
        let server = start(limits, move |worker: &WorkerInfo| {
            counting.fetch_add(1, Ordering::SeqCst);
            assert_eq!(std::thread::current().name(), Some(&format!("lanner-{}", worker.index)[..]));
            // Neither `Send` nor `Sync`.
            let requests = std::rc::Rc::new(std::cell::Cell::new(0));
            move |_: Request| {
                requests.set(requests.get() + 1);
                let count = requests.get();
                async move { Ok(Response::text(count.to_string())) }
            }
        })
        .unwrap();
        assert_eq!(made.load(Ordering::SeqCst), 2);
        let mut client = server.connect();
        assert_eq!(client.get("/").text(), "1");
        assert_eq!(client.get("/").text(), "2");
    }

    fn a_worker_that_cannot_be_made_fails_the_start(on) {
        let mut limits = limits(on);
        limits.workers = 2;
        let (sender, outcome) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let started = start(limits, |worker: &WorkerInfo| {
                assert!(worker.index == 0, "no app for this worker");
                crate::app::hello
            });
            sender.send(started.is_err())
        });
        assert_eq!(outcome.recv_timeout(crate::server::PATIENCE), Ok(true));
    }
}
