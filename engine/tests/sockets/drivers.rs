//! The drivers on which every test runs: one line each in `on_every_driver`.

use crate::app;
use lanner::{Server, StartError};
use lanner_limits::Driver;
use std::sync::Mutex;

/// Stamps each function into one test for each driver. The function is handed the driver, which it gives to
/// [`crate::server::serve`].
macro_rules! on_every_driver {
    ($($(#[$attribute:meta])* fn $name:ident($on:ident) $body:block)+) => {$(
        $(#[$attribute])*
        fn $name($on: lanner_limits::Driver) $body

        $(#[$attribute])*
        mod $name {
            use lanner_limits::Driver;

            #[test] fn uring() { crate::drivers::run(Driver::Uring, super::$name); }
            #[test] fn epoll() { crate::drivers::run(Driver::Epoll, super::$name); }
            #[test] fn monoio() { crate::drivers::run(Driver::Monoio, super::$name); }
            #[test] fn monoio_epoll() { crate::drivers::run(Driver::MonoioEpoll, super::$name); }
            #[cfg(feature = "glommio")]
            #[test] fn glommio() { crate::drivers::run(Driver::Glommio, super::$name); }
        }
    )+};
}

/// Runs a test on a driver that can run here. One that cannot is a printed reason, and in CI a failure: a driver that
/// nobody tested must not look as if it had passed.
pub(crate) fn run(driver: Driver, test: fn(Driver)) {
    match missing(driver) {
        None => test(driver),
        Some(reason) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
            panic!("{driver} cannot run here: {reason}")
        }
        Some(reason) => eprintln!("skipped: {driver} cannot run here: {reason}"),
    }
}

/// Why a driver cannot run here, tried once for all tests.
fn missing(driver: Driver) -> Option<String> {
    static TRIED: Mutex<Vec<(Driver, Option<String>)>> = Mutex::new(Vec::new());
    let mut tried = TRIED.lock().unwrap();
    if let Some((_, reason)) = tried.iter().find(|(known, _)| *known == driver) {
        return reason.clone();
    }
    let started = Server::builder()
        .set("listen", "http://127.0.0.1:0")
        .set("workers", "1")
        .set("driver", &driver.to_string())
        .start(|_| app::hello);
    let reason = match started {
        Ok(server) => {
            server.handle().stop();
            server.join().unwrap();
            None
        }
        Err(StartError::Driver(error)) => Some(error.to_string()),
        Err(error) => panic!("{driver}: {error}"),
    };
    tried.push((driver, reason.clone()));
    reason
}
