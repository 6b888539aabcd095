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

/// The count of one field section. All of it is signed, so that counting goes on where nothing is left.
pub(super) struct Tally<'a> {
    bounds: &'a Bounds,
    /// Of the names and values, and 32 for each field; those that were not reported count too.
    list_bytes_left: i64,
    fields_left: i64,
    /// [`Bounds::field_bytes_max`], and less than any field has once a bound was passed: then nothing is reported.
    field_bytes_max: i64,
    /// The first bound that was passed.
    pub(super) exceeded: Option<Exceeded>,
}

impl<'a> Tally<'a> {
    #[inline]
    pub(super) fn new(bounds: &'a Bounds) -> Tally<'a> {
        Tally {
            bounds,
            list_bytes_left: i64::from(bounds.list_bytes_max),
            fields_left: i64::from(bounds.fields_max),
            field_bytes_max: i64::from(bounds.field_bytes_max),
            exceeded: None,
        }
    }

    /// How many fields there were. A block has fewer of them than bytes.
    #[inline]
    pub(super) fn fields(&self) -> u32 {
        (i64::from(self.bounds.fields_max) - self.fields_left) as u32
    }

    /// What their names and values came to, and 32 for each.
    #[inline]
    pub(super) fn list_bytes(&self) -> u64 {
        (i64::from(self.bounds.list_bytes_max) - self.list_bytes_left) as u64
    }

    /// How many bytes of name and value the next field may have; none once a bound was passed.
    #[inline]
    pub(super) fn room(&self) -> usize {
        if self.fields_left <= 0 {
            return 0;
        }
        (self.list_bytes_left - i64::from(FIELD_OVERHEAD))
            .min(self.field_bytes_max)
            .max(0) as usize
    }

    /// Counts a field, and says whether it is to be reported.
    #[inline]
    pub(super) fn admit(&mut self, name_len: usize, value_len: usize) -> bool {
        let field_bytes = (name_len + value_len) as i64;
        self.list_bytes_left -= field_bytes + i64::from(FIELD_OVERHEAD);
        self.fields_left -= 1;
        let field_bytes_left = self.field_bytes_max - field_bytes;
        // One sign for all three.
        let admitted = self.list_bytes_left | self.fields_left | field_bytes_left >= 0;
        if !admitted {
            self.exceed(field_bytes);
        }
        admitted
    }

    #[cold]
    fn exceed(&mut self, field_bytes: i64) {
        if self.exceeded.is_none() {
            self.exceeded = Some(if field_bytes > self.field_bytes_max {
                Exceeded::FieldBytes
            } else if self.fields_left < 0 {
                Exceeded::Fields
            } else {
                Exceeded::ListBytes
            });
            self.field_bytes_max = -1;
        }
    }
}
