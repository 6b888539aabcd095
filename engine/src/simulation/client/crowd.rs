//! Clients of a crowd: each is simple, and together they bring a server to its bounds.

use super::kinds::{self, get};
use super::{Client, Promise, Step};
use crate::simulation::app::pattern;
use crate::simulation::random::Random;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

const GARBAGE: &str = "GET / HTTP/1.1\r\nHost : sim\r\n\r\n";

impl Client {
    /// One of those that a server near its connection cap has.
    pub(in crate::simulation) fn at_the_cap(random: &mut Random) -> Self {
        let mut client = match random.below(12) {
            0..=4 => browsing(random),
            5 | 6 => working(random),
            7 => hesitating(random),
            8 => staying(random, "silent", ""),
            9 => staying(random, "refused and staying", GARBAGE),
            10 => kinds::slow_but_fast_enough(random),
            _ => kinds::upgrading(random),
        };
        client.from = Some(address(random));
        client
    }

    /// One that is refused, or has its last answer, and then does not close at once.
    pub(in crate::simulation) fn that_lingers(random: &mut Random) -> Self {
        match random.below(8) {
            0..=3 => staying(random, "refused and staying", GARBAGE),
            4 => half_closed(random),
            5 => leaving(random),
            6 => {
                let path = ["hello", "sleep/900"][random.below(2)];
                let last =
                    format!("GET /{path} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\r\nmore");
                staying(random, "answered for the last time and staying", &last)
            }
            _ => browsing(random),
        }
    }

    /// One that asks `/work` for something `count` times at most, which takes up to `millis` each. Its requests are
    /// numbered by `next`.
    pub(in crate::simulation) fn asking(
        random: &mut Random,
        millis: usize,
        next: &mut usize,
    ) -> Self {
        let mut client = Client::new("asking", Promise::Nothing, random);
        client.step_at = random.millis(0..millis * 4);
        let pipelines = random.once_in(4);
        for _ in 0..random.within(1..6) {
            let number = std::mem::replace(next, *next + 1);
            let takes = millis / 10 * random.below(10);
            let head = format!("/work/{number}/{takes} HTTP/1.1\r\nHost: sim\r\n");
            let request = if random.once_in(4) {
                format!("POST {head}Content-Length: 4\r\n\r\nbody")
            } else {
                format!("GET {head}\r\n")
            };
            client.request(request, 200, number.to_string());
            if !pipelines {
                client.await_all();
                client.script.push(Step::Sleep(random.millis(0..millis)));
            }
        }
        match random.below(6) {
            // It runs away, whatever it waits for.
            0 => {
                client.script.retain(|step| !matches!(step, Step::Await(_)));
                client
                    .script
                    .push(Step::Sleep(random.millis(0..millis * 2)));
                client.script.push(Step::Reset);
                client.sent_by = where_sent(&client.script);
                client.name = "asking and running away";
            }
            // It says that it is done, and takes what it is owed.
            1 => {
                client.script.push(Step::End);
                client.await_all();
            }
            _ => client.await_all(),
        }
        client
    }

    /// One that sends this and stays.
    pub(in crate::simulation) fn sending(random: &mut Random, bytes: &str) -> Self {
        staying(random, "sending and staying", bytes)
    }

    /// Has it do everything at multiples of `grain`: in a crowd that does, much happens in the same moment.
    pub(in crate::simulation) fn in_step(mut self, grain: Duration) -> Self {
        let round = |duration: &mut Duration| {
            let remainder = duration.as_nanos() % grain.as_nanos();
            *duration -= Duration::from_nanos(u64::try_from(remainder).unwrap_or(0));
        };
        round(&mut self.step_at);
        for step in &mut self.script {
            if let Step::Sleep(duration) = step {
                round(duration);
            }
        }
        self
    }

    /// Has it connect at this time.
    pub(in crate::simulation) fn connecting_at(mut self, at: Duration) -> Self {
        self.step_at = at;
        self
    }

