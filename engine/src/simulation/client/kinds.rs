//! The kinds of clients: honest ones of several habits, and every attacker that a limit is there for.

use super::{Client, Promise, Reading, Step};
use crate::simulation::app::pattern;
use crate::simulation::random::Random;
use lanner_limits::Limits;
use std::time::Duration;

impl Client {
    /// One of all the kinds there are.
    pub(in crate::simulation) fn random(random: &mut Random, limits: &Limits) -> Self {
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
}

pub(super) fn get(path: &str) -> String {
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
    for piece in body.chunks(random.within(20..5_000)) {
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
        2 => plain(
            &format!("/sleep/{}", random.within(0..3_000)),
            200,
            b"slept",
        ),
        3 => plain(&format!("/wake/{}", random.within(0..50)), 200, b"woke"),
        4 => plain(&format!("/bytes/{large}"), 200, &pattern(large)),
        5 => plain(&format!("/stream/{large}"), 200, &pattern(large)),
        6 => plain(&format!("/sized/{large}"), 200, &pattern(large)),
        7 => plain("/fail", 500, b"500 Internal Server Error\n"),
        8 => plain("/panic", 500, b"500 Internal Server Error\n"),
        9 => (post("/echo", &body, random), 200, body),
        10 => (post("/collect", &body, random), 200, body),
        11 => (
            post(&format!("/late/{}", random.within(0..9_000)), &body, random),
            200,
            body,
        ),
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
pub(super) fn slow_but_fast_enough(random: &mut Random) -> Client {
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

pub(super) fn upgrading(random: &mut Random) -> Client {
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
            client
                .script
                .push(Step::AwaitSwitched(client.switched.len()));
            client.script.push(Step::Sleep(random.millis(0..100_000)));
        }
    }
    client
        .script
        .push(Step::AwaitSwitched(client.switched.len()));
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
        early: Duration::ZERO,
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
    let capacity = random.within(1..5_000);
    let at_rate = |bytes: usize| Duration::from_nanos((bytes as u64 * 1_000_000_000).div_ceil(240));
    let within = at_rate(len + head);
    let mut client = cut("slow reader", within, None, random);
    client.promise = Promise::Cut {
        status: None,
        within,
        // What the first write puts into the socket is not asked for.
        early: at_rate(capacity),
        reset: true,
    };
    client.socket.capacity = capacity;
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
    let mut client = cut(
        "never sending its body",
        limits.body_drain_timeout,
        None,
        random,
    );
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
