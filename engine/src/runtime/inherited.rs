//! Descriptors that were open when the process began: `fd:N`, and systemd's socket activation (sd_listen_fds(3)). What
//! they are is read off them here; who serves them is the listener's business.

use rustix::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::{Errno, FdFlags};
use rustix::net::{SocketType, sockopt};
use socket2::{SockRef, Socket};
use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::str::FromStr;

/// The first descriptor that systemd passes.
const FIRST_DESCRIPTOR: RawFd = 3;

/// How many sockets may be passed.
const PASSED_MAX: RawFd = 1024;

/// Sockets that systemd passed: names and descriptors. Empty if it passed none, or to another process.
///
/// # Errors
/// If there are some for us, but nobody can know how many.
pub(crate) fn activation() -> io::Result<Vec<(String, RawFd)>> {
    let variable = |name: &str| {
        let value = std::env::var_os(name)?;
        // What is no text is no number either, and the error shows it.
        Some(value.to_string_lossy().into_owned())
    };
    passed(variable, std::process::id())
}

fn passed(
    variable: impl Fn(&str) -> Option<String>,
    process: u32,
) -> io::Result<Vec<(String, RawFd)>> {
    let Some(pid) = variable("LISTEN_PID") else {
        return Ok(Vec::new());
    };
    let pid: u32 = number("LISTEN_PID", &pid, "the number of a process")?;
    let Some(count) = variable("LISTEN_FDS").filter(|_| pid == process) else {
        return Ok(Vec::new());
    };
    let meaning = format!("a number of sockets, {PASSED_MAX} at most");
    let count = match number("LISTEN_FDS", &count, &meaning)? {
        count @ 0..=PASSED_MAX => count,
        _ => return Err(unreadable("LISTEN_FDS", &count, &meaning)),
    };
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').map(str::to_owned);
    let sockets = (FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + count).map(|descriptor| {
        let name = names.next().unwrap_or_else(|| "unknown".to_owned());
        (name, descriptor)
    });
    Ok(sockets.collect())
}

/// A variable's value as the number that it must be.
fn number<T: FromStr>(name: &str, value: &str, meaning: &str) -> io::Result<T> {
    value.parse().map_err(|_| unreadable(name, value, meaning))
}

fn unreadable(name: &str, value: &str, meaning: &str) -> io::Error {
    let told = format!("{name}={value} is not {meaning}");
    io::Error::new(io::ErrorKind::InvalidInput, told)
}

/// Takes a duplicate of an inherited descriptor, which is left open.
///
/// # Errors
/// If it is not open, or not a listening socket of streams.
pub(crate) fn take(descriptor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is only borrowed for the length of this call: it is forgotten before it could be closed,
    // and if it is not open at all, fcntl says EBADF without touching anything.
    let borrowed = std::mem::ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(descriptor) });
    let owned = match rustix::io::fcntl_dupfd_cloexec(borrowed.as_fd(), FIRST_DESCRIPTOR) {
        Ok(owned) => owned,
        Err(Errno::BADF) => {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("descriptor {descriptor} is not open"),
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let refused = |what: &str| {
        let told = format!("descriptor {descriptor} is not {what}");
        Err(io::Error::new(io::ErrorKind::InvalidInput, told))
    };
    if !sockopt::socket_acceptconn(&owned).unwrap_or(false) {
        return refused("a listening socket");
    }
    // One of packets (`ListenSequentialPacket=`) would lose what is left of a packet with every read.
    if sockopt::socket_type(&owned)? != SocketType::STREAM {
        return refused("a socket of streams");
    }
    // The one we duplicated must not leak into child processes either.
    let _ = rustix::io::fcntl_setfd(borrowed.as_fd(), FdFlags::CLOEXEC);
    rustix::io::ioctl_fionbio(&owned, true)?;
    Ok(owned)
}

/// Whether the kernel spreads connections over these listening sockets of one address: whether they form one
/// SO_REUSEPORT group, as `ReusePort=` makes it. (`inet_reuseport_add_sock` in the kernel also wants one owner, which
/// whoever binds them all is.)
pub(crate) fn are_a_group<'a>(sockets: impl Iterator<Item = &'a OwnedFd>) -> bool {
    let mut cookies = Vec::new();
    let mut first = None;
    for socket in sockets {
        // Two descriptors of one socket are one queue.
        match sockopt::socket_cookie(socket) {
            Ok(cookie) if !cookies.contains(&cookie) => cookies.push(cookie),
            _ => return false,
        }
        let Ok(Some(membership)) = membership(&SockRef::from(socket)) else {
            return false;
        };
        if *first.get_or_insert_with(|| membership.clone()) != membership {
            return false;
        }
    }
    true
}

/// What the members of a group have in common beside their address: whether they take IPv4 clients, and their device.
/// None for a socket that is in no group.
fn membership(socket: &Socket) -> io::Result<Option<(bool, Option<Vec<u8>>)>> {
    let Some(address) = tcp_address(socket)? else {
        return Ok(None);
    };
    if !socket.reuse_port()? {
        return Ok(None);
    }
    let only_v6 = address.is_ipv6() && socket.only_v6()?;
    Ok(Some((only_v6, socket.device()?)))
}

/// The address of a TCP socket; none for another.
pub(crate) fn tcp_address(socket: &Socket) -> io::Result<Option<SocketAddr>> {
    Ok(socket.local_addr()?.as_socket())
}

