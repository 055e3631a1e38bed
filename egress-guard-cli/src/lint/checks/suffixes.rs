//! Wildcards over names that belong to strangers, by the Public Suffix List, or to nobody.

use egress_guard::draft::{HostMap, HostPattern, PolicyDraft, RuleDraft, Text};
use psl::{List, Psl};

use super::super::code::Code;
use super::super::finding::{Finding, texts};

pub(super) fn check(draft: &PolicyDraft) -> Vec<Finding> {
    let mut internal = HostMap::<Vec<HostPattern>>::default();
    for pattern in draft.internal_hosts.iter().filter_map(|host| host.text.parse::<HostPattern>().ok()) {
        internal.update(&pattern, |patterns| patterns.push(pattern.clone()));
    }
    let mut findings = Vec::new();
    for rule in &draft.allow {
        findings.extend(texts(&rule.buckets).iter().filter_map(|bucket| shared_bucket(rule, bucket)));
        let written = wildcards(texts(&rule.hosts)).filter(|(_, host)| rule.origin(host).is_none());
        for (pattern, host) in written {
            if pattern.is_local() {
                if !is_covered(&pattern, &internal) {
                    let problem = format!("host `{pattern}` matches names that only mean something in one network");
                    let cure = "list the hosts, or state the suffix in [internal] hosts if it is yours";
                    findings.push(Finding::in_rule(Code::LocalName, rule, host.offset, problem, cure));
                }
            } else if let Some((problem, cure)) = shared(&pattern) {
                findings.push(Finding::in_rule(Code::SharedSuffix, rule, host.offset, problem, cure));
            }
        }
    }
    for (pattern, host) in wildcards(&draft.internal_hosts) {
        if let Some((problem, cure)) = shared(&pattern) {
            findings.push(Finding::new(Code::SharedSuffix, host.offset, format!("internal {problem}"), cure));
        }
    }
    findings
}

/// Buckets of everybody share one space of names.
fn shared_bucket(rule: &RuleDraft, bucket: &Text) -> Option<Finding> {
    bucket.text.contains('*').then(|| {
        let problem =
            format!("bucket `{}` matches buckets of strangers: anyone can make one with such a name", bucket.text);
        Finding::in_rule(Code::SharedSuffix, rule, bucket.offset, problem, "write out the buckets that are yours")
    })
}

fn wildcards(hosts: &[Text]) -> impl Iterator<Item = (HostPattern, &Text)> {
    let patterns = hosts.iter().filter_map(|host| Some((host.text.parse::<HostPattern>().ok()?, host)));
    patterns.filter(|(pattern, _)| pattern.is_wildcard())
}

fn is_covered(pattern: &HostPattern, map: &HostMap<Vec<HostPattern>>) -> bool {
    let mut covered = false;
    map.visit_around(pattern, |others| covered |= others.iter().any(|other| other.covers(pattern)));
    covered
}

/// The problem and the cure of a wildcard whose names belong to many, if it is one.
pub(crate) fn shared(pattern: &HostPattern) -> Option<(String, String)> {
    // What stands to the right of the last `*` is what all its names have in common.
    let common = match pattern.labels().rsplit_once('*') {
        Some((_, behind)) => behind.split_once('.')?.1,
        None => pattern.labels(),
    };
    let suffix = suffix_of(common);
    // Of a top level that the list does not have it says nothing.
    suffix.kind?;
    if suffix.length == common.len() {
        return Some((
            format!("host `{pattern}` matches names of strangers: anyone can have one below `{common}`"),
            format!("write out the label that is yours, as in \"your-name.{common}\""),
        ));
    }
    if !suffix.has_more_below {
        return None;
    }
    let suffixes = format!("below `{common}` lie public suffixes, where anyone can have one");
    if pattern.to_string().starts_with(['*', '.']) {
        return Some((
            format!("host `{pattern}` matches names of strangers: {suffixes}"),
            "write out the names that are meant".to_owned(),
        ));
    }
    // A `*` of exactly one label: it stands for any, or the list has a rule `*.common`, which any label shows. Which
    // labels it has cannot be asked, so nothing is said of a `*` within a label.
    let label = pattern.labels().strip_suffix(common).and_then(|rest| rest.strip_suffix('.')).unwrap_or_default();
    let can_be_a_suffix = label.ends_with(".*") || suffix_of(&format!("-.{common}")).length > common.len();
    can_be_a_suffix.then(|| {
        (
            format!("host `{pattern}` may match names of strangers: {suffixes}, and `*` can be a part of one"),
            "write out what `*` stands for".to_owned(),
        )
    })
}

