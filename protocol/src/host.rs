//! What a host with an optional port may look like (RFC 9110 section 7.2), in Host and in the target's authority, and when two of
//! them are the same. Which hosts are served is configured in `lanner_limits::AllowedHosts`.
//!
//! Names are narrower here than RFC 3986's `reg-name`: letters, digits, `-`, `_`, `~` and `.` between labels, as DNS and
//! unregistered names have them. Escapes and sub-delimiters (`a,b`, `a;b`, `%61`) are legal on paper, used by nobody, and
//! read differently by those who route, cache or build links from a host.

use core::net::Ipv6Addr;

use crate::field::search::HostMarks;
use crate::misbehaviour::Misbehaviour;

/// A host and its port, both known to be well-formed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Authority<'a> {
    /// A name, an IPv4 address, or an IPv6 address in its brackets; as it was sent.
    pub name: &'a [u8],
    /// The port; none if it was left out or left empty.
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `host [ ":" port ]`. User information is refused: RFC 9110 section 4.2.4 forbids it in what is sent.
    ///
    /// # Errors
    /// `InvalidHost`, also for an empty host: RFC 9110 section 4.2.1 makes `http` URIs with one invalid.
    #[inline]
    pub fn parse(text: &'a [u8]) -> Result<Authority<'a>, Misbehaviour> {
        let name_len = match text.first() {
            Some(b'[') => address_len(text),
            _ => name_len(text),
        };
        let (name, rest) = text.split_at(name_len.ok_or(Misbehaviour::InvalidHost)?);
        let port = match rest {
            [] | [b':'] => None,
            [b':', digits @ ..] => Some(parse_port(digits).ok_or(Misbehaviour::InvalidHost)?),
            _ => return Err(Misbehaviour::InvalidHost),
        };
        Ok(Authority { name, port })
    }

    /// Whether both name the same host and port; a port that is missing is the scheme's default (RFC 9110 section 4.2.3).
    pub fn agrees_with(&self, other: &Authority<'_>, default_port: u16) -> bool {
        self.name.eq_ignore_ascii_case(other.name)
            && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }

    /// The name without the dot that makes it absolute: `example.com.` is looked up as `example.com`.
    pub fn name_without_root(&self) -> &'a [u8] {
        self.name.strip_suffix(b".").unwrap_or(self.name)
    }
}

/// Digits of a port that cannot be too large.
const PORT_DIGITS_CERTAIN: usize = 4;

/// Whether the first `len` bytes of `text` are a host and port as nearly all are, and certainly well-formed: letters, digits,
/// hyphens and single dots, then perhaps a port of at most four digits. What is behind them in `text` is looked at too, for
/// it is done 16 bytes at a time: 50 instructions where [`Authority::parse`], which knows more, takes 10 for each byte.
#[inline]
pub(crate) fn is_certain(text: &[u8], len: usize) -> bool {
    let Some(marks) = HostMarks::of(text, len) else {
        return false;
    };
    let name_len = ((marks.plain | marks.dots).trailing_ones() as usize).min(len);
    // A dot that no label stands before; those behind the name do not matter, and may be as they like.
    let misplaced = marks.dots & (marks.dots << 1 | 1);
    if name_len == 0 || (misplaced.trailing_zeros() as usize) < name_len {
        return false;
    }
    let Some(port_len) = (len - name_len).checked_sub(1) else {
        return true;
    };
    let digits = marks.digits.wrapping_shr(name_len as u32 + 1);
    text[name_len] == b':'
        && port_len <= PORT_DIGITS_CERTAIN
        && digits.trailing_ones() as usize >= port_len
}

/// Which bytes may stand between the dots of a name.
const LABEL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] =
            (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'_' | b'~');
        byte += 1;
    }
    table
};

/// The length of the name or IPv4 address at the front: labels that are not empty, and perhaps a dot after the last.
#[inline]
fn name_len(text: &[u8]) -> Option<usize> {
    let mut len = 0;
    loop {
        let label = len;
        while text.get(len).is_some_and(|&byte| LABEL[byte as usize]) {
            len += 1;
        }
        // A dot that ends no label is left for the caller to stumble on.
        if len == label || text.get(len) != Some(&b'.') {
            return (len > 0).then_some(len);
        }
        len += 1;
    }
}

/// The length of the IPv6 address at the front, brackets included. Zones (RFC 6874) mean nothing to another machine, and
/// `IPvFuture` has no future; both are refused.
#[cold]
fn address_len(text: &[u8]) -> Option<usize> {
    let close = text.iter().position(|&byte| byte == b']')?;
    let address = str::from_utf8(text.get(1..close)?).ok()?;
    address.parse::<Ipv6Addr>().ok()?;
    Some(close + 1)
}

