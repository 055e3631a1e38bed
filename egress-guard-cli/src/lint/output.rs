//! How findings are shown: to people, to programs, to code scanning.

pub(crate) mod json;
pub(crate) mod sarif;
pub(crate) mod text;

use super::code::Level;
use super::finding::Finding;

/// How many findings there are of a level.
fn count<'f>(findings: impl Iterator<Item = &'f Finding>, level: Level) -> usize {
    findings.filter(|finding| finding.level() == level).count()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::lint::Report;
    use crate::lint::checks::{Settings, lint};
    use crate::lint::source::Source;

    /// Almost a policy, in TOML or JSON, of which every piece may be missing or wrong.
    fn policy() -> impl Strategy<Value = String> {
        let value = prop_oneof![
            "['\"]{1,3}[a-z0-9*./:\\\\\r\n\u{9b}\u{e9}-]{0,9}['\"]{0,3}",
            "\\[('\\*\\.github\\.io',|'10\\.0\\.0\\.0/8',|80,){0,2}\\]?",
            "2026-01-0[0-9]",
        ];
        let key = prop::sample::select(vec!["id", "hosts", "networks", "ports", "schemes", "expires", "mode", "owner"]);
        let line = (key, value, prop_oneof![Just("\n"), Just("\r\n"), Just("")]);
        let lines = prop::collection::vec(line.prop_map(|(key, value, end)| format!("{key} = {value}{end}")), 0..5);
        lines.prop_map(|lines| format!("version = 1\nname = 'p'\n[[allow]]\n{}", lines.concat()))
    }

    proptest! {
        #[test]
        fn whatever_a_file_holds_can_be_shown(text in prop_oneof![policy(), "\\PC{0,40}", any::<String>()], is_json: bool) {
            let settings = Settings { today: "2026-01-01".parse().unwrap(), soon: 30 };
            let findings = lint(&text, is_json, &settings);
            let reports = [Report { source: Source::new(Path::new("policy.toml"), text), findings, left_out: 0 }];
            let mut output = Vec::new();
            text::print(&mut output, &reports, false).unwrap();
            json::print(&mut output, &reports).unwrap();
            sarif::print(&mut output, &reports, &[]).unwrap();
            let output = String::from_utf8(output).unwrap();
            prop_assert!(!output.contains(|c: char| c.is_control() && c != '\n'), "{output:?}");
        }
    }
}
