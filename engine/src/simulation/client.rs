//! Clients: each a script of what it sends and how it reads, and what it is promised for that.

use super::answers::{Answer, Reader};
use super::app::pattern;
use super::random::Random;
use super::socket::Socket;
use lanner_limits::{Limits, Moment};
use std::time::Duration;

/// One thing that a client does next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Send(Vec<u8>),
    Sleep(Duration),
    /// Waits until so many answers have come whole.
    Await(usize),
    /// Waits for a 100 or an answer.
    AwaitContinue,
    /// Waits until so many bytes came behind the 101.
    AwaitSwitched(usize),
    /// From here on the knob's time runs.
    Mark,
    End,
    Reset,
}

/// How a client takes what it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reading {
    AtOnce,
    /// So many bytes every so often.
    Slowly(usize, Duration),
    Never,
}

/// What the protocol promises a client for its behaviour.
#[derive(Clone, Debug)]
pub(super) enum Promise {
    /// Every answer, whole and in order, and no cut before its own end.
    Answers,
    /// The server ends its side `within` of the mark, not before `from`, after the answers and this status if any.
    Cut {
        status: Option<u16>,
        within: Duration,
        reset: bool,
    },
    /// The connection is reset within the answer behind the expected ones.
    Broken,
    /// Nothing but an end, once the script is over and the longest timeout too.
    Nothing,
}

pub(super) struct Client {
    pub(super) name: &'static str,
    script: Vec<Step>,
    at: usize,
    reading: Reading,
    pub(super) promise: Promise,
    pub(super) expected: Vec<(u16, Vec<u8>)>,
    /// Where in the script each expected answer's request is sent whole.
    sent_by: Vec<usize>,
    /// When to go on, in real time.
    step_at: Duration,
    read_at: Duration,
    pub(super) marked: Option<Moment>,
    pub(super) reader: Reader,
    pub(super) socket: Socket,
    /// Whether it stays when everything is done, instead of closing.
    stays: bool,
    /// Echoed behind a 101.
    switched: Vec<u8>,
    /// Answers that must come although the server stops.
    owed: Option<usize>,
}

impl Client {
    fn new(name: &'static str, promise: Promise, random: &mut Random) -> Self {
        let begin = random.millis(0..20_000);
        Self {
            name,
            script: Vec::new(),
            at: 0,
            reading: Reading::AtOnce,
            promise,
            expected: Vec::new(),
            sent_by: Vec::new(),
            step_at: begin,
            read_at: Duration::ZERO,
            marked: None,
            reader: Reader::default(),
            socket: Socket {
                capacity: random.within(1_000..40_000),
                ..Socket::default()
            },
            stays: false,
            switched: Vec::new(),
            owed: None,
        }
    }

    /// One of all the kinds there are.
    pub(super) fn random(random: &mut Random, limits: &Limits) -> Self {
        match random.below(26) {
            0..=6 => honest(random, "keep-alive", false),
            7..=9 => honest(random, "pipelining", true),
            10 => slow_but_fast_enough(random),
            11 => half_closing(random),
            12 => expecting(random),
            13 => upgrading(random),
            14 => resetting(random),
            15 => garbage(random),
            16 => broken(random),
            17 => silent(random, limits),
            18 => slow_head(random, limits),
            19 => slow_body(random, limits),
            20 => slow_reader(random, limits),
            21 => idle(random, limits),
            22 => refused_and_staying(random, limits),
            23 => never_sending_its_body(random, limits),
            24 => never_answered(random),
            _ => flooding_and_not_reading(random, limits),
        }
    }

    fn send(&mut self, bytes: impl Into<Vec<u8>>) {
        self.script.push(Step::Send(bytes.into()));
    }

    fn request(&mut self, bytes: impl Into<Vec<u8>>, status: u16, body: impl Into<Vec<u8>>) {
        self.send(bytes);
        self.expect(status, body);
    }

    fn expect(&mut self, status: u16, body: impl Into<Vec<u8>>) {
        self.expected.push((status, body.into()));
        self.sent_by.push(self.script.len());
    }

    fn await_all(&mut self) {
        self.script.push(Step::Await(self.expected.len()));
    }

    // Its life.

