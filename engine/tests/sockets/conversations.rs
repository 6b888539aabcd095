//! Conversations with another implementation of HTTP/2, the `h2` crate, through sockets: requests with bodies and trailers,
//! some given up by either side, and answers large and small through windows of any size. What arrives is what was sent, both
//! ways. What is said is planned as in the tests of the protocol, where both sides are in memory.

#[path = "../../../protocol/tests/h2_peer/client.rs"]
mod client;
#[path = "../../../protocol/tests/h2_peer/exchange.rs"]
mod exchange;

use crate::client::{Client, Socket};
use crate::server::{Fixture, PATIENCE, serve};
use bytes::Bytes;
use client::{Answered, ask};
use exchange::{End, Exchange, Lines, content, exchange, sorted};
use http_body::Frame;
use lanner::{App, Count, Error, Request, Response, Status};
use lanner_limits::Driver;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::cell::Cell;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Conversations on each driver, of up to a dozen exchanges each.
const CONVERSATIONS: u32 = 80;

/// What both sides announce, and how the client's bytes are cut.
#[derive(Clone, Debug)]
struct Around {
    client_window: u32,
    client_connection_window: u32,
    client_table: u32,
    client_frame: u32,
    server_window: u32,
    server_streams: u32,
    server_table: u32,
    send_buffer: usize,
    /// The client's kernel takes little ahead of what the client reads.
    small_socket: bool,
    write_bytes_max: usize,
}

fn around() -> impl Strategy<Value = Around> {
    let window = || prop_oneof![Just(65_535u32), 1_000..100_000u32];
    let table = || prop_oneof![Just(4096u32), Just(0), 0..10_000u32];
    (
        (window(), 65_535..200_000u32, table(), 16_384..100_000u32),
        // Less is not for anybody to configure: clients may send that much before they know.
        (65_536..200_000u32, 1..100u32, table()),
        prop_oneof![Just(256usize << 10), Just(64 << 10)],
        any::<bool>(),
        prop_oneof![Just(usize::MAX), 1..20_000usize],
    )
        .prop_map(
            |(client, server, send_buffer, small_socket, write_bytes_max)| Around {
                client_window: client.0,
                client_connection_window: client.1,
                client_table: client.2,
                client_frame: client.3,
                server_window: server.0,
                server_streams: server.1,
                server_table: server.2.min(4096),
                send_buffer,
                small_socket,
                write_bytes_max,
            },
        )
}

/// What the app has heard of a request.
#[derive(Clone, Debug, Default)]
struct Received {
    line: String,
    fields: Lines,
    body: Vec<u8>,
    trailers: Lines,
    is_whole: bool,
}

/// Answers as planned, once a request is whole. Requests say which plan is theirs.
#[derive(Clone)]
struct Planned {
    plans: Arc<[Exchange]>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl App for Planned {
    async fn call(&self, mut request: Request) -> Result<Response, Error> {
        let number: usize = request.field_str("x-plan").unwrap().parse()?;
        let plan = &self.plans[number];
        let own = request
            .fields()
            .filter(|(name, _)| name.starts_with("x-") && *name != "x-plan");
        let mut received = Received {
            line: format!("{} {}", request.method_text(), request.target()),
            fields: own
                .map(|(name, value)| (name.to_owned(), value.to_vec()))
                .collect(),
            ..Received::default()
        };
        received.body = request.body().collect().await?;
        if let Some(trailers) = request.body().take_trailers() {
            let lines = trailers
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_vec()));
            received.trailers = lines.collect();
        }
        received.is_whole = true;
        let before = std::mem::replace(&mut self.received.lock().unwrap()[number], received);
        assert!(!before.is_whole, "each comes once");
        let length = plan.answer.iter().sum::<usize>() as u64;
        let answer = Answer {
            plan: plan.clone(),
            rest: content(&plan.answer).into(),
            next: 0,
        };
        let mut response = Response::stream(plan.announced.then_some(length), answer)
            .with_status(Status::new(plan.status).unwrap());
        for (name, value) in &plan.answer_fields {
            response = response.with_field(name, value)?;
        }
        Ok(response)
    }
}

