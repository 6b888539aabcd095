//! Latencies of many requests in bounded memory, to three significant digits.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Longer latencies are recorded as this one.
const LONGEST: Duration = Duration::from_secs(3600);

/// A histogram of latencies.
#[derive(Clone, Debug)]
pub struct Latency {
    nanoseconds: Histogram<u64>,
}

/// The figures one quotes of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// How many were recorded.
    pub count: u64,
    /// Half were at most this.
    pub p50: Duration,
    /// Nine of ten were at most this.
    pub p90: Duration,
    /// All but one in a hundred were at most this.
    pub p99: Duration,
    /// All but one in a thousand were at most this.
    pub p999: Duration,
    /// All but one in ten thousand were at most this.
    pub p9999: Duration,
    /// The longest.
    pub max: Duration,
}

/// For people, in milliseconds.
impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = ["p50", "p90", "p99", "p99.9", "p99.99", "max"];
        for (label, millis) in labels.into_iter().zip(self.millis()) {
            write!(formatter, " {label} {millis:.3} ms ")?;
        }
        Ok(())
    }
}

impl Figures {
    /// A JSON object, in milliseconds.
    pub fn json(&self) -> String {
        let [p50, p90, p99, p999, p9999, max] = self.millis();
        format!(
            "{{\"p50\":{p50:.4},\"p90\":{p90:.4},\"p99\":{p99:.4},\"p999\":{p999:.4},\"p9999\":{p9999:.4},\"max\":{max:.4}}}"
        )
    }

    fn millis(&self) -> [f64; 6] {
        let [p50, p90, p99] = [self.p50, self.p90, self.p99];
        [p50, p90, p99, self.p999, self.p9999, self.max].map(|time| time.as_secs_f64() * 1e3)
    }
}

impl Latency {
    /// An empty histogram.
    pub fn new() -> Self {
        Self::with_digits(3)
    }

    /// An empty histogram of two digits, an eighth as large: for one of many.
    pub fn coarse() -> Self {
        Self::with_digits(2)
    }

    fn with_digits(digits: u8) -> Self {
        let nanoseconds = Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, digits)
            .expect("the bounds and the digits are constants in hdrhistogram's range");
        Self { nanoseconds }
    }

    /// Adds another's.
    pub fn merge(&mut self, other: &Self) {
        // They have the same bounds, so nothing of it lies outside.
        let added = self.nanoseconds.add(&other.nanoseconds);
        debug_assert!(added.is_ok());
    }

    /// How many were recorded.
    pub fn count(&self) -> u64 {
        self.nanoseconds.len()
    }

    /// The histogram itself, in nanoseconds.
    pub fn nanoseconds(&self) -> &Histogram<u64> {
        &self.nanoseconds
    }

    /// Adds several of the same length.
    pub fn record_many(&mut self, latency: Duration, count: u64) {
        let latency = latency.min(LONGEST);
        self.nanoseconds
            .saturating_record_n(latency.as_nanos() as u64, count);
    }

    /// Adds one.
    pub fn record(&mut self, latency: Duration) {
        let latency = latency.min(LONGEST);
        self.nanoseconds
            .saturating_record(latency.as_nanos() as u64);
    }

    /// The figures; all zero when nothing was recorded.
    pub fn figures(&self) -> Figures {
        let at = |quantile| Duration::from_nanos(self.nanoseconds.value_at_quantile(quantile));
        Figures {
            count: self.nanoseconds.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: Duration::from_nanos(self.nanoseconds.max()),
        }
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(measured: Duration, expected_micros: u64) -> bool {
        let expected = Duration::from_micros(expected_micros);
        measured.abs_diff(expected) <= expected / 1000 + Duration::from_nanos(1)
    }

    #[test]
    fn quantiles_of_a_known_series_are_right_to_three_digits() {
        let mut latency = Latency::new();
        for micros in 1..=10_000 {
            latency.record(Duration::from_micros(micros));
        }
        let figures = latency.figures();
        assert_eq!(figures.count, 10_000);
        let expected = [5_000, 9_000, 9_900, 9_990, 9_999, 10_000];
        let measured = [
            figures.p50,
            figures.p90,
            figures.p99,
            figures.p999,
            figures.p9999,
            figures.max,
        ];
        for (measured, expected) in measured.into_iter().zip(expected) {
            assert!(
                close(measured, expected),
                "{measured:?} is not {expected} us"
            );
        }
    }

    #[test]
    fn one_outlier_shows_in_the_maximum_only() {
        let mut latency = Latency::new();
        for _ in 0..999 {
            latency.record(Duration::from_micros(100));
        }
        latency.record(Duration::from_secs(2));
        let figures = latency.figures();
        assert!(close(figures.p999, 100), "{figures:?}");
        assert!(close(figures.max, 2_000_000), "{figures:?}");
    }

    #[test]
    fn figures_are_told_in_milliseconds() {
        let mut latency = Latency::new();
        latency.record(Duration::from_millis(2));
        let figures = latency.figures();
        let text = figures.to_string();
        assert!(
            text.contains("p50 2.00") && text.contains("max 2.00"),
            "{text}"
        );
        let json = figures.json();
        assert!(
            json.starts_with("{\"p50\":2.00") && json.contains("\"p999\":2.00"),
            "{json}"
        );
    }

    #[test]
    fn an_endless_latency_is_kept_as_the_longest_one() {
        let mut latency = Latency::new();
        latency.record(Duration::MAX);
        assert_eq!(latency.figures().count, 1);
        assert!(latency.figures().max >= Duration::from_secs(3596));
        assert_eq!(Latency::new().figures().max, Duration::ZERO);
    }
}
