//! What one field section may cost, and the count of what it did.

use super::FIELD_OVERHEAD;

/// What one field section may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Of all names and values, and 32 for each field (SETTINGS_MAX_HEADER_LIST_SIZE, RFC 9113 section 6.5.2).
    pub list_bytes_max: u32,
    /// Of the name and value of one field.
    pub field_bytes_max: u32,
    /// How many fields.
    pub fields_max: u32,
}

/// The bound that a field section passed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Exceeded {
    /// [`Bounds::list_bytes_max`].
    ListBytes,
    /// [`Bounds::field_bytes_max`].
    FieldBytes,
    /// [`Bounds::fields_max`].
    Fields,
}

/// The count of one field section.
pub(super) struct Tally<'a> {
    bounds: &'a Bounds,
    /// Of names and values, and 32 for each field; those that were not reported count too.
    pub(super) list_bytes: u64,
    pub(super) fields: u32,
    /// The first bound that was passed. Once there is one, nothing is reported.
    pub(super) exceeded: Option<Exceeded>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(bounds: &'a Bounds) -> Tally<'a> {
        Tally {
            bounds,
            list_bytes: 0,
            fields: 0,
            exceeded: None,
        }
    }

    /// How many bytes of name and value the next field may have; none once a bound was passed.
    #[inline]
    pub(super) fn room(&self) -> usize {
        if self.exceeded.is_some() || self.fields >= self.bounds.fields_max {
            return 0;
        }
        // The list is within its bound, or one would have been passed.
        let list_room = u64::from(self.bounds.list_bytes_max) - self.list_bytes;
        list_room
            .saturating_sub(u64::from(FIELD_OVERHEAD))
            .min(u64::from(self.bounds.field_bytes_max)) as usize
    }

    /// Counts a field, and says whether it is to be reported.
    #[inline]
    pub(super) fn admit(&mut self, name_len: usize, value_len: usize) -> bool {
        let field_bytes = name_len as u64 + value_len as u64;
        self.list_bytes += field_bytes + u64::from(FIELD_OVERHEAD);
        // A block has fewer fields than bytes, and those are held in memory.
        self.fields = self.fields.saturating_add(1);
        if self.exceeded.is_none() {
            self.exceeded = if field_bytes > u64::from(self.bounds.field_bytes_max) {
                Some(Exceeded::FieldBytes)
            } else if self.fields > self.bounds.fields_max {
                Some(Exceeded::Fields)
            } else if self.list_bytes > u64::from(self.bounds.list_bytes_max) {
                Some(Exceeded::ListBytes)
            } else {
                None
            };
        }
        self.exceeded.is_none()
    }
}
