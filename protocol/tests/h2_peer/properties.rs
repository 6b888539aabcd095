//! What was sent is what came.

use crate::client::{Answered, ask};
use crate::exchange::{End, Exchange, content, exchange, sorted};
use crate::server::{Received, Server};
use crate::wire::Wire;
use proptest::prelude::*;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Turns that the longest of the conversations below take, ten times over.
const TURNS_MAX: usize = 200_000;

/// What both sides announce, and how bytes are cut.
#[derive(Clone, Debug)]
struct Around {
    seed: u64,
    client_window: u32,
    client_connection_window: u32,
    client_table: u32,
    client_frame: u32,
    server_window: u32,
    server_streams: u32,
    server_table: u32,
    send_buffer: usize,
}

fn around() -> impl Strategy<Value = Around> {
    let window = || prop_oneof![Just(65_535u32), 1_000..100_000u32];
    let table = || prop_oneof![Just(4096u32), Just(0), 0..10_000u32];
    (
        any::<u64>(),
        (window(), 65_535..200_000u32, table()),
        prop_oneof![Just(16_384u32), 16_384..100_000u32],
        (window(), 1..100u32, table()),
        prop_oneof![Just(256usize << 10), Just(64 << 10)],
    )
        .prop_map(|(seed, client, client_frame, server, send_buffer)| Around {
            seed,
            client_window: client.0,
            client_connection_window: client.1,
            client_table: client.2,
            client_frame,
            server_window: server.0,
            server_streams: server.1,
            server_table: server.2.min(4096),
            send_buffer,
        })
}

type Asking = Pin<Box<dyn Future<Output = Result<Option<Answered>, h2::Error>>>>;

/// Has all of the exchanges at once. Nobody is woken: everybody is asked again in each turn.
fn converse(plans: &[Exchange], around: &Around) -> (Vec<Option<Answered>>, Vec<Received>) {
    let wire = Wire::new(around.seed);
    let mut server = Server::new(plans, |limits| {
        limits.h2_stream_window = around.server_window;
        limits.h2_max_streams = around.server_streams;
        limits.h2_header_table = around.server_table;
        limits.h2_max_send_buffer = around.send_buffer;
    });
    let mut context = Context::from_waker(Waker::noop());
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(around.client_window)
        .initial_connection_window_size(around.client_connection_window)
        .header_table_size(around.client_table)
        .max_frame_size(around.client_frame)
        .enable_push(false);
    let mut handshake = Box::pin(builder.handshake::<_, bytes::Bytes>(wire.clone()));
    let mut begun = None;
    while begun.is_none() {
        if let Poll::Ready(result) = handshake.as_mut().poll(&mut context) {
            begun = Some(result.expect("a handshake"));
        }
        server.turn(&wire);
    }
    let (client, mut connection) = begun.expect("the loop has ended");
    // Before the first SETTINGS have come a client may open more than we allow.
    for _ in 0..200 {
        let _ = Pin::new(&mut connection).poll(&mut context);
        server.turn(&wire);
    }
    let mut asking: Vec<Option<Asking>> = Vec::new();
    for (number, plan) in plans.iter().enumerate() {
        asking.push(Some(Box::pin(ask(client.clone(), number, plan.clone()))));
    }
    let mut answered: Vec<Option<Answered>> = plans.iter().map(|_| None).collect();
    for _ in 0..TURNS_MAX {
        let polled = Pin::new(&mut connection).poll(&mut context);
        assert!(polled.is_pending(), "{polled:?}");
        for (place, asking) in asking.iter_mut().enumerate() {
            let Some(future) = asking else { continue };
            if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
                answered[place] = result.unwrap_or_else(|error| panic!("{place}: {error}"));
                *asking = None;
            }
        }
        server.turn(&wire);
        if asking.iter().all(Option::is_none) {
            return (answered, server.received);
        }
    }
    let waiting: Vec<_> = asking.iter().map(Option::is_some).collect();
    panic!("nothing goes on any more: {waiting:?}");
}

fn judge(plans: &[Exchange], around: &Around) {
    let (answered, received) = converse(plans, around);
    for ((plan, answered), received) in plans.iter().zip(answered).zip(received) {
        if plan.end == End::ClientGivesUp {
            continue;
        }
        assert_eq!(received.line, format!("{} {}", plan.method, plan.path));
        assert_eq!(sorted(received.fields), sorted(plan.fields.clone()));
        assert!(received.is_whole);
        let sent = plan.body.as_ref().map(|pieces| content(pieces));
        assert!(received.body == sent.unwrap_or_default(), "another body");
        if plan.body.is_some() {
            assert_eq!(sorted(received.trailers), sorted(plan.trailers.clone()));
        }
        let Some(answered) = answered else {
            assert_eq!(plan.end, End::AppGivesUp);
            continue;
        };
        assert_eq!(answered.status, plan.status);
        let (own, theirs): (Vec<_>, Vec<_>) = answered
            .fields
            .into_iter()
            .partition(|(name, _)| !["date", "content-length"].contains(&&name[..]));
        assert_eq!(sorted(own), sorted(plan.answer_fields.clone()));
        assert!(theirs.iter().any(|(name, _)| name == "date"));
        assert!(
            answered.body == plan.expected(),
            "another answer: {} bytes of {}",
            answered.body.len(),
            plan.expected().len()
        );
        let has_trailers = !plan.announced && !plan.is_head() && plan.status != 204;
        let expected = if has_trailers {
            plan.answer_trailers.clone()
        } else {
            Vec::new()
        };
        assert_eq!(sorted(answered.trailers), sorted(expected));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_arrives_is_what_was_sent_both_ways(
        plans in prop::collection::vec(exchange(), 1..12),
        around in around(),
    ) {
        judge(&plans, &around);
    }
}
