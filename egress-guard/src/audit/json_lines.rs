//! Records as lines of JSON.

use std::fmt;
use std::io::{self, Write};

use super::line::line_of;
use super::output::{Output, standard_output};
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
    output: Output<W>,
}

impl JsonLines<Box<dyn Write + Send>> {
    /// Lines to standard output, past the buffer of [`std::io::Stdout`]: what the application prints without ending
    /// its line stays apart. If standard output is closed, every record fails.
    #[must_use]
    pub fn stdout() -> Self {
        Self::new(standard_output())
    }
}

impl<W: Write + Send + 'static> JsonLines<W> {
    /// Lines to any writer. A writer that buffers is flushed after each line.
    #[must_use]
    pub fn new(writer: W) -> Self {
        Self { output: Output::new(writer) }
    }
}

impl<W: Write + Send + 'static> AuditSink for JsonLines<W> {
    fn record(&self, record: &AuditRecord<'_>) -> io::Result<()> {
        let mut line = line_of(record)?;
        if line.len() > MAX_LINE {
            line = line_of(&record.abridged())?;
        }
        self.output.write(line)
    }
}

/// What a pipe takes in one piece (`PIPE_BUF` on Linux), and far below what CloudWatch takes as one event.
const MAX_LINE: usize = 4096;

impl<W> fmt::Debug for JsonLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

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

    /// Takes half of the second line and then fails.
    #[derive(Clone, Default)]
    struct Tears(Writes, Arc<Mutex<u8>>);

    impl Write for Tears {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            *self.1.lock().unwrap() += 1;
            match *self.1.lock().unwrap() {
                2 => self.0.write(&bytes[..bytes.len() / 2]).map(|_| bytes.len() / 2),
                3 => Err(io::ErrorKind::StorageFull.into()),
                _ => self.0.write(bytes),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn number(seq: u64) -> crate::audit::LineNumber {
        crate::audit::LineNumber { environment: 1, seq }
    }

    #[test]
    fn a_torn_line_does_not_take_the_next_one_with_it() {
        let tears = Tears::default();
        let sink = JsonLines::new(tears.clone());
        let (context, now) = (crate::audit::Context::current(), std::time::SystemTime::now());
        let policy = Policy::builder("p").build().unwrap();
        let record = |seq| {
            AuditRecord::new(crate::AuditEvent::Posture, number(seq), now, &policy, &context, "message".to_owned())
        };
        assert!(sink.record(&record(1)).is_ok());
        assert!(sink.record(&record(2)).is_err());
        assert!(sink.record(&record(3)).is_ok());
        let written = tears.0.0.lock().unwrap().concat();
        let text = String::from_utf8(written).unwrap();
        let whole = text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count();
        assert_eq!((whole, text.lines().count()), (2, 3), "{text}");
    }

    #[test]
    fn a_line_never_exceeds_what_a_pipe_takes_in_one_piece() {
        let writes = Writes::default();
        let sink = JsonLines::new(writes.clone());
        let (context, now) = (crate::audit::Context::current(), std::time::SystemTime::now());
        let policy = Policy::builder("p").build().unwrap();
        let quotes = "\"".repeat(2000);
        let record = AuditRecord::new(crate::AuditEvent::Posture, number(1), now, &policy, &context, quotes.clone());
        let record = AuditRecord { path: Some(&quotes), function_arn: quotes.get(..192), ..record };
        sink.record(&record).unwrap();
        assert!(writes.0.lock().unwrap()[0].len() <= MAX_LINE);
    }
}
