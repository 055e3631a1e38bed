//! A policy as somebody wrote it, in a file or in code, before anything is checked.

/// A text and where it stands, as a byte offset; texts given in code have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) offset: Option<usize>,
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self { text, offset: None }
    }
}

/// An absent list means the default; an empty one is a fault.
#[derive(Clone, Debug, Default)]
pub(super) struct RuleDraft {
    pub(super) offset: Option<usize>,
    /// Whether a value could not be read, so that its absence is no fault of its own.
    pub(super) unread: bool,
    pub(super) id: Option<Text>,
    pub(super) hosts: Option<Vec<Text>>,
    pub(super) any_host: bool,
    pub(super) networks: Option<Vec<Text>>,
    pub(super) ports: Option<Vec<Text>>,
    pub(super) schemes: Option<Vec<Text>>,
    pub(super) methods: Option<Vec<Text>>,
    pub(super) paths: Option<Vec<Text>>,
    pub(super) addresses: Option<Vec<Text>>,
    pub(super) reason: Option<Text>,
    pub(super) owner: Option<Text>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct PolicyDraft {
    pub(super) offset: Option<usize>,
    /// As in [`RuleDraft`].
    pub(super) unread: bool,
    pub(super) name: Option<Text>,
    pub(super) internal_hosts: Vec<Text>,
    pub(super) internal_networks: Vec<Text>,
    pub(super) allow: Vec<RuleDraft>,
    pub(super) deny: Vec<RuleDraft>,
}
