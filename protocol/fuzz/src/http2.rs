//! The server's half of a connection of HTTP/2, with an app, a clock and a client that are the input's to play.

use crate::script::{Script, limits};
use crate::world::{Session as _, World, head, turn};
use bytes::Bytes;
use lanner_limits::Moment;
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::frame::{Frame, FrameHeader, HEADER_BYTES, PREFACE, encode_settings};
use lanner_protocol::h2::{Connection, Event, StreamKey};
use lanner_protocol::{Fate, Fields, Head, Status, Turn};
use std::rc::Rc;
use std::time::Duration;

/// More than the output may ever hold: the send buffer, what one stream may bring beyond it, and control frames.
const OUTPUT_BYTES_MAX: usize = (256 << 10) + (64 << 10) + 200_000;

/// Input that waits is bounded by a frame and its header, where the connection takes all that is whole.
const FRAME_BYTES_MAX: usize = (16 << 10) + HEADER_BYTES;

struct Session {
    connection: Connection,
    world: World,
    head: Head,
    text: Vec<u8>,
    streams: Vec<StreamKey>,
    /// What the client has read and not yet taken apart.
    unread: Vec<u8>,
}

impl crate::world::Session for Session {
    fn world(&mut self) -> &mut World {
        &mut self.world
    }

    fn deadline(&self) -> Option<Moment> {
        self.connection.deadline()
    }

    fn time_out(&mut self) {
        self.turn(|connection, turn| connection.handle_timeout(turn));
        self.poll();
    }
}

/// The first byte says whether the client begins well.
///
/// # Panics
/// If a bound does not hold, a frame of ours is none, something follows an end, or a connection that is left alone does not
/// come to its end.
pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let mut session = Session::new();
    if !script.number().is_multiple_of(8) {
        let mut bytes = PREFACE.to_vec();
        encode_settings(&[], &mut bytes);
        session.send(&bytes);
    }
    while let Some(deed) = script.byte() {
        session.act(deed, &mut script);
        session.check();
    }
    session.is_left_alone();
}

impl Session {
    fn new() -> Self {
        let mut limits = limits();
        limits.h2_max_streams = 16;
        Self {
            connection: Connection::new(Rc::new(limits), Moment::ZERO, 0),
            world: World::new(),
            head: Head::default(),
            text: Vec::new(),
            streams: Vec::new(),
            unread: Vec::new(),
        }
    }

