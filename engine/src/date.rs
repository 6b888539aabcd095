//! The `Date` that every response carries (RFC 9110 section 6.6.1), written once a second.

use crate::clock;
use lanner_limits::Moment;
use std::fmt::Write as _;

/// The months as dates name them.
pub(crate) const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The current second as IMF-fixdate.
#[derive(Debug)]
pub(crate) struct Date {
    bytes: [u8; 29],
    seconds: u64,
    valid_until: Moment,
}

impl Date {
    pub(crate) fn new() -> Self {
        Self {
            bytes: imf_fixdate(0),
            seconds: 0,
            valid_until: Moment::ZERO,
        }
    }

    /// Brings the bytes up to date.
    pub(crate) fn refresh(&mut self, now: Moment) {
        if now >= self.valid_until {
            let (seconds, until_next) = clock::wall_clock();
            self.seconds = seconds;
            self.bytes = imf_fixdate(seconds);
            self.valid_until = now + until_next;
        }
    }

    /// Seconds since 1970.
    pub(crate) fn seconds(&self) -> u64 {
        self.seconds
    }

    pub(crate) fn bytes(&self) -> &[u8; 29] {
        &self.bytes
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
pub(crate) fn imf_fixdate(seconds: u64) -> [u8; 29] {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let mut text = String::with_capacity(29);
    let _ = write!(
        text,
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        DAYS[(days % 7) as usize],
        MONTHS[month as usize - 1],
        second / 3600,
        second / 60 % 60,
        second % 60,
    );
    text.as_bytes()
        .try_into()
        .unwrap_or(*b"Thu, 01 Jan 1970 00:00:00 GMT")
}

/// Year, month and day of a day since 1970-01-01, by the proleptic Gregorian calendar.
pub(crate) fn civil(days: u64) -> (u64, u64, u64) {
    // Counted in years that begin in March, so that the leap day comes last (the era is 400 years).
    let day = days + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_are_written_as_the_rfc_says() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            assert_eq!(std::str::from_utf8(&imf_fixdate(seconds)), Ok(text));
        }
    }
}
