//! Clients that are none: floods, bytes without end, other protocols, and noise.

use crate::tls::config::Configurations;
use crate::tls::failure::Failure;
use crate::tls::record::RECORD_BYTES_MAX;
use crate::tls::session::{Bounds, Outcome, Progress, Session};
use crate::tls::testing::{
    self, Authority, ClientSetup, DAY, NOW, Pair, TestClock, VERSIONS, Versions,
};
use lanner_limits::{ClientAuth, Moment, PemSource, Trip};
use proptest::prelude::*;
use rustls::ClientConfig;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

fn served() -> &'static (Arc<TestClock>, Arc<Configurations>) {
    static SERVED: OnceLock<(Arc<TestClock>, Arc<Configurations>)> = OnceLock::new();
    SERVED.get_or_init(|| {
        let clock = TestClock::new(NOW);
        let identity = Authority::shared().serves(&["a.test"]).identity();
        let configurations = testing::configurations(testing::settings(identity), &clock);
        (clock, configurations)
    })
}

fn client(versions: Versions) -> Arc<ClientConfig> {
    let setup = ClientSetup {
        versions,
        small: true,
        ..ClientSetup::new()
    };
    setup.build(Authority::shared(), &served().0)
}

fn shaken(versions: Versions) -> Pair {
    Pair::shaken(&client(versions), "a.test", &served().1)
}

/// A session that gets `bytes` in pieces. Returns what it said, and how it went.
fn give(bytes: &[u8], piece: usize, bytes_max: usize) -> (Vec<u8>, Session, Option<Failure>) {
    let mut limits = testing::limits();
    limits.tls_max_handshake_bytes = bytes_max;
    let mut session = Session::new(Bounds::new(&limits), Moment::ZERO);
    let (mut plain, mut cipher) = (Vec::new(), Vec::new());
    let mut failure = None;
    for piece in bytes.chunks(piece) {
        let mut outcome = Outcome {
            plain: &mut |heard| plain.extend_from_slice(heard),
            cipher: &mut cipher,
        };
        let read = session.read(&mut piece.to_vec(), &mut outcome, Moment::ZERO);
        let accepted = match read {
            Ok(Progress::Named) => session
                .accept(&served().1, &mut outcome, Moment::ZERO)
                .map(drop),
            other => other.map(drop),
        };
        failure = accepted.err();
        if failure.is_some() {
            break;
        }
    }
    assert!(plain.is_empty());
    (cipher, session, failure)
}

#[test]
fn http_without_tls_is_known_by_its_first_byte() {
    for request in [
        "GET / HTTP/1.1\r\n",
        "POST / HTTP/1.0\r\n",
        "PRI * HTTP/2.0\r\n",
        "G",
    ] {
        for piece in [1, 1_000] {
            let (said, _, failure) = give(request.as_bytes(), piece, 1 << 16);
            assert_eq!(failure, Some(Failure::PlainHttp));
            assert!(
                said.is_empty(),
                "the answer is the driver's, and without TLS"
            );
        }
    }
}

#[test]
fn other_protocols_are_refused_at_once() {
    // SSH, SSLv2, a proxy's header, an alert, data before any handshake.
    for bytes in [
        &b"ssh-2.0-"[..],
        b"\x80\x2e\x01\x03\x01",
        b"\r\n\r\n\x00",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x17\x03\x03\x00\x01x",
        b"\x16\x02\x00\x00\x05",
        b"\x16\x03\x01\x48\x01",
        b"\x16\x03\x01\x00\x00",
    ] {
        let (_, _, failure) = give(bytes, 1, 1 << 16);
        assert!(
            matches!(failure, Some(Failure::Tls(_))),
            "{bytes:?}: {failure:?}"
        );
    }
}

