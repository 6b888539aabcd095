//! Which certificate a name gets, who is refused, and which hosts a connection is good for.

use crate::tls::clients::ClientSettings;
use crate::tls::config::Configurations;
use crate::tls::failure::Failure;
use crate::tls::settings::{HostSettings, Identity, TlsSettings};
use crate::tls::testing::{self, Authority, ClientSetup, Folder, Made, NOW, Pair, TestClock};
use rustls::AlertDescription;
use std::sync::Arc;

fn host(host: &str, identity: Identity) -> HostSettings {
    HostSettings {
        host: host.to_owned(),
        identity,
        clients: ClientSettings::NONE,
    }
}

struct Served {
    clock: Arc<TestClock>,
    configurations: Arc<Configurations>,
}

impl Served {
    fn new(settings: TlsSettings) -> Served {
        let clock = TestClock::new(NOW);
        let configurations = testing::configurations(settings, &clock);
        Served {
            clock,
            configurations,
        }
    }

    fn ask(&self, name: &'static str, sni: bool) -> Pair {
        let setup = ClientSetup {
            sni,
            ..ClientSetup::new()
        };
        let client = setup.build(Authority::shared(), &self.clock);
        Pair::shaken(&client, name, &self.configurations)
    }

    fn certificate_for(&self, name: &'static str) -> Vec<u8> {
        self.ask(name, true).certificate().to_vec()
    }
}

fn der(made: &Made) -> Vec<u8> {
    made.certificate.der().to_vec()
}

#[test]
fn each_name_gets_the_certificate_that_is_for_it() {
    let authority = Authority::shared();
    let everything = ["a.test", "b.test", "c.b.test", "d.c.b.test", "other.test"];
    let [default, exact, wide, narrow] = [(); 4].map(|()| authority.serves(&everything));
    let mut settings = testing::settings(default.identity());
    settings.hosts = vec![
        host("A.test", exact.identity()),
        host("*.test", wide.identity()),
        host("*.b.test", narrow.identity()),
    ];
    let served = Served::new(settings);
    assert_eq!(served.certificate_for("a.test"), der(&exact));
    assert_eq!(served.certificate_for("A.TEST"), der(&exact));
    assert_eq!(served.certificate_for("c.b.test"), der(&narrow));
    assert_eq!(served.certificate_for("d.c.b.test"), der(&narrow));
    assert_eq!(served.certificate_for("other.test"), der(&wide));
    assert_eq!(served.ask("a.test", false).certificate(), der(&default));
}

#[test]
fn a_name_in_a_certificate_takes_nothing_away_from_a_name_that_was_given() {
    let authority = Authority::shared();
    let mut settings = testing::settings(authority.serves(&["x.secret.test"]).identity());
    let given = authority.serves(&["*.secret.test"]);
    settings.hosts = vec![host("*.secret.test", given.identity())];
    let served = Served::new(settings);
    assert_eq!(served.certificate_for("x.secret.test"), der(&given));
}

#[test]
fn strangers_get_the_default_or_are_refused_where_that_is_configured() {
    let authority = Authority::shared();
    let default = authority.serves(&["a.test", "stranger.example"]);
    let mut settings = testing::settings(default.identity());
    // The default's own names are known, so only this one is a stranger's.
    let named = authority.serves(&["a.test"]);
    settings.default = Some(named.identity());
    settings.hosts = vec![host("b.test", default.identity())];
    settings.strict = true;
    let served = Served::new(settings);
    assert!(served.ask("a.test", true).is_open());
    for (name, sni) in [("stranger.example", true), ("a.test", false)] {
        let pair = served.ask(name, sni);
        assert_eq!(pair.failure, Some(Failure::UnrecognizedName));
        assert_eq!(pair.alert(), AlertDescription::UnrecognisedName);
    }
    let mut settings = testing::settings(default.identity());
    settings.strict = false;
    let served = Served::new(settings);
    assert!(served.ask("stranger.example", true).is_open());
    assert!(served.ask("a.test", false).is_open());
}

#[test]
fn a_connection_is_good_for_the_hosts_of_its_own_configuration() {
    let authority = Authority::shared();
    let mut settings = testing::settings(authority.serves(&["a.test", "*.a.test"]).identity());
    settings.hosts = vec![host(
        "secret.a.test",
        authority.serves(&["secret.a.test"]).identity(),
    )];
    let served = Served::new(settings);
    let info = served.ask("a.test", true).session.info().unwrap();
    for (host, covered) in [
        ("a.test", true),
        ("A.TEST.", true),
        ("x.a.test", true),
        ("secret.a.test", false),
        ("SECRET.a.test.", false),
        // Nobody's, so it is the default's, as this connection is.
        ("elsewhere.test", true),
        ("127.0.0.1", true),
        ("[::1]", true),
    ] {
        assert_eq!(info.covers(host.as_bytes()), covered, "{host}");
    }
    let info = served.ask("secret.a.test", true).session.info().unwrap();
    for (host, covered) in [
        ("secret.a.test", true),
        ("a.test", false),
        ("127.0.0.1", false),
    ] {
        assert_eq!(info.covers(host.as_bytes()), covered, "{host}");
    }
}

#[test]
fn a_directorys_certificates_are_for_the_names_they_say() {
    let authority = Authority::shared();
    let folder = Folder::new();
    let (one, other) = (
        authority.serves(&["a.test"]),
        authority.serves(&["*.b.test"]),
    );
    folder.file("1.crt", &one.certificate.pem());
    folder.secret("1.key", &one.key.serialize_pem());
    folder.secret("2.pem", &other.pem());
    folder.file("README", "not a certificate");
    let mut settings = testing::settings(one.identity());
    settings.default = None;
    settings.directory = Some(folder.0.clone());
    let served = Served::new(settings);
    assert_eq!(served.certificate_for("a.test"), der(&one));
    assert_eq!(served.certificate_for("x.b.test"), der(&other));
    // The first file's is for those who name nothing.
    assert_eq!(served.ask("a.test", false).certificate(), der(&one));
}

#[test]
fn of_two_certificates_for_one_name_the_one_that_lives_longer_is_used() {
    let authority = Authority::shared();
    let folder = Folder::new();
    let old = authority.server(&["a.test"], NOW - 10, NOW + 1_000);
    let renewed = authority.server(&["a.test"], NOW - 5, NOW + 2_000_000);
    folder.secret("1-old.pem", &old.pem());
    folder.secret("2-renewed.pem", &renewed.pem());
    let mut settings = testing::settings(old.identity());
    settings.default = None;
    settings.directory = Some(folder.0.clone());
    assert_eq!(
        Served::new(settings).certificate_for("a.test"),
        der(&renewed)
    );
}
