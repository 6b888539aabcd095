//! The receiving half of a connection: where in a request the next byte stands.
//!
//! ```text
//!          head complete             body complete           answer complete
//!  Head ───────────────▶ Body ───────────────────▶ Complete ────────────────▶ Head
//!   │                     │  answer complete,            │ 101 written
//!   │ refused             │  body unread                 ▼
//!   ▼                     ▼                           Upgraded
//!  Discarding ◀──────── Draining ─ drained ─▶ Head
//! ```
//!
//! `Discarding` has no way back: whatever still comes is thrown away until the client closes or the linger ends.

use crate::chunked::{Chunk, ChunkedDecoder};
use crate::refusal::Refusal;
use crate::scan::HeadScan;
use lanner_limits::Limits;
use std::ops::Range;

/// What came of looking at the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// So many bytes at the front of the input are done with. Ranges in `event` lie within them.
    pub consumed: usize,
    /// What they meant.
    pub event: Event,
}

impl Step {
    pub(crate) const fn new(consumed: usize, event: Event) -> Self {
        Self { consumed, event }
    }

    /// The same step seen from `by` bytes earlier in the input.
    pub(crate) fn behind(self, by: usize) -> Self {
        let shift = |at: Range<usize>| at.start + by..at.end + by;
        let event = match self.event {
            Event::Head { at } => Event::Head { at: shift(at) },
            Event::FoldedHead { at } => Event::FoldedHead { at: shift(at) },
            Event::Data { at, last } => Event::Data {
                at: shift(at),
                last,
            },
            Event::End { trailers } => Event::End {
                trailers: shift(trailers),
            },
            event @ (Event::More | Event::Held | Event::BodyFailed(_) | Event::Closing) => event,
        };
        Self {
            consumed: self.consumed + by,
            event,
        }
    }
}

/// What the input means so far. Ranges are positions in the input that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing can be said until more bytes come; those not consumed must be given again, with more behind them.
    More,
    /// The input is not wanted yet: the app has not asked for it, or a pipelined request waits for its turn.
    Held,
    /// A request's head, parsed; an answer is owed now.
    Head {
        /// Where it stands.
        at: Range<usize>,
    },
    /// A complete head that holds line folds or bare LFs (`LANNER_H1_STRICT=false`): a copy of it is to be given to
    /// [`crate::Connection::handle_unfolded`], after [`crate::scan::unfold`].
    FoldedHead {
        /// Where it stands.
        at: Range<usize>,
    },
    /// A piece of the body that the app asked for.
    Data {
        /// Where it stands.
        at: Range<usize>,
        /// Whether the body ends with it.
        last: bool,
    },
    /// The end of the body.
    End {
        /// The trailer section, to be parsed with [`crate::chunked::parse_trailers`].
        trailers: Range<usize>,
    },
    /// The body cannot be received; the app's next read fails with this.
    BodyFailed(Refusal),
    /// The connection is closing and what comes in is thrown away.
    Closing,
}

/// Where the next byte of input belongs.
#[derive(Debug)]
pub(crate) enum Receive {
    Head(HeadScan),
    Body(BodyDecoder),
    /// The request is whole; what follows it waits.
    Complete,
    /// The answer is out and the body was not read to its end.
    Draining {
        body: BodyDecoder,
        budget: u64,
    },
    Discarding,
    /// Bytes of the protocol that was switched to.
    Upgraded,
}

/// Takes a body out of its framing.
#[derive(Debug)]
pub(crate) enum BodyDecoder {
    Length { left: u64 },
    Chunked(ChunkedDecoder),
}

/// What a decoder found at the front of the input.
pub(crate) enum Decoded {
    More {
        consumed: usize,
    },
    Data {
        consumed: usize,
        at: Range<usize>,
        last: bool,
    },
    End {
        consumed: usize,
        trailers: Range<usize>,
    },
}

impl BodyDecoder {
    pub(crate) fn decode(&mut self, input: &[u8], limits: &Limits) -> Result<Decoded, Refusal> {
        match self {
            Self::Length { left } => {
                if input.is_empty() {
                    return Ok(Decoded::More { consumed: 0 });
                }
                let len = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(input.len());
                *left -= len as u64;
                Ok(Decoded::Data {
                    consumed: len,
                    at: 0..len,
                    last: *left == 0,
                })
            }
            Self::Chunked(decoder) => {
                let decoded = decoder.decode(input, limits)?;
                let consumed = decoded.consumed;
                Ok(match decoded.kind {
                    Chunk::More => Decoded::More { consumed },
                    Chunk::Data(at) => Decoded::Data {
                        consumed,
                        at,
                        last: false,
                    },
                    Chunk::End { trailers } => Decoded::End { consumed, trailers },
                })
            }
        }
    }

    /// Bytes that are certain to come, if the framing says.
    pub(crate) fn announced(&self) -> Option<u64> {
        match self {
            Self::Length { left } => Some(*left),
            Self::Chunked(_) => None,
        }
    }

    pub(crate) fn in_trailers(&self) -> bool {
        match self {
            Self::Length { .. } => false,
            Self::Chunked(decoder) => decoder.in_trailers(),
        }
    }
}
