//! An open-loop client: every request has its moment before the first one is sent, and its latency counts from that moment,
//! whether or not a connection was free then. A closed loop would wait for the slow server and so ask it less often while it
//! is slow, which hides what users feel (coordinated omission).

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::answer::{Answer, AnswerReader};
use crate::dial::Sources;
use crate::opening::Openings;
use crate::poller::{Poller, Ready, is_transient};
use crate::quantity::Rate;
use crate::request::Target;
use crate::schedule::{Arrivals, schedule};

mod report;

pub use report::{Failures, Report};

/// How long after a failed connect the next one is tried.
const REDIAL_PAUSE: Duration = Duration::from_millis(10);

/// A measurement.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom to ask for what.
    pub target: Target,
    /// Keep-alive connections that requests are spread over in turn.
    pub connections: usize,
    /// Requests per second.
    pub rate: Rate,
    /// How requests are spaced.
    pub arrivals: Arrivals,
    /// Requests are sent but not recorded for so long.
    pub warm_up: Duration,
    /// Recorded for so long.
    pub duration: Duration,
    /// A request that is not answered by then, from its intended start, has failed.
    pub timeout: Duration,
}

/// Measures. Fails only if the connections cannot be opened at the start.
pub fn run(plan: &Plan) -> io::Result<Report> {
    let mut client = Client::new(plan)?;
    client.open_all()?;
    client.start = Instant::now();
    let mut ready = Vec::new();
    while !client.is_over() {
        client.poller.wait(client.next_moment(), &mut ready)?;
        for event in &ready {
            client.handle_ready(*event);
        }
        client.handle_time(Instant::now());
    }
    Ok(client.report)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    /// Asking for the arrival of this index.
    Busy(usize),
}

#[derive(Debug)]
struct Link {
    stream: TcpStream,
    phase: Phase,
    reader: AnswerReader,
}

#[derive(Debug)]
struct Client<'a> {
    plan: &'a Plan,
    request: Vec<u8>,
    poller: Poller,
    start: Instant,
    schedule: Vec<Duration>,
    /// Index of the first arrival that is not due yet.
    next: usize,
    /// Due, but no connection was free. Bounded by the rate times the timeout.
    waiting: VecDeque<usize>,
    openings: Openings,
    /// The open ones, by their number.
    links: HashMap<u64, Link>,
    /// Free connections, the one longest unused first, so that all see traffic.
    idle: VecDeque<u64>,
    /// Requests under way in the order of their arrivals, answered ones included until they reach the front.
    under_way: VecDeque<(usize, u64)>,
    redial_at: VecDeque<Instant>,
    report: Report,
}

impl<'a> Client<'a> {
    fn new(plan: &'a Plan) -> io::Result<Self> {
        Ok(Self {
            plan,
            request: plan.target.get(),
            poller: Poller::new()?,
            start: Instant::now(),
            schedule: schedule(plan.rate, plan.arrivals, plan.warm_up + plan.duration),
            next: 0,
            waiting: VecDeque::new(),
            openings: Openings::default(),
            links: HashMap::with_capacity(plan.connections),
            idle: VecDeque::with_capacity(plan.connections),
            under_way: VecDeque::new(),
            redial_at: VecDeque::new(),
            report: Report::default(),
        })
    }

