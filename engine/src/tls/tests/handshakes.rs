//! Handshakes that succeed, what they agree on, and data after them.

use crate::tls::config::Configurations;
use crate::tls::session::{Ending, Progress};
use crate::tls::settings::{Alpn, TlsSettings};
use crate::tls::testing::{self, Authority, ClientSetup, NOW, Pair, TestClock, VERSIONS};
use lanner_limits::TlsVersion;
use rustls::AlertDescription;
use std::io::Write as _;
use std::sync::Arc;

fn settings() -> TlsSettings {
    testing::settings(Authority::shared().serves(&["a.test"]).identity())
}

fn served(settings: TlsSettings) -> (Arc<TestClock>, Arc<Configurations>) {
    let clock = TestClock::new(NOW);
    let configurations = testing::configurations(settings, &clock);
    (clock, configurations)
}

/// A handshake in which the session gets each flight in two pieces, cut at `cut`. Returns the longest flight.
fn shake_cut_at(pair: &mut Pair, cut: usize) -> usize {
    let mut longest = 0;
    loop {
        let flight = pair.sent();
        if flight.is_empty() {
            return longest;
        }
        longest = longest.max(flight.len());
        let (one, other) = flight.split_at(cut.min(flight.len()));
        pair.give(one);
        pair.give(other);
    }
}

#[test]
fn flights_may_be_cut_at_every_byte() {
    let (clock, configurations) = served(settings());
    for versions in VERSIONS {
        let setup = ClientSetup {
            versions,
            small: true,
            ..ClientSetup::new()
        };
        let client = setup.build(Authority::shared(), &clock);
        let mut cut = 0;
        let mut longest = 1;
        while cut <= longest {
            let mut pair = Pair::new(&client, "a.test", &configurations);
            longest = shake_cut_at(&mut pair, cut);
            assert!(
                pair.is_open(),
                "{cut}: {:?} {:?}",
                pair.failure,
                pair.refusal
            );
            pair.client.writer().write_all(b"question").unwrap();
            shake_cut_at(&mut pair, cut);
            assert_eq!(pair.heard, b"question", "{cut}");
            assert_eq!(pair.session.held_bytes(), 0, "{cut}");
            cut += 1;
        }
        assert!(cut > 150, "a hello is longer than {cut} bytes");
    }
}

#[test]
fn bytes_may_come_one_at_a_time() {
    let (clock, configurations) = served(settings());
    for versions in VERSIONS {
        let setup = ClientSetup {
            versions,
            ..ClientSetup::new()
        };
        let client = setup.build(Authority::shared(), &clock);
        let mut pair = Pair::new(&client, "a.test", &configurations);
        pair.piece = 1;
        pair.talk();
        assert!(pair.is_open(), "{:?} {:?}", pair.failure, pair.refusal);
        let said: Vec<u8> = (0..40_000).map(|byte: u32| byte as u8).collect();
        pair.says(&said);
        assert_eq!(pair.heard, said);
    }
}

#[test]
fn data_of_any_size_goes_both_ways() {
    let (clock, configurations) = served(settings());
    for versions in VERSIONS {
        let setup = ClientSetup {
            versions,
            ..ClientSetup::new()
        };
        let client = setup.build(Authority::shared(), &clock);
        let mut pair = Pair::shaken(&client, "a.test", &configurations);
        for (size, piece) in [
            (0, 7),
            (1, 1),
            (100, 99),
            (16_383, usize::MAX),
            (16_384, 16_384),
            (16_385, 5_000),
            (200_000, 65_536),
        ] {
            let said: Vec<u8> = (0..size).map(|byte: u32| byte as u8).collect();
            pair.piece = piece;
            pair.heard.clear();
            // The client's own buffer takes 64 KB at once.
            for part in said.chunks(60_000) {
                pair.says(part);
            }
            assert_eq!(pair.heard, said);
            assert_eq!(pair.hears(&said), said);
            assert_eq!(
                pair.session.held_bytes(),
                0,
                "an idle session holds nothing"
            );
        }
    }
}

