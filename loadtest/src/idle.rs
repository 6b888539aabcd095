//! Connections that asked once and then do nothing: what they cost is the server's memory, which a script reads while they are
//! held.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use crate::answer::AnswerReader;
use crate::arguments::Failure;
use crate::dial::Sources;
use crate::opening::{OPENING_MAX, Openings};
use crate::poller::{Interest, Poller, Ready, is_transient};
use crate::request::Target;

/// The key of what ends the hold, beyond any connection's number.
const RELEASE_KEY: u64 = u64::MAX - 1;

/// How often a hold without an end looks at its clock.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// Connections to hold.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom to ask for what, once.
    pub target: Target,
    /// How many.
    pub connections: usize,
    /// Where they come from.
    pub sources: Sources,
    /// The longest time without any progress while they are opened.
    pub timeout: Duration,
}

/// Connections that were each answered 200 and are open.
#[derive(Debug)]
pub struct Held {
    poller: Poller,
    links: HashMap<u64, TcpStream>,
}

/// A connection whose answer is awaited.
#[derive(Debug)]
struct Asking {
    stream: TcpStream,
    reader: AnswerReader,
}

/// Opens them all, or says what went wrong with the first that failed.
pub fn open(plan: &Plan) -> Result<Held, Failure> {
    let mut held = Held {
        poller: Poller::new().map_err(Failure::of("epoll"))?,
        links: HashMap::with_capacity(plan.connections),
    };
    let mut openings = Openings::default();
    let mut asking = HashMap::with_capacity(OPENING_MAX);
    let request = plan.target.get();
    let mut ready = Vec::new();
    while held.links.len() < plan.connections {
        // Those that wait for their answer count too: a server that is slow to accept must not meet a full backlog.
        while openings.dialled() < plan.connections as u64
            && openings.count() + asking.len() < OPENING_MAX
        {
            let key = openings.dialled();
            openings
                .start(&held.poller, plan.target.address, plan.sources)
                .map_err(|error| failed(key, &error))?;
        }
        wait_for_some(&mut held, plan, &mut ready)?;
        for event in &ready {
            if let Some(opened) = openings.finish(&held.poller, event.key) {
                let asked = opened.and_then(|stream| Asking::start(stream, &request));
                asking.insert(event.key, asked.map_err(|error| failed(event.key, &error))?);
            } else if let Some(link) = asking.get_mut(&event.key) {
                if link.read().map_err(|error| failed(event.key, &error))?
                    && let Some(link) = asking.remove(&event.key)
                {
                    held.links.insert(event.key, link.stream);
                }
            } else if held.has_ended(event.key) {
                return Err(failed(
                    event.key,
                    &"closed by the server while others were still opening",
                ));
            }
        }
    }
    Ok(held)
}

/// Waits until something happens; a wait of the poller may also come back early and empty-handed.
fn wait_for_some(held: &mut Held, plan: &Plan, ready: &mut Vec<Ready>) -> Result<(), Failure> {
    let until = Instant::now() + plan.timeout;
    loop {
        held.poller
            .wait(until, ready)
            .map_err(Failure::of("epoll"))?;
        if !ready.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            let (open, all) = (held.links.len(), plan.connections);
            let text = format!(
                "{open} of {all} connections, then no progress for {:?}",
                plan.timeout
            );
            return Err(Failure::Run(text));
        }
    }
}

fn failed(key: u64, error: &dyn std::fmt::Display) -> Failure {
    Failure::Run(format!("connection {}: {error}", key + 1))
}

impl Asking {
    fn start(mut stream: TcpStream, request: &[u8]) -> io::Result<Self> {
        stream.write_all(request)?;
        Ok(Self {
            stream,
            reader: AnswerReader::new(),
        })
    }

