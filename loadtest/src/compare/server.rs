//! A server that runs: how one knows that it answers, and how it is stopped.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::arguments::Failure;
use crate::secure::{Client, Group, Wishes};

use super::Plan;
use super::child::Pinned;
use super::configuration::Place;
use super::curl;
use super::directory::Directory;
use super::recipe::Recipe;
use super::said::Said;
use super::wire::{Demand, Wire};

/// How long a server may take to answer its first request.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How the right answer begins.
const HTTP1: &str = "HTTP/1.1 200 ";
const HTTP2: &str = "HTTP/2 200 ";

/// How long one answer may take, and how long it may be: the right one has some two hundred bytes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// A server that answers. Ends when dropped, its directory with it.
#[derive(Debug)]
pub(crate) struct Server {
    /// Before its directory: fields are dropped in order, and the process must end before its files go.
    process: Pinned,
    said: Said,
    _directory: Directory,
    pub(crate) address: SocketAddr,
    /// Where it listens instead.
    socket: Option<PathBuf>,
}

/// Why there is no server.
#[derive(Debug)]
pub(crate) enum NoServer {
    /// It said this and ended at once, with the code of a program that refuses to start.
    Refused(String),
    /// Anything else.
    Failed(Failure),
}

impl From<Failure> for NoServer {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<NoServer> for Failure {
    fn from(none: NoServer) -> Self {
        match none {
            NoServer::Refused(text) => Self::Run(text),
            NoServer::Failed(failure) => failure,
        }
    }
}

impl Server {
    /// Starts one and waits until it answers as it should to what is demanded of it.
    pub(crate) fn start(recipe: &Recipe, plan: &Plan, demand: Demand) -> Result<Self, NoServer> {
        let directory = Directory::make(&recipe.name)
            .map_err(Failure::of("the directory for a server's files"))?;
        let port = free_port().map_err(Failure::of("finding a free port"))?;
        let place = Place {
            port,
            directory: directory.path(),
            demand,
            credentials: &plan.credentials,
        };
        let mut command = recipe.command(plan.server_core, &place)?;
        let socket = demand.on_unix.then(|| place.socket());
        let said = Said::by(&mut command).map_err(Failure::of("listening to a server"))?;
        let process = Pinned::start(&recipe.name, &mut command)?;
        // What it prints to is then held open by nobody else.
        drop(command);
        let mut server = Self {
            process,
            said,
            _directory: directory,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            socket,
        };
        match server.wait_until_it_answers(plan, demand) {
            Ok(()) => {}
            Err(reason) => {
                let text = format!("{}: {reason}\n{}", recipe.name, server.said.last());
                let ended = server.process.child.try_wait().ok().flatten();
                return Err(match ended.and_then(|status| status.code()) {
                    Some(1 | 2) => NoServer::Refused(text),
                    _ => NoServer::Failed(Failure::Run(text)),
                });
            }
        }
        match server.check_group(plan, demand) {
            Ok(()) => Ok(server),
            Err(reason) => {
                let text = format!("{}: no {}: {reason}", recipe.name, demand.group);
                Err(NoServer::Refused(text))
            }
        }
    }

    /// Why a server refuses to start here, or to do what is demanded, if it is one that may. What else goes wrong is told where
    /// it is measured.
    pub(crate) fn refusal(recipe: &Recipe, plan: &Plan, demand: Demand) -> Option<String> {
        if !recipe.may_refuse(demand) {
            return None;
        }
        match Self::start(recipe, plan, demand) {
            Err(NoServer::Refused(text)) => {
                let last = text.lines().last().unwrap_or_default();
                Some(last.to_owned())
            }
            Ok(_) | Err(NoServer::Failed(_)) => None,
        }
    }

    /// The id of the process whose tree is the server.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Where to connect instead of to the address, if it listens there.
    pub(crate) fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// That it has not ended meanwhile, for what was measured then is nothing.
    pub(crate) fn check_alive(&mut self, name: &str) -> Result<(), Failure> {
        let Ok(Some(status)) = self.process.child.try_wait() else {
            return Ok(());
        };
        let said = self.said.last();
        let text = format!("{name} ended under the load, with {status}\n{said}");
        Err(Failure::Run(text.trim_end().to_owned()))
    }

    fn wait_until_it_answers(&mut self, plan: &Plan, demand: Demand) -> Result<(), String> {
        let until = Instant::now() + START_TIMEOUT;
        loop {
            if let Ok(Some(status)) = self.process.child.try_wait() {
                return Err(format!("ended at once with {status}"));
            }
            match Link::open(self.address, self.socket()) {
                Ok(link) => {
                    let check = match (demand.wire, demand.closes) {
                        (Wire::Http1, false) => check_answers(link, self.address),
                        (Wire::Http1, true) => check_close(link, self.address),
                        _ => self.check_with_curl(plan, demand.wire),
                    };
                    return check.map_err(|error| format!("/hello: {error}"));
                }
                Err(error) if Instant::now() >= until => {
                    let within = START_TIMEOUT.as_secs();
                    let place = match self.socket() {
                        Some(path) => path.display().to_string(),
                        None => self.address.to_string(),
                    };
                    return Err(format!(
                        "nothing listens on {place} within {within} s of its start: {error}"
                    ));
                }
                Err(_) => sleep(Duration::from_millis(20)),
            }
        }
    }

    fn check_with_curl(&self, plan: &Plan, wire: Wire) -> Result<(), String> {
        let answers = curl::ask(self.address, wire, &plan.credentials)
            .map_err(|failure| failure.to_string())?;
        let start = if wire.is_http2() { HTTP2 } else { HTTP1 };
        answers
            .iter()
            .try_for_each(|answer| check_answer(answer, start))
    }

