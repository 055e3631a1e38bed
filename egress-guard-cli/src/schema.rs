//! `egress-guard schema`: what an editor or a consumer of audit lines needs to know.

use std::error::Error;

use clap::{Args, ValueEnum};

use crate::{output, report};

/// Print the JSON Schema of policies, for editors, of audit lines, or of reports.
///
/// An editor that knows the schema of policies offers their keys, explains them and marks mistakes. In TOML the comment
/// `#:schema ./policy.schema.json` in the first line names it, for taplo and the editors that use it, such as VS Code with
/// Even Better TOML. In JSON the key `"$schema": "./policy.schema.json"` does.
///
/// Exit status: 0 if it is printed, 2 if the arguments are wrong or it cannot be written.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  egress-guard schema policy > policy.schema.json
  taplo lint --schema \"file://$PWD/policy.schema.json\" policy.toml
  egress-guard schema audit > audit.schema.json")]
pub(crate) struct Schema {
    /// What it describes
    #[arg(value_name = "OF")]
    of: Of,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Of {
    /// A policy, in TOML or JSON
    Policy,
    /// One line of the audit
    Audit,
    /// What `report --format json` prints
    Report,
}

impl Schema {
    pub(crate) fn run(&self) -> Result<bool, Box<dyn Error>> {
        let schema = match self.of {
            Of::Policy => egress_guard::POLICY_SCHEMA,
            Of::Audit => egress_guard::AUDIT_SCHEMA,
            Of::Report => report::REPORT_SCHEMA,
        };
        output::print(schema.as_bytes())?;
        Ok(true)
    }
}
