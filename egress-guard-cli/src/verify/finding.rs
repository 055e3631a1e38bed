//! What is found in a log, and what that means.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::places::At;

/// Something in a log that was not written so, or that somebody may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) kind: Kind,
    /// Whether it only explains what was found, or was not: notes leave a log clean.
    pub(super) is_note: bool,
    pub(super) of: Of,
    /// The first and the last of the numbers that it is about.
    pub(super) numbers: Option<(u64, u64)>,
    /// How many lines it is about.
    pub(super) count: u64,
    /// Where it is; for what is missing, the line behind it.
    pub(super) at: Option<At>,
}

/// Whose lines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    Chain(Box<str>),
    Environment(u64),
    /// Environments that there are too many of.
    Others,
    Log,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Altered,
    Forged,
    Gap,
    Beginning,
    Duplicate,
    Reordered,
    Unchained,
    Unchecked,
    Lost,
    Unwritten,
    Torn,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Altered => "altered",
            Self::Forged => "forged",
            Self::Gap => "gap",
            Self::Beginning => "beginning",
            Self::Duplicate => "duplicate",
            Self::Reordered => "reordered",
            Self::Unchained => "unchained",
            Self::Unchecked => "unchecked",
            Self::Lost => "lost",
            Self::Unwritten => "unwritten",
            Self::Torn => "torn",
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Finding {
    pub(super) fn new(kind: Kind, of: Of) -> Self {
        Self { kind, is_note: false, of, numbers: None, count: 1, at: None }
    }

    /// What it is, and what that means.
    pub(super) fn message(&self) -> String {
        let lines = Lines(self.count);
        let of = &self.of;
        let numbers = Numbers(of, self.numbers);
        let missing = if self.count == 1 { "is missing: its line was" } else { "are missing: their lines were" };
        let said = if self.count == 1 {
            "is missing: this line says that it"
        } else {
            "are missing: this line says that they"
        };
        match self.kind {
            Kind::Altered => format!("{numbers} does not hold: its line was changed, or made without the key"),
            Kind::Forged => match self.numbers {
                Some(_) => {
                    format!("a line for {numbers} does not hold, and is none of its lines: made without the key")
                }
                None if *of == Of::Log => format!("{lines} more that do not hold: there are too many to say which"),
                None => format!("{lines} of {of}, of which none holds: made without the key, or with another one"),
            },
            Kind::Gap => format!("{numbers} {missing} removed, or never got here"),
            Kind::Beginning => format!("{numbers} {missing} cut off, or the log begins in the middle (--partial)"),
            Kind::Duplicate => {
                format!("{lines} more than once, {numbers}: copied, read twice, or made anew by who has the key")
            }
            Kind::Reordered => {
                format!("{lines} of {of} in an order that is neither that of writing nor of their times")
            }
            Kind::Unchained => match self.of {
                Of::Log => format!("{lines} meant to be of the audit, as the library writes none: made up, or changed"),
                _ => format!("{lines} of {of} without a MAC: made up, or by a guard whose lines are not chained"),
            },
            Kind::Unchecked if *of == Of::Others => format!("{lines} of {of} not checked: there are too many of them"),
            Kind::Unchecked => format!("{of} is in so many pieces that neither gaps nor duplicates can be told"),
            Kind::Lost => format!("{numbers} {said} could not be written, which only the process says"),
            Kind::Unwritten => format!("{numbers} in no line, though none is missing: could not be written"),
            Kind::Torn if self.is_note => format!("{lines} not whole, and passed over"),
            Kind::Torn => {
                format!("{lines} not whole, more than are missing: changed, or the process ended in the middle")
            }
        }
    }
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(id) => write!(f, "chain {id}"),
            Self::Environment(id) => write!(f, "environment {id}"),
            Self::Others => f.write_str("further environments"),
            Self::Log => f.write_str("the log"),
        }
    }
}

/// `place 17 of chain 0.x`, `seq 17 to 19 of environment 1`.
struct Numbers<'a>(&'a Of, Option<(u64, u64)>);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(of, numbers) = self;
        let (one, more) = if matches!(of, Of::Environment(_)) { ("seq", "seq") } else { ("place", "places") };
        match numbers {
            Some((first, last)) if first == last => write!(f, "{one} {first} of {of}"),
            Some((first, last)) => write!(f, "{more} {first} to {last} of {of}"),
            None => write!(f, "{of}"),
        }
    }
}

/// `1 line`, `3 lines`.
pub(super) struct Lines(pub(super) u64);

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}