    /// That it has another key exchange than the one that all have.
    fn check_group(&self, plan: &Plan, demand: Demand) -> io::Result<()> {
        if demand.group == Group::X25519 {
            return Ok(());
        }
        let wishes = Wishes {
            certificate: plan.credentials.certificate(),
            group: demand.group,
            resumes: false,
            protocol: "http/1.1",
        };
        Client::new(self.address, &wishes)?.shake_hands().map(drop)
    }
}

/// A connection in cleartext, on which nothing is waited for in vain.
enum Link {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Link {
    fn open(address: SocketAddr, socket: Option<&Path>) -> io::Result<Self> {
        match socket {
            None => {
                let stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
                stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
                Ok(Self::Tcp(stream))
            }
            Some(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
                Ok(Self::Unix(stream))
            }
        }
    }
}

impl Read for Link {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(bytes),
            Self::Unix(stream) => stream.read(bytes),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
        }
    }
}

/// Two requests on one connection, then two in one write: all must be answered alike, or the figures compare nothing.
fn check_answers(mut stream: impl Read + Write, address: SocketAddr) -> Result<(), String> {
    let request = format!("GET /hello HTTP/1.1\r\nHost: {address}\r\n\r\n");
    for (requests, answers) in [
        (request.clone(), 1),
        (request.clone(), 1),
        (request.repeat(2), 2),
    ] {
        stream
            .write_all(requests.as_bytes())
            .map_err(|error| error.to_string())?;
        let mut text = String::new();
        let until = Instant::now() + ANSWER_TIMEOUT;
        while text.matches("Hello, World!").count() < answers {
            let mut bytes = [0; 4096];
            let error = match stream.read(&mut bytes) {
                Ok(0) => return Err(format!("the connection ended after {text:?}")),
                Ok(count) => {
                    text.push_str(&String::from_utf8_lossy(&bytes[..count]));
                    match text.len() <= ANSWER_BYTES_MAX && Instant::now() < until {
                        true => continue,
                        false => "and it goes on".to_owned(),
                    }
                }
                Err(error) => error.to_string(),
            };
            let within = ANSWER_TIMEOUT.as_secs();
            return Err(format!(
                "expected 200 and `Hello, World!` within {within} s, not {text:?} ({error})"
            ));
        }
        for answer in text.split_inclusive("Hello, World!") {
            check_answer(answer, HTTP1)?;
        }
    }
    Ok(())
}

/// One request that asks for the end: the answer, and then the end.
fn check_close(mut stream: impl Read + Write, address: SocketAddr) -> Result<(), String> {
    let request = format!("GET /hello HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut text = String::new();
    stream
        .write_all(request.as_bytes())
        .map_err(|error| error.to_string())?;
    let mut answer = stream.take(ANSWER_BYTES_MAX as u64);
    if let Err(error) = answer.read_to_string(&mut text) {
        let within = ANSWER_TIMEOUT.as_secs();
        return Err(format!(
            "the connection did not end within {within} s after {text:?} ({error})"
        ));
    }
    check_answer(&text, HTTP1)
}

/// The answer that all are to give, after this start of its status line.
fn check_answer(answer: &str, start: &str) -> Result<(), String> {
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| format!("no head in {answer:?}"))?;
    let fields = head.to_ascii_lowercase();
    let has = |field: &str| fields.lines().any(|line| line.starts_with(field));
    let right = head.starts_with(start)
        && body == "Hello, World!"
        && has("content-type: text/plain")
        && has("content-length: 13")
        && has("date: ");
    if right {
        return Ok(());
    }
    Err(format!(
        "expected 200, text/plain, Content-Length, Date and `Hello, World!`, not {answer:?}"
    ))
}

/// A port that was free just now. Another process may take it first; then the server says so and the run ends.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const RIGHT: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 13\r\nDate: x\r\n\r\nHello, World!";

    /// Accepts one connection, sends this for the first bytes it reads, and keeps the connection for a while or not.
    fn server(answer: &'static str, keeps: bool) -> (Link, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            stream.write_all(answer.as_bytes()).unwrap();
            // Until the peer ends it.
            while keeps && stream.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
        });
        (Link::open(address, None).unwrap(), address)
    }

    #[test]
    fn a_close_is_an_answer_and_then_the_end() {
        let (stream, address) = server(RIGHT, false);
        assert_eq!(check_close(stream, address), Ok(()));
        for (answer, keeps) in [("", false), (&RIGHT[1..], false), (RIGHT, true)] {
            let (stream, address) = server(answer, keeps);
            assert!(check_close(stream, address).is_err(), "{answer} {keeps}");
        }
    }

    #[test]
    fn an_answer_without_end_is_not_read_for_ever() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                while stream.write_all(&[b'y'; 4096]).is_ok() {}
            }
        });
        let open = || Link::open(address, None).unwrap();
        let error = check_answers(open(), address).unwrap_err();
        assert!(error.contains("and it goes on"), "{}", error.len());
        let error = check_close(open(), address).unwrap_err();
        assert!(error.contains("no head in"), "{}", error.len());
    }

    #[test]
    fn only_the_agreed_answer_passes() {
        assert_eq!(check_answer(RIGHT, HTTP1), Ok(()));
        assert!(check_answer(RIGHT, HTTP2).is_err());
        for (part, other) in [
            ("200", "404"),
            ("text/plain", "text/html"),
            ("Date", "Dote"),
            ("content-length: 13", "transfer-encoding: chunked"),
            ("\r\n\r\n", "\r\n\r\nOh. "),
        ] {
            assert!(
                check_answer(&RIGHT.replace(part, other), HTTP1).is_err(),
                "{other}"
            );
        }
    }
}
