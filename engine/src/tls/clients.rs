//! What is asked of clients: whether they must show a certificate, whose are taken, and which were revoked.

use crate::tls::arithmetic::{self, digest};
use crate::tls::fault::Fault;
use crate::tls::pem::PemText;
use crate::tls::perishable::Perishable;
use crate::tls::validity::Validity;
use lanner_limits::{ClientAuth, PemSource};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::sync::Arc;

const AUTHORITIES_SETTING: &str = "LANNER_TLS_CLIENT_CA";
const REVOCATIONS_SETTING: &str = "LANNER_TLS_CRL";

/// What an operator asks of the clients of one configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientSettings {
    pub(crate) auth: ClientAuth,
    pub(crate) authorities: Option<PemSource>,
    pub(crate) revocations: Option<PemSource>,
}

impl ClientSettings {
    /// Nothing is asked.
    #[cfg(test)]
    pub(crate) const NONE: ClientSettings = ClientSettings {
        auth: ClientAuth::Off,
        authorities: None,
        revocations: None,
    };

    /// The files that are read where clients are asked at all.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &PemSource> {
        let asked = self.auth != ClientAuth::Off;
        [&self.authorities, &self.revocations]
            .into_iter()
            .flatten()
            .filter(move |_| asked)
    }
}

/// The rules, ready to be applied.
pub(crate) struct ClientRules {
    pub(crate) verifier: Arc<dyn ClientCertVerifier>,
    /// Differs where the rules differ: what was allowed under one set must not be remembered under another.
    pub(crate) fingerprint: [u8; 32],
    /// The revocation lists, which run out.
    pub(crate) lists: Vec<Perishable>,
}

impl ClientRules {
    pub(crate) fn read(settings: &ClientSettings) -> Result<ClientRules, Fault> {
        if settings.auth == ClientAuth::Off {
            return Ok(ClientRules {
                verifier: WebPkiClientVerifier::no_client_auth(),
                fingerprint: [0; 32],
                lists: Vec::new(),
            });
        }
        let mut print = digest::Context::new(&digest::SHA256);
        print.update(settings.auth.to_string().as_bytes());
        let Some(authorities) = &settings.authorities else {
            let problem = "whose client certificates to take must be said";
            return Err(Fault::new(AUTHORITIES_SETTING, problem));
        };
        let text = PemText::read(authorities, AUTHORITIES_SETTING)?;
        let mut roots = RootCertStore::empty();
        for certificate in text.sections::<CertificateDer<'static>>("a certificate")? {
            note(&mut print, &certificate);
            roots.add(certificate).map_err(|error| {
                text.fault(format!(
                    "an authority's certificate cannot be used: {error}"
                ))
            })?;
        }
        if roots.is_empty() {
            return Err(text.fault("has no certificate, so no client could show a good one"));
        }
        let mut rules = WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots),
            arithmetic::provider().clone(),
        );
        let mut place = text.place.clone();
        let mut perishables = Vec::new();
        if let Some(revocations) = &settings.revocations {
            let text = PemText::read(revocations, REVOCATIONS_SETTING)?;
            let lists: Vec<CertificateRevocationListDer<'static>> =
                text.sections("a revocation list")?;
            if lists.is_empty() {
                return Err(text.fault(
                    "has no revocation list (a section that begins with -----BEGIN X509 CRL-----)",
                ));
            }
            for list in &lists {
                note(&mut print, list);
                let validity = Validity::of_list(list);
                perishables.extend(
                    validity
                        .map(|validity| Perishable::revocation_list(&text.place, validity, list)),
                );
            }
            rules = rules.with_crls(lists).enforce_revocation_expiration();
            place = text.place;
        }
        if settings.auth == ClientAuth::Optional {
            rules = rules.allow_unauthenticated();
        }
        let verifier = rules
            .build()
            .map_err(|error| Fault::new(place, error.to_string()))?;
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(print.finish().as_ref());
        Ok(ClientRules {
            verifier,
            fingerprint,
            lists: perishables,
        })
    }
}

/// Lengths go in as well: two files must not have the print of their joint.
fn note(print: &mut digest::Context, bytes: &[u8]) {
    print.update(&(bytes.len() as u64).to_be_bytes());
    print.update(bytes);
}
