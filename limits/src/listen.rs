//! Where a server listens, as text and as a type that cannot be wrong. What is spoken there is in `listener.rs`; binding is
//! the engine's business.

use crate::value::{Kind, entries};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The most listeners one may configure: every worker watches each of them.
pub(crate) const LISTENERS_MAX: usize = 64;
/// A socket's path and its closing zero must fit `sun_path`, which has 108 bytes.
const UNIX_PATH_BYTES_MAX: usize = 107;
/// Where nothing is configured.
pub(crate) const DEFAULT: [ListenUrl; 2] = [
    ListenUrl::Tcp {
        scheme: Scheme::Http,
        host: Host::Localhost,
        port: 8080,
    },
    ListenUrl::Tcp {
        scheme: Scheme::Https,
        host: Host::Localhost,
        port: 8443,
    },
];
pub(crate) const DEFAULT_TEXT: &str = "http://localhost:8080,https://localhost:8443";

/// What to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenUrl {
    /// A TCP port.
    Tcp {
        /// Whether TLS is spoken.
        scheme: Scheme,
        /// The addresses.
        host: Host,
        /// The port; zero lets the kernel choose.
        port: u16,
    },
    /// A unix socket.
    Unix {
        /// Where, as an absolute path.
        path: String,
        /// The permission bits to give it, if any.
        mode: Option<u32>,
    },
    /// A descriptor that was open when the process began.
    Fd(i32),
    /// The descriptors that systemd passed under a name.
    Systemd(String),
}

/// Whether TLS is spoken on a TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// It is not.
    Http,
    /// It is.
    Https,
}

impl Scheme {
    const fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        })
    }
}

/// The addresses of a TCP listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Every address, IPv4 and IPv6, on one dual-stack socket.
    Any,
    /// One address.
    Ip(IpAddr),
    /// `127.0.0.1`, and `::1` where the machine has it.
    Localhost,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Any => f.write_str("*"),
            Host::Localhost => f.write_str("localhost"),
            Host::Ip(IpAddr::V4(address)) => write!(f, "{address}"),
            Host::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl ListenUrl {
    /// Reads a URL, or says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<ListenUrl, String> {
        for scheme in [Scheme::Http, Scheme::Https] {
            let rest = text.strip_prefix(match scheme {
                Scheme::Http => "http://",
                Scheme::Https => "https://",
            });
            if let Some(authority) = rest {
                return tcp(text, scheme, authority);
            }
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(text, path);
        }
        if let Some(number) = text.strip_prefix("fd:") {
            return descriptor(text, number);
        }
        if let Some(name) = text.strip_prefix("systemd:") {
            return systemd(text, name);
        }
        Err(format!(
            "has {text:?}, which begins with none of http://, https://, unix:, fd: and systemd:"
        ))
    }

    /// The scheme of a TCP port.
    #[must_use]
    pub fn scheme(&self) -> Option<Scheme> {
        match self {
            ListenUrl::Tcp { scheme, .. } => Some(*scheme),
            ListenUrl::Unix { .. } | ListenUrl::Fd(_) | ListenUrl::Systemd(_) => None,
        }
    }
}

fn tcp(text: &str, scheme: Scheme, authority: &str) -> Result<ListenUrl, String> {
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    // The colons of an IPv6 address are inside its brackets.
    let port_at = authority
        .rfind(':')
        .filter(|colon| !authority[*colon..].contains(']'));
    let (host, port) = match port_at {
        Some(colon) => (&authority[..colon], Some(&authority[colon + 1..])),
        None => (authority, None),
    };
    let port = match port {
        None => scheme.default_port(),
        Some(port) => port
            .parse()
            .ok()
            .filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or_else(|| format!("has {text:?}, whose port is not from 0 to 65535"))?,
    };
    let host = host_of(host)
        .ok_or_else(|| format!("has {text:?}, whose host is not *, localhost, an IPv4 address or an IPv6 address in brackets"))?;
    Ok(ListenUrl::Tcp { scheme, host, port })
}

fn host_of(text: &str) -> Option<Host> {
    match text {
        "*" => Some(Host::Any),
        "localhost" => Some(Host::Localhost),
        _ => match text.strip_prefix('[') {
            Some(inside) => inside
                .strip_suffix(']')?
                .parse::<Ipv6Addr>()
                .ok()
                .map(|address| Host::Ip(IpAddr::V6(address))),
            None => text
                .parse()
                .ok()
                .map(|address| Host::Ip(IpAddr::V4(address))),
        },
    }
}

