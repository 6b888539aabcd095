//! A lanner that counts what it is asked.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use lanner::{Error, Request, Response, Server};
use lanner_loadtest::run::Interruption;

use crate::certificate::Identity;

/// What was asked so far.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) requests: AtomicU64,
    /// Of these, for `/other`.
    pub(crate) others: AtomicU64,
    pub(crate) body_bytes: AtomicU64,
    /// Requests with the field `x-token: 7`.
    pub(crate) tokens: AtomicU64,
    pub(crate) posts: AtomicU64,
    /// Requests for the host `named.test`.
    pub(crate) named: AtomicU64,
    seen: Mutex<Seen>,
}

/// What was asked since somebody awaits it, and what is to end when it is enough.
#[derive(Debug, Default)]
struct Seen {
    requests: usize,
    /// Those on which something was asked.
    connections: HashSet<u64>,
    awaited: Option<(Awaited, Interruption)>,
}

#[derive(Clone, Copy, Debug)]
enum Awaited {
    Requests(usize),
    Connections(usize),
}

impl Asked {
    fn see(&self, connection: u64) {
        let mut seen = self.seen.lock().unwrap();
        let Seen {
            requests,
            connections,
            awaited,
        } = &mut *seen;
        if let Some((awaited, interruption)) = awaited {
            *requests += 1;
            connections.insert(connection);
            let is_enough = match *awaited {
                Awaited::Requests(count) => *requests >= count,
                Awaited::Connections(count) => connections.len() >= count,
            };
            if is_enough {
                interruption.interrupt();
            }
        }
    }
}

/// See the file's comment.
pub(crate) struct Serving {
    server: Option<Server>,
    asked: Arc<Asked>,
    directory: PathBuf,
    pub(crate) address: String,
}

impl Serving {
    pub(crate) fn plain() -> Self {
        Self::start(|_| "http://127.0.0.1:0".to_owned(), None)
    }

    pub(crate) fn secure() -> Self {
        let identity = Identity::for_localhost();
        Self::start(|_| "https://127.0.0.1:0".to_owned(), Some(&identity))
    }

    pub(crate) fn unix() -> Self {
        Self::start(
            |directory| format!("unix:{}", directory.join("socket").display()),
            None,
        )
    }

    fn start(listen: impl Fn(&PathBuf) -> String, identity: Option<&Identity>) -> Self {
        let asked = Arc::new(Asked::default());
        let counted = asked.clone();
        let directory = crate::certificate::directory();
        let mut builder = Server::builder()
            .set("listen", &listen(&directory))
            .set("workers", "1")
            .set("max_request_body", "none");
        if let Some(identity) = identity {
            let (chain, key) = identity.write(&directory);
            builder = builder
                .set("tls_cert", chain.to_str().unwrap())
                .set("tls_key", key.to_str().unwrap());
        }
        let server = builder
            .start(move |_worker| {
                let asked = counted.clone();
                move |request: Request| answer(request, asked.clone())
            })
            .unwrap();
        let address = server.handle().addresses()[0].to_string();
        Self {
            server: Some(server),
            asked,
            directory,
            address,
        }
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// The file of the certificate.
    pub(crate) fn chain(&self) -> PathBuf {
        self.directory.join("chain.pem")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    /// Interrupts a run when something was asked on so many connections, counted from here.
    pub(crate) fn interrupt_at(&self, connections: usize, interruption: &Interruption) {
        self.interrupt(Awaited::Connections(connections), interruption);
    }

    /// The same at so many requests.
    pub(crate) fn interrupt_at_request(&self, number: usize, interruption: &Interruption) {
        self.interrupt(Awaited::Requests(number), interruption);
    }

    fn interrupt(&self, awaited: Awaited, interruption: &Interruption) {
        *self.asked.seen.lock().unwrap() = Seen {
            awaited: Some((awaited, interruption.clone())),
            ..Seen::default()
        };
    }

    pub(crate) fn asked(&self, what: fn(&Asked) -> &AtomicU64) -> u64 {
        what(&self.asked).load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.asked(|asked| &asked.requests)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.handle().stop_now();
            drop(server.join());
        }
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

async fn answer(mut request: Request, asked: Arc<Asked>) -> Result<Response, Error> {
    let one = |counter: &AtomicU64| counter.fetch_add(1, Ordering::SeqCst);
    one(&asked.requests);
    asked.see(request.connection().id);
    if request.field("x-token") == Some(b"7") {
        one(&asked.tokens);
    }
    if request.host() == "named.test" {
        one(&asked.named);
    }
    if request.method_text() == "POST" {
        one(&asked.posts);
    }
    match request.path() {
        "/other" => {
            one(&asked.others);
        }
        "/large" => return Ok(Response::text(vec![b'x'; 300_000])),
        // Without a look at the body.
        "/early" => return Ok(Response::text("enough")),
        _ => {}
    }
    while let Some(chunk) = request.body().chunk().await {
        let bytes = chunk?.len() as u64;
        asked.body_bytes.fetch_add(bytes, Ordering::SeqCst);
    }
    Ok(Response::text("Hello, World!"))
}
