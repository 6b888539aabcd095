//! Ports of our own side: each connection to one address needs another one, and there are only so many.

use std::fs;
use std::io;

use rustix::io::Errno;

use super::origin::Place;
use crate::arguments::Failure;

/// Where Linux says from where to where they go.
const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Refuses more connections than there are ports for. Where it is not known how many there are, nothing is refused.
pub(super) fn check(place: &Place, connections: usize) -> Result<(), Failure> {
    let Place::Tcp(_) = place else {
        return Ok(());
    };
    let read = fs::read_to_string(RANGE).ok();
    match read.as_deref().and_then(count) {
        Some(ports) if connections > ports => Err(Failure::Run(format!(
            "--connections {connections}: there are {ports} ports to connect from ({RANGE}); widen it with \
             `sysctl net.ipv4.ip_local_port_range`, or ask for fewer"
        ))),
        _ => Ok(()),
    }
}

/// How many ports a range has, as the system writes it: the first and the last.
fn count(text: &str) -> Option<usize> {
    let mut words = text.split_whitespace().map(str::parse::<usize>);
    let (first, last) = (words.next()?.ok()?, words.next()?.ok()?);
    (last + 1).checked_sub(first)
}

/// What a connect says that failed, with the remedy where we know it.
pub(super) fn explained(error: io::Error) -> io::Error {
    if error.raw_os_error() != Some(Errno::ADDRNOTAVAIL.raw_os_error()) {
        return error;
    }
    let text = format!(
        "{error}: no port is left to connect from; those of connections that we closed first are kept for a minute, and \
         `sysctl net.ipv4.ip_local_port_range` says how many there are"
    );
    io::Error::new(error.kind(), text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_range_includes_both_ends() {
        assert_eq!(count("32768\t60999\n"), Some(28_232));
        assert_eq!(count("5 5"), Some(1));
        for text in ["", "5", "a b", "9 1"] {
            assert_eq!(count(text), None, "{text}");
        }
    }

    #[test]
    fn more_connections_than_ports_name_the_range_and_a_unix_socket_needs_none() {
        let tcp = Place::Tcp("127.0.0.1:80".parse().unwrap());
        let unix = Place::Unix("/run/socket".into());
        // All ports that any range may have.
        assert!(check(&unix, 65_537).is_ok() && check(&tcp, 1).is_ok());
        if fs::exists(RANGE).unwrap() {
            let error = check(&tcp, 65_537).unwrap_err().to_string();
            assert!(error.contains("--connections 65537"), "{error}");
            assert!(error.contains("sysctl"), "{error}");
        }
    }

    #[test]
    fn a_connect_without_a_port_says_what_to_do() {
        let none = io::Error::from(Errno::ADDRNOTAVAIL);
        assert!(explained(none).to_string().contains("no port is left"));
        let refused = io::Error::from(Errno::CONNREFUSED);
        let before = refused.to_string();
        assert_eq!(explained(refused).to_string(), before);
    }
}
