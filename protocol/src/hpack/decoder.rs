//! Reads field blocks (RFC 7541 sections 3 and 6).
//!
//! A block may stand for far more than its own bytes, so its bounds are held while it is read: past one of them nothing is
//! copied or reported any more, but the dynamic table goes on being kept, for the blocks of other streams need it (RFC 9113
//! section 10.5.1).

use super::fault::Fault;
use super::known_name::KnownName;
use super::static_table::{self, ENTRIES_COUNT, StaticPair};
use super::table::{Name, Table};
use super::tally::{Bounds, Exceeded, Tally};
use super::{huffman, integer};
use crate::field::FieldSpan;
use crate::span::Span;

/// How many table sizes may stand at the beginning of a block: the smallest since the last block, and the final one (RFC
/// 7541 section 4.2).
const SIZE_UPDATES_MAX: u32 = 2;

/// A field as it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Where name and value stand in the text.
    pub span: FieldSpan,
    /// The name, if it is one that the server knows.
    pub name: Option<KnownName>,
    /// The whole field, if it came as an index of the static table.
    pub pair: Option<StaticPair>,
    /// Whether the peer asks for it never to be indexed, here or on the next hop (RFC 7541 section 6.2.3).
    pub never_indexed: bool,
    /// Whether it comes from the table, and was found in order when it was reported before ([`Decoder::decode_judged`]).
    pub judged: bool,
}

/// What a block came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decoded {
    /// How many fields there were, reported or not.
    pub fields: u32,
    /// What their names and values came to, and 32 for each.
    pub list_bytes: u64,
    /// The first bound that was passed; the field that passed it and those after it were not reported.
    pub exceeded: Option<Exceeded>,
}

/// Reads the field blocks of one direction of a connection.
pub struct Decoder {
    table: Table,
    /// What the peer may make of its table, by our SETTINGS.
    table_bytes_max: u32,
    /// The smallest bound that our SETTINGS set since the last block, if that was below the table's size: the next block
    /// begins with a size that is at most this.
    owed_size_max: Option<u32>,
}

impl Decoder {
    /// A decoder whose table is what the peer takes it for before it knows our SETTINGS:
    /// [`TABLE_BYTES_INITIAL`](super::TABLE_BYTES_INITIAL) on a new connection. It allocates when the first field goes into
    /// the table, and holds twice its size at most, and 20 bytes a field.
    pub fn new(table_bytes_max: u32) -> Decoder {
        Decoder {
            table: Table::new(table_bytes_max),
            table_bytes_max,
            owed_size_max: None,
        }
    }

    /// Sets what the peer may make of its table: our SETTINGS_HEADER_TABLE_SIZE, once the peer has acknowledged it. If that
    /// is less than its table has now, the next block must begin with a new size (RFC 7541 section 4.2).
    pub fn set_max(&mut self, table_bytes_max: u32) {
        self.table_bytes_max = table_bytes_max;
        if table_bytes_max < self.table.size_max() {
            let owed = self.owed_size_max.unwrap_or(u32::MAX);
            self.owed_size_max = Some(owed.min(table_bytes_max));
        }
    }

    /// Gives back the memory that is not in use: of a connection that is idle. It then holds the table's size at most.
    pub fn release_memory(&mut self) {
        self.table.release_memory();
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

    /// Reads one complete block. The names and values are appended to `text`, and each field is told to `report` when it is
    /// there, together with all of `text`, in which its spans lie. What `text` held before is kept and not counted;
    /// beyond that it holds at most [`Bounds::list_bytes_max`], and what fits into the table while the block is being read.
    ///
    /// # Errors
    /// What is wrong with the block: an error of the connection, for the table is of no use afterwards. Fields before the
    /// place have been reported.
    pub fn decode(
        &mut self,
        block: &[u8],
        bounds: &Bounds,
        text: &mut Vec<u8>,
        mut report: impl FnMut(Field, &[u8]),
    ) -> Result<Decoded, Fault> {
        self.decode_judged(block, bounds, text, |field, text| {
            report(field, text);
            false
        })
    }

    /// Reads a block that nobody wants, for what it does to the table. Nothing is copied or reported, and `text` is empty
    /// afterwards.
    ///
    /// # Errors
    /// As [`Decoder::decode`].
    pub fn pass_over(&mut self, block: &[u8], text: &mut Vec<u8>) -> Result<(), Fault> {
        const UNWANTED: Bounds = Bounds {
            list_bytes_max: 0,
            field_bytes_max: 0,
            fields_max: 0,
        };
        self.decode(block, &UNWANTED, text, |_, _| {})?;
        text.clear();
        Ok(())
    }

    /// As [`Decoder::decode`], for whoever judges fields: `report` says whether this name with this value is in order, whatever else is in
    /// the block. A field of the table of which that was said once comes with [`Field::judged`] from then on, and need not be
    /// looked at again.
    ///
    /// # Errors
    /// As [`Decoder::decode`].
    pub fn decode_judged(
        &mut self,
        block: &[u8],
        bounds: &Bounds,
        text: &mut Vec<u8>,
        mut report: impl FnMut(Field, &[u8]) -> bool,
    ) -> Result<Decoded, Fault> {
        let mut tally = Tally::new(bounds);
        let mut rest = self.take_size_updates(block)?;
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            let start = text.len();
            let found = if first >= 0x80 {
                let mut index = u32::from(first & 0x7f);
                if index == 0x7f {
                    // By a copy, so that no one else points to `rest` and it is kept in registers.
                    let mut more = rest;
                    index = integer::decode(first, 7, &mut more)?;
                    rest = more;
                }
                self.indexed(index, &mut tally, text)?
            } else {
                let mut more = rest;
                let found = self.spelled_out(first, &mut more, &mut tally, text)?;
                rest = more;
                found
            };
            // In one place, for it is much code, and calling it would cost as much as most of what it does.
            let Some(found) = found else {
                continue;
            };
            let field = Field {
                span: field_span(start, found.name_len, found.value_len),
                name: found.known,
                pair: found.pair,
                never_indexed: found.never_indexed,
                judged: found.judged,
            };
            if report(field, text)
                && !found.judged
                && let Some(age) = found.age
            {
                self.table.note_judged(age);
            }
        }
        Ok(Decoded {
            fields: tally.fields(),
            list_bytes: tally.list_bytes(),
            exceeded: tally.exceeded,
        })
    }

