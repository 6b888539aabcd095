//! From a file, or from a setting's value, to the PEM sections in it. What they are good for is up to those who asked.

use crate::tls::fault::Fault;
use lanner_limits::PemSource;
use rustls::pki_types::pem::PemObject;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use zeroize::Zeroizing;

/// No chain and no list of authorities is this long, and a device file has no end.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// A text with its place.
pub(crate) struct PemText {
    /// The file or the setting, for messages.
    pub(crate) place: String,
    /// May be a key, so it is wiped when it is no longer needed.
    text: Zeroizing<Vec<u8>>,
}

impl PemText {
    /// Reads `source`; `setting` stands for the place where the text is the setting's own value.
    pub(crate) fn read(source: &PemSource, setting: &str) -> Result<PemText, Fault> {
        match source {
            PemSource::File(path) => PemText::read_file(Path::new(path)),
            PemSource::Text(text) => Ok(PemText {
                place: setting.to_owned(),
                text: Zeroizing::new(text.clone().into_bytes()),
            }),
        }
    }

    pub(crate) fn read_file(path: &Path) -> Result<PemText, Fault> {
        let place = path.display().to_string();
        let fault = |error: std::io::Error| Fault::new(place.clone(), error.to_string());
        let file = File::open(path).map_err(fault)?;
        let mut text = Zeroizing::new(Vec::new());
        file.take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut text)
            .map_err(fault)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(Fault::new(place, "too long for a PEM file"));
        }
        Ok(PemText { place, text })
    }

    /// Every section of a kind, in order; `what` says what they are in a message about a broken one.
    pub(crate) fn sections<T: PemObject>(&self, what: &str) -> Result<Vec<T>, Fault> {
        T::pem_slice_iter(&self.text)
            .collect::<Result<_, _>>()
            .map_err(|error| self.fault(format!("{what} cannot be read: {error}")))
    }

    /// Whether the text has a private key that wants a password.
    pub(crate) fn has_encrypted_key(&self) -> bool {
        let marks: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];
        marks
            .iter()
            .any(|mark| self.text.windows(mark.len()).any(|window| window == *mark))
    }

    pub(crate) fn fault(&self, problem: impl Into<String>) -> Fault {
        Fault::new(self.place.clone(), problem)
    }
}
