//! Audit lines, out of the logs that hold them.

mod audit_line;
mod documents;
mod entries;
mod files;
mod functions;
mod lines;

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use flate2::bufread::MultiGzDecoder;

pub(crate) use audit_line::{AuditLine, Text};
pub(crate) use functions::Functions;

use files::Progress;

/// The logs that a command reads, each plain or compressed by gzip.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Logs, plain or .gz, or folders of them, as a CloudWatch export has; `-`, or none, is standard input
    #[arg(value_name = "LOG")]
    logs: Vec<PathBuf>,
}

/// What is said to be an audit line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// Its JSON as it was written, without the newline.
    pub(crate) text: &'a str,
    pub(crate) place: Place<'a>,
    /// Whether something other than a time and a log stream's name stands before it in its event: whoever wrote that, or had
    /// an application print it, may have written this.
    pub(crate) is_behind_text: bool,
}

/// Where an entry stands; shown as `file:12`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) file: &'a str,
    /// The line, or the event of a document that has its events in one, from 1.
    pub(crate) number: u64,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.number)
    }
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Lines, or events, in all.
    pub(crate) lines: u64,
    /// Those that are not even meant to be audit lines: the application's own, the platform's.
    pub(crate) other: u64,
}

type Result<T> = std::result::Result<T, Box<dyn Error>>;

impl LogArgs {
    /// Hands over each line that is meant to be one of the audit, in the order of the logs, with a progress bar where
    /// standard error is a terminal.
    ///
    /// # Errors
    ///
    /// When a log cannot be read to its end, or `each` fails.
    pub(crate) fn read(&self, mut each: impl FnMut(Entry<'_>) -> Result<()>) -> Result<Tally> {
        let files = files::find(&self.logs)?;
        let progress = Progress::of(&files)?;
        let mut reader = Reader { each: &mut each, tally: Tally::default(), pretty: None };
        for file in &files {
            let name = crate::shown::shown(&file.name());
            let input = progress.follow(file.open().map_err(|error| format!("{name}: {error}"))?);
            reader.read(&name, input).map_err(|error| match error {
                Failure::Log(error) => format!("{name}: {error}").into(),
                Failure::Reader(error) => error,
            })?;
        }
        progress.finish();
        reader.finish()
    }
}

enum Failure {
    /// The log cannot be read.
    Log(String),
    /// Whoever is told of the entries has failed.
    Reader(Box<dyn Error>),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Log(match error.kind() {
            io::ErrorKind::UnexpectedEof => "ends in the middle of its compressed data".to_owned(),
            _ => error.to_string(),
        })
    }
}

struct Reader<'a, F> {
    each: &'a mut F,
    tally: Tally,
    /// Where an audit line first went over several lines.
    pretty: Option<String>,
}

impl<F: FnMut(Entry<'_>) -> Result<()>> Reader<'_, F> {
    /// Any application may print what looks like a line of such a log; but where there is nothing else, it is one.
    fn finish(self) -> Result<Tally> {
        let Some(place) = self.pretty else { return Ok(self.tally) };
        let told = format!(
            "{place} is within an audit line that goes over several lines, as `aws logs tail --format json` prints it: use \
             `--format short`"
        );
        if self.tally.lines == self.tally.other {
            return Err(told.into());
        }
        eprintln!("egress-guard: passed over: {told}");
        Ok(self.tally)
    }

    fn read(&mut self, file: &str, input: impl Read) -> std::result::Result<(), Failure> {
        let mut input = BufReader::with_capacity(BUFFER, input);
        if input.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
            // An export, and what Firehose delivers, has many members in one file.
            self.read_text(file, BufReader::with_capacity(BUFFER, MultiGzDecoder::new(input)))
        } else {
            self.read_text(file, input)
        }
    }

    fn read_text(&mut self, file: &str, mut input: impl BufRead) -> std::result::Result<(), Failure> {
        if documents::begin(input.fill_buf()?) {
            return documents::each_event(input, |event, number| self.event(event, false, Place { file, number }));
        }
        let mut is_document = false;
        lines::each_line(input, |line, number| {
            let place = Place { file, number };
            // `aws logs filter-log-events` begins so. Elsewhere a message may be anybody's.
            is_document |= number == 1 && line.trim_ascii() == b"{";
            match lines::pretty(line) {
                Some(lines::Pretty::Message(message)) if is_document => self.event(&message, false, place),
                Some(lines::Pretty::AuditLine) => {
                    self.tally.lines += 1;
                    self.tally.other += 1;
                    self.pretty.get_or_insert_with(|| place.to_string());
                    Ok(())
                }
                _ => self.event(&String::from_utf8_lossy(line), true, place),
            }
        })
    }

    fn event(&mut self, event: &str, may_have_origin: bool, place: Place<'_>) -> std::result::Result<(), Failure> {
        self.tally.lines += 1;
        let mut is_other = true;
        for (text, is_behind_text) in entries::of(event, may_have_origin) {
            is_other = false;
            (self.each)(Entry { text, place, is_behind_text }).map_err(Failure::Reader)?;
        }
        self.tally.other += u64::from(is_other);
        Ok(())
    }
}

