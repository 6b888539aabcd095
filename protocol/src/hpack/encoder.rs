//! Writes field blocks (RFC 7541 sections 3 and 6).
//!
//! Most of a response's fields were sent before on the connection, and in the same order. So the first thing tried is the
//! field that followed last time, the next is one look by hash into the table; names, policy and coding are only looked at
//! when both fail.

use super::indexing::Indexing;
use super::known_name::KnownName;
use super::lookup::{self, Lookup};
use super::prepared::Prepared;
use super::static_table::{ENTRIES_COUNT, StaticPair};
use super::succession::{Next, Succession};
use super::table::{Name, Table};
use super::{FIELD_OVERHEAD, TABLE_BYTES_INITIAL, huffman, integer};

/// How many fields that were not indexed are remembered by their hash, for `Indexing::Recurring`. More than a response has.
const SEEN_COUNT: usize = 16;

/// A whole field by its index (RFC 7541 section 6.1): the pattern, and the bits left for the index.
const INDEXED: (u8, u32) = (0x80, 7);
/// The index from which on there is more of it than the first byte.
const INDEX_MORE: u32 = 0x7f;
/// A literal that goes into the table (6.2.1).
const INTO_TABLE: (u8, u32) = (0x40, 6);
/// A literal that does not (6.2.2).
const OUTSIDE: (u8, u32) = (0x00, 4);
/// A literal that goes into no table (6.2.3).
const NEVER: (u8, u32) = (0x10, 4);
/// A new table size (6.3).
const SIZE_UPDATE: (u8, u32) = (0x20, 5);

/// Writes the field blocks of one direction of a connection.
pub struct Encoder {
    table: Table,
    lookup: Lookup,
    succession: Succession,
    /// Hashes of fields that were sent without going into the table.
    seen: [u32; SEEN_COUNT],
    /// What we spend on the table, whatever the peer allows.
    table_bytes_max: u32,
    /// The smallest size that the table had since the last block, if the peer must be told of it and of the present one.
    smallest_untold: Option<u32>,
    /// How often the table's size was changed, wrapping.
    resizes: u32,
}

/// What the meaning of what is written depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EncoderState {
    inserted: u32,
    resizes: u32,
}

/// A field that is not the one which was guessed.
struct Line<'a> {
    name: &'a [u8],
    value: &'a [u8],
    known: Option<KnownName>,
    indexing: Indexing,
}