    fn turn<R>(&mut self, act: impl FnOnce(&mut Connection, &mut Turn<'_>) -> R) -> R {
        act(&mut self.connection, &mut self.world.turn())
    }

    fn act(&mut self, deed: u8, script: &mut Script<'_>) {
        match deed {
            // Most of all: bytes, as they stand.
            0..128 => {
                let count = usize::from(deed) + 1;
                self.send(script.take(count));
            }
            // A frame of a true length, on a stream among the first few.
            128..192 => {
                let (kind, flags, stream) = (script.byte(), script.byte(), script.number());
                let payload = script.take(usize::from(deed) - 128);
                let mut frame = vec![0, 0, payload.len() as u8, kind.unwrap_or(0) % 12];
                frame.extend([flags.unwrap_or(0), 0, 0, 0, stream as u8 % 40]);
                frame.extend_from_slice(payload);
                self.send(&frame);
            }
            192..240 => self.app(deed, script),
            240..244 => self.write(script.number() * 400),
            244..248 => self.write(usize::MAX),
            248..252 => self.wait(Duration::from_millis(script.number() as u64 * 100)),
            252 => self.turn(|connection, turn| connection.handle_stop(turn)),
            253 => self.connection.handle_eof(),
            254 => self.connection.handle_reset(),
            255 => self.connection.handle_stop_deadline(),
        }
        self.poll();
    }

    fn app(&mut self, deed: u8, script: &mut Script<'_>) {
        if self.streams.is_empty() {
            return;
        }
        let stream = self.streams[script.number() % self.streams.len()];
        let count = script.number() * 300;
        match deed % 8 {
            0 | 1 => self.respond(stream, count),
            2 | 3 => {
                if self.turn(|connection, turn| connection.accepts_body(stream, turn)) {
                    let piece = Bytes::from(vec![b'b'; count]);
                    let _ = self.turn(|connection, turn| connection.send(stream, turn, piece));
                }
            }
            4 => {
                let mut trailers = Fields::new();
                let _ = trailers.append("x-last", "1");
                let trailers = (count.is_multiple_of(600)).then_some(&trailers);
                let _ = self.turn(|connection, turn| connection.finish(stream, turn, trailers));
            }
            5 => self.turn(|connection, turn| connection.want_body(stream, turn)),
            6 => self.turn(|connection, turn| connection.consumed(stream, turn, count)),
            _ => self.turn(|connection, turn| connection.reset(stream, turn, ErrorCode::CANCEL)),
        }
    }

    fn respond(&mut self, stream: StreamKey, count: usize) {
        let fields = Fields::new();
        let length = (!count.is_multiple_of(600)).then_some(count);
        let head = head(Status::OK, &fields, length);
        let _ = self.turn(|connection, turn| connection.respond(stream, turn, &head, true));
    }

    fn send(&mut self, bytes: &[u8]) {
        if self.connection.wants_input(self.world.output.len()) {
            self.world.input.extend_from_slice(bytes);
            self.poll();
        }
    }

    fn poll(&mut self) {
        loop {
            let world = &mut self.world;
            let mut turn = turn(world.now, &mut world.output);
            let step =
                self.connection
                    .poll(&mut turn, &world.input, &mut self.head, &mut self.text);
            assert!(step.consumed <= self.world.input.len());
            match step.event {
                Event::Data { ref at, .. } => assert!(at.end <= step.consumed && !at.is_empty()),
                Event::Request { stream, .. } => {
                    assert!(self.head.method_span.end() <= self.text.len());
                    self.streams.push(stream);
                    if self.streams.len() > 64 {
                        self.streams.remove(0);
                    }
                }
                Event::Reset { stream, .. } => {
                    self.world.input.drain(..step.consumed);
                    self.turn(|connection, turn| connection.release(stream, turn));
                    continue;
                }
                _ => {}
            }
            self.world.input.drain(..step.consumed);
            match step.event {
                Event::More => {
                    assert!(
                        self.world.input.len() <= FRAME_BYTES_MAX,
                        "whole frames are not looked at"
                    );
                    return;
                }
                Event::Held => return,
                Event::Closing => return self.world.input.clear(),
                _ => {}
            }
        }
    }

    /// The client takes so many bytes.
    fn write(&mut self, count: usize) {
        self.turn(Connection::flush);
        let bytes = self.world.output.slices().collect::<Vec<_>>().concat();
        self.unread
            .extend_from_slice(&bytes[..count.min(bytes.len())]);
        let (queued, unsent) = self.world.take(count);
        self.connection
            .handle_output(self.world.now, queued, unsent);
        self.poll();
    }

    fn check(&mut self) {
        assert!(self.connection.streams() <= 16);
        self.world.check(OUTPUT_BYTES_MAX);
        assert_eq!(
            self.connection.fate() == Fate::Open,
            self.connection.end_reason().is_none()
        );
        while let Some((header, rest)) = self.unread.split_first_chunk::<HEADER_BYTES>() {
            let header = FrameHeader::parse(header);
            let Some(payload) = rest.get(..header.length as usize) else {
                return;
            };
            let parsed = Frame::parse(header, payload);
            assert!(parsed.is_ok(), "{parsed:?}");
            self.unread.drain(..HEADER_BYTES + header.length as usize);
        }
    }

    /// With an app that gives up and a client that says nothing more, it ends within the longest of its times.
    fn is_left_alone(&mut self) {
        for stream in std::mem::take(&mut self.streams) {
            self.turn(|connection, turn| connection.reset(stream, turn, ErrorCode::INTERNAL_ERROR));
        }
        for _ in 0..100 {
            self.write(usize::MAX);
            if self.connection.fate() == (Fate::Flush { linger: true }) {
                self.connection.handle_shutdown(self.world.now);
            }
            self.wait(Duration::from_secs(30));
            self.check();
        }
        assert_ne!(self.connection.fate(), Fate::Open, "{:?}", self.connection);
        assert_ne!(self.connection.fate(), Fate::Lingering);
    }
}
