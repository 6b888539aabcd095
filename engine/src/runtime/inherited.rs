//! Descriptors that were open when the process began: `fd:N`, and systemd's socket activation (sd_listen_fds(3)).

use rustix::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::{Errno, FdFlags};
use std::io;

/// The first descriptor that systemd passes.
const FIRST_DESCRIPTOR: RawFd = 3;

/// Sockets that systemd passed: names and descriptors. Empty if it passed none, or to another process.
pub(crate) fn activation() -> Vec<(String, RawFd)> {
    let variable = |name: &str| std::env::var(name).ok();
    let for_us =
        variable("LISTEN_PID").and_then(|pid| pid.parse().ok()) == Some(std::process::id());
    let count = variable("LISTEN_FDS")
        .and_then(|count| count.parse::<RawFd>().ok())
        .unwrap_or(0);
    if !for_us || !(1..=1024).contains(&count) {
        return Vec::new();
    }
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').map(str::to_owned);
    (FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + count)
        .map(|descriptor| {
            (
                names.next().unwrap_or_else(|| "unknown".to_owned()),
                descriptor,
            )
        })
        .collect()
}

/// Takes a duplicate of an inherited descriptor, which is left open.
///
/// # Errors
/// If it is not open, or not a listening socket.
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
    if !rustix::net::sockopt::socket_acceptconn(&owned).unwrap_or(false) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("descriptor {descriptor} is not a listening socket"),
        ));
    }
    // The one we duplicated must not leak into child processes either.
    let _ = rustix::io::fcntl_setfd(borrowed.as_fd(), FdFlags::CLOEXEC);
    rustix::io::ioctl_fionbio(&owned, true)?;
    Ok(owned)
}
