//! Standard output, for what is printed and done with.

use crate::failure::Failure;
use std::io::{self, ErrorKind, Write as _};

/// Prints text. A reader who has seen enough (`lanner limits | head -1`) is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => {
            outcome.map_err(|error| Failure::System("cannot write to standard output", error))
        }
    }
}