impl Encoder {
    /// An encoder that holds at most so much in its table; 0 is no table. It allocates when the first field goes in.
    pub fn new(table_bytes_max: u32) -> Encoder {
        let mut encoder = Encoder {
            table: Table::new(TABLE_BYTES_INITIAL),
            lookup: Lookup::new(),
            succession: Succession::default(),
            seen: [0; SEEN_COUNT],
            table_bytes_max,
            smallest_untold: None,
            resizes: 0,
        };
        encoder.set_peer_max(TABLE_BYTES_INITIAL);
        encoder
    }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE. Never within a block: the next thing encoded begins with the new sizes (RFC
    /// 7541 section 4.2).
    pub fn set_peer_max(&mut self, bytes: u32) {
        let size_max = bytes.min(self.table_bytes_max);
        if size_max != self.table.size_max() {
            let smallest = self.smallest_untold.unwrap_or(size_max);
            self.smallest_untold = Some(smallest.min(size_max));
            self.table.set_size_max(size_max);
            self.resizes = self.resizes.wrapping_add(1);
        }
    }

    /// What the meaning of what is written depends on: while it stays the same, a block that was written may be written again
    /// as it is. None where a block must begin with new sizes.
    #[inline]
    pub fn state(&self) -> Option<EncoderState> {
        let state = EncoderState {
            inserted: self.table.inserted(),
            resizes: self.resizes,
        };
        self.smallest_untold.is_none().then_some(state)
    }

    /// Gives back the memory that is not in use: of a connection that is idle. It then holds the table's size at most.
    pub fn release_memory(&mut self) {
        self.table.release_memory();
        self.succession.forget();
        self.lookup = Lookup::new();
    }

    /// What the table's fields count now, for logs and metrics.
    pub fn table_bytes(&self) -> u32 {
        self.table.size()
    }

    /// How many fields the table holds now.
    pub fn table_fields(&self) -> usize {
        self.table.len()
    }

    /// The fields in the table, the newest first.
    pub fn table(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let entries = (0..).map_while(|age| self.table.entry(age));
        entries.map(|entry| (self.table.name(entry), self.table.value(entry)))
    }

    /// Writes `:status`, with which a response's block begins.
    #[inline]
    pub fn encode_status(&mut self, code: u16, out: &mut Vec<u8>) {
        let index = match code {
            200 => 8,
            204 => 9,
            206 => 10,
            304 => 11,
            400 => 12,
            404 => 13,
            500 => 14,
            _ => return self.encode_rare_status(code, out),
        };
        self.tell_sizes(out);
        self.succession.begin();
        out.push(INDEXED.0 | index);
    }

    fn encode_rare_status(&mut self, code: u16, out: &mut Vec<u8>) {
        self.succession.begin();
        let digits = [100, 10, 1].map(|place| b'0' + (code / place % 10) as u8);
        self.encode_field(b":status", &digits, Indexing::Wanted, out);
    }

    /// Writes a field; its name in lower case.
    #[inline]
    pub fn encode_field(
        &mut self,
        name: &[u8],
        value: &[u8],
        indexing: Indexing,
        out: &mut Vec<u8>,
    ) {
        debug_assert!(!name.iter().any(u8::is_ascii_uppercase));
        if !self.encode_guessed(name, value, indexing, out) {
            self.encode_other(name, value, indexing, out);
        }
    }

    /// Writes a field that was prepared for many connections.
    #[inline]
    pub fn encode_prepared(&mut self, field: &Prepared, out: &mut Vec<u8>) {
        if !self.encode_guessed(field.name(), field.value(), field.indexing(), out) {
            self.encode_other_prepared(field, out);
        }
    }

    /// Writes `content-length`. Longer than the shortest way to write it by no byte; and as it is never found in the table,
    /// nobody looks there.
    #[inline]
    pub fn encode_content_length(&mut self, length: u64, out: &mut Vec<u8>) {
        const INDEX: u8 = KnownName::CONTENT_LENGTH.number();
        self.tell_sizes(out);
        // The index does not fit in its four bits.
        out.extend_from_slice(&[OUTSIDE.0 | 0x0f, INDEX - 0x0f]);
        huffman::encode_number(length, out);
    }

    /// Writes the field if it is the one that was to be expected, and says whether it is.
    #[inline]
    fn encode_guessed(
        &mut self,
        name: &[u8],
        value: &[u8],
        indexing: Indexing,
        out: &mut Vec<u8>,
    ) -> bool {
        // What the caller wants out of the table is not looked for there, should another call have put it in.
        !matches!(indexing, Indexing::Never | Indexing::Without)
            && self.encode_if_next(name, value, out)
    }

    /// The leaf of nearly every call: it calls nothing, for saving registers would be a third of it. So where sizes must be
    /// told first, or the output must grow, it leaves the field to others.
    #[inline(never)]
    fn encode_if_next(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) -> bool {
        let next = self.succession.guess();
        let age = self.table.inserted().wrapping_sub(next.number);
        if name.len() != usize::from(next.name_len)
            || value.len() != usize::from(next.value_len)
            || age as usize >= self.table.len()
            || age >= INDEX_MORE - (ENTRIES_COUNT + 1)
            || self.smallest_untold.is_some()
            || out.len() == out.capacity()
            || !self.table.has_at(next.start, name, value)
        {
            return false;
        }
        self.succession.confirm(next.number);
        out.push(INDEXED.0 | (ENTRIES_COUNT + 1 + age) as u8);
        true
    }

    #[inline(never)]
    fn encode_other(&mut self, name: &[u8], value: &[u8], indexing: Indexing, out: &mut Vec<u8>) {
        let known = KnownName::of(name);
        let line = Line {
            name,
            value,
            known,
            indexing: indexing.of(known, value),
        };
        let strings = |out: &mut Vec<u8>| {
            if known.and_then(KnownName::static_index).is_none() {
                encode_string(name, out);
            }
            encode_string(value, out);
        };
        self.encode_line(&line, || lookup::hash(name, value), strings, out);
    }

    #[inline(never)]
    fn encode_other_prepared(&mut self, field: &Prepared, out: &mut Vec<u8>) {
        let (value, known) = (field.value(), field.known_name());
        let line = Line {
            name: field.name(),
            value,
            known,
            indexing: field.indexing().of(known, value),
        };
        let strings = |out: &mut Vec<u8>| out.extend_from_slice(field.strings());
        self.encode_line(&line, || field.hash(), strings, out);
    }

    /// Writes a field about whose name all is known, with `strings` for its strings where they are needed.
    #[inline]
    fn encode_line(
        &mut self,
        line: &Line<'_>,
        hash: impl FnOnce() -> u32,
        strings: impl FnOnce(&mut Vec<u8>),
        out: &mut Vec<u8>,
    ) {
        self.tell_sizes(out);
        if matches!(line.indexing, Indexing::Never | Indexing::Without) {
            if !encode_static(line, out) {
                encode_name(line, false, out);
                strings(out);
            }
            return;
        }
        let hash = hash();
        if let Some(age) = self.find(line, hash) {
            self.expect_again(age);
            integer::encode(ENTRIES_COUNT + 1 + age, INDEXED.1, INDEXED.0, out);
        } else if !encode_static(line, out) {
            let goes_in =
                self.fits(line) && (line.indexing == Indexing::Wanted || self.was_seen(hash));
            encode_name(line, goes_in, out);
            strings(out);
            if goes_in {
                self.put_in(line, hash, out);
            }
        }
    }

    /// How many fields went into the table after this one, if it is there.
    fn find(&mut self, line: &Line<'_>, hash: u32) -> Option<u32> {
        if self.lookup.is_empty() && self.table.len() > 0 {
            self.note_all();
        }
        let inserted = self.table.inserted();
        let number = self.lookup.find(hash, |number| {
            let age = inserted.wrapping_sub(number);
            self.table.has(age, line.name, line.value)
        })?;
        Some(inserted.wrapping_sub(number))
    }

    /// Fields that were there before memory was given back can be found again.
    #[cold]
    fn note_all(&mut self) {
        let inserted = self.table.inserted();
        for age in (0..self.table.len() as u32).rev() {
            if let Some(entry) = self.table.entry(age) {
                let hash = lookup::hash(self.table.name(entry), self.table.value(entry));
                let number = inserted.wrapping_sub(age);
                self.lookup.note(hash, number, self.table_bytes_max);
            }
        }
    }

    #[inline(never)]
    fn put_in(&mut self, line: &Line<'_>, hash: u32, out: &mut Vec<u8>) {
        let (name_len, value_len) = (line.name.len(), line.value.len());
        let moves = self.table.moves();
        if self.table.make_room(name_len, value_len, None, out) {
            self.table
                .insert(Name::Text(line.name), line.value, line.known);
            self.lookup
                .note(hash, self.table.inserted(), self.table_bytes_max);
            if self.table.moves() != moves {
                self.succession.forget();
            }
            self.expect_again(0);
        }
    }

    /// Notes that a field of the table has just been written.
    fn expect_again(&mut self, age: u32) {
        let next = self.table.entry(age).and_then(|entry| {
            Some(Next {
                number: self.table.inserted().wrapping_sub(age),
                start: entry.name_place().offset,
                name_len: u16::try_from(entry.name_len()).ok()?,
                value_len: u16::try_from(entry.value_len()).ok()?,
            })
        });
        if let Some(next) = next {
            self.succession.note(next);
        }
    }

    /// Whether a field leaves some of the table to others: one that fills it is not worth what it evicts.
    fn fits(&self, line: &Line<'_>) -> bool {
        let size = line.name.len() as u64 + line.value.len() as u64 + u64::from(FIELD_OVERHEAD);
        size <= u64::from(self.table.size_max()) / 4 * 3
    }

    /// Whether a field was sent before, and not too many others since.
    fn was_seen(&mut self, hash: u32) -> bool {
        let slot = &mut self.seen[hash as usize % SEEN_COUNT];
        *slot == hash || {
            *slot = hash;
            false
        }
    }

    /// Begins the block with the table's new sizes, if there are any: the smallest, then the final one.
    #[inline]
    fn tell_sizes(&mut self, out: &mut Vec<u8>) {
        if let Some(smallest) = self.smallest_untold {
            self.smallest_untold = None;
            encode_sizes(smallest, self.table.size_max(), out);
        }
    }
}

/// Writes a field of the static table, and says whether it is one.
#[inline]
fn encode_static(line: &Line<'_>, out: &mut Vec<u8>) -> bool {
    if line.indexing == Indexing::Never {
        return false;
    }
    let pair = line
        .known
        .and_then(|known| StaticPair::of(known, line.value));
    if let Some(pair) = pair {
        out.push(INDEXED.0 | pair.index());
    }
    pair.is_some()
}

/// Writes what stands before a field's strings.
#[inline]
fn encode_name(line: &Line<'_>, goes_in: bool, out: &mut Vec<u8>) {
    let (pattern, index_bits) = match line.indexing {
        Indexing::Never => NEVER,
        _ if goes_in => INTO_TABLE,
        _ => OUTSIDE,
    };
    let name_index = line.known.and_then(KnownName::static_index).unwrap_or(0);
    integer::encode(name_index, index_bits, pattern, out);
}

#[cold]
fn encode_sizes(smallest: u32, size_max: u32, out: &mut Vec<u8>) {
    if smallest < size_max {
        integer::encode(smallest, SIZE_UPDATE.1, SIZE_UPDATE.0, out);
    }
    integer::encode(size_max, SIZE_UPDATE.1, SIZE_UPDATE.0, out);
}

/// Below this a string's length is one byte, whichever way it is written.
const SHORT_LEN: usize = 127;

/// Writes a string (RFC 7541 section 5.2), coded if that is shorter.
pub(super) fn encode_string(text: &[u8], out: &mut Vec<u8>) {
    if text.len() < SHORT_LEN {
        encode_short_string(text, out);
        return;
    }
    let encoded_len = huffman::encoded_len(text);
    if encoded_len < text.len() {
        integer::encode(encoded_len as u32, 7, 0x80, out);
        huffman::encode(text, out);
    } else {
        integer::encode(text.len() as u32, 7, 0x00, out);
        out.extend_from_slice(text);
    }
}

/// Finding out how long the code is costs half as much as writing it, so it is written in any case.
fn encode_short_string(text: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.push(0);
    huffman::encode(text, out);
    let encoded_len = out.len() - start - 1;
    if encoded_len < text.len() {
        out[start] = 0x80 | encoded_len as u8;
    } else {
        out.truncate(start);
        out.push(text.len() as u8);
        out.extend_from_slice(text);
    }
}
