//! From when to when a certificate or a revocation list is valid, read from its DER (RFC 5280 sections 4.1 and 5.1): rustls
//! judges this of peers' but tells nobody the dates, and we want to warn of our own before they run out.

use crate::date::civil;

/// Seconds since 1970, both included; a revocation list is out at its end already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Validity {
    pub(crate) begins: u64,
    pub(crate) ends: u64,
}

impl Validity {
    /// Of an X.509 certificate; none where it is not shaped like one.
    pub(crate) fn of(certificate: &[u8]) -> Option<Validity> {
        let mut outer = Elements(certificate);
        let mut certificate = Elements(outer.next_of(SEQUENCE)?);
        let mut fields = Elements(certificate.next_of(SEQUENCE)?);
        // The version is left out in those of version 1.
        if fields.peek() == Some(VERSION) {
            fields.next_of(VERSION)?;
        }
        fields.next_of(INTEGER)?;
        // The algorithm, and who signed it.
        fields.next_of(SEQUENCE)?;
        fields.next_of(SEQUENCE)?;
        let mut dates = Elements(fields.next_of(SEQUENCE)?);
        Some(Validity {
            begins: dates.next_time()?,
            ends: dates.next_time()?,
        })
    }

    /// Of a revocation list: from when it is until when there is to be a newer one. None where it is not shaped like one,
    /// or does not say.
    pub(crate) fn of_list(list: &[u8]) -> Option<Validity> {
        let mut outer = Elements(list);
        let mut list = Elements(outer.next_of(SEQUENCE)?);
        let mut fields = Elements(list.next_of(SEQUENCE)?);
        // Left out in those of version 1, and without a tag of its own.
        if fields.peek() == Some(INTEGER) {
            fields.next_of(INTEGER)?;
        }
        // The algorithm, and who signed it.
        fields.next_of(SEQUENCE)?;
        fields.next_of(SEQUENCE)?;
        Some(Validity {
            begins: fields.next_time()?,
            ends: fields.next_time()?,
        })
    }

    pub(crate) fn holds_at(self, seconds: u64) -> bool {
        (self.begins..=self.ends).contains(&seconds)
    }
}

