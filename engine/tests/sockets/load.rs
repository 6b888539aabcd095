//! Many and much at once: whatever clients do, everything is given back.

use crate::child;
use crate::client::Client;
use crate::response::{PIECE, Plenty};
use crate::server::{Fixture, limits, serve, start};
use lanner::{App, Error, Request, Response};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Clients of the crowd.
const CROWD: usize = 500;

/// A small generator, so that a failure can be repeated from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// What the crowd is served by; `alive` counts the futures and streams that it holds.
#[derive(Clone, Default)]
struct Crowded {
    alive: Arc<AtomicUsize>,
}

struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl App for Crowded {
    async fn call(&self, mut request: Request) -> Result<Response, Error> {
        let alive = Alive::new(&self.alive);
        match request.path() {
            "/echo" => Ok(Response::stream(None, request.into_body())),
            "/sum" => Ok(Response::text(
                request.body().collect().await?.len().to_string(),
            )),
            "/never" => std::future::pending().await,
            "/nap" => {
                lanner::sleep(std::time::Duration::from_millis(3)).await;
                Ok(Response::text("rested"))
            }
            "/much" => Ok(Response::stream(
                None,
                Plenty {
                    left: 100 * PIECE,
                    taken: Arc::default(),
                },
            )),
            "/upgrade" => Ok(Response::upgrade("x", move |mut stream| async move {
                let _alive = alive;
                while let Some(Ok(bytes)) = stream.read().await {
                    if stream.write(bytes.to_vec()).await.is_err() {
                        return;
                    }
                }
            })),
            _ => Ok(Response::text("Hello, World!")),
        }
    }
}

const POST: &str = "POST /echo HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";

/// The first half of what a client does.
fn begin(client: &mut Client, behaviour: u64) {
    match behaviour {
        0 => client.ask("/"),
        1 => client.ask("/1").ask("/nap").ask("/3").ask("/nap"),
        2 | 3 => client.send("GET / HTTP/1.1\r\nhost: te"),
        4 => client.send(POST).send("5\r\nhel"),
        5 => client.send(POST).send("5\r\nhello\r\n"),
        6 => client.send("\0\0\0"),
        7 => client,
        8 => client.ask("/never"),
        9 => client.send(
            "GET /upgrade HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nhey",
        ),
        10 => client.ask("/much"),
        11 => {
            client.ask("/nap").finish();
            client
        }
        _ => client.send("POST /sum HTTP/1.1\r\nhost: test\r\ncontent-length: 40000\r\n\r\n"),
    };
}

/// The second half, after which the client is gone.
fn finish(mut client: Client, behaviour: u64) {
    match behaviour {
        0 => assert_eq!(client.answer().text(), "Hello, World!"),
        1 => {
            assert_eq!(client.answer().text(), "Hello, World!");
            assert_eq!(client.answer().text(), "rested");
        }
        3 | 4 | 8 => client.reset(),
        5 => {
            assert_eq!(client.send("0\r\n\r\n").answer().text(), "hello");
        }
        6 => {
            assert_eq!(client.answer().status, 400);
            client.expect_end();
        }
        9 => {
            assert_eq!(client.head().status, 101);
            assert_eq!(client.take(3), b"hey");
        }
        10 => {
            client.head();
            client.take(10_000);
        }
        11 => {
            assert_eq!(client.answer().text(), "rested");
            client.expect_end();
        }
        12.. => {
            assert_eq!(client.send(vec![b'x'; 40_000]).answer().text(), "40000");
        }
        _ => {}
    }
}

fn crowd(server: &Fixture, seed: u64) {
    let mut random = Random(seed | 1);
    let mut present: Vec<(Client, u64)> = Vec::new();
    for _ in 0..CROWD {
        let behaviour = random.below(13);
        let mut client = server.connect();
        begin(&mut client, behaviour);
        present.push((client, behaviour));
    }
    // Every one was accepted, and they leave in another order than they came.
    server.until("all are there", |counters| {
        counters.count(lanner::Count::Accepted) == CROWD as u64
    });
    while !present.is_empty() {
        let index = random.below(present.len() as u64) as usize;
        let (client, behaviour) = present.swap_remove(index);
        finish(client, behaviour);
    }
}

/// The most memory this process has had, in bytes.
fn memory_peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim()
        .strip_suffix(" kB")
        .unwrap()
        .parse::<usize>()
        .unwrap()
        * 1024
}

on_every_driver! {
    fn a_crowd_that_behaves_as_it_likes_leaves_nothing_behind(on) {
        let seed = std::env::var("SEED")
            .map_or_else(|_| RandomState::new().hash_one(0), |seed| seed.parse().unwrap());
        println!("SEED={seed}");
        let app = Crowded::default();
        let alive = app.alive.clone();
        let mut limits = limits(on);
        limits.workers = 2;
        let server = start(limits, move |_| app.clone()).unwrap();
        crowd(&server, seed);
        server.until_open(0);
        assert_eq!(alive.load(Ordering::SeqCst), 0);
    }

    fn a_large_answer_takes_little_memory(on) {
        let test = format!("load::a_large_answer_takes_little_memory::{}", child::module(on));
        child::alone(&test, || {
            let whole = 100 << 20;
            let server = serve(on, |_| {}, move |_: Request| async move {
                Ok(Response::stream(Some(whole as u64), Plenty { left: whole, taken: Arc::default() }))
            });
            let mut client = server.connect();
            client.ask("/");
            let before = memory_peak();
            client.head();
            let mut left = whole;
            while left > 0 {
                left -= client.take(left.min(PIECE)).len();
            }
            let grown = memory_peak() - before;
            assert!(grown < 8 << 20, "grew by {grown} bytes");
        });
    }

    fn a_large_upload_takes_little_memory(on) {
        let test = format!("load::a_large_upload_takes_little_memory::{}", child::module(on));
        child::alone(&test, || {
            let server = serve(on, |limits| limits.max_request_body = None, |mut request: Request| async move {
                let mut read = 0;
                while let Some(chunk) = request.body().chunk().await {
                    read += chunk?.len();
                }
                Ok(Response::text(read.to_string()))
            });
            let mut client = server.connect();
            let (whole, block) = (100usize << 20, vec![b'x'; 1 << 20]);
            client.send(format!("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {whole}\r\n\r\n"));
            let before = memory_peak();
            for _ in 0..100 {
                client.send(&block);
            }
            assert_eq!(client.answer().text(), whole.to_string());
            let grown = memory_peak() - before;
            assert!(grown < 4 << 20, "grew by {grown} bytes");
        });
    }
}
