//! The static table (RFC 7541 appendix A): fields that both sides know from the beginning.

use std::num::NonZeroU8;

use super::known_name::KnownName;
use crate::words;

/// The fields from index 1 on.
pub(super) const ENTRIES: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// How many fields the table has; the dynamic table's indices begin behind it.
pub(super) const ENTRIES_COUNT: u32 = ENTRIES.len() as u32;

/// One field of the table, its name and value behind each other.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    start: u16,
    name_len: u8,
    value_len: u8,
    /// The first index with the same name.
    first: u8,
}

const TEXT_LEN: usize = {
    let mut len = 0;
    let mut at = 0;
    while at < ENTRIES.len() {
        len += ENTRIES[at].0.len() + ENTRIES[at].1.len();
        at += 1;
    }
    len
};

static TEXT: [u8; TEXT_LEN] = {
    let mut text = [0; TEXT_LEN];
    let mut len = 0;
    let mut at = 0;
    while at < ENTRIES.len() {
        let (name, value) = (ENTRIES[at].0.as_bytes(), ENTRIES[at].1.as_bytes());
        let mut byte = 0;
        while byte < name.len() + value.len() {
            text[len] = if byte < name.len() {
                name[byte]
            } else {
                value[byte - name.len()]
            };
            len += 1;
            byte += 1;
        }
        at += 1;
    }
    text
};

static PLACES: [Entry; ENTRIES.len()] = {
    let mut places = [Entry {
        start: 0,
        name_len: 0,
        value_len: 0,
        first: 0,
    }; ENTRIES.len()];
    let mut start = 0;
    let mut first = 0;
    let mut at = 0;
    while at < ENTRIES.len() {
        // Fields of the same name stand next to each other.
        if !same(ENTRIES[at].0, ENTRIES[first].0) {
            first = at;
        }
        places[at] = Entry {
            start: start as u16,
            name_len: ENTRIES[at].0.len() as u8,
            value_len: ENTRIES[at].1.len() as u8,
            first: first as u8 + 1,
        };
        start += ENTRIES[at].0.len() + ENTRIES[at].1.len();
        at += 1;
    }
    places
};

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

impl Entry {
    /// The field with this index, from 1 on.
    #[inline]
    pub(super) fn at(index: u32) -> Option<Entry> {
        PLACES.get((index as usize).wrapping_sub(1)).copied()
    }

    #[inline]
    pub(super) fn name(self) -> &'static [u8] {
        let start = usize::from(self.start);
        &TEXT[start..start + usize::from(self.name_len)]
    }

    /// Name and value without anything between them.
    #[inline]
    pub(super) fn name_and_value(self) -> &'static [u8] {
        let start = usize::from(self.start);
        &TEXT[start..start + usize::from(self.name_len) + usize::from(self.value_len)]
    }

    #[inline]
    pub(super) fn known_name(self) -> Option<KnownName> {
        KnownName::from_number(self.first)
    }
}

/// A field that was given by its index in the static table alone, name and value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StaticPair(NonZeroU8);

impl StaticPair {
    /// `:method: GET`
    pub const METHOD_GET: StaticPair = StaticPair::constant(2);
    /// `:method: POST`
    pub const METHOD_POST: StaticPair = StaticPair::constant(3);
    /// `:path: /`
    pub const PATH_ROOT: StaticPair = StaticPair::constant(4);
    /// `:path: /index.html`
    pub const PATH_INDEX: StaticPair = StaticPair::constant(5);
    /// `:scheme: http`
    pub const SCHEME_HTTP: StaticPair = StaticPair::constant(6);
    /// `:scheme: https`
    pub const SCHEME_HTTPS: StaticPair = StaticPair::constant(7);
    /// `:status: 200`
    pub const STATUS_200: StaticPair = StaticPair::constant(8);

    const fn constant(index: u8) -> StaticPair {
        match NonZeroU8::new(index) {
            Some(index) => StaticPair(index),
            None => panic!("indices begin at 1"),
        }
    }

    /// From an index that the table has.
    #[inline]
    pub(super) fn at(index: u32) -> Option<StaticPair> {
        let index = u8::try_from(index).ok().and_then(NonZeroU8::new)?;
        Some(StaticPair(index))
    }

    /// The static pair of this name and value, if there is one. Names without a value in the table have none, though their
    /// value there is the empty one: nobody sends those.
    #[inline]
    pub(super) fn of(name: KnownName, value: &[u8]) -> Option<StaticPair> {
        let first = usize::from(name.number());
        let same_name = PLACES.get(first - 1..)?;
        // Where the first has none, no other has.
        if same_name.first()?.value_len == 0 {
            return None;
        }
        same_name
            .iter()
            .take_while(|entry| usize::from(entry.first) == first)
            .position(|entry| {
                words::same(
                    &entry.name_and_value()[usize::from(entry.name_len)..],
                    value,
                )
            })
            .and_then(|offset| StaticPair::at((first + offset) as u32))
    }

    /// Its index.
    #[inline]
    pub fn index(self) -> u8 {
        self.0.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_found_by_its_index_its_name_and_its_pair() {
        for (at, (name, value)) in ENTRIES.iter().enumerate() {
            let index = at as u32 + 1;
            let entry = Entry::at(index).expect("an entry");
            assert_eq!(entry.name(), name.as_bytes());
            assert_eq!(entry.name_and_value(), format!("{name}{value}").as_bytes());
            let known = entry.known_name().expect("a known name");
            assert_eq!(known.text(), *name);
            let pair = StaticPair::of(known, value.as_bytes()).map(|pair| u32::from(pair.index()));
            assert_eq!(pair, (!value.is_empty()).then_some(index), "{name}");
        }
        assert!(Entry::at(0).is_none() && Entry::at(62).is_none() && Entry::at(u32::MAX).is_none());
    }

    #[test]
    fn a_known_name_with_another_value_is_no_pair() {
        assert_eq!(StaticPair::of(KnownName::METHOD, b"PUT"), None);
        assert_eq!(StaticPair::of(KnownName::METHOD, b""), None);
        // The first behind the table, and the last.
        assert_eq!(StaticPair::of(KnownName::PROTOCOL, b"websocket"), None);
        assert_eq!(StaticPair::of(KnownName::UPGRADE, b""), None);
        assert_eq!(
            StaticPair::of(KnownName::SCHEME, b"https"),
            Some(StaticPair::SCHEME_HTTPS)
        );
    }
}