fn unix(text: &str, rest: &str) -> Result<ListenUrl, String> {
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    if !path.starts_with('/') || path.ends_with('/') || path.contains('\0') {
        return Err(format!(
            "has {text:?}, whose path is not the absolute path of a socket"
        ));
    }
    if path.len() > UNIX_PATH_BYTES_MAX {
        return Err(format!(
            "has {text:?}, whose path is longer than {UNIX_PATH_BYTES_MAX} bytes"
        ));
    }
    let mode = match query {
        None => None,
        Some(query) => Some(
            query
                .strip_prefix("mode=")
                .filter(|mode| {
                    (3..=4).contains(&mode.len()) && mode.bytes().all(|byte| byte.is_ascii_digit())
                })
                .and_then(|mode| u32::from_str_radix(mode, 8).ok())
                .filter(|mode| *mode <= 0o777)
                .ok_or_else(|| {
                    format!("has {text:?}, whose query is not ?mode= with an octal mode up to 0777")
                })?,
        ),
    };
    Ok(ListenUrl::Unix {
        path: path.to_owned(),
        mode,
    })
}

fn descriptor(text: &str, number: &str) -> Result<ListenUrl, String> {
    // The first three are input, output and errors: a listener there is a mistake.
    number
        .parse()
        .ok()
        .filter(|descriptor| *descriptor >= 3 && number.bytes().all(|byte| byte.is_ascii_digit()))
        .map(ListenUrl::Fd)
        .ok_or_else(|| format!("has {text:?}, whose descriptor is not a number from 3"))
}

fn systemd(text: &str, name: &str) -> Result<ListenUrl, String> {
    // As sd_listen_fds_with_names(3) allows: at most 255 printable characters, no colon.
    let valid = (1..=255).contains(&name.len())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'!'..=b'~') && byte != b':');
    if !valid {
        return Err(format!(
            "has {text:?}, whose name is not one that FileDescriptorName= can give"
        ));
    }
    Ok(ListenUrl::Systemd(name.to_owned()))
}

impl fmt::Display for ListenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenUrl::Tcp { scheme, host, port } => write!(f, "{scheme}://{host}:{port}"),
            ListenUrl::Unix { path, mode: None } => write!(f, "unix:{path}"),
            ListenUrl::Unix {
                path,
                mode: Some(mode),
            } => write!(f, "unix:{path}?mode={mode:04o}"),
            ListenUrl::Fd(descriptor) => write!(f, "fd:{descriptor}"),
            ListenUrl::Systemd(name) => write!(f, "systemd:{name}"),
        }
    }
}

/// One URL: the value of a named listener's variable.
pub(crate) struct Url;

impl Kind for Url {
    type Value = ListenUrl;

    fn parse(&self, text: &str) -> Result<ListenUrl, String> {
        ListenUrl::parse(text)
    }

    fn write(&self, value: &ListenUrl) -> String {
        value.to_string()
    }

    fn range(&self) -> String {
        "a URL (http://*:8080, http://127.0.0.1:8080, http://[::1]:8080, https://localhost:8443, \
         unix:/run/lanner.sock?mode=0660, fd:3, systemd:NAME)"
            .to_owned()
    }
}

/// A list of URLs; an empty one stands for the default.
pub(crate) struct Urls;

impl Kind for Urls {
    type Value = Vec<ListenUrl>;

    fn parse(&self, text: &str) -> Result<Vec<ListenUrl>, String> {
        let urls: Vec<ListenUrl> = entries(text)
            .map(ListenUrl::parse)
            .collect::<Result<_, _>>()?;
        if urls.len() > LISTENERS_MAX {
            return Err("lists too many URLs".to_owned());
        }
        Ok(urls)
    }

    fn write(&self, value: &Vec<ListenUrl>) -> String {
        if value.is_empty() {
            return DEFAULT_TEXT.to_owned();
        }
        value
            .iter()
            .map(ListenUrl::to_string)
            .collect::<Vec<_>>()
            .join(",")
    }