/// What the list says of a name.
struct Suffix {
    /// How many bytes of the name, from its end, are a public suffix.
    length: usize,
    kind: Option<psl::Type>,
    /// Whether the list has longer suffixes that end in the name.
    has_more_below: bool,
}

fn suffix_of(name: &str) -> Suffix {
    let mut labels = Watched { labels: name.as_bytes().rsplit(|byte| *byte == b'.'), asked_for_more: false };
    let found = List.find(&mut labels);
    let listed = Suffix { length: found.len, kind: found.typ, has_more_below: labels.asked_for_more };
    let is_shared = SHARED.contains(&name) || SHARED_AT_ANY_DEPTH.iter().any(|suffix| is_or_is_below(name, suffix));
    let is_above = || SHARED.iter().chain(SHARED_AT_ANY_DEPTH).any(|suffix| is_or_is_below(suffix, name));
    match is_shared {
        true => Suffix { length: name.len(), kind: Some(psl::Type::Private), ..listed },
        false => Suffix { has_more_below: listed.has_more_below || is_above(), ..listed },
    }
}

fn is_or_is_below(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Where a service gives each customer a name directly below its own. The Public Suffix List has only those whose owners
/// asked for it; some of these may be in later versions of it.
const SHARED: &[&str] = &[
    // Storage and databases.
    "blob.core.windows.net",
    "database.windows.net",
    "dfs.core.windows.net",
    "documents.azure.com",
    "eu.r2.cloudflarestorage.com",
    "file.core.windows.net",
    "firebaseio.com",
    "queue.core.windows.net",
    "r2.cloudflarestorage.com",
    "redis.cache.windows.net",
    "search.windows.net",
    "servicebus.windows.net",
    "storage.googleapis.com",
    "table.core.windows.net",
    // Other services of clouds.
    "azure-api.net",
    "azurecr.io",
    "cognitiveservices.azure.com",
    "openai.azure.com",
    "vault.azure.net",
    // Software as a service.
    "atlassian.net",
    "auth0.com",
    "my.salesforce.com",
    "myshopify.com",
    "okta.com",
    "service-now.com",
    "sharepoint.com",
    "zendesk.com",
    // Tunnels, and catchers of requests.
    "loca.lt",
    "m.pipedream.net",
    "requestcatcher.com",
    "trycloudflare.com",
    "webhook.site",
];

/// The same where such names have further labels, as of a region, or of an address that they stand for.
const SHARED_AT_ANY_DEPTH: &[&str] = &[
    "aliyuncs.com",
    "backblazeb2.com",
    "burpcollaborator.net",
    "nip.io",
    "oast.fun",
    "oast.live",
    "oast.me",
    "oast.online",
    "oast.pro",
    "oast.site",
    "oastify.com",
    "snowflakecomputing.com",
    "sslip.io",
    "wasabisys.com",
];

/// The labels of a name, from its end. The list asks for one more only where it has rules for it.
struct Watched<I> {
    labels: I,
    asked_for_more: bool,
}

impl<'a, I: Iterator<Item = &'a [u8]>> Iterator for Watched<I> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let label = self.labels.next();
        self.asked_for_more |= label.is_none();
        label
    }
}
