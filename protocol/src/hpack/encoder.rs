//! Writes field blocks (RFC 7541 sections 3 and 6).
//!
//! Most of a response's fields were sent before on the connection. So the first thing tried is one look by hash into the
//! table; names, policy and coding are only looked at when that fails.

use super::indexing::Indexing;
use super::known_name::KnownName;
use super::lookup::{self, Lookup};
use super::prepared::Prepared;
use super::static_table::{ENTRIES_COUNT, StaticPair};
use super::table::{Name, Table};
use super::{FIELD_OVERHEAD, TABLE_BYTES_INITIAL, huffman, integer};

/// How many fields that were not indexed are remembered by their hash, for `Indexing::Recurring`. More than a response has.
const SEEN_COUNT: usize = 16;

/// A whole field by its index (RFC 7541 section 6.1): the pattern, and the bits left for the index.
const INDEXED: (u8, u32) = (0x80, 7);
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
    /// Hashes of fields that were sent without going into the table.
    seen: [u32; SEEN_COUNT],
    /// What we spend on the table, whatever the peer allows.
    table_bytes_max: u32,
    /// The smallest size that the table had since the last block, if the peer must be told of it and of the present one.
    smallest_untold: Option<u32>,
}

/// A field on its way out.
pub(super) struct Line<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) indexing: Indexing,
    pub(super) hash: u32,
    /// What the name is, and the strings that are to be written, if that has been found out.
    pub(super) prepared: Option<(Option<KnownName>, &'a [u8])>,
}

impl Encoder {
    /// An encoder that holds at most so much in its table; 0 is no table. It allocates when the first field goes in.
    pub fn new(table_bytes_max: u32) -> Encoder {
        let mut encoder = Encoder {
            table: Table::new(TABLE_BYTES_INITIAL),
            lookup: Lookup::new(),
            seen: [0; SEEN_COUNT],
            table_bytes_max,
            smallest_untold: None,
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
        }
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
        out.push(INDEXED.0 | index);
    }

    fn encode_rare_status(&mut self, code: u16, out: &mut Vec<u8>) {
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
        self.encode_line(
            &Line {
                name,
                value,
                indexing,
                hash: lookup::hash(name, value),
                prepared: None,
            },
            out,
        );
    }

    /// Writes a field that was prepared for many connections.
    #[inline]
    pub fn encode_prepared(&mut self, field: &Prepared, out: &mut Vec<u8>) {
        self.encode_line(&field.line(), out);
    }

    #[inline]
    fn encode_line(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        self.tell_sizes(out);
        // What the caller wants out of the table is not looked for there, should another call have put it in.
        if !matches!(line.indexing, Indexing::Never | Indexing::Without)
            && let Some(age) = self.find(line)
        {
            integer::encode(ENTRIES_COUNT + 1 + age, INDEXED.1, INDEXED.0, out);
            return;
        }
        self.encode_new(line, out);
    }

    /// How many fields went into the table after this one, if it is there.
    #[inline]
    fn find(&self, line: &Line<'_>) -> Option<u32> {
        let inserted = self.table.inserted();
        let number = self.lookup.find(line.hash, |number| {
            self.table
                .entry(inserted.wrapping_sub(number))
                .is_some_and(|entry| {
                    self.table.name(entry) == line.name && self.table.value(entry) == line.value
                })
        })?;
        Some(inserted.wrapping_sub(number))
    }

    /// Writes a field that is not in the dynamic table.
    #[inline(never)]
    fn encode_new(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        let known = match line.prepared {
            Some((known, _)) => known,
            None => KnownName::of(line.name),
        };
        let indexing = line.indexing.of(known, line.value);
        if indexing != Indexing::Never
            && let Some(pair) = known.and_then(|known| StaticPair::of(known, line.value))
        {
            out.push(INDEXED.0 | pair.index());
            return;
        }
        let goes_in = match indexing {
            Indexing::Never | Indexing::Without => false,
            Indexing::Wanted => self.fits(line),
            Indexing::ByName | Indexing::Recurring => self.fits(line) && self.was_seen(line.hash),
        };
        let (pattern, index_bits) = match indexing {
            Indexing::Never => NEVER,
            _ if goes_in => INTO_TABLE,
            _ => OUTSIDE,
        };
        let name_index = known.and_then(KnownName::static_index).unwrap_or(0);
        integer::encode(name_index, index_bits, pattern, out);
        if let Some((_, strings)) = line.prepared {
            out.extend_from_slice(strings);
        } else {
            if name_index == 0 {
                encode_string(line.name, out);
            }
            encode_string(line.value, out);
        }
        if goes_in {
            self.put_in(line, known, out);
        }
    }

    fn put_in(&mut self, line: &Line<'_>, known: Option<KnownName>, out: &mut Vec<u8>) {
        let (name_len, value_len) = (line.name.len(), line.value.len());
        if self.table.make_room(name_len, value_len, None, out) {
            self.table.insert(Name::Text(line.name), line.value, known);
            self.lookup
                .note(line.hash, self.table.inserted(), self.table_bytes_max);
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
        if let Some(smallest) = self.smallest_untold.take() {
            let size_max = self.table.size_max();
            if smallest < size_max {
                integer::encode(smallest, SIZE_UPDATE.1, SIZE_UPDATE.0, out);
            }
            integer::encode(size_max, SIZE_UPDATE.1, SIZE_UPDATE.0, out);
        }
    }
}

/// Writes a string (RFC 7541 section 5.2), coded if that is shorter.
pub(super) fn encode_string(text: &[u8], out: &mut Vec<u8>) {
    let encoded_len = huffman::encoded_len(text);
    if encoded_len < text.len() {
        integer::encode(encoded_len as u32, 7, 0x80, out);
        huffman::encode(text, out);
    } else {
        integer::encode(text.len() as u32, 7, 0x00, out);
        out.extend_from_slice(text);
    }
}
