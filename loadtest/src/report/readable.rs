//! Numbers as people read them: counts with their thousands apart, times and sizes in the unit that suits them.

use std::fmt;

/// A count or a rate: 1,234,567.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count(pub(super) f64);

impl Count {
    pub(super) fn of(count: u64) -> Self {
        Self(count as f64)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0;
        // A slow server's rate has something behind the point.
        let digits = if number < 100.0 && number.fract() != 0.0 {
            format!("{number:.2}")
        } else {
            format!("{number:.0}")
        };
        let (whole, rest) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
        let mut text = String::with_capacity(digits.len() * 4 / 3);
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        text.push_str(rest);
        formatter.pad(&text)
    }
}

/// Milliseconds: 412 µs, 1.23 ms, 2.50 s.
#[derive(Clone, Copy, Debug)]
pub(super) struct Millis(pub(super) f64);

impl fmt::Display for Millis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0;
        // Three digits, which is what the histograms have; whatever would be rounded to 1000 is 1 of the next unit.
        let (number, unit) = if millis < 0.999_5e-3 {
            (millis * 1e6, "ns")
        } else if millis < 0.999_5 {
            (millis * 1e3, "µs")
        } else if millis < 999.5 {
            (millis, "ms")
        } else {
            (millis / 1e3, "s")
        };
        let decimals = match number {
            number if number < 9.995 => 2,
            number if number < 99.95 => 1,
            _ => 0,
        };
        formatter.pad(&format!("{number:.decimals$} {unit}"))
    }
}

/// Bytes: 512 B, 1.23 GB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size(pub(super) f64);

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut number = self.0;
        let mut units = ["B", "kB", "MB", "GB", "TB"].into_iter();
        let mut unit = units.next().unwrap_or_default();
        while number >= 999.5
            && let Some(larger) = units.next()
        {
            number /= 1e3;
            unit = larger;
        }
        let decimals = if unit == "B" || number >= 99.95 { 0 } else { 1 };
        formatter.pad(&format!("{number:.decimals$} {unit}"))
    }
}

/// Seconds: 0.25 s, 10 s.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds(pub(super) f64);

impl fmt::Display for Seconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = (self.0 * 100.0).round() / 100.0;
        formatter.pad(&format!("{rounded} s"))
    }
}

/// A text that others wrote, without what would move a terminal's cursor or change its colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain<'a>(pub(super) &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            let shown = if character.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                character
            };
            fmt::Write::write_char(formatter, shown)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        for (number, text) in [
            (0.0, "0"),
            (999.0, "999"),
            (1_000.0, "1,000"),
            (1_234_567.4, "1,234,567"),
            (12.5, "12.50"),
            (100.4, "100"),
        ] {
            assert_eq!(Count(number).to_string(), text);
        }
    }

    #[test]
    fn a_time_has_three_digits_and_its_unit() {
        for (millis, text) in [
            (0.0, "0.00 ns"),
            (0.000_512, "512 ns"),
            (0.000_999_9, "1.00 µs"),
            (0.041_23, "41.2 µs"),
            (0.412, "412 µs"),
            (0.999_9, "1.00 ms"),
            (9.996, "10.0 ms"),
            (99.96, "100 ms"),
            (999.9, "1.00 s"),
            (61_000.0, "61.0 s"),
        ] {
            assert_eq!(Millis(millis).to_string(), text);
        }
        assert_eq!(format!("{:>10}", Millis(1.0)), "   1.00 ms");
    }

    #[test]
    fn a_size_has_its_unit() {
        for (bytes, text) in [
            (0.0, "0 B"),
            (999.0, "999 B"),
            (1_000.0, "1.0 kB"),
            (123_456.0, "123 kB"),
            (1.5e9, "1.5 GB"),
            (2e16, "20000 TB"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }

    #[test]
    fn what_others_wrote_cannot_steer_a_terminal() {
        assert_eq!(
            Plain("a\x1b[31mb\r\nc").to_string(),
            "a\u{fffd}[31mb\u{fffd}\u{fffd}c"
        );
    }
}
