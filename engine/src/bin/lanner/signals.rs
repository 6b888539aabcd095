//! SIGTERM and SIGINT: the first asks the server to stop, the second to end at once.
//!
//! SIGPIPE is ignored by Rust's start-up code. SIGHUP and the rest keep their usual meaning.

use crate::failure::Failure;
use lanner::ServerHandle;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Signals that wait for somebody to follow them: one that comes while the server starts is not lost.
pub(crate) struct Waiting(Signals);

impl Waiting {
    /// From here on the signals no longer end the process by themselves.
    pub(crate) fn begin() -> Result<Self, Failure> {
        Signals::new([SIGTERM, SIGINT])
            .map(Self)
            .map_err(|error| Failure::System("cannot take signals", error))
    }

    /// Follows them on a thread of its own, for as long as the process lives.
    pub(crate) fn steer(mut self, server: ServerHandle) -> Result<(), Failure> {
        let follow = move || {
            let mut received = self.0.forever();
            if let Some(signal) = received.next() {
                tracing::info!(
                    "{}: stopping; a second signal ends everything at once",
                    name(signal)
                );
                server.stop();
            }
            if let Some(signal) = received.next() {
                tracing::warn!("{}: ending at once", name(signal));
                server.stop_now();
            }
            // A third has nothing to add, and must not end the process by the default action either.
            received.for_each(drop);
        };
        let thread = std::thread::Builder::new()
            .name("lanner-signals".to_owned())
            .spawn(follow);
        thread
            .map(drop)
            .map_err(|error| Failure::System("cannot start the thread that follows signals", error))
    }
}

fn name(signal: i32) -> &'static str {
    match signal {
        SIGINT => "SIGINT",
        _ => "SIGTERM",
    }
}