    /// When it does something next, in real time.
    pub(super) fn next_at(&self) -> Option<Duration> {
        if self.socket.server_closed.is_some() && self.socket.outbound.is_empty() {
            return None;
        }
        let steps = (!self.waits()).then_some(self.step_at);
        let learns = self.socket.server_ended.is_some() && !self.stays && !self.socket.client_ended;
        let reads = !self.socket.outbound.is_empty() || learns;
        let reading = match self.reading {
            Reading::Never => None,
            Reading::AtOnce if reads => Some(Duration::ZERO),
            Reading::Slowly(..) if reads => Some(self.read_at),
            _ => None,
        };
        [steps, reading].into_iter().flatten().min()
    }

    fn waits(&self) -> bool {
        match self.script.get(self.at) {
            Some(Step::Await(count)) => self.reader.answers.len() < *count,
            Some(Step::AwaitContinue) => {
                self.reader.continues == 0 && self.reader.answers.is_empty()
            }
            Some(Step::AwaitSwitched(count)) => {
                self.reader.switched.as_ref().is_none_or(|bytes| bytes.len() < *count)
            }
            Some(_) => self.socket.client_reset,
            None => true,
        }
    }

    /// Whether it has begun to connect.
    pub(super) fn connects_at(&self) -> Duration {
        self.step_at
    }

    /// Does everything that is due. `now` is the worker's time.
    pub(super) fn act(&mut self, real: Duration, now: Moment) {
        self.read(real);
        while self.step_at <= real && !self.waits() {
            self.step(real, now);
        }
        // A peer that is done, or sees the server's end, closes too.
        let done = self.at == self.script.len() && !self.stays;
        let told = self.socket.server_ended.is_some() && self.socket.outbound.is_empty();
        if (done || told) && !matches!(self.reading, Reading::Never) && !self.stays {
            self.socket.client_ended = true;
        }
    }

    fn step(&mut self, real: Duration, now: Moment) {
        match &self.script[self.at] {
            Step::Send(bytes) => {
                if self.socket.server_closed.is_none() {
                    self.socket.inbound.extend(bytes);
                }
            }
            Step::Sleep(duration) => self.step_at = self.step_at.max(real) + *duration,
            Step::Await(_) | Step::AwaitContinue | Step::AwaitSwitched(_) => self.step_at = real,
            Step::Mark => self.marked = Some(now),
            Step::End => self.socket.client_ended = true,
            Step::Reset => {
                self.socket.client_reset = true;
                self.socket.inbound.clear();
                self.socket.outbound.clear();
            }
        }
        self.at += 1;
    }

    fn read(&mut self, real: Duration) {
        let count = match self.reading {
            Reading::Never => return,
            Reading::AtOnce => self.socket.outbound.len(),
            Reading::Slowly(_, every) if self.read_at > real => {
                debug_assert!(!every.is_zero());
                return;
            }
            Reading::Slowly(bytes, every) => {
                self.read_at = self.read_at.max(real.saturating_sub(every)) + every;
                bytes.min(self.socket.outbound.len())
            }
        };
        let outbound = &mut self.socket.outbound;
        self.reader.take(&outbound.make_contiguous()[..count]);
        outbound.drain(..count);
    }

    // The server stops.

    /// Takes note of what must still be answered: the request being answered, or the next that has been sent.
    pub(super) fn note_stop(&mut self) {
        let sent = self.sent_by.iter().filter(|at| **at <= self.at).count();
        // One read more is what the stop grants; the smallest buffer has this much room.
        let is_read_whole = self.socket.inbound.len() <= 512;
        let next = self.reader.answers.len() + usize::from(is_read_whole);
        self.owed = Some(if self.socket.client_reset { 0 } else { sent.min(next) });
    }

    // What came of it.