/// `2033-05-18 03:33 UTC`
pub(crate) fn utc(seconds: u64) -> String {
    let (year, month, day) = civil(seconds / 86_400);
    let minutes = seconds / 60 % 1_440;
    let (hour, minute) = (minutes / 60, minutes % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xA0;

/// DER elements one after the other.
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The content of the next element, if it has this tag.
    fn next_of(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&found, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7F => (usize::from(first), rest),
            // 0x80 has no length at all, which is not DER. More than four bytes of length is no certificate.
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
                let length = bytes
                    .iter()
                    .fold(0, |length, byte| length << 8 | usize::from(*byte));
                (length, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (found == tag).then_some(content)
    }

    /// A time, in the one form of each kind that RFC 5280 section 4.1.2.5 allows.
    fn next_time(&mut self) -> Option<u64> {
        let tag = self.peek()?;
        let text = self.next_of(tag)?.strip_suffix(b"Z")?;
        let pairs = match (tag, text.len()) {
            (UTC_TIME, 12) | (GENERALIZED_TIME, 14) => text.chunks_exact(2),
            _ => return None,
        };
        let mut numbers = pairs.map(|pair| {
            let [tens, ones] = [pair[0], pair[1]].map(|digit| digit.wrapping_sub(b'0'));
            (tens <= 9 && ones <= 9).then(|| u64::from(tens) * 10 + u64::from(ones))
        });
        let mut next = || numbers.next().flatten();
        let year = match (tag, next()?) {
            (GENERALIZED_TIME, century) => century * 100 + next()?,
            (_, year @ 50..) => 1900 + year,
            (_, year) => 2000 + year,
        };
        let (month, day) = (next()?, next()?);
        let (hour, minute, second) = (next()?, next()?, next()?);
        let fits = (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60;
        if !fits {
            return None;
        }
        // What is older than 1970 has begun at any rate.
        let days = days_since_1970(year, month, day).unwrap_or(0);
        Some(((days * 24 + hour) * 60 + minute) * 60 + second)
    }
}

/// Days from the first day of 1970 to this one; none for what is before it. A year begins in March here, so that the day
/// that comes and goes is its last.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    const DAYS_TO_1970: u64 = 719_468;
    let year = if month <= 2 {
        year.checked_sub(1)?
    } else {
        year
    };
    let month = (month + 9) % 12;
    let days_before_month = (153 * month + 2) / 5;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + days_before_month + day - 1;
    days.checked_sub(DAYS_TO_1970)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::tls::testing::{self, DAY, NOW};
    use proptest::prelude::*;
    use rustls::pki_types::CertificateRevocationListDer;
    use rustls::pki_types::pem::PemObject as _;

    fn time(tag: u8, text: &str) -> Option<u64> {
        let mut der = vec![tag, u8::try_from(text.len()).unwrap()];
        der.extend_from_slice(text.as_bytes());
        Elements(&der).next_time()
    }

    #[test]
    fn dates_are_those_that_date_1_prints() {
        for (tag, text, seconds) in [
            (UTC_TIME, "700101000000Z", 0),
            (UTC_TIME, "491231235959Z", 2_524_607_999),
            (UTC_TIME, "000229120000Z", 951_825_600),
            (UTC_TIME, "500101000000Z", 0),
            (GENERALIZED_TIME, "20500101000000Z", 2_524_608_000),
            (GENERALIZED_TIME, "99991231235959Z", 253_402_300_799),
            (GENERALIZED_TIME, "00000101000000Z", 0),
        ] {
            assert_eq!(time(tag, text), Some(seconds), "{text}");
        }
        for (tag, text) in [
            (UTC_TIME, "7001010000Z"),
            (UTC_TIME, "700101000000"),
            (UTC_TIME, "701301000000Z"),
            (UTC_TIME, "70010100000:Z"),
            (GENERALIZED_TIME, "700101000000Z"),
            (INTEGER, "700101000000Z"),
        ] {
            assert_eq!(time(tag, text), None, "{text}");
        }
    }

    #[test]
    fn a_certificate_says_from_when_to_when() {
        let authority = testing::Authority::new("authority");
        let made = authority.server(&["example.com"], NOW - DAY, NOW + 30 * DAY);
        let validity = Validity::of(made.certificate.der()).unwrap();
        assert_eq!(
            validity,
            Validity {
                begins: NOW - DAY,
                ends: NOW + 30 * DAY
            }
        );
        assert!(validity.holds_at(NOW) && !validity.holds_at(NOW - DAY - 1));
        assert!(!validity.holds_at(NOW + 30 * DAY + 1));
        let der = made.certificate.der();
        for end in 0..der.len() {
            assert_eq!(Validity::of(&der[..end]), None, "{end}");
        }
    }

    #[test]
    fn a_revocation_list_says_from_when_to_when() {
        for revoked in [&[][..], &[6, 7]] {
            let pem = testing::Authority::shared().revokes(revoked, NOW + 30 * DAY);
            let der = CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).unwrap();
            let validity = Validity {
                begins: NOW - DAY,
                ends: NOW + 30 * DAY,
            };
            assert_eq!(Validity::of_list(&der), Some(validity));
            for end in 0..der.len() {
                assert_eq!(Validity::of_list(&der[..end]), None, "{end}");
            }
        }
        // The end may be left out, and what is no list has none.
        let certificate = testing::Authority::shared().serves(&["a.test"]);
        assert_eq!(Validity::of_list(certificate.certificate.der()), None);
    }

    #[test]
    fn moments_are_written_as_people_read_them() {
        assert_eq!(utc(NOW), "2033-05-18 03:33 UTC");
        assert_eq!(utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(utc(86_399), "1970-01-01 23:59 UTC");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), place in 0usize..200, byte: u8) {
            let _ = (Validity::of(&bytes), Validity::of_list(&bytes));
            let made = testing::Authority::shared().server(&["a.test"], NOW, NOW + DAY);
            let mut der = made.certificate.der().to_vec();
            der[place] = byte;
            let _ = Validity::of(&der);
        }
    }
}
