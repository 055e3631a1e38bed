//! The tables' headings and columns.

/// What is the same in every report.
pub(super) struct Head {
    /// The anchor; those of the rows begin with it.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    /// What is said instead of an empty table; without it, nothing.
    pub(super) none: Option<&'static str>,
    /// The first columns say of what, the others how much and when.
    pub(super) names: &'static [&'static str],
    pub(super) figures: &'static [&'static str],
}

pub(super) const DENIALS: Head = Head {
    id: "denials",
    title: "Denied",
    about: "What was stopped, at any stage.",
    none: Some("Nothing was denied."),
    names: &["Function", "Destination", "Reason", "Rule", "Stage"],
    figures: &["Count", "First seen", "Last seen"],
};
pub(super) const WOULD_DENY: Head = Head {
    id: "would-deny",
    title: "Would be denied",
    about: "What was sent, and would be denied if the policy or the rule were enforced.",
    none: Some("Nothing would be denied."),
    ..DENIALS
};
pub(super) const FUNCTIONS: Head = Head {
    id: "functions",
    title: "Functions",
    about: "Who asked, and how much was exchanged.",
    none: Some("No function asked for anything."),
    names: &["Function"],
    figures: &[
        "Denied",
        "Would be",
        "Requests",
        "Connections",
        "Destinations",
        "Sent",
        "Received",
        "Invocations",
        "Environments",
        "Last seen",
    ],
};
pub(super) const DESTINATIONS: Head = Head {
    id: "destinations",
    title: "Destinations",
    about: "Where each function talked to, or tried to. Those first seen in the last quarter of the time are marked as new.",
    none: Some("No destination was asked for."),
    names: &["Function", "Destination", "Boundary"],
    figures: &["Denied", "Would be", "Requests", "Connections", "Sent", "Received", "First seen", "Last seen"],
};
pub(super) const RULES: Head = Head {
    id: "rules",
    title: "Rules",
    about: "What each rule of a policy decided.",
    none: Some("Nothing was decided."),
    names: &["Policy", "Rule"],
    figures: &["Denied", "Would be", "Requests", "Connections", "Last seen"],
};
pub(super) const OUTCOMES: Head = Head {
    id: "outcomes",
    title: "Outcomes",
    about: "How allowed requests ended.",
    none: Some("No request was seen to its end."),
    names: &["Function", "Host", "Outcome", "Status"],
    figures: &["Count", "Sent", "Received", "Mean time", "Longest", "Last seen"],
};
pub(super) const POLICIES: Head = Head {
    id: "policies",
    title: "Policies in force",
    about: "By the lines that name them.",
    none: Some("No line names a policy."),
    names: &["Policy", "Mode", "SHA-256"],
    figures: &["Lines", "First seen", "Last seen"],
};
pub(super) const REJECTED: Head = Head {
    id: "rejected-policies",
    title: "Rejected policies",
    about: "Texts that were to replace a policy and cannot be used; the policy named stays in force.",
    none: None,
    names: &["Policy", "SHA-256 of the rejected text"],
    figures: &["Lines", "First seen", "Last seen"],
};
pub(super) const SUSPICIOUS: Head = Head {
    id: "suspicious-environments",
    title: "Suspicious environments",
    about: "Variables that can lead requests elsewhere, change what is trusted or load foreign code.",
    none: None,
    names: &["Variables"],
    figures: &["Lines", "First seen", "Last seen"],
};

pub(super) const DROPPED: Head = Head {
    id: "dropped-levels",
    title: "Dropped levels",
    about: "Functions whose log level keeps lines from the log: what is counted of these levels is too low.",
    none: None,
    names: &["Levels"],
    figures: &["Lines", "First seen", "Last seen"],
};
pub(super) const NEW: Head = Head {
    id: "new-destinations",
    title: "New destinations",
    about: "What a function is first seen to ask for in the last quarter of the time.",
    none: None,
    names: &["Function", "Destination"],
    figures: &["Denied", "Would be", "Requests", "Connections", "First seen", "Last seen"],
};
