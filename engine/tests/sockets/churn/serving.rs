//! The server under churn, in a process of its own: what it serves and how it reports, and the end of that from which
//! the test asks.

use crate::child;
use crate::response::{PIECE, Plenty};
use crate::server::{listening, start};
use lanner::{App, Error, Limits, Request, Response, ServerHandle, Upgraded};
use lanner_limits::Driver;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::time::Duration;

/// Several addresses: one client's ports would otherwise be the bound of a long run.
const LISTEN: &str = "http://127.0.0.1:0,http://127.0.0.2:0,http://127.0.0.3:0,http://127.0.0.4:0";

/// When the server gives a silent client up. Whoever means to be heard hurries more, but on a machine that stalls may be
/// cut nevertheless; the tally knows.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// Bytes a second that clients must keep up, so that what they sent before they fell silent earns them little time.
const RATE_MIN: u64 = 1 << 20;

/// How long `/nap` takes.
const NAP: Duration = Duration::from_millis(5);

/// The length of `/plenty`: beyond what the kernel holds for a client with a small window.
pub(super) const PLENTY: usize = 32 * PIECE;

/// The most bytes of an upload.
pub(super) const UPLOAD_MAX: usize = 100_000;

/// What every line of a report begins with; the test harness prints in the same place.
const MARK: &str = "churn: ";

/// The bytes of every upload, of which none is like its neighbour, so that one too few or too many shows.
pub(super) fn some_bytes(count: usize) -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..UPLOAD_MAX).map(|place| (place % 251) as u8).collect());
    &BYTES[..count]
}

/// What `/judge` answers to a body.
pub(super) fn verdict(body: &[u8]) -> String {
    let is_right = body == some_bytes(body.len().min(UPLOAD_MAX));
    format!("{} {is_right}", body.len())
}

/// Within the server's process: serves, and answers each line it is sent with a report, until there are no more.
pub(super) fn serve_until_told(on: Driver) {
    let app = Visited::default();
    let alive = app.alive.clone();
    let server = start(limits(on), move |_| app.clone()).unwrap();
    let addresses: Vec<String> = server
        .handle()
        .addresses()
        .iter()
        .filter_map(|address| Some(address.tcp()?.to_string()))
        .collect();
    println!("\n{MARK}{}", addresses.join(" "));
    for _ in std::io::stdin().lines().map_while(Result::ok) {
        println!("{MARK}{}", report(server.handle(), &alive));
    }
    // Its end is checked like every server's here.
}

fn limits(on: Driver) -> Limits {
    let mut limits = listening(on, LISTEN);
    limits.workers = 2;
    limits.first_byte_timeout = SILENCE_MAX;
    limits.header_timeout = SILENCE_MAX;
    limits.keepalive_timeout = SILENCE_MAX;
    limits.min_body_rate = Some(RATE_MIN);
    limits.min_body_rate_grace = SILENCE_MAX;
    limits.min_response_rate = Some(RATE_MIN);
    limits.min_response_rate_grace = SILENCE_MAX;
    limits.body_drain_timeout = SILENCE_MAX;
    limits
}

fn report(server: &ServerHandle, alive: &AtomicU64) -> String {
    let counters = server.counters();
    let mut words = vec![
        format!("open={}", counters.open()),
        format!("alive={}", alive.load(Ordering::SeqCst)),
    ];
    let named = counters.named().into_iter();
    words.extend(named.map(|(name, value)| format!("{name}={value}")));
    words.join(" ")
}

/// The app; `alive` counts the calls and handlers that have not come to their end.
#[derive(Clone, Default)]
struct Visited {
    alive: Arc<AtomicU64>,
}

struct Alive(Arc<AtomicU64>);

