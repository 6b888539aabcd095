//! What an operator asks of TLS, put together from the limits (and later from a listener's own settings): which
//! certificates for which names, which clients, which versions. Reading the files it names is up to `config`.

use crate::tls::certificates::{self, Certificate};
use crate::tls::clients::ClientSettings;
use lanner_limits::{Limits, PemSource, TicketKeys, TlsVersion};
use std::path::PathBuf;

/// An application protocol that a client can ask for by ALPN (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/2.
    H2,
    /// HTTP/1.1.
    Http11,
}

impl Alpn {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Alpn::H2 => "h2",
            Alpn::Http11 => "http/1.1",
        }
    }

    pub(crate) fn of(name: &[u8]) -> Option<Alpn> {
        [Alpn::H2, Alpn::Http11]
            .into_iter()
            .find(|protocol| protocol.name().as_bytes() == name)
    }
}

/// Where a certificate is.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    /// In files or settings.
    Provided {
        certificate: PemSource,
        /// None where it stands beside the certificate.
        key: Option<PemSource>,
    },
    /// In memory.
    Made(Box<Certificate>),
}

/// A name with settings of its own.
#[derive(Clone, Debug)]
pub(crate) struct HostSettings {
    /// A name, or `*.` and a name.
    pub(crate) host: String,
    pub(crate) identity: Identity,
    pub(crate) clients: ClientSettings,
}

/// Everything that one listener's TLS is made of.
#[derive(Clone, Debug)]
pub(crate) struct TlsSettings {
    /// For names that nothing else is for, and for its certificate's own.
    pub(crate) default: Option<Identity>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) hosts: Vec<HostSettings>,
    /// Of the default and of the directory's.
    pub(crate) clients: ClientSettings,
    /// Whether unknown and absent names are refused.
    pub(crate) strict: bool,
    pub(crate) oldest: TlsVersion,
    pub(crate) newest: TlsVersion,
    /// In the order of our preference.
    pub(crate) protocols: Vec<Alpn>,
    /// The file of ticket keys, where there is one.
    pub(crate) ticket_keys: Option<PathBuf>,
}

impl TlsSettings {
    /// What the limits say, for a listener that speaks `protocols`.
    pub(crate) fn new(limits: &Limits, protocols: &[Alpn]) -> TlsSettings {
        let default = limits
            .tls_cert
            .clone()
            .map(|certificate| Identity::Provided {
                certificate,
                key: limits.tls_key.clone(),
            });
        TlsSettings {
            default,
            directory: limits.tls_cert_dir.as_ref().map(PathBuf::from),
            hosts: Vec::new(),
            clients: ClientSettings {
                auth: limits.tls_client_auth,
                authorities: limits.tls_client_ca.clone(),
                revocations: limits.tls_crl.clone(),
            },
            strict: limits.tls_strict_sni,
            oldest: limits.tls_min,
            newest: limits.tls_max,
            protocols: protocols.to_vec(),
            ticket_keys: match &limits.tls_ticket_keys {
                TicketKeys::Auto => None,
                TicketKeys::File(path) => Some(PathBuf::from(path)),
            },
        }
    }

    /// Every file that is read for it, those of the directory as they are now. The directory itself is among them: its
    /// time changes when files come and go.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let identities = self
            .default
            .iter()
            .chain(self.hosts.iter().map(|host| &host.identity));
        let certificates = identities.flat_map(|identity| match identity {
            Identity::Provided { certificate, key } => [Some(certificate), key.as_ref()],
            Identity::Made(_) => [None, None],
        });
        let clients =
            std::iter::once(&self.clients).chain(self.hosts.iter().map(|host| &host.clients));
        let sources = certificates
            .flatten()
            .chain(clients.flat_map(ClientSettings::sources));
        let mut files: Vec<PathBuf> = sources.filter_map(path).collect();
        files.extend(self.ticket_keys.clone());
        if let Some(directory) = &self.directory {
            // Where it cannot be listed now, reading it will say so.
            for certificate in certificates::certificate_files(directory).unwrap_or_default() {
                files.extend(certificates::key_file(&certificate));
                files.push(certificate);
            }
            files.push(directory.clone());
        }
        files
    }
}

fn path(source: &PemSource) -> Option<PathBuf> {
    match source {
        PemSource::File(path) => Some(PathBuf::from(path)),
        PemSource::Text(_) => None,
    }
}
