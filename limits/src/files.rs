//! The knobs whose values are files: certificates and keys (or their PEM text itself), directories, ticket keys. Nothing
//! is opened here; a value that is a secret is never shown again.

use crate::value::Kind;
use std::fmt;

/// How PEM text begins, in a file and in a value.
const PEM_BEGINNING: &str = "-----BEGIN";
/// What stands for PEM text wherever a value is shown: it may be a private key.
const PEM_SHOWN: &str = "-----BEGIN (not shown)";
/// As `PATH_MAX` of Linux, less its closing zero.
const PATH_BYTES_MAX: usize = 4_095;
/// Text of this length is no certificate chain.
const PEM_BYTES_MAX: usize = 1 << 20;

/// Where PEM text comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum PemSource {
    /// A file's path.
    File(String),
    /// The text itself, as containers get it in a variable.
    Text(String),
}

impl fmt::Display for PemSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PemSource::File(path) => path,
            PemSource::Text(_) => PEM_SHOWN,
        })
    }
}

impl fmt::Debug for PemSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a value is PEM text, and so perhaps a secret.
pub(crate) fn is_pem_text(value: &str) -> bool {
    value.trim_start().starts_with(PEM_BEGINNING)
}

/// A path, or PEM text.
pub(crate) struct Pem;

impl Kind for Pem {
    type Value = PemSource;

    fn parse(&self, text: &str) -> Result<PemSource, String> {
        if !is_pem_text(text) {
            return Path.parse(text).map(PemSource::File);
        }
        if text.len() > PEM_BYTES_MAX {
            return Err("is too long for PEM text".to_owned());
        }
        Ok(PemSource::Text(text.to_owned()))
    }

    fn write(&self, value: &PemSource) -> String {
        value.to_string()
    }

    fn range(&self) -> String {
        format!("the path of a PEM file, or PEM text (which begins with {PEM_BEGINNING})")
    }
}

/// A path.
pub(crate) struct Path;

impl Kind for Path {
    type Value = String;

    fn parse(&self, text: &str) -> Result<String, String> {
        if text.is_empty() || text.len() > PATH_BYTES_MAX || text.contains(char::is_control) {
            return Err("is not a path".to_owned());
        }
        Ok(text.to_owned())
    }

    fn write(&self, value: &String) -> String {
        value.clone()
    }

    fn range(&self) -> String {
        "a path".to_owned()
    }
}

/// Where the keys of session tickets come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TicketKeys {
    /// Made by this process, and known to nobody else.
    Auto,
    /// Read from this file, which other processes read too.
    File(String),
}

/// `auto`, or a path.
pub(crate) struct TicketKeysFrom;

impl Kind for TicketKeysFrom {
    type Value = TicketKeys;

    fn parse(&self, text: &str) -> Result<TicketKeys, String> {
        if text == "auto" {
            return Ok(TicketKeys::Auto);
        }
        Path.parse(text).map(TicketKeys::File)
    }

    fn write(&self, value: &TicketKeys) -> String {
        match value {
            TicketKeys::Auto => "auto".to_owned(),
            TicketKeys::File(path) => path.clone(),
        }
    }

    fn range(&self) -> String {
        "auto, or a path".to_owned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----";

    #[test]
    fn what_begins_like_pem_is_text_and_the_rest_is_a_path() {
        assert_eq!(Pem.parse(KEY), Ok(PemSource::Text(KEY.to_owned())));
        for path in ["/etc/cert.pem", "cert.pem", "BEGIN"] {
            assert_eq!(Pem.parse(path), Ok(PemSource::File(path.to_owned())));
        }
        for wrong in ["", "a\0b", "a\nb", &"a".repeat(PATH_BYTES_MAX + 1)] {
            assert!(Pem.parse(wrong).is_err(), "{wrong:?}");
        }
        let endless = format!("{PEM_BEGINNING}{}", "a".repeat(PEM_BYTES_MAX));
        assert!(Pem.parse(&endless).is_err());
    }

    #[test]
    fn a_private_key_is_shown_nowhere() {
        let source = Pem.parse(KEY).unwrap();
        for shown in [
            Pem.write(&source),
            source.to_string(),
            format!("{source:?}"),
            format!("{:?}", Some(&source)),
        ] {
            assert!(!shown.contains("c2VjcmV0"), "{shown}");
            assert!(shown.contains(PEM_SHOWN), "{shown}");
        }
    }

    #[test]
    fn ticket_keys_are_a_word_or_a_path() {
        for text in ["auto", "/run/lanner/tickets"] {
            let keys = TicketKeysFrom.parse(text).unwrap();
            assert_eq!(TicketKeysFrom.write(&keys), text);
        }
        assert_eq!(TicketKeysFrom.parse("auto"), Ok(TicketKeys::Auto));
        assert!(TicketKeysFrom.parse("").is_err());
    }
}