    fn open_all(&mut self) -> io::Result<()> {
        let until = Instant::now() + self.plan.timeout;
        let mut ready = Vec::new();
        while self.idle.len() < self.plan.connections {
            while self.links.len() + self.openings.count() < self.plan.connections
                && self.openings.have_room()
            {
                self.dial()?;
            }
            if Instant::now() >= until {
                let open = self.idle.len();
                let text = format!(
                    "only {open} of {} connections opened in time",
                    self.plan.connections
                );
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            self.poller.wait(until, &mut ready)?;
            for event in &ready {
                if self.links.contains_key(&event.key) {
                    return Err(io::Error::other(
                        "the server ended a connection before any request",
                    ));
                }
                if let Some(opened) = self.openings.finish(&self.poller, event.key) {
                    self.handle_opened(event.key, opened?);
                }
            }
        }
        Ok(())
    }

    fn dial(&mut self) -> io::Result<()> {
        self.openings
            .start(&self.poller, self.plan.target.address, Sources::ANY)
    }

    fn is_over(&self) -> bool {
        let is_busy = |(arrival, key): &(usize, u64)| self.is_busy(*key, *arrival);
        self.next == self.schedule.len()
            && self.waiting.is_empty()
            && !self.under_way.iter().any(is_busy)
    }

    fn is_busy(&self, key: u64, arrival: usize) -> bool {
        self.links
            .get(&key)
            .is_some_and(|link| link.phase == Phase::Busy(arrival))
    }

    fn intended(&self, arrival: usize) -> Instant {
        self.start + self.schedule[arrival]
    }

    fn is_recorded(&self, arrival: usize) -> bool {
        self.schedule[arrival] >= self.plan.warm_up
    }

    fn next_moment(&self) -> Instant {
        let arrival = (self.next < self.schedule.len()).then(|| self.intended(self.next));
        let oldest = [
            self.waiting.front(),
            self.under_way.front().map(|(arrival, _)| arrival),
        ];
        let timeouts = oldest
            .into_iter()
            .flatten()
            .map(|arrival| self.intended(*arrival) + self.plan.timeout);
        let moments = timeouts
            .chain(arrival)
            .chain(self.redial_at.front().copied());
        moments.min().unwrap_or_else(Instant::now)
    }

    fn handle_time(&mut self, now: Instant) {
        while self.redial_at.front().is_some_and(|moment| *moment <= now) {
            self.redial_at.pop_front();
            if self.dial().is_err() {
                self.redial_at.push_back(now + REDIAL_PAUSE);
            }
        }
        while self.next < self.schedule.len() && self.intended(self.next) <= now {
            self.waiting.push_back(self.next);
            self.next += 1;
        }
        self.expire(now);
        self.send_waiting();
    }

    /// Fails what has waited too long, and forgets answered requests at the front.
    fn expire(&mut self, now: Instant) {
        while let Some((arrival, key)) = self.under_way.front().copied() {
            if self.is_busy(key, arrival) {
                if self.intended(arrival) + self.plan.timeout > now {
                    break;
                }
                self.timed_out(arrival, now);
                self.replace(key);
            }
            self.under_way.pop_front();
        }
        while let Some(arrival) = self.waiting.front().copied() {
            if self.intended(arrival) + self.plan.timeout > now {
                break;
            }
            self.timed_out(arrival, now);
            self.waiting.pop_front();
        }
    }

    fn timed_out(&mut self, arrival: usize, now: Instant) {
        if self.is_recorded(arrival) {
            self.report.failures.timed_out += 1;
            self.report.latency.record(now - self.intended(arrival));
        }
    }

    fn send_waiting(&mut self) {
        while !self.waiting.is_empty() {
            let Some(key) = self.idle.pop_front() else {
                return;
            };
            let Some(link) = self.links.get_mut(&key) else {
                continue;
            };
            let Some(arrival) = self.waiting.pop_front() else {
                return;
            };
            link.phase = Phase::Busy(arrival);
            // An idle connection has room for a small request; where it has not, the peer reads nothing: as good as cut.
            let sent = link
                .stream
                .write(&self.request)
                .is_ok_and(|count| count == self.request.len());
            self.under_way.push_back((arrival, key));
            if self.is_recorded(arrival) {
                let lag = Instant::now() - self.intended(arrival);
                self.report.lag.record(lag);
            }
            if !sent {
                self.handle_end(key);
            }
        }
    }

    fn handle_ready(&mut self, event: Ready) {
        if let Some(opened) = self.openings.finish(&self.poller, event.key) {
            match opened {
                Ok(stream) => self.handle_opened(event.key, stream),
                Err(_) => self.redial_at.push_back(Instant::now() + REDIAL_PAUSE),
            }
            return;
        }
        let Some(link) = self.links.get_mut(&event.key) else {
            return;
        };
        let mut bytes = [0; 16 * 1024];
        match link.stream.read(&mut bytes) {
            Ok(0) => self.handle_end(event.key),
            Ok(count) => self.handle_bytes(event.key, &bytes[..count]),
            Err(error) if is_transient(&error) => {}
            Err(_) => self.handle_end(event.key),
        }
    }

    fn handle_opened(&mut self, key: u64, stream: TcpStream) {
        let link = Link {
            stream,
            phase: Phase::Idle,
            reader: AnswerReader::new(),
        };
        self.links.insert(key, link);
        self.handle_free(key);
    }

    fn handle_bytes(&mut self, key: u64, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        let Phase::Busy(arrival) = link.phase else {
            // Bytes nobody asked for, such as a 408 to an idle connection; its end follows.
            return self.replace(key);
        };
        match link.reader.feed(bytes) {
            Ok(None) => {}
            Ok(Some(answer)) => self.handle_answer(key, arrival, answer),
            Err(_) => {
                if self.is_recorded(arrival) {
                    self.report.failures.malformed += 1;
                }
                self.replace(key);
            }
        }
    }

    fn handle_answer(&mut self, key: u64, arrival: usize, answer: Answer) {
        if self.is_recorded(arrival) {
            if answer.status == 200 {
                let latency = Instant::now() - self.intended(arrival);
                self.report.latency.record(latency);
            } else {
                self.report.failures.status += 1;
            }
        }
        if answer.keeps_alive {
            self.handle_free(key);
        } else {
            self.replace(key);
        }
    }

    fn handle_free(&mut self, key: u64) {
        if let Some(link) = self.links.get_mut(&key) {
            link.phase = Phase::Idle;
            self.idle.push_back(key);
            self.send_waiting();
        }
    }

    /// The server ended a connection.
    fn handle_end(&mut self, key: u64) {
        if let Some(Phase::Busy(arrival)) = self.links.get(&key).map(|link| link.phase)
            && self.is_recorded(arrival)
        {
            self.report.failures.cut += 1;
        }
        self.replace(key);
    }

    fn replace(&mut self, key: u64) {
        self.links.remove(&key);
        self.idle.retain(|idle| *idle != key);
        self.report.reconnected += 1;
        if self.dial().is_err() {
            self.redial_at.push_back(Instant::now() + REDIAL_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::{SocketAddr, TcpListener};

    use super::*;
    use crate::latency::Figures;
    use crate::quantity::Quantity;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    fn plan(address: SocketAddr, rate: &str) -> Plan {
        Plan {
            target: Target::new(address, "/hello").unwrap(),
            connections: 1,
            rate: Rate::read(rate).unwrap(),
            arrivals: Arrivals::Even,
            warm_up: Duration::ZERO,
            duration: Duration::from_millis(100),
            timeout: Duration::from_secs(10),
        }
    }

    /// Accepts connections forever and answers the request of each number with `answer`, which may end the connection.
    fn server(answer: impl Fn(usize, &mut TcpStream) -> bool + Send + 'static) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut asked = 0;
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut bytes = [0; 1024];
                // The client sends one whole request at a time.
                while stream.read(&mut bytes).is_ok_and(|count| count > 0) {
                    asked += 1;
                    if !answer(asked, &mut stream) {
                        break;
                    }
                }
            }
        });
        address
    }

    #[test]
    fn every_request_is_answered_and_the_warm_up_is_left_out() {
        let address = server(|_, stream| stream.write_all(OK).is_ok());
        let plan = Plan {
            warm_up: Duration::from_millis(100),
            ..plan(address, "200/s")
        };
        let report = run(&plan).unwrap();
        assert_eq!(report.latency.figures().count, 20);
        assert_eq!(report.lag.figures().count, 20);
        assert_eq!(
            (report.failures, report.reconnected),
            (Failures::default(), 0)
        );
    }

    #[test]
    fn a_stall_is_felt_by_every_request_that_should_have_started_during_it() {
        let stall = Duration::from_millis(50);
        let address = server(move |number, stream| {
            if number == 1 {
                std::thread::sleep(stall);
            }
            stream.write_all(OK).is_ok()
        });
        // One connection, a request each millisecond: a closed loop would see a single slow answer.
        let report = run(&plan(address, "1000/s")).unwrap();
        let figures = report.latency.figures();
        assert_eq!(figures.count, 100);
        assert!(figures.max >= stall, "{figures:?}");
        // At least the first 45 requests waited 5 ms or longer.
        let Figures { p90, .. } = figures;
        assert!(p90 >= Duration::from_millis(5), "{figures:?}");
        assert_eq!(report.failures.sum(), 0);
    }

    #[test]
    fn failures_are_told_apart() {
        let address = server(|number, stream| match number {
            1 => false,
            2 => stream
                .write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
                .is_ok(),
            3 => stream.write_all(b"nonsense\r\n\r\n").is_ok(),
            _ => stream.write_all(OK).is_ok(),
        });
        let report = run(&plan(address, "200/s")).unwrap();
        assert_eq!(
            report.failures,
            Failures {
                timed_out: 0,
                cut: 1,
                status: 1,
                malformed: 1
            }
        );
        assert_eq!(report.latency.figures().count, 17);
        assert_eq!(report.reconnected, 2);
        assert!(report.json().contains("\"failed\":3,"), "{}", report.json());
    }

    #[test]
    fn an_unanswered_request_times_out_and_counts_with_the_time_it_waited() {
        let address = server(|number, stream| number == 1 || stream.write_all(OK).is_ok());
        let timeout = Duration::from_millis(40);
        let report = run(&Plan {
            timeout,
            ..plan(address, "100/s")
        })
        .unwrap();
        assert!(report.failures.timed_out >= 1, "{report}");
        assert!(report.latency.figures().max >= timeout, "{report}");
        assert_eq!(report.latency.figures().count, 10, "{report}");
    }

    #[test]
    fn an_answer_that_closes_is_followed_by_a_new_connection() {
        let closing = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let address = server(|_, stream| {
            let _ = stream.write_all(closing);
            false
        });
        let report = run(&plan(address, "100/s")).unwrap();
        assert_eq!(
            (report.latency.figures().count, report.failures.sum()),
            (10, 0),
            "{report}"
        );
        assert_eq!(report.reconnected, 10);
    }

    #[test]
    fn nobody_listening_is_an_error_at_the_start() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(
            run(&plan(address, "100/s")).unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
    }
}
