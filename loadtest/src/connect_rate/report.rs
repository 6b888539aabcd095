//! What came of one connection a request, for people and for scripts.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use crate::latency::Latency;
use crate::quantity::Rate;

/// A client later than this has not asked at the rate it was to: in a run of ten seconds, one that is half a percent too slow.
const LAG_MAX: Duration = Duration::from_millis(50);

/// Connections that were not answered with 200 and closed by the server, by why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// Nobody listened.
    pub refused: u64,
    /// Reset by the server.
    pub reset: u64,
    /// No whole answer in time.
    pub unanswered: u64,
    /// Answered, and then not closed in time.
    pub unclosed: u64,
    /// Closed by the server before its answer was whole.
    pub cut: u64,
    /// An answer that is not 200, or not understood.
    pub malformed: u64,
    /// Failures on our side, such as no port or descriptor left, by their error.
    pub own: BTreeMap<String, u64>,
}

impl Failures {
    /// All of them.
    pub fn sum(&self) -> u64 {
        let named = self.named().iter().map(|(_, count)| count).sum::<u64>();
        named + self.own.values().sum::<u64>()
    }

    /// Adds what ended a connection.
    pub(super) fn count(&mut self, error: &io::Error) {
        let counter = match error.kind() {
            io::ErrorKind::ConnectionRefused => &mut self.refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => &mut self.reset,
            io::ErrorKind::UnexpectedEof => &mut self.cut,
            io::ErrorKind::InvalidData => &mut self.malformed,
            _ => self.own.entry(error.to_string()).or_default(),
        };
        *counter += 1;
    }

    fn named(&self) -> [(&'static str, u64); 6] {
        [
            ("refused", self.refused),
            ("reset", self.reset),
            ("unanswered", self.unanswered),
            ("unclosed", self.unclosed),
            ("cut", self.cut),
            ("malformed", self.malformed),
        ]
    }
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Report {
    /// Connections a second that were to be begun.
    pub asked: f64,
    /// Connections that were to be begun.
    pub arrivals: usize,
    /// Connections that were answered 200 and closed by the server.
    pub complete: u64,
    /// The others.
    pub failures: Failures,
    /// From the intended begin to the last byte of the answer.
    pub latency: Latency,
    /// From the intended begin to the real one.
    pub lag: Latency,
    /// Most connections at once.
    pub open_most: usize,
    /// Share of one core that this client used: near 1 it can do no more.
    pub busy: f64,
    /// The first and the last begin.
    span: Option<(Instant, Instant)>,
}

impl Report {
    pub(super) fn new(rate: Rate, arrivals: usize) -> Self {
        Self {
            asked: rate.per_second(),
            arrivals,
            complete: 0,
            failures: Failures::default(),
            latency: Latency::new(),
            lag: Latency::new(),
            open_most: 0,
            busy: 0.0,
            span: None,
        }
    }

    pub(super) fn begun(&mut self, lag: Duration, now: Instant) {
        self.lag.record(lag);
        self.span = Some((self.span.map_or(now, |(first, _)| first), now));
    }

    /// Connections a second that were begun, from the first to the last: the client's own limit if it is below what was asked.
    pub fn begun_per_second(&self) -> f64 {
        let Some((first, last)) = self.span.filter(|(first, last)| first < last) else {
            return 0.0;
        };
        (self.lag.figures().count - 1) as f64 / (last - first).as_secs_f64()
    }

    /// Whether both sides kept up: every connection was begun in time, answered and closed.
    pub fn is_held(&self) -> bool {
        self.failures.sum() == 0 && self.lag.figures().p99 <= LAG_MAX
    }

    /// What stood in the way, for people.
    fn verdict(&self) -> &'static str {
        match (self.failures.sum() == 0, self.is_held()) {
            (_, true) => "held",
            (true, false) if self.busy > 0.9 => "not held: this client had no more of its core",
            (true, false) => "not held: this client was late for want of a core, or of connections",
            (false, _) => "not held: connections failed",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "asked {:.0}/s, begun {:.0}/s: {}",
            self.asked,
            self.begun_per_second(),
            self.verdict()
        )?;
        write!(
            formatter,
            "complete {} of {}, at most {} open, client busy {:.0} %\nfailed {}",
            self.complete,
            self.arrivals,
            self.open_most,
            self.busy * 100.0,
            self.failures.sum()
        )?;
        for (name, count) in self.failures.named() {
            write!(formatter, ", {name} {count}")?;
        }
        for (error, count) in &self.failures.own {
            write!(formatter, ", {error}: {count}")?;
        }
        writeln!(formatter, "\nlatency  {}", self.latency.figures())?;
        write!(formatter, "lag      {}", self.lag.figures())
    }
}

impl Report {
    /// The same as one JSON object on one line.
    pub fn json(&self) -> String {
        let named = self.failures.named();
        let failures: Vec<_> = named
            .iter()
            .map(|(name, count)| format!("\"{name}\":{count}"))
            .collect();
        format!(
            "{{\"asked_per_s\":{:.1},\"begun_per_s\":{:.1},\"held\":{},\"arrivals\":{},\"complete\":{},\"open_most\":{},\
             \"busy\":{:.3},\"failed\":{},{},\"own\":{},\"latency_ms\":{},\"lag_ms\":{}}}",
            self.asked,
            self.begun_per_second(),
            self.is_held(),
            self.arrivals,
            self.complete,
            self.open_most,
            self.busy,
            self.failures.sum(),
            failures.join(","),
            self.failures.own.values().sum::<u64>(),
            self.latency.figures().json(),
            self.lag.figures().json(),
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::quantity::Quantity;

    fn report(lag: Duration, count: u32) -> Report {
        let mut report = Report::new(Rate::read("100/s").unwrap(), count as usize);
        let start = Instant::now();
        for index in 0..count {
            report.begun(lag, start + Duration::from_millis(20) * index);
            report.complete += 1;
        }
        report
    }

    #[test]
    fn the_rate_begun_is_that_between_the_first_and_the_last() {
        let report = report(Duration::ZERO, 51);
        assert!((report.begun_per_second() - 50.0).abs() < 1e-6);
        assert_eq!(self::report(Duration::ZERO, 1).begun_per_second(), 0.0);
        assert_eq!(self::report(Duration::ZERO, 0).begun_per_second(), 0.0);
    }

    #[test]
    fn a_rate_is_held_only_without_failures_and_in_time() {
        assert!(report(LAG_MAX / 2, 10).is_held());
        assert!(!report(LAG_MAX * 2, 10).is_held());
        let mut failed = report(Duration::ZERO, 10);
        failed.failures.count(&io::Error::other("no port"));
        assert!(!failed.is_held());
        assert!(failed.to_string().contains("no port: 1"), "{failed}");
        assert!(
            failed.json().contains("\"held\":false"),
            "{}",
            failed.json()
        );
    }

    #[test]
    fn errors_go_to_the_side_that_made_them() {
        let mut failures = Failures::default();
        for kind in [
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::BrokenPipe,
            io::ErrorKind::AddrNotAvailable,
        ] {
            failures.count(&kind.into());
        }
        assert_eq!((failures.refused, failures.reset), (1, 2));
        assert_eq!((failures.own.len(), failures.sum()), (1, 4));
    }
}
