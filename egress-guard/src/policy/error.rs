//! What is wrong with a policy: all of it at once, each fault with its place and its cure.

use std::fmt;

/// A policy that cannot be used, with every fault found in it.
///
/// ```
/// use egress_guard::Policy;
///
/// let error = Policy::from_toml("version = 1\nname = 'orders'\n[[allow]]\nid = 'a b'\nhost = ['x.example']\n").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "the policy cannot be used, 2 faults\n  \
///      line 4, column 6: id \"a b\" is no identifier: write 1 to 64 of A-Z, a-z, 0-9, `-`, `_` and `.`, as in \"a-b\"\n  \
///      line 5, column 1: `host` is no key of [[allow]]: write `hosts`"
/// );
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PolicyError {
    source: Box<str>,
    faults: Vec<PolicyFault>,
}

impl PolicyError {
    pub(crate) fn new(source: impl Into<Box<str>>, faults: Vec<PolicyFault>) -> Self {
        Self { source: source.into(), faults }
    }

    /// Faults of a text, put in its order and given their places.
    pub(super) fn in_text(text: &str, mut faults: Vec<PolicyFault>) -> Self {
        faults.sort_by_key(|fault| fault.offset);
        // A parser can say the same of each bracket that is not closed.
        faults.dedup();
        let (mut line, mut column) = (1, 1);
        // No editor counts a byte order mark.
        let mut characters = text.char_indices().filter(|place| *place != (0, '\u{feff}')).peekable();
        for fault in &mut faults {
            let Some(offset) = fault.offset else { continue };
            while let Some((_, character)) = characters.next_if(|(at, character)| at + character.len_utf8() <= offset) {
                (line, column) = if character == '\n' { (line + 1, 1) } else { (line, column + 1) };
            }
            fault.place = Some((line, column));
        }
        Self::new("the policy", faults)
    }

    /// Everything found wrong, in the order of the text.
    #[must_use]
    pub fn faults(&self) -> &[PolicyFault] {
        &self.faults
    }

    pub(crate) fn named(self, source: impl Into<Box<str>>) -> Self {
        Self { source: source.into(), ..self }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.faults.len();
        write!(f, "{} cannot be used, {count} fault{}", self.source, if count == 1 { "" } else { "s" })?;
        for fault in &self.faults {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}

/// As it is displayed: this is what a `main` that returns it prints.
impl fmt::Debug for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for PolicyError {}

/// One thing wrong with a policy, where it stands, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFault {
    /// The byte in the text, from which the place is counted once all faults are known.
    offset: Option<usize>,
    /// Line and column, from 1.
    place: Option<(usize, usize)>,
    problem: String,
    cure: String,
}

impl PolicyFault {
    pub(crate) fn new(offset: Option<usize>, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { offset, place: None, problem: shortened(problem.into()), cure: shortened(cure.into()) }
    }

    pub(super) fn with_cure(self, cure: impl FnOnce(&str) -> String) -> Self {
        Self { cure: shortened(cure(&self.cure)), ..self }
    }

    /// The byte in the text at which it stands; absent for a policy built in code, and where it is about no one place.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        self.offset
    }

    /// The line, counted from 1; absent for a policy built in code.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.place.map(|(line, _)| line)
    }

    /// The column in characters, counted from 1; absent for a policy built in code.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.place.map(|(_, column)| column)
    }

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// What to write instead.
    #[must_use]
    pub fn cure(&self) -> &str {
        &self.cure
    }
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        write!(f, "{}: {}", self.problem, self.cure)
    }
}

/// Values can be of any length, and what is said about them must stay readable: the middle is left out.
fn shortened(text: String) -> String {
    const END: usize = 200;
    let length = text.chars().count();
    if length <= 2 * END {
        return text;
    }
    let start: String = text.chars().take(END).collect();
    let end: String = text.chars().skip(length - END).collect();
    format!("{start}\u{2026}{end}")
}