    /// Takes what has come; true when the answer is complete.
    fn read(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 4096];
        let count = self.stream.read(&mut bytes)?;
        if count == 0 {
            return Err(io::Error::other("closed by the server before its answer"));
        }
        match self.reader.feed(&bytes[..count]) {
            Ok(None) => Ok(false),
            Ok(Some(answer)) if answer.status != 200 => {
                Err(io::Error::other(format!("answered {}", answer.status)))
            }
            Ok(Some(answer)) if !answer.keeps_alive => Err(io::Error::other(
                "answered, but the server does not keep the connection",
            )),
            Ok(Some(_)) => Ok(true),
            Err(fault) => Err(io::Error::other(fault.to_string())),
        }
    }
}

impl Held {
    /// How many are open.
    pub fn count(&self) -> usize {
        self.links.len()
    }

    /// Holds them for so long.
    pub fn hold_for(&mut self, duration: Duration) -> io::Result<()> {
        let until = Instant::now() + duration;
        let mut ready = Vec::new();
        while Instant::now() < until {
            self.poller.wait(until, &mut ready)?;
            for event in &ready {
                self.has_ended(event.key);
            }
        }
        Ok(())
    }

    /// Holds them until this descriptor is at its end. Fails at once where it cannot be watched (a file, `/dev/null`).
    pub fn hold_until_end_of(&mut self, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        self.poller.add(descriptor, RELEASE_KEY, Interest::Read)?;
        let mut ready = Vec::new();
        loop {
            self.poller.wait(Instant::now() + WAIT_MAX, &mut ready)?;
            let mut released = false;
            for event in &ready {
                if event.key == RELEASE_KEY {
                    released = rustix::io::read(descriptor, &mut [0; 64])? == 0;
                } else {
                    self.has_ended(event.key);
                }
            }
            if released {
                return Ok(());
            }
        }
    }

    /// Looks at a connection that has something to tell, and lets it go if that is its end.
    fn has_ended(&mut self, key: u64) -> bool {
        let Some(mut stream) = self.links.get(&key) else {
            return false;
        };
        let lives = match stream.read(&mut [0; 1024]) {
            // A last word, such as 408; the end follows.
            Ok(count) => count > 0,
            Err(error) => is_transient(&error),
        };
        if !lives {
            self.links.remove(&key);
        }
        !lives
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::{SocketAddr, TcpListener};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    fn plan(address: SocketAddr, connections: usize) -> Plan {
        Plan {
            target: Target::new(address, "/hello").unwrap(),
            connections,
            sources: Sources::new(1, address).unwrap(),
            timeout: Duration::from_secs(10),
        }
    }

    /// Answers one request on each of `count` connections, then hands all of them out.
    fn server(
        count: usize,
        answer: &'static [u8],
    ) -> (SocketAddr, std::thread::JoinHandle<Vec<TcpStream>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let mut streams = Vec::new();
            for _ in 0..count {
                let (mut stream, _) = listener.accept().unwrap();
                assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
                stream.write_all(answer).unwrap();
                streams.push(stream);
            }
            streams
        });
        (address, thread)
    }

    #[test]
    fn connections_are_held_until_the_descriptor_ends_and_lost_ones_are_missed() {
        let (address, thread) = server(300, OK);
        let mut held = open(&plan(address, 300)).unwrap();
        assert_eq!(held.count(), 300);
        let mut streams = thread.join().unwrap();
        streams.truncate(298);

        let (release, watched) = UnixStream::pair().unwrap();
        drop(release);
        // The two ends of stream were there before the release is watched, so they are told with it or before.
        held.hold_until_end_of(watched.as_fd()).unwrap();
        assert_eq!(held.count(), 298);
    }

    #[test]
    fn anything_but_a_kept_200_fails() {
        for (answer, said) in [
            (
                &b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"[..],
                "answered 503",
            ),
            (
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                "does not keep",
            ),
            (b"nonsense\r\n\r\n", "no HTTP/1 status line"),
        ] {
            let (address, thread) = server(1, answer);
            let error = open(&plan(address, 1)).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
            drop(thread.join().unwrap());
        }
    }

    #[test]
    fn a_server_that_never_answers_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let quick = Plan {
            timeout: Duration::from_millis(20),
            ..plan(listener.local_addr().unwrap(), 2)
        };
        let error = open(&quick).unwrap_err().to_string();
        assert!(error.contains("0 of 2 connections"), "{error}");
    }
}
