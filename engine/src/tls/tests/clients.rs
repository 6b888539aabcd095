//! Clients with certificates: good ones, none, and all the kinds of bad ones.

use crate::tls::clients::ClientSettings;
use crate::tls::config::Configurations;
use crate::tls::settings::TlsSettings;
use crate::tls::testing::{
    self, Authority, ClientSetup, DAY, Made, NOW, Pair, TestClock, VERSIONS,
};
use lanner_limits::{ClientAuth, PemSource};
use rustls::AlertDescription;
use std::sync::Arc;

fn asks(auth: ClientAuth, revocations: Option<String>) -> TlsSettings {
    let authority = Authority::shared();
    let mut settings = testing::settings(authority.serves(&["a.test"]).identity());
    settings.clients = ClientSettings {
        auth,
        authorities: Some(PemSource::Text(authority.made.certificate.pem())),
        revocations: revocations.map(PemSource::Text),
    };
    settings
}

fn shake(settings: TlsSettings, shown: Option<&Made>) -> [Pair; 2] {
    let clock = TestClock::new(NOW);
    let configurations = testing::configurations(settings, &clock);
    VERSIONS.map(|versions| {
        let setup = ClientSetup {
            versions,
            ..shown.map_or(ClientSetup::new(), ClientSetup::shows)
        };
        let client = setup.build(Authority::shared(), &clock);
        Pair::shaken(&client, "a.test", &configurations)
    })
}

fn good() -> Made {
    Authority::shared().client(7, NOW - DAY, NOW + DAY)
}

#[test]
fn a_good_certificate_is_taken_and_told_to_the_app() {
    for auth in [ClientAuth::Optional, ClientAuth::Required] {
        let client = good();
        let lists = [None, Some(Authority::shared().revokes(&[8], NOW + DAY))];
        for list in lists {
            for pair in shake(asks(auth, list), Some(&client)) {
                assert!(pair.is_open(), "{:?}", pair.failure);
                let info = pair.session.info().unwrap();
                assert_eq!(
                    info.client_certificate(),
                    Some(&client.certificate.der()[..])
                );
            }
        }
    }
}

#[test]
fn no_certificate_is_enough_where_it_is_optional_only() {
    for pair in shake(asks(ClientAuth::Optional, None), None) {
        assert!(pair.is_open());
        assert_eq!(pair.session.info().unwrap().client_certificate(), None);
    }
    for pair in shake(asks(ClientAuth::Required, None), None) {
        assert!(pair.failure.is_some() && pair.session.info().is_none());
        assert_eq!(pair.alert(), AlertDescription::CertificateRequired);
    }
}

#[test]
fn a_client_is_not_asked_where_nothing_is_configured() {
    let settings = testing::settings(Authority::shared().serves(&["a.test"]).identity());
    for pair in shake(settings, Some(&good())) {
        assert_eq!(pair.session.info().unwrap().client_certificate(), None);
    }
}

#[test]
fn a_bad_certificate_is_refused_even_where_none_would_do() {
    let authority = Authority::shared();
    let stranger = Authority::new("stranger");
    for auth in [ClientAuth::Optional, ClientAuth::Required] {
        let cases = [
            (
                authority.client(7, NOW - 9 * DAY, NOW - DAY),
                None,
                AlertDescription::CertificateExpired,
            ),
            (
                authority.client(7, NOW + DAY, NOW + 9 * DAY),
                None,
                AlertDescription::CertificateExpired,
            ),
            (
                stranger.client(7, NOW - DAY, NOW + DAY),
                None,
                AlertDescription::UnknownCA,
            ),
            (
                good(),
                Some(authority.revokes(&[6, 7], NOW + DAY)),
                AlertDescription::CertificateRevoked,
            ),
            // A list that has run out says nothing about today.
            (
                good(),
                Some(authority.revokes(&[], NOW - 1)),
                AlertDescription::UnknownCA,
            ),
            // Nor does another authority's list.
            (
                good(),
                Some(stranger.revokes(&[], NOW + DAY)),
                AlertDescription::UnknownCA,
            ),
            // One for servers is no client's.
            (
                authority.serves(&["a.test"]),
                None,
                AlertDescription::UnsupportedCertificate,
            ),
        ];
        for (shown, list, alert) in cases {
            for pair in shake(asks(auth, list), Some(&shown)) {
                assert!(pair.failure.is_some());
                assert!(pair.session.info().is_none());
                assert_eq!(pair.alert(), alert);
            }
        }
    }
}

#[test]
fn rules_that_could_never_be_kept_are_refused_at_the_start() {
    let pem = |text: &str| Some(PemSource::Text(text.to_owned()));
    let certificate = Authority::shared().made.certificate.pem();
    for (authorities, revocations, problem) in [
        (None, None, "whose client certificates"),
        (pem("-----BEGIN NOTHING-----"), None, "LANNER_TLS_CLIENT_CA"),
        (
            pem(&certificate),
            pem(&certificate),
            "LANNER_TLS_CRL: has no revocation list",
        ),
        (
            Some(PemSource::File("/nowhere/ca.pem".to_owned())),
            None,
            "/nowhere/ca.pem: No such file",
        ),
    ] {
        let mut settings = asks(ClientAuth::Required, None);
        settings.clients.authorities = authorities;
        settings.clients.revocations = revocations;
        let fault = refused(settings);
        assert!(fault.contains(problem), "{fault}");
    }
}

fn refused(settings: TlsSettings) -> String {
    let clock = TestClock::new(NOW).wall();
    let keys = crate::tls::ticket_keys::TicketKeys::made(clock.clone()).unwrap();
    let built = Configurations::build(&settings, &Arc::new(keys), &clock);
    built.err().unwrap().to_string()
}
