//! What the floors share: the listener, where heads end, and what is owed for them, which is a number of bytes of one endless
//! row of answers, so that a connection needs no buffer.

use std::io;
use std::net::TcpListener;

use memchr::memmem::Finder;
use rustix::net::{listen, sockopt::set_tcp_nodelay};

const END: &[u8; 4] = b"\r\n\r\n";

/// Answers in the row; as many leave in one write at the most.
const ROW: usize = 64;

pub(crate) struct Answers {
    row: &'static [u8],
    one: usize,
    end: Finder<'static>,
}

/// What a connection has asked and is owed.
#[derive(Clone, Copy, Default)]
pub(crate) struct Debt {
    /// Bytes of [`END`] that the last read ended in.
    matched: usize,
    pub(crate) bytes: usize,
}

/// Listens where the command line's first word says, an address or only a port, and says where.
pub(crate) fn listener() -> io::Result<TcpListener> {
    let word = std::env::args().nth(1).unwrap_or_default();
    let loopback = if word.contains(':') { "" } else { "127.0.0.1:" };
    let listener = TcpListener::bind(format!("{loopback}{word}"))?;
    // Connections inherit it.
    set_tcp_nodelay(&listener, true)?;
    listen(&listener, 4096)?;
    println!("{}", listener.local_addr()?);
    Ok(listener)
}

impl Answers {
    /// Each has as many bytes as one of our own server, and this field besides.
    pub(crate) fn with(field: &str) -> Self {
        let date = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        let fields = "content-type: text/plain; charset=utf-8\r\ncontent-length: 13\r\n";
        let one = format!("HTTP/1.1 200 OK\r\n{field}{date}{fields}\r\nHello, World!");
        let (row, end) = (one.repeat(ROW).leak().as_bytes(), Finder::new(END));
        let one = one.len();
        Self { row, one, end }
    }

    /// The next bytes for a connection that is owed some.
    pub(crate) fn next(&self, debt: Debt) -> &'static [u8] {
        let rest = &self.row[(self.one - debt.bytes % self.one) % self.one..];
        &rest[..rest.len().min(debt.bytes)]
    }

    /// Takes what was read.
    pub(crate) fn count(&self, debt: &mut Debt, mut bytes: &[u8]) {
        while let Some((byte, rest)) = bytes.split_first() {
            let whole = (debt.matched == 0).then(|| self.end.find(bytes));
            (debt.matched, bytes) = match whole {
                Some(Some(place)) => (END.len(), &bytes[place + END.len()..]),
                // Only the last three may begin one, which is followed byte by byte.
                Some(None) if bytes.len() >= END.len() => (0, &bytes[bytes.len() - 3..]),
                _ if *byte == END[debt.matched] => (debt.matched + 1, rest),
                _ => (usize::from(*byte == END[0]), rest),
            };
            if debt.matched == END.len() {
                (debt.matched, debt.bytes) = (0, debt.bytes + self.one);
            }
        }
    }
}
