//! One client's visit: it arrives, talks for a while, gets to some stage, and departs from there in some way.

use super::random::Random;
use super::serving::{PLENTY, UPLOAD_MAX, some_bytes, verdict};
use crate::response::PIECE;
use crate::server::PATIENCE;
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Something that is begun and finished, with an answer that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Get,
    Pipeline,
    Upload,
    ChunkedUpload,
    Echo,
    Download,
    Nap,
}

impl Use {
    pub(super) const ALL: [Self; 7] = [
        Self::Get,
        Self::Pipeline,
        Self::Upload,
        Self::ChunkedUpload,
        Self::Echo,
        Self::Download,
        Self::Nap,
    ];
}

/// How far a client has come when it departs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has not said anything.
    Silent,
    WithinHead,
    WithinBody,
    /// It waits for an answer.
    Waiting,
    /// It has read the beginning of a long answer.
    WithinAnswer,
    /// It has its answers.
    Idle,
    Upgraded,
    /// What it sent was no request, and it has been told so.
    Refused,
}

impl Stage {
    pub(super) const ALL: [Self; 8] = [
        Self::Silent,
        Self::WithinHead,
        Self::WithinBody,
        Self::Waiting,
        Self::WithinAnswer,
        Self::Idle,
        Self::Upgraded,
        Self::Refused,
    ];
}

/// How it departs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    /// Closes, whatever may still come.
    Close,
    /// Ends its side and reads to the end of the other.
    HalfClose,
    Reset,
    /// Not at all: it is silent from then on, and leaves the end to the server.
    Abandon,
}

impl Departure {
    pub(super) const ALL: [Self; 4] = [Self::Close, Self::HalfClose, Self::Reset, Self::Abandon];
}

/// Most things that a client does before the stage from which it departs.
const USES_MAX: u64 = 3;

/// Most bytes of a piece of an upload.
const UPLOAD_PIECE_MAX: usize = 3_000;

/// A receive window so small that a long answer must wait for its reader.
const SMALL_WINDOW: usize = 128 * 1024;

/// How the server says that it has waited for too long.
const LATE: &str = "HTTP/1.1 408 ";

/// One connection, from the client's side.
pub(super) struct Visit {
    stream: TcpStream,
    heard: Vec<u8>,
    uses: Vec<Use>,
    stage: Stage,
    departure: Departure,
    /// It has been answered, so that the server must have accepted it.
    is_answered: bool,
}

impl Visit {
    /// Connects. How the visit will go is decided here.
    pub(super) fn arrive(address: SocketAddr, departure: Departure, random: &mut Random) -> Self {
        let stage = *random.one_of(&Stage::ALL);
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        if stage == Stage::WithinAnswer {
            socket.set_recv_buffer_size(SMALL_WINDOW).unwrap();
        }
        socket.connect(&address.into()).unwrap();
        socket.set_tcp_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream: socket.into(),
            heard: Vec::new(),
            uses: Vec::new(),
            stage,
            departure,
            is_answered: false,
        }
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    pub(super) fn departure(&self) -> Departure {
        self.departure
    }

    /// What has been begun and finished so far.
    pub(super) fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// Whether nothing shows that the server knows of this connection.
    pub(super) fn is_unheard(&self) -> bool {
        !self.is_answered
    }

    /// Uses the server a few times, then gets to the stage from which it will depart.
    pub(super) fn talk(&mut self, random: &mut Random) -> io::Result<()> {
        let uses = match self.stage {
            // From the second request on that is another stage.
            Stage::Silent => 0,
            Stage::Idle => 1 + random.below(USES_MAX),
            _ => random.below(USES_MAX + 1),
        };
        for _ in 0..uses {
            let one = *random.one_of(&Use::ALL);
            self.go_through(one, random)?;
            self.uses.push(one);
        }
        self.get_to_stage(random)
    }

    fn go_through(&mut self, one: Use, random: &mut Random) -> io::Result<()> {
        match one {
            Use::Get => {
                self.say_in_pieces(request("/").as_bytes(), random)?;
                self.expect("Hello, World!")
            }
            Use::Pipeline => {
                let count = 2 + random.index(15);
                self.say(request("/").repeat(count).as_bytes())?;
                (0..count).try_for_each(|_| self.expect("Hello, World!"))
            }
            Use::Upload => {
                let body = some_bytes(1 + random.index(UPLOAD_MAX));
                self.say_in_pieces(post("/judge", body.len()).as_bytes(), random)?;
                self.say_in_pieces(body, random)?;
                self.expect(&verdict(body))
            }
            Use::ChunkedUpload => {
                self.say(
                    b"POST /judge HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n",
                )?;
                let mut start = 0;
                for _ in 0..=random.below(8) {
                    let end = start + 1 + random.index(UPLOAD_PIECE_MAX);
                    let mut chunk = format!("{:x}\r\n", end - start).into_bytes();
                    chunk.extend_from_slice(&some_bytes(end)[start..]);
                    chunk.extend_from_slice(b"\r\n");
                    self.say_in_pieces(&chunk, random)?;
                    start = end;
                }
                self.say(b"0\r\n\r\n")?;
                self.expect(&verdict(some_bytes(start)))
            }
            Use::Echo => {
                let pieces = 1 + random.index(8);
                let piece = some_bytes(1 + random.index(UPLOAD_PIECE_MAX));
                self.say(post("/echo", pieces * piece.len()).as_bytes())?;
                for number in 0..pieces {
                    self.say(piece)?;
                    if number == 0 {
                        self.head("200")?;
                    }
                    let echo = self.take(piece.len())?;
                    assert!(echo == piece, "the echo of {} bytes differs", piece.len());
                }
                Ok(())
            }
            Use::Download => {
                self.say(request("/plenty").as_bytes())?;
                self.head("200")?;
                self.take_plenty(PLENTY)
            }
            Use::Nap => {
                self.say(request("/nap").as_bytes())?;
                self.expect("rested")
            }
        }
    }

