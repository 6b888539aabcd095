//! Somebody's wish that a run end before its time: a signal's, or that of whoever called.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What a shell adds to a signal's number when it says that a program was ended by it.
const ENDED_BY_SIGNAL: i32 = 128;

/// See the file's comment. What is measured until then is kept; clones are of the same wish.
#[derive(Clone, Debug, Default)]
pub struct Interruption {
    is_wanted: Arc<AtomicBool>,
    /// The number of the signal; zero where it was none.
    signal: Arc<AtomicUsize>,
}

impl Interruption {
    /// One that SIGINT (Ctrl-C) and SIGTERM bring about from here on; the second of them ends the process at once.
    ///
    /// # Errors
    /// The system does not let us take signals.
    pub fn by_signals() -> io::Result<Self> {
        let wish = Self::default();
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds no wish, and leaves one to the second.
            flag::register_conditional_shutdown(
                signal,
                ENDED_BY_SIGNAL + signal,
                wish.is_wanted.clone(),
            )?;
            flag::register_usize(signal, wish.signal.clone(), signal as usize)?;
            flag::register(signal, wish.is_wanted.clone())?;
        }
        Ok(wish)
    }

    /// Ends the run within a tenth of a second.
    pub fn interrupt(&self) {
        self.is_wanted.store(true, Ordering::SeqCst);
    }

    /// Whether the run is to end.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }
}

/// What the run says of its end.
impl fmt::Display for Interruption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match i32::try_from(self.signal.load(Ordering::SeqCst)) {
            Ok(SIGINT) => " by SIGINT",
            Ok(SIGTERM) => " by SIGTERM",
            _ => "",
        };
        write!(formatter, "interrupted{by}")
    }
}
