//! A decoder with its text, as a connection holds them, and texts that are easy to compare.

use lanner_protocol::hpack::{Bounds, Decoded, Decoder, Encoder, Fault, Field};

pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// No bound that a test would meet by accident.
pub(crate) const WIDE: Bounds = Bounds {
    list_bytes_max: 1 << 24,
    field_bytes_max: 1 << 24,
    fields_max: 1 << 20,
};

pub(crate) struct Reader {
    pub(crate) decoder: Decoder,
    pub(crate) bounds: Bounds,
    pub(crate) text: Vec<u8>,
    /// The fields of the last block.
    pub(crate) fields: Vec<Field>,
}

impl Reader {
    pub(crate) fn new(table_bytes_max: u32) -> Reader {
        Reader {
            decoder: Decoder::new(table_bytes_max),
            bounds: WIDE,
            text: Vec::new(),
            fields: Vec::new(),
        }
    }

    pub(crate) fn decode(&mut self, block: &[u8]) -> Result<Decoded, Fault> {
        self.text.clear();
        self.fields.clear();
        let fields = &mut self.fields;
        self.decoder
            .decode(block, &self.bounds, &mut self.text, |field, text| {
                assert_eq!(field.span.value.end(), text.len());
                fields.push(field);
            })
    }

    /// What was reported of the last block.
    pub(crate) fn pairs(&self) -> Vec<Pair> {
        let slice = |span: lanner_protocol::Span| span.slice(&self.text).to_vec();
        self.fields
            .iter()
            .map(|field| (slice(field.span.name), slice(field.span.value)))
            .collect()
    }

    /// The fields of a block that must be good.
    pub(crate) fn read(&mut self, block: &[u8]) -> Vec<Pair> {
        let decoded = self.decode(block).unwrap();
        assert_eq!(decoded.exceeded, None);
        assert_eq!(decoded.fields as usize, self.fields.len());
        self.pairs()
    }

    pub(crate) fn table(&self) -> Vec<Pair> {
        pairs_of(self.decoder.table())
    }
}

pub(crate) fn encoder_table(encoder: &Encoder) -> Vec<Pair> {
    pairs_of(encoder.table())
}

fn pairs_of<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<Pair> {
    fields
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect()
}

/// Lines of `name: value`.
pub(crate) fn lines(text: &str) -> Vec<Pair> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            // A pseudo-field's name begins with a colon.
            let colon = line[1..].find(':').unwrap() + 1;
            let (name, value) = (&line[..colon], line[colon + 1..].trim());
            (name.as_bytes().to_vec(), value.as_bytes().to_vec())
        })
        .collect()
}

/// Hexadecimal digits, with white space between them.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter_map(|character| character.to_digit(16))
        .collect();
    digits
        .chunks(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}