    /// The new table sizes at the beginning (RFC 7541 section 6.3). An empty block owes none: nothing in it could be
    /// misunderstood.
    #[inline]
    fn take_size_updates<'a>(&mut self, block: &'a [u8]) -> Result<&'a [u8], Fault> {
        let mut rest = block;
        let mut updates = 0;
        while let Some((&first @ 0x20..0x40, after)) = rest.split_first() {
            rest = after;
            let size = integer::decode(first, 5, &mut rest)?;
            updates += 1;
            if updates > SIZE_UPDATES_MAX {
                return Err(Fault::SizeUpdatesTooMany);
            }
            let size_max = self.owed_size_max.take().unwrap_or(self.table_bytes_max);
            if size > size_max.min(self.table_bytes_max) {
                return Err(Fault::SizeUpdateAboveBound);
            }
            self.table.set_size_max(size);
        }
        if self.owed_size_max.is_some() && !rest.is_empty() {
            return Err(Fault::SizeUpdateMissing);
        }
        Ok(rest)
    }

    /// A field of either table (RFC 7541 section 6.1). None if it is not to be reported.
    #[inline(always)]
    fn indexed(
        &self,
        index: u32,
        tally: &mut Tally<'_>,
        text: &mut Vec<u8>,
    ) -> Result<Option<Found>, Fault> {
        if let Some(entry) = static_table::Entry::at(index) {
            let both = entry.name_and_value();
            let name_len = entry.name().len();
            let value_len = both.len() - name_len;
            if !tally.admit(name_len, value_len) {
                return Ok(None);
            }
            text.extend_from_slice(both);
            return Ok(Some(Found {
                name_len,
                value_len,
                known: entry.known_name(),
                pair: StaticPair::at(index),
                never_indexed: false,
                judged: false,
                age: None,
            }));
        }
        let age = index
            .checked_sub(ENTRIES_COUNT + 1)
            .ok_or(Fault::IndexZero)?;
        let entry = self.table.entry(age).ok_or(Fault::IndexBeyondTable)?;
        let (name_len, value_len) = (entry.name_len(), entry.value_len());
        if !tally.admit(name_len, value_len) {
            return Ok(None);
        }
        self.table.copy_out(entry, text);
        Ok(Some(Found {
            name_len,
            value_len,
            known: entry.known,
            pair: None,
            never_indexed: false,
            judged: entry.judged,
            age: Some(age),
        }))
    }

    /// A field by its text, or its value's (RFC 7541 section 6.2). None if it is not to be reported.
    #[inline(never)]
    fn spelled_out(
        &mut self,
        first: u8,
        rest: &mut &[u8],
        tally: &mut Tally<'_>,
        text: &mut Vec<u8>,
    ) -> Result<Option<Found>, Fault> {
        let (into_table, index_bits) = match first {
            0x40.. => (true, 6),
            0x20.. => return Err(Fault::SizeUpdateLate),
            _ => (false, 4),
        };
        let start = text.len();
        let told_room = tally.room();
        let room = if into_table {
            // The text is needed if the field is reported, and also if it goes into the table.
            told_room.max(self.table.size_max() as usize)
        } else {
            told_room
        };
        let index = integer::decode(first, index_bits, rest)?;
        let mut name = match index {
            0 => ReadName::spelled_out(take_string(rest, room, text)?, start, text),
            _ => {
                let name = self.name_at(index)?;
                // For the table it is taken from where it is.
                if name.len <= told_room {
                    text.extend_from_slice(self.name_text(&name));
                }
                name
            }
        };
        let value_start = text.len();
        let value_len = take_string(rest, room.saturating_sub(name.len), text)?;
        let is_newest = into_table && self.put_in(&mut name, start, value_start, value_len, text);
        if !tally.admit(name.len, value_len) {
            text.truncate(start);
            return Ok(None);
        }
        Ok(Some(Found {
            name_len: name.len,
            value_len,
            known: name.known,
            pair: None,
            never_indexed: first & 0xf0 == 0x10,
            judged: false,
            age: is_newest.then_some(0),
        }))
    }

    /// Puts a field into the table, and says whether it went in. A name that was spelled out stands at `start` of the text, the
    /// value at `value_start`.
    fn put_in(
        &mut self,
        name: &mut ReadName,
        start: usize,
        value_start: usize,
        value_len: usize,
        text: &mut Vec<u8>,
    ) -> bool {
        let held = match &mut name.source {
            NameSource::Table(place) => Some(place),
            NameSource::Text | NameSource::Static(_) => None,
        };
        let fits = self.table.make_room(name.len, value_len, held, text);
        if fits {
            let source = match name.source {
                NameSource::Text => Name::Text(&text[start..value_start]),
                NameSource::Static(text) => Name::Text(text),
                NameSource::Table(place) => Name::Held(place),
            };
            self.table.insert(source, &text[value_start..], name.known);
        }
        fits
    }

    /// The name that an index other than 0 stands for.
    #[inline]
    fn name_at(&self, index: u32) -> Result<ReadName, Fault> {
        if let Some(entry) = static_table::Entry::at(index) {
            return Ok(ReadName {
                len: entry.name().len(),
                known: entry.known_name(),
                source: NameSource::Static(entry.name()),
            });
        }
        let entry = index
            .checked_sub(ENTRIES_COUNT + 1)
            .and_then(|age| self.table.entry(age))
            .ok_or(Fault::IndexBeyondTable)?;
        Ok(ReadName {
            len: entry.name_len(),
            known: entry.known,
            source: NameSource::Table(entry.name_place()),
        })
    }

    /// The text of a name that came as an index.
    #[inline]
    fn name_text(&self, name: &ReadName) -> &[u8] {
        match name.source {
            NameSource::Text => &[],
            NameSource::Static(text) => text,
            NameSource::Table(place) => self.table.text_at(place),
        }
    }
}

