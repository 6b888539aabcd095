//! Clients that come back: where that saves them the handshake, and where it must not.

use crate::tls::clients::ClientSettings;
use crate::tls::config::Configurations;
use crate::tls::failure::Failure;
use crate::tls::settings::TlsSettings;
use crate::tls::testing::{
    self, Authority, ClientSetup, DAY, HOUR, Made, NOW, Pair, TestClock, VERSIONS,
};
use crate::tls::ticket_keys::TicketKeys;
use lanner_limits::{ClientAuth, PemSource};
use rustls::ClientConfig;
use std::sync::Arc;

/// A process with its ticket keys.
struct Process {
    clock: Arc<TestClock>,
    keys: Arc<TicketKeys>,
}

impl Process {
    fn new() -> Process {
        let clock = TestClock::new(NOW);
        let keys = Arc::new(TicketKeys::made(clock.wall()).unwrap());
        Process { clock, keys }
    }

    fn serves(&self, settings: &TlsSettings) -> Arc<Configurations> {
        let built = Configurations::build(settings, &self.keys, &self.clock.wall()).unwrap();
        Arc::new(built.configurations)
    }

    fn client(&self, setup: ClientSetup) -> Arc<ClientConfig> {
        setup.build(Authority::shared(), &self.clock)
    }
}

fn settings() -> TlsSettings {
    testing::settings(Authority::shared().serves(&["a.test"]).identity())
}

fn asks(auth: ClientAuth, list: Option<String>) -> TlsSettings {
    let authority = Authority::shared();
    let mut settings = settings();
    settings.clients = ClientSettings {
        auth,
        authorities: Some(PemSource::Text(authority.made.certificate.pem())),
        revocations: list.map(PemSource::Text),
    };
    settings
}

/// Whether the client came back without a handshake.
fn resumes(client: &Arc<ClientConfig>, configurations: &Arc<Configurations>) -> bool {
    let mut pair = Pair::shaken(client, "a.test", configurations);
    assert!(pair.is_open(), "{:?} {:?}", pair.failure, pair.refusal);
    // The tickets come with or before this.
    assert_eq!(pair.hears(b"x"), b"x");
    pair.session.info().unwrap().resumed()
}

#[test]
fn a_client_comes_back_within_a_configuration_though_its_certificate_was_renewed() {
    for versions in VERSIONS {
        let process = Process::new();
        let client = process.client(ClientSetup {
            versions,
            ..ClientSetup::new()
        });
        assert!(!resumes(&client, &process.serves(&settings())));
        assert!(resumes(&client, &process.serves(&settings())));
        // Another process has other keys.
        assert!(!resumes(&client, &Process::new().serves(&settings())));
    }
}

#[test]
fn a_ticket_of_a_configuration_is_none_under_another_with_other_rules_for_clients() {
    // CVE-2025-23419. Without SNI no comparison of names helps.
    let list = |serial| Authority::shared().revokes(&[serial], NOW + DAY);
    let others = [
        asks(ClientAuth::Optional, None),
        asks(ClientAuth::Optional, Some(list(1))),
        asks(ClientAuth::Optional, Some(list(2))),
        asks(ClientAuth::Required, Some(list(2))),
        settings(),
    ];
    for versions in VERSIONS {
        for sni in [true, false] {
            for (place, one) in others.iter().enumerate() {
                for (other_place, other) in others.iter().enumerate() {
                    let process = Process::new();
                    let made = Authority::shared().client(7, NOW - DAY, NOW + DAY);
                    let client = process.client(ClientSetup {
                        versions,
                        sni,
                        ..ClientSetup::shows(&made)
                    });
                    assert!(!resumes(&client, &process.serves(one)));
                    let resumed = resumes(&client, &process.serves(other));
                    assert_eq!(resumed, place == other_place, "{place} {other_place} {sni}");
                }
            }
        }
    }
}

#[test]
fn nobody_gets_in_with_a_ticket_where_a_certificate_is_required() {
    for versions in VERSIONS {
        let process = Process::new();
        let client = process.client(ClientSetup {
            versions,
            sni: false,
            ..ClientSetup::new()
        });
        assert!(!resumes(&client, &process.serves(&settings())));
        let required = process.serves(&asks(ClientAuth::Required, None));
        let pair = Pair::shaken(&client, "a.test", &required);
        assert!(pair.failure.is_some() && pair.session.info().is_none());
    }
}

fn shows(process: &Process, made: &Made) -> Arc<ClientConfig> {
    process.client(ClientSetup::shows(made))
}

#[test]
fn the_certificate_of_a_client_that_comes_back_is_still_told() {
    let process = Process::new();
    let made = Authority::shared().client(7, NOW - DAY, NOW + DAY);
    let client = shows(&process, &made);
    let required = process.serves(&asks(ClientAuth::Required, None));
    assert!(!resumes(&client, &required));
    let info = Pair::shaken(&client, "a.test", &required)
        .session
        .info()
        .unwrap();
    assert!(info.resumed());
    assert_eq!(info.client_certificate(), Some(&made.certificate.der()[..]));
}

#[test]
fn a_client_whose_certificate_has_run_out_since_does_not_come_back() {
    let process = Process::new();
    let made = Authority::shared().client(7, NOW - DAY, NOW + 2 * HOUR);
    let client = shows(&process, &made);
    let required = process.serves(&asks(ClientAuth::Required, None));
    assert!(!resumes(&client, &required));
    process.clock.set(NOW + 2 * HOUR);
    assert!(resumes(&client, &required));
    process.clock.set(NOW + 2 * HOUR + 1);
    let pair = Pair::shaken(&client, "a.test", &required);
    assert_eq!(pair.failure, Some(Failure::ClientCertificateExpired));
    assert!(pair.session.info().is_none());
}

#[test]
fn tickets_end_with_their_keys() {
    for versions in VERSIONS {
        let process = Process::new();
        let configurations = process.serves(&settings());
        let client = process.client(ClientSetup {
            versions,
            ..ClientSetup::new()
        });
        assert!(!resumes(&client, &configurations));
        process.clock.set(NOW + 6 * HOUR - 1);
        assert!(resumes(&client, &configurations));
        process.clock.set(NOW + 30 * HOUR);
        assert!(!resumes(&client, &configurations));
    }
}

#[test]
fn no_data_is_taken_before_the_handshakes_end() {
    let process = Process::new();
    let configurations = process.serves(&settings());
    let mut config = ClientConfig::clone(&process.client(ClientSetup::new()));
    config.enable_early_data = true;
    let client = Arc::new(config);
    assert!(!resumes(&client, &configurations));
    let mut pair = Pair::new(&client, "a.test", &configurations);
    assert!(
        pair.client.early_data().is_none(),
        "the ticket does not offer it"
    );
    pair.talk();
    assert!(pair.session.info().unwrap().resumed());
}
