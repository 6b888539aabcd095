//! The floors answer every head once, whatever the reads were, survive many connections, let go of them, and stay small
//! enough to be read.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lanner_bench::obstacle::Obstacle;
use lanner_loadtest::dial::Sources;
use lanner_loadtest::idle;
use lanner_loadtest::request::Target;
use lanner_loadtest::{answer, descriptors};

const PROGRAMS: [&str; 2] = [
    env!("CARGO_BIN_EXE_floor-epoll"),
    env!("CARGO_BIN_EXE_floor-ring"),
];

/// Where a connection is closed after its answer.
const CLOSING: [(&str, &[&str]); 2] = [
    (env!("CARGO_BIN_EXE_floor-epoll"), &["close"]),
    (env!("CARGO_BIN_EXE_floor-ring-close"), &[]),
];

const LONG: Duration = Duration::from_secs(20);

/// A floor that runs until it is dropped.
struct Floor {
    process: Child,
    address: SocketAddr,
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Floor {
    /// Starts one that may open so many descriptors; `None` if it cannot run here, which is then told.
    fn start(program: &str, words: &[&str], descriptors: usize) -> Option<Self> {
        let limited = format!("ulimit -n {descriptors} && exec \"$@\"");
        let mut command = Command::new("sh");
        command
            .args(["-c", &limited, "sh", program, "0"])
            .args(words);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let Ok(address) = line.trim_end().parse() else {
            let said = format!("{program} ended with {}", process.wait().unwrap());
            // Only a ring may be forbidden.
            assert!(program.contains("ring"), "{said}");
            Obstacle::Driver(said).skip("a floor");
            return None;
        };
        Some(Self { process, address })
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }
}

/// Fewer than the connections that are to be let go of, one after the other.
const FEW: usize = 32;

/// Runs a test on both floors that keep connections, with so many descriptors.
fn on_each(descriptors: usize, test: impl Fn(&Floor)) {
    for program in PROGRAMS {
        if let Some(floor) = Floor::start(program, &[], descriptors) {
            test(&floor);
        }
    }
}

/// Reads exactly so many answers, and checks each.
fn expect(stream: &mut TcpStream, answers: usize) {
    let mut reader = answer::AnswerReader::new();
    let mut byte = [0];
    let mut complete = 0;
    while complete < answers {
        stream.read_exact(&mut byte).unwrap();
        if let Some(answer) = reader.feed(&byte).unwrap() {
            assert_eq!((answer.status, answer.keeps_alive), (200, true));
            complete += 1;
        }
    }
}

/// One request more, and no other: its answer is the next thing, and the end follows the peer's.
fn expect_only_one_more(stream: &mut TcpStream) {
    stream.write_all(b"GET /last HTTP/1.1\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(answers_in(&rest), 1, "{}", rest.escape_ascii());
}

fn answers_in(bytes: &[u8]) -> usize {
    let start = b"HTTP/1.1 200 OK\r\n";
    let starts = bytes.windows(start.len()).filter(|window| window == start);
    starts.count()
}

#[test]
fn a_head_is_answered_once_at_every_split_and_byte_by_byte() {
    let heads = b"GET / HTTP/1.1\r\nA: b\r\n\r\nGET /2 HTTP/1.1\r\n\r\n";
    on_each(FEW, |floor| {
        let mut stream = floor.connect();
        for split in 1..heads.len() {
            stream.write_all(&heads[..split]).unwrap();
            stream.write_all(&heads[split..]).unwrap();
            expect(&mut stream, 2);
        }
        for byte in heads {
            stream.write_all(&[*byte]).unwrap();
        }
        expect(&mut stream, 2);
        expect_only_one_more(&mut stream);
    });
}

#[test]
fn an_end_begun_anew_is_found_and_a_broken_one_is_not() {
    on_each(FEW, |floor| {
        let mut stream = floor.connect();
        // The first is an end after a false start, byte by byte and at once; the second is none.
        for _ in 0..2 {
            for byte in b"GET /\r\n\r\r\n\r\n" {
                stream.write_all(&[*byte]).unwrap();
            }
            expect(&mut stream, 1);
            stream.write_all(b"GET /\r\n\r\r\n\r\n").unwrap();
            expect(&mut stream, 1);
        }
        stream.write_all(b"GET /\r\n\rx\r\n\ry\n\r\n").unwrap();
        stream.write_all(b"\r\nGET /\r\nA: b\r\n\r\n").unwrap();
        // One for the line feeds that close the broken one, one for the request.
        expect(&mut stream, 2);
        expect_only_one_more(&mut stream);
    });
}

#[test]
fn more_answers_than_a_socket_holds_all_come() {
    const COUNT: usize = 100_000;
    let heads = b"GET / HTTP/1.1\r\n\r\n".repeat(COUNT);
    on_each(FEW, |floor| {
        let mut stream = floor.connect();
        // Nobody reads 13 MB of answers until the floor can neither write nor, it may be, read any more.
        let pause = Some(Duration::from_millis(200));
        stream.set_write_timeout(pause).unwrap();
        let mut written = 0;
        while let Ok(count) = stream.write(&heads[written..])
            && count > 0
        {
            written += count;
        }
        let mut writer = stream.try_clone().unwrap();
        writer.set_write_timeout(Some(LONG)).unwrap();
        let mut all = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(&heads[written..]).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            stream.read_to_end(&mut all).unwrap();
        });
        assert_eq!(answers_in(&all), COUNT);
        assert!(all.ends_with(b"Hello, World!"));
        assert_eq!(all.len() % COUNT, 0, "an answer is not whole");
    });
}

