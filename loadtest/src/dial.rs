//! Opening connections without waiting for them, from one source address or from many: a server that caps connections per
//! address sees `127.0.0.0/8` as sixteen million clients.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::arguments::{Arguments, Failure, Flag};

/// The addresses that connections come from, in turn.
#[derive(Clone, Copy, Debug)]
pub struct Sources {
    count: u32,
}

impl Sources {
    /// Most distinct addresses.
    pub const COUNT_MAX: usize = 1 << 20;

    /// Whichever the kernel chooses.
    pub const ANY: Self = Self { count: 1 };

    /// `count` loopback addresses; 1 leaves the choice to the kernel.
    pub fn new(count: usize, target: SocketAddr) -> Result<Self, Failure> {
        let loopback = matches!(target.ip(), IpAddr::V4(address) if address.is_loopback());
        if count > 1 && !loopback {
            return Err(Failure::Usage(format!(
                "--sources {count} needs a target in 127.0.0.0/8, not {target}"
            )));
        }
        let count = u32::try_from(count.clamp(1, Self::COUNT_MAX)).unwrap_or(1);
        Ok(Self { count })
    }

    /// What [`Flag::SOURCES`] says.
    pub fn read(arguments: &Arguments, target: SocketAddr) -> Result<Self, Failure> {
        let count = arguments.count(Flag::SOURCES.name, 1..=Self::COUNT_MAX)?;
        Self::new(count, target)
    }

    /// The address for the connection of this number; `None` lets the kernel choose.
    pub fn address(self, number: usize) -> Option<Ipv4Addr> {
        if self.count == 1 {
            return None;
        }
        let index = u32::try_from(number % self.count as usize).unwrap_or(0);
        // From 127.1.0.0 on, clear of 127.0.0.1, which the servers and the honest client use.
        Some(Ipv4Addr::from_bits(
            (Ipv4Addr::new(127, 1, 0, 0).to_bits()) + index,
        ))
    }
}

/// Starts to connect. The stream becomes writable when the outcome is known: ask [`outcome`] then.
pub fn dial(target: SocketAddr, source: Option<Ipv4Addr>) -> io::Result<TcpStream> {
    let socket = Socket::new(
        Domain::for_address(target),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    // A byte at a time must leave as a byte at a time.
    socket.set_tcp_nodelay(true)?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::from((source, 0)).into())?;
    }
    match socket.connect(&target.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    Ok(socket.into())
}

/// Whether a connect succeeded.
pub fn outcome(stream: &TcpStream) -> io::Result<()> {
    match stream.take_error()? {
        None => Ok(()),
        Some(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::poller::{Interest, Poller};

    #[test]
    fn sources_are_distinct_and_come_in_turn() {
        let target = "127.0.0.1:80".parse().unwrap();
        let sources = Sources::new(300, target).unwrap();
        assert_eq!(sources.address(0), Some(Ipv4Addr::new(127, 1, 0, 0)));
        assert_eq!(sources.address(299), Some(Ipv4Addr::new(127, 1, 1, 43)));
        assert_eq!(sources.address(300), sources.address(0));
        assert_eq!(Sources::new(1, target).unwrap().address(5), None);
        assert!(Sources::new(2, "192.0.2.1:80".parse().unwrap()).is_err());
        assert!(Sources::new(2, "[::1]:80".parse().unwrap()).is_err());
    }

    fn connect(target: SocketAddr, source: Option<Ipv4Addr>) -> io::Result<TcpStream> {
        let stream = dial(target, source)?;
        let mut poller = Poller::new()?;
        poller.add(&stream, 1, Interest::Write)?;
        let (mut ready, until) = (Vec::new(), Instant::now() + Duration::from_secs(10));
        while ready.is_empty() && Instant::now() < until {
            poller.wait(until, &mut ready)?;
        }
        outcome(&stream)?;
        Ok(stream)
    }

    #[test]
    fn the_server_sees_the_chosen_source() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let source = Ipv4Addr::new(127, 1, 2, 3);
        let stream = connect(listener.local_addr().unwrap(), Some(source)).unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(peer.ip(), source);
        assert_eq!(stream.local_addr().unwrap(), peer);
    }

    #[test]
    fn a_refused_connect_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(
            connect(address, None).unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
    }
}