/// A planned answer: its pieces, and its trailers or its failure.
struct Answer {
    plan: Exchange,
    rest: Bytes,
    next: usize,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let next = self.next;
        self.next += 1;
        if let Some(&piece) = self.plan.answer.get(next) {
            return Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece)))));
        }
        if next > self.plan.answer.len() {
            return Poll::Ready(None);
        }
        if self.plan.end == End::AppGivesUp {
            return Poll::Ready(Some(Err(io::Error::other("as planned").into())));
        }
        let mut trailers = http::HeaderMap::new();
        for (name, value) in &self.plan.answer_trailers {
            let name: http::HeaderName = name.parse().unwrap();
            trailers.append(name, value[..].try_into().unwrap());
        }
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

/// A socket as the `h2` crate wants it, which never waits.
struct Eager {
    socket: Box<dyn Socket>,
    write_bytes_max: usize,
    /// A write found no room.
    is_full: Rc<Cell<bool>>,
}

/// `Pending` for what would have to wait: whoever polls waits for the socket himself.
fn ready<T>(outcome: io::Result<T>) -> Poll<io::Result<T>> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
        outcome => Poll::Ready(outcome),
    }
}

impl Eager {
    fn sent<T>(&self, outcome: io::Result<T>) -> Poll<io::Result<T>> {
        let outcome = ready(outcome);
        self.is_full.set(outcome.is_pending());
        outcome
    }
}

impl AsyncRead for Eager {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = self.socket.read(buffer.initialize_unfilled());
        ready(outcome.map(|count| buffer.advance(count)))
    }
}

