//! What runs out with time, the server's certificates and the lists of revoked client certificates: how it is told of, and
//! what somebody should know before and when it does. When that is said, and how often, is up to `reminders`.

use crate::tls::arithmetic::digest;
use crate::tls::validity::{Validity, utc};
use std::fmt;

/// How long before its end a certificate is warned of: whatever renews it should have done so by then.
const CERTIFICATE_WARNING_SECONDS: u64 = 14 * 24 * 3_600;
/// The same of a revocation list, which many authorities renew every day or week.
const LIST_WARNING_SECONDS: u64 = 24 * 3_600;
/// What lives for a week is not warned of all the week: only in the last part of so many of its life.
const LIFE_PARTS: u64 = 3;
/// Names of a certificate that are told of at most. One has hundreds, at times.
const NAMES_TOLD_MAX: usize = 4;

/// See the file's comment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Perishable {
    kind: Kind,
    /// The file or the setting.
    place: String,
    validity: Validity,
    /// Tells it from another one of the same names and dates.
    print: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// With the names it is for.
    Certificate(Vec<String>),
    RevocationList,
}

impl Perishable {
    pub(crate) fn certificate(
        place: &str,
        names: &[String],
        validity: Validity,
        der: &[u8],
    ) -> Perishable {
        Perishable {
            kind: Kind::Certificate(names.to_vec()),
            place: place.to_owned(),
            validity,
            print: print(der),
        }
    }

    pub(crate) fn revocation_list(place: &str, validity: Validity, der: &[u8]) -> Perishable {
        Perishable {
            kind: Kind::RevocationList,
            place: place.to_owned(),
            validity,
            print: print(der),
        }
    }

    /// What somebody should know of it although it was read. The words are the same for as long as nothing changes.
    pub(crate) fn warning(&self, now: u64) -> Option<String> {
        let Validity { begins, ends } = self.validity;
        let life = ends.saturating_sub(begins);
        let is_near = |before: u64| ends.saturating_sub(now) < before.min(life / LIFE_PARTS);
        // Asked of thousands every few seconds, so words are made only where there is something to be said.
        let (begin, end) = (|| utc(begins), || utc(ends));
        let problem = match &self.kind {
            Kind::Certificate(_) if now > ends => {
                format!("the certificate has expired ({}); clients refuse it", end())
            }
            Kind::Certificate(_) if now < begins => format!(
                "the certificate is not valid before {}; clients refuse it until then",
                begin()
            ),
            Kind::Certificate(_) if is_near(CERTIFICATE_WARNING_SECONDS) => {
                format!("the certificate expires on {}", end())
            }
            // The moment that it names is the first at which it says nothing any more.
            Kind::RevocationList if now >= ends => format!(
                "the revocation list has run out ({}); client certificates that it is for are refused until there is a newer one",
                end()
            ),
            Kind::RevocationList if is_near(LIST_WARNING_SECONDS) => format!(
                "the revocation list runs out on {}; client certificates that it is for are refused from then on",
                end()
            ),
            _ => return None,
        };
        Some(format!("{}: {problem}", self.place))
    }
}

/// What it is and until when it is good.
impl fmt::Display for Perishable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, end) = (&self.place, utc(self.validity.ends));
        match &self.kind {
            Kind::RevocationList => write!(f, "revocations of {place} until {end}"),
            Kind::Certificate(names) if names.is_empty() => write!(f, "{place} until {end}"),
            Kind::Certificate(names) => {
                let told = &names[..names.len().min(NAMES_TOLD_MAX)];
                f.write_str(&told.join(", "))?;
                match names.len() - told.len() {
                    0 => {}
                    more => write!(f, " and {more} more")?,
                }
                write!(f, " until {end}")
            }
        }
    }
}

fn print(der: &[u8]) -> [u8; 32] {
    let mut print = [0; 32];
    print.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
    print
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::{DAY, HOUR, NOW};

    fn validity(days: u64) -> Validity {
        Validity {
            begins: NOW,
            ends: NOW + days * DAY,
        }
    }

    #[test]
    fn a_certificate_is_warned_of_before_its_end_and_at_it() {
        for (days, warned_before) in [(90, 14 * DAY), (30, 10 * DAY), (6, 2 * DAY)] {
            let ends = NOW + days * DAY;
            let certificate = Perishable::certificate("cert.pem", &[], validity(days), b"");
            let warning = |now| certificate.warning(now).unwrap_or_default();
            assert_eq!(warning(NOW), "");
            assert_eq!(warning(ends - warned_before), "", "{days}");
            let near = warning(ends - warned_before + 1);
            assert_eq!(
                near,
                format!("cert.pem: the certificate expires on {}", utc(ends))
            );
            assert_eq!(warning(ends), near, "its last second counts");
            assert!(warning(ends + 1).contains("has expired"));
            assert!(warning(NOW - 1).contains("not valid before 2033-05-18 03:33 UTC"));
        }
    }

    #[test]
    fn a_revocation_list_is_warned_of_a_day_before_its_end_and_at_it() {
        for (days, warned_before) in [(30, DAY), (1, 8 * HOUR)] {
            let ends = NOW + days * DAY;
            let list = Perishable::revocation_list("crl.pem", validity(days), b"");
            let warning = |now| list.warning(now).unwrap_or_default();
            assert_eq!(warning(NOW), "");
            assert_eq!(warning(ends - warned_before), "");
            for now in [ends - warned_before + 1, ends - 1] {
                assert!(warning(now).starts_with("crl.pem: the revocation list runs out on"));
            }
            assert!(warning(ends).contains("has run out"));
        }
    }

    #[test]
    fn it_is_told_by_its_names_and_its_end() {
        let told = |count: usize| {
            let names: Vec<String> = (0..count).map(|name| format!("{name}.test")).collect();
            Perishable::certificate("cert.pem", &names, validity(1), b"").to_string()
        };
        let end = "until 2033-05-19 03:33 UTC";
        assert_eq!(told(0), format!("cert.pem {end}"));
        assert_eq!(told(1), format!("0.test {end}"));
        assert_eq!(told(4), format!("0.test, 1.test, 2.test, 3.test {end}"));
        assert_eq!(
            told(6),
            format!("0.test, 1.test, 2.test, 3.test and 2 more {end}")
        );
        let list = Perishable::revocation_list("crl.pem", validity(1), b"");
        assert_eq!(list.to_string(), format!("revocations of crl.pem {end}"));
    }
}
