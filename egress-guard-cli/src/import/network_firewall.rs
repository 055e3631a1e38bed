//! AWS Network Firewall: a domain list, as plain lines or as a rule group in JSON or YAML.

use egress_guard::Effect;

use super::domains;
use super::draft::{Draft, Fault, Head, PUBLIC_ONLY, excerpt};
use super::yaml::{self, Node};

pub(super) fn read(text: &str) -> Result<Draft, Vec<Fault>> {
    let lines = domains::lines(text)?;
    let is_tree = text.trim_start().starts_with('{')
        || lines.iter().any(|(_, line)| line.contains("RulesSource") || line.contains("Targets:"));
    let mut draft = if is_tree { rule_groups(&yaml::parse(text)?)? } else { plain(&lines) };
    draft.notes.extend(
        [
            "Network Firewall finds the protocols on any port; here https means 443 and http means 80. Add `ports` for \
             others.",
            PUBLIC_ONLY,
        ]
        .map(str::to_owned),
    );
    Ok(draft)
}

fn plain(lines: &[(usize, &str)]) -> Draft {
    let mut draft = Draft::default();
    let head = Head::new(Effect::Allow, &["https"], None);
    for (line, entry) in lines {
        domains::add(&mut draft, &head, *line, entry);
    }
    draft.notes.push(
        "Plain lines say neither action nor protocol: they are taken for an ALLOWLIST of TLS_SNI, so for https. Import \
         the rule group in JSON if it is another."
            .to_owned(),
    );
    draft
}

/// Keys of a rule group that decide over traffic and are no domain list.
const OTHER_RULES: &[&str] = &["RulesString", "StatefulRules", "StatelessRulesAndCustomActions"];
const VARIABLES: &[&str] = &["ReferenceSets", "RuleVariables"];

/// Every domain list of a document, wherever it stands: a bare list, a rule group, an API's answer, a template.
fn rule_groups(root: &Node) -> Result<Draft, Vec<Fault>> {
    let mut draft = Draft::default();
    let mut lists = Vec::new();
    if root.get("Targets").is_some() {
        lists.push(root);
    }
    root.each_map(&mut |entries| {
        for entry in entries.iter().filter(|entry| !entry.node.is_empty()) {
            let key = entry.key.as_str();
            if key == "RulesSourceList" {
                lists.push(&entry.node);
            } else if OTHER_RULES.contains(&key) {
                let cure = "write rules for them: until then what they allow is denied here, and what they deny is not";
                draft.left.push(Fault::new(entry.line, format!("`{key}` holds rules that are no domain list"), cure));
            } else if VARIABLES.contains(&key) {
                let cure = "see that the function is among those that the list is for; a policy is about one function";
                draft.left.push(Fault::new(entry.line, format!("`{key}` says whose traffic is meant"), cure));
            }
        }
    });
    if lists.is_empty() {
        let cure = "name the rule group that has the domains, as `describe-rule-group` prints it";
        return Err(vec![Fault::new(root.line, "there is no RulesSourceList", cure)]);
    }
    if lists.len() > 1 {
        let lines: Vec<String> = lists.iter().map(|list| list.line.to_string()).collect();
        draft.notes.push(format!("The domain lists on lines {} are put together.", lines.join(", ")));
    }
    let mut actions = Vec::new();
    for list in &lists {
        actions.push(domain_list(&mut draft, list).map_err(|fault| vec![fault])?);
    }
    if let Some(list) = lists.first().filter(|_| actions.contains(&Action::Deny) && !actions.contains(&Action::Allow)) {
        draft.left.push(Fault::new(
            list.line,
            "what is not on a list of denied domains passes there, and here nothing does",
            "add [[allow]] rules for what the function needs",
        ));
    }
    Ok(draft)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Allow,
    Deny,
    Alert,
}

fn domain_list(draft: &mut Draft, list: &Node) -> Result<Action, Fault> {
    for entry in list.entries("RulesSourceList")? {
        if !["Targets", "TargetTypes", "GeneratedRulesType"].contains(&entry.key.as_str()) {
            let problem = format!("`{}` is no key of a domain list that is known here", excerpt(&entry.key));
            draft.left.push(Fault::new(entry.line, problem, "see what it does, and write rules for it"));
        }
    }
    let required = |key: &str, cure: &str| {
        list.get(key).ok_or_else(|| Fault::new(list.line, format!("RulesSourceList has no `{key}`"), cure))
    };
    let action = action(required("GeneratedRulesType", "write ALLOWLIST, DENYLIST or REJECTLIST")?)?;
    let schemes = schemes(required("TargetTypes", "write TLS_SNI, HTTP_HOST or both")?)?;
    let targets = required("Targets", "list the domains")?;
    let effect = match action {
        Action::Allow => Effect::Allow,
        Action::Deny => Effect::Deny,
        Action::Alert => {
            let cure = "look for alerts in the audit lines; a policy allows or denies";
            draft.left.push(Fault::new(list.line, "an ALERTLIST neither allows nor denies", cure));
            return Ok(action);
        }
    };
    if let ([scheme], Action::Allow) = (schemes, action) {
        draft.notes.push(format!(
            "The list on line {} is about {scheme} alone. The other protocol passes it there, and is denied here.",
            list.line
        ));
    }
    let head = Head::new(effect, schemes, None);
    match targets.items("`Targets`") {
        Ok(items) => {
            for item in items {
                match item.text("a target") {
                    Ok(domain) => domains::add(draft, &head, item.line, domain),
                    Err(fault) => draft.left.push(fault),
                }
            }
        }
        // A template's reference.
        Err(fault) => draft.left.push(fault),
    }
    Ok(action)
}

fn action(node: &Node) -> Result<Action, Fault> {
    match node.text("`GeneratedRulesType`")? {
        "ALLOWLIST" => Ok(Action::Allow),
        "DENYLIST" | "REJECTLIST" => Ok(Action::Deny),
        "ALERTLIST" => Ok(Action::Alert),
        other => {
            let problem = format!("`GeneratedRulesType` is `{}`", excerpt(other));
            Err(Fault::new(node.line, problem, "write ALLOWLIST, DENYLIST, REJECTLIST or ALERTLIST"))
        }
    }
}

fn schemes(node: &Node) -> Result<&'static [&'static str], Fault> {
    let (mut https, mut http) = (false, false);
    for (line, kind) in node.texts("`TargetTypes`")? {
        match kind {
            "TLS_SNI" => https = true,
            "HTTP_HOST" => http = true,
            other => {
                let problem = format!("`TargetTypes` lists `{}`", excerpt(other));
                return Err(Fault::new(line, problem, "write TLS_SNI or HTTP_HOST"));
            }
        }
    }
    match (https, http) {
        (true, true) => Ok(&["https", "http"]),
        (true, false) => Ok(&["https"]),
        (false, true) => Ok(&["http"]),
        (false, false) => Err(Fault::new(node.line, "`TargetTypes` is empty", "write TLS_SNI, HTTP_HOST or both")),
    }
}
