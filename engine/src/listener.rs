//! Listening sockets: bound once at the start, one per worker in a SO_REUSEPORT group where that is possible (one of
//! ours, or one that was inherited whole), shared where it is not (unix sockets, other inherited descriptors).

mod listening;
mod wanted;

pub(crate) use listening::{Accepted, Listening, Newcomer, Refused};
pub(crate) use wanted::check;

use crate::runtime::{defer_accept, inherited};
use crate::server::{ServerInfo, StartError};
use crate::tls::{Keeper, Kept};
use lanner_limits::{Host, Limits, ListenUrl, Listener, Protocols};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::fmt;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// An address that a server is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoundAddress {
    /// A TCP address, its port as bound.
    Tcp(SocketAddr),
    /// A TCP address on which TLS is spoken.
    Tls(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl BoundAddress {
    /// The TCP address, if it is one.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) | Self::Tls(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "http://{address}"),
            Self::Tls(address) => write!(f, "https://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Everything a server listens on, before it is given to the workers.
pub(crate) struct Bound {
    endpoints: Vec<Endpoint>,
    unix_paths: UnixPaths,
    certificates: Keeper,
}

/// No two have the same address.
struct Endpoint {
    address: BoundAddress,
    sockets: Sockets,
}

enum Sockets {
    /// One for each worker.
    Group(Vec<Named>),
    /// Each for all workers: one, or several that were inherited for the same address.
    Shared(Vec<Named>),
}

/// A listening socket and its listener's facts. Inherited ones of the same address may have a name each.
struct Named {
    facts: Facts,
    socket: OwnedFd,
}

/// What the sockets of a listener have in common.
#[derive(Clone)]
struct Facts {
    name: Arc<str>,
    /// Its certificates, if it speaks TLS.
    tls: Option<Kept>,
    protocols: Protocols,
}

impl Facts {
    fn address(&self, bound: SocketAddr) -> BoundAddress {
        match self.tls {
            None => BoundAddress::Tcp(bound),
            Some(_) => BoundAddress::Tls(bound),
        }
    }
}

/// Unix sockets made by this process, unlinked when the server ends.
#[derive(Debug, Default)]
pub(crate) struct UnixPaths(Vec<PathBuf>);

impl Drop for UnixPaths {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

/// Sockets that a server listens on at most, each worker's copy not counted: drivers tell them from connections by numbers
/// set aside for them.
pub(crate) const ENDPOINTS_MAX: usize = 1000;

impl Bound {
    /// Binds everything that `limits` name, or fails as a whole.
    pub(crate) fn bind(limits: &Limits) -> Result<Self, StartError> {
        let mut endpoints = Vec::new();
        // Dropped with an error, it takes back what was made before.
        let mut unix_paths = UnixPaths::default();
        let mut certificates = Keeper::default();
        for listener in &wanted::wanted(limits)? {
            let tls = certificates
                .read(limits, listener)
                .map_err(|fault| StartError::Tls {
                    what: wanted::describe(listener),
                    problem: fault.to_string(),
                })?;
            let facts = Facts {
                name: listener.name.as_str().into(),
                tls,
                protocols: listener.protocols,
            };
            bind_one(listener, facts, limits, &mut endpoints)
                .map_err(|error| wanted::unbound(listener, error))?;
            if let ListenUrl::Unix { path, .. } = &listener.url {
                unix_paths.0.push(path.into());
            }
        }
        if endpoints.len() > ENDPOINTS_MAX {
            let several = format!(
                "{} sockets; expected at most {ENDPOINTS_MAX}",
                endpoints.len()
            );
            return Err(StartError::Listen {
                what: "what was configured and passed".into(),
                source: io::Error::new(io::ErrorKind::InvalidInput, several),
            });
        }
        for endpoint in &mut endpoints {
            endpoint.form_group(limits.workers);
        }
        Ok(Self {
            endpoints,
            unix_paths,
            certificates,
        })
    }

    pub(crate) fn addresses(&self) -> Vec<BoundAddress> {
        self.endpoints
            .iter()
            .map(|endpoint| endpoint.address.clone())
            .collect()
    }

    /// Takes the unix sockets that are to be unlinked in the end.
    pub(crate) fn take_unix_paths(&mut self) -> UnixPaths {
        std::mem::take(&mut self.unix_paths)
    }

    /// Takes the certificates, which are to be kept up.
    pub(crate) fn take_certificates(&mut self) -> Keeper {
        std::mem::take(&mut self.certificates)
    }

    /// Takes each worker's share. The certificates are still here.
    pub(crate) fn take_workers(
        &mut self,
        workers: usize,
        server: &Arc<ServerInfo>,
    ) -> io::Result<Vec<Vec<Listening>>> {
        let mut shares: Vec<Vec<Listening>> = (0..workers).map(|_| Vec::new()).collect();
        let certificates = &self.certificates;
        for Endpoint { address, sockets } in std::mem::take(&mut self.endpoints) {
            let local = address
                .tcp()
                .filter(|address| !address.ip().is_unspecified());
            let listening = |named: Named, shared: bool| Listening {
                socket: named.socket,
                shared,
                name: named.facts.name,
                local,
                server: server.clone(),
                tls: named.facts.tls.map(|kept| certificates.source(kept)),
                protocols: named.facts.protocols,
            };
            match sockets {
                Sockets::Group(group) => {
                    for (share, named) in shares.iter_mut().zip(group) {
                        share.push(listening(named, false));
                    }
                }
                Sockets::Shared(all) => {
                    for share in &mut shares {
                        for named in &all {
                            share.push(listening(named.duplicate()?, workers > 1));
                        }
                    }
                }
            }
        }
        Ok(shares)
    }
}

impl Endpoint {
    /// Maps inherited sockets one to one where the kernel spreads connections over them and there is one for each
    /// worker. With one more or one less they stay shared: a socket without a worker would be a queue that nobody
    /// serves, and a worker without a socket would have nothing to do.
    fn form_group(&mut self, workers: usize) {
        if let Sockets::Shared(all) = &mut self.sockets
            && all.len() == workers
            && inherited::are_a_group(all.iter().map(|named| &named.socket))
        {
            self.sockets = Sockets::Group(std::mem::take(all));
        }
    }
}

impl Named {
    fn duplicate(&self) -> io::Result<Self> {
        Ok(Self {
            facts: self.facts.clone(),
            socket: self.socket.try_clone()?,
        })
    }
}

fn bind_one(
    listener: &Listener,
    facts: Facts,
    limits: &Limits,
    into: &mut Vec<Endpoint>,
) -> io::Result<()> {
    let mut tcp = |address: SocketAddr, only_v6: bool| -> io::Result<SocketAddr> {
        let (group, bound) = bind_group(address, only_v6, limits)?;
        let named = |socket| Named {
            facts: facts.clone(),
            socket,
        };
        into.push(Endpoint {
            address: facts.address(bound),
            sockets: Sockets::Group(group.into_iter().map(named).collect()),
        });
        Ok(bound)
    };
    match &listener.url {
        ListenUrl::Tcp {
            host: Host::Ip(address),
            port,
            ..
        } => tcp((*address, *port).into(), true).map(drop),
        ListenUrl::Tcp {
            host: Host::Any,
            port,
            ..
        } => match tcp((Ipv6Addr::UNSPECIFIED, *port).into(), false) {
            Err(error) if no_ipv6(&error) => {
                tcp((Ipv4Addr::UNSPECIFIED, *port).into(), true).map(drop)
            }
            bound => bound.map(drop),
        },
        ListenUrl::Tcp {
            host: Host::Localhost,
            port,
            ..
        } => {
            let bound = tcp((Ipv4Addr::LOCALHOST, *port).into(), true)?;
            match tcp((Ipv6Addr::LOCALHOST, bound.port()).into(), true) {
                Err(error) if no_ipv6(&error) => Ok(()),
                bound => bound.map(drop),
            }
        }
        ListenUrl::Unix { path, mode } => {
            let socket = bind_unix(path, *mode, limits.tcp_backlog)?;
            into.push(Endpoint {
                address: BoundAddress::Unix(path.into()),
                sockets: Sockets::Shared(vec![Named { facts, socket }]),
            });
            Ok(())
        }
        ListenUrl::Fd(descriptor) => inherit(facts, *descriptor, limits, into),
        ListenUrl::Systemd(wanted) => {
            let passed = inherited::activation()?;
            let mut found = false;
            for (_, descriptor) in passed.iter().filter(|(name, _)| name == wanted) {
                inherit(facts.clone(), *descriptor, limits, into)?;
                found = true;
            }
            if found {
                return Ok(());
            }
            let names: Vec<_> = passed.into_iter().map(|(name, _)| name).collect();
            Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("systemd passed no socket of that name (LISTEN_FDNAMES: {names:?})"),
            ))
        }
    }
}

fn no_ipv6(error: &io::Error) -> bool {
    let codes = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].map(|errno| Some(errno.raw_os_error()));
    codes.contains(&error.raw_os_error())
}

/// Binds one address for every worker.
fn bind_group(
    address: SocketAddr,
    only_v6: bool,
    limits: &Limits,
) -> io::Result<(Vec<OwnedFd>, SocketAddr)> {
    if address.port() != 0 {
        // Within a group a port that another process of ours listens on would be shared without a word; alone, it is
        // in use.
        let probe = tcp_socket(address, only_v6)?;
        probe.bind(&address.into())?;
        probe.listen(1)?;
    }
    let mut group = Vec::new();
    let mut bound = address;
    for _ in 0..limits.workers {
        let socket = tcp_socket(address, only_v6)?;
        socket.set_reuse_port(true)?;
        apply_tcp_options(&socket, limits)?;
        socket.bind(&bound.into())?;
        if let Some(local) = socket.local_addr()?.as_socket() {
            bound = local;
        }
        group.push(socket);
    }
    let backlog = i32::try_from(limits.tcp_backlog).unwrap_or(i32::MAX);
    group.iter().try_for_each(|socket| socket.listen(backlog))?;
    Ok((group.into_iter().map(OwnedFd::from).collect(), bound))
}

fn tcp_socket(address: SocketAddr, only_v6: bool) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    // A port whose last connections are still in TIME-WAIT is not in use.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

/// How long after one probe of a silent peer the next one follows. `LANNER_TCP_USER_TIMEOUT` says when to give up; without
/// it the kernel does after nine.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Set on the listener: Linux hands them on to every connection accepted from it, without a system call each.
fn apply_tcp_options(socket: &Socket, limits: &Limits) -> io::Result<()> {
    socket.set_tcp_nodelay(limits.tcp_nodelay)?;
    socket.set_tcp_user_timeout(limits.tcp_user_timeout)?;
    if let Some(idle) = limits.tcp_keepalive {
        let probes = TcpKeepalive::new()
            .with_time(idle)
            .with_interval(KEEPALIVE_INTERVAL);
        socket.set_tcp_keepalive(&probes)?;
    }
    if let Some(bytes) = limits.tcp_notsent_lowat {
        socket.set_tcp_notsent_lowat(bytes)?;
    }
    if let Some(silence) = limits.tcp_defer_accept {
        defer_accept(socket, silence)?;
    }
    Ok(())
}

fn bind_unix(path: &str, mode: Option<u32>, backlog: u32) -> io::Result<OwnedFd> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    // Nobody can connect before listen, so there is no moment with the wrong mode.
    if let Some(mode) = mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Removes a socket that nobody listens on any more; anything else at the path is left alone.
fn remove_stale(path: &str) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the path exists and is not a socket",
        ));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "the path is in use, by another process",
        )),
        Err(error) => Err(error),
    }
}

/// Takes over a socket that was open already, beside those of the same address.
fn inherit(
    facts: Facts,
    descriptor: i32,
    limits: &Limits,
    into: &mut Vec<Endpoint>,
) -> io::Result<()> {
    let socket = Socket::from(inherited::take(descriptor)?);
    let address = match inherited::tcp_address(&socket)? {
        Some(address) => {
            apply_tcp_options(&socket, limits)?;
            facts.address(address)
        }
        None => BoundAddress::Unix(inherited::unix_path(&socket)?),
    };
    let named = Named {
        facts,
        socket: socket.into(),
    };
    for endpoint in &mut *into {
        if let Sockets::Shared(all) = &mut endpoint.sockets
            && endpoint.address == address
        {
            all.push(named);
            return Ok(());
        }
    }
    into.push(Endpoint {
        address,
        sockets: Sockets::Shared(vec![named]),
    });
    Ok(())
}
