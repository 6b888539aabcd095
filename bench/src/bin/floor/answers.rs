//! What the two floors share: how a request's end is found, which answer is owed for it, and the listener. A floor reads no
//! more of a request than where it ends, and owes answers as a number of bytes of one endless canned row of them, so that a
//! connection needs no buffer.

use std::net::{Ipv4Addr, SocketAddr};

use memchr::memmem::Finder;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

/// What ends a head, and a request as far as a floor knows.
const END: &[u8; 4] = b"\r\n\r\n";

/// As many bytes as our own server sends.
const ANSWER: &str = "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-type: text/plain; \
                      charset=utf-8\r\ncontent-length: 13\r\n\r\nHello, World!";

/// Answers in the row; as many leave in one write at the most.
const ROW: usize = 64;

/// The command line: the port, and whether a connection is closed after its first answer.
pub(crate) struct Floor {
    pub(crate) closes: bool,
    row: &'static [u8],
    answer_bytes: usize,
    end: Finder<'static>,
}

/// What a connection has asked and is owed.
#[derive(Clone, Copy, Default)]
pub(crate) struct Debt {
    /// Bytes of [`END`] that the last read ended in, at most three.
    matched: usize,
    pub(crate) bytes: usize,
}

impl Floor {
    /// Reads the command line and listens; raises the limit of open files as far as it may.
    pub(crate) fn start() -> std::io::Result<(Self, Socket)> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let usage = || std::io::Error::other("usage: floor-... PORT [close]");
        let port = words.first().and_then(|word| word.parse::<u16>().ok());
        let port = port.ok_or_else(usage)?;
        let closes = match words.get(1).map(String::as_str) {
            None => false,
            Some("close") => true,
            Some(_) => return Err(usage()),
        };
        let maximum = getrlimit(Resource::Nofile).maximum;
        let all = Rlimit {
            current: maximum,
            maximum,
        };
        setrlimit(Resource::Nofile, all)?;
        let answer = match closes {
            false => ANSWER.to_owned(),
            true => ANSWER.replacen("\r\n", "\r\nconnection: close\r\n", 1),
        };
        let floor = Self {
            closes,
            row: answer.repeat(ROW).leak().as_bytes(),
            answer_bytes: answer.len(),
            end: Finder::new(END),
        };
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        listener.set_reuse_address(true)?;
        // Connections inherit it.
        listener.set_tcp_nodelay(true)?;
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
        listener.listen(4096)?;
        Ok((floor, listener))
    }

    /// The next bytes for a connection that is owed some.
    pub(crate) fn next(&self, debt: Debt) -> &'static [u8] {
        let begun = (self.answer_bytes - debt.bytes % self.answer_bytes) % self.answer_bytes;
        let rest = &self.row[begun..];
        &rest[..rest.len().min(debt.bytes)]
    }

    /// Takes what was read.
    pub(crate) fn count(&self, debt: &mut Debt, bytes: &[u8]) {
        let (mut ends, mut rest) = (0, bytes);
        // Bytes that a read left over are rare, and so is what follows them.
        while debt.matched > 0
            && let Some((first, behind)) = rest.split_first()
        {
            debt.matched = match (*first == END[debt.matched], *first) {
                (true, _) => debt.matched + 1,
                (false, b'\r') => 1,
                (false, _) => 0,
            };
            if debt.matched == END.len() {
                (ends, debt.matched) = (ends + 1, 0);
            }
            rest = behind;
        }
        while let Some(place) = self.end.find(rest) {
            ends += 1;
            rest = &rest[place + END.len()..];
        }
        if debt.matched == 0 {
            let is_begun = |length: &usize| rest.ends_with(&END[..*length]);
            debt.matched = (1..END.len()).rev().find(is_begun).unwrap_or(0);
        }
        debt.bytes += ends * self.answer_bytes;
    }
}
