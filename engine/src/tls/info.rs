//! What a handshake agreed on: the facts that an app, a log or the HTTP layer asks of a TLS connection.

use crate::tls::config::{ConfigurationId, Configurations};
use crate::tls::settings::Alpn;
use lanner_limits::TlsVersion;
use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, CommonState, HandshakeKind, NamedGroup, ProtocolVersion};
use std::sync::Arc;

/// The facts of a TLS connection.
#[derive(Clone)]
pub struct TlsInfo {
    version: TlsVersion,
    cipher: CipherSuite,
    key_exchange: Option<NamedGroup>,
    server_name: Option<Box<str>>,
    alpn: Option<Alpn>,
    resumed: bool,
    client: Box<[CertificateDer<'static>]>,
    /// Which the connection was made under, and its neighbours as they were then.
    configurations: Arc<Configurations>,
    configuration: ConfigurationId,
}

impl TlsInfo {
    /// Of a handshake that is over; none before that.
    pub(crate) fn new(
        state: &CommonState,
        server_name: Option<Box<str>>,
        configurations: Arc<Configurations>,
        configuration: ConfigurationId,
    ) -> Option<TlsInfo> {
        let version = match state.protocol_version()? {
            ProtocolVersion::TLSv1_2 => TlsVersion::Tls12,
            _ => TlsVersion::Tls13,
        };
        Some(TlsInfo {
            version,
            cipher: state.negotiated_cipher_suite()?.suite(),
            key_exchange: state
                .negotiated_key_exchange_group()
                .map(|group| group.name()),
            server_name,
            alpn: state.alpn_protocol().and_then(Alpn::of),
            resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
            client: state.peer_certificates().unwrap_or_default().into(),
            configurations,
            configuration,
        })
    }

    /// The version of TLS.
    #[must_use]
    pub fn version(&self) -> TlsVersion {
        self.version
    }

    /// The cipher suite, by IANA's name for it.
    #[must_use]
    pub fn cipher(&self) -> &'static str {
        match self.cipher {
            CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
            CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
            // rustls gives the others the names that IANA gives them.
            other => other.as_str().unwrap_or("unknown"),
        }
    }

    /// The group that keys were exchanged with, by IANA's name for it; none where a session of TLS 1.2 was resumed.
    #[must_use]
    pub fn key_exchange(&self) -> Option<&'static str> {
        self.key_exchange
            .map(|group| group.as_str().unwrap_or("unknown"))
    }

    /// The name that the client asked for (SNI), as it sent it.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The application protocol that was agreed on; none where the client asked for none.
    #[must_use]
    pub fn alpn(&self) -> Option<Alpn> {
        self.alpn
    }

    /// Whether the client came back with a ticket, and so without a whole handshake.
    #[must_use]
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// The client's certificate in DER, found good; none where it showed none. Of a session that was resumed it is the
    /// one that was shown the first time.
    #[must_use]
    pub fn client_certificate(&self) -> Option<&[u8]> {
        self.client_chain().next()
    }

    /// The client's certificate and those that vouch for it, as it sent them.
    pub fn client_chain(&self) -> impl Iterator<Item = &[u8]> {
        self.client.iter().map(|certificate| &**certificate)
    }

    /// Whether a request for `host` (a name or an address without its port) may be answered on this connection. Not if a
    /// client that had named this host would have met another certificate or other rules: 421 tells it to do so.
    #[must_use]
    pub fn covers(&self, host: &[u8]) -> bool {
        self.configurations.covers(self.configuration, host)
    }
}

impl std::fmt::Debug for TlsInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsInfo")
            .field("version", &self.version)
            .field("cipher", &self.cipher())
            .field("key_exchange", &self.key_exchange())
            .field("server_name", &self.server_name)
            .field("alpn", &self.alpn)
            .field("resumed", &self.resumed)
            .field("client_certificates", &self.client.len())
            .finish_non_exhaustive()
    }
}
