//! Standard output, for commands that print one text.

use std::io::{self, Write};

/// Prints the whole of it, or as much as the reader wants.
pub(crate) fn print(bytes: &[u8]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}
