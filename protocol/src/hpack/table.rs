//! The dynamic table (RFC 7541 section 2.3.2 and 4), of either side: a queue of fields whose text lies in one arena.
//!
//! Text is only ever appended to the arena, and moved to its front together when it is full; an arena of twice the table's
//! size is full only after as much text went in as there may be at once, so each byte is moved about once. A field may
//! therefore take its name from another by pointing to it. It does where names are long: a name of 4 KiB could else be
//! copied for every two bytes that a peer sends.

use std::collections::VecDeque;

use super::FIELD_OVERHEAD;
use super::known_name::KnownName;
use crate::span::Span;
use crate::words;

/// Longer names are shared between fields; shorter ones are copied in front of their value, so that name and value are
/// copied out in one go.
const COPIED_NAME_MAX: u32 = 64;

/// A field in the table; the spans lie in the arena.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    name: Span,
    value: Span,
    pub(super) known: Option<KnownName>,
    /// Whoever judges fields found it in order.
    pub(super) judged: bool,
}

impl Entry {
    /// What it counts (RFC 7541 section 4.1).
    fn size(&self) -> u32 {
        self.name.len + self.value.len + FIELD_OVERHEAD
    }

    #[inline]
    pub(super) fn name_len(&self) -> usize {
        self.name.len as usize
    }

    #[inline]
    pub(super) fn value_len(&self) -> usize {
        self.value.len as usize
    }

    /// Where its name is, for a field that is to have the same.
    #[inline]
    pub(super) fn name_place(&self) -> Span {
        self.name
    }
}

/// The name of a field that goes into the table.
#[derive(Clone, Copy)]
pub(super) enum Name<'a> {
    /// Text from elsewhere.
    Text(&'a [u8]),
    /// The name of a field that is in the table, or was before room was made.
    Held(Span),
}

/// A dynamic table.
pub(super) struct Table {
    /// The newest first.
    entries: VecDeque<Entry>,
    arena: Vec<u8>,
    /// The sum of the entries' sizes; at most `size_max`.
    size: u32,
    size_max: u32,
    /// How many fields ever went in, wrapping.
    inserted: u32,
    /// How often text was moved, wrapping.
    moves: u32,
}

impl Table {
    /// An empty table. It allocates when the first field goes in.
    pub(super) fn new(size_max: u32) -> Table {
        Table {
            entries: VecDeque::new(),
            arena: Vec::new(),
            size: 0,
            size_max,
            inserted: 0,
            moves: 0,
        }
    }

    pub(super) fn size(&self) -> u32 {
        self.size
    }

    #[inline]
    pub(super) fn size_max(&self) -> u32 {
        self.size_max
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    pub(super) fn inserted(&self) -> u32 {
        self.inserted
    }

    /// Where text lies is where it will lie as long as this stays the same.
    #[inline]
    pub(super) fn moves(&self) -> u32 {
        self.moves
    }

    /// The field that went in as the last but `age`.
    #[inline]
    pub(super) fn entry(&self, age: u32) -> Option<&Entry> {
        self.entries.get(age as usize)
    }

    #[inline]
    pub(super) fn name(&self, entry: &Entry) -> &[u8] {
        entry.name.slice(&self.arena)
    }

    #[inline]
    pub(super) fn value(&self, entry: &Entry) -> &[u8] {
        entry.value.slice(&self.arena)
    }

    /// Whether the field that went in as the last but `age` is this one. Not all that are are found to be: only those that
    /// went in as [`Name::Text`].
    #[inline]
    pub(super) fn has(&self, age: u32, name: &[u8], value: &[u8]) -> bool {
        let Some(entry) = self.entry(age) else {
            return false;
        };
        entry.name_len() == name.len()
            && entry.value_len() == value.len()
            && entry.name.end() == entry.value.offset as usize
            && self.has_at(entry.name.offset, name, value)
    }

    /// Whether the text from `start` on is this name and this value.
    #[inline]
    pub(super) fn has_at(&self, start: u32, name: &[u8], value: &[u8]) -> bool {
        let start = start as usize;
        self.arena
            .get(start..start + name.len() + value.len())
            .and_then(|text| text.split_at_checked(name.len()))
            .is_some_and(|(held_name, held_value)| {
                words::same(held_value, value) && words::same(held_name, name)
            })
    }

    /// Name and value, if one stands behind the other.
    #[inline]
    fn together(&self, entry: &Entry) -> Option<&[u8]> {
        if entry.name.end() != entry.value.offset as usize {
            return None;
        }
        let start = entry.name.offset as usize;
        // Added up so that no one need ask whether the end is behind the start.
        let end = start + entry.name_len() + entry.value_len();
        self.arena.get(start..end)
    }

    /// The text at a place that a field's name has or had.
    #[inline]
    pub(super) fn text_at(&self, place: Span) -> &[u8] {
        place.slice(&self.arena)
    }

    /// Notes that a field was found in order.
    pub(super) fn note_judged(&mut self, age: u32) {
        if let Some(entry) = self.entries.get_mut(age as usize) {
            entry.judged = true;
        }
    }

    /// Appends name and value.
    #[inline(always)]
    pub(super) fn copy_out(&self, entry: &Entry, out: &mut Vec<u8>) {
        match self.together(entry) {
            Some(text) => out.extend_from_slice(text),
            None => self.copy_out_apart(entry, out),
        }
    }

    #[cold]
    fn copy_out_apart(&self, entry: &Entry, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name(entry));
        out.extend_from_slice(self.value(entry));
    }

