//! The codes of warnings: one table, from which the help, SARIF and the documentation are made.

use clap::ValueEnum;

/// What a warning is about. The comment of each is what `--help` says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub(crate) enum Code {
    /// A wildcard over names that strangers can register
    SharedSuffix,
    /// A wildcard over names that mean something in one network only
    LocalName,
    /// A rule that other rules make useless
    CoveredRule,
    /// A host that another host or rule makes useless
    CoveredHost,
    /// A network that another network or rule makes useless
    CoveredNetwork,
    /// An allow rule that has expired
    ExpiredRule,
    /// An allow rule that expires within --soon days
    ExpiresSoon,
    /// `expires` in a deny rule that denies before that day too
    ExpiresNoEffect,
    /// A report-only mode that has ended
    ReportOnlyEnded,
    /// A report-only mode for more than 90 days, or without an end
    ReportOnlyLong,
    /// A rule without an owner, in a policy without one
    MissingOwner,
    /// A rule without a reason
    MissingReason,
    /// An allow rule with plain http
    PlainHttp,
    /// An allow rule over a wildcard or a network that states neither methods nor paths
    AnyMethodAnyPath,
    /// An allow rule with `dangerously_any_host`
    AnyHost,
    /// A network wider than /16 (IPv4) or /32 (IPv6) that is opened
    WideNetwork,
    /// An allow rule with more than 1024 ports
    WidePorts,
    /// An allow rule that opens a cloud's metadata service
    Metadata,
    /// A policy without an allow rule (a note, not a warning)
    EmptyPolicy,
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// The policy is not used at all.
    Fault,
    /// The policy is used, and somebody should look at it.
    Warning,
    /// Nothing is wrong.
    Note,
}

impl Level {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl Code {
    pub(crate) fn level(self) -> Level {
        if self == Self::EmptyPolicy { Level::Note } else { Level::Warning }
    }

    /// The code as people write it, in kebab-case.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What it is about, in a few words.
    pub(crate) fn summary(self) -> String {
        let value = self.to_possible_value();
        value.and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
    }

    /// Why it matters, and what to do about it.
    pub(crate) const fn why_and_cure(self) -> (&'static str, &'static str) {
        match self {
            Self::SharedSuffix => (
                "By the Public Suffix List, as buckets of S3, or as customers of a service that the list lacks (`*.nip.io`, \
                 `*.storage.googleapis.com`, `*.atlassian.net`; such a list cannot be complete), its names belong to many \
                 owners: whoever registers one is let in.",
                "Write out the label that is yours, as in `my-bucket.s3.eu-west-1.amazonaws.com`.",
            ),
            Self::LocalName => (
                "Nobody owns `*.internal` or `*.local`; a name means what the resolver of the moment says.",
                "List the hosts, or state the suffix in `[internal]` if it is yours.",
            ),
            Self::CoveredRule => (
                "It reads as if it mattered. What it seems to narrow stays open, and removing it closes nothing.",
                "Remove it, or narrow what covers it.",
            ),
            Self::CoveredHost | Self::CoveredNetwork => {
                ("As with a covered rule, it reads as if it mattered.", "Remove it, or narrow what covers it.")
            }
            Self::ExpiredRule => (
                "It allows nothing any more; its requests are denied with `rule-expired`.",
                "Remove it, or move `expires` if it is still needed.",
            ),
            Self::ExpiresSoon => (
                "From that day its requests are denied.",
                "Ask its owner: move `expires`, or see that nothing needs the rule by then.",
            ),
            Self::ExpiresNoEffect => (
                "A deny rule never ends by itself; `expires` is the day on which a report-only one begins to deny.",
                "Remove `expires`, or add `mode = \"report-only\"` if that is what is meant.",
            ),
            Self::ReportOnlyEnded => {
                ("It is enforced since that day, whatever `mode` says.", "Remove `mode` and the date.")
            }
            Self::ReportOnlyLong => {
                ("What only reports stops nothing, and a long trial is forgotten.", "State a day within 90 days.")
            }
            Self::MissingOwner => (
                "A developer whose request is denied is told whom to ask, and so is whoever reviews the rule.",
                "State `owner` in the rule, or at the top for all rules.",
            ),
            Self::MissingReason => (
                "Nobody dares to remove a rule whose purpose is unknown.",
                "State `reason`: what the rule is for, in one line.",
            ),
            Self::PlainHttp => (
                "Whoever is on the way can read and change what is sent, and answer in the name of the host.",
                "Use https, and remove `http` and port 80.",
            ),
            Self::AnyMethodAnyPath => (
                "A rule that reaches many hosts should not also allow whatever can be sent to them.",
                "State `methods` or `paths`, or list the hosts.",
            ),
            Self::AnyHost => (
                "The function can send anything to anyone on the Internet.",
                "List the hosts; `check` tells which requests a list would deny.",
            ),
            Self::WideNetwork => (
                "It holds more than 65,536 IPv4 addresses, or more than one customer's IPv6 addresses.",
                "State the networks that are meant, as narrow as they are.",
            ),
            Self::WidePorts => {
                ("Most services on a machine listen on some port of such a range.", "List the ports that are meant.")
            }
            Self::Metadata => (
                "It hands out credentials to whoever asks, and a function has them in its environment already.",
                "Remove it.",
            ),
            Self::EmptyPolicy => {
                ("Every request is denied.", "Nothing, if that is meant; else add an `[[allow]]` rule.")
            }
        }
    }
}
