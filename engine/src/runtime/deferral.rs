//! Connections that the kernel hands out with their first bytes (tcp(7), TCP_DEFER_ACCEPT): no crate that we use knows the
//! option.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// Has a listener's connections wait in the kernel until their clients have said something, or for about so long; parts of a
/// second count for a whole one.
pub(crate) fn defer_accept(listener: impl AsFd, silence: Duration) -> io::Result<()> {
    let seconds = silence.as_secs() + u64::from(silence.subsec_nanos() > 0);
    let seconds = libc::c_int::try_from(seconds).unwrap_or(libc::c_int::MAX);
    // SAFETY: the descriptor is open for as long as it is borrowed, and the kernel reads one int, which is there.
    let done = unsafe {
        libc::setsockopt(
            listener.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            (&raw const seconds).cast(),
            size_of_val(&seconds) as libc::socklen_t,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
