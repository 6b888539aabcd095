//! Why a TLS session ends before its time. The session has put the alert that tells the peer, where there is one, with its
//! output; what becomes of the connection is up to whoever drives it.

use lanner_limits::Trip;
use lanner_protocol::EndReason;
use rustls::PeerMisbehaved;
use std::fmt;

/// See the file's comment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Failure {
    /// The first bytes are a request of HTTP without TLS. It can be answered, without TLS too.
    PlainHttp,
    /// No configuration is for the name that the client sent, or it sent none, and strangers are refused.
    UnrecognizedName,
    /// A bound was hit.
    Limit(Trip),
    /// The client's certificate ran out since it was shown.
    ClientCertificateExpired,
    /// The peer broke the protocol, has nothing in common with us, or sent an alert.
    Tls(rustls::Error),
}

impl Failure {
    /// Whether it is HTTP without TLS, which can be answered so.
    pub(crate) fn is_cleartext(&self) -> bool {
        *self == Failure::PlainHttp
    }

    /// The bound that was hit.
    pub(crate) fn trip(&self) -> Option<Trip> {
        match self {
            Failure::Limit(trip) => Some(*trip),
            _ => None,
        }
    }

    /// For logs and metrics.
    pub(crate) fn end_reason(&self, handshaking: bool) -> EndReason {
        match self {
            Failure::Limit(trip) => (*trip).into(),
            Failure::PlainHttp | Failure::UnrecognizedName | Failure::ClientCertificateExpired => {
                EndReason::TlsHandshakeFailed
            }
            Failure::Tls(_) if handshaking => EndReason::TlsHandshakeFailed,
            Failure::Tls(_) => EndReason::ConnectionReset,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::PlainHttp => f.write_str("HTTP without TLS on a port with TLS"),
            Failure::UnrecognizedName => f.write_str("no certificate is for the name asked for"),
            Failure::Limit(trip) => write!(f, "{trip} was hit"),
            Failure::ClientCertificateExpired => {
                f.write_str("the client's certificate has expired")
            }
            Failure::Tls(error) => error.fmt(f),
        }
    }
}

impl From<rustls::Error> for Failure {
    fn from(error: rustls::Error) -> Failure {
        match error {
            // rustls has a bound of its own, on how many come with nothing between them.
            rustls::Error::PeerMisbehaved(PeerMisbehaved::TooManyKeyUpdateRequests) => {
                Failure::Limit(Trip::TlsKeyupdateRate)
            }
            error => Failure::Tls(error),
        }
    }
}
