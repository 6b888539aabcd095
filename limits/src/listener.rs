//! A listener as the engine gets it: where, which protocols, and the settings of TLS that are in effect there. What may
//! stand in a URL is said in `listen.rs`, what else a listener may have of its own in `listener/property.rs`.

pub(crate) mod property;
mod rules;
pub(crate) mod settings;

use crate::choice::{ClientAuth, Protocols, TlsVersion};
use crate::files::PemSource;
use crate::knob::Limits;
use crate::listen::{ListenUrl, Scheme};

pub use property::{Property, properties};

/// A listener: what to listen on, what to call it in logs and metrics, and what is spoken there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The name its variable gave it, or its number in `LANNER_LISTEN`.
    pub name: String,
    /// What to listen on.
    pub url: ListenUrl,
    /// The versions of HTTP that are spoken.
    pub protocols: Protocols,
    /// Its TLS; none where it is plain.
    pub tls: Option<ListenerTls>,
    /// Whether it is there because nobody configured a listener: what systemd passes then takes its place.
    pub automatic: bool,
}

/// The settings of TLS that are in effect for one listener: its own where it has them, else those of every listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// The certificate chain for clients that name no host, or one that nothing else is for.
    pub cert: Option<PemSource>,
    /// Its key; none where it stands beside the certificate. Never there without a certificate.
    pub key: Option<PemSource>,
    /// A directory of certificates, each for the names it says it is for.
    pub cert_dir: Option<String>,
    /// Whether clients show certificates.
    pub client_auth: ClientAuth,
    /// Whose client certificates are taken; there wherever clients show any.
    pub client_ca: Option<PemSource>,
    /// Which client certificates were revoked.
    pub crl: Option<PemSource>,
    /// Whether a client must name a host that a certificate is for.
    pub strict_sni: bool,
    /// The oldest version that is spoken.
    pub min: TlsVersion,
    /// The newest version that is spoken; never older than the oldest.
    pub max: TlsVersion,
    /// Names with a certificate of their own, in the order of their numbers.
    pub sni: Vec<SniEntry>,
    /// Whether the certificate for developing with takes the place of those that nobody gave. Only where there is neither
    /// a certificate nor a directory nor a name.
    pub development: bool,
}

/// A name with a certificate of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SniEntry {
    /// A name, or `*.` and a name, in small letters.
    pub host: String,
    /// The certificate chain.
    pub cert: PemSource,
    /// Its key; none where it stands beside the certificate.
    pub key: Option<PemSource>,
    /// Whether clients that ask for this name show certificates.
    pub client_auth: ClientAuth,
    /// Whose client certificates are taken; there wherever clients show any.
    pub client_ca: Option<PemSource>,
    /// Which client certificates were revoked.
    pub crl: Option<PemSource>,
}

impl Listener {
    /// A listener without properties of its own; an `https://` one has the TLS of every listener.
    #[must_use]
    pub fn new(name: impl Into<String>, url: ListenUrl, limits: &Limits) -> Listener {
        let secure = url.scheme() == Some(Scheme::Https);
        Listener {
            name: name.into(),
            url,
            protocols: Protocols::Both,
            tls: secure.then(|| ListenerTls::of(limits)),
            automatic: false,
        }
    }
}

impl ListenerTls {
    /// The TLS of a listener without properties of its own.
    #[must_use]
    pub fn of(limits: &Limits) -> ListenerTls {
        ListenerTls {
            cert: limits.tls_cert.clone(),
            key: limits.tls_key.clone(),
            cert_dir: limits.tls_cert_dir.clone(),
            client_auth: limits.tls_client_auth,
            client_ca: limits.tls_client_ca.clone(),
            crl: limits.tls_crl.clone(),
            strict_sni: limits.tls_strict_sni,
            min: limits.tls_min,
            max: limits.tls_max,
            sni: Vec::new(),
            development: false,
        }
    }

    /// Whether there is a certificate to show.
    #[must_use]
    pub fn has_certificate(&self) -> bool {
        self.cert.is_some() || self.cert_dir.is_some() || !self.sni.is_empty() || self.development
    }
}