const BUFFER: usize = 1 << 18;

/// The name of a log, for messages.
fn name_of(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const LINE: &str = r#"{"timestamp":"2026-11-23T10:45:59.434Z","level":"INFO","message":"allowed \"x\"","event_type":"egress_decision","schema":"egress-guard/1","environment_id":1,"seq":1,"policy_id":"p","mode":"enforce"}"#;

    fn gz(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    /// The entries of one log, and what it is said to hold.
    fn entries(log: &[u8]) -> std::result::Result<(Vec<(String, u64)>, Tally), String> {
        let mut found = Vec::new();
        let mut each = |entry: Entry<'_>| {
            found.push((entry.text.to_owned(), entry.place.number));
            Ok(())
        };
        let mut reader = Reader { each: &mut each, tally: Tally::default(), pretty: None };
        match reader.read("log", log) {
            Ok(()) => {
                let tally = reader.finish().map_err(|error| error.to_string())?;
                Ok((found, tally))
            }
            Err(Failure::Log(error)) => Err(error),
            Err(Failure::Reader(error)) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_line_is_found_in_every_kind_of_log() {
        let message = serde_json::to_string(&format!("{LINE}\n")).unwrap();
        let document = |count: usize| {
            let event = format!(r#"{{"id":"1","timestamp":1795430759434,"message":{message}}}"#);
            format!(
                r#"{{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"/aws/lambda/orders","logStream":"s","logEvents":[{}]}}"#,
                vec![event; count].join(",")
            )
        };
        let control = r#"{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE"}]}"#;
        let cases: [(&str, Vec<u8>, &[u64], u64); 15] = [
            ("plain", format!("{LINE}\n").into(), &[1], 0),
            ("plain, without a last newline", LINE.into(), &[1], 0),
            ("with carriage returns", format!("{LINE}\r\n{LINE}\r\n").into(), &[1, 2], 0),
            ("among the platform's lines", format!("START RequestId: 1\n{LINE}\n{{\"type\":\"platform.start\"}}\n").into(), &[2], 2),
            ("exported", format!("2026-11-23T10:45:59.434Z {LINE}\n").into(), &[1], 0),
            ("tailed", format!("2026-11-23T10:45:59.434000+00:00 2026/11/23/[$LATEST]0a1b {LINE}\n").into(), &[1], 0),
            ("behind a piece of the application's", format!("{{\"timestamp\":\"2026\",\"big\":\"{LINE}\nrest\"}}\n").into(), &[1], 1),
            ("compressed", gz(&format!("x\n{LINE}\n")), &[2], 1),
            ("compressed in two members", [gz(&format!("{LINE}\n")), gz(&format!("{LINE}\n"))].concat(), &[1, 2], 0),
            (
                "of filter-log-events",
                format!("{{\n    \"events\": [\n        {{\n            \"message\": {message},\n            \"timestamp\": 1\n        }}\n    ]\n}}\n").into(),
                &[4],
                7,
            ),
            (
                "of filter-log-events, on one line",
                format!("{{\"events\":[{{\"logStreamName\":\"s\",\"timestamp\":1,\"message\":{message}}},{{\"message\":\"x\"}}],\"searchedLogStreams\":[]}}\n").repeat(2).into(),
                &[1, 3],
                2,
            ),
            (
                "of get-log-events, on one line with spaces",
                format!("{{\"events\": [{{\"timestamp\": 1, \"message\": {message}, \"ingestionTime\": 2}}], \"nextForwardToken\": \"f\"}}").into(),
                &[1],
                0,
            ),
            ("of a subscription", document(2).into(), &[1, 2], 0),
            ("of a subscription, documents in a row", gz(&format!("{}{control}{}\n", document(1), document(2))), &[1, 3, 4], 1),
            ("empty", Vec::new(), &[], 0),
        ];
        for (name, log, numbers, other) in cases {
            let (found, tally) = entries(&log).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(found, numbers.iter().map(|number| (LINE.to_owned(), *number)).collect::<Vec<_>>(), "{name}");
            assert_eq!(tally.other, other, "{name}");
            assert_eq!(tally.lines, other + numbers.len() as u64, "{name}");
        }
    }

    #[test]
    fn what_is_no_log_is_said() {
        let whole = gz(&format!("{LINE}\n").repeat(50));
        let cases: [(&str, Vec<u8>, &str); 3] = [
            ("cut off", whole[..whole.len() - 12].to_vec(), "ends in the middle of its compressed data"),
            (
                "pretty",
                "2026-11-23T10:45:59Z {\n    \"timestamp\": \"x\",\n    \"event_type\": \"egress_outcome\",\n}\n"
                    .into(),
                "use `--format short`",
            ),
            ("half a document", r#"{"messageType":"DATA_MESSAGE","logEvents":[{"#.into(), "document 1"),
        ];
        for (name, log, expected) in cases {
            let error = entries(&log).unwrap_err();
            assert!(error.contains(expected), "{name}: {error}");
        }
    }

    #[test]
    fn what_no_log_event_can_hold_is_passed_over_in_bounded_memory() {
        let log = format!("{}{LINE}\n{LINE}\n", "x".repeat(lines::LONGEST));
        let (found, tally) = entries(log.as_bytes()).unwrap();
        assert_eq!((found.len(), tally), (1, Tally { lines: 2, other: 1 }));
    }

    #[test]
    fn documents_are_read_in_bounded_memory() {
        // As many bytes as are asked for, whatever is done with them.
        let begin = br#"{"messageType":"DATA_MESSAGE","logEvents":[{"message":""#.as_slice();
        let read = std::cell::Cell::new(0);
        let log = begin.chain(Counted(io::repeat(b'x').take(1 << 30), &read));
        let mut each = |_: Entry<'_>| Ok(());
        let mut reader = Reader { each: &mut each, tally: Tally::default(), pretty: None };
        let Err(Failure::Log(error)) = reader.read("log", log) else { panic!("a message of 1 GiB was read") };
        assert!(error.contains("document 1: more than 8 MiB without an event, or in one"), "{error}");
        assert!(read.get() < (8 << 20) + 2 * BUFFER, "{}", read.get());

        // As often as there are events, there may be as much again.
        let event = format!(r#"{{"message":"{}"}}"#, "x".repeat(1 << 20));
        let log = format!(r#"{{"messageType":"DATA_MESSAGE","logEvents":[{}]}}"#, vec![event; 20].join(","));
        assert_eq!(entries(log.as_bytes()).unwrap().1, Tally { lines: 20, other: 20 });
    }

    struct Counted<'a, R>(R, &'a std::cell::Cell<usize>);

    impl<R: Read> Read for Counted<'_, R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = self.0.read(buffer)?;
            self.1.set(self.1.get() + read);
            Ok(read)
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_not_end_the_reading() {
        let log = [b"\xff\xfe\n".as_slice(), LINE.as_bytes(), b"\n"].concat();
        assert_eq!(entries(&log).unwrap().0.len(), 1);
    }
}
