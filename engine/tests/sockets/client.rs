//! A client that reads like the wire: send these bytes, expect those.

pub(crate) mod streams;

use crate::server::PATIENCE;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// One connection.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    received: Vec<u8>,
}

/// What a client may speak over: TCP, or TLS over TCP.
pub(crate) trait Socket: Read + Write {
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| &value[..])
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Reset,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self::over(stream)
    }

    /// A client whose kernel takes few bytes ahead of what it reads.
    pub(crate) fn with_small_window(address: SocketAddr) -> Self {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM,
            None,
        )
        .unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&address.into()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::over(socket.into())
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// Sends as much as goes without waiting for the server.
    pub(crate) fn send_what_fits(&mut self, bytes: &[u8]) {
        self.stream.set_nonblocking(true).unwrap();
        let _ = self.stream.write_all(bytes);
        self.stream.set_nonblocking(false).unwrap();
    }

    /// Ends the sending side.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Goes away with a reset.
    pub(crate) fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Whether not a byte has come yet.
    pub(crate) fn hears_nothing(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        self.received.is_empty() && peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

impl Client<Box<dyn Socket>> {
    /// Does what need not wait.
    fn at_once<T>(&mut self, what: impl FnOnce(&mut Self) -> T) -> T {
        self.stream.tcp().set_nonblocking(true).unwrap();
        let done = what(self);
        self.stream.tcp().set_nonblocking(false).unwrap();
        done
    }

    /// Takes what is there already. Returns how the connection has ended, if it has.
    pub(crate) fn take_what_is_there(&mut self) -> Option<End> {
        self.at_once(|client| {
            loop {
                match client.fill() {
                    Ok(0) => return Some(End::Closed),
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                    Err(error) => return Some(broken(&error)),
                }
            }
        })
    }

    /// Sends all of it and takes what comes meanwhile, so that no server waits for us while we wait for it. Returns how the
    /// connection has ended, if it has.
    pub(crate) fn converse(&mut self, mut bytes: &[u8]) -> Option<End> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let sent = self.at_once(|client| match bytes {
                [] => client.stream.flush().map(|()| 0),
                _ => client.stream.write(bytes),
            });
            match sent {
                Ok(_) if bytes.is_empty() => return None,
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    assert!(Instant::now() < deadline, "the server takes nothing");
                    if let Some(end) = self.take_what_is_there() {
                        return Some(end);
                    }
                    std::thread::park_timeout(Duration::from_millis(1));
                }
                // What it has said before may be there still.
                Err(error) => return self.take_what_is_there().or(Some(broken(&error))),
            }
        }
    }

    /// Whether nothing has come that was not taken.
    pub(crate) fn is_silent(&mut self) -> bool {
        let end = self.take_what_is_there();
        end.is_none() && self.received.is_empty()
    }

    /// Goes away with a reset.
    pub(crate) fn abort(self) {
        let socket = socket2::SockRef::from(self.stream.tcp());
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// The end that an error is. TLS calls it an unexpected end where the other side has not taken leave.
fn broken(error: &io::Error) -> End {
    let known = [
        ErrorKind::ConnectionReset,
        ErrorKind::BrokenPipe,
        ErrorKind::UnexpectedEof,
    ];
    assert!(known.contains(&error.kind()), "{error}");
    End::Reset
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            received: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Sends a request without a body.
    pub(crate) fn ask(&mut self, path: &str) -> &mut Self {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"))
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask(path).answer()
    }

    /// Reads more. 0 is the end.
    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 65_536];
        let count = self.stream.read(&mut buffer)?;
        self.received.extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    fn expect_more(&mut self) {
        let count = self.fill().unwrap();
        assert!(
            count > 0,
            "closed after {:?}",
            self.received.escape_ascii().to_string()
        );
    }

    /// So many bytes.
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count {
            self.expect_more();
        }
        self.received.drain(..count).collect()
    }

    /// A line without its end.
    pub(crate) fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                let text = line.strip_suffix(b"\r\n").expect("lines end with CR LF");
                return String::from_utf8(text.to_vec()).unwrap();
            }
            self.expect_more();
        }
    }

    pub(crate) fn field_lines(&mut self) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                return fields;
            }
            let (name, value) = line.split_once(": ").expect("a field line");
            fields.push((name.to_owned(), value.to_owned()));
        }
    }

    /// The head of an answer; its body is not read.
    pub(crate) fn head(&mut self) -> Answer {
        let line = self.line();
        let status = line.strip_prefix("HTTP/1.1 ").expect("a status line");
        Answer {
            status: status[..3].parse().unwrap(),
            fields: self.field_lines(),
            body: Vec::new(),
            trailers: Vec::new(),
        }
    }

    /// A whole answer.
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        self.content(&mut answer);
        answer
    }

    /// What follows the head of an answer.
    pub(crate) fn content(&mut self, answer: &mut Answer) {
        if matches!(answer.status, 100..=199 | 204 | 304) {
            return;
        }
        if answer.field("transfer-encoding") == Some("chunked") {
            while let Some(piece) = self.chunk() {
                answer.body.extend_from_slice(&piece);
            }
            answer.trailers = self.field_lines();
        } else if let Some(length) = answer.field("content-length") {
            let length = length.parse().unwrap();
            answer.body = self.take(length);
        } else {
            while self.fill().unwrap() > 0 {}
            answer.body = std::mem::take(&mut self.received);
        }
    }

    /// A chunk, or `None` for the last one, behind which the trailers stand.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = usize::from_str_radix(&self.line(), 16).unwrap();
        if size == 0 {
            return None;
        }
        let piece = self.take(size);
        assert_eq!(self.line(), "");
        Some(piece)
    }

    /// Everything that still comes, and how it ends.
    pub(crate) fn rest(&mut self) -> (Vec<u8>, End) {
        loop {
            match self.fill() {
                Ok(0) => return (std::mem::take(&mut self.received), End::Closed),
                Ok(_) => {}
                Err(error) => return (std::mem::take(&mut self.received), broken(&error)),
            }
        }
    }

    /// Expects the end, in the ordinary way and with nothing before it.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let (rest, end) = self.rest();
        assert_eq!(
            (rest.escape_ascii().to_string(), end),
            (String::new(), End::Closed)
        );
    }
}
