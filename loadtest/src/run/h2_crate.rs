//! The same closed loop by other people's code: the `h2` crate on tokio, as an independent second opinion about what our own
//! client measures. Each thread has a runtime of its own; connections and their streams are futures that it polls in place.

mod books;
mod counted;
mod verdict;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use h2::Reason;
use h2::client::SendRequest;
use lanner_limits::Moment;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use super::clock::Clock;
use super::lane::{Report, pause_after};
use super::mix::Ask;
use super::origin::Place;
use super::outcome::Tally;
use super::plan::{Plan, Version};
use super::ports;
use super::secure::{Terms, judge_protocol};
use super::shared::Shared;
use super::trouble::{CLOSED_UNANSWERED, Kind, NO_STREAM, QUEUE_FULL, Trouble, Waited};
use books::Books;
use counted::{Counted, Traffic};

/// Both windows: no server waits for us.
const WINDOW_BYTES: u32 = (1 << 30) - 1;

/// How often it is looked whether the time is over.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A socket of either kind.
trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// What became of the requests on one connection so far.
#[derive(Debug, Default)]
struct Session {
    answered: Cell<u64>,
    lost: Cell<u64>,
    under_way: Cell<u64>,
    /// The server lets nothing be asked.
    refused: RefCell<Option<Trouble>>,
}

/// What the futures of one thread have in common.
struct Lane<'a> {
    plan: &'a Plan,
    shared: &'a Shared,
    clock: Clock,
    end: Moment,
    terms: Option<&'a Terms>,
    traffic: Rc<Traffic>,
    books: RefCell<Books>,
    /// Of the order of requests.
    turn: RefCell<usize>,
    /// One for each connection that may be under way at once.
    berths: Semaphore,
    /// Connections that are being made.
    dialling: Cell<u64>,
    /// Those on which TLS is being agreed on.
    handshaking: Cell<u64>,
    /// Streams that wait until they may be opened.
    roomless: Cell<u64>,
}

/// Does what a lane of ours does.
pub(super) fn run(
    plan: &Plan,
    number: usize,
    shared: &Shared,
    reports: Sender<Report>,
    clock: Clock,
    terms: Option<&Terms>,
) -> io::Result<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let traffic = Rc::new(Traffic::default());
    let books = Books::new(plan, number, traffic.clone(), reports);
    let lane = Lane {
        plan,
        shared,
        clock,
        end: Moment::ZERO + plan.warm_up + plan.duration,
        terms,
        traffic,
        books: RefCell::new(books),
        turn: RefCell::new(plan.mix.beginning(number, plan.threads)),
        berths: Semaphore::new(plan.opening_max()),
        dialling: Cell::new(0),
        handshaking: Cell::new(0),
        roomless: Cell::new(0),
    };
    runtime.block_on(async {
        let all: FuturesUnordered<_> = (0..plan.connections_of_lane(number))
            .map(|_| lane.keep_connected())
            .collect();
        select(all.collect::<()>(), pin!(lane.watch())).await;
    });
    let mut books = lane.books.into_inner();
    let waited = Waited::ToTheEnd;
    books.note_in_vain(&waited.for_a_connection(), lane.dialling.get());
    books.note_in_vain(&waited.for_tls(), lane.handshaking.get());
    books.note_in_vain(&waited.for_an_answer(None), lane.roomless.get());
    Ok(books.close(clock.now()))
}

