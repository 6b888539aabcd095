//! One request per connection, the server closing it: what new connections cost. The load is open-loop: every connection has
//! its moment before the first one is begun, and its latency counts from that moment, so a server that is slow is not asked
//! less often for it.
//!
//! A client that cannot begin connections as fast as they are due falls behind, which its lag shows; what it reports then is
//! its own limit. [`highest`] looks for the rate at which neither side falls behind.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::answer::AnswerReader;
use crate::arguments::Failure;
use crate::dial::{dial, outcome};
use crate::poller::{Interest, Poller, is_transient};
use crate::quantity::Rate;
use crate::request::Target;
use crate::schedule::{Arrivals, schedule};

mod report;

pub use report::{Failures, Report};

/// Connections begun before answers are looked at again, however many are due.
const BEGIN_MAX: usize = 32;

/// Halvings of [`highest`]: the rate it finds is right to a 32nd of the one asked for.
const HALVINGS: u32 = 5;

/// A measurement.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom to ask for what.
    pub target: Target,
    /// Addresses from the target's on that are asked in turn: a pair of addresses has only as many connections a minute as
    /// there are ports.
    pub destinations: usize,
    /// Connections a second.
    pub rate: Rate,
    /// How they are spaced.
    pub arrivals: Arrivals,
    /// For so long.
    pub duration: Duration,
    /// A connection that is not answered and closed so long after its begin has failed.
    pub timeout: Duration,
    /// Most connections at once; those that are due beyond it wait, and are late.
    pub open_max: usize,
}

impl Plan {
    /// Most addresses.
    pub const DESTINATIONS_MAX: usize = 250;

    /// The addresses, which must be loopback ones if there are several.
    pub fn destinations(&self) -> Result<Vec<SocketAddr>, Failure> {
        let first = self.target.address;
        let address = |index: usize| match first.ip() {
            _ if self.destinations == 1 => Some(first),
            IpAddr::V4(ip) => {
                let ip = Ipv4Addr::from_bits(ip.to_bits() + u32::try_from(index).ok()?);
                ip.is_loopback()
                    .then(|| SocketAddr::from((ip, first.port())))
            }
            IpAddr::V6(_) => None,
        };
        let addresses: Option<Vec<_>> = (0..self.destinations).map(address).collect();
        addresses.ok_or_else(|| {
            Failure::Usage(format!(
                "--destinations {}: they must all lie in 127.0.0.0/8, from {first} on",
                self.destinations
            ))
        })
    }
}

/// Measures.
pub fn run(plan: &Plan) -> Result<Report, Failure> {
    let mut client = Client::new(plan)?;
    let cpu = cpu_time();
    let mut ready = Vec::new();
    while !client.is_over() {
        client
            .poller
            .wait(client.next_moment(), &mut ready)
            .map_err(Failure::of("epoll"))?;
        for event in &ready {
            client.handle_ready(event.key);
        }
        client.expire(Instant::now());
        client.begin_due();
    }
    client.report.busy = (cpu_time() - cpu).as_secs_f64() / client.start.elapsed().as_secs_f64();
    Ok(client.report)
}

/// Measures, and if the rate is not held looks for the highest one that is. Gives the report of that one, or of the last one
/// tried when none is held; `tell` gets the report of every try.
pub fn highest(plan: &Plan, mut tell: impl FnMut(&Report)) -> Result<Report, Failure> {
    highest_of(plan.rate, |rate| {
        let report = run(&Plan {
            rate,
            ..plan.clone()
        })?;
        tell(&report);
        Ok(report)
    })
}

fn highest_of(
    asked: Rate,
    mut attempt: impl FnMut(Rate) -> Result<Report, Failure>,
) -> Result<Report, Failure> {
    let mut best = attempt(asked)?;
    if best.is_held() {
        return Ok(best);
    }
    let (mut held, mut step) = (0.0, 0.5);
    for _ in 0..HALVINGS {
        let report = attempt(asked.share(held + step))?;
        if report.is_held() {
            held += step;
            best = report;
        } else if held == 0.0 {
            best = report;
        }
        step /= 2.0;
    }
    Ok(best)
}

