//! TLS under a connection of a run.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::origin::Origin;
use super::plan::{Plan, Version};
use super::trouble::{Kind, Trouble};
use crate::offer::offer;

/// How every connection of a run begins TLS.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
    protocol: &'static [u8],
}

impl Terms {
    /// Fails where the authorities cannot be read.
    pub(super) fn new(plan: &Plan) -> io::Result<Self> {
        let (suite, group) = (plan.tls.suite.as_deref(), plan.tls.group.as_deref());
        let provider = Arc::new(offer(suite, group)?);
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let mut config = match &plan.tls.authorities {
            Some(path) => builder.with_root_certificates(roots(path)?),
            None => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anybody(provider))),
        }
        .with_no_client_auth();
        let protocol: &[u8] = match plan.version {
            Version::Http1 { .. } => b"http/1.1",
            Version::Http2 { .. } => b"h2",
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        config.resumption = if plan.tls.resumes {
            Resumption::in_memory_sessions(plan.connections.clamp(64, 65_536))
        } else {
            Resumption::disabled()
        };
        Ok(Self {
            config: Arc::new(config),
            name: name(&plan.origin)?,
            protocol,
        })
    }

    pub(super) fn begin(&self) -> Result<Secure, Trouble> {
        let session = ClientConnection::new(self.config.clone(), self.name.clone());
        let mut session = session.map_err(|error| Trouble::new(Kind::Handshake, error))?;
        // What is encrypted leaves at once, or waits as long as the socket wants.
        session.set_buffer_limit(None);
        Ok(Secure {
            session,
            protocol: self.protocol,
        })
    }
}

fn name(origin: &Origin) -> io::Result<ServerName<'static>> {
    ServerName::try_from(origin.host.clone()).map_err(io::Error::other)
}

fn roots(path: &Path) -> io::Result<RootCertStore> {
    let named = |error: &dyn fmt::Display| {
        io::Error::other(format!("--cacert {}: {error}", path.display()))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| named(&error))? {
        let certificate = certificate.map_err(|error| named(&error))?;
        roots.add(certificate).map_err(|error| named(&error))?;
    }
    if roots.is_empty() {
        return Err(named(&"there is no certificate in it"));
    }
    Ok(roots)
}

/// One connection's TLS.
#[derive(Debug)]
pub(super) struct Secure {
    session: ClientConnection,
    protocol: &'static [u8],
}

/// What came of some ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// The server has said that no more comes.
    pub(super) is_closed: bool,
}

impl Secure {
    pub(super) fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.session.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// Whether the server agreed to speak what is to be spoken.
    pub(super) fn judge_protocol(&self) -> Result<(), Trouble> {
        judge_protocol(self.protocol, self.session.alpn_protocol())
    }

    /// Takes ciphertext; what it says is added to `plain`.
    pub(super) fn hear(
        &mut self,
        mut cipher: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<Heard, Trouble> {
        let mut is_closed = false;
        let is_handshaking = self.is_handshaking();
        while !cipher.is_empty() {
            let taken = self.session.read_tls(&mut cipher);
            // It fails where more is buffered than may be, which is never: all of it is processed at once.
            if taken.map_err(|error| Trouble::new(Kind::Protocol, error))? == 0 {
                break;
            }
            let state = self.session.process_new_packets();
            let state = state.map_err(|error| match is_handshaking {
                true => not_agreed(&error),
                false => Trouble::new(Kind::Protocol, error),
            })?;
            is_closed |= state.peer_has_closed();
            let bytes = state.plaintext_bytes_to_read();
            let begin = plain.len();
            plain.resize(begin + bytes, 0);
            let read = self.session.reader().read(&mut plain[begin..]).unwrap_or(0);
            plain.truncate(begin + read);
        }
        Ok(Heard { is_closed })
    }

    pub(super) fn say(&mut self, plain: &[u8]) {
        // The buffer has no limit, so it takes all.
        let taken = self.session.writer().write(plain);
        debug_assert_eq!(taken.ok(), Some(plain.len()));
    }

    pub(super) fn wants_write(&self) -> bool {
        self.session.wants_write()
    }

    pub(super) fn write(&mut self, to: &mut dyn Write) -> io::Result<usize> {
        self.session.write_tls(to)
    }
}

/// Why a handshake failed.
pub(super) fn not_agreed(error: &rustls::Error) -> Trouble {
    match error {
        rustls::Error::InvalidMessage(_) => {
            let text = format_args!("the server does not answer in TLS ({error})");
            Trouble::new(Kind::Handshake, text)
        }
        error => Trouble::new(Kind::Handshake, error),
    }
}

/// Whether what was agreed on is what is to be spoken. HTTP/1.1 needs no agreement.
pub(super) fn judge_protocol(wanted: &[u8], agreed: Option<&[u8]>) -> Result<(), Trouble> {
    if agreed == Some(wanted) || agreed.is_none() && wanted == b"http/1.1" {
        return Ok(());
    }
    let text = "the server does not speak HTTP/2 over TLS (it did not choose h2 by ALPN)";
    Err(Trouble::new(Kind::Protocol, text))
}

/// Accepts every certificate, as other load generators do: what is measured is the server in front of us, often under a
/// certificate of its own making. That the server holds the certificate's key is still verified.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
