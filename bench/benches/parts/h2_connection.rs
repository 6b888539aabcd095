//! A whole HTTP/2 connection in memory: requests of the mix come in batches, and each gets the same short answer with the same
//! fields. Ours is the server's half beside the server half of `h2`, for that is the smallest part of `h2` that is public:
//! frames, HPACK, streams, windows and queues together. Nothing below (no socket, no TLS), nothing above (no app, no runtime).
//!
//! `h2` makes an `http::Request` of each request, ours a head that points into text; that is part of what either is for.
//! Ours also judges what an edge server has to (hosts, paths, floods).

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use h2::server::SendResponse;
use lanner_bench::field_list;
use lanner_limits::Moment;
use lanner_protocol::h2::{Connection, Event, StreamKey, frame};
use lanner_protocol::hpack::{Encoder, Indexing, TABLE_BYTES_INITIAL};
use lanner_protocol::{BodyLength, ContentType, Fields, Head, Output, ResponseHead, Status, Turn};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::hint::black_box;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Requests that come together.
const BATCH: u64 = 16;

/// How often.
const BATCHES: u64 = 32;

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";
const SERVER: &str = "lanner";
const BODY: &[u8] = b"Hello, World!";

pub(crate) fn bench(criterion: &mut Criterion) {
    let input = input();
    for name in ["lanner", "h2"] {
        let answered = match name {
            "lanner" => Ours::new().serve(&input),
            _ => Theirs::new().serve(&input),
        };
        assert_eq!(answered, BATCH * BATCHES, "{name}");
    }
    let mut group = criterion.benchmark_group("h2 connection");
    group.throughput(Throughput::Elements(BATCH * BATCHES));
    let size = BatchSize::LargeInput;
    group.bench_function("lanner", |b| {
        b.iter_batched_ref(Ours::new, |ours| ours.serve(black_box(&input)), size);
    });
    group.bench_function("h2", |b| {
        b.iter_batched_ref(Theirs::new, |theirs| theirs.serve(black_box(&input)), size);
    });
    group.finish();
}

/// What the client says: its greeting, then batch by batch.
fn input() -> Vec<Vec<u8>> {
    let mut greeting = frame::PREFACE.to_vec();
    frame::encode_settings(&[], &mut greeting);
    frame::encode_settings_ack(&mut greeting);
    let mut encoder = Encoder::new(TABLE_BYTES_INITIAL);
    let batch = |number: u64| {
        let mut bytes = Vec::new();
        for number in number * BATCH..(number + 1) * BATCH {
            let begin = frame::begin_headers(&mut bytes);
            for (name, value) in field_list::of(number, "GET", "/hello", "http") {
                encoder.encode_field(&name, &value, Indexing::Wanted, &mut bytes);
            }
            let stream = number as u32 * 2 + 1;
            frame::finish_headers(begin, stream, true, 16_384, &mut bytes);
        }
        bytes
    };
    [greeting]
        .into_iter()
        .chain((0..BATCHES).map(batch))
        .collect()
}

/// Our half, and what its driver lends it.
struct Ours {
    connection: Connection,
    output: Output,
    head: Head,
    text: Vec<u8>,
    fields: Fields,
}

impl Ours {
    fn new() -> Self {
        let mut limits = crate::limits();
        limits.server_header = Some(SERVER.into());
        let mut fields = Fields::new();
        fields.content_type(ContentType::TEXT);
        Self {
            connection: Connection::new(Rc::new(limits), Moment::ZERO, 0),
            output: Output::new(),
            head: Head::default(),
            text: Vec::new(),
            fields,
        }
    }

    /// How many requests were answered.
    fn serve(&mut self, input: &[Vec<u8>]) -> u64 {
        let mut streams = Vec::new();
        let mut answered = 0;
        for bytes in input {
            self.receive(bytes, &mut streams);
            answered += streams.len() as u64;
            self.answer(&mut streams);
        }
        answered
    }