#[test]
fn the_session_says_where_it_is() {
    let (clock, configurations) = served(settings());
    let client = ClientSetup::new().build(Authority::shared(), &clock);
    let mut pair = Pair::new(&client, "a.test", &configurations);
    assert!(pair.session.is_handshaking() && pair.session.info().is_none());
    assert_eq!(pair.session.progress(), Progress::Hello);
    let hello = pair.sent();
    pair.give(&hello[..hello.len() - 1]);
    assert_eq!(pair.session.progress(), Progress::Hello);
    assert_eq!(pair.session.held_bytes(), hello.len() - 1);
    assert_eq!(pair.session.server_name(), None);
    assert_eq!(pair.session.ending(), Ending::Unfinished);
    pair.give(&hello[hello.len() - 1..]);
    assert_eq!(pair.session.progress(), Progress::Handshaking);
    assert_eq!(pair.session.server_name(), Some("a.test"));
    assert!(pair.session.write(b"too early", &mut Vec::new()).is_err());
}

#[test]
fn nothing_is_answered_before_the_driver_accepts() {
    let (clock, configurations) = served(settings());
    let client = ClientSetup::new().build(Authority::shared(), &clock);
    let mut pair = Pair::new(&client, "a.test", &configurations);
    let mut hello = pair.sent();
    let (mut plain, mut cipher) = (Vec::new(), Vec::new());
    let mut outcome = crate::tls::session::Outcome {
        plain: &mut |heard| plain.extend_from_slice(heard),
        cipher: &mut cipher,
    };
    let read = pair
        .session
        .read(&mut hello, &mut outcome, pair.now)
        .unwrap();
    assert_eq!(read, Progress::Named);
    assert!(outcome.cipher.is_empty());
    assert_eq!(pair.session.server_name(), Some("a.test"));
    let progress = pair.session.accept(&configurations, &mut outcome, pair.now);
    assert_eq!(progress, Ok(Progress::Handshaking));
    assert!(!cipher.is_empty());
}

#[test]
fn the_first_protocol_of_ours_that_the_client_speaks_is_agreed_on() {
    let (clock, configurations) = served(settings());
    for (offered, agreed) in [
        (&["http/1.1", "h2"][..], Some(Alpn::H2)),
        (&["spdy/3", "http/1.1"], Some(Alpn::Http11)),
        (&[], None),
    ] {
        let setup = ClientSetup {
            alpn: offered,
            ..ClientSetup::new()
        };
        let client = setup.build(Authority::shared(), &clock);
        let pair = Pair::shaken(&client, "a.test", &configurations);
        assert_eq!(pair.session.info().unwrap().alpn(), agreed);
    }
    let setup = ClientSetup {
        alpn: &["spdy/3"],
        ..ClientSetup::new()
    };
    let client = setup.build(Authority::shared(), &clock);
    let pair = Pair::shaken(&client, "a.test", &configurations);
    assert_eq!(pair.alert(), AlertDescription::NoApplicationProtocol);
}

#[test]
fn the_facts_are_those_that_were_agreed_on() {
    let (clock, configurations) = served(settings());
    let client = ClientSetup::new().build(Authority::shared(), &clock);
    let info = Pair::shaken(&client, "a.test", &configurations)
        .session
        .info()
        .unwrap();
    assert_eq!(info.version(), TlsVersion::Tls13);
    assert_eq!(info.cipher(), "TLS_AES_128_GCM_SHA256");
    let group = if cfg!(feature = "aws-lc-rs") {
        "X25519MLKEM768"
    } else {
        "X25519"
    };
    assert_eq!(info.key_exchange(), Some(group));
    assert_eq!(info.server_name(), Some("a.test"));
    assert!(!info.resumed());
    assert_eq!(info.client_certificate(), None);
    let setup = ClientSetup {
        versions: VERSIONS[0],
        ..ClientSetup::new()
    };
    let client = setup.build(Authority::shared(), &clock);
    let info = Pair::shaken(&client, "a.test", &configurations)
        .session
        .info()
        .unwrap();
    assert_eq!(info.version(), TlsVersion::Tls12);
    assert_eq!(info.cipher(), "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
}

#[test]
fn versions_outside_the_configured_ones_are_refused() {
    for (oldest, newest, spoken) in [
        (TlsVersion::Tls13, TlsVersion::Tls13, VERSIONS[1]),
        (TlsVersion::Tls12, TlsVersion::Tls12, VERSIONS[0]),
    ] {
        let mut settings = settings();
        settings.oldest = oldest;
        settings.newest = newest;
        let (clock, configurations) = served(settings);
        for versions in VERSIONS {
            let setup = ClientSetup {
                versions,
                ..ClientSetup::new()
            };
            let client = setup.build(Authority::shared(), &clock);
            let pair = Pair::shaken(&client, "a.test", &configurations);
            if versions[0].version == spoken[0].version {
                assert!(pair.is_open());
            } else {
                assert_eq!(pair.alert(), AlertDescription::ProtocolVersion);
            }
        }
    }
}
