//! The bytes with which every client begins (RFC 9113 section 3.4), matched as they arrive.

/// What a client sends first. SETTINGS follow at once.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How far a client has come with its preface.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Preface {
    /// At most the length of `PREFACE`.
    matched: u8,
}

/// What the input so far is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PrefaceStep {
    /// All of this input belongs to the preface, and more of it is to come.
    More,
    /// The preface ends here.
    Complete {
        /// Bytes of this input that belong to it.
        consumed: usize,
    },
    /// This is no preface.
    Diverged {
        /// The first byte that is none of it, counted from the preface's beginning.
        at: usize,
    },
}

impl Preface {
    /// Nothing has come yet.
    #[must_use]
    pub const fn new() -> Preface {
        Preface { matched: 0 }
    }

    /// Takes what came next. Nothing is looked at twice; once complete it consumes nothing more, and once diverged it stays so
    /// for as long as the byte does.
    pub fn advance(&mut self, input: &[u8]) -> PrefaceStep {
        let awaited = PREFACE.get(usize::from(self.matched)..).unwrap_or_default();
        let equal = awaited
            .iter()
            .zip(input)
            .take_while(|(awaited, byte)| awaited == byte)
            .count();
        // At most 24 together.
        self.matched += equal as u8;
        if equal == awaited.len() {
            PrefaceStep::Complete { consumed: equal }
        } else if equal == input.len() {
            PrefaceStep::More
        } else {
            PrefaceStep::Diverged {
                at: usize::from(self.matched),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preface_is_complete_at_its_last_byte_however_it_is_split() {
        for split in 0..=PREFACE.len() {
            let mut preface = Preface::new();
            let mut input = PREFACE.to_vec();
            input.extend_from_slice(b"\0\0\0\x04");
            let first = preface.advance(&input[..split]);
            if split < PREFACE.len() {
                assert_eq!(first, PrefaceStep::More);
                let consumed = PREFACE.len() - split;
                assert_eq!(
                    preface.advance(&input[split..]),
                    PrefaceStep::Complete { consumed }
                );
            } else {
                assert_eq!(first, PrefaceStep::Complete { consumed: 24 });
            }
            assert_eq!(
                preface.advance(b"\0"),
                PrefaceStep::Complete { consumed: 0 }
            );
        }
    }

    #[test]
    fn one_byte_at_a_time_is_a_preface_too() {
        let mut preface = Preface::new();
        for byte in &PREFACE[..23] {
            assert_eq!(preface.advance(&[*byte]), PrefaceStep::More);
        }
        assert_eq!(
            preface.advance(b"\n"),
            PrefaceStep::Complete { consumed: 1 }
        );
    }

    #[test]
    fn any_other_byte_diverges_where_it_stands_at_every_split() {
        for at in 0..PREFACE.len() {
            for split in 0..=at {
                let mut input = *PREFACE;
                input[at] ^= 0x20;
                let mut preface = Preface::new();
                assert_eq!(preface.advance(&input[..split]), PrefaceStep::More);
                assert_eq!(
                    preface.advance(&input[split..]),
                    PrefaceStep::Diverged { at }
                );
            }
        }
    }
}
