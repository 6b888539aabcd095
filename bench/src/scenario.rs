//! What is asked of the server, and which answer is right.

use crate::app::{HELLO, PIECE, PIECES};
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
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::KeepAlive,
        Self::KeepAlive64,
        Self::Pipelined16,
        Self::Upload,
        Self::Chunked,
    ];

    /// The name in budgets.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeepAlive => "keep-alive",
            Self::KeepAlive64 => "keep-alive-64",
            Self::Pipelined16 => "pipelined-16",
            Self::Upload => "upload-64k",
            Self::Chunked => "chunked",
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
            Self::Pipelined16 => 16,
            _ => 1,
        }
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

    /// Adds request `number` to `out`.
    pub fn write_request(self, number: u64, out: &mut Vec<u8>) {
        match self {
            Self::KeepAlive | Self::KeepAlive64 | Self::Pipelined16 => {
                heads::write(number, "GET", "/hello", "", out);
            }
            Self::Chunked => heads::write(number, "GET", "/chunked", "", out),
            Self::Upload => {
                let length = format!("Content-Length: {UPLOAD_BYTES}\r\n");
                heads::write(number, "POST", "/discard", &length, out);
                out.resize(out.len() + UPLOAD_BYTES, b'u');
            }
        }
    }

    /// The body of a right answer.
    pub fn answer(self) -> Vec<u8> {
        match self {
            Self::Chunked => PIECE.repeat(PIECES),
            _ => HELLO.into(),
        }
    }
}