    /// Changes the size that the table may have, and evicts what is above it (RFC 7541 section 4.3).
    pub(super) fn set_size_max(&mut self, size_max: u32) {
        self.size_max = size_max;
        self.evict_to(size_max);
    }

    /// Evicts until a field of these lengths fits (RFC 7541 section 4.4), and sees to a place for its text; false if none
    /// can fit, and then the table is empty. `name` is where the field's name is, if it is in the table: it stays valid,
    /// also when its own field had to go. `scratch` is for text that is being moved, and is as it was afterwards.
    pub(super) fn make_room(
        &mut self,
        name_len: usize,
        value_len: usize,
        name: Option<&mut Span>,
        scratch: &mut Vec<u8>,
    ) -> bool {
        let size = name_len as u64 + value_len as u64 + u64::from(FIELD_OVERHEAD);
        if size > u64::from(self.size_max) {
            self.evict_to(0);
            return false;
        }
        self.evict_to(self.size_max - size as u32);
        let arena_bytes_max = 2 * self.size_max as usize;
        if self.arena.len() + name_len + value_len > arena_bytes_max {
            self.compact(name, scratch);
        }
        true
    }

    /// Puts a field in, for which `make_room` has made room.
    pub(super) fn insert(&mut self, name: Name<'_>, value: &[u8], known: Option<KnownName>) {
        let start = self.arena.len();
        let name = match name {
            Name::Held(place) if place.len > COPIED_NAME_MAX => place,
            Name::Held(place) => {
                self.arena
                    .extend_from_within(place.offset as usize..place.end());
                Span::between(start, self.arena.len())
            }
            Name::Text(text) => {
                self.arena.extend_from_slice(text);
                Span::between(start, self.arena.len())
            }
        };
        let value_start = self.arena.len();
        self.arena.extend_from_slice(value);
        let entry = Entry {
            name,
            value: Span::between(value_start, self.arena.len()),
            known,
            judged: false,
        };
        self.size += entry.size();
        debug_assert!(self.size <= self.size_max);
        self.entries.push_front(entry);
        self.inserted = self.inserted.wrapping_add(1);
    }

    /// Gives back the memory that is not in use.
    pub(super) fn release_memory(&mut self) {
        let mut scratch = Vec::new();
        self.compact(None, &mut scratch);
        self.arena.shrink_to_fit();
        self.entries.shrink_to_fit();
    }

    fn evict_to(&mut self, size: u32) {
        while self.size > size
            && let Some(entry) = self.entries.pop_back()
        {
            self.size -= entry.size();
        }
    }

