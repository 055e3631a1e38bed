//! `egress-guard queries`: the questions of `report`, for logs that are where no command reads them.

use std::error::Error;

use clap::{Args, ValueEnum};

use crate::output;

/// Print queries that ask what report answers, for logs that are larger than one machine.
///
/// For Amazon Athena, over logs in S3, these are `table`, into which a bucket must be written, and `view`, to be run once, and
/// then one for each question. Every query begins with a comment that says what it is.
///
/// Exit status: 0 if they are printed, 2 if the arguments are wrong or they cannot be written.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  egress-guard queries athena
  egress-guard queries athena table > table.sql
  egress-guard queries athena denials")]
pub(crate) struct Queries {
    /// What runs them
    #[arg(value_name = "FOR")]
    engine: Engine,
    /// Only this one; without, all are printed in their order
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Engine {
    /// Amazon Athena, over logs in S3
    Athena,
}

/// The name of a query, and its text.
type Query = (&'static str, &'static str);

const ATHENA: &[Query] = &[
    ("table", include_str!("../queries/athena/table.sql")),
    ("view", include_str!("../queries/athena/view.sql")),
    ("functions", include_str!("../queries/athena/functions.sql")),
    ("destinations", include_str!("../queries/athena/destinations.sql")),
    ("denials", include_str!("../queries/athena/denials.sql")),
    ("would_deny", include_str!("../queries/athena/would_deny.sql")),
    ("rules", include_str!("../queries/athena/rules.sql")),
    ("outcomes", include_str!("../queries/athena/outcomes.sql")),
    ("timeline", include_str!("../queries/athena/timeline.sql")),
];

impl Queries {
    pub(crate) fn run(&self) -> Result<bool, Box<dyn Error>> {
        let queries = self.engine.queries();
        let text = match &self.name {
            None => queries.iter().map(|(_, text)| *text).collect::<Vec<_>>().join("\n"),
            Some(name) => match queries.iter().find(|(known, _)| known == name) {
                Some((_, text)) => (*text).to_owned(),
                None => {
                    let known: Vec<_> = queries.iter().map(|(known, _)| *known).collect();
                    return Err(format!("there is no query {name:?}, expected one of {}", known.join(", ")).into());
                }
            },
        };
        output::print(text.as_bytes())?;
        Ok(true)
    }
}

impl Engine {
    fn queries(self) -> &'static [Query] {
        match self {
            Self::Athena => ATHENA,
        }
    }
}