    fn range(&self) -> String {
        format!("a list of at most {LISTENERS_MAX}, each {}", Url.range())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    fn tcp(host: Host, port: u16) -> ListenUrl {
        let scheme = Scheme::Http;
        ListenUrl::Tcp { scheme, host, port }
    }

    fn tls(host: Host, port: u16) -> ListenUrl {
        let scheme = Scheme::Https;
        ListenUrl::Tcp { scheme, host, port }
    }

    #[test]
    fn every_form_is_read_and_written_back() {
        let unix = |mode| ListenUrl::Unix {
            path: "/run/x.sock".to_owned(),
            mode,
        };
        for (text, url) in [
            ("http://*:80", tcp(Host::Any, 80)),
            ("http://localhost:8080", tcp(Host::Localhost, 8080)),
            (
                "http://127.0.0.1:0",
                tcp(Host::Ip("127.0.0.1".parse().unwrap()), 0),
            ),
            (
                "http://[::1]:65535",
                tcp(Host::Ip("::1".parse().unwrap()), 65_535),
            ),
            ("https://*:443", tls(Host::Any, 443)),
            ("https://localhost:8443", tls(Host::Localhost, 8443)),
            ("https://[::1]:0", tls(Host::Ip("::1".parse().unwrap()), 0)),
            ("unix:/run/x.sock", unix(None)),
            ("unix:/run/x.sock?mode=0660", unix(Some(0o660))),
            ("fd:3", ListenUrl::Fd(3)),
            ("systemd:web", ListenUrl::Systemd("web".to_owned())),
        ] {
            assert_eq!(ListenUrl::parse(text), Ok(url.clone()), "{text}");
            assert_eq!(url.to_string(), text);
        }
        assert_eq!(Urls.parse(DEFAULT_TEXT), Ok(DEFAULT.to_vec()));
    }

    #[test]
    fn a_port_left_out_is_that_of_the_scheme_and_a_slash_at_the_end_is_nothing() {
        assert_eq!(ListenUrl::parse("http://*"), Ok(tcp(Host::Any, 80)));
        assert_eq!(ListenUrl::parse("https://*/"), Ok(tls(Host::Any, 443)));
        assert_eq!(
            ListenUrl::parse("http://[::]/"),
            Ok(tcp(Host::Ip("::".parse().unwrap()), 80))
        );
    }

    #[test]
    fn what_is_not_a_place_to_listen_is_refused() {
        for wrong in [
            "",
            "127.0.0.1:80",
            "*:80",
            "ftp://*:21",
            "HTTP://*:80",
            "http://",
            "http://:80",
            "http://*:",
            "http://*:65536",
            "http://*:+80",
            "http://*:80:80",
            "http://*:80/path",
            "http://example.com:80",
            "http://::1:80",
            "http://[::1",
            "http://[::1]80",
            "http://[127.0.0.1]:80",
            "http://127.1:80",
            "http://user@127.0.0.1:80",
            "https://",
            "https://example.com",
            "https://*:",
            "https://*:443/path",
            "unix:",
            "unix:relative.sock",
            "unix:/run/",
            "unix:/run/x.sock?mode=660x",
            "unix:/run/x.sock?mode=0888",
            "unix:/run/x.sock?mode=1777",
            "unix:/run/x.sock?mode=",
            "unix:/run/x.sock?user=www",
            "fd:",
            "fd:2",
            "fd:-1",
            "fd:+3",
            "fd:2147483648",
            "systemd:",
            "systemd:a:b",
            "systemd:a b",
        ] {
            assert!(ListenUrl::parse(wrong).is_err(), "{wrong}");
        }
        let path = |bytes: usize| format!("unix:/{}", "x".repeat(bytes - 1));
        assert!(ListenUrl::parse(&path(107)).is_ok());
        assert!(ListenUrl::parse(&path(108)).is_err());
    }

    #[test]
    fn a_list_is_read_in_order_and_bounded() {
        let urls = Urls.parse("http://*:80, fd:3").unwrap();
        assert_eq!(urls, [tcp(Host::Any, 80), ListenUrl::Fd(3)]);
        assert_eq!(Urls.write(&urls), "http://*:80,fd:3");
        for wrong in ["", "fd:3,", "fd:3,,fd:4", &vec!["fd:3"; 65].join(",")] {
            assert!(Urls.parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_as_it_was_read(
            text in prop_oneof![
                any::<String>(),
                "https?://[*0-9a-f:.\\[\\]/]{0,20}",
                "unix:/[a-z?=0-9]{0,20}",
                "(fd|systemd):[a-z0-9]{0,12}",
                (any::<u32>(), any::<u16>()).prop_map(|(ip, port)| format!("http://{}:{port}", std::net::Ipv4Addr::from_bits(ip))),
                (any::<u128>(), any::<u16>()).prop_map(|(ip, port)| format!("https://[{}]:{port}", Ipv6Addr::from_bits(ip))),
            ],
        ) {
            if let Ok(url) = ListenUrl::parse(&text) {
                prop_assert_eq!(ListenUrl::parse(&url.to_string()), Ok(url));
            }
        }
    }
}