#[test]
fn eight_thousand_connections_are_served_and_let_go() {
    const COUNT: usize = 8000;
    if let Err(failure) = descriptors::reserve(COUNT + FEW) {
        return Obstacle::Tool(failure.to_string()).skip("8,000 connections to the floors");
    }
    on_each(COUNT + FEW, |floor| {
        let plan = idle::Plan {
            target: Target::new(floor.address, "/hello").unwrap(),
            connections: COUNT,
            sources: Sources::ANY,
            timeout: LONG,
        };
        // There are no descriptors for the second lot until the first one's are closed.
        for _ in 0..2 {
            drop(idle::open(&plan).unwrap());
        }
        expect_only_one_more(&mut floor.connect());
    });
}

#[test]
fn a_connection_that_is_reset_is_let_go() {
    on_each(FEW, |floor| {
        for _ in 0..4 * FEW {
            let mut stream = floor.connect();
            stream
                .write_all(&b"GET / HTTP/1.1\r\n\r\n".repeat(50))
                .unwrap();
            // Unread answers make a reset of the close.
            stream.read_exact(&mut [0]).unwrap();
        }
        expect_only_one_more(&mut floor.connect());
    });
}

#[test]
fn a_floor_that_closes_answers_once_and_lets_go() {
    let heads = [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nA: b\r\n\r\n",
    ];
    for (program, words) in CLOSING {
        let Some(floor) = Floor::start(program, words, FEW) else {
            continue;
        };
        for number in 0..4 * FEW {
            // One peer in four leaves without a word, and one in the middle of its head.
            let head = heads[number / 2 % 2];
            let mut stream = floor.connect();
            match number % 8 {
                1 | 5 => continue,
                3 | 7 => {
                    stream.write_all(&head[..5]).unwrap();
                    continue;
                }
                _ => {}
            }
            // At every split in turn: the end of the head is all that counts.
            let split = 1 + number % (head.len() - 1);
            stream.write_all(&head[..split]).unwrap();
            stream.write_all(&head[split..]).unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            let answer = answer::AnswerReader::new().feed(&all).unwrap().unwrap();
            assert_eq!((answer.status, answer.keeps_alive), (200, false));
        }
    }
}

/// What a floor does, one can see for oneself in it.
#[test]
fn a_floor_is_short_and_owes_nothing_to_the_engine() {
    let shared = include_str!("../src/bin/floor/answers.rs");
    for (name, own) in [
        ("epoll", include_str!("../src/bin/floor/epoll.rs")),
        ("ring", include_str!("../src/bin/floor/ring.rs")),
        ("ring_close", include_str!("../src/bin/floor/ring_close.rs")),
    ] {
        let lines = own.lines().count() + shared.lines().count();
        assert!(lines <= 200, "{name} has {lines} lines");
        let modules = own.lines().filter(|line| line.starts_with("mod "));
        assert!(modules.eq(["mod answers;"]), "{name} has other files");
        let text = format!("{own}{shared}");
        assert!(
            !text.contains("lanner") && !text.contains("include!"),
            "{name}"
        );
        assert!(name != "epoll" || text.contains("#![forbid(unsafe_code)]"));
    }
}
