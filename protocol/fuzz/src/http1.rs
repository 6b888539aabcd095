//! The server's half of a connection of HTTP/1.1, with an app, a clock and a client that are the input's to play.

use crate::script::{Script, limits};
use crate::world::{Session as _, World, head, turn};
use bytes::Bytes;
use lanner_limits::Moment;
use lanner_protocol::{Connection, Event, Fate, Fields, Head, Overrides, Status, Turn, chunked};
use std::rc::Rc;
use std::time::Duration;

/// More than the output may ever hold here: the app brings at most so much at once, and only while it has room.
const OUTPUT_BYTES_MAX: usize = (64 << 10) + 255 * 300 + 200_000;

struct Session {
    http: Connection,
    world: World,
    head: Head,
}

impl crate::world::Session for Session {
    fn world(&mut self) -> &mut World {
        &mut self.world
    }

    fn deadline(&self) -> Option<Moment> {
        self.http.deadline()
    }

    fn time_out(&mut self) {
        self.turn(|http, turn| http.handle_timeout(turn));
        self.poll();
    }
}

/// Takes bytes for a script.
///
/// # Panics
/// If a bound does not hold, an end is none, or a connection that is left alone does not come to its end.
pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let mut session = Session {
        http: Connection::new(Rc::new(limits()), Moment::ZERO, 0),
        world: World::new(),
        head: Head::default(),
    };
    while let Some(deed) = script.byte() {
        session.act(deed, &mut script);
        session.check();
    }
    session.is_left_alone();
}

impl Session {
    fn turn<R>(&mut self, act: impl FnOnce(&mut Connection, &mut Turn<'_>) -> R) -> R {
        act(&mut self.http, &mut self.world.turn())
    }

    fn act(&mut self, deed: u8, script: &mut Script<'_>) {
        match deed {
            0..160 => {
                let bytes = script.take(usize::from(deed) + 1);
                self.send(bytes);
            }
            // What a byte-wise fuzzer would take long to find.
            160..184 => self.send(match deed % 8 {
                0 | 1 => b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                2 => b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
                3 => b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                4 => b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
                5 => b"5\r\nhello\r\n",
                6 => b"0\r\n\r\n",
                _ => b"hello",
            }),
            184..240 => self.app(deed, script),
            240..248 => self.write(script.number() * 400),
            248..252 => self.wait(Duration::from_millis(script.number() as u64 * 100)),
            252 => self.http.handle_stop(self.world.now),
            253 => {
                let _ = self.http.handle_eof();
            }
            254 => self.http.handle_reset(),
            255 => self.http.handle_stop_deadline(),
        }
        self.poll();
    }

    fn app(&mut self, deed: u8, script: &mut Script<'_>) {
        let count = script.number() * 300;
        match deed % 4 {
            0 if self.http.awaits_response() => {
                let fields = Fields::new();
                let length = (!count.is_multiple_of(600)).then_some(count);
                let head = head(Status::OK, &fields, length);
                let _ =
                    self.turn(|http, turn| http.respond(turn, &head, count.is_multiple_of(900)));
            }
            1 if self.http.sends_body() && self.world.output.len() < 64 << 10 => {
                let piece = Bytes::from(vec![b'b'; count]);
                let _ = self.turn(|http, turn| http.send(turn, piece));
            }
            2 if self.http.in_exchange() && !self.http.awaits_response() => {
                let _ = self.turn(|http, turn| http.finish(turn, None));
            }
            3 if self.http.in_exchange() => {
                let waiting = self.world.input.len();
                self.turn(|http, turn| http.want_body(turn, waiting));
            }
            _ => {}
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        if self.http.wants_input(self.world.input.len()) {
            self.world.input.extend_from_slice(bytes);
            self.poll();
        }
    }

    fn poll(&mut self) {
        loop {
            let world = &mut self.world;
            let mut turn = turn(world.now, &mut world.output);
            let step = if self.http.in_exchange() {
                self.http.poll_body(&mut turn, &world.input)
            } else {
                self.http
                    .poll_request(&mut turn, &world.input, &mut self.head)
            };
            assert!(step.consumed <= self.world.input.len());
            let again = match &step.event {
                Event::More => step.consumed > 0 && step.consumed < self.world.input.len(),
                Event::Held | Event::Closing => false,
                Event::FoldedHead { .. } => panic!("reading is strict"),
                Event::Head { at } => {
                    assert!(at.end <= step.consumed);
                    self.turn(|http, turn| http.admit(turn, Overrides::default()));
                    true
                }
                Event::Data { at, .. } => {
                    assert!(at.end <= step.consumed);
                    true
                }
                Event::End { trailers } => {
                    let lines = &self.world.input[trailers.clone()];
                    if let Err(refusal) = chunked::parse_trailers(lines, &limits(), &mut Vec::new())
                    {
                        self.http.fail_trailers(refusal);
                    }
                    true
                }
                Event::BodyFailed(_) => true,
            };
            self.world.input.drain(..step.consumed);
            if !again {
                return;
            }
        }
    }

    fn write(&mut self, count: usize) {
        let (queued, unsent) = self.world.take(count);
        self.http.handle_output(self.world.now, queued, unsent);
        if self.http.fate() == (Fate::Flush { linger: true }) && self.world.output.is_empty() {
            self.http.handle_shutdown(self.world.now);
        }
        self.poll();
    }

    fn check(&self) {
        self.world.check(OUTPUT_BYTES_MAX);
        assert_eq!(
            self.http.fate() == Fate::Open,
            self.http.end_reason().is_none()
        );
        if self.http.fate() != Fate::Open {
            assert!(!self.http.in_exchange() && !self.http.body_open());
        }
    }

    /// With an app that gives up and a client that says nothing more, it ends within the longest of its times.
    fn is_left_alone(&mut self) {
        for _ in 0..100 {
            if self.http.awaits_response() {
                let fields = Fields::new();
                let head = head(Status::INTERNAL_SERVER_ERROR, &fields, Some(0));
                let _ = self.turn(|http, turn| http.respond(turn, &head, true));
            }
            if self.http.in_exchange() {
                let _ = self.turn(|http, turn| http.finish(turn, None));
            }
            self.poll();
            self.write(usize::MAX);
            self.wait(Duration::from_secs(30));
            self.check();
        }
        assert_ne!(self.http.fate(), Fate::Open);
        assert_ne!(self.http.fate(), Fate::Lingering);
    }
}
