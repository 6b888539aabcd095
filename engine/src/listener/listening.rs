//! One worker's share of a listener: where it takes connections from, and what is known of each.

use crate::request::ConnectionInfo;
use crate::server::ServerInfo;
use crate::tls::{Source, Terms};
use lanner_limits::Protocols;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One worker's listening socket.
pub(crate) struct Listening {
    pub(super) socket: OwnedFd,
    /// Other workers accept from the same queue.
    pub(crate) shared: bool,
    pub(super) name: Arc<str>,
    /// Where every connection arrives, unless it listens on all addresses.
    pub(super) local: Option<SocketAddr>,
    pub(super) server: Arc<ServerInfo>,
    /// The certificates for its connections, if it speaks TLS.
    pub(super) tls: Option<Source>,
    pub(super) protocols: Protocols,
}

/// What is known of a connection before it is admitted.
pub(crate) struct Newcomer {
    pub(crate) info: ConnectionInfo,
    /// What its TLS is made with, if it has any.
    pub(crate) tls: Option<Terms>,
    /// The versions of HTTP that are spoken there.
    pub(crate) protocols: Protocols,
}

/// A connection fresh from the queue.
pub(crate) struct Accepted {
    pub(crate) descriptor: OwnedFd,
    pub(crate) newcomer: Newcomer,
}

/// Why there is none.
pub(crate) enum Refused {
    /// The queue is empty.
    None,
    /// It was gone before we came; there may be others.
    Gone,
    /// Descriptors or memory ran out.
    Exhausted(io::Error),
}

impl Listening {
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Takes the next connection from the queue.
    pub(crate) fn accept(&self) -> Result<Accepted, Refused> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        match rustix::net::acceptfrom_with(&self.socket, flags) {
            Ok((descriptor, peer)) => {
                let peer = peer
                    .and_then(|peer| SocketAddr::try_from(peer).ok())
                    .map(canonical);
                let newcomer = self.introduce(peer, || local_address(&descriptor));
                Ok(Accepted {
                    descriptor,
                    newcomer,
                })
            }
            Err(Errno::AGAIN) => Err(Refused::None),
            Err(errno @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                Err(Refused::Exhausted(errno.into()))
            }
            Err(Errno::BADF | Errno::INVAL | Errno::NOTSOCK) => Err(Refused::None),
            // accept(2): errors of the connection itself, which is gone, and interruptions.
            Err(_) => Err(Refused::Gone),
        }
    }

    /// The facts about a connection that was accepted here without asking who it was; `None` if it is gone.
    pub(crate) fn newcomer_of(&self, socket: &OwnedFd) -> Option<Newcomer> {
        let peer = rustix::net::getpeername(socket).ok()?;
        let peer = peer
            .and_then(|peer| SocketAddr::try_from(peer).ok())
            .map(canonical);
        Some(self.introduce(peer, || local_address(socket)))
    }

    /// The facts about a connection that was accepted here.
    pub(crate) fn introduce(
        &self,
        peer: Option<SocketAddr>,
        find_local: impl FnOnce() -> Option<SocketAddr>,
    ) -> Newcomer {
        // Connections are numbered over all workers; the only counter that they share, and only at accept.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let info = ConnectionInfo {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            peer,
            local: self.local.or_else(|| peer.and_then(|_| find_local())),
            listener: self.name.clone(),
            server: self.server.clone(),
            tls: None,
        };
        Newcomer {
            info,
            tls: self.tls.as_ref().map(Source::terms),
            protocols: self.protocols,
        }
    }
}

fn local_address(socket: &OwnedFd) -> Option<SocketAddr> {
    let name = rustix::net::getsockname(socket).ok()?;
    SocketAddr::try_from(name).ok().map(canonical)
}

/// An IPv4 client on a dual-stack socket is an IPv4 client.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
