//! The certificate for developing with as a person meets it: where it is, how long it is good for, and what to type so that
//! browsers and tools trust it. Making it is up to `development`.

use crate::tls::development::{self, Development, Files, PUBLIC_FILE, Renewal};
use crate::tls::fault::Fault;
use crate::tls::wall_clock::WallClock;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

const DAY_SECONDS: u64 = 24 * 3_600;
/// What browsers list the authority as.
const NICKNAME: &str = "lanner-development-authority";

/// The certificate for developing with, in the user's data directory (`$XDG_DATA_HOME/lanner`, else
/// `~/.local/share/lanner`): good for `localhost`, `127.0.0.1` and `::1`, and signed by an authority that can vouch for
/// nothing else. A server that listens nowhere in particular serves `https://localhost:8443` with it.
#[derive(Clone, Debug)]
pub struct DevelopmentCertificate {
    authority: PathBuf,
    certificate: PathBuf,
    days_left: u64,
}

impl DevelopmentCertificate {
    /// The one that is there, made where there is none and renewed where it is nearly over.
    ///
    /// # Errors
    /// The files cannot be read or written, or cannot be used. The error names them.
    pub fn open() -> io::Result<Self> {
        Self::kept(Renewal::WhenDue)
    }

    /// A new one, signed by the same authority, so that whoever trusts the old one trusts it too.
    ///
    /// # Errors
    /// As [`DevelopmentCertificate::open`].
    pub fn renew() -> io::Result<Self> {
        Self::kept(Renewal::Now)
    }

    fn kept(renewal: Renewal) -> io::Result<Self> {
        let clock = WallClock::system();
        let directory = development::data_directory(|name| std::env::var_os(name));
        let failed = |fault: Fault| io::Error::other(fault.to_string());
        let Development {
            certificate, files, ..
        } = Development::kept(directory.as_deref(), &clock, renewal).map_err(failed)?;
        let Files { authority, leaf } = files.expect("what is kept is in files");
        Ok(Self {
            authority,
            certificate: leaf,
            days_left: certificate.validity.ends.saturating_sub(clock.seconds()) / DAY_SECONDS,
        })
    }

    /// The authority's certificate: the file that clients are told to trust.
    #[must_use]
    pub fn authority(&self) -> &Path {
        &self.authority
    }

    /// The file with the certificate and its key, for `LANNER_TLS_CERT`.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Where it is and how to use and to trust it, for a person.
    #[must_use]
    pub fn instructions(&self) -> String {
        let Self {
            authority,
            certificate,
            days_left,
        } = self;
        let (authority, certificate) = (word(authority), word(certificate));
        let mut text = String::new();
        let _ = write!(
            text,
            "A certificate for localhost, 127.0.0.1 and ::1, good for {days_left} more days:

  certificate, key {certificate}
  authority        {authority}

Without a listener of your own `lanner` serves https://localhost:8443 with it, and renews it. To use it elsewhere:

  LANNER_LISTEN=https://localhost:9443 LANNER_TLS_CERT={certificate} lanner

"
        );
        text + &trust(&authority)
    }
}

/// What to type; `path` is a word for the shell.
fn trust(path: &str) -> String {
    format!(
        "It is signed by an authority of your own, which can vouch for these names only, and whose key is on this machine only.
To trust it:

  Debian, Ubuntu   sudo cp {path} /usr/local/share/ca-certificates/ && sudo update-ca-certificates
  Fedora, Arch     sudo trust anchor {path}
  Chrome, Chromium certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n {NICKNAME} -i {path}
  Firefox          certutil -d sql:PROFILE -A -t C,, -n {NICKNAME} -i {path}
                   with the root directory that about:profiles shows; or by hand in Settings, Privacy & Security,
                   View Certificates, Authorities, Import
  curl             curl --cacert {path} https://localhost:8443/
  Node.js          NODE_EXTRA_CA_CERTS={path}
  Python           REQUESTS_CA_BUNDLE={path} (requests), SSL_CERT_FILE={path} (httpx)

certutil is in the package libnss3-tools (Debian, Ubuntu), nss-tools (Fedora) or nss (Arch). To take the trust back:

  Debian, Ubuntu   sudo rm /usr/local/share/ca-certificates/{PUBLIC_FILE} && sudo update-ca-certificates --fresh
  Fedora, Arch     sudo trust anchor --remove {path}
  Chrome, Chromium certutil -d sql:$HOME/.pki/nssdb -D -n {NICKNAME}
  Firefox          certutil -d sql:PROFILE -D -n {NICKNAME}
"
    )
}

/// A path as a word for the shell.
fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instructions_can_be_pasted() {
        let certificate = DevelopmentCertificate {
            authority: PathBuf::from("/home/o'neil/a b.crt"),
            certificate: PathBuf::from("/d/localhost.pem"),
            days_left: 89,
        };
        let text = certificate.instructions();
        for part in [
            "sudo trust anchor '/home/o'\\''neil/a b.crt'\n",
            "curl --cacert '/home/o'\\''neil/a b.crt' https://localhost:8443/",
            "LANNER_TLS_CERT=/d/localhost.pem lanner\n",
            "good for 89 more days",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
