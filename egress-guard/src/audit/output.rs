//! Where lines go: one after the other, each whole.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// A writer of lines.
pub(super) struct Output<W> {
    inner: Mutex<Inner<W>>,
}

struct Inner<W> {
    writer: W,
    /// Whether the last line failed, and may stand there in part.
    broken: bool,
}

impl<W: Write> Output<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { inner: Mutex::new(Inner { writer, broken: false }) }
    }

    /// Writes a line that ends in its newline, at once.
    pub(super) fn write(&self, line: Vec<u8>) -> io::Result<()> {
        // A panic elsewhere while the lock was held leaves at worst a torn line, not a reason to stop recording.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).write(line)
    }
}

impl<W: Write> Inner<W> {
    fn write(&mut self, mut line: Vec<u8>) -> io::Result<()> {
        if self.broken {
            line.insert(0, b'\n');
        }
        self.broken = true;
        self.writer.write_all(&line)?;
        self.writer.flush()?;
        self.broken = false;
        Ok(())
    }
}

#[cfg(unix)]
pub(super) fn standard_output() -> Box<dyn Write + Send> {
    use std::os::fd::AsFd;
    match io::stdout().as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(std::fs::File::from(descriptor)),
        Err(error) => Box::new(Closed(error.kind())),
    }
}

#[cfg(not(unix))]
pub(super) fn standard_output() -> Box<dyn Write + Send> {
    Box::new(io::stdout())
}

/// A standard output that is not there. [`std::io::Stdout`] would take every line and lose it.
#[cfg(unix)]
struct Closed(io::ErrorKind);

#[cfg(unix)]
impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(self.0.into())
    }
}
