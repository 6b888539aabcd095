//! The time of day, as certificates and tickets need it. Tests set their own.

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use std::sync::Arc;
use std::time::Duration;

/// The system's time of day.
#[derive(Debug)]
struct SystemClock;

impl TimeProvider for SystemClock {
    fn current_time(&self) -> Option<UnixTime> {
        let (seconds, _) = crate::clock::wall_clock();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// A source of the time of day, shared by everything that TLS does.
#[derive(Clone, Debug)]
pub(crate) struct WallClock(Arc<dyn TimeProvider>);

impl WallClock {
    /// The system's.
    pub(crate) fn system() -> WallClock {
        WallClock(Arc::new(SystemClock))
    }

    #[cfg(test)]
    pub(crate) fn made_up(clock: Arc<dyn TimeProvider>) -> WallClock {
        WallClock(clock)
    }

    /// Seconds since 1970.
    pub(crate) fn seconds(&self) -> u64 {
        self.0.current_time().map_or(0, |time| time.as_secs())
    }

    /// For rustls.
    pub(crate) fn provider(&self) -> Arc<dyn TimeProvider> {
        self.0.clone()
    }
}