impl Lane<'_> {
    /// Ends when the time is over, or the run is given up.
    async fn watch(&self) {
        while self.clock.now() < self.end && !self.shared.is_to_end() {
            sleep(LOOK_EVERY.min(self.end.since(self.clock.now()))).await;
            self.books.borrow_mut().handle_time(self.clock.now());
        }
    }

    /// One connection after the other, until the time is over.
    async fn keep_connected(&self) {
        let mut failures = 0;
        while self.clock.now() < self.end {
            let Some(trouble) = self.live().await else {
                failures = 0;
                continue;
            };
            // Who does not answer in time may do so yet.
            if trouble.kind != Kind::TimedOut && self.shared.failed(self.plan.connections) {
                self.books.borrow().give_up(trouble);
            }
            failures += 1;
            sleep(pause_after(failures)).await;
        }
    }

    /// One connection from beginning to end. What went wrong, if nothing was answered on it.
    async fn live(&self) -> Option<Trouble> {
        // Never closed, so there is one in the end.
        let berth = self.berths.acquire().await.ok();
        self.shared.began();
        let session = Session::default();
        let ended = match self.connect().await {
            Ok((stream, begun)) => self.secure(&session, stream, begun, berth).await,
            Err(trouble) => Err(trouble),
        };
        self.shared.ended();
        let has_served = session.answered.get() > 0;
        let trouble = match ended {
            // Or we ended it, for the time is over.
            Ok(()) if has_served || self.clock.now() >= self.end => return None,
            Ok(()) => Trouble::new(Kind::Cut, CLOSED_UNANSWERED),
            Err(trouble) => trouble,
        };
        if session.lost.get() == 0 {
            self.books.borrow_mut().failed(&trouble);
        }
        (!has_served).then_some(trouble)
    }

    /// A connection, and when it was begun.
    async fn connect(&self) -> Result<(Box<dyn Stream>, Moment), Trouble> {
        let begun = self.clock.now();
        let mut tried = begun;
        let made = async {
            loop {
                let made = dial(&self.plan.place).await;
                match made {
                    // What the queue of a unix socket says when it is full; TCP would try again by itself.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        sleep(pause_after(1)).await;
                        tried = self.clock.now();
                    }
                    made => return made,
                }
            }
        };
        let made = while_counted(&self.dialling, timeout(self.plan.timeout, made)).await;
        let late = |_| match tried == begun {
            true => self.waited().for_a_connection(),
            false => Trouble::new(Kind::Connect, QUEUE_FULL),
        };
        let made = made.map_err(late)?;
        let stream = made.map_err(|error| Trouble::new(Kind::Connect, ports::explained(error)))?;
        Ok((stream, tried))
    }

    /// TLS, where there is any, and behind it HTTP/2.
    async fn secure(
        &self,
        session: &Session,
        stream: Box<dyn Stream>,
        begun: Moment,
        berth: Option<SemaphorePermit<'_>>,
    ) -> Result<(), Trouble> {
        let now = self.clock.now();
        self.books.borrow_mut().connected(now.since(begun));
        let stream = Counted::new(stream, self.traffic.clone());
        let Some(terms) = self.terms else {
            drop(berth);
            return self.speak(session, stream).await;
        };
        let connector = TlsConnector::from(terms.config.clone());
        let agreed = connector.connect(terms.name.clone(), stream);
        let agreed = while_counted(&self.handshaking, timeout(self.plan.timeout, agreed)).await;
        let agreed = agreed.map_err(|_| self.waited().for_tls())?;
        let stream = agreed.map_err(|error| verdict::of_a_handshake(&error))?;
        let tls = stream.get_ref().1;
        judge_protocol(b"h2", tls.alpn_protocol())?;
        let is_resumed = tls.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        let took = self.clock.now().since(now);
        self.books.borrow_mut().agreed(took, is_resumed);
        drop(berth);
        self.speak(session, stream).await
    }

    /// HTTP/2 until the connection ends.
    async fn speak<S>(&self, session: &Session, stream: S) -> Result<(), Trouble>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Version::Http2 { streams } = self.plan.version else {
            let text = "the h2 crate speaks HTTP/2 only";
            return Err(Trouble::new(Kind::Protocol, text));
        };
        let begun = h2::client::Builder::new()
            .initial_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .enable_push(false)
            .handshake::<_, Bytes>(stream)
            .await;
        let (requests, connection) = begun.map_err(|error| verdict::of_a_connection(&error))?;
        let all: FuturesUnordered<_> = (0..streams)
            .map(|_| self.ask_on(session, requests.clone()))
            .collect();
        drop(requests);
        let (ended, ()) = join(connection, all.collect::<()>()).await;
        match session.refused.take() {
            Some(trouble) => Err(trouble),
            None => ended.map_err(|error| verdict::of_a_connection(&error)),
        }
    }

    /// One request after the other, until the connection takes no more.
    async fn ask_on(&self, session: &Session, mut requests: SendRequest<Bytes>) {
        while self.has_room(session, &mut requests).await {
            let start = self.clock.now();
            if start >= self.end {
                return;
            }
            let ask = self.plan.mix.ask(&mut self.turn.borrow_mut());
            self.books.borrow_mut().sent();
            session.under_way.update(|count| count + 1);
            let answer = timeout(self.plan.timeout, self.exchange(&mut requests, ask)).await;
            session.under_way.update(|count| count - 1);
            let now = self.clock.now();
            let mut books = self.books.borrow_mut();
            let trouble = match answer {
                Ok(Ok(status)) => {
                    books.answered(start, now, status);
                    books.note_streams(requests.current_max_send_streams());
                    session.answered.update(|count| count + 1);
                    self.shared.answered.store(true, Ordering::Relaxed);
                    continue;
                }
                Ok(Err(error)) => verdict::of_a_request(&error),
                Err(_) => self.waited().for_an_answer(silence(&requests)),
            };
            books.lost(start, now, &trouble);
            session.lost.update(|count| count + 1);
        }
    }

    /// Waits until one more request may be sent. Where none ever may be, the connection is of no use.
    async fn has_room(&self, session: &Session, requests: &mut SendRequest<Bytes>) -> bool {
        loop {
            let ready = poll_fn(|context| requests.poll_ready(context));
            let ready = timeout(self.plan.timeout, ready);
            match while_counted(&self.roomless, ready).await {
                Ok(ready) => return ready.is_ok(),
                Err(_) if session.under_way.get() > 0 => {}
                Err(_) => {
                    let refused = self.waited().for_an_answer(silence(requests));
                    session.refused.borrow_mut().get_or_insert(refused);
                    return false;
                }
            }
        }
    }

    fn waited(&self) -> Waited {
        Waited::Within(self.plan.timeout)
    }

    /// One request and the whole of its answer.
    async fn exchange(
        &self,
        requests: &mut SendRequest<Bytes>,
        ask: &Ask,
    ) -> Result<u16, h2::Error> {
        // A plan whose requests the crate cannot send was refused.
        let request = ask.h2_crate.clone().ok_or(Reason::INTERNAL_ERROR)?;
        let (response, mut up) = requests.send_request(request, ask.body.is_empty())?;
        if !ask.body.is_empty() {
            up.send_data(ask.body.clone(), true)?;
        }
        let response = response.await?;
        let status = response.status().as_u16();
        let mut down = response.into_body();
        while let Some(piece) = down.data().await {
            let bytes = piece?.len();
            down.flow_control().release_capacity(bytes)?;
            self.books.borrow_mut().body(bytes);
        }
        // A server that answers before it has taken the body may never take it, and counts the stream until it is over.
        if !ask.body.is_empty() {
            up.send_reset(Reason::CANCEL);
        }
        Ok(status)
    }
}

/// Begins to connect, and waits for what comes of it.
async fn dial(place: &Place) -> io::Result<Box<dyn Stream>> {
    match place {
        Place::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
        Place::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
    }
}

/// Counts a future for as long as it is waited for, and for ever where it is dropped before its end: with the run.
async fn while_counted<T>(count: &Cell<u64>, future: impl Future<Output = T>) -> T {
    count.update(|count| count + 1);
    let output = future.await;
    count.update(|count| count - 1);
    output
}

/// As that of our own client.
fn silence(requests: &SendRequest<Bytes>) -> Option<&'static str> {
    (requests.current_max_send_streams() == 0).then_some(NO_STREAM)
}
