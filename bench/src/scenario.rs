//! What is asked of the server, and which answer is right.

use crate::app::{HELLO, PIECE, PIECES};
use crate::field_list::{self, Field};
use crate::heads;

/// Bytes of an upload.
const UPLOAD_BYTES: usize = 64 * 1024;

/// One way of using the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// One connection, one request at a time.
    KeepAlive,
    /// 64 connections, a request on each before the first answer is read.
    KeepAlive64,
    /// One connection, 16 requests in one write.
    Pipelined16,
    /// One connection, bodies of 64 KiB that the app reads and drops.
    Upload,
    /// One connection, answers of four pieces without a length.
    Chunked,
    /// One HTTP/2 connection without TLS, one stream at a time.
    H2c,
    /// One HTTP/2 connection without TLS, 16 streams begun in one write.
    H2c16,
    /// One connection of HTTP/1.1 over TLS, one request at a time.
    Tls,
    /// One HTTP/2 connection over TLS, 16 streams begun in one write.
    H2Tls16,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::KeepAlive,
        Self::KeepAlive64,
        Self::Pipelined16,
        Self::Upload,
        Self::Chunked,
        Self::H2c,
        Self::H2c16,
        Self::Tls,
        Self::H2Tls16,
    ];

    /// The name in budgets.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeepAlive => "keep-alive",
            Self::KeepAlive64 => "keep-alive-64",
            Self::Pipelined16 => "pipelined-16",
            Self::Upload => "upload-64k",
            Self::Chunked => "chunked",
            Self::H2c => "h2c",
            Self::H2c16 => "h2c-16",
            Self::Tls => "tls",
            Self::H2Tls16 => "h2-tls-16",
        }
    }

    /// The scenario of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|scenario| scenario.name() == name)
    }

    /// Connections that are open.
    pub fn connections(self) -> usize {
        match self {
            Self::KeepAlive64 => 64,
            _ => 1,
        }
    }

    /// Requests written to a connection at once.
    pub fn depth(self) -> usize {
        match self {
            Self::Pipelined16 | Self::H2c16 | Self::H2Tls16 => 16,
            _ => 1,
        }
    }

    /// Whether HTTP/2 is spoken.
    pub fn is_http2(self) -> bool {
        matches!(self, Self::H2c | Self::H2c16 | Self::H2Tls16)
    }

    /// Whether it is spoken over TLS.
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::H2Tls16)
    }

    /// Requests of one round: all that are written before an answer is read.
    pub fn round(self) -> usize {
        self.connections() * self.depth()
    }

    /// Requests after which every connection has sent each head of the mix as often as any other. Figures are means
    /// over multiples of it.
    pub fn cycle(self) -> u64 {
        match self {
            Self::KeepAlive64 => 1024,
            // Each 16 requests begin one head later.
            _ => 256,
        }
    }

    /// Adds request `number` to `out`, as HTTP/1.1.
    pub fn write_request(self, number: u64, out: &mut Vec<u8>) {
        match self {
            Self::Chunked => heads::write(number, "GET", "/chunked", "", out),
            Self::Upload => {
                let length = format!("Content-Length: {UPLOAD_BYTES}\r\n");
                heads::write(number, "POST", "/discard", &length, out);
                out.resize(out.len() + UPLOAD_BYTES, b'u');
            }
            _ => heads::write(number, "GET", "/hello", "", out),
        }
    }

    /// The fields of request `number`, as HTTP/2.
    pub fn fields(self, number: u64) -> Vec<Field> {
        let scheme = if self.is_secure() { "https" } else { "http" };
        field_list::of(number, "GET", "/hello", scheme)
    }

    /// The body of a right answer.
    pub fn answer(self) -> Vec<u8> {
        match self {
            Self::Chunked => PIECE.repeat(PIECES),
            _ => HELLO.into(),
        }
    }
}
