//! What has become of the bytes of a connection that is to be closed.

use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::os::fd::AsRawFd;

/// Whether the peer has acknowledged everything and sent nothing that was not read. Closing a socket earlier can make the
/// close a reset, and then the peer loses what it has not received.
pub(super) fn is_over(socket: impl AsFd) -> bool {
    let unread = rustix::io::ioctl_fionread(&socket).unwrap_or(0);
    unread == 0 && unacknowledged(&socket).unwrap_or(0) == 0
}

/// Sends what may be sent before a close, if there is room for it.
pub(super) fn say_at_once(socket: impl AsFd, bytes: &[u8]) {
    let _ = rustix::net::send(socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
}

/// Bytes that were written and not yet acknowledged, or on a unix socket not yet read (tcp(7), SIOCOUTQ).
fn unacknowledged(socket: impl AsFd) -> rustix::io::Result<u32> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open for as long as it is borrowed, and the kernel writes one int, for which there is room.
    let done = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if done == 0 {
        Ok(u32::try_from(bytes).unwrap_or(0))
    } else {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn bytes_on_their_way_in_either_direction_are_seen() {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        assert!(is_over(&near));
        near.write_all(b"answer").unwrap();
        assert!(!is_over(&near));
        far.read_exact(&mut [0; 6]).unwrap();
        assert!(is_over(&near));
        far.write_all(b"more").unwrap();
        assert!(!is_over(&near));
        near.read_exact(&mut [0; 4]).unwrap();
        drop(far);
        assert!(is_over(&near));
    }
}