/// The path of a unix socket. An abstract one (unix(7)), which has none, is written as ss(8) and systemd write it: with an
/// `@` for its first byte.
pub(crate) fn unix_path(socket: &Socket) -> io::Result<PathBuf> {
    let address = socket.local_addr()?;
    if let Some(name) = address.as_abstract_namespace() {
        return Ok(OsStr::from_bytes(&[b"@", name].concat()).into());
    }
    Ok(address.as_pathname().map(PathBuf::from).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use socket2::{Domain, Type};
    use std::net::{Ipv4Addr, Ipv6Addr};

    const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    /// A socket listening at `address` after `change`, and where that is.
    fn listening(address: SocketAddr, change: impl FnOnce(&Socket)) -> (OwnedFd, SocketAddr) {
        let kind = Type::STREAM.cloexec();
        let socket = Socket::new(Domain::for_address(address), kind, None).unwrap();
        change(&socket);
        socket.bind(&address.into()).unwrap();
        socket.listen(1).unwrap();
        let bound = socket.local_addr().unwrap().as_socket().unwrap();
        (socket.into(), bound)
    }

    fn in_a_group(socket: &Socket) {
        socket.set_reuse_port(true).unwrap();
    }

    /// What is passed to process 7 with these variables.
    fn passed_with(variables: &[(&str, &str)]) -> Result<Vec<(String, RawFd)>, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        passed(variable, 7).map_err(|error| error.to_string())
    }

    #[test]
    fn sockets_are_passed_by_number_and_by_name() {
        let variables = [
            ("LISTEN_PID", "7"),
            ("LISTEN_FDS", "2"),
            ("LISTEN_FDNAMES", "web"),
        ];
        let sockets = [("web".to_owned(), 3), ("unknown".to_owned(), 4)];
        assert_eq!(passed_with(&variables).unwrap(), sockets);
    }

    #[test]
    fn what_is_passed_to_nobody_or_to_another_process_is_not_ours() {
        for pid in [&[("LISTEN_PID", "8")][..], &[]] {
            for count in ["2", "abc"] {
                let variables = [pid, &[("LISTEN_FDS", count)]].concat();
                assert_eq!(passed_with(&variables), Ok(Vec::new()), "{variables:?}");
            }
        }
        assert_eq!(passed_with(&[("LISTEN_PID", "7")]), Ok(Vec::new()));
        let none = [("LISTEN_PID", "7"), ("LISTEN_FDS", "0")];
        assert_eq!(passed_with(&none), Ok(Vec::new()));
    }

    #[test]
    fn a_number_that_is_none_is_an_error_that_names_its_variable() {
        for count in ["abc", "", "-1", "1025", "2 ", "4294967298"] {
            let variables = [("LISTEN_PID", "7"), ("LISTEN_FDS", count)];
            let told = passed_with(&variables).unwrap_err();
            assert!(
                told.contains(&format!("LISTEN_FDS={count} is not")),
                "{told}"
            );
        }
        let told = passed_with(&[("LISTEN_PID", "x"), ("LISTEN_FDS", "1")]).unwrap_err();
        assert!(told.contains("LISTEN_PID=x is not"), "{told}");
    }

    #[test]
    fn sockets_that_share_a_port_are_a_group() {
        let (first, address) = listening(ANYWHERE, in_a_group);
        assert!(are_a_group([&first].into_iter()));
        let (second, _) = listening(address, in_a_group);
        assert!(are_a_group([&first, &second].into_iter()));
    }

    #[test]
    fn two_descriptors_of_one_socket_are_no_group() {
        let (first, _) = listening(ANYWHERE, in_a_group);
        let again = first.try_clone().unwrap();
        assert!(!are_a_group([&first, &again].into_iter()));
    }

    #[test]
    fn sockets_without_the_option_are_no_group() {
        let (alone, _) = listening(ANYWHERE, |_| {});
        assert!(!are_a_group([&alone].into_iter()));
        let (unix, _other_end) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(!are_a_group([&unix.into()].into_iter()));
    }

    #[test]
    fn sockets_that_take_different_families_are_no_group() {
        let anywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let only_v6 = |only: bool| {
            move |socket: &Socket| {
                in_a_group(socket);
                socket.set_only_v6(only).unwrap();
            }
        };
        let Ok(_) = Socket::new(Domain::IPV6, Type::STREAM, None) else {
            eprintln!("skipped: this machine has no IPv6");
            return;
        };
        let (both, address) = listening(anywhere, only_v6(false));
        let (v6, _) = listening(address, only_v6(true));
        assert!(!are_a_group([&both, &v6].into_iter()));
        let (another, _) = listening(address, only_v6(false));
        assert!(are_a_group([&both, &another].into_iter()));
    }

    #[test]
    fn sockets_of_different_devices_are_no_group() {
        let on_loopback = |socket: &Socket| {
            in_a_group(socket);
            socket.bind_device(Some(b"lo")).unwrap();
        };
        let (bound, address) = listening(ANYWHERE, on_loopback);
        let (free, _) = listening(address, in_a_group);
        assert!(!are_a_group([&bound, &free].into_iter()));
        let (another, _) = listening(address, on_loopback);
        assert!(are_a_group([&bound, &another].into_iter()));
    }

    #[test]
    fn an_abstract_name_is_written_with_its_at_sign() {
        let name = format!("\0lanner-inherited-{}", std::process::id());
        let socket = Socket::new(Domain::UNIX, Type::STREAM.cloexec(), None).unwrap();
        socket
            .bind(&socket2::SockAddr::unix(&name).unwrap())
            .unwrap();
        assert_eq!(
            unix_path(&socket).unwrap(),
            PathBuf::from(name.replace('\0', "@"))
        );
    }
}
