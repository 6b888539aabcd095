//! The two sides of a test: limits for a server with TLS, and a client that talks to it.

use super::identity::{Authority, Identity};
use crate::client::{Client, Socket};
use crate::server::{Fixture, PATIENCE, start};
use lanner::{App, Limits, machine};
use lanner_limits::{Driver, PemSource, Setting, Source};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The name that servers are asked for.
pub(crate) const NAME: &str = "a.test";

pub(crate) type Tls<S = TcpStream> = StreamOwned<ClientConnection, S>;

impl Socket for Tls {
    fn tcp(&self) -> &TcpStream {
        &self.sock
    }
}

/// The certificate of most servers.
fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| Authority::shared().server(&[NAME, "other.test"]))
}

/// The settings of tests, with TLS.
pub(crate) fn limits(driver: Driver) -> Limits {
    limits_with(driver, &[("tls_cert", &identity().pem())])
}

/// The settings of tests, with these.
pub(super) fn limits_with(driver: Driver, more: &[(&str, &str)]) -> Limits {
    let settings = [
        ("listen", "https://127.0.0.1:0"),
        ("workers", "1"),
        ("timer_resolution", "8ms"),
    ];
    let settings = settings.iter().chain(more).map(|(name, value)| Setting {
        name: (*name).into(),
        value: (*value).into(),
        source: Source::CommandLine,
    });
    let mut limits = Limits::resolve(settings, machine()).unwrap().limits;
    limits.driver = driver;
    limits.shutdown_timeout = Duration::from_secs(5);
    limits
}

pub(super) fn text(identity: &Identity) -> PemSource {
    PemSource::Text(identity.pem())
}

/// Serves `app` over TLS, with the settings of tests after `change`.
pub(super) fn serve<A>(driver: Driver, change: impl FnOnce(&mut Limits), app: A) -> Fixture
where
    A: App + Clone + Send + Sync,
{
    let mut limits = limits(driver);
    change(&mut limits);
    start(limits, move |_| app.clone()).unwrap()
}

fn provider() -> CryptoProvider {
    #[cfg(feature = "aws-lc-rs")]
    return rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    return rustls::crypto::ring::default_provider();
}

/// A client's configuration that trusts the tests' authority. Clients that share one share their tickets.
pub(super) fn trusting(shows: Option<&Identity>) -> Arc<ClientConfig> {
    offering(shows, b"http/1.1")
}

fn offering(shows: Option<&Identity>, protocol: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(Authority::shared().certificate()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match shows {
        None => builder.with_no_client_auth(),
        Some(own) => builder
            .with_client_auth_cert(vec![own.der()], own.key())
            .unwrap(),
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = Resumption::in_memory_sessions(64);
    Arc::new(config)
}

fn shared() -> &'static Arc<ClientConfig> {
    static SHARED: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    SHARED.get_or_init(|| trusting(None))
}

/// A client's side of a session, before its first byte.
pub(super) fn session(config: &Arc<ClientConfig>, name: &str) -> ClientConnection {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    ClientConnection::new(config.clone(), name).unwrap()
}

/// Connects, and shakes hands with the first bytes that are sent.
pub(super) fn connect(address: SocketAddr) -> Client<Tls> {
    connect_as(address, shared(), NAME)
}

pub(super) fn connect_as(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    name: &str,
) -> Client<Tls> {
    secured(Client::connect(address).stream, config, name)
}

/// Shakes hands over a connection, and agrees on HTTP/2.
pub(crate) fn agreed_on_http2(stream: TcpStream) -> Tls {
    static SHARED: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let config = SHARED.get_or_init(|| offering(None, b"h2"));
    agreed(stream, config, b"h2")
}

/// The same for HTTP/1.1.
pub(crate) fn agreed_on_http1(stream: TcpStream) -> Tls {
    agreed(stream, shared(), b"http/1.1")
}

fn agreed(stream: TcpStream, config: &Arc<ClientConfig>, protocol: &[u8]) -> Tls {
    let mut client = secured(stream, config, NAME);
    client.shake();
    assert_eq!(client.stream.conn.alpn_protocol(), Some(protocol));
    client.stream
}

/// TLS over a connection.
pub(super) fn secured(stream: TcpStream, config: &Arc<ClientConfig>, name: &str) -> Client<Tls> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Client::over(StreamOwned::new(session(config, name), stream))
}

/// A client whose handshake is done.
pub(super) fn shaken(address: SocketAddr) -> Client<Tls> {
    let mut client = connect(address);
    client.shake();
    client
}

pub(super) trait Shake {
    /// Completes the handshake, on this side.
    fn shake(&mut self);
}

impl Shake for Client<Tls> {
    fn shake(&mut self) {
        while self.stream.conn.is_handshaking() {
            self.stream.conn.complete_io(&mut self.stream.sock).unwrap();
        }
    }
}

/// The first bytes of a client's session: its whole ClientHello.
pub(super) fn hello(config: &Arc<ClientConfig>, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    session(config, name).write_tls(&mut bytes).unwrap();
    bytes
}

/// The configuration that clients share.
pub(super) fn config() -> &'static Arc<ClientConfig> {
    shared()
}
