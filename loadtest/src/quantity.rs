//! Values a command line carries: times with a unit, rates, counts, addresses. A bare number is never a time, for nobody
//! agrees on its unit.

use std::net::SocketAddr;
use std::time::Duration;

/// Something that can be written on a command line.
pub trait Quantity: Sized {
    /// What an error says was expected.
    const EXPECTED: &'static str;

    /// Reads it; `None` if it is written wrongly.
    fn read(text: &str) -> Option<Self>;
}

/// Events per second, above zero.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// Most events per second that one thread could meaningfully time.
    pub const PER_SECOND_MAX: f64 = 1e6;

    /// Events per second.
    pub fn per_second(self) -> f64 {
        self.0
    }

    /// A part of it; `share` lies above 0 and is at most 1.
    pub fn share(self, share: f64) -> Self {
        debug_assert!(share > 0.0 && share <= 1.0);
        Self(self.0 * share)
    }
}

impl Quantity for Duration {
    const EXPECTED: &'static str = "a time with its unit, such as 500ms, 5s, 2m";

    fn read(text: &str) -> Option<Self> {
        let digits_end =
            text.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let (number, unit) = text.split_at(digits_end);
        let seconds_per_unit = match unit {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let seconds = number.parse::<f64>().ok()? * seconds_per_unit;
        Self::try_from_secs_f64(seconds)
            .ok()
            .filter(|time| *time <= DURATION_MAX)
    }
}

/// A longer time is a slip of the pen, and adding it to a clock may overflow.
const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

impl Quantity for Rate {
    const EXPECTED: &'static str = "a rate above 0 and up to 1000000/s, such as 500/s";

    fn read(text: &str) -> Option<Self> {
        let number = text
            .strip_suffix("/s")
            .unwrap_or(text)
            .parse::<f64>()
            .ok()?;
        (number > 0.0 && number <= Self::PER_SECOND_MAX).then_some(Self(number))
    }
}

impl Quantity for usize {
    const EXPECTED: &'static str = "a whole number";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Quantity for SocketAddr {
    const EXPECTED: &'static str = "an address and port, such as 127.0.0.1:8080 or [::1]:8080";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_need_a_unit() {
        for (text, millis) in [
            ("5s", 5_000),
            ("500ms", 500),
            ("1.5s", 1_500),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(
                Duration::read(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
        assert_eq!(Duration::read("250us"), Some(Duration::from_micros(250)));
        for text in [
            "5",
            "",
            "s",
            "-5s",
            "5 s",
            "5sec",
            "1e3s",
            "1.2.3s",
            "99999999h",
        ] {
            assert_eq!(Duration::read(text), None, "{text}");
        }
    }

    #[test]
    fn rates_are_above_zero_and_bounded() {
        assert_eq!(Rate::read("500/s"), Some(Rate(500.0)));
        assert_eq!(Rate::read("0.5"), Some(Rate(0.5)));
        for text in ["0/s", "-1", "nan", "inf", "2000000/s", "500/m", ""] {
            assert_eq!(Rate::read(text), None, "{text}");
        }
    }

    #[test]
    fn addresses_carry_a_port() {
        assert!(SocketAddr::read("127.0.0.1:80").is_some());
        assert!(SocketAddr::read("[::1]:80").is_some());
        assert_eq!(SocketAddr::read("127.0.0.1"), None);
        assert_eq!(SocketAddr::read("localhost:80"), None);
    }
}