#[test]
fn a_hello_without_end_is_cut_at_its_bound() {
    // One message of 65,535 bytes in records of one byte each, and in the longest ones.
    for fragment in [1_usize, 16_384] {
        let mut bytes = Vec::new();
        let message = [&[1, 0, 0xFF, 0xFF][..], &[0; 70_000]].concat();
        for fragment in message.chunks(fragment) {
            bytes.extend([22, 3, 1]);
            bytes.extend(u16::try_from(fragment.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(fragment);
        }
        for bytes_max in [4_096, 1 << 15] {
            let (said, session, failure) = give(&bytes, 1_000, bytes_max);
            assert_eq!(failure, Some(Failure::Limit(Trip::TlsHandshakeBytes)));
            assert_eq!(said, [21, 3, 3, 0, 2, 2, 22]);
            assert_eq!(session.held_bytes(), 0);
        }
    }
}

#[test]
fn a_clients_certificates_count_as_handshake_bytes() {
    let authority = Authority::shared();
    let mut settings = testing::settings(authority.serves(&["a.test"]).identity());
    settings.clients.auth = ClientAuth::Required;
    settings.clients.authorities = Some(PemSource::Text(authority.made.certificate.pem()));
    let clock = TestClock::new(NOW);
    let configurations = testing::configurations(settings, &clock);
    let made = authority.client(7, NOW - DAY, NOW + DAY);
    for versions in VERSIONS {
        for (bytes_max, fits) in [(1 << 16, true), (1 << 13, false)] {
            let mut setup = ClientSetup {
                versions,
                ..ClientSetup::shows(&made)
            };
            let (chain, _) = setup.certificate.as_mut().unwrap();
            chain.extend((0..30).map(|_| authority.made.certificate.der().clone()));
            let client = setup.build(authority, &clock);
            let mut pair = Pair::new(&client, "a.test", &configurations);
            let mut limits = testing::limits();
            limits.tls_max_handshake_bytes = bytes_max;
            pair.session = Session::new(Bounds::new(&limits), Moment::ZERO);
            pair.talk();
            assert_eq!(pair.is_open(), fits, "{:?}", pair.failure);
            let tripped = pair.failure == Some(Failure::Limit(Trip::TlsHandshakeBytes));
            assert_eq!(tripped, !fits);
        }
    }
}

#[test]
fn an_oversized_record_ends_the_session_at_its_header() {
    for versions in VERSIONS {
        let mut pair = shaken(versions);
        pair.give(&[23, 3, 3, 0x48, 0x01]);
        assert!(
            matches!(pair.failure, Some(Failure::Tls(_))),
            "{:?}",
            pair.failure
        );
        let mut pair = shaken(versions);
        pair.give(&[23, 3, 3, 0x48, 0x00]);
        pair.give(&[0; 10_000]);
        assert!(pair.failure.is_none() && pair.session.held_bytes() < RECORD_BYTES_MAX);
    }
}

#[test]
fn key_updates_beyond_the_rate_end_the_session() {
    let mut pair = shaken(VERSIONS[1]);
    // Its Finished was part of the handshake, and its data is none of this.
    for _ in 0..100 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.says(b"x");
    }
    assert_eq!((&pair.failure, pair.heard.len()), (&None, 100));
    // We answer them, and go on.
    assert_eq!(pair.hears(b"still here"), b"still here");
    pair.client.refresh_traffic_keys().unwrap();
    pair.says(b"x");
    assert_eq!(pair.failure, Some(Failure::Limit(Trip::TlsKeyupdateRate)));
    assert_eq!(pair.heard.len(), 100);
}

#[test]
fn key_updates_with_nothing_between_them_end_it_sooner() {
    let mut pair = shaken(VERSIONS[1]);
    for _ in 0..33 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.says(b"");
    }
    assert_eq!(pair.failure, Some(Failure::Limit(Trip::TlsKeyupdateRate)));
}

#[test]
fn key_updates_within_the_rate_go_on_for_ever() {
    let mut pair = shaken(VERSIONS[1]);
    for _ in 0..1_000 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.says(b"x");
        pair.now += Duration::from_millis(10);
    }
    assert_eq!((&pair.failure, pair.heard.len()), (&None, 1_000));
}

#[test]
fn many_small_records_with_data_are_nobodys_fault() {
    for versions in VERSIONS {
        let mut pair = shaken(versions);
        for _ in 0..2_000 {
            pair.says(b"x");
        }
        assert_eq!((&pair.failure, pair.heard.len()), (&None, 2_000));
    }
}

#[test]
fn renegotiation_is_refused() {
    // A ClientHello under the keys of TLS 1.2 is made by no client of rustls; one in the clear is refused as any noise.
    let mut pair = shaken(VERSIONS[0]);
    let hello = Pair::new(&client(VERSIONS[0]), "a.test", &served().1).sent();
    pair.give(&hello);
    assert!(matches!(pair.failure, Some(Failure::Tls(_))));
}

/// Noise over a handshake's flights: at which byte, of which flight, and what it becomes.
fn touched(versions: Versions, flight: usize, place: usize, byte: u8) {
    let mut pair = Pair::new(&client(versions), "a.test", &served().1);
    for number in 0.. {
        let mut bytes = pair.sent();
        if bytes.is_empty() || pair.failure.is_some() {
            break;
        }
        if number == flight {
            let place = place % bytes.len();
            bytes[place] = byte;
        }
        pair.give(&bytes);
    }
    if pair.session.progress() == Progress::Open {
        pair.says(b"question");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), piece in 1_usize..200) {
        give(&bytes, piece, 1_500);
        let hello = [&[22, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3][..], &bytes].concat();
        give(&hello, piece, 1 << 14);
    }

    #[test]
    fn noise_in_a_flight_never_panics(tls13: bool, flight in 0_usize..2, place: usize, byte: u8) {
        touched(VERSIONS[usize::from(tls13)], flight, place, byte);
    }

    #[test]
    fn noise_after_a_handshake_never_panics(
        tls13: bool,
        bytes in proptest::collection::vec(any::<u8>(), 1..400),
        piece in 1_usize..100,
        framed: bool,
    ) {
        let mut pair = shaken(VERSIONS[usize::from(tls13)]);
        pair.piece = piece;
        if framed {
            let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
            pair.give(&[&[20 + bytes[0] % 4, 3, 3][..], &length, &bytes].concat());
        } else {
            pair.give(&bytes);
        }
        prop_assert!(pair.heard.is_empty());
    }
}