/// Reads 1 to 5 digits up to 65535.
#[inline]
fn parse_port(digits: &[u8]) -> Option<u16> {
    if digits.len() > 5 {
        return None;
    }
    let mut port = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        port = port * 10 + u32::from(digit);
    }
    u16::try_from(port).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parse(text: &str) -> Result<Authority<'_>, Misbehaviour> {
        Authority::parse(text.as_bytes())
    }

    #[test]
    fn names_and_addresses_with_and_without_port_are_hosts() {
        for (text, name, port) in [
            ("example.com", "example.com", None),
            ("EXAMPLE.com:80", "EXAMPLE.com", Some(80)),
            ("example.com.", "example.com.", None),
            ("example.com.:8080", "example.com.", Some(8080)),
            ("localhost:", "localhost", None),
            ("a", "a", None),
            ("my_service-1~x", "my_service-1~x", None),
            ("127.0.0.1:65535", "127.0.0.1", Some(65535)),
            ("a:0", "a", Some(0)),
            ("a:00080", "a", Some(80)),
            ("[::1]", "[::1]", None),
            ("[2001:DB8::1]:443", "[2001:DB8::1]", Some(443)),
            ("[::ffff:192.0.2.1]:", "[::ffff:192.0.2.1]", None),
        ] {
            assert_eq!(
                parse(text),
                Ok(Authority {
                    name: name.as_bytes(),
                    port
                }),
                "{text}"
            );
        }
    }

    #[test]
    fn whatever_could_be_read_in_two_ways_is_no_host() {
        for text in [
            "",
            ":",
            ":80",
            ".",
            "..",
            ".a",
            "a..b",
            "a b",
            "a,b",
            "a;b",
            "a/b",
            "a?b",
            "a#b",
            "a@b",
            "user:pw@a",
            "a:b",
            "a:-1",
            "a:+1",
            "a:65536",
            "a:000080",
            "a:99999999999999999999",
            "a:80:80",
            "a: 80",
            "a:80 ",
            "a\\b",
            "a%2eb",
            "a%00",
            "\"a\"",
            "<a>",
            "a\0",
            "ä.de",
            "[::1",
            "::1",
            "[]",
            "[::1]x",
            "[::1]]",
            "[::1%25eth0]",
            "[v1.a]",
            "[127.0.0.1]",
            "[::1]80",
            "[[::1]]",
            "]",
            "a[",
            "a:8]",
        ] {
            assert_eq!(parse(text), Err(Misbehaviour::InvalidHost), "{text:?}");
        }
    }

    #[test]
    fn hosts_agree_without_case_and_with_the_default_port_filled_in() {
        let agree = |one, other, port| {
            parse(one)
                .unwrap()
                .agrees_with(&parse(other).unwrap(), port)
        };
        assert!(agree("a.com", "A.COM", 80));
        assert!(agree("a.com", "a.com:80", 80));
        assert!(agree("a.com:", "a.com:443", 443));
        assert!(agree("[::A]:1", "[::a]:1", 80));
        assert!(!agree("a.com", "a.com:443", 80));
        assert!(!agree("a.com", "b.com", 80));
        assert!(!agree("a.com", "a.com.", 80));
        assert!(!agree("a.com:1", "a.com:2", 80));
    }

    #[test]
    fn the_root_dot_is_not_part_of_the_name_looked_up() {
        assert_eq!(parse("a.com.").unwrap().name_without_root(), b"a.com");
        assert_eq!(parse("a.com").unwrap().name_without_root(), b"a.com");
    }

    fn certain(host: &str, behind: &str) -> bool {
        is_certain(format!("{host}{behind}").as_bytes(), host.len())
    }

    #[test]
    fn most_hosts_are_certain_at_one_look() {
        let behind = "\r\nAccept: */*\r\n\r\n";
        for host in [
            "localhost",
            "localhost:3000",
            "127.0.0.1:8080",
            "example.com.",
            "www.example.com:80",
            "shop.example.com",
            "a.long-name.of.example.com:8443",
            "a",
            "a:",
        ] {
            assert!(certain(host, behind), "{host}");
            assert!(parse(host).is_ok(), "{host}");
        }
    }

    #[test]
    fn what_the_one_look_cannot_be_certain_of_is_left_to_the_other() {
        let behind = "\r\nAccept: */*\r\n\r\n";
        for host in [
            "[::1]:80",
            "a_b",
            "a~b",
            "a:00080",
            "a-name-of.more.than.32-bytes.test",
        ] {
            assert!(!certain(host, behind) && parse(host).is_ok(), "{host}");
        }
        assert!(certain("a", "234567890123456") && !certain("a", "23456789012345"));
    }

    /// What may decide whether a host is certain, and one byte that does not belong there.
    const DECISIVE: [char; 6] = ['a', '.', ':', '0', '_', '@'];

    /// Calls `look` with every string of up to six of the decisive characters.
    fn for_every_end(mut look: impl FnMut(&str)) {
        let mut ends = vec![String::new()];
        for len in 0..=6 {
            ends.iter().for_each(|end| look(end));
            if len < 6 {
                let longer = |end: &String| DECISIVE.map(|one| format!("{end}{one}"));
                ends = ends.iter().flat_map(longer).collect();
            }
        }
    }

    /// Whatever the end, it stands on both sides of the border between the bytes that are looked at together, and of that
    /// behind which nothing is looked at.
    #[test]
    fn a_host_that_is_certain_is_well_formed() {
        let mut certain_of = 0;
        for prefix_len in [0, 9, 13, 25, 27] {
            let prefix = &"a-name-0-of-a.few.labels-1-2"[..prefix_len];
            for_every_end(|end| {
                let host = format!("{prefix}{end}");
                let is_host = parse(&host).is_ok();
                for behind in [
                    "",
                    "\r\nAccept: */*\r\n\r\n",
                    "0123456789abcdef",
                    ".................",
                    "::::::::::::::::",
                    ".a:0.a:0.a:0.a:0",
                ] {
                    if certain(&host, behind) {
                        assert!(is_host, "{host} before {behind:?}");
                        certain_of += 1;
                    }
                }
            });
        }
        assert!(certain_of > 20_000, "{certain_of} say little");
    }
}