    fn receive(&mut self, mut input: &[u8], streams: &mut Vec<StreamKey>) {
        let mut turn = turn(&mut self.output);
        loop {
            let (head, text) = (&mut self.head, &mut self.text);
            let step = self.connection.poll(&mut turn, input, head, text);
            input = &input[step.consumed..];
            match step.event {
                Event::Request { stream, .. } => {
                    black_box(&self.head);
                    streams.push(stream);
                }
                Event::More => return,
                other => panic!("{other:?}"),
            }
        }
    }

    fn answer(&mut self, streams: &mut Vec<StreamKey>) {
        let mut turn = turn(&mut self.output);
        let head = ResponseHead {
            status: Status::OK,
            fields: &self.fields,
            length: BodyLength::Known(BODY.len() as u64),
        };
        for stream in streams.drain(..) {
            let connection = &mut self.connection;
            connection.respond(stream, &mut turn, &head, true).unwrap();
            let body = Bytes::from_static(BODY);
            connection.send(stream, &mut turn, body).unwrap();
            connection.finish(stream, &mut turn, None).unwrap();
        }
        self.connection.flush(&mut turn);
        let bytes = self.output.len();
        self.output.advance(bytes);
        self.connection.handle_output(Moment::ZERO, bytes, 0);
    }
}

fn turn(output: &mut Output) -> Turn<'_> {
    Turn {
        now: Moment::ZERO,
        output,
        date: DATE,
    }
}

/// The other half, after its handshake with a client whose greeting is there.
struct Theirs {
    connection: h2::server::Connection<Wire, Bytes>,
    arrived: Rc<RefCell<VecDeque<u8>>>,
}

impl Theirs {
    fn new() -> Self {
        let arrived: Rc<RefCell<VecDeque<u8>>> = Rc::default();
        arrived.borrow_mut().extend(frame::PREFACE);
        let wire = Wire(Rc::clone(&arrived));
        let mut handshake = pin!(h2::server::Builder::new().handshake(wire));
        let mut context = Context::from_waker(Waker::noop());
        match handshake.as_mut().poll(&mut context) {
            Poll::Ready(Ok(connection)) => Self {
                connection,
                arrived,
            },
            other => panic!("{:?}", other.map(|ready| ready.map(drop))),
        }
    }

    /// How many requests were answered. The preface is behind it.
    fn serve(&mut self, input: &[Vec<u8>]) -> u64 {
        let mut context = Context::from_waker(Waker::noop());
        let mut answered = 0;
        let mut preface = frame::PREFACE.len();
        for bytes in input {
            self.arrived.borrow_mut().extend(&bytes[preface..]);
            preface = 0;
            // Pending is when everything that arrived has been read, and what was queued is written.
            while let Poll::Ready(Some(accepted)) = self.connection.poll_accept(&mut context) {
                let (request, respond) = accepted.unwrap();
                black_box(&request);
                answer(respond);
                answered += 1;
            }
        }
        assert!(self.arrived.borrow().is_empty());
        answered
    }
}

fn answer(mut respond: SendResponse<Bytes>) {
    let head = http::Response::builder()
        .header("server", SERVER)
        .header("date", &DATE[..])
        .header("content-type", "text/plain; charset=utf-8")
        .header("content-length", BODY.len())
        .body(())
        .unwrap();
    let mut stream = respond.send_response(head, false).unwrap();
    stream.send_data(Bytes::from_static(BODY), true).unwrap();
}

/// What arrived can be read; what is written is gone.
struct Wire(Rc<RefCell<VecDeque<u8>>>);

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut arrived = self.0.borrow_mut();
        if arrived.is_empty() {
            return Poll::Pending;
        }
        let (front, _) = arrived.as_slices();
        let count = front.len().min(buffer.remaining());
        buffer.put_slice(&front[..count]);
        arrived.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(bytes).len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
