//! The server's own certificates: a chain and its key from PEM, found fit to be used before anybody connects. Which name
//! gets which is up to `names` and `config`.

use crate::tls::arithmetic;
use crate::tls::fault::Fault;
use crate::tls::pem::PemText;
use crate::tls::perishable::Perishable;
use crate::tls::validity::Validity;
use lanner_limits::PemSource;
use rustls::InconsistentKeys;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Certificates in one directory: beyond it somebody named the wrong one.
const DIRECTORY_CERTIFICATES_MAX: usize = 10_000;
/// The settings, where the text itself stands in them.
const CERTIFICATE_SETTING: &str = "LANNER_TLS_CERT";
const KEY_SETTING: &str = "LANNER_TLS_KEY";

/// A certificate chain with its key.
#[derive(Clone)]
pub(crate) struct Certificate {
    /// Where it came from, for messages.
    pub(crate) place: String,
    pub(crate) key: Arc<CertifiedKey>,
    /// The DNS names in it, in lower case.
    pub(crate) names: Vec<String>,
    pub(crate) validity: Validity,
}

impl Certificate {
    /// Reads a chain, and its key from `key` or from beside the chain.
    pub(crate) fn read(
        certificate: &PemSource,
        key: Option<&PemSource>,
    ) -> Result<Certificate, Fault> {
        let chain = PemText::read(certificate, CERTIFICATE_SETTING)?;
        let key = key.map(|key| PemText::read(key, KEY_SETTING)).transpose()?;
        Certificate::new(&chain, key.as_ref())
    }

    fn new(text: &PemText, key: Option<&PemText>) -> Result<Certificate, Fault> {
        let chain: Vec<CertificateDer<'static>> = text.sections("a certificate")?;
        let Some(own) = chain.first() else {
            return Err(text.fault(
                "has no certificate (a section that begins with -----BEGIN CERTIFICATE-----)",
            ));
        };
        let validity = Validity::of(own);
        let names = dns_names(own);
        let (Some(validity), Some(names)) = (validity, names) else {
            return Err(text.fault("its first certificate is none that TLS can use"));
        };
        let key_text = key.unwrap_or(text);
        let key = private_key(key_text)?;
        let key = CertifiedKey::from_der(chain, key, arithmetic::provider())
            .map_err(|error| unfit(error, text, key_text))?;
        Ok(Certificate {
            place: text.place.clone(),
            key: Arc::new(key),
            names,
            validity,
        })
    }

