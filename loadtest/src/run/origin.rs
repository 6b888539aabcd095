//! Whom a run asks: an `http://` or `https://` URL taken apart, and the address behind it.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use socket2::SockAddr;

use crate::arguments::Failure;

/// How long one of several addresses may take to accept a connection.
const TRIED_FOR: Duration = Duration::from_secs(1);

/// Where a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// By TCP.
    Tcp(SocketAddr),
    /// By the path of a unix socket.
    Unix(PathBuf),
}

impl Place {
    /// A unix socket.
    pub(super) fn unix(path: &str) -> Result<Self, Failure> {
        let refused = |error| Failure::Usage(format!("--unix-socket {path}: {error}"));
        SockAddr::unix(path).map_err(refused)?;
        Ok(Self::Unix(PathBuf::from(path)))
    }
}

/// Scheme, host and port of a URL (RFC 6454).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whether it is reached over TLS.
    pub is_secure: bool,
    /// Host and port as the URL writes them: what Host says.
    pub authority: String,
    /// The host without its port and without brackets: the name that the certificate is for.
    pub host: String,
    /// The port, written or not.
    pub port: u16,
}

impl Origin {
    /// Takes a URL apart into its origin and what is asked for there: path and query, `/` where there are none.
    pub fn read(url: &str) -> Result<(Self, String), Failure> {
        let wrong = |why: &str| Failure::Usage(format!("{url}: {why}"));
        let (is_secure, rest) = if let Some(rest) = url.strip_prefix("http://") {
            (false, rest)
        } else if let Some(rest) = url.strip_prefix("https://") {
            (true, rest)
        } else {
            return Err(wrong("expected a URL that begins with http:// or https://"));
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(wrong("user names in URLs are not sent"));
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                let port = port.parse::<u16>().ok().filter(|port| *port > 0);
                (
                    host,
                    port.ok_or_else(|| wrong("the port is no number from 1 to 65535"))?,
                )
            }
            _ => (authority, if is_secure { 443 } else { 80 }),
        };
        if host.is_empty() {
            return Err(wrong("there is no host"));
        }
        let target = match path.as_bytes().first() {
            None => "/".to_owned(),
            Some(b'?') => format!("/{path}"),
            Some(_) => path.to_owned(),
        };
        let origin = Self {
            is_secure,
            authority: authority.to_owned(),
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
        };
        Ok((origin, target))
    }

    /// The address of the host. Where it has several, as localhost does, the first that takes a connection, if any does: most
    /// servers listen on one of them only.
    pub fn resolve(&self) -> io::Result<SocketAddr> {
        let addresses = (self.host.as_str(), self.port).to_socket_addrs()?;
        let addresses: Vec<_> = addresses.collect();
        let first = addresses.first().copied();
        if addresses.len() > 1 {
            let takes =
                |address: &&SocketAddr| TcpStream::connect_timeout(address, TRIED_FOR).is_ok();
            if let Some(found) = addresses.iter().find(takes) {
                return Ok(*found);
            }
        }
        let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        first.ok_or_else(none)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(url: &str) -> (bool, String, String, u16, String) {
        let (origin, target) = Origin::read(url).unwrap();
        (
            origin.is_secure,
            origin.authority,
            origin.host,
            origin.port,
            target,
        )
    }

    #[test]
    fn a_url_is_taken_apart() {
        let parts = |secure, authority: &str, host: &str, port, target: &str| {
            (
                secure,
                authority.to_owned(),
                host.to_owned(),
                port,
                target.to_owned(),
            )
        };
        for (url, expected) in [
            ("http://a.test", parts(false, "a.test", "a.test", 80, "/")),
            (
                "https://a.test:8443/x?y=1#z",
                parts(true, "a.test:8443", "a.test", 8443, "/x?y=1"),
            ),
            (
                "http://[::1]:8080?q",
                parts(false, "[::1]:8080", "::1", 8080, "/?q"),
            ),
            ("https://[::1]/", parts(true, "[::1]", "::1", 443, "/")),
        ] {
            assert_eq!(read(url), expected, "{url}");
        }
    }

    #[test]
    fn of_several_addresses_the_one_that_listens_is_taken() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // Where the name has one address only, this is it as well.
        let (origin, _) = Origin::read(&format!("http://localhost:{}/", address.port())).unwrap();
        assert_eq!(origin.resolve().unwrap(), address);
    }

    #[test]
    fn what_is_no_url_is_refused_with_the_reason() {
        for (url, why) in [
            ("a.test/", "begins with http://"),
            ("ftp://a.test/", "begins with http://"),
            ("http://", "no host"),
            ("http://:80/", "no host"),
            ("http://a.test:0/", "1 to 65535"),
            ("http://a.test:70000/", "1 to 65535"),
            ("http://me@a.test/", "user names"),
        ] {
            let error = Origin::read(url).unwrap_err().to_string();
            assert!(error.contains(why), "{url}: {error}");
        }
    }
}