impl Alive {
    fn new(count: &Arc<AtomicU64>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl App for Visited {
    async fn call(&self, mut request: Request) -> Result<Response, Error> {
        let alive = Alive::new(&self.alive);
        match request.path() {
            "/judge" => {
                let body = request.body().collect().await?;
                Ok(Response::text(verdict(&body)))
            }
            "/echo" => {
                let length = request.field_str("content-length");
                let length = length.and_then(|length| length.parse().ok());
                Ok(Response::stream(length, request.into_body()))
            }
            "/plenty" => {
                let body = Plenty {
                    left: PLENTY,
                    taken: Arc::default(),
                };
                Ok(Response::stream(Some(PLENTY as u64), body))
            }
            "/nap" => {
                lanner::sleep(NAP).await;
                Ok(Response::text("rested"))
            }
            "/never" => std::future::pending().await,
            "/upgrade" => Ok(Response::upgrade("echo", move |stream| async move {
                let _alive = alive;
                echo(stream).await;
            })),
            _ => Ok(Response::text("Hello, World!")),
        }
    }
}

/// What comes goes back, until nothing has come for too long: upgraded connections have the bounds that apps give them.
async fn echo(mut stream: Upgraded) {
    loop {
        let read = {
            let (mut read, mut silence) = (pin!(stream.read()), pin!(lanner::sleep(SILENCE_MAX)));
            std::future::poll_fn(|context| match read.as_mut().poll(context) {
                Poll::Ready(read) => Poll::Ready(read.and_then(Result::ok).map(|it| it.to_vec())),
                Poll::Pending => silence.as_mut().poll(context).map(|()| None),
            })
            .await
        };
        let Some(bytes) = read else { return };
        if stream.write(bytes).await.is_err() {
            return;
        }
    }
}

/// The server's process, as the test sees it.
pub(super) struct Serving {
    child: Child,
    /// Gone when it has been told to end.
    orders: Option<ChildStdin>,
    reports: Lines<BufReader<ChildStdout>>,
    addresses: Vec<SocketAddr>,
}

impl Serving {
    /// Starts `test` in a process of its own, where it is to call [`serve_until_told`].
    pub(super) fn start(test: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = child::as_alone(&mut command, test)
            .stdin(Stdio::piped())
            // A panic there is seen here.
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let orders = child.stdin.take();
        let reports = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut serving = Self {
            child,
            orders,
            reports,
            addresses: Vec::new(),
        };
        let addresses = serving.report();
        serving.addresses = addresses
            .split(' ')
            .map(|one| one.parse().unwrap())
            .collect();
        serving
    }

    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    fn report(&mut self) -> String {
        let line = self.reports.by_ref().map(Result::unwrap).find_map(|line| {
            let report = line.strip_prefix(MARK)?;
            Some(report.to_owned())
        });
        line.expect("the server has ended")
    }

    /// Everything the server has counted that is not zero, and what is open and alive in any case.
    pub(super) fn counters(&mut self) -> BTreeMap<String, u64> {
        let orders = self.orders.as_mut().expect("it has not been told to end");
        orders.write_all(b"report\n").unwrap();
        let report = self.report();
        let words = report.split(' ').map(|word| word.split_once('=').unwrap());
        words
            .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
            .collect()
    }

    /// Every open descriptor of the process and what it stands for: a file, or a socket by its inode.
    pub(super) fn descriptors(&self) -> BTreeMap<u32, PathBuf> {
        let folder = format!("/proc/{}/fd", self.child.id());
        let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
        entries
            .filter_map(|entry| {
                let number = entry.file_name().to_str()?.parse().unwrap();
                // One that was closed meanwhile is not open.
                Some((number, std::fs::read_link(entry.path()).ok()?))
            })
            .collect()
    }

    /// Resident memory in KiB.
    pub(super) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.unwrap()
            .trim()
            .strip_suffix(" kB")
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Has the server stop, which in its process is checked like every server's end.
    pub(super) fn stop(mut self) {
        self.orders = None;
        let rest: Vec<String> = self.reports.by_ref().map(Result::unwrap).collect();
        let status = self.child.wait().unwrap();
        assert!(
            status.success() && rest.iter().any(|line| line.contains("1 passed")),
            "{status}: {}",
            rest.join("\n")
        );
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if self.orders.is_some() {
            // The test has failed already.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
