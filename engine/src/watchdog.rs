//! Tells of workers that do not come round while it happens: a handler that blocks for ever never lets its worker's
//! own clock notice the gap.

use crate::counters::WorkerCounters;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How long a turn may last before it is told of.
const PATIENCE: Duration = Duration::from_secs(1);

/// One worker's sign of life: odd while a turn is under way, even while it waits.
#[derive(Debug, Default)]
pub(crate) struct Pulse(AtomicU64);

impl Pulse {
    /// A turn begins or ends. Only the worker itself calls this.
    pub(crate) fn beat(&self) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(1),
            Ordering::Relaxed,
        );
    }

    /// There will be no further turn.
    pub(crate) fn rest(&self) {
        if !self.read().is_multiple_of(2) {
            self.beat();
        }
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What was seen of one worker at the last look.
#[derive(Debug, Default)]
struct Seen {
    beat: u64,
    looks: u32,
}

impl Seen {
    /// Takes the pulse. Returns for how many looks the same turn has been under way, if it should be told of now.
    fn look(&mut self, beat: u64) -> Option<u32> {
        if beat != self.beat || beat.is_multiple_of(2) {
            *self = Self { beat, looks: 0 };
            return None;
        }
        self.looks += 1;
        // Told at first, then ever more seldom.
        self.looks.is_power_of_two().then_some(self.looks)
    }
}

/// The thread that looks. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Watchdog {
    _alive: Sender<()>,
}

impl Watchdog {
    /// Begins to look after the workers.
    pub(crate) fn start(workers: Vec<Arc<WorkerCounters>>) -> std::io::Result<Self> {
        let (alive, ended) = channel::<()>();
        std::thread::Builder::new()
            .name("lanner-watchdog".into())
            .spawn(move || {
                let mut seen: Vec<Seen> = workers.iter().map(|_| Seen::default()).collect();
                while ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                    for (worker, (counters, seen)) in workers.iter().zip(&mut seen).enumerate() {
                        if let Some(looks) = seen.look(counters.pulse.read()) {
                            let seconds = u64::from(looks) * PATIENCE.as_secs();
                            tracing::warn!(worker, seconds, "a handler holds up its worker");
                        }
                    }
                }
            })?;
        Ok(Self { _alive: alive })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_goes_on_is_told_of_ever_more_seldom_and_a_wait_never() {
        let (pulse, mut seen) = (Pulse::default(), Seen::default());
        assert!((0..10).all(|_| seen.look(pulse.read()).is_none()));
        pulse.beat();
        let told: Vec<_> = (0..10).filter_map(|_| seen.look(pulse.read())).collect();
        assert_eq!(told, [1, 2, 4, 8]);
        pulse.beat();
        pulse.beat();
        assert_eq!(seen.look(pulse.read()), None);
    }
}
