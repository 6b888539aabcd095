//! A server at the other end of a socket, for the cases of RFC 9113: one of this process, on a driver, or any that runs the
//! same app at the address in `H2_TARGET`.

use crate::app;
use lanner::{Limits, Server, StartError, machine};
use lanner_limits::{Driver, Setting, Source};
use lanner_protocol::h2::frame::{self, FrameHeader, HEADER_BYTES, Kind};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

/// No server takes nearly as long to answer. A hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to a server.
pub(crate) struct Socket {
    stream: TcpStream,
    pings: u32,
    unread: Vec<u8>,
    closed: bool,
    /// A server of this connection's own.
    server: Option<Server>,
}

impl Socket {
    /// To a server whose limits are the usual ones.
    pub(crate) fn to_the_usual(driver: Driver) -> Self {
        Self::to(target().unwrap_or_else(|| usual(driver)), None)
    }

    /// To a server of its own; `None` where that is not ours to start.
    pub(crate) fn to_one_with(driver: Driver, change: impl FnOnce(&mut Limits)) -> Option<Self> {
        if target().is_some() {
            return None;
        }
        let server = start(driver, change);
        Some(Self::to(address(&server), Some(server)))
    }

    fn to(address: SocketAddr, server: Option<Server>) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            pings: 0,
            unread: Vec::new(),
            closed: false,
            server,
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        if let Err(error) = self.stream.write_all(bytes) {
            // It may have closed already, for what came before.
            let gone = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
            assert!(gone.contains(&error.kind()), "{error}");
        }
    }

    /// Everything up to the answer of a PING behind what was said, and of another: an app whose future is polled only after
    /// the frames of one read has been polled by then.
    pub(crate) fn receive(&mut self) -> Vec<u8> {
        let mut received = Vec::new();
        for _ in 0..2 {
            self.pings += 1;
            let mut payload = *b"said....";
            payload[4..].copy_from_slice(&self.pings.to_be_bytes());
            let mut ping = Vec::new();
            frame::encode_ping(false, payload, &mut ping);
            self.send(&ping);
            while !self.closed && !self.take_until(payload, &mut received) {
                self.read();
            }
        }
        if self.closed {
            received.append(&mut self.unread);
        }
        received
    }

    pub(crate) fn has_closed(&self) -> bool {
        self.closed
    }

    fn read(&mut self) {
        let mut buffer = [0; 65_536];
        match self.stream.read(&mut buffer) {
            Ok(count) => {
                self.closed = count == 0;
                self.unread.extend_from_slice(&buffer[..count]);
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => self.closed = true,
            Err(error) => panic!("{error}"),
        }
    }

    /// Moves whole frames; true once the answer to the PING with this payload was among them. That one is left out.
    fn take_until(&mut self, payload: [u8; 8], received: &mut Vec<u8>) -> bool {
        while let Some((header, rest)) = self.unread.split_first_chunk::<HEADER_BYTES>() {
            let header = FrameHeader::parse(header);
            let Some(content) = rest.get(..header.length as usize) else {
                return false;
            };
            let answer = header.kind == Kind::PING
                && header.has(frame::ACK)
                && content == payload.as_slice();
            let frame = self.unread.drain(..HEADER_BYTES + header.length as usize);
            if answer {
                return true;
            }
            received.extend(frame);
        }
        false
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.handle().stop_now();
            let ended = server.join();
            assert!(ended.is_ok() || std::thread::panicking(), "{ended:?}");
        }
    }
}

/// Somebody else's server.
fn target() -> Option<SocketAddr> {
    let target = std::env::var("H2_TARGET").ok()?;
    Some(target.parse().expect("H2_TARGET is an address and a port"))
}

/// One server on each driver for all cases that do not ask for another.
fn usual(driver: Driver) -> SocketAddr {
    static EPOLL: OnceLock<SocketAddr> = OnceLock::new();
    static URING: OnceLock<SocketAddr> = OnceLock::new();
    let kept = match driver {
        Driver::Uring => &URING,
        _ => &EPOLL,
    };
    *kept.get_or_init(|| {
        let server = start(driver, |_| {});
        let address = address(&server);
        // It serves for as long as this process lives.
        std::mem::forget(server);
        address
    })
}

fn address(server: &Server) -> SocketAddr {
    let addresses = server.handle().addresses().to_vec();
    addresses.iter().find_map(|address| address.tcp()).unwrap()
}

fn start(driver: Driver, change: impl FnOnce(&mut Limits)) -> Server {
    let settings =
        [("listen", "http://127.0.0.1:0"), ("workers", "1")].map(|(name, value)| Setting {
            name: name.into(),
            value: value.into(),
            source: Source::CommandLine,
        });
    let mut limits = Limits::resolve(settings, machine()).unwrap().limits;
    limits.driver = driver;
    change(&mut limits);
    let started = Server::builder().limits(limits.clone()).start(|_| app::app);
    match started {
        Ok(server) => server,
        Err(StartError::Driver(error)) => {
            let ci = std::env::var_os("CI").is_some();
            assert!(
                !ci,
                "{driver} cannot run here, and CI must not skip it: {error}"
            );
            eprintln!("on epoll instead: {driver} cannot run here: {error}");
            limits.driver = Driver::Epoll;
            Server::builder()
                .limits(limits)
                .start(|_| app::app)
                .unwrap()
        }
        Err(error) => panic!("{error}"),
    }
}