    /// Checks the promise. `stopped` is when the stop began and when everything was cut, `slack` how late a deadline may
    /// be kept.
    pub(super) fn judge(
        &self,
        stopped: (Moment, Moment),
        slack: Duration,
        limits: &Limits,
    ) -> Result<(), String> {
        let closed = self.socket.server_closed.ok_or("the server never closed")?;
        let got: Vec<(u16, &[u8])> = self
            .reader
            .answers
            .iter()
            .map(|answer| (answer.status, &answer.body[..]))
            .collect();
        let wanted: Vec<(u16, &[u8])> = self
            .expected
            .iter()
            .map(|(status, body)| (*status, &body[..]))
            .collect();
        let (stop_began, cut_at) = stopped;
        let stop_met = closed >= stop_began;
        let was_cut = closed >= cut_at;
        let common = got.len().min(wanted.len());
        if !matches!(self.promise, Promise::Nothing) && got[..common] != wanted[..common] {
            return Err(format!("wrong answers: {}", summary(&self.reader.answers)));
        }
        if closed > cut_at + slack {
            return Err(format!("closed only at {closed}, cut was due at {cut_at}"));
        }
        match &self.promise {
            Promise::Answers => {
                if self.socket.server_reset && !was_cut {
                    return Err("reset".into());
                }
                let owed = match self.owed {
                    Some(owed) if stop_met => owed,
                    _ => wanted.len(),
                };
                if got.len() < owed && !was_cut {
                    return Err(format!("{} of {owed} answers", got.len()));
                }
                if self.reader.is_within() && !was_cut {
                    return Err("closed within an answer".into());
                }
                if let Some(switched) = self.reader.switched.as_ref().filter(|_| !stop_met)
                    && *switched != self.switched
                {
                    return Err("the echo differs".into());
                }
                Ok(())
            }
            Promise::Cut {
                status,
                within,
                reset,
            } => {
                let Some(marked) = self.marked else {
                    return if stop_met { Ok(()) } else { Err("never got so far".into()) };
                };
                let ended = self.socket.server_ended.unwrap_or(closed);
                if ended > marked + *within + slack {
                    return Err(format!("ended {:?} after the mark, not {within:?}", ended.since(marked)));
                }
                if ended >= stop_began {
                    return Ok(());
                }
                if ended < marked + *within {
                    return Err(format!("ended {:?} after the mark, before {within:?}", ended.since(marked)));
                }
                if *reset != self.socket.server_reset {
                    return Err(format!("reset: {}", self.socket.server_reset));
                }
                let last = got.get(wanted.len()).map(|answer| answer.0);
                if last != *status && !matches!(self.reading, Reading::Never) {
                    return Err(format!("answered {last:?} at the end, not {status:?}"));
                }
                if closed > ended + limits.body_drain_timeout + slack {
                    return Err(format!("lingered for {:?}", closed.since(ended)));
                }
                Ok(())
            }
            Promise::Broken if stop_met => Ok(()),
            Promise::Broken if got.len() == wanted.len() && self.socket.server_reset => Ok(()),
            Promise::Broken => Err("was not reset".into()),
            Promise::Nothing => Ok(()),
        }
    }
}

fn summary(answers: &[Answer]) -> String {
    answers
        .iter()
        .map(|answer| format!("{} ({} bytes) ", answer.status, answer.body.len()))
        .collect()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: sim\r\n\r\n")
}

