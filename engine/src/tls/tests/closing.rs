//! How sessions end: both sides' `close_notify`, streams that are cut, and what is said of errors.

use crate::tls::failure::Failure;
use crate::tls::session::{Ending, Progress};
use crate::tls::testing::{self, Authority, ClientSetup, NOW, Pair, TestClock, VERSIONS, Versions};
use rustls::AlertDescription;
use std::io::Read as _;

fn pair(version: Versions) -> Pair {
    let clock = TestClock::new(NOW);
    let identity = Authority::shared().serves(&["a.test"]).identity();
    let configurations = testing::configurations(testing::settings(identity), &clock);
    let setup = ClientSetup {
        versions: version,
        ..ClientSetup::new()
    };
    let client = setup.build(Authority::shared(), &clock);
    Pair::shaken(&client, "a.test", &configurations)
}

fn pairs() -> [Pair; 2] {
    VERSIONS.map(pair)
}

#[test]
fn a_close_is_told_from_a_stream_that_was_cut() {
    for mut pair in pairs() {
        pair.says(b"all");
        assert_eq!(pair.session.ending(), Ending::Truncated);
        pair.client.send_close_notify();
        pair.talk();
        assert_eq!(pair.session.progress(), Progress::PeerClosed);
        assert_eq!(pair.session.ending(), Ending::Clean);
        assert_eq!(pair.heard, b"all");
        // Its side is closed; ours is not.
        assert_eq!(pair.hears(b"answer"), b"answer");
    }
}

#[test]
fn what_comes_after_a_close_is_ignored() {
    for mut pair in pairs() {
        pair.client.send_close_notify();
        let mut bytes = pair.sent();
        bytes.extend_from_slice(b"\x17\x03\x03\x00\x03abc GET /");
        pair.piece = 3;
        pair.give(&bytes);
        pair.give(b"more");
        // The beginning of a long record, which is not waited for.
        pair.give(&[23, 3, 3, 0x40, 0, 1, 2, 3]);
        assert_eq!(pair.session.held_bytes(), 0);
        assert_eq!((&pair.failure, pair.heard.len()), (&None, 0));
        assert_eq!(pair.session.ending(), Ending::Clean);
    }
}

#[test]
fn our_close_reaches_the_client_after_all_data() {
    for mut pair in pairs() {
        let mut cipher = Vec::new();
        pair.session.write(b"last words", &mut cipher).unwrap();
        pair.session.close(&mut cipher);
        let length = cipher.len();
        pair.session.close(&mut cipher);
        assert_eq!(cipher.len(), length, "it is said once");
        pair.tell(&cipher);
        let mut heard = Vec::new();
        // A stream without close_notify would be an error here.
        pair.client.reader().read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"last words");
    }
}

#[test]
fn a_close_before_the_handshake_is_over_says_nothing() {
    let clock = TestClock::new(NOW);
    let identity = Authority::shared().serves(&["a.test"]).identity();
    let configurations = testing::configurations(testing::settings(identity), &clock);
    let client = ClientSetup::new().build(Authority::shared(), &clock);
    let mut pair = Pair::new(&client, "a.test", &configurations);
    let mut cipher = Vec::new();
    pair.session.close(&mut cipher);
    assert!(cipher.is_empty());
}

#[test]
fn a_record_that_was_touched_ends_the_session_with_an_alert() {
    for mut pair in pairs() {
        std::io::Write::write_all(&mut pair.client.writer(), b"question").unwrap();
        let mut bytes = pair.sent();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        pair.give(&bytes);
        assert_eq!(
            pair.failure,
            Some(Failure::Tls(rustls::Error::DecryptError))
        );
        assert_eq!(pair.alert(), AlertDescription::BadRecordMac);
        assert!(pair.heard.is_empty());
        assert!(pair.session.write(b"more", &mut Vec::new()).is_err());
        assert_eq!(pair.session.held_bytes(), 0);
    }
}
