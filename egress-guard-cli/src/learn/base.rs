//! The policy that is added to: somebody's file, or one without a rule.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;
use std::time::SystemTime;

use egress_guard::draft::{HostPattern, PolicyDraft, RuleDraft};
use egress_guard::{Decision, Policy, Reason, Request, RuleId};
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, RawString, Table, Value};

use super::paths::may_hold_a_secret;
use super::rules::{Access, Rule};
use super::traffic::{Learnt, Traffic};
use super::usage::Usage;
use super::write;

pub(super) struct Base {
    document: DocumentMut,
    ids: BTreeSet<String>,
    /// The names of its allow rules, and what their connections may lead to.
    pub(super) listed: Vec<(HostPattern, Access)>,
    pub(super) policy: Policy,
    form: Form,
}

/// What the document does not keep of its file.
#[derive(Clone, Copy, Debug, Default)]
struct Form {
    has_bom: bool,
    /// Whether each line ends as on Windows.
    is_crlf: bool,
}

impl Form {
    fn of(text: &str) -> Self {
        let (ends, of_windows) = (text.matches('\n').count(), text.matches("\r\n").count());
        Self { has_bom: text.starts_with('\u{feff}'), is_crlf: ends > 0 && ends == of_windows }
    }

    fn apply(self, text: &str) -> String {
        let text = if self.is_crlf { text.replace("\r\n", "\n").replace('\n', "\r\n") } else { text.to_owned() };
        if self.has_bom { format!("\u{feff}{}", text.trim_start_matches('\u{feff}')) } else { text }
    }
}

/// The policy with what was added.
pub(super) struct Grown {
    pub(super) document: DocumentMut,
    pub(super) policy: Policy,
    /// The ids of the new rules, in the order in which they were given.
    pub(super) added: Vec<String>,
    form: Form,
}

/// What a rule was used for.
#[derive(Debug, Default)]
pub(super) struct Used {
    pub(super) usage: Usage,
    pub(super) hosts: BTreeSet<String>,
    pub(super) is_connections: bool,
    /// Whether the method of some request is not known.
    pub(super) is_redirected: bool,
    /// Whether some request was answered, or is not known to have ended.
    pub(super) is_alive: bool,
}

impl Base {
    /// Reads somebody's file, which is kept as it is.
    pub(super) fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        let shown = crate::shown::shown(&path.display().to_string());
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
            return Err(format!(
                "{shown}: only a policy in TOML can be merged, JSON keeps no comments: learn without --merge"
            )
            .into());
        }
        let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
        let base = Self::of(&text).map_err(|error| format!("{shown}: {error}"))?;
        let is_list = |allow: &Item| allow.is_array_of_tables() || is_empty(allow);
        let is_inline = base.document.get("allow").is_some_and(|allow| !is_list(allow));
        if is_inline {
            return Err(format!(
                "{shown}: `allow` is a list of inline tables: write each rule as [[allow]], to merge others in"
            )
            .into());
        }
        Ok(base)
    }

    pub(super) fn of(text: &str) -> Result<Self, Box<dyn Error>> {
        let form = Form::of(text);
        let text = text.trim_start_matches('\u{feff}');
        let policy = Policy::from_toml(text)?;
        let draft = PolicyDraft::from_toml(text)?;
        let ids = draft.allow.iter().chain(&draft.deny).filter_map(|rule| Some(rule.id.as_ref()?.text.clone()));
        let patterns = |rule: &RuleDraft| {
            let hosts = rule.hosts.clone().unwrap_or_default();
            hosts.into_iter().filter_map(|host| host.text.parse().ok()).collect::<Vec<HostPattern>>()
        };
        let listed =
            draft.allow.iter().flat_map(|rule| patterns(rule).into_iter().map(|host| (host, Access::of(rule))));
        Ok(Self { document: text.parse()?, ids: ids.collect(), listed: listed.collect(), policy, form })
    }

    /// What a further rule for the same connections must open, if there is a rule that shares them: the same.
    pub(super) fn access(&self, learnt: &Learnt, now: SystemTime) -> Option<Access> {
        let to = &learnt.asked.destination;
        let connection = Request::connection(to.scheme(), to.host(), to.port());
        if let Decision::Deny { reason, .. } = self.policy.decide(&connection, now)
            && !matches!(reason, Reason::DeniedByRule | Reason::RuleExpired)
        {
            return None;
        }
        let explanation = self.policy.explain(&learnt.request(), now);
        let rule = explanation.layers.iter().find_map(|layer| layer.missing_rule.as_deref()).unwrap_or_default();
        let draft = PolicyDraft::from_toml(&format!("version = 1\nname = \"missing\"\n{rule}"));
        Some(draft.ok().and_then(|draft| draft.allow.first().map(Access::of)).unwrap_or_default())
    }

    /// The policy with further rules at the end of its allow rules.
    pub(super) fn with(&self, rules: &[Rule]) -> Result<Grown, Box<dyn Error>> {
        let (mut document, mut ids, mut added) = (self.document.clone(), self.ids.clone(), Vec::new());
        if !rules.is_empty() {
            let mut comments = take_empty(&mut document);
            let allow = document.entry("allow").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
            let allow = allow.as_array_of_tables_mut().ok_or("`allow` is no list of [[allow]]")?;
            for rule in rules {
                let id = write::free_id(rule, &ids);
                let mut table = write::table(rule, &id);
                table.decor_mut().set_prefix(format!("\n{}", std::mem::take(&mut comments)));
                allow.push(table);
                ids.insert(id.clone());
                added.push(id);
            }
        }
        let policy = Policy::from_toml(&document.to_string()).map_err(|error| {
            format!("a fault of this command, please report it: it made a policy that cannot be used: {error}")
        })?;
        Ok(Grown { document, policy, added, form: self.form })
    }
}

