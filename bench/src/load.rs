//! The client: asks what a scenario says, in lock step, and believes no answer that it has not compared.
//!
//! Lock step makes counts repeatable: the server never has more to do than one round, and nothing depends on which
//! side is faster. How fast it goes does not matter, so it is as plain as can be.

use crate::scenario::Scenario;
use crate::subject::Subject;
use std::io::{self, Read as _, Write as _};
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
    socket: TcpStream,
    received: Vec<u8>,
}

impl Load {
    /// Connects.
    ///
    /// # Errors
    /// If the server cannot be reached.
    pub fn connect(scenario: Scenario, server: SocketAddr) -> io::Result<Self> {
        let connect = |_| {
            let socket = TcpStream::connect(server)?;
            socket.set_nodelay(true)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(Connection {
                socket,
                received: Vec::new(),
            })
        };
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
        let is_read = |connection: &Connection| connection.received.is_empty();
        match self.connections.iter().all(is_read) {
            true => Ok(()),
            false => Err(io::Error::other("more came than was asked for")),
        }
    }

    fn write_round(&mut self) -> io::Result<()> {
        let depth = self.scenario.depth();
        for connection in &mut self.connections {
            self.request.clear();
            for _ in 0..depth {
                self.scenario.write_request(self.number, &mut self.request);
                self.number += 1;
            }
            connection.socket.write_all(&self.request)?;
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
    /// Receives one answer, which must be 200 with this body.
    fn expect(&mut self, right: &[u8]) -> io::Result<()> {
        loop {
            if let Some((end, body)) = parse(&self.received)? {
                if body != right {
                    return Err(io::Error::other("an answer's body is not as it should be"));
                }
                self.received.drain(..end);
                return Ok(());
            }
            if self.received.len() > ANSWER_BYTES_MAX {
                return Err(io::Error::other("an answer is too long"));
            }
            let mut buffer = [0; 16 * 1024];
            match self.socket.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.received.extend_from_slice(&buffer[..count]),
            }
        }
    }
}

/// The first answer in `bytes`, if it is complete: where it ends, and its body.
fn parse(bytes: &[u8]) -> io::Result<Option<(usize, Vec<u8>)>> {
    let wrong = |what: &str| Err(io::Error::other(format!("an answer {what}")));
    let Some(head_end) = find(bytes, b"\r\n\r\n").map(|at| at + 4) else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_ascii_lowercase();
    if !head.starts_with("http/1.1 200 ") {
        let status = head.lines().next().unwrap_or_default();
        return wrong(&format!("is not 200: {status}"));
    }
    if head.contains("\r\nconnection: close\r\n") {
        return wrong("closes the connection");
    }
    if head.contains("\r\ntransfer-encoding: chunked\r\n") {
        return dechunk(bytes, head_end);
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|value| value.parse::<usize>().ok());
    let Some(length) = length else {
        return wrong("has no length");
    };
    let end = head_end + length;
    Ok(bytes.get(head_end..end).map(|body| (end, body.to_vec())))
}

fn dechunk(bytes: &[u8], mut at: usize) -> io::Result<Option<(usize, Vec<u8>)>> {
    let mut body = Vec::new();
    loop {
        let Some(line) = find(&bytes[at..], b"\r\n") else {
            return Ok(None);
        };
        let size = std::str::from_utf8(&bytes[at..at + line])
            .ok()
            .and_then(|text| usize::from_str_radix(text, 16).ok())
            .ok_or_else(|| io::Error::other("an answer's chunk has no size"))?;
        let start = at + line + 2;
        let end = start.saturating_add(size);
        match bytes.get(end..end.saturating_add(2)) {
            None => return Ok(None),
            Some(b"\r\n") => {}
            Some(_) => return Err(io::Error::other("an answer's chunk ends wrongly")),
        }
        body.extend_from_slice(&bytes[start..end]);
        at = end + 2;
        if size == 0 {
            return Ok(Some((at, body)));
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_answer_is_complete_with_its_last_byte() {
        let sized = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc";
        let chunked =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        for answer in [&sized[..], &chunked[..]] {
            for cut in 0..answer.len() {
                assert_eq!(parse(&answer[..cut]).unwrap(), None, "{cut}");
            }
            assert_eq!(
                parse(answer).unwrap(),
                Some((answer.len(), b"abc".to_vec()))
            );
        }
    }

    #[test]
    fn what_is_not_the_expected_answer_is_an_error() {
        assert!(parse(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").is_err());
        assert!(
            parse(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").is_err()
        );
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n").is_err());
    }
}
