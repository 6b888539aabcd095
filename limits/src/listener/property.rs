//! Every property that a listener can have of its own, once: name, type, kind, what stands in its place, and why. What is
//! given is read with this list and put together in `settings.rs`; the README's table is made of it too.

use crate::choice::{ClientAuth, Protocols, TlsVersion};
use crate::files::{Path, Pem, PemSource};
use crate::hosts::ServerName;
use crate::listen::{ListenUrl, Url};
use crate::value::{Flag, Kind, OrNone, one_of};

/// What every listener's variables begin with.
pub(crate) const LISTENER: &str = "LANNER_LISTENER__";
/// The most names that one listener may have certificates for by number; a directory has room for more.
pub(crate) const SNI_MAX: usize = 256;

/// A property of a listener, or of one of the names it has certificates for.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// Its variable, for the listener that is called `NAME` and the name that has the number `N`.
    pub variable: &'static str,
    /// What is in effect where it is not given.
    pub otherwise: &'static str,
    /// Why it is there: a paragraph.
    pub why: &'static str,
    /// The end of its variable.
    pub(crate) name: &'static str,
    range: fn() -> String,
}

impl Property {
    /// What is accepted, such as `true or false`.
    #[must_use]
    pub fn range(&self) -> String {
        (self.range)()
    }

    /// Whether a variable is this one, for some listener and some number.
    #[must_use]
    pub fn is(&self, variable: &str) -> bool {
        // Neither a listener's name nor any other part of a variable has two underscores in a row.
        let (own, given) = (self.variable.split("__"), variable.split("__"));
        own.clone().count() == given.clone().count()
            && own
                .zip(given)
                .all(|(own, given)| own == given || own == "NAME" || own == "N")
    }
}

/// A property, and its place in what is given.
pub(crate) struct Row<G> {
    pub(crate) property: Property,
    /// Reads a text.
    pub(crate) assign: fn(&mut G, &str) -> Result<(), String>,
    /// What was read, as one would write it.
    pub(crate) text: fn(&G) -> String,
}