/// What a policy says of something that was learnt, at the first place where it is not allowed.
pub(super) fn denial<'p>(policy: &'p Policy, learnt: &Learnt, now: SystemTime) -> Option<(Reason, Option<&'p str>)> {
    learnt.questions().find_map(|question| match policy.decide(&question, now) {
        Decision::Allow { .. } => None,
        Decision::Deny { reason, rule, .. } => Some((reason, rule.map(RuleId::as_str))),
    })
}

/// Whether it is `allow = []`, which says no more than nothing.
fn is_empty(allow: &Item) -> bool {
    allow.as_array().is_some_and(Array::is_empty)
}

/// Takes out an `allow = []`, and hands out the comments above, in and behind it.
fn take_empty(document: &mut DocumentMut) -> String {
    if !document.get("allow").is_some_and(is_empty) {
        return String::new();
    }
    let Some((key, item)) = document.remove_entry("allow") else { return String::new() };
    let inside = item.as_array().map(Array::trailing);
    let behind = item.as_value().and_then(|value| value.decor().suffix());
    let texts = [key.leaf_decor().prefix(), inside, behind].into_iter().flatten().filter_map(RawString::as_str);
    let comments = texts.flat_map(str::lines).map(str::trim).filter(|line| !line.is_empty());
    comments.map(|comment| format!("{comment}\n")).collect()
}

impl Grown {
    /// As the file has it, its newlines and byte order mark too.
    pub(super) fn text(&self) -> String {
        self.form.apply(&self.document.to_string())
    }

    /// What each rule was used for.
    pub(super) fn uses(&self, traffic: &Traffic, now: SystemTime) -> BTreeMap<String, Used> {
        let mut uses: BTreeMap<String, Used> = BTreeMap::new();
        traffic.each(|endpoint, of_endpoint, learnt, usage| {
            if denial(&self.policy, learnt, now).is_none()
                && let Decision::Allow { rule, .. } = self.policy.decide(&learnt.request(), now)
            {
                let used = uses.entry(rule.to_string()).or_default();
                used.usage.merge(usage);
                used.hosts.insert(endpoint.host.to_string());
                used.is_connections |= !learnt.is_request;
                used.is_redirected |= learnt.is_request && learnt.asked.method.is_none();
                used.is_alive |= !of_endpoint.is_dead();
            }
        });
        uses
    }

