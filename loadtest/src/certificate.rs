//! The certificate that all servers of a comparison have: ECDSA on P-256, the kind that costs a server least, made anew for
//! each run and trusted only by those who are handed it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The names it is for.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// The files of a certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// What clients may see.
    pub chain: PathBuf,
    /// Readable for nobody but us; servers read it before they give up their rights.
    pub key: PathBuf,
}

impl Certificate {
    /// Makes one and writes it to this directory.
    pub fn make(directory: &Path) -> io::Result<Self> {
        let made = rcgen::generate_simple_self_signed(NAMES.map(str::to_owned));
        let made = made.map_err(io::Error::other)?;
        let files = Self {
            chain: directory.join("certificate.pem"),
            key: directory.join("key.pem"),
        };
        fs::write(&files.chain, made.cert.pem())?;
        let mut only_ours = OpenOptions::new();
        only_ours.write(true).create_new(true).mode(0o600);
        let mut key = only_ours.open(&files.key)?;
        key.write_all(made.signing_key.serialize_pem().as_bytes())?;
        Ok(files)
    }
}
