//! Arbitrary bytes, an arbitrary app and arbitrary time: whatever happens, what is sent is well-formed HTTP/1.1, an end
//! is an end, and nothing waits for ever.

use crate::driver::{App, Peer, Stand, Told};
use lanner_protocol::{BodyLength, EndReason, Fate, Fields};
use proptest::prelude::*;
use std::time::Duration;

#[derive(Clone, Debug)]
enum Act {
    Send(Vec<u8>),
    /// The same, byte by byte.
    Trickle(Vec<u8>),
    End,
    Reset,
    Take(usize),
    Wait(u64),
    Read,
    /// Begins an answer: status, length, and whether the app says it has nothing more to read.
    Begin(u16, Option<u64>, bool),
    Piece(usize),
    Finish(bool),
    Switch,
    Abort,
    Stop,
    StopDeadline,
    Shed,
}

/// Pieces of requests; the path `/0` is HTTP/1.0's.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /0 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "POST /0 HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: ",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\n",
        "4\r\nabcd\r\n",
        "0\r\n\r\n",
        "0\r\nx: y\r\n\r\n",
        "0\r\nx: y\r\n",
        "ffffffffffffffff\r\n",
        "5;a=b\r\nhello",
        "abcd",
        "\r\n",
        "\n",
        "GET",
    ]);
    prop_oneof![
        12 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..40),
        1 => (1_000..70_000usize).prop_map(|len| vec![b'x'; len]),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let status = prop::sample::select(vec![200u16, 200, 204, 205, 304, 404, 500]);
    prop_oneof![
        16 => fragment().prop_map(Act::Send),
        3 => fragment().prop_map(Act::Trickle),
        1 => Just(Act::End),
        1 => Just(Act::Reset),
        4 => (0..100_000usize).prop_map(Act::Take),
        4 => (0..20_000u64).prop_map(Act::Wait),
        8 => Just(Act::Read),
        8 => (status, prop::option::of(0..9u64), any::<bool>()).prop_map(|(status, length, complete)| Act::Begin(status, length, complete)),
        8 => prop_oneof![0..9usize, Just(5_000)].prop_map(Act::Piece),
        8 => any::<bool>().prop_map(Act::Finish),
        2 => Just(Act::Switch),
        1 => Just(Act::Abort),
        1 => Just(Act::Stop),
        1 => Just(Act::StopDeadline),
        1 => Just(Act::Shed),
    ]
}

fn perform(peer: &mut Peer, act: &Act) {
    match act {
        Act::Send(bytes) => {
            peer.send(bytes);
        }
        Act::Trickle(bytes) => {
            for byte in bytes.chunks(1) {
                peer.send(byte);
            }
        }
        Act::End => {
            peer.end();
        }
        Act::Reset => peer.reset(),
        Act::Take(count) => peer.take(*count),
        Act::Wait(millis) => {
            peer.wait(Duration::from_millis(*millis));
        }
        Act::Read => peer.want_body(),
        Act::Begin(status, length, complete) if peer.http.awaits_response() => {
            let length = length.map_or(BodyLength::Unknown, BodyLength::Known);
            peer.begin(*status, length, *complete);
        }
        Act::Piece(len) if !peer.http.awaits_response() => {
            let _ = peer.piece(&vec![b'p'; *len]);
        }
        Act::Finish(with_trailers) if !peer.http.awaits_response() => {
            let mut trailers = Fields::new();
            trailers.append("x-sum", "1").unwrap();
            let _ = peer.finish(with_trailers.then_some(&trailers));
        }
        Act::Switch => {
            let _ = peer.switch("echo");
        }
        Act::Abort if peer.http.in_exchange() => peer.http.abort(EndReason::AbortedByApp),
        Act::Stop => {
            peer.http.announce_close();
            peer.turn();
            peer.http.handle_stop(peer.now);
        }
        Act::StopDeadline => peer.http.handle_stop_deadline(),
        Act::Shed if peer.http.is_lingering() || peer.http.idle_since().is_some() => {
            peer.http.shed();
        }
        _ => {}
    }
    peer.turn();
}