/// A field that is to be reported; its name and value are the last in the text.
struct Found {
    name_len: usize,
    value_len: usize,
    known: Option<KnownName>,
    pair: Option<StaticPair>,
    never_indexed: bool,
    judged: bool,
    /// Which one of the table it is, if it is there.
    age: Option<u32>,
}

/// The name of a literal field.
struct ReadName {
    len: usize,
    known: Option<KnownName>,
    source: NameSource,
}

enum NameSource {
    /// It was spelled out, and stands in the text.
    Text,
    Static(&'static [u8]),
    /// It is that of a field in the table.
    Table(Span),
}

impl ReadName {
    /// A name of `len` bytes, which stands in `text` from `start` on unless it was too long.
    #[inline]
    fn spelled_out(len: usize, start: usize, text: &[u8]) -> ReadName {
        let name = &text[start..];
        ReadName {
            len,
            known: if name.len() == len {
                KnownName::of(name)
            } else {
                None
            },
            source: NameSource::Text,
        }
    }
}

/// The field whose name begins at `start`, and its value behind that.
#[inline]
fn field_span(start: usize, name_len: usize, value_len: usize) -> FieldSpan {
    FieldSpan {
        name: Span {
            offset: start as u32,
            len: name_len as u32,
        },
        value: Span {
            offset: (start + name_len) as u32,
            len: value_len as u32,
        },
    }
}

/// Takes a string off `rest` (RFC 7541 section 5.2) and appends it to `text`, if it has no more than `room` bytes. The length
/// is told in any case, and what is wrong with its code is found.
#[inline]
fn take_string(rest: &mut &[u8], room: usize, text: &mut Vec<u8>) -> Result<usize, Fault> {
    let (&first, after) = rest.split_first().ok_or(Fault::StringTruncated)?;
    *rest = after;
    let len = integer::decode(first, 7, rest)? as usize;
    let (source, after) = rest.split_at_checked(len).ok_or(Fault::StringTruncated)?;
    *rest = after;
    if first >= 0x80 {
        return huffman::decode(source, room, text);
    }
    if len <= room {
        text.extend_from_slice(source);
    }
    Ok(len)
}
