//! What a run came to, told: for people on the terminal, as JSON, CSV and HdrHistogram's own format for machines, and as a
//! page with plots for a browser.
//!
//! A [`Record`] is made of what a run was to do and of its outcome, and is all that a format is made of. It is what `--json`
//! writes and `--overlay` reads back, so a run of last week is drawn like that of a minute ago. A run that was aborted has a
//! record like any other.

mod csv;
mod destination;
mod distribution;
mod hgrm;
mod page;
mod progress;
mod readable;
mod record;
mod text;

pub use destination::Destinations;
pub use progress::Progress;
pub use record::{Asked, Bytes, Figures, InTime, Late, Met, Piece, Record, Unreadable};
pub use text::Text;
