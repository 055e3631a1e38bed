//! Where lines go: one after the other, each whole.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// A writer of lines.
pub(super) struct Output<W> {
    inner: Mutex<Inner<W>>,
}

struct Inner<W> {
    writer: W,
    /// Whether a part of the last line may stand there, without its end.
    torn: bool,
}

impl<W: Write> Output<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { inner: Mutex::new(Inner { writer, torn: false }) }
    }

    /// Writes a line that ends in its newline, at once.
    pub(super) fn write(&self, line: &[u8]) -> io::Result<()> {
        // A panic elsewhere while the lock was held leaves at worst a torn line, not a reason to stop recording.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).write(line)
    }
}

impl<W: Write> Inner<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            // By itself: with it the line could be longer than what a pipe takes in one piece.
            self.write_all(b"\n")?;
        }
        self.write_all(line)?;
        self.writer.flush()?;
        self.torn = false;
        Ok(())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.writer.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            // Until a writer that buffers has been flushed, nobody knows how much has arrived.
            self.torn = true;
        }
        Ok(())
    }
}

#[cfg(not(unix))]
pub(super) fn standard_output() -> Box<dyn Write + Send> {
    Box::new(io::stdout())
}

#[cfg(unix)]
pub(super) use unix::standard_output;

#[cfg(unix)]
mod unix {
    use std::fs::{self, File};
    use std::io::{self, Write};
    use std::os::fd::AsFd;
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    use std::thread;
    use std::time::Duration;

    /// Standard output past its buffer, or what fails each time if lines would be lost there.
    pub(in super::super) fn standard_output() -> Box<dyn Write + Send> {
        let file = io::stdout().as_fd().try_clone_to_owned().map(File::from);
        match file.and_then(|file| if is_null_device(&file)? { Err(discarded()) } else { Ok(file) }) {
            Ok(file) => Box::new(Descriptor(file)),
            Err(error) => Box::new(Unusable(error)),
        }
    }

    /// Rust opens `/dev/null` in place of a standard output that was closed when the process began; whoever redirected it
    /// there loses the lines just the same.
    fn is_null_device(file: &File) -> io::Result<bool> {
        let output = file.metadata()?;
        // Where there is no such device, nothing can have been opened.
        let null = fs::metadata("/dev/null").ok().filter(|null| null.file_type().is_char_device());
        Ok(output.file_type().is_char_device() && null.is_some_and(|null| null.rdev() == output.rdev()))
    }

    fn discarded() -> io::Error {
        let text = "standard output is closed or /dev/null, where audit lines would be lost; leave it open, or give the \
                    guard another sink";
        io::Error::new(io::ErrorKind::NotConnected, text)
    }

    struct Descriptor(File);

    impl Write for Descriptor {
        /// Waits for a slow reader, whether or not the descriptor would.
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            loop {
                match self.0.write(bytes) {
                    // Another owner of the same pipe has made it non-blocking, for all of them. A pipe that has no room
                    // for a whole line has taken nothing of it.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(1)),
                    result => return result,
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// [`std::io::Stdout`] would take every line and lose it.
    struct Unusable(io::Error);

    impl Write for Unusable {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::new(self.0.kind(), self.0.to_string()))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
