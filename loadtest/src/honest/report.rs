//! What an honest client felt, for people and for scripts.

use std::fmt;

use crate::latency::{Figures, Latency};

/// Requests that were not answered with 200, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// Not answered in time. These also count into the latencies, with the time they waited: leaving out the slowest would
    /// flatter the server.
    pub timed_out: u64,
    /// The connection ended before the answer did.
    pub cut: u64,
    /// Another status than 200.
    pub status: u64,
    /// An answer that is not understood.
    pub malformed: u64,
}

impl Failures {
    /// All of them.
    pub fn sum(self) -> u64 {
        self.timed_out + self.cut + self.status + self.malformed
    }
}

/// What was measured, the warm-up left out.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// From the intended start to the last byte of the answer.
    pub latency: Latency,
    /// From the intended start to the moment a request was written: the generator's own lateness, and the wait for a
    /// connection. Where its p99 nears the latency's, the generator or its pool is what was measured.
    pub lag: Latency,
    /// Requests that failed.
    pub failures: Failures,
    /// Connections opened anew because the server had ended one.
    pub reconnected: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { count, .. } = self.latency.figures();
        let Failures {
            timed_out,
            cut,
            status,
            malformed,
        } = self.failures;
        writeln!(
            formatter,
            "recorded {count}, reconnected {}",
            self.reconnected
        )?;
        writeln!(
            formatter,
            "failed {}: timed out {timed_out}, cut {cut}, not 200 {status}, malformed {malformed}",
            self.failures.sum()
        )?;
        writeln!(formatter, "latency  {}", self.latency.figures())?;
        write!(formatter, "lag      {}", self.lag.figures())
    }
}

impl Report {
    /// The same as one JSON object on one line.
    pub fn json(&self) -> String {
        let Failures {
            timed_out,
            cut,
            status,
            malformed,
        } = self.failures;
        format!(
            "{{\"recorded\":{},\"failed\":{},\"timed_out\":{timed_out},\"cut\":{cut},\"status\":{status},\
             \"malformed\":{malformed},\"reconnected\":{},\"latency_ms\":{},\"lag_ms\":{}}}",
            self.latency.figures().count,
            self.failures.sum(),
            self.reconnected,
            self.latency.figures().json(),
            self.lag.figures().json(),
        )
    }
}
