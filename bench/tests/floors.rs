//! The floors answer every head once, whatever the reads were, survive many connections, let go of them, and stay small
//! enough to be read.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use lanner_bench::obstacle::Obstacle;
use lanner_loadtest::dial::Sources;
use lanner_loadtest::idle;
use lanner_loadtest::request::Target;
use lanner_loadtest::{answer, descriptors};

const PROGRAMS: [&str; 2] = [
    env!("CARGO_BIN_EXE_floor-epoll"),
    env!("CARGO_BIN_EXE_floor-ring"),
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
    /// Starts one; `None` if it cannot run here, which is then told.
    fn start(program: &str, words: &[&str]) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut command = Command::new(program);
        command.arg(address.port().to_string()).args(words);
        let process = command.spawn().unwrap();
        let mut floor = Self { process, address };
        let until = Instant::now() + LONG;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = floor.process.try_wait().unwrap() {
                let said = format!("{program} ended with {status}");
                Obstacle::Driver(said).skip("a floor");
                return None;
            }
            assert!(Instant::now() < until, "{program} does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(floor)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.process.id());
        fs::read_dir(folder).unwrap().count()
    }

    /// Waits until it has no more descriptors open than that.
    fn settle(&self, descriptors: usize) {
        let until = Instant::now() + LONG;
        while self.descriptors() > descriptors {
            let open = self.descriptors();
            assert!(Instant::now() < until, "{open} are open still");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Runs a test on both floors.
fn on_each(words: &[&str], test: impl Fn(&Floor)) {
    for program in PROGRAMS {
        if let Some(floor) = Floor::start(program, words) {
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
    on_each(&[], |floor| {
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
    on_each(&[], |floor| {
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
    on_each(&[], |floor| {
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
    if let Err(failure) = descriptors::reserve(COUNT) {
        return Obstacle::Tool(failure.to_string()).skip("8,000 connections to the floors");
    }
    on_each(&[], |floor| {
        floor.connect().shutdown(Shutdown::Both).unwrap();
        let before = floor.descriptors();
        let plan = idle::Plan {
            target: Target::new(floor.address, "/hello").unwrap(),
            connections: COUNT,
            sources: Sources::ANY,
            timeout: LONG,
        };
        let held = idle::open(&plan).unwrap();
        assert!(floor.descriptors() >= COUNT);
        drop(held);
        floor.settle(before);
        expect_only_one_more(&mut floor.connect());
    });
}

#[test]
fn a_connection_that_is_reset_is_let_go() {
    on_each(&[], |floor| {
        let before = floor.descriptors();
        for _ in 0..100 {
            let mut stream = floor.connect();
            stream
                .write_all(&b"GET / HTTP/1.1\r\n\r\n".repeat(50))
                .unwrap();
            // Unread answers make a reset of the close.
            stream.read_exact(&mut [0]).unwrap();
        }
        floor.settle(before);
        expect_only_one_more(&mut floor.connect());
    });
}

#[test]
fn told_to_close_a_floor_answers_once_and_closes() {
    on_each(&["close"], |floor| {
        let before = floor.descriptors();
        for head in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"GET / HTTP/1.1\r\nA: b\r\n\r\n",
        ] {
            let mut stream = floor.connect();
            // In two parts: the end of the head is all that counts.
            stream.write_all(&head[..5]).unwrap();
            stream.write_all(&head[5..]).unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            let answer = answer::AnswerReader::new().feed(&all).unwrap().unwrap();
            assert_eq!((answer.status, answer.keeps_alive), (200, false));
        }
        floor.settle(before);
    });
}

/// What a floor does, one can see for oneself in it.
#[test]
fn a_floor_is_short_and_owes_nothing_to_the_engine() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/floor");
    for name in ["epoll.rs", "ring.rs", "answers.rs", "buffers.rs"] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let lines = text.lines().count();
        assert!(lines <= 200, "{name} has {lines} lines");
        assert!(!text.contains("lanner"), "{name} names the engine");
        let is_ring = ["ring.rs", "buffers.rs"].contains(&name);
        assert!(is_ring || !text.contains("unsafe {"), "{name} needs none");
    }
}
