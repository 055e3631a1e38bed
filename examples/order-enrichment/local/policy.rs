//! The function's policy, changed as little as loopback needs.

use toml_edit::{ArrayOfTables, DocumentMut, Item, value};

const POLICY: &str = include_str!("../policy.toml");

/// Each rule is opened to loopback, at the ports that the servers happen to have; the rule that the policy is to lack is
/// taken out.
pub(crate) fn for_loopback(lacks: Option<&str>) -> Result<String, String> {
    let mut policy: DocumentMut = POLICY.parse().map_err(|error| format!("policy.toml: {error}"))?;
    let rules = policy.get_mut("allow").and_then(Item::as_array_of_tables_mut);
    let rules: &mut ArrayOfTables = rules.ok_or("policy.toml has no [[allow]]")?;
    if let Some(lacks) = lacks {
        let before = rules.len();
        rules.retain(|rule| rule.get("id").and_then(Item::as_str) != Some(lacks));
        if rules.len() == before {
            return Err(format!("policy.toml has no rule `{lacks}` to take out"));
        }
    }
    for rule in rules.iter_mut() {
        rule.insert("addresses", value(["127.0.0.1/32"].into_iter().collect::<toml_edit::Array>()));
        rule.insert("ports", value(["1024-65535"].into_iter().collect::<toml_edit::Array>()));
    }
    Ok(policy.to_string())
}
