//! The chunked transfer coding (RFC 9112 section 7.1), both ways: what a peer sends, strictly, and what we send.
//!
//! Decoding hands out content as it arrives. Framing is consumed byte by byte, or a size line at once where it is all there, so
//! nothing is looked at more than twice, however it was split. Chunk extensions are checked and dropped
//! (`chunked/extension.rs`); the trailer section is found here and parsed in `chunked/trailers.rs`. How long a body may become
//! is the connection's to count.

mod extension;
mod trailers;

use std::ops::Range;

use lanner_limits::{Limits, Trip};

use crate::fields::Fields;
use crate::misbehaviour::Misbehaviour;
use crate::refusal::Refusal;
use crate::scan::SectionScan;
use extension::Extension;
pub(crate) use trailers::is_forbidden_trailer;
pub use trailers::parse_trailers;

/// The hexadecimal digits of the largest chunk size: 64 bits. Leading zeros count, or they would be without end.
const SIZE_DIGITS_MAX: u8 = 16;

/// What one step of decoding found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Chunk {
    /// No content in this input; more input is needed.
    More,
    /// Content, never empty, as a range of the input; `consumed` covers it.
    Data(Range<usize>),
    /// The end of the body. The trailer field lines are a range of the input, empty if there are none; `consumed` covers
    /// them and the empty line behind them.
    End {
        /// The lines, each with its CRLF: what `parse_trailers` takes.
        trailers: Range<usize>,
    },
}

/// One step of decoding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decoded {
    /// How many bytes of the input are done with and must not be given again.
    pub consumed: usize,
    /// What was found among them.
    pub kind: Chunk,
}

/// Decodes one chunked body; `Default` is its beginning.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChunkedDecoder {
    state: State,
    /// Hexadecimal digits of the size so far.
    digits: u8,
    /// The size so far; then the content still to come of the chunk.
    remaining: u64,
    /// Bytes of the size line so far, extension and line end included.
    line: u32,
    /// Bytes of all extensions of the body so far.
    extensions: u64,
    section: SectionScan,
}

/// ```text
///      .----------------------------------------------.
///      v    ;                CR        LF      size>0  |
///    Size ---> Extension ---> SizeEnd ---> Data ---> DataReturn ---> DataFeed
///      |                        ^   \  size=0
///      '-----------CR-----------'    '------> Trailers ---> End
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Size,
    Extension(Extension),
    /// Behind the CR of the size line.
    SizeEnd,
    Data,
    /// Behind the content of a chunk.
    DataReturn,
    /// Behind the CR that follows the content.
    DataFeed,
    Trailers,
    End,
}

impl ChunkedDecoder {
    /// Takes one step: to the next content, to the end, or to the end of the input. `input` begins with the first byte not
    /// consumed before. The trailer section stays unconsumed until it is complete, so that it can be parsed in one piece;
    /// the decoder remembers how far it looked.
    ///
    /// # Errors
    /// What is wrong, as soon as the byte that shows it has arrived.
    pub fn decode(&mut self, input: &[u8], limits: &Limits) -> Result<Decoded, Refusal> {
        let mut at = 0;
        loop {
            match self.state {
                State::Size if self.digits == 0 => {
                    if let Some(behind) = self.take_size_line(input, at, limits) {
                        at = behind;
                        continue;
                    }
                }
                State::Data => return Ok(self.take_data(input, at)),
                State::Trailers => return self.take_trailers(input, at, limits),
                State::End => {
                    return Ok(Decoded {
                        consumed: at,
                        kind: Chunk::End { trailers: at..at },
                    });
                }
                _ => {}
            }
            let Some(&byte) = input.get(at) else {
                return Ok(Decoded {
                    consumed: at,
                    kind: Chunk::More,
                });
            };
            self.state = self.framing_byte(byte, limits)?;
            at += 1;
        }
    }

    /// Whether the last chunk is behind and the trailer section, or the empty line in its place, is awaited.
    pub fn in_trailers(&self) -> bool {
        self.state == State::Trailers
    }

    /// Whether the body has ended.
    pub fn is_ended(&self) -> bool {
        self.state == State::End
    }

    /// Takes a size line as nearly all are: all of it there, without an extension, and within bounds. Gives the place behind
    /// it; any other line goes byte by byte.
    #[inline]
    fn take_size_line(&mut self, input: &[u8], at: usize, limits: &Limits) -> Option<usize> {
        let line = input.get(at..)?;
        let (mut size, mut digits) = (0, 0);
        while let Some(digit) = line.get(digits).copied().and_then(hex_digit) {
            size = size << 4 | u64::from(digit);
            digits += 1;
            if digits > usize::from(SIZE_DIGITS_MAX) {
                return None;
            }
        }
        let len = digits + 2;
        if digits == 0 || line.get(digits..len)? != b"\r\n" || len > limits.h1_max_chunk_line {
            return None;
        }
        self.remaining = size;
        self.digits = digits as u8;
        self.line = len as u32;
        self.state = if size == 0 {
            State::Trailers
        } else {
            State::Data
        };
        Some(at + len)
    }