/// A connection, by the number of its arrival.
#[derive(Debug)]
struct Link {
    stream: TcpStream,
    begun: Instant,
    /// Whether its request is sent.
    asked: bool,
    /// Whether its answer is complete; then only the end is awaited.
    answered: bool,
    reader: AnswerReader,
}

#[derive(Debug)]
struct Client<'a> {
    plan: &'a Plan,
    /// Where to connect to and what to send there, in turn.
    asks: Vec<(SocketAddr, Vec<u8>)>,
    poller: Poller,
    start: Instant,
    schedule: Vec<Duration>,
    /// Index of the first arrival that is not begun.
    next: usize,
    links: HashMap<u64, Link>,
    /// In the order of their begin, ended ones included until they reach the front.
    begun: VecDeque<u64>,
    report: Report,
}

impl<'a> Client<'a> {
    fn new(plan: &'a Plan) -> Result<Self, Failure> {
        let destinations = plan.destinations()?.into_iter();
        let asks = destinations.map(|address| (address, plan.target.at(address).get_and_close()));
        let schedule = schedule(plan.rate, plan.arrivals, plan.duration);
        Ok(Self {
            plan,
            asks: asks.collect(),
            poller: Poller::new().map_err(Failure::of("epoll"))?,
            report: Report::new(plan.rate, schedule.len()),
            schedule,
            next: 0,
            links: HashMap::new(),
            begun: VecDeque::new(),
            start: Instant::now(),
        })
    }

    fn is_over(&self) -> bool {
        self.next == self.schedule.len() && self.links.is_empty()
    }

    fn has_room(&self) -> bool {
        self.links.len() < self.plan.open_max
    }

    fn intended(&self, arrival: usize) -> Instant {
        self.start + self.schedule[arrival]
    }

    fn next_moment(&self) -> Instant {
        let arrival =
            (self.next < self.schedule.len() && self.has_room()).then(|| self.intended(self.next));
        let oldest = self.begun.front().and_then(|key| self.links.get(key));
        let timeout = oldest.map(|link| link.begun + self.plan.timeout);
        // The front may have ended: then it goes at once.
        let moments = arrival.into_iter().chain(timeout);
        moments.min().unwrap_or_else(Instant::now)
    }

    fn begin_due(&mut self) {
        for _ in 0..BEGIN_MAX {
            let now = Instant::now();
            let due = self.next < self.schedule.len() && self.intended(self.next) <= now;
            if !due || !self.has_room() {
                return;
            }
            self.report.begun(now - self.intended(self.next), now);
            self.begin(self.next as u64, now);
            self.next += 1;
        }
    }

    fn begin(&mut self, key: u64, now: Instant) {
        let (address, _) = self.asks[key as usize % self.asks.len()];
        let stream = match dial(address, None) {
            Ok(stream) => stream,
            Err(error) => return self.report.failures.count(&error),
        };
        let link = Link {
            stream,
            begun: now,
            asked: false,
            answered: false,
            reader: AnswerReader::new(),
        };
        self.links.insert(key, link);
        self.begun.push_back(key);
        self.report.open_most = self.report.open_most.max(self.links.len());
        // On loopback the handshake is over by now as a rule, which saves waiting for it.
        self.ask(key, true);
    }

    /// Sends the request if the connection stands.
    fn ask(&mut self, key: u64, first: bool) {
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        let (_, request) = &self.asks[key as usize % self.asks.len()];
        let interest = match link.stream.write(request) {
            Ok(count) if count == request.len() => {
                link.asked = true;
                Interest::Read
            }
            // A new connection has room for a small request; where it has not, the peer reads nothing.
            Ok(_) => return self.fail(key, &io::ErrorKind::WriteZero.into()),
            Err(error) if is_transient(&error) => Interest::Write,
            Err(error) => return self.fail(key, &error),
        };
        let watched = match first {
            true => self.poller.add(&link.stream, key, interest),
            false => self.poller.modify(&link.stream, key, interest),
        };
        if let Err(error) = watched {
            self.fail(key, &error);
        }
    }

