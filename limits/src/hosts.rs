//! The hosts that a server answers for, and the names that a listener has certificates for. What a Host field may look like
//! at all is the protocol's business; here a host that is well formed is found on the list or not.

use crate::value::{Kind, entries};

/// The most patterns a list may have: each is compared on every request.
const PATTERNS_MAX: usize = 256;
/// The longest name of RFC 1035, and room for `*.`.
const PATTERN_BYTES_MAX: usize = 255;

/// The hosts allowed: all of them, or those that a pattern matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHosts {
    /// Lower case; `*.` first where everything below a name is meant. Empty: every host.
    patterns: Vec<String>,
}

impl AllowedHosts {
    /// Every host.
    pub const ANY: AllowedHosts = AllowedHosts {
        patterns: Vec::new(),
    };

    /// Whether every host is allowed.
    #[must_use]
    pub const fn allows_any(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The patterns, in lower case; none where every host is allowed.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether `host` is allowed: a name or address without its port, brackets around IPv6, in any case. `*.example.com`
    /// allows what is below `example.com` at any depth, and not `example.com` itself.
    #[must_use]
    pub fn matches(&self, host: &[u8]) -> bool {
        self.allows_any()
            || self
                .patterns
                .iter()
                .any(|pattern| match pattern.strip_prefix('*') {
                    Some(suffix) => {
                        host.len() > suffix.len()
                            && host[host.len() - suffix.len()..]
                                .eq_ignore_ascii_case(suffix.as_bytes())
                    }
                    None => host.eq_ignore_ascii_case(pattern.as_bytes()),
                })
    }
}

/// `*`, or a list of hosts.
pub(crate) struct Hosts;

impl Kind for Hosts {
    type Value = AllowedHosts;

    fn parse(&self, text: &str) -> Result<AllowedHosts, String> {
        let mut patterns = Vec::new();
        let mut any = false;
        for entry in entries(text) {
            if entry == "*" {
                any = true;
                continue;
            }
            if !valid(entry) {
                return Err(format!(
                    "lists {entry:?}, which is not a host (no port, no scheme)"
                ));
            }
            if patterns.len() == PATTERNS_MAX {
                return Err("lists too many hosts".to_owned());
            }
            patterns.push(entry.to_ascii_lowercase());
        }
        if any && !patterns.is_empty() {
            return Err("lists * and others beside it".to_owned());
        }
        Ok(AllowedHosts { patterns })
    }

    fn write(&self, value: &AllowedHosts) -> String {
        if value.allows_any() {
            "*".to_owned()
        } else {
            value.patterns.join(",")
        }
    }

    fn range(&self) -> String {
        format!(
            "*, or a list of at most {PATTERNS_MAX} hosts (example.com, *.example.com, 192.0.2.1, [2001:db8::1])"
        )
    }
}

/// A DNS-like name, an IPv4 address, an IPv6 address in brackets, or a name below `*.`.
fn valid(entry: &str) -> bool {
    if entry.len() > PATTERN_BYTES_MAX {
        return false;
    }
    if let Some(inside) = entry.strip_prefix('[') {
        return inside
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    }
    let name = entry.strip_prefix("*.").unwrap_or(entry);
    name.split('.').all(|label| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    })
}

/// The longest name of RFC 1035, in text.
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// A name that clients can ask for by SNI (RFC 6066, section 3): no address, and `*.` where everything below a name is meant.
pub(crate) struct ServerName;

impl Kind for ServerName {
    type Value = String;

    fn parse(&self, text: &str) -> Result<String, String> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        let labels = || name.split('.');
        if name.len() > NAME_BYTES_MAX
            || name.contains('*')
            || !valid(name)
            || labels().any(|label| label.len() > LABEL_BYTES_MAX)
        {
            return Err("is not the name of a host".to_owned());
        }
        // Clients name no addresses, and the last label of a name is no number (RFC 1123, section 2.1).
        if labels()
            .next_back()
            .is_none_or(|label| label.bytes().all(|byte| byte.is_ascii_digit()))
            || name.starts_with('[')
        {
            return Err("is an address, and clients name none".to_owned());
        }
        Ok(text.to_ascii_lowercase())
    }

    fn write(&self, value: &String) -> String {
        value.clone()
    }

    fn range(&self) -> String {
        "the name of a host (example.com, *.example.com)".to_owned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_match_in_any_case_and_wildcards_only_below_their_name() {
        let hosts = Hosts
            .parse("Example.com, *.example.org,[2001:db8::1]")
            .unwrap();
        for allowed in [
            "example.com",
            "EXAMPLE.COM",
            "a.example.org",
            "a.b.Example.Org",
            "[2001:DB8::1]",
        ] {
            assert!(hosts.matches(allowed.as_bytes()), "{allowed}");
        }
        for refused in [
            "www.example.com",
            "example.org",
            ".example.org.evil",
            "badexample.org",
            "example.com.",
            "",
            "xample.com",
        ] {
            assert!(!hosts.matches(refused.as_bytes()), "{refused}");
        }
        assert_eq!(
            Hosts.write(&hosts),
            "example.com,*.example.org,[2001:db8::1]"
        );
    }

    #[test]
    fn a_star_allows_every_host() {
        let hosts = Hosts.parse("*").unwrap();
        assert_eq!(hosts, AllowedHosts::ANY);
        assert!(hosts.matches(b"anything"));
        assert_eq!(Hosts.write(&hosts), "*");
    }

    #[test]
    fn what_is_not_a_host_is_refused() {
        let wrong = [
            "",
            "a,,b",
            "http://a",
            "a:80",
            "*a.com",
            "a.*",
            "*.",
            "*,a.com",
            "a b",
            "[::1",
            "[1.2.3.4]",
            "é.com",
            "a..b",
            ".",
        ];
        for wrong in wrong {
            assert!(Hosts.parse(wrong).is_err(), "{wrong}");
        }
        assert!(Hosts.parse(&"a".repeat(256)).is_err());
        assert!(Hosts.parse(&vec!["a.com"; 257].join(",")).is_err());
    }

    #[test]
    fn names_for_certificates_are_names_and_no_addresses() {
        for (text, name) in [
            ("example.com", "example.com"),
            ("WWW.Example.com", "www.example.com"),
            ("*.example.com", "*.example.com"),
            ("localhost", "localhost"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("a_b.example", "a_b.example"),
        ] {
            assert_eq!(ServerName.parse(text), Ok(name.to_owned()));
        }
        let label = "a".repeat(64);
        let long = ["abcdefg"; 32].join(".");
        for wrong in [
            "",
            ".",
            "*",
            "*.",
            "*.*.com",
            "a*.com",
            "a..b",
            "example.com.",
            "example.com:443",
            "https://a",
            "bücher.example",
            "192.0.2.1",
            "[::1]",
            "::1",
            "*.1",
            "a b",
            &label,
            &long,
        ] {
            assert!(ServerName.parse(wrong).is_err(), "{wrong}");
        }
        assert!(ServerName.parse(&long[..253]).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn a_name_for_a_certificate_reads_back_as_itself(text in "[*.]{0,2}[A-Za-z0-9_.-]{0,20}") {
            if let Ok(name) = ServerName.parse(&text) {
                proptest::prop_assert_eq!(ServerName.parse(&ServerName.write(&name)), Ok(name));
            }
        }
    }
}
