//! Records as lines of JSON.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use super::chain::{Chain, LONGEST_LINK};
use super::line::line_of;
use super::log_level::LogLevel;
use super::output::{Output, standard_output};
use super::{AuditRecord, AuditSink, ChainKey, metrics};

/// Writes each record as one line of JSON, with a single `write_all`, at once.
///
/// On Lambda, [`stdout`](Self::stdout) is what CloudWatch receives. The line does not pass through the application's
/// logger, so none of its levels or filters can lose it, and nothing waits in a buffer when the environment is frozen.
/// For Lambda's own log level see [`raising_levels`](Self::raising_levels).
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
    /// What Lambda drops of this output.
    log_level: Option<LogLevel>,
    raises_levels: bool,
    has_metrics: bool,
    /// Held as long as a line is written, so that the chain has the order of the lines.
    chain: Option<Mutex<Chain>>,
}

impl JsonLines<Box<dyn Write + Send>> {
    /// Lines to standard output, past the buffer of [`std::io::Stdout`]: what the application prints without ending
    /// its line stays apart. If standard output is closed or `/dev/null`, every record fails; for a slow reader it waits.
    #[must_use]
    pub fn stdout() -> Self {
        Self { log_level: LogLevel::of_function(), ..Self::new(standard_output()) }
    }
}

impl<W: Write + Send + 'static> JsonLines<W> {
    /// Lines to any writer. A writer that buffers is flushed after each line.
    #[must_use]
    pub fn new(writer: W) -> Self {
        Self { output: Output::new(writer), log_level: None, raises_levels: false, has_metrics: false, chain: None }
    }

    /// Writes what Lambda's log level filter would drop at a level that passes it; `severity` then has its own.
    ///
    /// Where the function's log format is JSON and its log level above INFO, Lambda drops the lines of what is allowed,
    /// and above WARN those of denials too. Without this choice the posture line, which is always let through, says so in
    /// `dropped_levels`. It is for [`stdout`](JsonLines::stdout): elsewhere nothing is dropped.
    ///
    /// ```
    /// # use egress_guard::{Guard, JsonLines, Policy};
    /// # let policy = Policy::builder("orders").build()?;
    /// let guard = Guard::new(policy, JsonLines::stdout().raising_levels());
    /// # Ok::<(), egress_guard::PolicyError>(())
    /// ```
    ///
    /// Source: [log levels of Lambda](https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html).
    #[must_use]
    pub fn raising_levels(mut self) -> Self {
        self.raises_levels = true;
        self
    }

    /// Makes CloudWatch metrics of the numbers in the line that sums up an invocation, in Embedded Metric Format: without
    /// a request, and with `function_name` as their one dimension, in the namespace `EgressGuard`.
    ///
    /// There are seven for each function: `allowed_count`, `would_deny_count`, `denied_count`, `destination_count`,
    /// `bytes_sent`, `bytes_received` (bytes) and `duration_ms` (milliseconds). CloudWatch charges for each, which is why
    /// they have to be asked for. The lines come from [`Guard::lambda_layer`](crate::Guard), feature `lambda`.
    ///
    /// ```
    /// # use egress_guard::{Guard, JsonLines, Policy};
    /// # let policy = Policy::builder("orders").build()?;
    /// let guard = Guard::new(policy, JsonLines::stdout().with_metrics());
    /// # Ok::<(), egress_guard::PolicyError>(())
    /// ```
    ///
    /// Source: [the format](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
    #[must_use]
    pub fn with_metrics(mut self) -> Self {
        self.has_metrics = true;
        self
    }

    /// Adds to each line its place in a chain and a keyed MAC, so that `egress-guard verify`, which has the same key, finds
    /// what has since been changed, removed, added or moved.
    ///
    /// The key of each line follows from that of the line before, which is then overwritten: what takes the process over
    /// can go on in its name, but what was written before stays provable, as far as memory can be overwritten. A line becomes
    /// 80 bytes longer.
    ///
    /// ```no_run
    /// use egress_guard::{ChainKey, Guard, JsonLines, Policy};
    ///
    /// let policy = Policy::builder("orders").build()?;
    /// let guard = Guard::new(policy, JsonLines::stdout().chained(ChainKey::from_env()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn chained(mut self, key: ChainKey) -> Self {
        self.chain = Some(Mutex::new(Chain::new(key)));
        self
    }

    fn line_of(&self, record: &AuditRecord<'_>) -> io::Result<Vec<u8>> {
        let mut line = line_of(record)?;
        if self.has_metrics {
            metrics::append_to(&mut line, record)?;
        }
        Ok(line)
    }
}

impl<W: Write + Send + 'static> AuditSink for JsonLines<W> {
    fn record(&self, record: &AuditRecord<'_>) -> io::Result<()> {
        let record = self.log_level.map_or(Cow::Borrowed(record), |level| level.past(record, self.raises_levels));
        let mut line = self.line_of(&record)?;
        let longest = if self.chain.is_some() { MAX_LINE - LONGEST_LINK } else { MAX_LINE };
        if line.len() > longest {
            line = self.line_of(&record.abridged())?;
        }
        let Some(chain) = &self.chain else { return self.output.write(&line) };
        let mut chain = chain.lock().unwrap_or_else(PoisonError::into_inner);
        chain.write(line, record.seq == 1, |line| self.output.write(line))
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
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::{Guard, Policy};

    /// Keeps the calls that a line takes.
    #[derive(Clone, Default)]
    pub(in crate::audit) struct Writes(pub(in crate::audit) Arc<Mutex<Vec<Vec<u8>>>>);

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
        let key = ChainKey::from_bytes(&(0..32).collect::<Vec<u8>>()).unwrap();
        sink.chained(key).record(&record).unwrap();
        let writes = writes.0.lock().unwrap();
        assert!(writes.len() == 2 && writes.iter().all(|line| line.len() <= MAX_LINE));
    }
}