    /// Whether it goes away without waiting for its answers.
    pub(in crate::simulation) fn runs_away(&self) -> bool {
        self.script.iter().any(|step| matches!(step, Step::Reset))
    }

    /// How many whole requests it has sent.
    pub(in crate::simulation) fn requests_sent(&self) -> usize {
        self.sent_by.iter().filter(|by| **by <= self.at).count()
    }
}

/// Where in a script of whole requests each of them is sent.
fn where_sent(script: &[Step]) -> Vec<usize> {
    let sends = script
        .iter()
        .enumerate()
        .filter(|(_, step)| matches!(step, Step::Send(_)));
    sends.map(|(index, _)| index + 1).collect()
}

/// Few addresses for many: of either family, of few networks, and some that no bound counts.
fn address(random: &mut Random) -> IpAddr {
    let last = u16::try_from(random.below(3)).unwrap_or(0);
    let host = u16::try_from(random.below(40)).unwrap_or(0);
    let [_, last_byte] = last.to_be_bytes();
    let v4 = Ipv4Addr::new(192, 0, 2, last_byte);
    match random.below(8) {
        0 | 1 => v4.into(),
        2 => v4.to_ipv6_mapped().into(),
        3 => [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()][random.below(2)],
        _ => Ipv6Addr::new(0x2001, 0xdb8, 0, last, host, 0, 0, 1).into(),
    }
}

/// Asks now and then, and is idle in between, for as long as a connection may be.
fn browsing(random: &mut Random) -> Client {
    let mut client = Client::new("browsing", Promise::Answers, random);
    for _ in 0..random.within(1..5) {
        match random.below(3) {
            0 => client.request(get("/sleep/700"), 200, "slept"),
            1 => {
                let len = random.within(0..3_000);
                client.request(get(&format!("/bytes/{len}")), 200, pattern(len));
            }
            _ => client.request(get("/hello"), 200, "hello"),
        }
        client.await_all();
        client.script.push(Step::Sleep(random.millis(0..15_000)));
    }
    client
}

/// Has the app work for a long time.
fn working(random: &mut Random) -> Client {
    let mut client = Client::new("working", Promise::Answers, random);
    let millis = random.within(3_000..40_000);
    client.request(get(&format!("/sleep/{millis}")), 200, "slept");
    client.await_all();
    client
}

/// Begins a request and thinks it over, which is no idleness.
fn hesitating(random: &mut Random) -> Client {
    let mut client = Client::new("hesitating", Promise::Answers, random);
    if random.once_in(2) {
        client.request(get("/hello"), 200, "hello");
        client.await_all();
        client.script.push(Step::Sleep(random.millis(0..10_000)));
    }
    client.send("GET /hello HT");
    client
        .script
        .push(Step::Sleep(random.millis(1_000..14_000)));
    client.request("TP/1.1\r\nHost: sim\r\n\r\n", 200, "hello");
    client.await_all();
    client
}

/// Sends this, and never closes.
fn staying(random: &mut Random, name: &'static str, bytes: &str) -> Client {
    let mut client = Client::new(name, Promise::Nothing, random);
    if !bytes.is_empty() {
        client.send(bytes);
    }
    client.stays = true;
    client
}

/// Has ended its side in the middle of a body, for which it is refused: there is nothing to linger for.
fn half_closed(random: &mut Random) -> Client {
    let half = "POST /collect HTTP/1.1\r\nHost: sim\r\nContent-Length: 10\r\n\r\nabc";
    let mut client = staying(random, "half-closed and refused", half);
    client.script.push(Step::Sleep(random.millis(0..1_000)));
    client.script.push(Step::End);
    client
}

/// Is refused, and closes a while later.
fn leaving(random: &mut Random) -> Client {
    let mut client = staying(random, "refused and leaving", GARBAGE);
    client.script.push(Step::Sleep(random.millis(0..4_000)));
    client.script.push(Step::End);
    client
}
