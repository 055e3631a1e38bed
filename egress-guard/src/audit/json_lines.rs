//! Records as lines of JSON.

use std::fmt;
use std::io::{self, Stdout, Write};
use std::sync::{Mutex, PoisonError};

use super::{AuditRecord, AuditSink};

/// Writes each record as one line of JSON, with a single `write_all`, at once.
///
/// On Lambda, [`stdout`](Self::stdout) is what CloudWatch receives. The line does not pass through the application's
/// logger, so no log level or filter of the function can lose it, and nothing waits in a buffer when the environment
/// is frozen.
///
/// ```
/// use egress_guard::{Guard, JsonLines, Policy};
///
/// let policy = Policy::builder("orders").build()?;
/// let guard = Guard::new(policy, JsonLines::stdout());
/// # Ok::<(), egress_guard::PolicyError>(())
/// ```
pub struct JsonLines<W> {
    writer: Mutex<W>,
}

impl JsonLines<Stdout> {
    /// Lines to standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self::new(io::stdout())
    }
}

impl<W: Write + Send + 'static> JsonLines<W> {
    /// Lines to any writer. A writer that buffers is flushed after each line.
    #[must_use]
    pub fn new(writer: W) -> Self {
        Self { writer: Mutex::new(writer) }
    }
}

impl<W: Write + Send + 'static> AuditSink for JsonLines<W> {
    fn record(&self, record: &AuditRecord<'_>) -> io::Result<()> {
        let mut line = Vec::with_capacity(768);
        serde_json::to_writer(&mut line, record)?;
        line.push(b'\n');
        // A panic elsewhere while the lock was held leaves at worst a torn line, not a reason to stop recording.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(&line)?;
        writer.flush()
    }
}

impl<W> fmt::Debug for JsonLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Guard, Policy};

    /// Counts the calls that a line takes.
    #[derive(Clone, Default)]
    struct Writes(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_one_write_that_ends_in_a_newline() {
        let writes = Writes::default();
        let _guard = Guard::new(Policy::builder("p").build().unwrap(), JsonLines::new(writes.clone()));
        let writes = writes.0.lock().unwrap();
        assert_eq!(writes.len(), 1);
        assert_eq!(writes[0].iter().filter(|byte| **byte == b'\n').count(), 1);
        assert!(writes[0].ends_with(b"}\n"));
    }
}
