//! Where a scenario is served: what a server must be told for it, and what its clients need to know. With TLS that is a
//! certificate, made for this one use.

use crate::scenario::Scenario;
use crate::subject::Scratch;
use lanner_loadtest::certificate::Certificate;
use std::ffi::OsString;
use std::fs::read_to_string;
use std::io;
use std::path::Path;

/// See the file's comment.
#[derive(Debug)]
pub struct Endpoint {
    scenario: Scenario,
    /// With the directory that holds it.
    certificate: Option<(Scratch, Certificate)>,
}

impl Endpoint {
    /// One for this scenario.
    ///
    /// # Errors
    /// If its certificate cannot be made.
    pub fn of(scenario: Scenario) -> io::Result<Self> {
        let make = || {
            let directory = Scratch::directory("certificate")?;
            let certificate = Certificate::make(&directory.0)?;
            io::Result::Ok((directory, certificate))
        };
        Ok(Self {
            scenario,
            certificate: scenario.is_secure().then(make).transpose()?,
        })
    }

    /// What is asked there.
    pub fn scenario(&self) -> Scenario {
        self.scenario
    }

    /// The certificate, where there is TLS.
    pub fn certificate(&self) -> Option<&Path> {
        let (_, certificate) = self.certificate.as_ref()?;
        Some(&certificate.chain)
    }

    /// The settings of a server.
    ///
    /// # Errors
    /// If the certificate cannot be read.
    pub fn settings(&self) -> io::Result<Vec<(&'static str, String)>> {
        match &self.certificate {
            None => settings(None),
            Some((_, certificate)) => settings(Some((&certificate.chain, &certificate.key))),
        }
    }

    /// The same for the command line of `steady`.
    pub fn arguments(&self) -> Vec<OsString> {
        let Some((_, certificate)) = &self.certificate else {
            return Vec::new();
        };
        vec![
            "--certificate".into(),
            certificate.chain.clone().into(),
            "--key".into(),
            certificate.key.clone().into(),
        ]
    }
}

/// The settings of a server that is measured: one worker, on a free port, with this certificate and its key. These are handed
/// over as text, for files would be looked at again and again, and that be counted.
///
/// # Errors
/// If the certificate cannot be read.
pub fn settings(certificate: Option<(&Path, &Path)>) -> io::Result<Vec<(&'static str, String)>> {
    let mut settings = vec![("workers", "1".to_owned())];
    match certificate {
        None => settings.push(("listen", "http://127.0.0.1:0".into())),
        Some((chain, key)) => settings.extend([
            ("listen", "https://127.0.0.1:0".into()),
            ("tls_cert", read_to_string(chain)?),
            ("tls_key", read_to_string(key)?),
        ]),
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_certificate_is_there_for_those_who_need_one_and_goes_with_its_endpoint() {
        for scenario in Scenario::ALL {
            let endpoint = Endpoint::of(scenario).unwrap();
            let certificate = endpoint.certificate().map(Path::to_owned);
            assert_eq!(certificate.is_some(), scenario.is_secure());
            assert_eq!(endpoint.arguments().is_empty(), !scenario.is_secure());
            drop(endpoint);
            assert!(certificate.is_none_or(|path| !path.exists()));
        }
    }
}
