//! A TLS client that gives its servers no choice: version 1.3, AES-128-GCM and one key exchange, so that what is compared is the
//! same work. Blocking, and cheap for its own side: it knows the one certificate it will meet, byte for byte, and computes
//! nothing over it. That a server has the key to it is for somebody else to see, once.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionMemoryCache, Resumption, Tls12Resumption};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind,
    SignatureScheme,
};

use crate::offer::offer;

/// The only cipher suite.
const SUITE: &str = "TLS_AES_128_GCM_SHA256";

/// How long a server may take for anything.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How the keys are agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// What every server has.
    X25519,
    /// With a half that quantum computers do not break: what browsers offer first.
    X25519MlKem768,
}

impl fmt::Display for Group {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::X25519 => "X25519",
            Self::X25519MlKem768 => "X25519MLKEM768",
        })
    }
}

impl FromStr for Group {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::X25519, Self::X25519MlKem768];
        let found = all.into_iter().find(|group| group.to_string() == text);
        found.ok_or_else(|| format!("`{text}` is neither X25519 nor X25519MLKEM768"))
    }
}

/// Who connects to whom, and how.
#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug)]
pub struct Wishes<'a> {
    /// The one certificate that is expected, in a PEM file.
    pub certificate: &'a Path,
    /// The one key exchange that is offered.
    pub group: Group,
    /// Whether tickets are kept and used, each once.
    pub resumes: bool,
    /// What is to be spoken, as ALPN names it.
    pub protocol: &'a str,
}

/// A connection whose handshake is over.
#[derive(Debug)]
pub struct Session {
    stream: TcpStream,
    tls: ClientConnection,
}

impl Client {
    /// One with a memory for tickets of its own.
    pub fn new(address: SocketAddr, wishes: &Wishes<'_>) -> io::Result<Self> {
        let certificate =
            CertificateDer::from_pem_file(wishes.certificate).map_err(io::Error::other)?;
        let provider = offer(Some(SUITE), Some(&wishes.group.to_string()))?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Exactly(certificate)))
            .with_no_client_auth();
        config.alpn_protocols = vec![wishes.protocol.as_bytes().to_vec()];
        config.resumption = match wishes.resumes {
            true => Resumption::store(Arc::new(ClientSessionMemoryCache::new(8)))
                .tls12_resumption(Tls12Resumption::Disabled),
            false => Resumption::disabled(),
        };
        Ok(Self {
            address,
            name: ServerName::from(address.ip()),
            config: Arc::new(config),
        })
    }

    /// A connection that is kept.
    pub fn connect(&self) -> io::Result<Session> {
        let mut session = self.dial()?;
        session.tls.complete_io(&mut session.stream)?;
        session.check_protocol()?;
        Ok(session)
    }

    /// A handshake and nothing else: our close_notify leaves with our last message, and the server's end is waited for, so all
    /// of the server's work is done when this returns. True if a ticket saved part of it.
    pub fn shake_hands(&self) -> io::Result<bool> {
        let mut session = self.dial()?;
        while session.tls.is_handshaking() {
            session.send()?;
            if session.tls.is_handshaking() && !session.receive()? {
                return Err(io::Error::other("the server left during the handshake"));
            }
        }
        session.tls.send_close_notify();
        session.send()?;
        session.stream.shutdown(Shutdown::Write)?;
        // Tickets, and the server's own farewell.
        while session.receive()? {}
        session.check_protocol()?;
        Ok(session.is_resumed())
    }

    fn dial(&self) -> io::Result<Session> {
        let stream = TcpStream::connect_timeout(&self.address, TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let tls = ClientConnection::new(self.config.clone(), self.name.clone());
        Ok(Session {
            stream,
            tls: tls.map_err(io::Error::other)?,
        })
    }
}

impl Session {
    /// Whether a ticket saved part of the handshake.
    pub fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The connection below, to hold it without what TLS needs on our side: nothing can be read or said on it any more.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// A server that chose none speaks whatever it likes.
    fn check_protocol(&self) -> io::Result<()> {
        match self.tls.alpn_protocol() {
            Some(_) => Ok(()),
            None => Err(io::Error::other("the server agreed on no protocol (ALPN)")),
        }
    }

    fn send(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.stream)?;
        }
        Ok(())
    }

    /// False at the end.
    fn receive(&mut self) -> io::Result<bool> {
        if self.tls.read_tls(&mut self.stream)? == 0 {
            return Ok(false);
        }
        let fed = self.tls.process_new_packets();
        fed.map_err(io::Error::other)?;
        Ok(true)
    }
}

impl Read for Session {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        rustls::Stream::new(&mut self.tls, &mut self.stream).read(buffer)
    }
}

impl Write for Session {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        rustls::Stream::new(&mut self.tls, &mut self.stream).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        rustls::Stream::new(&mut self.tls, &mut self.stream).flush()
    }
}

/// Takes this certificate and no other, and saves the arithmetic that would show that the server has its key.
#[derive(Debug)]
struct Exactly(CertificateDer<'static>);

impl ServerCertVerifier for Exactly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match *end_entity == self.0 {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not offered".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