    fn handle_ready(&mut self, key: u64) {
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        if !link.asked {
            return match outcome(&link.stream) {
                Ok(()) => self.ask(key, false),
                Err(error) => self.fail(key, &error),
            };
        }
        let mut bytes = [0; 4096];
        // Until the end or until nothing is there: the end mostly comes with the answer.
        loop {
            match link.stream.read(&mut bytes) {
                Ok(0) if link.answered => {
                    self.report.complete += 1;
                    self.links.remove(&key);
                    return;
                }
                Ok(0) => return self.fail(key, &io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => match link.reader.feed(&bytes[..count]) {
                    Ok(None) => {}
                    Ok(Some(answer)) if answer.status == 200 && !link.answered => {
                        link.answered = true;
                        let intended = self.start + self.schedule[key as usize];
                        self.report.latency.record(Instant::now() - intended);
                    }
                    _ => return self.fail(key, &io::ErrorKind::InvalidData.into()),
                },
                Err(error) if is_transient(&error) => return,
                Err(error) => return self.fail(key, &error),
            }
        }
    }

    fn fail(&mut self, key: u64, error: &io::Error) {
        self.links.remove(&key);
        self.report.failures.count(error);
    }

    /// Gives up what has taken too long, and forgets ended connections at the front.
    fn expire(&mut self, now: Instant) {
        while let Some(key) = self.begun.front().copied() {
            if let Some(link) = self.links.get(&key) {
                if link.begun + self.plan.timeout > now {
                    return;
                }
                match link.answered {
                    true => self.report.failures.unclosed += 1,
                    false => self.report.failures.unanswered += 1,
                }
                self.links.remove(&key);
            }
            self.begun.pop_front();
        }
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::TcpListener;

    use super::*;
    use crate::quantity::Quantity;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

    fn plan(address: SocketAddr, rate: &str) -> Plan {
        Plan {
            target: Target::new(address, "/hello").unwrap(),
            destinations: 1,
            rate: Rate::read(rate).unwrap(),
            arrivals: Arrivals::Even,
            duration: Duration::from_millis(100),
            timeout: Duration::from_secs(10),
            open_max: 100,
        }
    }

    /// Answers the one request of each connection, by its number, and hands it back to be kept or not.
    fn server(
        listener: TcpListener,
        answer: impl Fn(usize, TcpStream) -> Option<TcpStream> + Send + 'static,
    ) -> SocketAddr {
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for (number, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let mut bytes = [0; 1024];
                // The client sends a whole request at a time.
                let count = stream.read(&mut bytes).unwrap();
                assert!(bytes[..count].ends_with(b"Connection: close\r\n\r\n"));
                kept.extend(answer(number, stream));
            }
        });
        address
    }

    fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").unwrap()
    }

    fn closing(_: usize, mut stream: TcpStream) -> Option<TcpStream> {
        stream.write_all(OK).unwrap();
        None
    }

    #[test]
    fn every_arrival_has_a_connection_of_its_own() {
        let report = run(&plan(server(listener(), closing), "500/s")).unwrap();
        assert_eq!((report.arrivals, report.complete), (50, 50), "{report}");
        assert_eq!(report.latency.figures().count, 50);
        assert_eq!(report.lag.figures().count, 50);
        assert_eq!(report.failures.sum(), 0, "{report}");
        assert!(report.open_most >= 1 && report.busy > 0.0);
    }

    #[test]
    fn destinations_are_asked_in_turn_and_by_their_own_name() {
        let all = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = all.local_addr().unwrap().port();
        let (send, receive) = std::sync::mpsc::channel();
        server(all, move |number, stream| {
            send.send(stream.local_addr().unwrap().ip()).unwrap();
            closing(number, stream)
        });
        let plan = Plan {
            destinations: 3,
            ..plan(SocketAddr::from(([127, 0, 0, 1], port)), "100/s")
        };
        assert_eq!(run(&plan).unwrap().complete, 10);
        let mut seen: Vec<_> = receive.try_iter().map(|ip| ip.to_string()).collect();
        seen.sort();
        let expected = [("127.0.0.1", 4), ("127.0.0.2", 3), ("127.0.0.3", 3)];
        let expected: Vec<_> = expected.iter().flat_map(|(ip, n)| vec![*ip; *n]).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn several_destinations_must_be_loopback() {
        for (address, count, fits) in [
            ("192.0.2.1:80", 1, true),
            ("192.0.2.1:80", 2, false),
            ("[::1]:80", 2, false),
            ("127.255.255.255:80", 2, false),
            ("127.0.0.1:80", 8, true),
        ] {
            let plan = Plan {
                destinations: count,
                ..plan(address.parse().unwrap(), "1/s")
            };
            assert_eq!(plan.destinations().is_ok(), fits, "{address} {count}");
        }
    }

    #[test]
    fn failures_are_told_apart() {
        let address = server(listener(), |number, mut stream| match number {
            // Not a word.
            0 => None,
            1 => {
                stream.write_all(b"nonsense\r\n\r\n").unwrap();
                None
            }
            2 => {
                let busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(busy).unwrap();
                None
            }
            // A close that discards what was sent is a reset.
            3 => {
                let socket = socket2::SockRef::from(&stream);
                socket.set_linger(Some(Duration::ZERO)).unwrap();
                None
            }
            _ => closing(number, stream),
        });
        let report = run(&plan(address, "100/s")).unwrap();
        let expected = Failures {
            cut: 1,
            malformed: 2,
            reset: 1,
            ..Failures::default()
        };
        assert_eq!(report.failures, expected, "{report}");
        assert_eq!(report.complete, 6);
        assert!(!report.is_held());
    }

    #[test]
    fn silence_and_a_missing_end_are_told_apart_once_their_time_is_over() {
        let address = server(listener(), |number, mut stream| match number {
            0 => Some(stream),
            1 => {
                stream.write_all(OK).unwrap();
                Some(stream)
            }
            _ => closing(number, stream),
        });
        let plan = Plan {
            timeout: Duration::from_millis(300),
            ..plan(address, "50/s")
        };
        let report = run(&plan).unwrap();
        let Failures {
            unanswered,
            unclosed,
            ..
        } = report.failures;
        assert_eq!((unanswered, unclosed), (1, 1), "{report}");
        assert_eq!(report.failures.sum(), 2, "{report}");
    }

    #[test]
    fn nobody_listening_is_a_refusal_of_each() {
        let listener = listener();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let report = run(&plan(address, "100/s")).unwrap();
        assert_eq!(report.failures.refused, 10, "{report}");
        assert_eq!(report.complete, 0);
    }

    #[test]
    fn no_more_are_open_than_allowed_and_the_others_are_late() {
        // Nothing is answered before the first times out, so the second has to wait for that.
        let address = server(listener(), |_, stream| Some(stream));
        let timeout = Duration::from_millis(30);
        let plan = Plan {
            open_max: 1,
            timeout,
            duration: Duration::from_millis(10),
            ..plan(address, "200/s")
        };
        let report = run(&plan).unwrap();
        assert_eq!((report.arrivals, report.open_most), (2, 1), "{report}");
        assert_eq!(report.failures.unanswered, 2);
        assert!(report.lag.figures().max >= timeout / 2, "{report}");
    }

    /// Tries against a server that bears so many connections a second, and no more.
    fn tries(asked: &str, borne: f64) -> (Vec<f64>, Report) {
        let mut tried = Vec::new();
        let report = highest_of(Rate::read(asked).unwrap(), |rate| {
            tried.push(rate.per_second());
            let mut report = Report::new(rate, 1);
            report.failures.reset = u64::from(rate.per_second() > borne);
            Ok(report)
        });
        (tried, report.unwrap())
    }

    #[test]
    fn a_rate_that_is_held_is_not_looked_for() {
        let (tried, report) = tries("320/s", 320.0);
        assert_eq!((tried, report.asked), (vec![320.0], 320.0));
    }

    #[test]
    fn the_highest_rate_is_found_by_halving() {
        let (tried, report) = tries("320/s", 255.0);
        assert_eq!(tried, [320.0, 160.0, 240.0, 280.0, 260.0, 250.0]);
        assert_eq!((report.asked, report.is_held()), (250.0, true));
    }

    #[test]
    fn where_no_rate_is_held_the_lowest_tried_is_told() {
        let (tried, report) = tries("320/s", 0.0);
        assert_eq!(tried, [320.0, 160.0, 80.0, 40.0, 20.0, 10.0]);
        assert_eq!((report.asked, report.is_held()), (10.0, false));
    }
}
