//! The entries of fuzzers (`protocol/fuzz`), driven with random input: so many times each, for about a second together. A
//! failure prints the seed that leads to it.
#![allow(clippy::unwrap_used)]
#![allow(
    unreachable_pub,
    reason = "the entries are a library's where a fuzzer runs them"
)]

#[path = "../../fuzz/src/chunked.rs"]
mod chunked;
#[path = "../../fuzz/src/client1.rs"]
mod client1;
#[path = "../../fuzz/src/client2.rs"]
mod client2;
#[path = "../../fuzz/src/frames.rs"]
mod frames;
#[path = "../../fuzz/src/head.rs"]
mod head;
#[path = "../../fuzz/src/hpack.rs"]
mod hpack;
#[path = "../../fuzz/src/http1.rs"]
mod http1;
#[path = "../../fuzz/src/http2.rs"]
mod http2;
#[path = "../../fuzz/src/script.rs"]
mod script;
#[path = "../../fuzz/src/world.rs"]
mod world;

use std::hash::{BuildHasher as _, RandomState};

/// Random numbers, the same for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound
    }
}

/// Prints the seed of an input that made an entry panic.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("FUZZ_SEED={} leads to it", self.0);
        }
    }
}

/// Calls an entry so many times with random bytes, into which some of `words` are strewn.
fn drive(entry: fn(&[u8]), times: u64, words: &[&[u8]]) {
    #[allow(
        clippy::disallowed_methods,
        reason = "a test is asked for one input again"
    )]
    let given = std::env::var("FUZZ_SEED").ok();
    let given = given.map(|seed| seed.parse::<u64>().expect("FUZZ_SEED is a number"));
    let first = given.unwrap_or_else(|| RandomState::new().hash_one(times));
    let times = if given.is_some() { 1 } else { times };
    for time in 0..times {
        let seed = Seed(first.wrapping_add(time));
        let mut random = Random(seed.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut input = Vec::new();
        let bytes = 1 + random.below(600);
        while input.len() < bytes {
            if random.below(4) == 0 && !words.is_empty() {
                input.extend_from_slice(words[random.below(words.len())]);
            } else {
                input.push(random.next() as u8);
            }
        }
        entry(&input);
    }
}

#[test]
fn heads() {
    let words: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\n",
        b"Host: a\r\n",
        b"\r\n\r\n",
        b"Content-Length: 4\r\n",
        b"PRI * HTTP/2.0",
        b"x: y",
    ];
    drive(head::run, 60_000, words);
}

#[test]
fn chunked_bodies() {
    let words: &[&[u8]] = &[
        b"4\r\nabcd\r\n",
        b"0\r\n",
        b"\r\n",
        b"a;b=c\r\n",
        b"x: y\r\n",
    ];
    drive(chunked::run, 60_000, words);
}

#[test]
fn field_blocks() {
    drive(
        hpack::run,
        10_000,
        &[&[0x82, 0x86, 0x84], &[0xbe], &[0x40, 1, b'a', 1, b'b']],
    );
}

#[test]
fn single_frames() {
    drive(
        frames::run,
        10_000,
        &[&[0, 0, 4, 3, 0, 0, 0, 0, 1], &[0, 0, 6, 4, 0, 0, 0, 0, 0]],
    );
}

#[test]
fn connections_of_http_1() {
    drive(
        http1::run,
        2_000,
        &[
            &[160],
            &[163, 165, 166],
            &[184, 2, 185, 2, 186, 0],
            &[187, 0],
        ],
    );
}

#[test]
fn connections_of_http_2() {
    let request: &[u8] = &[
        19, 0, 0, 11, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, b'a', 0x40, 1, b'b', 1, b'c',
    ];
    // Deeds: a frame HEADERS on a stream that comes with it, then what an app does.
    let deeds: &[&[u8]] = &[
        request,
        &[128 + 6, 1, 5, 1, 0x82, 0x86, 0x84, 0x41, 1, b'a'],
        &[128 + 6, 1, 4, 3, 0x83, 0x86, 0x84, 0x41, 1, b'a'],
        &[128 + 6, 1, 5, 5, 0x82, 0x86, 0x84, 0x41, 1, b'a'],
        &[192, 0, 2, 194, 0, 1, 196, 0, 0],
        &[128 + 4, 8, 0, 0, 0, 1, 0, 0],
        &[244],
    ];
    drive(http2::run, 15_000, deeds);
}

#[test]
fn answers_of_http_1_to_a_client() {
    let words: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"content-length: 4\r\n",
        b"transfer-encoding: chunked\r\n",
        b"\r\n",
        b"4\r\nabcd\r\n",
        b"0\r\n\r\n",
    ];
    drive(client1::run, 20_000, words);
}

#[test]
fn answers_of_http_2_to_a_client() {
    let words: &[&[u8]] = &[
        &[0, 0, 0, 4, 0, 0, 0, 0, 0],
        &[0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88],
        &[0, 0, 1, 0, 1, 0, 0, 0, 1, b'x'],
        &[0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0],
        &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8],
    ];
    drive(client2::run, 10_000, words);
}
