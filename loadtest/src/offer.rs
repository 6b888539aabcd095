//! What a TLS client offers, by the names that RFC 8446 has: servers choose differently among the same, and what they choose
//! costs differently.

use std::io;

use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{CipherSuite, NamedGroup, SupportedCipherSuite};

/// All that there is, or only what was asked for: one cipher suite, one key exchange.
pub(crate) fn offer(suite: Option<&str>, group: Option<&str>) -> io::Result<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    if let Some(name) = suite {
        keep(
            "cipher suite",
            name,
            &mut provider.cipher_suites,
            suite_name,
        )?;
    }
    match group {
        Some(name) => keep("key exchange", name, &mut provider.kx_groups, group_name)?,
        // Said here, for what is preferred depends on who else in the build uses rustls: what browsers and curl have without
        // post-quantum arithmetic, which costs more than the rest of a handshake.
        None => {
            provider.kx_groups = vec![kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
        }
    }
    Ok(provider)
}

fn suite_name(suite: &SupportedCipherSuite) -> String {
    let suite: CipherSuite = suite.suite();
    // rustls has its own word for those of TLS 1.3.
    format!("{suite:?}").replacen("TLS13_", "TLS_", 1)
}

fn group_name(group: &&'static dyn SupportedKxGroup) -> String {
    let group: NamedGroup = group.name();
    format!("{group:?}")
}

fn keep<T>(
    kind: &str,
    name: &str,
    offered: &mut Vec<T>,
    name_of: impl Fn(&T) -> String,
) -> io::Result<()> {
    let names: Vec<String> = offered.iter().map(&name_of).collect();
    offered.retain(|one| name_of(one) == name);
    if offered.is_empty() {
        let names = names.join(", ");
        let text = format!("there is no {kind} `{name}`; there are {names}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn offered(suite: Option<&str>, group: Option<&str>) -> Result<(usize, usize), String> {
        let provider = offer(suite, group).map_err(|error| error.to_string())?;
        Ok((provider.cipher_suites.len(), provider.kx_groups.len()))
    }

    #[test]
    fn what_is_offered_is_what_was_asked_for() {
        let (suites, groups) = offered(None, None).unwrap();
        assert!(suites > 3 && groups > 2);
        let suite = Some("TLS_AES_128_GCM_SHA256");
        assert_eq!(offered(suite, None), Ok((1, groups)));
        assert_eq!(offered(None, Some("X25519")), Ok((suites, 1)));
        assert_eq!(offered(suite, Some("X25519MLKEM768")), Ok((1, 1)));
    }

    #[test]
    fn what_there_is_not_is_told_with_what_there_is() {
        let error = offered(Some("RC4"), None).unwrap_err();
        assert!(error.contains("no cipher suite `RC4`"), "{error}");
        assert!(error.contains("TLS_AES_256_GCM_SHA384"), "{error}");
        let error = offered(None, Some("X448")).unwrap_err();
        assert!(
            error.contains("no key exchange `X448`; there are "),
            "{error}"
        );
    }
}