impl AsyncWrite for Eager {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = bytes.len().min(self.write_bytes_max);
        let outcome = self.socket.write(&bytes[..count]);
        self.sent(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = self.socket.flush();
        self.sent(outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

/// Whether anybody was woken.
#[derive(Default)]
struct Alarm(AtomicBool);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Polls everything there is, and waits for the socket when nobody can go on without it.
struct Turns {
    alarm: Arc<Alarm>,
    stream: TcpStream,
    is_full: Rc<Cell<bool>>,
}

impl Turns {
    fn until<T>(&self, mut look: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
        let waker = Waker::from(self.alarm.clone());
        let mut context = Context::from_waker(&waker);
        loop {
            self.alarm.0.store(false, Ordering::Relaxed);
            if let Poll::Ready(found) = look(&mut context) {
                return found;
            }
            if !self.alarm.0.load(Ordering::Relaxed) {
                self.wait();
            }
        }
    }

    fn wait(&self) {
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, self.is_full.get());
        let timeout = Timespec::try_from(PATIENCE).unwrap();
        let ready = poll(&mut [PollFd::new(&self.stream, flags)], Some(&timeout));
        assert_eq!(ready, Ok(1), "nothing goes on any more");
    }
}

/// Has all of the exchanges at once.
fn converse(server: &Fixture, plans: &[Exchange], around: &Around) -> Vec<Option<Answered>> {
    let client = match around.small_socket {
        true => Client::with_small_window(server.address()),
        false => server.connect(),
    };
    let stream = client.stream.try_clone().unwrap();
    stream.set_nonblocking(true).unwrap();
    let is_full = Rc::new(Cell::new(false));
    let socket = Eager {
        socket: Box::new(client.stream),
        write_bytes_max: around.write_bytes_max,
        is_full: is_full.clone(),
    };
    let turns = Turns {
        alarm: Arc::default(),
        stream,
        is_full,
    };
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(around.client_window)
        .initial_connection_window_size(around.client_connection_window)
        .header_table_size(around.client_table)
        .max_frame_size(around.client_frame)
        // Until the server has said how many it takes.
        .initial_max_send_streams(1)
        .enable_push(false);
    let mut handshake = pin!(builder.handshake::<_, Bytes>(socket));
    let (client, mut connection) = turns
        .until(|context| handshake.as_mut().poll(context))
        .unwrap();
    let ask = |(number, plan): (usize, &Exchange)| {
        let asking: Pin<Box<dyn Future<Output = _>>> =
            Box::pin(ask(client.clone(), number, plan.clone()));
        Some(asking)
    };
    let mut asking: Vec<_> = plans.iter().enumerate().map(ask).collect();
    let mut answered: Vec<Option<Answered>> = plans.iter().map(|_| None).collect();
    turns.until(|context| {
        for (place, asking) in asking.iter_mut().enumerate() {
            let Some(future) = asking else { continue };
            if let Poll::Ready(outcome) = future.as_mut().poll(context) {
                answered[place] = outcome.unwrap_or_else(|error| panic!("{place}: {error}"));
                *asking = None;
            }
        }
        let polled = Pin::new(&mut connection).poll(context);
        assert!(polled.is_pending(), "{polled:?}");
        match asking.iter().all(Option::is_none) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    });
    answered
}

fn judge(driver: Driver, plans: Vec<Exchange>, around: &Around) {
    let planned = Planned {
        received: Arc::new(Mutex::new(vec![Received::default(); plans.len()])),
        plans: plans.into(),
    };
    let change = |limits: &mut lanner::Limits| {
        limits.h2_stream_window = around.server_window;
        limits.h2_max_streams = around.server_streams;
        limits.h2_header_table = around.server_table;
        limits.h2_max_send_buffer = around.send_buffer;
    };
    let server = serve(driver, change, planned.clone());
    let answered = converse(&server, &planned.plans, around);
    assert_eq!(server.counters().count(Count::Panics), 0);
    let received = planned.received.lock().unwrap().clone();
    for ((plan, answered), received) in planned.plans.iter().zip(answered).zip(received) {
        if plan.end != End::ClientGivesUp {
            heard(plan, received);
            said(plan, answered);
        }
    }
}

/// What the app heard is what the client said.
fn heard(plan: &Exchange, received: Received) {
    assert_eq!(received.line, format!("{} {}", plan.method, plan.path));
    assert_eq!(sorted(received.fields), sorted(plan.fields.clone()));
    assert!(received.is_whole);
    let sent = plan.body.as_ref().map(|pieces| content(pieces));
    assert!(received.body == sent.unwrap_or_default(), "another body");
    if plan.body.is_some() {
        assert_eq!(sorted(received.trailers), sorted(plan.trailers.clone()));
    }
}

/// What the client heard is what the app said.
fn said(plan: &Exchange, answered: Option<Answered>) {
    let Some(answered) = answered else {
        return assert_eq!(plan.end, End::AppGivesUp);
    };
    // An answer of an announced length is whole before its app can fail.
    let ends_early = plan.announced || plan.is_head() || plan.status == 204;
    assert!(plan.end == End::Well || ends_early, "{plan:?}");
    assert_eq!(answered.status, plan.status);
    let (own, theirs): (Vec<_>, Vec<_>) = answered
        .fields
        .into_iter()
        .partition(|(name, _)| !["date", "content-length"].contains(&&name[..]));
    assert_eq!(sorted(own), sorted(plan.answer_fields.clone()));
    assert!(theirs.iter().any(|(name, _)| name == "date"));
    let expected = plan.expected();
    assert!(
        answered.body == expected,
        "another answer: {} bytes of {}",
        answered.body.len(),
        expected.len()
    );
    let trailers = match ends_early {
        true => Lines::new(),
        false => plan.answer_trailers.clone(),
    };
    assert_eq!(sorted(answered.trailers), sorted(trailers));
}

on_every_driver! {
    fn what_arrives_is_what_was_sent_both_ways(driver) {
        let config = Config {
            cases: CONVERSATIONS,
            failure_persistence: None,
            ..Config::default()
        };
        let plans = prop::collection::vec(exchange(), 1..12);
        let mut runner = TestRunner::new(config);
        let outcome = runner.run(&(plans, around()), |(plans, around)| {
            judge(driver, plans, &around);
            Ok(())
        });
        outcome.unwrap();
    }
}
