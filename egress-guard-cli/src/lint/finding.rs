//! Something that is wrong with a policy, or that somebody should look at.

use egress_guard::PolicyFault;
use egress_guard::draft::{RuleDraft, Text};

use super::code::{Code, Level};

/// A fault or a warning, with its place and its cure.
#[derive(Debug)]
pub(crate) struct Finding {
    /// Absent for faults.
    pub(crate) code: Option<Code>,
    /// The byte at which the value or key begins that it is about; absent where it is about no one place.
    pub(crate) offset: Option<usize>,
    /// The id of the rule that it is about.
    pub(crate) rule: Option<String>,
    pub(crate) problem: String,
    pub(crate) cure: String,
    /// Other places that explain it, and what they have to do with it.
    pub(crate) related: Vec<(usize, String)>,
}

impl Finding {
    pub(crate) fn new(code: Code, offset: Option<usize>, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        let (problem, cure) = (problem.into(), cure.into());
        Self { code: Some(code), offset, rule: None, problem, cure, related: Vec::new() }
    }

    /// About one value of a rule.
    pub(crate) fn in_rule(
        code: Code,
        rule: &RuleDraft,
        offset: Option<usize>,
        problem: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { rule: rule.id.as_ref().map(|id| id.text.clone()), ..Self::new(code, offset, problem, cure) }
    }

    /// A file that is no text, as far as that can be told from its bytes.
    pub(crate) fn not_utf8(offset: usize) -> Self {
        Self {
            code: None,
            offset: Some(offset),
            rule: None,
            problem: "the text is not UTF-8".to_owned(),
            cure: "save it as UTF-8".to_owned(),
            related: Vec::new(),
        }
    }

    pub(crate) fn related(mut self, offset: Option<usize>, label: &str) -> Self {
        self.related.extend(offset.map(|offset| (offset, label.to_owned())));
        self
    }

    pub(crate) fn level(&self) -> Level {
        self.code.map_or(Level::Fault, Code::level)
    }

    /// The code as people write it; all faults have one.
    pub(crate) fn code_name(&self) -> String {
        self.code.map_or_else(|| INVALID_POLICY.to_owned(), Code::name)
    }
}

/// The code of faults.
pub(crate) const INVALID_POLICY: &str = "invalid-policy";

impl From<&PolicyFault> for Finding {
    fn from(fault: &PolicyFault) -> Self {
        Self {
            code: None,
            offset: fault.offset(),
            rule: None,
            problem: fault.problem().to_owned(),
            cure: fault.cure().to_owned(),
            related: Vec::new(),
        }
    }
}

/// How a rule is called in a sentence.
pub(crate) fn name(rule: &RuleDraft) -> &str {
    rule.id.as_ref().map_or("without id", |id| &id.text)
}

/// Where a rule stands: its id, or else its beginning.
pub(crate) fn place(rule: &RuleDraft) -> Option<usize> {
    rule.id.as_ref().and_then(|id| id.offset).or(rule.offset)
}

/// The texts of a list that may be absent.
pub(crate) fn texts(list: &Option<Vec<Text>>) -> &[Text] {
    list.as_deref().unwrap_or_default()
}