fn rank(fate: Fate) -> u8 {
    match fate {
        Fate::Open => 0,
        Fate::Flush { .. } => 1,
        Fate::Lingering => 2,
        Fate::Gone | Fate::Abort => 3,
    }
}

/// Whether something is waited for that a hostile client could let us wait for.
fn waits_for_the_client(peer: &Peer) -> bool {
    match peer.stand() {
        Stand::Closed | Stand::Reset => false,
        Stand::Flushing | Stand::Lingering => true,
        Stand::Open if peer.unsent() > 0 || !peer.http.in_exchange() => true,
        Stand::Open => peer.waits && !peer.http.is_upgraded(),
    }
}

fn check(peer: &Peer, before: Fate, was_reset: bool) {
    assert!(
        rank(peer.http.fate()) >= rank(before),
        "{before:?}, then {:?}",
        peer.http.fate()
    );
    assert_eq!(peer.http.fate() == Fate::Open, peer.end_reason().is_none());
    if waits_for_the_client(peer) {
        assert!(
            peer.http.deadline().is_some(),
            "waits for ever: {:?}",
            peer.told
        );
    }
    if let Some(at) = peer.http.deadline() {
        assert!(
            at > peer.now,
            "a deadline passed unnoticed: {:?}",
            peer.told
        );
    }
    if peer.http.fate() != Fate::Open {
        assert!(!peer.http.in_exchange() && !peer.http.body_open());
    }
    let wire = peer.read();
    let requests: Vec<&String> = peer
        .told
        .iter()
        .filter_map(|told| match told {
            Told::Request(words) => Some(words),
            _ => None,
        })
        .collect();
    // One more for a request that could not be read.
    assert!(wire.answers.len() <= requests.len() + 1);
    for ((answer, continues), words) in wire.answers.iter().zip(&wire.continues).zip(&requests) {
        assert!(*continues <= 1);
        if words.ends_with("/0") {
            assert!(*continues == 0 && answer.field("transfer-encoding").is_none());
        }
    }
    if peer.stand() == Stand::Closed && !was_reset && !peer.cut_short {
        assert!(
            wire.answers.iter().all(|answer| answer.whole),
            "closed within an answer"
        );
    }
}

fn run(room: usize, acts: &[Act]) {
    let mut peer = Peer::new(App::Manual);
    peer.room = room;
    let mut was_reset = false;
    for act in acts {
        let before = peer.http.fate();
        was_reset |= matches!(act, Act::Reset);
        perform(&mut peer, act);
        check(&peer, before, was_reset);
    }
    // Left alone, with an app that gives up, it ends within the longest of its times.
    if peer.http.is_upgraded() {
        return;
    }
    if peer.http.awaits_response() {
        peer.begin(500, BodyLength::Known(0), true);
    }
    let _ = peer.finish(None);
    peer.turn();
    for _ in 0..100 {
        peer.wait(Duration::from_secs(30));
        if peer.http.awaits_response() {
            peer.answer(500, "");
        }
    }
    assert!(
        matches!(peer.stand(), Stand::Closed | Stand::Reset),
        "still there: {:?}, {:?}",
        peer.stand(),
        peer.due_in()
    );
    check(&peer, Fate::Open, was_reset);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_what_is_sent_is_http_and_every_wait_ends(
        room in prop_oneof![3 => Just(usize::MAX), 1 => 0..2_000usize],
        acts in prop::collection::vec(act(), 1..40),
    ) {
        run(room, &acts);
    }

    #[test]
    fn arbitrary_input_means_the_same_however_it_is_split(
        fragments in prop::collection::vec(fragment(), 1..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        reads in any::<bool>(),
    ) {
        let input = fragments.concat();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        at.extend([0, input.len()]);
        at.sort_unstable();
        let app = if reads { App::Collect } else { App::AtOnce("x") };
        let mut whole = Peer::new(app);
        whole.send(&input).end();
        let mut split = Peer::new(app);
        for range in at.windows(2) {
            split.send(&input[range[0]..range[1]]);
        }
        split.end();
        prop_assert_eq!(&whole.told, &split.told);
        prop_assert_eq!(whole.answers(), split.answers());
        prop_assert_eq!((whole.stand(), whole.end_reason()), (split.stand(), split.end_reason()));
    }
}
