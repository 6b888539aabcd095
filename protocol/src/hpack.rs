//! HPACK (RFC 7541): how HTTP/2 writes field sections, both ways, without knowing frames or streams.
//!
//! [`Decoder`] takes complete field blocks; gathering HEADERS and CONTINUATION, and how many of those there may be, is the
//! connection's. [`Encoder`] appends to the connection's output. Each holds the dynamic table of its direction, so both
//! live as long as the connection, and every block must pass through them, in the order of the wire: also blocks of
//! streams that nobody wants any more. What a field means, and whether its name and value are valid in HTTP, is not
//! judged here.

mod decoder;
mod encoder;
mod fault;
mod fuzz;
mod huffman;
mod indexing;
mod integer;
mod known_name;
mod lookup;
mod prepared;
mod static_table;
mod succession;
mod table;
mod tally;

pub use decoder::{Decoded, Decoder, Field};
pub use encoder::{Encoder, EncoderState};
pub use fault::Fault;
#[doc(hidden)]
pub use fuzz::fuzz;
pub use indexing::Indexing;
pub use known_name::KnownName;
pub use prepared::Prepared;
pub use static_table::StaticPair;
pub use tally::{Bounds, Exceeded};

/// The size that each side's dynamic table may have before SETTINGS say otherwise (RFC 9113 section 6.5.2).
pub const TABLE_BYTES_INITIAL: u32 = 4096;

/// What a field counts beside its name and value, in a dynamic table (RFC 7541 section 4.1) and in the size of a field
/// section (RFC 9113 section 6.5.2).
const FIELD_OVERHEAD: u32 = 32;