    /// Moves the text that is in use to the arena's front, every field's name before its value.
    fn compact(&mut self, kept_name: Option<&mut Span>, scratch: &mut Vec<u8>) {
        let start = scratch.len();
        let arena = &self.arena;
        let mut moved = |span: &mut Span| {
            let offset = scratch.len() - start;
            scratch.extend_from_slice(span.slice(arena));
            span.offset = offset as u32;
        };
        for entry in &mut self.entries {
            moved(&mut entry.name);
            moved(&mut entry.value);
        }
        if let Some(name) = kept_name {
            moved(name);
        }
        self.moves = self.moves.wrapping_add(1);
        self.arena.clear();
        self.arena.extend_from_slice(&scratch[start..]);
        scratch.truncate(start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn put(table: &mut Table, name: &[u8], value: &[u8]) -> bool {
        let fits = table.make_room(name.len(), value.len(), None, &mut Vec::new());
        if fits {
            table.insert(Name::Text(name), value, None);
        }
        fits
    }

    fn put_same_name(table: &mut Table, age: u32, value: &[u8]) -> bool {
        let entry = *table.entry(age).expect("an entry");
        let mut place = entry.name_place();
        let mut scratch = b"kept".to_vec();
        let fits = table.make_room(
            entry.name_len(),
            value.len(),
            Some(&mut place),
            &mut scratch,
        );
        assert_eq!(scratch, b"kept");
        if fits {
            table.insert(Name::Held(place), value, None);
        }
        fits
    }

    fn content(table: &Table) -> Vec<(Vec<u8>, Vec<u8>)> {
        let entries = (0..).map_while(|age| table.entry(age));
        entries
            .map(|entry| {
                let mut both = Vec::new();
                table.copy_out(entry, &mut both);
                assert_eq!(both, [table.name(entry), table.value(entry)].concat());
                (table.name(entry).to_vec(), table.value(entry).to_vec())
            })
            .collect()
    }

    #[test]
    fn a_field_larger_than_the_table_empties_it() {
        let mut table = Table::new(100);
        assert!(put(&mut table, b"a", b"b") && put(&mut table, &[b'n'; 34], b""));
        assert_eq!((table.len(), table.size()), (2, 100));
        assert!(!put(&mut table, &[b'n'; 34], &[b'v'; 35]));
        assert_eq!((table.len(), table.size()), (0, 0));
        assert!(put(&mut table, &[b'n'; 34], &[b'v'; 34]));
        assert_eq!((table.len(), table.size()), (1, 100));
    }

    #[test]
    fn a_name_may_be_that_of_a_field_which_makes_room() {
        let mut table = Table::new(4096);
        for name_len in [3, 2000, 4000] {
            let name = vec![b'n'; name_len];
            assert!(put(&mut table, &name, b"first"));
            for round in 0..5000_u32 {
                let value = round.to_string();
                assert!(put_same_name(&mut table, 0, value.as_bytes()));
                assert_eq!(content(&table)[0], (name.clone(), value.into_bytes()));
                assert!(table.arena.len() <= 2 * 4096);
            }
        }
    }

    #[test]
    fn repeating_a_long_name_copies_nothing() {
        let mut table = Table::new(4096);
        assert!(put(&mut table, &[b'n'; 3000], b""));
        for _ in 0..100_000 {
            assert!(put_same_name(&mut table, 0, b""));
            assert_eq!(table.arena.len(), 3000);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(usize, usize),
        PutSameName(u32, usize),
        Resize(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0..120usize, 0..120usize).prop_map(|(name, value)| Step::Put(name, value)),
            1 => (0..700usize, 0..120usize).prop_map(|(name, value)| Step::Put(name, value)),
            8 => (0..12u32, 0..120usize).prop_map(|(age, value)| Step::PutSameName(age, value)),
            1 => (0..=700u32).prop_map(Step::Resize),
        ]
    }

    proptest! {
        #[test]
        fn the_table_holds_what_a_plain_list_would(
            steps in proptest::collection::vec(step(), 0..200),
        ) {
            let mut table = Table::new(600);
            let mut list: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
            let mut size_max = 600;
            let mut count = 0u32;
            for step in steps {
                let mut text = |len: usize| -> Vec<u8> {
                    count += 1;
                    (0..len as u32).map(|at| (count * 31 + at) as u8).collect()
                };
                match step {
                    Step::Put(name_len, value_len) => {
                        let (name, value) = (text(name_len), text(value_len));
                        put(&mut table, &name, &value);
                        list.insert(0, (name, value));
                    }
                    Step::PutSameName(age, value_len) => {
                        if let Some((name, _)) = list.get(age as usize).cloned() {
                            let value = text(value_len);
                            put_same_name(&mut table, age, &value);
                            list.insert(0, (name, value));
                        }
                    }
                    Step::Resize(to) => {
                        size_max = to;
                        table.set_size_max(to);
                    }
                }
                let size = |list: &[(Vec<u8>, Vec<u8>)]| -> usize {
                    list.iter().map(|(name, value)| name.len() + value.len() + 32).sum()
                };
                while size(&list) > size_max as usize {
                    list.pop();
                }
                prop_assert_eq!(table.size() as usize, size(&list));
                prop_assert_eq!(content(&table), list.clone());
                prop_assert!(table.arena.len() <= 1400);
            }
        }
    }
}
