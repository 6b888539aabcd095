//! What TLS takes in a run: the certificate of all servers, and what OpenSSL may choose from in clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::arguments::Failure;
use crate::certificate::Certificate;

use super::directory::Directory;

const OPENSSL_CONFIGURATION: &str = include_str!("../../../bench/rivals/openssl.cnf");

/// Files that go with us.
#[derive(Debug)]
pub(crate) struct Credentials {
    certificate: Certificate,
    openssl: PathBuf,
    /// Where they are.
    _directory: Directory,
}

impl Credentials {
    /// Makes them.
    pub(crate) fn make() -> Result<Self, Failure> {
        let made = Directory::make("credentials").and_then(|directory| {
            let openssl = directory.path().join("openssl.cnf");
            fs::write(&openssl, OPENSSL_CONFIGURATION)?;
            Ok(Self {
                certificate: Certificate::make(directory.path())?,
                openssl,
                _directory: directory,
            })
        });
        made.map_err(Failure::of("making a certificate"))
    }

    /// The certificate's file.
    pub(crate) fn certificate(&self) -> &Path {
        &self.certificate.chain
    }

    /// The file of its key.
    pub(crate) fn key(&self) -> &Path {
        &self.certificate.key
    }

    /// Keeps a program that uses OpenSSL to TLS 1.3, AES-128-GCM and X25519.
    pub(crate) fn bind(&self, command: &mut Command) {
        command.env("OPENSSL_CONF", &self.openssl);
    }

    /// Fills in where the files are.
    pub(crate) fn fill(&self, text: &str) -> String {
        text.replace("@certificate@", &self.certificate().display().to_string())
            .replace("@key@", &self.key().display().to_string())
    }
}
