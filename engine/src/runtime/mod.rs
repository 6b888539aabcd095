//! The backends: the only folder that knows epoll, io_uring or a runtime.
//!
//! A backend runs one [`Worker`](crate::worker::Worker) on the current thread until it is told to stop and has
//! nothing left to do. Its few verbs: accept, read, vectored write, wait until the worker's next deadline, wake.

mod accepting;
mod deferral;
mod delivery;
mod door;
mod epoll;
#[cfg(feature = "glommio")]
mod glommio;
pub(crate) mod inherited;
#[cfg(feature = "monoio")]
mod monoio;
mod prefetch;
mod reactor;
#[cfg(any(feature = "glommio", feature = "monoio"))]
mod tasks;
mod turn;
mod uring;

pub(crate) use deferral::defer_accept;
pub(crate) use reactor::{Reactor, Source};

use crate::control::Control;
use crate::exchange::Dispatch;
use crate::listener::Listening;
use crate::worker::Worker;
use lanner_limits::Driver;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// A backend that has been chosen.
#[derive(Clone, Debug)]
pub(crate) enum Backend {
    /// Our own, on io_uring.
    Uring(uring::Rings),
    /// Our own, on epoll.
    Epoll,
    /// monoio's, on io_uring.
    #[cfg(feature = "monoio")]
    Monoio(monoio::Ring),
    /// monoio's, on epoll.
    #[cfg(feature = "monoio")]
    MonoioEpoll,
    /// glommio's, on io_uring.
    #[cfg(feature = "glommio")]
    Glommio,
}

/// What one worker's thread runs on.
pub(crate) struct Setup<D: Dispatch> {
    pub(crate) worker: Worker<D>,
    pub(crate) listeners: Vec<Listening>,
    pub(crate) control: Arc<Control>,
    pub(crate) origin: Instant,
}

impl Backend {
    /// Chooses a backend that every one of `workers` can run on, and says why.
    ///
    /// # Errors
    /// If one was asked for by name that cannot run here.
    pub(crate) fn choose(driver: Driver, workers: usize) -> io::Result<(Self, &'static str)> {
        match driver {
            Driver::Auto => Ok(match uring::Rings::make(workers) {
                Ok(rings) => Self::on_rings(rings, "io_uring can be used here"),
                Err(error) => {
                    let reason = format!("io_uring cannot be used: {error}");
                    // Once for each start of a server.
                    (Self::Epoll, reason.leak())
                }
            }),
            Driver::Uring => {
                let rings = uring::Rings::make(workers)?;
                Ok(Self::on_rings(rings, "asked for"))
            }
            Driver::Epoll => Ok((Self::Epoll, "asked for")),
            #[cfg(feature = "monoio")]
            Driver::Monoio => Ok(match monoio::Ring::probe(workers) {
                Ok(ring) => (
                    Self::Monoio(ring),
                    "asked for, and its io_uring driver can run",
                ),
                Err(error) => {
                    let reason = format!("monoio was asked for, but not on io_uring: {error}");
                    // Once for each start of a server.
                    (Self::MonoioEpoll, reason.leak())
                }
            }),
            #[cfg(feature = "monoio")]
            Driver::MonoioEpoll => Ok((Self::MonoioEpoll, "asked for")),
            #[cfg(not(feature = "monoio"))]
            Driver::Monoio | Driver::MonoioEpoll => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this build does not have the monoio backend: it was made without the cargo feature `monoio`",
            )),
            #[cfg(feature = "glommio")]
            Driver::Glommio => {
                glommio::probe(workers)?;
                Ok((Self::Glommio, "asked for"))
            }
            #[cfg(not(feature = "glommio"))]
            Driver::Glommio => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this build does not have the glommio backend: it was made without the cargo feature `glommio`",
            )),
        }
    }

    fn on_rings(rings: uring::Rings, reason: &'static str) -> (Self, &'static str) {
        let reason = match rings.stepped_down() {
            None => reason,
            // Once for each start of a server.
            Some(size) => format!("{reason}, with rings of {size}").leak(),
        };
        (Self::Uring(rings), reason)
    }

    /// The name in logs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Uring(_) => "uring",
            Self::Epoll => "epoll",
            #[cfg(feature = "monoio")]
            Self::Monoio(_) => "monoio",
            #[cfg(feature = "monoio")]
            Self::MonoioEpoll => "monoio-epoll",
            #[cfg(feature = "glommio")]
            Self::Glommio => "glommio",
        }
    }

    /// Serves until the server stops. `started` is called once everything is in place.
    pub(crate) fn run<D: Dispatch>(
        self,
        setup: Setup<D>,
        started: impl FnOnce(),
    ) -> io::Result<()> {
        match self {
            Self::Uring(rings) => uring::run(&rings, setup, started),
            Self::Epoll => epoll::run(setup, started),
            #[cfg(feature = "monoio")]
            Self::Monoio(ring) => monoio::run(Some(ring), setup, started),
            #[cfg(feature = "monoio")]
            Self::MonoioEpoll => monoio::run(None, setup, started),
            #[cfg(feature = "glommio")]
            Self::Glommio => glommio::run(setup, started),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[cfg(not(feature = "glommio"))]
    #[test]
    fn a_build_without_glommio_names_the_feature() {
        let told = Backend::choose(Driver::Glommio, 1).unwrap_err().to_string();
        assert!(told.contains("cargo feature `glommio`"), "{told}");
    }

    #[test]
    fn what_is_chosen_by_itself_is_our_own() {
        let (chosen, reason) = Backend::choose(Driver::Auto, 1).unwrap();
        assert!(["uring", "epoll"].contains(&chosen.name()), "{reason}");
    }
}
