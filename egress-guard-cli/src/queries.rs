//! `egress-guard queries`: the questions of `report`, for logs that are where no command reads them.

use std::error::Error;

use clap::{Args, ValueEnum};

use crate::{cloudwatch, output};

/// Print queries that ask what report answers, for logs that are larger than one machine.
///
/// For Amazon Athena, over logs in S3, these are `table`, into which a bucket must be written, and `view`, to be run once, and
/// then one for each question. Those for Logs Insights are the ones that the template of cloudwatch saves.
///
/// Exit status: 0 if they are printed, 2 if the arguments are wrong or they cannot be written.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  egress-guard queries athena
  egress-guard queries athena table > table.sql
  egress-guard queries insights denials")]
pub(crate) struct Queries {
    /// What runs them
    #[arg(value_name = "FOR")]
    engine: Engine,
    /// Only this one; without, all are printed, each below its name
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Engine {
    /// Amazon Athena, over logs in S3
    Athena,
    /// Logs Insights of CloudWatch
    Insights,
}

#[derive(Clone, Copy)]
struct Query {
    name: &'static str,
    text: &'static str,
}

macro_rules! athena {
    ($($name:literal),*) => {
        &[$(Query { name: $name, text: include_str!(concat!("../queries/athena/", $name, ".sql")) }),*]
    };
}

const ATHENA: &[Query] =
    athena!("table", "view", "functions", "destinations", "denials", "would_deny", "rules", "outcomes", "timeline");

impl Queries {
    pub(crate) fn run(&self) -> Result<bool, Box<dyn Error>> {
        let queries = self.engine.queries();
        let text = match &self.name {
            None => {
                let mark = self.engine.comment_mark();
                let texts = queries.iter().map(|Query { name, text }| format!("{mark} {name}\n{text}"));
                texts.collect::<Vec<_>>().join("\n")
            }
            Some(asked) => match queries.iter().find(|query| query.name == asked) {
                Some(query) => query.text.to_owned(),
                None => {
                    let names: Vec<_> = queries.iter().map(|query| query.name).collect();
                    return Err(format!("there is no query {asked:?}, expected one of {}", names.join(", ")).into());
                }
            },
        };
        output::print(text.as_bytes())?;
        Ok(true)
    }
}

impl Engine {
    fn queries(self) -> Vec<Query> {
        match self {
            Self::Athena => ATHENA.to_vec(),
            Self::Insights => {
                cloudwatch::QUERIES.iter().map(|query| Query { name: query.name, text: query.text }).collect()
            }
        }
    }

    fn comment_mark(self) -> &'static str {
        match self {
            Self::Athena => "--",
            Self::Insights => "#",
        }
    }
}
