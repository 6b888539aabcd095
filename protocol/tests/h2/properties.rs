//! Whatever a client sends and an app does: nothing panics, windows are kept, what is held is bounded, and frames are whole.

use crate::driver::{Driver, Seen};
use crate::wire::{self, Got, data, literal, ping, request, reset, settings, window_update};
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::frame::Kind;
use lanner_protocol::h2::settings::Id;
use lanner_protocol::{BodyLength, Fields};
use proptest::prelude::*;
use std::collections::HashMap;
use std::time::Duration;

/// What a client or an app does next. Streams are small numbers, so that they meet.
#[derive(Clone, Debug)]
enum Deed {
    Open(bool),
    Broken,
    Data(u32, bool, usize),
    Trailers(u32),
    Reset(u32),
    Window(u32, u32),
    InitialWindow(u32),
    Ping,
    Priority(u32, u8),
    Frame(u8, u8, u32, Vec<u8>),
    Respond(u32, Option<u16>),
    Body(u32, usize),
    Finish(u32),
    GiveUp(u32),
    Consume(u32, usize),
    Want(u32),
    Wait(u64),
    Read,
    Stop,
}

fn deed() -> impl Strategy<Value = Deed> {
    let stream = (0..12u32).prop_map(|number| 2 * number + 1);
    prop_oneof![
        4 => any::<bool>().prop_map(Deed::Open),
        1 => Just(Deed::Broken),
        4 => (stream.clone(), any::<bool>(), 0..20_000usize).prop_map(|(s, end, n)| Deed::Data(s, end, n.min(16_384))),
        1 => stream.clone().prop_map(Deed::Trailers),
        1 => stream.clone().prop_map(Deed::Reset),
        2 => (prop_oneof![Just(0u32), stream.clone()], 1..200_000u32).prop_map(|(s, n)| Deed::Window(s, n)),
        1 => (0..200_000u32).prop_map(Deed::InitialWindow),
        1 => Just(Deed::Ping),
        1 => (stream.clone(), 0..9u8).prop_map(|(s, u)| Deed::Priority(s, u)),
        1 => (any::<u8>(), any::<u8>(), 0..30u32, prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(k, f, s, p)| Deed::Frame(k % 18, f, s, p)),
        4 => (stream.clone(), prop::option::of(any::<u16>())).prop_map(|(s, n)| Deed::Respond(s, n)),
        4 => (stream.clone(), 0..60_000usize).prop_map(|(s, n)| Deed::Body(s, n)),
        3 => stream.clone().prop_map(Deed::Finish),
        1 => stream.clone().prop_map(Deed::GiveUp),
        2 => (stream.clone(), 0..40_000usize).prop_map(|(s, n)| Deed::Consume(s, n)),
        2 => stream.prop_map(Deed::Want),
        2 => (0..20_000u64).prop_map(Deed::Wait),
        3 => Just(Deed::Read),
        1 => Just(Deed::Stop),
    ]
}

/// What a client knows of the windows that it gave.
struct Model {
    driver: Driver,
    next: u32,
    initial: i64,
    connection: i64,
    streams: HashMap<u32, i64>,
    over: Vec<u32>,
}

impl Model {
    fn say(&mut self, bytes: &[u8]) {
        for seen in self.driver.send(bytes) {
            match seen {
                Seen::Reset(stream, _) => self.driver.release(stream),
                Seen::Closing => return,
                _ => {}
            }
        }
    }

    fn known(&self, stream: u32) -> bool {
        self.driver.keys.iter().any(|key| key.id() == stream)
    }

    fn read(&mut self) {
        for got in self.driver.got() {
            let stream = got.stream();
            assert!(
                matches!(got, Got::WindowUpdate(..) | Got::Reset(..))
                    || !self.over.contains(&stream),
                "{got:?} behind the end"
            );
            match got {
                Got::Data { end, bytes, .. } => {
                    let window = self.streams.entry(stream).or_insert(self.initial);
                    *window -= bytes.len() as i64;
                    self.connection -= bytes.len() as i64;
                    assert!(
                        bytes.is_empty() || *window >= 0 && self.connection >= 0,
                        "window of {stream}"
                    );
                    if end {
                        self.over.push(stream);
                    }
                }
                Got::Headers { end: true, .. } | Got::Reset(..) => self.over.push(stream),
                _ => {}
            }
        }
    }

    fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Open(end) => {
                let stream = self.next;
                self.next += 2;
                self.streams.insert(stream, self.initial);
                let bytes = if end {
                    self.driver.wire.get(stream)
                } else {
                    self.driver.wire.post(stream)
                };
                self.say(&bytes);
            }
            Deed::Broken => {
                let stream = self.next;
                self.next += 2;
                self.streams.insert(stream, self.initial);
                let mut fields = request("GET", "/").to_vec();
                fields.push(("content-length", "7"));
                let bytes = self.driver.wire.headers(stream, stream % 4 == 1, &fields);
                self.say(&bytes);
            }
            Deed::Data(stream, end, count) if stream < self.next => {
                self.say(&data(stream, end, &vec![b'd'; count]))
            }
            Deed::Trailers(stream) if stream < self.next => {
                self.say(&wire::headers(stream, true, &literal(b"x-trailer", b"1")));
            }
            Deed::Reset(stream) if stream < self.next => {
                self.say(&reset(stream, ErrorCode::CANCEL))
            }
            Deed::Window(0, increment) => {
                self.connection += i64::from(increment);
                self.say(&window_update(0, increment));
            }
            Deed::Window(stream, increment) if stream < self.next => {
                *self.streams.entry(stream).or_insert(self.initial) += i64::from(increment);
                self.say(&window_update(stream, increment));
            }
            Deed::InitialWindow(window) => {
                // What was sent before the server knows is judged by the window that it had.
                self.read();
                let delta = i64::from(window) - self.initial;
                self.initial += delta;
                for window in self.streams.values_mut() {
                    *window += delta;
                }
                self.say(&settings(&[(Id::INITIAL_WINDOW_SIZE, window)]));
            }
            Deed::Ping => self.say(&ping(false, [7; 8])),
            Deed::Priority(stream, urgency) => {
                let mut payload = stream.to_be_bytes().to_vec();
                payload.extend_from_slice(format!("u={urgency}, i").as_bytes());
                self.say(&wire::frame(Kind::PRIORITY_UPDATE, 0, 0, &payload));
            }
            // Nothing that would change the windows behind the model's back.
            Deed::Frame(kind, flags, stream, payload) if !matches!(kind, 4 | 8) => {
                self.say(&wire::frame(Kind(kind), flags, stream, &payload));
            }
            Deed::Respond(stream, length) if self.known(stream) => {
                let length = length.map_or(BodyLength::Unknown, |length| {
                    BodyLength::Known(length.into())
                });
                self.driver.respond(stream, 200, length);
            }
            Deed::Body(stream, count) if self.known(stream) => {
                let key = self.driver.key(stream);
                if self.driver.accepts(stream) {
                    let piece = bytes::Bytes::from(vec![b'b'; count]);
                    let _ = self
                        .driver
                        .turn(|connection, turn| connection.send(key, turn, piece));
                }
            }
            Deed::Finish(stream) if self.known(stream) => {
                let key = self.driver.key(stream);
                let mut trailers = Fields::new();
                trailers.append("t", "1").unwrap();
                let trailers = (stream % 4 == 1).then_some(&trailers);
                let _ = self
                    .driver
                    .turn(|connection, turn| connection.finish(key, turn, trailers));
            }
            Deed::GiveUp(stream) if self.known(stream) => {
                let key = self.driver.key(stream);
                self.driver
                    .turn(|connection, turn| connection.reset(key, turn, ErrorCode::CANCEL));
            }
            Deed::Consume(stream, count) if self.known(stream) => {
                self.driver.consumed(stream, count)
            }
            Deed::Want(stream) if self.known(stream) => self.driver.want(stream),
            Deed::Wait(millis) => {
                for seen in self.driver.wait(Duration::from_millis(millis)) {
                    if let Seen::Reset(stream, _) = seen {
                        self.driver.release(stream);
                    }
                }
            }
            Deed::Read => self.read(),
            Deed::Stop => self
                .driver
                .turn(|connection, turn| connection.handle_stop(turn)),
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn windows_are_kept_and_nothing_follows_an_end(deeds in prop::collection::vec(deed(), 1..120)) {
        let mut model = Model {
            driver: Driver::with(|limits| limits.h2_max_streams = 8),
            next: 1,
            initial: 65_535,
            connection: 65_535,
            streams: HashMap::new(),
            over: Vec::new(),
        };
        for deed in deeds {
            model.act(deed);
            prop_assert!(model.driver.connection.streams() <= 8);
            let bound = (256 << 10) + 200_000;
            prop_assert!(model.driver.output.len() <= bound, "{}", model.driver.output.len());
        }
        model.read();
    }

    #[test]
    fn any_bytes_behind_the_preface_are_survived(
        bytes in prop::collection::vec(any::<u8>(), 0..2_000),
        split in 0..2_000usize,
    ) {
        let mut driver = Driver::new();
        let split = split.min(bytes.len());
        driver.send(&bytes[..split]);
        driver.got();
        driver.send(&bytes[split..]);
        driver.wait(Duration::from_secs(1_000));
        driver.got();
        prop_assert!(!driver.is_open(), "some deadline ends what is no conversation");
    }

    /// When every stream is over, every byte of the connection's window is the client's again, but for what is not worth a
    /// frame.
    #[test]
    fn credit_is_never_lost(deeds in prop::collection::vec(deed(), 1..80)) {
        let mut model = Model {
            driver: Driver::with(|_| {}),
            next: 1,
            initial: 65_535,
            connection: 65_535,
            streams: HashMap::new(),
            over: Vec::new(),
        };
        for deed in deeds {
            if !matches!(deed, Deed::Frame(..) | Deed::Wait(_) | Deed::Stop) {
                model.act(deed);
            }
        }
        model.read();
        for key in model.driver.keys.clone() {
            model.driver.turn(|connection, turn| connection.reset(key, turn, ErrorCode::CANCEL));
        }
        model.read();
        if model.driver.is_open() {
            // More than the window by far, in one new stream after the other.
            for _ in 0..60 {
                let stream = model.next;
                model.next += 2;
                let mut bytes = model.driver.wire.post(stream);
                bytes.extend(data(stream, false, &[1; 16_000]));
                bytes.extend(data(stream, true, &[1; 16_000]));
                model.driver.send(&bytes);
                let key = model.driver.key(stream);
                model.driver.turn(|connection, turn| connection.reset(key, turn, ErrorCode::CANCEL));
                model.read();
                prop_assert!(model.driver.is_open(), "{:?}", model.driver.connection.end_reason());
            }
        }
    }
}
