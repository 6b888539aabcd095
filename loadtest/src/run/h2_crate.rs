//! The same closed loop by other people's code: the `h2` crate on tokio, as an independent second opinion about what our own
//! client measures. Each thread has a runtime of its own; connections and their streams are futures that it polls in place.

mod books;
mod counted;

use std::cell::RefCell;
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
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use super::clock::Clock;
use super::lane::{Report, Shared};
use super::mix::Ask;
use super::origin::Place;
use super::outcome::Tally;
use super::plan::{Plan, Version};
use super::secure::{Terms, judge_protocol};
use super::trouble::{Kind, Trouble};
use books::Books;
use counted::{Counted, Traffic};

/// Both windows: no server waits for us.
const WINDOW_BYTES: u32 = (1 << 30) - 1;

/// How long after a failure a connection is made again.
const REDIAL_PAUSE: Duration = Duration::from_millis(50);

/// How often it is looked whether the time is over.
const LOOK_EVERY: Duration = Duration::from_millis(10);

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
    };
    runtime.block_on(async {
        let all: FuturesUnordered<_> = (0..plan.connections_of_lane(number))
            .map(|_| lane.keep_connected())
            .collect();
        select(all.collect::<()>(), pin!(lane.watch())).await;
    });
    Ok(lane.books.into_inner().close(clock.now()))
}

impl Lane<'_> {
    /// Ends when the time is over, or the run is given up.
    async fn watch(&self) {
        while self.clock.now() < self.end && !self.shared.is_to_end() {
            sleep(LOOK_EVERY.min(self.end.since(self.clock.now()))).await;
            self.books.borrow_mut().handle_time(self.clock.now());
        }
    }

    /// One connection after the other.
    async fn keep_connected(&self) {
        loop {
            self.shared.began();
            let connected = self.connect().await;
            self.shared.ended();
            if let Err(trouble) = connected {
                self.books.borrow_mut().failed(&trouble);
                if self.shared.failed(self.plan.connections) {
                    self.books.borrow().give_up(trouble);
                }
                sleep(REDIAL_PAUSE).await;
            }
        }
    }

    async fn connect(&self) -> Result<(), Trouble> {
        let begun = self.clock.now();
        let failed = |error| Trouble::new(Kind::Connect, error);
        let too_late = |_| Trouble::new(Kind::Connect, "no connection in time");
        match &self.plan.place {
            Place::Tcp(address) => {
                let made = timeout(self.plan.timeout, TcpStream::connect(address)).await;
                let stream = made.map_err(too_late)?.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                self.secure(stream, begun).await
            }
            Place::Unix(path) => {
                let made = timeout(self.plan.timeout, UnixStream::connect(path)).await;
                self.secure(made.map_err(too_late)?.map_err(failed)?, begun)
                    .await
            }
        }
    }

    /// TLS, where there is any.
    async fn secure<S>(&self, stream: S, begun: Moment) -> Result<(), Trouble>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let now = self.clock.now();
        self.books.borrow_mut().connected(now.since(begun));
        let stream = Counted::new(stream, self.traffic.clone());
        let Some(terms) = self.terms else {
            return self.speak(stream).await;
        };
        let connector = TlsConnector::from(terms.config.clone());
        let agreed = connector.connect(terms.name.clone(), stream);
        let too_late = |_| Trouble::new(Kind::Handshake, "not agreed in time");
        let agreed = timeout(self.plan.timeout, agreed).await.map_err(too_late)?;
        let stream = agreed.map_err(|error| Trouble::new(Kind::Handshake, error))?;
        let session = stream.get_ref().1;
        judge_protocol(b"h2", session.alpn_protocol())?;
        let is_resumed = session.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        let took = self.clock.now().since(now);
        self.books.borrow_mut().agreed(took, is_resumed);
        self.speak(stream).await
    }

    /// HTTP/2 until the connection ends.
    async fn speak<S>(&self, stream: S) -> Result<(), Trouble>
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
        let (requests, connection) = begun.map_err(|error| trouble(&error))?;
        let all: FuturesUnordered<_> = (0..streams)
            .map(|_| self.ask_on(requests.clone()))
            .collect();
        drop(requests);
        let (ended, ()) = join(connection, all.collect::<()>()).await;
        ended.map_err(|error| trouble(&error))
    }

    /// One request after the other, until the connection takes no more.
    async fn ask_on(&self, mut requests: SendRequest<Bytes>) {
        loop {
            let Ok(ready) = requests.ready().await else {
                return;
            };
            requests = ready;
            let start = self.clock.now();
            if start >= self.end {
                return;
            }
            let ask = self.plan.mix.ask(&mut self.turn.borrow_mut());
            self.books.borrow_mut().sent();
            let answer = timeout(self.plan.timeout, self.exchange(&mut requests, ask)).await;
            let now = self.clock.now();
            let mut books = self.books.borrow_mut();
            match answer {
                Ok(Ok(status)) => {
                    books.answered(start, now, status);
                    self.shared.answered.store(true, Ordering::Relaxed);
                }
                Ok(Err(error)) => books.lost(start, now, &trouble(&error)),
                Err(_) => {
                    let within = self.plan.timeout;
                    let late = format_args!("no answer within {within:?}");
                    books.lost(start, now, &Trouble::new(Kind::TimedOut, late));
                }
            }
        }
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
        Ok(status)
    }
}

fn trouble(error: &h2::Error) -> Trouble {
    let kind = if error.is_io() {
        Kind::Cut
    } else if error.is_reset() {
        Kind::StreamReset
    } else {
        Kind::Protocol
    };
    Trouble::new(kind, error)
}
