//! Sends one input in every way a network may deliver it, and checks that the way makes no difference.

use crate::driver::{Peer, Stand, Told};
use lanner_limits::Trip;
use lanner_protocol::EndReason;

/// A whole conversation's outcome, for comparing.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Outcome {
    pub(crate) told: Vec<Told>,
    /// Without 100s, which come or not as the bytes happen to arrive.
    pub(crate) wire: Vec<u8>,
    pub(crate) stand: Stand,
    pub(crate) reason: Option<EndReason>,
    pub(crate) trips: Vec<Trip>,
}

fn feed<'a>(make: &dyn Fn() -> Peer, pieces: impl Iterator<Item = &'a [u8]>, end: bool) -> Peer {
    let mut peer = make();
    for piece in pieces {
        peer.send(piece);
    }
    if end {
        peer.end();
    }
    peer
}

fn outcome(peer: &Peer) -> Outcome {
    let text = String::from_utf8(peer.wire.clone()).unwrap();
    Outcome {
        told: peer.told.clone(),
        wire: text.replace("HTTP/1.1 100 Continue\r\n\r\n", "").into(),
        stand: peer.stand(),
        reason: peer.end_reason(),
        trips: peer.trips.clone(),
    }
}

/// Sends `input` whole, at every split and byte by byte, with and without the client's end after it, and checks that
/// nothing depends on it. Returns the conversation in which it came whole and was not ended.
pub(crate) fn converse(make: impl Fn() -> Peer, input: impl AsRef<[u8]>) -> Peer {
    let input = input.as_ref();
    for end in [true, false] {
        let whole = outcome(&feed(&make, [input].into_iter(), end));
        for at in 0..=input.len() {
            let (front, back) = input.split_at(at);
            let got = outcome(&feed(&make, [front, back].into_iter(), end));
            assert_eq!(got, whole, "split at {at}: {}", input.escape_ascii());
        }
        let got = outcome(&feed(&make, input.chunks(1), end));
        assert_eq!(got, whole, "byte by byte: {}", input.escape_ascii());
    }
    feed(&make, [input].into_iter(), false)
}
