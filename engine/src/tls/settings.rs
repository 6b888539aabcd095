//! What an operator asks of a listener's TLS, put together from its properties and the limits: which
//! certificates for which names, which clients, which versions. Reading the files it names is up to `config`.

use crate::tls::certificates::{self, Certificate};
use crate::tls::clients::ClientSettings;
use lanner_limits::{Limits, Listener, PemSource, Protocols, SniEntry, TicketKeys, TlsVersion};
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
    /// What a listener's properties say; none where it is plain. Where it is to show the certificate for developing with
    /// (`ListenerTls::development`), there is no default yet: making one is up to `development`.
    pub(crate) fn new(limits: &Limits, listener: &Listener) -> Option<TlsSettings> {
        let tls = listener.tls.as_ref()?;
        let provided = |certificate: &PemSource, key: &Option<PemSource>| Identity::Provided {
            certificate: certificate.clone(),
            key: key.clone(),
        };
        let host = |entry: &SniEntry| HostSettings {
            host: entry.host.clone(),
            identity: provided(&entry.cert, &entry.key),
            clients: ClientSettings {
                auth: entry.client_auth,
                authorities: entry.client_ca.clone(),
                revocations: entry.crl.clone(),
            },
        };
        Some(TlsSettings {
            default: tls
                .cert
                .as_ref()
                .map(|certificate| provided(certificate, &tls.key)),
            directory: tls.cert_dir.as_ref().map(PathBuf::from),
            hosts: tls.sni.iter().map(host).collect(),
            clients: ClientSettings {
                auth: tls.client_auth,
                authorities: tls.client_ca.clone(),
                revocations: tls.crl.clone(),
            },
            strict: tls.strict_sni,
            oldest: tls.min,
            newest: tls.max,
            protocols: alpn(listener.protocols),
            ticket_keys: match &limits.tls_ticket_keys {
                TicketKeys::Auto => None,
                TicketKeys::File(path) => Some(PathBuf::from(path)),
            },
        })
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

/// What is offered by ALPN, in the order of our preference.
fn alpn(protocols: Protocols) -> Vec<Alpn> {
    match protocols {
        Protocols::Http1 => vec![Alpn::Http11],
        Protocols::Http2 => vec![Alpn::H2],
        Protocols::Both => vec![Alpn::H2, Alpn::Http11],
    }
}

fn path(source: &PemSource) -> Option<PathBuf> {
    match source {
        PemSource::File(path) => Some(PathBuf::from(path)),
        PemSource::Text(_) => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use lanner_limits::{ClientAuth, Limits, Machine, Setting, Source};

    /// The settings of each listener.
    fn settings(pairs: &[(&str, &str)]) -> Vec<Option<TlsSettings>> {
        let pairs = pairs.iter().map(|(name, value)| Setting {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            source: Source::Environment,
        });
        let machine = Machine {
            nofile: 65_536,
            memory: 1 << 34,
            cpus: 1,
        };
        let limits = Limits::resolve(pairs, machine).unwrap().limits;
        let each = limits.listeners.iter();
        each.map(|listener| TlsSettings::new(&limits, listener))
            .collect()
    }

    #[test]
    fn a_plain_listener_has_none_and_a_secure_one_what_was_configured() {
        let both = settings(&[
            ("LANNER_LISTEN", "http://localhost:1,https://localhost:2"),
            ("LANNER_TLS_CERT", "/cert.pem"),
            ("LANNER_TLS_KEY", "/key.pem"),
            ("LANNER_TLS_CERT_DIR", "/certs"),
            ("LANNER_TLS_CLIENT_AUTH", "optional"),
            ("LANNER_TLS_CLIENT_CA", "/ca.pem"),
            ("LANNER_TLS_CRL", "/crl.pem"),
            ("LANNER_TLS_STRICT_SNI", "true"),
            ("LANNER_TLS_MAX", "1.2"),
            ("LANNER_TLS_TICKET_KEYS", "/tickets"),
        ]);
        let [None, Some(secure)] = both.as_slice() else {
            panic!("{both:?}");
        };
        let file = |path: &str| PemSource::File(path.to_owned());
        let Some(Identity::Provided { certificate, key }) = &secure.default else {
            panic!("{secure:?}");
        };
        assert_eq!(certificate, &file("/cert.pem"));
        assert_eq!(key, &Some(file("/key.pem")));
        assert_eq!(secure.directory, Some(PathBuf::from("/certs")));
        let clients = ClientSettings {
            auth: ClientAuth::Optional,
            authorities: Some(file("/ca.pem")),
            revocations: Some(file("/crl.pem")),
        };
        assert_eq!(secure.clients, clients);
        assert!(secure.strict);
        assert_eq!(secure.oldest, TlsVersion::Tls12);
        assert_eq!(secure.newest, TlsVersion::Tls12);
        assert_eq!(secure.protocols, alpn(Protocols::Both));
        assert_eq!(secure.ticket_keys, Some(PathBuf::from("/tickets")));
    }

    #[test]
    fn what_is_spoken_is_what_is_offered() {
        assert_eq!(alpn(Protocols::Http1), [Alpn::Http11]);
        assert_eq!(alpn(Protocols::Http2), [Alpn::H2]);
        assert_eq!(alpn(Protocols::Both), [Alpn::H2, Alpn::Http11]);
    }
}
