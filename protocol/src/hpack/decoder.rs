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
        let mut tally = Tally::new(bounds);
        let mut rest = self.take_size_updates(block)?;
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            let field = if first >= 0x80 {
                let index = u32::from(first & 0x7f);
                let index = if index < 0x7f {
                    index
                } else {
                    let mut more = rest;
                    let index = integer::decode(first, 7, &mut more)?;
                    rest = more;
                    index
                };
                self.indexed(index, &mut tally, text)?
            } else {
                // By a copy, so that no one else points to `rest` and it is kept in registers.
                let mut more = rest;
                let field = self.spelled_out(first, &mut more, &mut tally, text)?;
                rest = more;
                field
            };
            if let Some(field) = field {
                report(field, text);
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

    /// A field of either table (RFC 7541 section 6.1).
    #[inline(always)]
    fn indexed(
        &self,
        index: u32,
        tally: &mut Tally<'_>,
        text: &mut Vec<u8>,
    ) -> Result<Option<Field>, Fault> {
        let start = text.len();
        let (name_len, value_len, name, pair);
        if let Some(entry) = static_table::Entry::at(index) {
            let both = entry.name_and_value();
            name_len = entry.name().len();
            value_len = both.len() - name_len;
            if !tally.admit(name_len, value_len) {
                return Ok(None);
            }
            name = entry.known_name();
            pair = StaticPair::at(index);
            text.extend_from_slice(both);
        } else {
            let entry = match index.checked_sub(ENTRIES_COUNT + 1) {
                Some(age) => self.table.entry(age).ok_or(Fault::IndexBeyondTable)?,
                None => return Err(Fault::IndexZero),
            };
            name_len = entry.name_len();
            value_len = entry.value_len();
            if !tally.admit(name_len, value_len) {
                return Ok(None);
            }
            name = entry.known;
            pair = None;
            self.table.copy_out(entry, text);
        }
        Ok(Some(Field {
            span: field_span(start, name_len, value_len),
            name,
            pair,
            never_indexed: false,
        }))
    }

    /// A field by its text, or its value's (RFC 7541 section 6.2).
    #[inline(never)]
    fn spelled_out(
        &mut self,
        first: u8,
        rest: &mut &[u8],
        tally: &mut Tally<'_>,
        text: &mut Vec<u8>,
    ) -> Result<Option<Field>, Fault> {
        match first {
            0x40.. => self.literal_into_table(first, rest, tally, text),
            0x20.. => Err(Fault::SizeUpdateLate),
            _ => self.literal(first, rest, tally, text),
        }
    }

    /// A field that does not go into the table (RFC 7541 sections 6.2.2 and 6.2.3).
    fn literal(
        &mut self,
        first: u8,
        rest: &mut &[u8],
        tally: &mut Tally<'_>,
        text: &mut Vec<u8>,
    ) -> Result<Option<Field>, Fault> {
        let start = text.len();
        let room = tally.room();
        let index = integer::decode(first, 4, rest)?;
        let name = match index {
            0 => ReadName::spelled_out(take_string(rest, room, text)?, start, text),
            _ => {
                let name = self.name_at(index)?;
                if name.len <= room {
                    text.extend_from_slice(self.name_text(&name));
                }
                name
            }
        };
        let value_len = take_string(rest, room.saturating_sub(name.len), text)?;
        Ok(if tally.admit(name.len, value_len) {
            Some(Field {
                span: field_span(start, name.len, value_len),
                name: name.known,
                pair: None,
                never_indexed: first & 0x10 != 0,
            })
        } else {
            text.truncate(start);
            None
        })
    }

    /// A field that goes into the table (RFC 7541 section 6.2.1), if it fits.
    fn literal_into_table(
        &mut self,
        first: u8,
        rest: &mut &[u8],
        tally: &mut Tally<'_>,
        text: &mut Vec<u8>,
    ) -> Result<Option<Field>, Fault> {
        let start = text.len();
        let told_room = tally.room();
        // The text is needed if the field is reported, and also if it goes into the table.
        let room = told_room.max(self.table.size_max() as usize);
        let index = integer::decode(first, 6, rest)?;
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
        let held = match &mut name.source {
            NameSource::Table(place) => Some(place),
            NameSource::Text | NameSource::Static(_) => None,
        };
        if self.table.make_room(name.len, value_len, held, text) {
            let source = match name.source {
                NameSource::Text => Name::Text(&text[start..value_start]),
                NameSource::Static(text) => Name::Text(text),
                NameSource::Table(place) => Name::Held(place),
            };
            self.table.insert(source, &text[value_start..], name.known);
        }
        Ok(if tally.admit(name.len, value_len) {
            Some(Field {
                span: field_span(start, name.len, value_len),
                name: name.known,
                pair: None,
                never_indexed: false,
            })
        } else {
            text.truncate(start);
            None
        })
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