fn post(path: &str, body: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = format!("POST {path} HTTP/1.1\r\nHost: sim\r\n").into_bytes();
    if random.once_in(2) {
        bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
        bytes.extend_from_slice(body);
        return bytes;
    }
    bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    for piece in body.chunks(random.within(1..5_000)) {
        bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\nx-sum: 1\r\n\r\n");
    bytes
}

/// A request, and what it is answered.
fn exchange(random: &mut Random) -> (Vec<u8>, u16, Vec<u8>) {
    let large = random.within(0..100_000);
    let body = pattern([0, 1, 700, random.within(0..60_000)][random.below(4)]);
    let plain = |path: &str, status: u16, body: &[u8]| (get(path).into(), status, body.to_vec());
    match random.below(14) {
        0 | 1 => plain("/hello", 200, b"hello"),
        2 => plain(&format!("/sleep/{}", random.within(0..3_000)), 200, b"slept"),
        3 => plain(&format!("/wake/{}", random.within(0..50)), 200, b"woke"),
        4 => plain(&format!("/bytes/{large}"), 200, &pattern(large)),
        5 => plain(&format!("/stream/{large}"), 200, &pattern(large)),
        6 => plain(&format!("/sized/{large}"), 200, &pattern(large)),
        7 => plain("/fail", 500, b"500 Internal Server Error\n"),
        8 => plain("/panic", 500, b"500 Internal Server Error\n"),
        9 => (post("/echo", &body, random), 200, body),
        10 => (post("/collect", &body, random), 200, body),
        11 => (post(&format!("/late/{}", random.within(0..9_000)), &body, random), 200, body),
        12 => (post("/spawn", &body, random), 200, body),
        _ => (post("/ignore", &body, random), 200, b"ignored".to_vec()),
    }
}

/// Sends bytes in pieces with pauses, always faster than the limits ask.
fn send_in_pieces(client: &mut Client, bytes: &[u8], random: &mut Random) {
    let mut rest = bytes;
    let mut pauses = 20;
    while !rest.is_empty() {
        let most = [150, 1_000, 70_000][random.below(3)];
        let len = random.within(100..most + 1).min(rest.len());
        client.send(&rest[..len]);
        rest = &rest[len..];
        if pauses > 0 && random.once_in(2) {
            pauses -= 1;
            client.script.push(Step::Sleep(random.millis(0..200)));
        }
    }
}

fn honest(random: &mut Random, name: &'static str, pipelines: bool) -> Client {
    let mut client = Client::new(name, Promise::Answers, random);
    for _ in 0..random.within(1..12) {
        let (bytes, status, body) = exchange(random);
        send_in_pieces(&mut client, &bytes, random);
        client.expect(status, body);
        if !pipelines || random.once_in(8) {
            client.await_all();
            let millis = [1, 100, 60_000][random.below(3)];
            client.script.push(Step::Sleep(random.millis(0..millis)));
        }
    }
    client.await_all();
    client
}

/// Takes a large answer at less than twice the least rate, for longer than any other timeout lasts.
fn slow_but_fast_enough(random: &mut Random) -> Client {
    let mut client = Client::new("slow but fast enough", Promise::Answers, random);
    client.reading = Reading::Slowly(400, Duration::from_secs(1));
    let len = random.within(20_000..60_000);
    let path = ["bytes", "stream", "sized"][random.below(3)];
    client.request(get(&format!("/{path}/{len}")), 200, pattern(len));
    if random.once_in(2) {
        client.script.push(Step::End);
    }
    client.await_all();
    client
}

fn half_closing(random: &mut Random) -> Client {
    let mut client = Client::new("half-closing", Promise::Answers, random);
    for _ in 0..random.within(1..4) {
        let (bytes, status, body) = exchange(random);
        client.request(bytes, status, body);
    }
    client.script.push(Step::End);
    client.await_all();
    client
}

fn expecting(random: &mut Random) -> Client {
    let mut client = Client::new("expecting", Promise::Answers, random);
    let body = pattern(random.within(1..5_000));
    client.send(format!(
        "POST /late/100 HTTP/1.1\r\nHost: sim\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    client.script.push(Step::AwaitContinue);
    client.request(body.clone(), 200, body);
    client.await_all();
    client
}

fn upgrading(random: &mut Random) -> Client {
    let mut client = Client::new("upgrading", Promise::Answers, random);
    client.request(
        "GET /upgrade HTTP/1.1\r\nHost: sim\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
        101,
        "",
    );
    for _ in 0..random.within(1..6) {
        let bytes = pattern(random.within(1..30_000));
        client.switched.extend_from_slice(&bytes);
        client.send(bytes);
        if random.once_in(2) {
            client.script.push(Step::AwaitSwitched(client.switched.len()));
            client.script.push(Step::Sleep(random.millis(0..100_000)));
        }
    }
    client.script.push(Step::AwaitSwitched(client.switched.len()));
    client.script.push(Step::End);
    client
}

fn resetting(random: &mut Random) -> Client {
    let mut client = honest(random, "resetting", true);
    client.promise = Promise::Nothing;
    let at = random.below(client.script.len() + 1);
    client.script.truncate(at);
    client.script.push(Step::Sleep(random.millis(0..300)));
    client.script.push(Step::Reset);
    client
}

fn garbage(random: &mut Random) -> Client {
    let mut client = honest(random, "garbage", true);
    client.promise = Promise::Nothing;
    for step in &mut client.script {
        if let Step::Send(bytes) = step {
            for _ in 0..random.below(3) {
                let at = random.below(bytes.len());
                bytes[at] = [0, b'\n', b'\r', b' ', b'0', 0x80][random.below(6)];
            }
        }
    }
    // Its bodies may not be what they were, so it does not wait for anything.
    client.script.retain(|step| !matches!(step, Step::Await(_)));
    client.stays = random.once_in(2);
    client
}

fn broken(random: &mut Random) -> Client {
    let mut client = Client::new("served a broken answer", Promise::Broken, random);
    client.request(get("/hello"), 200, "hello");
    client.await_all();
    let path = ["short", "break"][random.below(2)];
    client.send(get(&format!("/{path}/{}", random.within(0..50_000))));
    client.stays = true;
    client
}

fn cut(name: &'static str, within: Duration, status: Option<u16>, random: &mut Random) -> Client {
    let promise = Promise::Cut {
        status,
        within,
        reset: false,
    };
    let mut client = Client::new(name, promise, random);
    client.stays = true;
    client
}

fn silent(random: &mut Random, limits: &Limits) -> Client {
    let mut client = cut("silent", limits.first_byte_timeout, None, random);
    client.script.push(Step::Mark);
    client
}

fn slow_head(random: &mut Random, limits: &Limits) -> Client {
    let mut client = cut("slow head", limits.header_timeout, Some(408), random);
    if random.once_in(2) {
        client.request(get("/hello"), 200, "hello");
        client.await_all();
        client.script.push(Step::Sleep(random.millis(0..70_000)));
    }
    client.script.push(Step::Mark);
    let every = random.millis(200..6_000);
    for byte in get(&format!("/{}", "x".repeat(500))).into_bytes() {
        client.send([byte]);
        client.script.push(Step::Sleep(every));
    }
    client
}

fn slow_body(random: &mut Random, limits: &Limits) -> Client {
    let mut client = cut("slow body", limits.min_body_rate_grace, Some(408), random);
    client.script.push(Step::Mark);
    client.send("POST /collect HTTP/1.1\r\nHost: sim\r\nContent-Length: 100000\r\n\r\n");
    let every = random.millis(100..2_000);
    for _ in 0..200 {
        client.send("x");
        client.script.push(Step::Sleep(every));
    }
    client
}

/// The head and what the rate allows for it come on top of the body, hence a bound and not a moment.
fn slow_reader(random: &mut Random, _limits: &Limits) -> Client {
    let len = random.within(50_000..90_000);
    let head = "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 50000\r\n\r\n".len();
    let within = Duration::from_nanos(((len + head) as u64 * 1_000_000_000).div_ceil(240));
    let mut client = cut("slow reader", within, None, random);
    client.promise = Promise::Cut {
        status: None,
        within,
        reset: true,
    };
    client.socket.capacity = random.within(1..5_000);
    client.reading = if random.once_in(2) {
        Reading::Never
    } else {
        Reading::Slowly(random.within(1..200), Duration::from_secs(1))
    };
    client.script.push(Step::Mark);
    client.send(get(&format!("/bytes/{len}")));
    client
}

fn idle(random: &mut Random, limits: &Limits) -> Client {
    let mut client = cut("idle", limits.keepalive_timeout, None, random);
    client.request(get("/hello"), 200, "hello");
    client.script.insert(0, Step::Mark);
    client
}

fn refused_and_staying(random: &mut Random, _limits: &Limits) -> Client {
    let mut client = cut("refused and staying", Duration::ZERO, Some(400), random);
    client.script.push(Step::Mark);
    client.send("GET / HTTP/1.1\r\nHost : sim\r\n\r\n");
    for _ in 0..100 {
        client.send(pattern(100));
        client.script.push(Step::Sleep(random.millis(0..500)));
    }
    client
}

fn never_sending_its_body(random: &mut Random, limits: &Limits) -> Client {
    let mut client = cut("never sending its body", limits.body_drain_timeout, None, random);
    client.script.push(Step::Mark);
    client.request(
        "POST /ignore HTTP/1.1\r\nHost: sim\r\nContent-Length: 1000\r\n\r\n",
        200,
        "ignored",
    );
    client
}

fn never_answered(random: &mut Random) -> Client {
    let mut client = Client::new("never answered", Promise::Nothing, random);
    client.send(get("/never"));
    client.stays = true;
    client
}

/// Asks for far more than it takes. It is cut like any slow reader, and costs no more memory than one.
fn flooding_and_not_reading(random: &mut Random, _limits: &Limits) -> Client {
    let mut client = Client::new("flooding and not reading", Promise::Nothing, random);
    client.reading = Reading::Never;
    for _ in 0..random.within(10..200) {
        client.send(get("/bytes/20000").repeat(10));
        client.script.push(Step::Sleep(random.millis(0..50)));
    }
    client.stays = true;
    client
}