    /// Hands out as much of the chunk as there is, together with the CRLF behind it when it is there already.
    fn take_data(&mut self, input: &[u8], at: usize) -> Decoded {
        let available = input.len() - at;
        let len =
            usize::try_from(self.remaining).map_or(available, |remaining| remaining.min(available));
        if len == 0 {
            return Decoded {
                consumed: at,
                kind: Chunk::More,
            };
        }
        let data = at..at + len;
        self.remaining -= len as u64;
        let mut consumed = data.end;
        if self.remaining == 0 {
            self.state = State::DataReturn;
            if let Some([b'\r', b'\n']) = input.get(data.end..data.end + 2) {
                self.begin_line();
                consumed += 2;
            }
        }
        Decoded {
            consumed,
            kind: Chunk::Data(data),
        }
    }

    fn take_trailers(
        &mut self,
        input: &[u8],
        at: usize,
        limits: &Limits,
    ) -> Result<Decoded, Refusal> {
        let fresh = self.section.looked();
        // Always strict: trailers are rare enough that nobody needs a bare LF in them, and smugglers do.
        match self.section.advance(&input[at..], fresh, limits, true)? {
            None => Ok(Decoded {
                consumed: at,
                kind: Chunk::More,
            }),
            Some(len) => {
                self.state = State::End;
                // The scan ended with CRLF, for it is strict.
                let trailers = at..at + len - 2;
                Ok(Decoded {
                    consumed: at + len,
                    kind: Chunk::End { trailers },
                })
            }
        }
    }

    /// Takes one byte of framing; gives the state behind it.
    #[inline]
    fn framing_byte(&mut self, byte: u8, limits: &Limits) -> Result<State, Refusal> {
        match self.state {
            State::Size => self.size_byte(byte, limits),
            State::Extension(extension) => self.extension_byte(extension, byte, limits),
            State::SizeEnd if byte == b'\n' => {
                self.count_line_byte(limits)?;
                Ok(if self.remaining == 0 {
                    State::Trailers
                } else {
                    State::Data
                })
            }
            State::DataReturn if byte == b'\r' => Ok(State::DataFeed),
            State::DataFeed if byte == b'\n' => {
                self.begin_line();
                Ok(State::Size)
            }
            State::SizeEnd | State::DataReturn | State::DataFeed => {
                Err(Misbehaviour::InvalidChunkTerminator.into())
            }
            // `decode` handles these before it takes a byte.
            State::Data | State::Trailers | State::End => Ok(self.state),
        }
    }

    #[inline]
    fn size_byte(&mut self, byte: u8, limits: &Limits) -> Result<State, Refusal> {
        self.count_line_byte(limits)?;
        if let Some(digit) = hex_digit(byte) {
            if self.digits == SIZE_DIGITS_MAX {
                return Err(Misbehaviour::InvalidChunkSize.into());
            }
            self.digits += 1;
            self.remaining = self.remaining << 4 | u64::from(digit);
            return Ok(State::Size);
        }
        match byte {
            _ if self.digits == 0 => Err(Misbehaviour::InvalidChunkSize.into()),
            b'\r' => Ok(State::SizeEnd),
            // White space before the semicolon is bad white space (RFC 9112 section 7.1.1) that no sender uses and that parsers
            // treat differently.
            b';' => {
                self.count_extension_byte(limits)?;
                Ok(State::Extension(Extension::default()))
            }
            b'\n' => Err(Misbehaviour::InvalidChunkTerminator.into()),
            _ => Err(Misbehaviour::InvalidChunkSize.into()),
        }
    }

    fn extension_byte(
        &mut self,
        extension: Extension,
        byte: u8,
        limits: &Limits,
    ) -> Result<State, Refusal> {
        self.count_line_byte(limits)?;
        if byte == b'\r' && extension.may_end() {
            return Ok(State::SizeEnd);
        }
        self.count_extension_byte(limits)?;
        Ok(State::Extension(extension.next(byte)?))
    }

    fn count_line_byte(&mut self, limits: &Limits) -> Result<(), Trip> {
        self.line = self.line.saturating_add(1);
        if self.line as usize > limits.h1_max_chunk_line {
            Err(Trip::ChunkLine)
        } else {
            Ok(())
        }
    }

    fn count_extension_byte(&mut self, limits: &Limits) -> Result<(), Trip> {
        self.extensions += 1;
        if self.extensions > limits.h1_max_chunk_extensions {
            Err(Trip::ChunkExtensions)
        } else {
            Ok(())
        }
    }

    fn begin_line(&mut self) {
        self.state = State::Size;
        self.digits = 0;
        self.line = 0;
    }
}

#[inline]
fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// What follows the content of a chunk that we send.
pub const CHUNK_END: &[u8] = b"\r\n";

/// Writes the size line of a chunk of `len` bytes. The content follows, then `CHUNK_END`. A chunk of no bytes would end the
/// body, so for zero nothing is written, and nothing may follow.
pub fn encode_chunk_header(len: usize, out: &mut Vec<u8>) {
    if len == 0 {
        return;
    }
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4);
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[len >> (4 * place) & 0xf]);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the last chunk, and with it the trailer section.
pub fn encode_last_chunk(trailers: Option<&Fields>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        trailers.encode(out);
    }
    out.extend_from_slice(b"\r\n");
}
