//! The page: a template written by hand, with tables and a plot put in.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Failure;
use crate::plot;
use crate::results::Results;
use crate::tables;
use crate::targets;

/// The workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Where measurements put what is not kept, within the target folder.
pub(crate) fn target() -> PathBuf {
    let folder = std::env::current_exe().ok();
    let folder = folder.as_deref().and_then(Path::parent).and_then(Path::parent);
    folder.map_or_else(|| root().join("target"), Path::to_owned).join("performance")
}

/// Where a run leaves its page.
#[derive(Debug)]
pub(crate) struct Place {
    page: PathBuf,
    plot: PathBuf,
    results: PathBuf,
}

impl Place {
    pub(crate) fn docs() -> Self {
        let docs = root().join("docs");
        Self {
            page: docs.join("performance.md"),
            plot: docs.join("performance.svg"),
            results: root().join("benches/results.json"),
        }
    }

    pub(crate) fn trial() -> Result<Self, Failure> {
        let folder = target();
        fs::create_dir_all(&folder)?;
        Ok(Self {
            page: folder.join("performance.md"),
            plot: folder.join("performance.svg"),
            results: folder.join("results.json"),
        })
    }

    /// Those of the last run, if there was one.
    pub(crate) fn results(&self) -> Result<Results, Failure> {
        match fs::read(&self.results) {
            Ok(text) => Ok(serde_json::from_slice(&text).map_err(|error| {
                format!("{} is of another version, {error}: remove it and measure again", self.results.display())
            })?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Results::default()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn save(&self, results: &Results) -> Result<(), Failure> {
        Ok(fs::write(&self.results, serde_json::to_string_pretty(results)? + "\n")?)
    }

    pub(crate) fn write(&self, results: &Results) -> Result<&Path, Failure> {
        if let Some(decision) = &results.decision {
            plot::draw(&decision.of, &self.plot)?;
        }
        fs::write(&self.page, fill(include_str!("../../../page.md"), results)?)?;
        Ok(&self.page)
    }
}

/// Puts a table in place of each line `{{name}}`.
fn fill(template: &str, results: &Results) -> Result<String, Failure> {
    let mut page = String::new();
    for line in template.lines() {
        match line.strip_prefix("{{").and_then(|line| line.strip_suffix("}}")) {
            Some(name) => page.push_str(&table(name, results)?),
            None => page.push_str(line),
        }
        page.push('\n');
    }
    Ok(page)
}

fn table(name: &str, results: &Results) -> Result<String, Failure> {
    let table = match name {
        "machine" => tables::machine(results),
        "targets" => targets::table(results),
        "decision" => tables::decision(results),
        "networks" => tables::networks(results),
        "load" => tables::load(results),
        "audit" => tables::audit(results),
        "memory" => tables::memory(results),
        "clients" => tables::clients(results),
        "cold-start" => tables::cold_start(results),
        "instructions" => tables::instructions()?,
        _ => return Err(format!("benches/page.md asks for `{{{{{name}}}}}`, which is no table").into()),
    };
    Ok(table.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_asks_for_every_table_once_and_for_no_other() {
        let template = include_str!("../../../page.md");
        let mut asked: Vec<&str> =
            template.lines().filter_map(|line| line.strip_prefix("{{")?.strip_suffix("}}")).collect();
        asked.sort_unstable();
        let tables = [
            "audit",
            "clients",
            "cold-start",
            "decision",
            "instructions",
            "load",
            "machine",
            "memory",
            "networks",
            "targets",
        ];
        assert_eq!(asked, tables);
        fill(template, &Results::default()).unwrap();
    }

    #[test]
    fn what_is_no_table_is_a_fault() {
        assert!(fill("{{colour}}", &Results::default()).unwrap_err().to_string().contains("colour"));
    }
}
