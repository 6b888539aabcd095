//! Which field of the encoder's table was written after which: responses are much alike, and their fields come in the same
//! order.
//!
//! It only guesses. Whether the field that it names is still in the table, and the one to be written, is for the caller to
//! see; that is cheaper than to find a field by its hash, which must be made from all of its text first. Where the text lies
//! is noted too, so that it can be compared without asking the table; hence all is to be forgotten when text moves.

/// How many fields have a successor. Where two share a place, one of them is found by hash.
const PLACES_COUNT: usize = 16;

/// A field that may come next. As it was made, it is one that is in no table.
#[derive(Clone, Copy, Default)]
pub(super) struct Next {
    /// As which one it went into the table.
    pub(super) number: u32,
    /// Where its text begins, the value behind the name.
    pub(super) start: u32,
    pub(super) name_len: u16,
    pub(super) value_len: u16,
}

/// What came after what.
#[derive(Default)]
pub(super) struct Succession {
    /// By the number of the field before it, and 0 at the beginning of a block. None before the first is noted.
    after: Vec<Next>,
    last: u32,
}

impl Succession {
    /// A block begins.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.last = 0;
    }

    /// The field that comes next, perhaps.
    #[inline]
    pub(super) fn guess(&self) -> Next {
        let place = self.last as usize % PLACES_COUNT;
        self.after.get(place).copied().unwrap_or_default()
    }

    /// The guess was right.
    #[inline]
    pub(super) fn confirm(&mut self, number: u32) {
        self.last = number;
    }

    /// Another field came.
    pub(super) fn note(&mut self, next: Next) {
        if self.after.is_empty() {
            self.after = vec![Next::default(); PLACES_COUNT];
        }
        self.after[self.last as usize % PLACES_COUNT] = next;
        self.last = next.number;
    }

    /// Text was moved. The memory is given back too, for that happens seldom.
    pub(super) fn forget(&mut self) {
        *self = Succession::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_after_a_field_is_guessed_to_come_again() {
        let mut succession = Succession::default();
        for numbers in [[5, 3, 4, 6], [5, 4, 3, 1], [u32::MAX, 1, 2, 3]] {
            for round in 0..2 {
                succession.begin();
                for number in numbers {
                    if round == 1 {
                        assert_eq!(succession.guess().number, number);
                        succession.confirm(number);
                        continue;
                    }
                    succession.note(Next {
                        number,
                        ..Next::default()
                    });
                }
            }
        }
        succession.forget();
        assert_eq!(succession.guess().number, 0);
    }
}