    /// One that was made here and is in no file of the operator's.
    pub(crate) fn made(
        place: &str,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Certificate, Fault> {
        let own = chain.first().map(|own| (Validity::of(own), dns_names(own)));
        let Some((Some(validity), Some(names))) = own else {
            return Err(Fault::new(place, "is no certificate that TLS can use"));
        };
        let key = CertifiedKey::from_der(chain, key, arithmetic::provider())
            .map_err(|error| Fault::new(place, error.to_string()))?;
        Ok(Certificate {
            place: place.to_owned(),
            key: Arc::new(key),
            names,
            validity,
        })
    }

    /// Every certificate of a directory, in the order of their files' names: `NAME.crt` with `NAME.key`, and `NAME.pem`
    /// with both in it.
    pub(crate) fn read_directory(directory: &Path) -> Result<Vec<Certificate>, Fault> {
        certificate_files(directory)?
            .into_iter()
            .map(|path| {
                let text = PemText::read_file(&path)?;
                let key = key_file(&path)
                    .map(|path| PemText::read_file(&path))
                    .transpose()?;
                Certificate::new(&text, key.as_ref())
            })
            .collect()
    }

    /// What there is to be told of it.
    pub(crate) fn perishable(&self) -> Perishable {
        let own = self.key.cert.first().map_or(&[][..], |own| &own[..]);
        Perishable::certificate(&self.place, &self.names, self.validity, own)
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate")
            .field("place", &self.place)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// The files of a directory that hold certificates.
pub(crate) fn certificate_files(directory: &Path) -> Result<Vec<PathBuf>, Fault> {
    let fault =
        |error: std::io::Error| Fault::new(directory.display().to_string(), error.to_string());
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(directory).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if matches!(ending, Some("crt" | "pem")) {
            files.insert(path);
        }
        if files.len() > DIRECTORY_CERTIFICATES_MAX {
            let problem = format!("has more than {DIRECTORY_CERTIFICATES_MAX} certificates");
            return Err(Fault::new(directory.display().to_string(), problem));
        }
    }
    Ok(files.into_iter().collect())
}

/// The file of a certificate's key, where that is another one.
pub(crate) fn key_file(certificate: &Path) -> Option<PathBuf> {
    let apart = certificate
        .extension()
        .is_some_and(|ending| ending == "crt");
    apart.then(|| certificate.with_extension("key"))
}

/// The names that a certificate is for; none where it is no certificate. Those in its subject do not count: no client
/// looks there any more (RFC 9110 section 4.3.4).
fn dns_names(certificate: &CertificateDer<'_>) -> Option<Vec<String>> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let mut names: Vec<String> = certificate
        .valid_dns_names()
        .map(str::to_ascii_lowercase)
        .collect();
    names.sort_unstable();
    names.dedup();
    Some(names)
}

fn private_key(text: &PemText) -> Result<PrivateKeyDer<'static>, Fault> {
    let mut keys: Vec<PrivateKeyDer<'static>> = text.sections("a private key")?;
    match (keys.len(), keys.pop()) {
        (1, Some(key)) => Ok(key),
        (0, _) if text.has_encrypted_key() => Err(text.fault(
            "its private key is encrypted, and there is nobody to type the password (`openssl pkey -in FILE` decrypts it)",
        )),
        (0, _) => Err(text.fault("has no private key (a section that begins with -----BEGIN PRIVATE KEY-----)")),
        (several, _) => Err(text.fault(format!("has {several} private keys, where one is needed"))),
    }
}

/// Says what keeps a key and a chain from being used together.
fn unfit(error: rustls::Error, certificate: &PemText, key: &PemText) -> Fault {
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => key.fault(format!(
            "the private key does not fit the first certificate of {} (the server's own certificate comes first)",
            certificate.place
        )),
        rustls::Error::InvalidCertificate(_) => certificate.fault(format!("the certificate cannot be used: {error}")),
        error => key.fault(format!("the private key cannot be used: {error}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::tls::testing::{Authority, Folder, source};

    #[test]
    fn a_certificate_and_its_key_come_from_one_file_or_two_or_from_the_setting() {
        let folder = Folder::new();
        let made = Authority::shared().serves(&["b.test", "A.test", "*.c.test"]);
        let both = folder.secret("both.pem", &made.pem());
        let certificate = folder.file("cert.pem", &made.certificate.pem());
        let key = folder.secret("key.pem", &made.key.serialize_pem());
        for (certificate, key) in [
            (source(&both), None),
            (source(&certificate), Some(source(&key))),
            (PemSource::Text(made.pem()), None),
            (
                source(&certificate),
                Some(PemSource::Text(made.key.serialize_pem())),
            ),
        ] {
            let read = Certificate::read(&certificate, key.as_ref()).unwrap();
            assert_eq!(read.names, ["*.c.test", "a.test", "b.test"]);
            assert_eq!(read.key.cert[0], *made.certificate.der());
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_file_it_is_wrong_with() {
        let folder = Folder::new();
        let [made, other] = [(); 2].map(|()| Authority::shared().serves(&["a.test"]));
        let certificate = folder.file("cert.pem", &made.certificate.pem());
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let cut = made.certificate.pem().replace("-----END", "-----");
        for (name, text, problem) in [
            (
                "key1.pem",
                other.key.serialize_pem(),
                "does not fit the first certificate of",
            ),
            ("key2.pem", String::new(), "has no private key"),
            ("key3.pem", encrypted.to_owned(), "is encrypted"),
            (
                "key4.pem",
                made.key.serialize_pem() + &other.key.serialize_pem(),
                "has 2 private keys",
            ),
        ] {
            let key = folder.secret(name, &text);
            let fault = Certificate::read(&source(&certificate), Some(&source(&key)));
            let fault = fault.unwrap_err().to_string();
            assert!(fault.contains(name) && fault.contains(problem), "{fault}");
        }
        for (name, text, problem) in [
            ("cert1.pem", made.key.serialize_pem(), "has no certificate"),
            ("cert2.pem", cut, "cannot be read"),
            ("cert3.pem", pem_of(b"nonsense"), "none that TLS can use"),
        ] {
            let path = folder.secret(name, &text);
            let fault = Certificate::read(&source(&path), None)
                .unwrap_err()
                .to_string();
            assert!(fault.contains(name) && fault.contains(problem), "{fault}");
        }
        let missing = source(&folder.path("missing.pem"));
        let fault = Certificate::read(&missing, None).unwrap_err().to_string();
        assert!(fault.contains("missing.pem: No such file"), "{fault}");
        let fault = Certificate::read(&PemSource::Text(made.certificate.pem()), None);
        assert!(
            fault
                .unwrap_err()
                .to_string()
                .starts_with("LANNER_TLS_CERT: has no private key")
        );
    }

    fn pem_of(bytes: &[u8; 8]) -> String {
        assert_eq!(bytes, b"nonsense");
        "-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n".to_owned()
    }

    #[test]
    fn a_directory_with_something_wrong_in_it_is_refused() {
        let folder = Folder::new();
        let made = Authority::shared().serves(&["a.test"]);
        folder.secret("1.pem", &made.pem());
        folder.file("2.crt", &made.certificate.pem());
        let fault = Certificate::read_directory(&folder.0)
            .unwrap_err()
            .to_string();
        assert!(fault.contains("2.key: No such file"), "{fault}");
        let fault = Certificate::read_directory(&folder.path("none")).unwrap_err();
        assert!(fault.to_string().contains("none: No such file"), "{fault}");
    }
}