    fn get_to_stage(&mut self, random: &mut Random) -> io::Result<()> {
        match self.stage {
            Stage::Silent | Stage::Idle => Ok(()),
            Stage::WithinHead => {
                let head = request("/");
                self.say(&head.as_bytes()[..1 + random.index(head.len() - 1)])
            }
            Stage::WithinBody => {
                let length = 2 + random.index(UPLOAD_MAX - 2);
                let path = *random.one_of(&["/judge", "/echo"]);
                self.say(post(path, length).as_bytes())?;
                self.say(some_bytes(random.index(length)))
            }
            // A reset is all that ends what never answers; a close shows when the answer is sent.
            Stage::Waiting => self.say(
                match self.departure {
                    Departure::Reset => request("/never").into_bytes(),
                    _ => request("/nap").into_bytes(),
                }
                .as_slice(),
            ),
            Stage::WithinAnswer => {
                self.say(request("/plenty").as_bytes())?;
                self.head("200")
            }
            Stage::Upgraded => {
                self.say(
                    b"GET /upgrade HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nhey",
                )?;
                self.head("101")?;
                let echo = self.take(3)?;
                assert_eq!(echo, b"hey");
                Ok(())
            }
            Stage::Refused => {
                self.say(b"\0no request\r\n\r\n")?;
                self.head("400")
            }
        }
    }

    /// Departs by itself. If the server was first where it should have waited, that is the error.
    pub(super) fn leave(mut self) -> Result<(), (Self, io::Error)> {
        match self.departure {
            Departure::Close => Ok(()),
            Departure::Abandon => unreachable!("it is held until the server has ended it"),
            Departure::Reset => {
                let socket = SockRef::from(&self.stream);
                socket.set_linger(Some(Duration::ZERO)).unwrap();
                Ok(())
            }
            Departure::HalfClose => match self.half_close() {
                Ok(()) => Ok(()),
                Err(error) => Err((self, error)),
            },
        }
    }

    fn half_close(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        match self.stage {
            Stage::Waiting => self.expect("rested")?,
            Stage::WithinAnswer => self.take_plenty(PLENTY)?,
            _ => {}
        }
        while self.fill()? > 0 {}
        let rest = String::from_utf8_lossy(&self.heard);
        let may_follow = match self.stage {
            // The server may say why it goes; `/echo` may have begun to answer.
            Stage::WithinHead | Stage::WithinBody | Stage::Refused => true,
            // Cut for being late, which is said where it can be.
            _ => rest.is_empty() || rest.starts_with(LATE),
        };
        assert!(may_follow, "{:?} is followed by {rest:?}", self.stage);
        Ok(())
    }

    /// Waits for the server to end a connection that was abandoned, in whatever way.
    pub(super) fn outlast(mut self) {
        loop {
            self.heard.clear();
            match self.fill() {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
                Err(error) => panic!("abandoned {:?}, and not ended: {error}", self.stage),
            }
        }
    }

    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// In one piece or in two.
    fn say_in_pieces(&mut self, bytes: &[u8], random: &mut Random) -> io::Result<()> {
        let split = match random.below(2) {
            0 => 0,
            _ => random.index(bytes.len()),
        };
        let (first, second) = bytes.split_at(split);
        self.say(first)?;
        self.say(second)
    }

    /// Reads more. 0 is the end.
    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 65_536];
        let count = self.stream.read(&mut buffer)?;
        self.heard.extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    fn fill_more(&mut self) -> io::Result<()> {
        match self.fill()? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.heard.len() < count {
            self.fill_more()?;
        }
        Ok(self.heard.drain(..count).collect())
    }

    /// Reads what is left of a long answer, of which nothing has been taken.
    fn take_plenty(&mut self, count: usize) -> io::Result<()> {
        let mut left = count;
        while left > 0 {
            if self.heard.is_empty() {
                self.fill_more()?;
            }
            let now = self.heard.len().min(left).min(PIECE);
            assert!(
                self.heard[..now] == [b'x'; PIECE][..now],
                "the answer differs"
            );
            self.heard.drain(..now);
            left -= now;
        }
        Ok(())
    }

    /// The head of an answer with this status.
    fn head(&mut self, status: &str) -> io::Result<()> {
        self.whole_head(status).map(drop)
    }

    fn whole_head(&mut self, status: &str) -> io::Result<String> {
        const END: &[u8] = b"\r\n\r\n";
        let end = loop {
            let found = self.heard.windows(END.len()).position(|four| four == END);
            match found {
                Some(start) => break start + END.len(),
                None => self.fill_more()?,
            }
        };
        self.is_answered = true;
        let head = String::from_utf8(self.heard.drain(..end).collect()).unwrap();
        if head.starts_with(LATE) {
            return Err(ErrorKind::ConnectionReset.into());
        }
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{status} was expected: {head}"
        );
        Ok(head)
    }

    /// A whole answer with this text.
    fn expect(&mut self, text: &str) -> io::Result<()> {
        let head = self.whole_head("200")?.to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        assert_eq!(length, Some(&text.len().to_string()[..]), "{head}");
        let body = self.take(text.len())?;
        assert_eq!(String::from_utf8_lossy(&body), text);
        Ok(())
    }
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")
}

fn post(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n")
}
