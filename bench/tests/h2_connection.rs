//! What one HTTP/2 connection allocates and holds, in memory only: no sockets, no engine.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use lanner_limits::{Limits, Machine, Moment};
use lanner_protocol::h2::{Connection, Event, StreamKey, frame};
use lanner_protocol::hpack::{Encoder, Indexing};
use lanner_protocol::{BodyLength, ContentType, Fields, Head, Output, ResponseHead, Status, Turn};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

thread_local! {
    /// Allocations of this thread, and the bytes it holds. Without a destructor, so that they can be used at any time.
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
}

struct Weighing;

fn note(calls: u64, bytes: i64) {
    CALLS.set(CALLS.get() + calls);
    HELD.set(HELD.get() + bytes);
}

// SAFETY: every call goes to the system's allocator with its arguments as they came.
unsafe impl GlobalAlloc for Weighing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as i64);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, size as i64 - layout.size() as i64);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note(0, -(layout.size() as i64));
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Weighing = Weighing;

/// A connection with what its driver lends it.
struct Server {
    connection: Connection,
    output: Output,
    head: Head,
    text: Vec<u8>,
    fields: Fields,
    now: Moment,
}

impl Server {
    fn new() -> Server {
        let machine = Machine {
            nofile: 65_536,
            memory: 1 << 30,
            cpus: 1,
        };
        let mut limits = Limits::for_machine(machine);
        limits.server_header = Some("lanner".into());
        let mut fields = Fields::new();
        fields.content_type(ContentType::TEXT);
        fields.append("cache-control", "no-store").unwrap();
        let mut server = Server {
            connection: Connection::new(Rc::new(limits), Moment::ZERO, 0),
            output: Output::new(),
            head: Head::default(),
            text: Vec::new(),
            fields,
            now: Moment::ZERO,
        };
        let mut greeting = frame::PREFACE.to_vec();
        frame::encode_settings(&[], &mut greeting);
        frame::encode_settings_ack(&mut greeting);
        frame::encode_window_update(0, 1 << 30, &mut greeting);
        server.receive(&greeting, &mut Vec::new());
        server.write();
        server
    }

    fn receive(&mut self, mut input: &[u8], streams: &mut Vec<StreamKey>) {
        let mut turn = Turn {
            now: self.now,
            output: &mut self.output,
            date: b"Sun, 06 Nov 1994 08:49:37 GMT",
        };
        loop {
            let step = self
                .connection
                .poll(&mut turn, input, &mut self.head, &mut self.text);
            input = &input[step.consumed..];
            match step.event {
                Event::Request { stream, .. } => streams.push(stream),
                Event::More => return,
                other => panic!("{other:?}"),
            }
        }
    }

    fn answer(&mut self, streams: &mut Vec<StreamKey>) {
        let mut turn = Turn {
            now: self.now,
            output: &mut self.output,
            date: b"Sun, 06 Nov 1994 08:49:37 GMT",
        };
        let head = ResponseHead {
            status: Status::new(200).unwrap(),
            fields: &self.fields,
            length: BodyLength::Known(12),
        };
        for stream in streams.drain(..) {
            let connection = &mut self.connection;
            connection.respond(stream, &mut turn, &head, true).unwrap();
            let body = Bytes::from_static(b"Hello world\n");
            connection.send(stream, &mut turn, body).unwrap();
            connection.finish(stream, &mut turn, None).unwrap();
        }
        self.write();
    }

    fn write(&mut self) {
        let mut turn = Turn {
            now: self.now,
            output: &mut self.output,
            date: b"Sun, 06 Nov 1994 08:49:37 GMT",
        };
        self.connection.flush(&mut turn);
        let bytes = self.output.len();
        self.output.advance(bytes);
        self.connection.handle_output(self.now, bytes, 0);
    }
}

struct Client {
    encoder: Encoder,
    stream: u32,
}

impl Client {
    fn new() -> Client {
        Client {
            encoder: Encoder::new(4096),
            stream: 1,
        }
    }

    /// Requests with 4 pseudo-fields and `more` others. Those `varied` are new in every request, and go into the table.
    fn ask(&mut self, requests: u32, more: u32, varied: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..requests {
            let path = format!("/items/{}", self.stream);
            let begin = frame::begin_headers(&mut bytes);
            let mut put = |name: &str, value: &str, indexing| {
                let (name, value) = (name.as_bytes(), value.as_bytes());
                self.encoder.encode_field(name, value, indexing, &mut bytes);
            };
            put(":method", "GET", Indexing::Wanted);
            put(":scheme", "http", Indexing::Wanted);
            put(":authority", "example.com", Indexing::Wanted);
            put(":path", &path, Indexing::Without);
            for number in 0..more {
                let value = if varied { self.stream } else { 0 };
                let value = format!("a value of about thirty bytes {value}");
                put(&format!("x-name-{number}"), &value, Indexing::Wanted);
            }
            frame::finish_headers(begin, self.stream, true, 16_384, &mut bytes);
            self.stream += 2;
        }
        bytes
    }
}

#[test]
fn a_request_and_its_answer_allocate_nothing() {
    let (mut server, mut client) = (Server::new(), Client::new());
    let mut streams = Vec::with_capacity(32);
    for round in 0..50 {
        let input = client.ask(32, 12, false);
        let before = CALLS.get();
        server.receive(&input, &mut streams);
        assert_eq!(streams.len(), 32);
        server.answer(&mut streams);
        let calls = CALLS.get() - before;
        // Until all that is kept has its size.
        assert!(round < 3 || calls == 0, "{calls} in round {round}");
    }
}

#[test]
fn an_open_stream_without_a_body_holds_a_kibibyte_at_most() {
    let (mut server, mut client) = (Server::new(), Client::new());
    let mut streams = Vec::with_capacity(100);
    let input = client.ask(100, 20, true);
    let before = HELD.get();
    server.receive(&input, &mut streams);
    assert_eq!(streams.len(), 100);
    let held = HELD.get() - before;
    println!("{held} bytes are held by a hundred streams");
    assert!(held <= 100 * 1024, "{held}");
}

#[test]
fn an_idle_connection_holds_twelve_kibibytes_at_most_after_a_burst() {
    for varied in [false, true] {
        let mut client = Client::new();
        let input = client.ask(100, 20, varied);
        let mut streams = Vec::with_capacity(100);
        let before = HELD.get();
        let mut server = Server::new();
        server.receive(&input, &mut streams);
        assert_eq!(streams.len(), 100);
        server.answer(&mut streams);
        server.now += Duration::from_secs(5);
        let mut turn = Turn {
            now: server.now,
            output: &mut server.output,
            date: b"Sun, 06 Nov 1994 08:49:37 GMT",
        };
        server.connection.handle_timeout(&mut turn);
        // What the driver lends is not the connection's; its limits are shared by all.
        server.output = Output::new();
        (server.head, server.text, server.fields) = Default::default();
        let held = HELD.get() - before + size_of::<Connection>() as i64;
        let held = held - size_of::<Limits>() as i64;
        println!("{held} bytes are held by an idle connection");
        assert!(held <= 12 * 1024, "{held}");
    }
}