/// Makes a struct of what may be given, and its table, of one list of
/// `/// why` `field "NAME": Type, kind, otherwise "text";`.
macro_rules! properties {
    ($(#[$about:meta])+ $given:ident $table:ident $prefix:literal {
        $($(#[doc = $why:literal])+ $field:ident $name:literal: $type:ty, $kind:expr, otherwise $otherwise:literal;)+
    }) => {
        $(#[$about])+
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $given {
            $(pub(crate) $field: Option<$type>,)+
        }

        pub(crate) const $table: &[Row<$given>] = &[$(
            Row {
                property: Property {
                    variable: concat!("LANNER_LISTENER__NAME__", $prefix, $name),
                    otherwise: $otherwise,
                    why: concat!($($why),+).trim_ascii(),
                    name: $name,
                    range: || Kind::range(&$kind),
                },
                assign: |given, text| {
                    given.$field = Some(Kind::parse(&$kind, text)?);
                    Ok(())
                },
                text: |given| given.$field.as_ref().map(|value| Kind::write(&$kind, value)).unwrap_or_default(),
            },
        )+];
    };
}

properties! {
    /// What one listener was given. What is none is as it is for every listener.
    Given LISTENER_PROPERTIES "" {
        /// Where to listen, as in `LANNER_LISTEN`. It makes a listener of this name; the entries of `LANNER_LISTEN` are called
        /// 0, 1, 2 and so on, and have no `URL`.
        url "URL": ListenUrl, Url, otherwise "that of LANNER_LISTEN";

        /// The versions of HTTP that are spoken. With TLS the client chooses among them by ALPN; without, HTTP/2 is spoken with
        /// whoever begins with its preface.
        protocols "PROTOCOLS": Protocols, one_of::<Protocols>(), otherwise "h1+h2";

        /// The certificate chain, in PEM. It makes `unix:`, `fd:` and `systemd:` listeners speak TLS too.
        tls_cert "TLS_CERT": Option<PemSource>, OrNone(Pem), otherwise "LANNER_TLS_CERT, with its key";

        /// The private key of the listener's own `TLS_CERT`, in PEM. `none`: it stands beside the certificate.
        tls_key "TLS_KEY": Option<PemSource>, OrNone(Pem), otherwise "beside the certificate";

        /// A directory of certificates, each used for the names it says it is for. It makes `unix:`, `fd:` and `systemd:`
        /// listeners speak TLS too.
        tls_cert_dir "TLS_CERT_DIR": Option<String>, OrNone(Path), otherwise "LANNER_TLS_CERT_DIR";

        /// Whether clients show certificates: what is public and what is among ourselves may be two listeners.
        tls_client_auth "TLS_CLIENT_AUTH": ClientAuth, one_of::<ClientAuth>(), otherwise "LANNER_TLS_CLIENT_AUTH";

        /// The authorities whose client certificates are taken, in PEM.
        tls_client_ca "TLS_CLIENT_CA": Option<PemSource>, OrNone(Pem), otherwise "LANNER_TLS_CLIENT_CA";

        /// Revocation lists for client certificates, in PEM. They belong to the authorities: a listener with others needs
        /// other lists, or `none`.
        tls_crl "TLS_CRL": Option<PemSource>, OrNone(Pem), otherwise "LANNER_TLS_CRL";

        /// Whether a client must name a host that a certificate is for.
        tls_strict_sni "TLS_STRICT_SNI": bool, Flag, otherwise "LANNER_TLS_STRICT_SNI";

        /// The oldest version of TLS that is spoken.
        tls_min "TLS_MIN": TlsVersion, one_of::<TlsVersion>(), otherwise "LANNER_TLS_MIN";

        /// The newest version of TLS that is spoken.
        tls_max "TLS_MAX": TlsVersion, one_of::<TlsVersion>(), otherwise "LANNER_TLS_MAX";
    }
}

properties! {
    /// What one name of a listener was given. What is none is as it is for the listener.
    GivenHost HOST_PROPERTIES "SNI__N__" {
        /// A host that has a certificate of its own: a name, or `*.` and a name for everything below it. Exact names win over
        /// wildcards, long wildcards over short ones. Numbers begin at 0 and leave none out.
        host "HOST": String, ServerName, otherwise "must be given";

        /// Its certificate chain, in PEM.
        cert "CERT": PemSource, Pem, otherwise "must be given";

        /// Its private key, in PEM. `none`: it stands beside the certificate.
        key "KEY": Option<PemSource>, OrNone(Pem), otherwise "beside the certificate";

        /// Whether clients that ask for it show certificates.
        client_auth "CLIENT_AUTH": ClientAuth, one_of::<ClientAuth>(), otherwise "the listener's";

        /// The authorities whose client certificates are taken for it, in PEM.
        client_ca "CLIENT_CA": Option<PemSource>, OrNone(Pem), otherwise "the listener's";

        /// Revocation lists for the client certificates that are taken for it, in PEM.
        crl "CRL": Option<PemSource>, OrNone(Pem), otherwise "the listener's";
    }
}

/// Every property, those of listeners first.
pub fn properties() -> impl Iterator<Item = &'static Property> {
    let listeners = LISTENER_PROPERTIES.iter().map(|row| &row.property);
    listeners.chain(HOST_PROPERTIES.iter().map(|row| &row.property))
}

/// The number that a text is, written as we would: no sign, no zero in front.
pub(crate) fn number(text: &str, below: usize) -> Option<usize> {
    let number: usize = text.parse().ok().filter(|number| *number < below)?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_variable_is_its_own_and_ends_in_its_name() {
        let variables: HashSet<&str> = properties().map(|property| property.variable).collect();
        assert_eq!(variables.len(), properties().count());
        for property in properties() {
            assert!(property.variable.starts_with(LISTENER), "{property:?}");
            assert!(property.variable.ends_with(property.name), "{property:?}");
        }
    }

    #[test]
    fn a_variable_is_one_property() {
        for (variable, property) in [
            ("LANNER_LISTENER__PUBLIC__URL", "LANNER_LISTENER__NAME__URL"),
            (
                "LANNER_LISTENER__0__TLS_CERT",
                "LANNER_LISTENER__NAME__TLS_CERT",
            ),
            (
                "LANNER_LISTENER__A__SNI__7__CERT",
                "LANNER_LISTENER__NAME__SNI__N__CERT",
            ),
        ] {
            let of: Vec<&str> = properties()
                .filter(|property| property.is(variable))
                .map(|property| property.variable)
                .collect();
            assert_eq!(of, [property]);
        }
        assert!(!properties().any(|property| property.is("LANNER_TLS_CERT")));
    }

    #[test]
    fn every_why_is_a_paragraph() {
        for property in properties() {
            let why = property.why;
            assert!(why.len() > 20 && why.ends_with('.'), "{why}");
            assert!(!why.contains("  ") && !why.contains('\n'), "{why}");
        }
    }

    #[test]
    fn what_is_not_given_is_written_as_nothing() {
        for row in LISTENER_PROPERTIES {
            assert_eq!((row.text)(&Given::default()), "");
        }
    }

    #[test]
    fn numbers_have_one_spelling() {
        assert_eq!(number("0", 3), Some(0));
        assert_eq!(number("2", 3), Some(2));
        for wrong in [
            "",
            "3",
            "+1",
            "-1",
            "01",
            " 1",
            "1x",
            "99999999999999999999",
        ] {
            assert_eq!(number(wrong, 3), None, "{wrong}");
        }
    }
}
