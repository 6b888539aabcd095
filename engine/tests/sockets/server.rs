//! A server in this process for one test. When the test ends, the server must have lost no connection on the way.

use crate::client::Client;
use lanner::{
    App, BoxApp, Count, Counters, Limits, Server, ServerHandle, StartError, Trip, WorkerInfo,
    machine,
};
use lanner_limits::{Driver, Setting, Source};
use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// How long anything may take that should happen by itself. Only a failing test waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The settings of tests: one worker, port 0, fast timers.
pub(crate) fn limits(driver: Driver) -> Limits {
    listening(driver, "http://127.0.0.1:0")
}

/// The settings of tests, listening as told.
pub(crate) fn listening(driver: Driver, listen: &str) -> Limits {
    let settings = [
        ("listen", listen),
        ("workers", "1"),
        ("timer_resolution", "8ms"),
    ]
    .map(|(name, value)| Setting {
        name: name.into(),
        value: value.into(),
        source: Source::CommandLine,
    });
    let mut limits = Limits::resolve(settings, machine()).unwrap().limits;
    limits.driver = driver;
    limits.shutdown_timeout = Duration::from_secs(5);
    limits
}

/// A running server.
pub(crate) struct Fixture {
    server: Option<Server>,
    handle: ServerHandle,
}

/// Serves `app` with the settings of tests after `change`.
pub(crate) fn serve<A>(driver: Driver, change: impl FnOnce(&mut Limits), app: A) -> Fixture
where
    A: App + Clone + Send + Sync,
{
    let mut limits = limits(driver);
    change(&mut limits);
    start(limits, move |_| app.clone()).unwrap()
}

/// Serves with exactly these limits, one app for each worker.
pub(crate) fn start<A: App>(
    limits: Limits,
    factory: impl Fn(&WorkerInfo) -> A + Send + Sync + 'static,
) -> Result<Fixture, StartError> {
    // One type for all: every app would otherwise have the whole engine compiled for it.
    let factory: Box<dyn Fn(&WorkerInfo) -> BoxApp + Send + Sync> =
        Box::new(move |worker| BoxApp::new(factory(worker)));
    let server = Server::builder().limits(limits).start(factory)?;
    let handle = server.handle();
    Ok(Fixture {
        server: Some(server),
        handle,
    })
}

impl Fixture {
    /// The first TCP address.
    pub(crate) fn address(&self) -> SocketAddr {
        let addresses = self.handle.addresses();
        addresses.iter().find_map(|address| address.tcp()).unwrap()
    }

    pub(crate) fn handle(&self) -> &ServerHandle {
        &self.handle
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    pub(crate) fn counters(&self) -> Counters {
        self.handle.counters()
    }

    /// Waits until the counters say something.
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Counters) -> bool) {
        until(
            || holds(&self.counters()),
            || format!("{what}: {:?}", self.counters().named()),
        );
    }

    /// Waits until a limit was hit so often. (Counters follow the write that an answer is read from.)
    pub(crate) fn until_hits(&self, trip: Trip, hits: u64) {
        self.until(&format!("{hits} hits of {trip}"), |counters| {
            counters.hits(trip) == hits
        });
    }

    /// Waits until so many connections are open.
    pub(crate) fn until_open(&self, connections: u64) {
        self.until(&format!("{connections} are open"), |counters| {
            counters.open() == connections
        });
    }

    /// Waits for the server to end by itself, after a stop.
    pub(crate) fn join(&mut self) {
        let Some(server) = self.server.take() else {
            return;
        };
        let (sender, receiver) = channel();
        std::thread::spawn(move || sender.send(server.join()));
        let outcome = receiver.recv_timeout(PATIENCE);
        outcome
            .expect("the server did not end")
            .expect("a worker failed");
        let counters = self.counters();
        assert_eq!(
            (counters.open(), counters.count(Count::Accepted)),
            (0, counters.count(Count::Ended)),
            "{:?}",
            counters.named()
        );
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.handle.stop_now();
            return;
        }
        if self.server.is_some() {
            // The test's clients are gone by now.
            self.until_open(0);
            self.handle.stop();
            self.join();
        }
    }
}

/// Polls something that will come true soon.
pub(crate) fn until(holds: impl Fn() -> bool, what: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never happened: {}", what());
        std::thread::park_timeout(Duration::from_millis(1));
    }
}
