//! Every way in which a field block can be malformed.

/// A way to break RFC 7541. All of them are connection errors of the type COMPRESSION_ERROR (RFC 9113 section 4.3): after
/// one, the two sides' tables are no longer the same, and no later block can be read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// The block ends within an integer.
    IntegerTruncated,
    /// An integer above 2^32 - 1. RFC 7541 section 5.1 asks for a bound; no length or index is near this one.
    IntegerOverflow,
    /// An integer of more bytes than 32 bits need: zeros that go on for ever (RFC 7541 section 5.1).
    IntegerTooLong,
    /// The block ends within a string.
    StringTruncated,
    /// A whole field by the index 0, which stands for nothing (RFC 7541 section 6.1).
    IndexZero,
    /// An index beyond both tables (RFC 7541 section 2.3.3).
    IndexBeyondTable,
    /// A table size above what our SETTINGS allow, or above the smallest that they allowed since the last block (RFC 7541
    /// sections 4.2 and 6.3).
    SizeUpdateAboveBound,
    /// A table size behind a field (RFC 7541 section 4.2: at the beginning of the block).
    SizeUpdateLate,
    /// More than two table sizes in a block (RFC 7541 section 4.2: the smallest and the final one).
    SizeUpdatesTooMany,
    /// No table size at the beginning of the first block after our SETTINGS took effect that made it smaller (RFC 7541
    /// section 4.2).
    SizeUpdateMissing,
    /// The end-of-string symbol within a string (RFC 7541 section 5.2).
    HuffmanEndOfString,
    /// A Huffman code padded with more than 7 bits (RFC 7541 section 5.2).
    HuffmanPaddingLong,
    /// A Huffman code padded with other bits than ones, or cut off within a symbol (RFC 7541 section 5.2).
    HuffmanPaddingNotOnes,
}

impl Fault {
    /// Every variant, in the order of declaration.
    pub const ALL: [Fault; 13] = [
        Fault::IntegerTruncated,
        Fault::IntegerOverflow,
        Fault::IntegerTooLong,
        Fault::StringTruncated,
        Fault::IndexZero,
        Fault::IndexBeyondTable,
        Fault::SizeUpdateAboveBound,
        Fault::SizeUpdateLate,
        Fault::SizeUpdatesTooMany,
        Fault::SizeUpdateMissing,
        Fault::HuffmanEndOfString,
        Fault::HuffmanPaddingLong,
        Fault::HuffmanPaddingNotOnes,
    ];

    /// Its name in logs, in metrics and in the debug data of GOAWAY.
    pub fn name(self) -> &'static str {
        match self {
            Fault::IntegerTruncated => "hpack-integer-truncated",
            Fault::IntegerOverflow => "hpack-integer-overflow",
            Fault::IntegerTooLong => "hpack-integer-too-long",
            Fault::StringTruncated => "hpack-string-truncated",
            Fault::IndexZero => "hpack-index-zero",
            Fault::IndexBeyondTable => "hpack-index-beyond-table",
            Fault::SizeUpdateAboveBound => "hpack-size-update-above-bound",
            Fault::SizeUpdateLate => "hpack-size-update-late",
            Fault::SizeUpdatesTooMany => "hpack-size-updates-too-many",
            Fault::SizeUpdateMissing => "hpack-size-update-missing",
            Fault::HuffmanEndOfString => "hpack-huffman-end-of-string",
            Fault::HuffmanPaddingLong => "hpack-huffman-padding-long",
            Fault::HuffmanPaddingNotOnes => "hpack-huffman-padding-not-ones",
        }
    }
}