    /// The new rules whose paths may hold a secret.
    pub(super) fn secretive(&self) -> Vec<String> {
        let rules = self.document.get("allow").and_then(Item::as_array_of_tables).into_iter().flatten();
        let secretive = rules.filter(|rule| paths_of(rule).any(may_hold_a_secret));
        let ids = secretive.filter_map(|rule| rule.get("id").and_then(Item::as_str));
        ids.filter(|id| self.added.iter().any(|added| added == id)).map(str::to_owned).collect()
    }

    /// Writes above each allow rule what it was used for, in place of what was written there before. Rules that were used
    /// and that nothing was written above stay as they are, unless they are new.
    pub(super) fn mark(&mut self, uses: &BTreeMap<String, Used>, all: (&Usage, &str)) {
        let Some(rules) = self.document.get_mut("allow").and_then(Item::as_array_of_tables_mut) else { return };
        for rule in rules.iter_mut() {
            let Some(id) = rule.get("id").and_then(Item::as_str).map(str::to_owned) else { continue };
            let is_new = self.added.contains(&id);
            let prefix = rule.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned();
            let was_marked = prefix.lines().any(write::is_mark);
            let mark = match uses.get(&id) {
                Some(used) if was_marked || is_new => Some(write::used(&used.usage)),
                Some(_) => None,
                None => Some(write::not_used(all)),
            };
            if was_marked || mark.is_some() {
                let hints = uses.get(&id).filter(|_| is_new).map(|used| hints(rule, used)).unwrap_or_default();
                rule.decor_mut().set_prefix(with_mark(&prefix, mark.into_iter().chain(hints)));
            }
        }
    }
}

/// The comments above a rule with other lines of this command: in place of those it wrote before, or else at their end. What
/// stands in the line of the header itself, before it, is its indentation.
fn with_mark(prefix: &str, marks: impl Iterator<Item = String>) -> String {
    let (lines, indentation) = prefix.split_at(prefix.rfind('\n').map_or(0, |end| end + 1));
    let newline = if lines.contains("\r\n") { "\r\n" } else { "\n" };
    let marks: String = marks.map(|mark| format!("{indentation}{mark}{newline}")).collect();
    let first = lines.split_inclusive('\n').position(write::is_mark);
    let (mut out, mut marks) = (String::new(), Some(marks));
    for (number, line) in lines.split_inclusive('\n').enumerate() {
        if Some(number) == first {
            out += &marks.take().unwrap_or_default();
        }
        if !write::is_mark(line) {
            out += line;
        }
    }
    out + &marks.unwrap_or_default() + indentation
}

fn paths_of(rule: &Table) -> impl Iterator<Item = &str> {
    rule.get("paths").and_then(Item::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Whether a segment of a pattern is more than itself; `[*]` is not.
fn is_wildcard(segment: &str) -> bool {
    segment.replace("[*]", "").contains('*')
}

/// What whoever reviews a new rule should know.
fn hints(rule: &Table, used: &Used) -> Vec<String> {
    let mut hints = Vec::new();
    let has_wildcard = rule.get("hosts").is_some_and(|hosts| hosts.to_string().contains("\"*."));
    if has_wildcard {
        let names: Vec<&str> = used.hosts.iter().take(3).map(String::as_str).collect();
        let more = match used.hosts.len() - names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        hints.push(format!("# `*` stands for {}{more};", names.join(", ")));
        hints.push("# list the names instead if not all below it are one owner's".to_owned());
    }
    if used.is_connections {
        hints.push(
            "# only connections were seen, as of an ordinary client: neither methods nor paths are known".to_owned(),
        );
    }
    if used.is_redirected && !rule.contains_key("methods") {
        hints.push(
            "# only redirects that an ordinary client followed were seen: their methods are not known".to_owned(),
        );
    }
    if paths_of(rule).any(|path| path.split('/').nth(1).is_some_and(is_wildcard)) {
        hints.push("# `*` stands for first segments of paths: list them instead if not all are one owner's".to_owned());
    }
    if paths_of(rule).any(may_hold_a_secret) {
        hints.push("# a path may hold a secret, as a token: whoever reads this policy, reads it".to_owned());
    }
    if !used.is_alive {
        hints.push("# no request was answered: see whether it is needed at all".to_owned());
    }
    hints
}
