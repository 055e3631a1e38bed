//! The function's policy, changed as little as loopback needs.

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, value};

/// Each rule is opened to loopback, at the ports that the servers happen to have; the rule that the policy is to lack is
/// taken out.
pub(crate) fn for_loopback(policy: &str, lacks: Option<&str>) -> Result<String, String> {
    let mut policy: DocumentMut = policy.parse().map_err(|error| format!("the policy is not TOML: {error}"))?;
    let rules = policy.get_mut("allow").and_then(Item::as_array_of_tables_mut);
    let rules: &mut ArrayOfTables = rules.ok_or("the policy has no [[allow]]")?;
    if let Some(lacks) = lacks {
        let before = rules.len();
        rules.retain(|rule| rule.get("id").and_then(Item::as_str) != Some(lacks));
        if rules.len() == before {
            return Err(format!("the policy has no rule `{lacks}` to take out"));
        }
    }
    for rule in rules.iter_mut() {
        rule.insert("addresses", value(Array::from_iter(["127.0.0.0/8"])));
        rule.insert("ports", value(Array::from_iter(["1024-65535"])));
    }
    Ok(policy.to_string())
}
