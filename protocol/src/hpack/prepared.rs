//! A field that many connections send alike: hashed and coded once, as the date once a second.

use super::indexing::Indexing;
use super::known_name::KnownName;
use super::{encoder, lookup};

/// A field with everything worked out that does not depend on a connection's table. A worker makes its date line once a
/// second with [`Prepared::set_value`]; a connection then sends it for the price of a look into its table, or of a copy.
#[derive(Clone, Debug)]
pub struct Prepared {
    name: Vec<u8>,
    value: Vec<u8>,
    indexing: Indexing,
    known: Option<KnownName>,
    hash: u32,
    /// The name as a string, if it is in no static table, and the value as one.
    strings: Vec<u8>,
}

impl Prepared {
    /// A field; its name in lower case.
    pub fn new(name: &[u8], value: &[u8], indexing: Indexing) -> Prepared {
        let mut prepared = Prepared {
            name: name.to_vec(),
            value: Vec::new(),
            indexing,
            known: KnownName::of(name),
            hash: 0,
            strings: Vec::new(),
        };
        prepared.set_value(value);
        prepared
    }

    /// Gives it another value.
    pub fn set_value(&mut self, value: &[u8]) {
        self.value.clear();
        self.value.extend_from_slice(value);
        self.hash = lookup::hash(&self.name, value);
        self.strings.clear();
        if self.known.and_then(KnownName::static_index).is_none() {
            encoder::encode_string(&self.name, &mut self.strings);
        }
        encoder::encode_string(value, &mut self.strings);
    }

    /// The field's value.
    #[inline]
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    #[inline]
    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    #[inline]
    pub(super) fn hash(&self) -> u32 {
        self.hash
    }

    #[inline]
    pub(super) fn indexing(&self) -> Indexing {
        self.indexing
    }

    #[inline]
    pub(super) fn known_name(&self) -> Option<KnownName> {
        self.known
    }

    #[inline]
    pub(super) fn strings(&self) -> &[u8] {
        &self.strings
    }
}
