//! The `h2` crate's client by itself; what both clients do alike stands with the other tests.

use lanner_loadtest::run::Kind;

use crate::canned::{self, frame, h2_ok};
use crate::command::{load, met};

#[test]
fn a_refused_connection_is_said_at_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let outcome = load(&format!(
        "http://{address}/ --h2 --client h2-crate --connections 16 --duration 30s"
    ));
    let text = outcome.aborted.unwrap();
    assert!(text.contains("refused"), "{text}");
}

#[test]
fn streams_that_are_reset_are_counted_and_the_others_too() {
    let address = canned::serve(|stream, _| {
        canned::answer_h2(stream, |id| {
            Some(if id % 4 == 1 {
                frame(3, 0, id, &2_u32.to_be_bytes())
            } else {
                h2_ok(id)
            })
        });
    });
    let outcome = load(&format!(
        "http://{address}/ --h2 --client h2-crate --streams 4 --duration 200ms"
    ));
    let (resets, _) = met(&outcome, Kind::StreamReset);
    assert!(
        resets > 0 && outcome.tally.answers() > 0,
        "{:?}",
        outcome.tally.troubles
    );
}
