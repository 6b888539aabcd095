//! The client: asks what a scenario says, in lock step, and believes no answer that it has not compared.
//!
//! Lock step makes counts repeatable: the server never has more to do than one round, and nothing depends on which
//! side is faster. How fast it goes does not matter, so it is as plain as can be. What is said in either version of HTTP is in
//! `load/http1.rs` and `load/http2.rs`; TLS is [`secure`](lanner_loadtest::secure)'s.

mod http1;
mod http2;

use crate::endpoint::Endpoint;
use crate::scenario::Scenario;
use crate::subject::Subject;
use http2::Http2;
use lanner_loadtest::secure::{Client, Group, Session, Wishes};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a server may take for one answer, tools that slow it down a hundredfold included.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer longer than this is wrong.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A client with its connections.
#[derive(Debug)]
pub struct Load {
    scenario: Scenario,
    right: Vec<u8>,
    connections: Vec<Connection>,
    /// Requests made so far.
    number: u64,
    request: Vec<u8>,
}

#[derive(Debug)]
struct Connection {
    link: Box<dyn Link>,
    received: Vec<u8>,
    /// What HTTP/2 remembers; HTTP/1.1 remembers nothing.
    http2: Option<Box<Http2>>,
}

/// A socket, with TLS or without.
trait Link: Read + Write + fmt::Debug {}

impl Link for TcpStream {}

impl Link for Session {}

impl Load {
    /// Connects to where the endpoint is served.
    ///
    /// # Errors
    /// If the server cannot be reached.
    pub fn connect(endpoint: &Endpoint, server: SocketAddr) -> io::Result<Self> {
        let scenario = endpoint.scenario();
        let connect = |_| Connection::open(endpoint, server);
        Ok(Self {
            scenario,
            right: scenario.answer(),
            connections: (0..scenario.connections())
                .map(connect)
                .collect::<io::Result<_>>()?,
            number: 0,
            request: Vec::new(),
        })
    }

    /// Goes through the scenario's mix `cycles` times.
    ///
    /// # Errors
    /// If an answer is wrong or does not come.
    pub fn run(&mut self, cycles: u64) -> io::Result<()> {
        let end = self.number + cycles * self.scenario.cycle();
        while self.number < end {
            self.round()?;
        }
        Ok(())
    }

    /// Goes through the mix `cycles` times with a server that goes in steps of a round: it waits within each round until
    /// the next one has been written. The last one's answers are not read.
    ///
    /// # Errors
    /// If an answer is wrong or does not come, or the server has ended.
    pub fn run_in_steps(&mut self, cycles: u64, server: &mut Subject) -> io::Result<()> {
        let end = self.number + cycles * self.scenario.cycle();
        self.write_round()?;
        while self.number < end {
            server.await_step()?;
            self.write_round()?;
            server.step()?;
            self.read_round()?;
        }
        Ok(())
    }

    fn round(&mut self) -> io::Result<()> {
        self.write_round()?;
        self.read_round()?;
        for connection in &mut self.connections {
            if connection.has_more(&self.right)? {
                return Err(io::Error::other("more came than was asked for"));
            }
        }
        Ok(())
    }

    fn write_round(&mut self) -> io::Result<()> {
        let depth = self.scenario.depth();
        for connection in &mut self.connections {
            self.request.clear();
            for _ in 0..depth {
                match &mut connection.http2 {
                    None => self.scenario.write_request(self.number, &mut self.request),
                    Some(http2) => {
                        http2.write_request(&self.scenario.fields(self.number), &mut self.request)
                    }
                }
                self.number += 1;
            }
            connection.say(&self.request)?;
        }
        Ok(())
    }

    fn read_round(&mut self) -> io::Result<()> {
        for connection in &mut self.connections {
            for _ in 0..self.scenario.depth() {
                connection.expect(&self.right)?;
            }
        }
        Ok(())
    }
}

impl Connection {
    fn open(endpoint: &Endpoint, server: SocketAddr) -> io::Result<Self> {
        let is_http2 = endpoint.scenario().is_http2();
        let link: Box<dyn Link> = match endpoint.certificate() {
            None => {
                let socket = TcpStream::connect(server)?;
                socket.set_nodelay(true)?;
                socket.set_read_timeout(Some(PATIENCE))?;
                socket.set_write_timeout(Some(PATIENCE))?;
                Box::new(socket)
            }
            Some(certificate) => {
                let wishes = Wishes {
                    certificate,
                    group: Group::X25519,
                    resumes: false,
                    protocol: if is_http2 { "h2" } else { "http/1.1" },
                };
                Box::new(Client::new(server, &wishes)?.connect()?)
            }
        };
        let mut connection = Self {
            link,
            received: Vec::new(),
            http2: is_http2.then(Box::default),
        };
        connection.greet()?;
        Ok(connection)
    }

    /// The greetings of HTTP/2, both ways, so that no request comes together with one.
    fn greet(&mut self) -> io::Result<()> {
        let Some(mut http2) = self.http2.take() else {
            return Ok(());
        };
        let mut said = Vec::new();
        http2.write_greeting(&mut said);
        self.say(&said)?;
        said.clear();
        while !http2.hear_greeting(&mut self.received, &mut said)? {
            self.fill()?;
        }
        self.http2 = Some(http2);
        self.say(&said)
    }

    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.link.write_all(bytes)?;
        self.link.flush()
    }

    /// Receives one answer, which must be 200 with this body.
    fn expect(&mut self, right: &[u8]) -> io::Result<()> {
        while !self.take_answer(right)? {
            self.fill()?;
        }
        Ok(())
    }

    /// Takes an answer out of what was received, if it is there as a whole.
    fn take_answer(&mut self, right: &[u8]) -> io::Result<bool> {
        if let Some(http2) = &mut self.http2 {
            return http2.take_answer(&mut self.received, right);
        }
        let Some((end, body)) = http1::parse(&self.received)? else {
            return Ok(false);
        };
        if body != right {
            return Err(io::Error::other("an answer's body is not as it should be"));
        }
        self.received.drain(..end);
        Ok(true)
    }

    /// Whether there is anything behind the answers that were asked for; on HTTP/2 frames of the connection may be.
    fn has_more(&mut self, right: &[u8]) -> io::Result<bool> {
        Ok(self.take_answer(right)? || !self.received.is_empty())
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.received.len() > ANSWER_BYTES_MAX {
            return Err(io::Error::other("an answer is too long"));
        }
        let mut buffer = [0; 16 * 1024];
        match self.link.read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.received.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }
}
