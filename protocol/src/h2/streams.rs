//! The streams of one connection that exist now, and those that we reset a moment ago. What is kept of a stream is each side's
//! own.

use super::stream::StreamKey;
use std::collections::VecDeque;

/// Ids looked at together: the compiler compares them in two instructions.
const IDS_TOGETHER: usize = 8;

/// How many streams are remembered that we ended while the peer's half was open. Frames of theirs may be on their way; frames of
/// a stream forgotten are taken for those of one that the peer itself had ended. More than any peer may have open.
const RESETS_KEPT: usize = 1_024;

/// The table of streams. Places are given from 0 upwards and used again, so it is as long as most streams ever were
/// open together.
///
/// Invariant: `ids` and `slots` are equally long; an id is 0 where its place is free, and then the place is in `free`.
#[derive(Debug)]
pub(crate) struct Streams<S> {
    ids: Vec<u32>,
    slots: Vec<Option<Slot<S>>>,
    free: Vec<u16>,
    resets: VecDeque<u32>,
}

#[derive(Debug)]
struct Slot<S> {
    id: u32,
    stream: S,
}

impl<S> Streams<S> {
    /// A table without streams.
    pub(crate) const fn new() -> Self {
        Self {
            ids: Vec::new(),
            slots: Vec::new(),
            free: Vec::new(),
            resets: VecDeque::new(),
        }
    }

    /// How many there are.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.ids.len() - self.free.len()
    }

    /// Adds a stream. There are at most as many as `LANNER_H2_MAX_STREAMS` allows, which 16 bits hold.
    #[inline]
    pub(crate) fn insert(&mut self, id: u32, stream: S) -> StreamKey {
        let slot = Some(Slot { id, stream });
        let place = match self.free.pop() {
            Some(place) => {
                self.ids[usize::from(place)] = id;
                self.slots[usize::from(place)] = slot;
                place
            }
            None => {
                self.ids.push(id);
                self.slots.push(slot);
                (self.ids.len() - 1) as u16
            }
        };
        StreamKey { id, place }
    }

    /// The stream of this number.
    #[inline]
    pub(crate) fn find(&self, id: u32) -> Option<StreamKey> {
        let (groups, rest) = self.ids.as_chunks::<IDS_TOGETHER>();
        let base = groups
            .iter()
            .position(|group| {
                group
                    .iter()
                    .fold(false, |found, each| found | (*each == id))
            })
            .map_or(groups.len() * IDS_TOGETHER, |group| group * IDS_TOGETHER);
        let within = match groups.get(base / IDS_TOGETHER) {
            Some(group) => &group[..],
            None => rest,
        };
        let place = base + within.iter().position(|each| *each == id)?;
        Some(StreamKey {
            id,
            place: place as u16,
        })
    }

    #[inline]
    pub(crate) fn at(&self, key: StreamKey) -> Option<&S> {
        let slot = self.slots.get(key.place())?.as_ref()?;
        (slot.id == key.id).then_some(&slot.stream)
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, key: StreamKey) -> Option<&mut S> {
        let slot = self.slots.get_mut(key.place())?.as_mut()?;
        (slot.id == key.id).then_some(&mut slot.stream)
    }

    /// The key of whoever has this place.
    pub(crate) fn key_at(&self, place: usize) -> Option<StreamKey> {
        let id = *self.ids.get(place)?;
        (id != 0).then_some(StreamKey {
            id,
            place: place as u16,
        })
    }

    /// How many places there are to look at.
    pub(crate) fn places(&self) -> usize {
        self.ids.len()
    }

    /// Takes a stream out.
    #[inline]
    pub(crate) fn remove(&mut self, key: StreamKey) -> bool {
        if self.at(key).is_none() {
            return false;
        }
        self.ids[key.place()] = 0;
        self.slots[key.place()] = None;
        self.free.push(key.place);
        true
    }

    /// Every stream.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut S> {
        self.slots.iter_mut().flatten().map(|slot| &mut slot.stream)
    }

    /// We ended a stream of which more may be on its way.
    pub(crate) fn remember_reset(&mut self, id: u32) {
        if self.resets.len() == RESETS_KEPT {
            self.resets.pop_front();
        }
        self.resets.push_back(id);
    }

    /// Whether more of a stream that is gone may be on its way.
    pub(crate) fn was_reset(&self, id: u32) -> bool {
        self.resets.contains(&id)
    }

    /// The peer has ended its half too: nothing more comes.
    pub(crate) fn forget_reset(&mut self, id: u32) {
        self.resets.retain(|each| *each != id);
    }

    /// Gives memory back, of a table that is empty.
    pub(crate) fn release_memory(&mut self) {
        if self.count() == 0 {
            (self.ids, self.slots, self.free) = (Vec::new(), Vec::new(), Vec::new());
            self.resets.shrink_to_fit();
        }
    }
}
