//! One stream as a client has it, and the table of those that are open.
//!
//! ```text
//!   receive:  Head ── HEADERS ──▶ Body ── END_STREAM ──▶ Closed
//!              └─ 1xx ─▶ Head        (or at once, where HEADERS end the stream)
//! ```
//! A stream leaves the table when the response is complete and the request is sent, or when either side resets it.

use crate::h2::StreamKey;
use crate::h2::flood::SmallData;
use crate::h2::window::{ReceiveWindow, SendWindow};
use std::collections::VecDeque;

/// How many streams are remembered that we reset while the server still sent. Frames of one forgotten are taken for an error:
/// a server that has more than this under way for streams that are long gone does not read what we send.
const RESETS_KEPT: usize = 1024;

/// What the server still sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Receive {
    /// The final response.
    Head,
    /// Its content; `left` bytes where it was said.
    Body {
        left: Option<u64>,
    },
    Closed,
}

/// What is kept of a stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: u32,
    pub(super) receive: Receive,
    /// The request's body is not complete.
    pub(super) sending: bool,
    /// Only the head was asked for.
    pub(super) head_request: bool,
    /// The driver waits to hear that it may send more.
    pub(super) blocked: bool,
    pub(super) informational: u16,
    /// What is left of the length that the request announced.
    pub(super) send_left: Option<u64>,
    pub(super) receive_window: ReceiveWindow,
    pub(super) send_window: SendWindow,
    pub(super) small_data: SmallData,
}

impl Stream {
    /// Whether nothing is left on either side.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.receive == Receive::Closed && !self.sending
    }
}

/// The streams that are open. Places are used again, so there are as many as streams were ever open together.
///
/// Invariant: a place in `free` has no stream. `hints` may be stale: what it points at is asked for its number.
#[derive(Debug)]
pub(super) struct Streams {
    slots: Vec<Option<Stream>>,
    free: Vec<u16>,
    /// The place of a stream, by the lowest bits of its number: right for all of them while no stream outlives so many
    /// younger ones.
    hints: Vec<u16>,
    resets: VecDeque<u32>,
}

impl Streams {
    /// A table for at most so many, rounded up to a power of two.
    pub(super) fn new(count_max: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            hints: vec![0; (2 * count_max).next_power_of_two().min(1 << 16)],
            resets: VecDeque::new(),
        }
    }

    #[inline]
    pub(super) fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Where the hint for a number stands. Numbers of ours are odd.
    #[inline]
    fn hint(&self, id: u32) -> usize {
        (id >> 1) as usize & (self.hints.len() - 1)
    }

    /// Adds a stream: at most 65,536, as `may_request` sees to.
    #[inline]
    pub(super) fn insert(&mut self, stream: Stream) -> StreamKey {
        let id = stream.id;
        let place = match self.free.pop() {
            Some(place) => {
                self.slots[usize::from(place)] = Some(stream);
                place
            }
            None => {
                self.slots.push(Some(stream));
                (self.slots.len() - 1) as u16
            }
        };
        let hint = self.hint(id);
        self.hints[hint] = place;
        StreamKey { id, place }
    }

    /// The stream of this number.
    #[inline]
    pub(super) fn find(&self, id: u32) -> Option<StreamKey> {
        let place = self.hints[self.hint(id)];
        let key = StreamKey { id, place };
        if self.at(key).is_some() {
            return Some(key);
        }
        self.search(id)
    }

    #[cold]
    fn search(&self, id: u32) -> Option<StreamKey> {
        let place = self
            .slots
            .iter()
            .position(|slot| slot.as_ref().is_some_and(|stream| stream.id == id))?;
        Some(StreamKey {
            id,
            place: place as u16,
        })
    }

    #[inline]
    pub(super) fn at(&self, key: StreamKey) -> Option<&Stream> {
        self.slots
            .get(key.place())?
            .as_ref()
            .filter(|stream| stream.id == key.id)
    }

    #[inline]
    pub(super) fn at_mut(&mut self, key: StreamKey) -> Option<&mut Stream> {
        self.slots
            .get_mut(key.place())?
            .as_mut()
            .filter(|stream| stream.id == key.id)
    }

    /// Takes a stream out.
    #[inline]
    pub(super) fn remove(&mut self, key: StreamKey) -> Option<Stream> {
        self.at(key)?;
        self.free.push(key.place);
        self.slots[key.place()].take()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.slots.iter_mut().flatten()
    }

    /// The streams above a number, the lowest first.
    pub(super) fn above(&self, id: u32) -> Vec<StreamKey> {
        let mut keys: Vec<StreamKey> = (0..)
            .zip(&self.slots)
            .filter_map(|(place, slot)| {
                let id = slot.as_ref()?.id;
                Some(StreamKey { id, place })
            })
            .filter(|key| key.id > id)
            .collect();
        keys.sort_unstable_by_key(|key| key.id);
        keys
    }

    pub(super) fn clear(&mut self) {
        (self.slots, self.free, self.resets) = (Vec::new(), Vec::new(), VecDeque::new());
    }

    /// We ended a stream of which more may be on its way.
    pub(super) fn remember_reset(&mut self, id: u32) {
        if self.resets.len() == RESETS_KEPT {
            self.resets.pop_front();
        }
        self.resets.push_back(id);
    }

    /// Whether more of a stream that is gone may be on its way.
    pub(super) fn was_reset(&self, id: u32) -> bool {
        self.resets.contains(&id)
    }

    /// The server has ended its half too: nothing more comes.
    pub(super) fn forget_reset(&mut self, id: u32) {
        self.resets.retain(|each| *each != id);
    }
}
