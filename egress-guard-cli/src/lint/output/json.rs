//! For programs: one JSON object a line for each finding.

use std::io::{self, Write};

use serde::Serialize;

use super::super::Report;
use super::super::source::Source;
use crate::output::write_json;

#[derive(Serialize)]
struct Line<'f> {
    file: String,
    level: &'static str,
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_id: Option<&'f str>,
    problem: &'f str,
    cure: &'f str,
    #[serde(flatten)]
    place: Option<Region>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<Related<'f>>,
}

/// Lines and columns count from 1, columns in characters; the end is the first character behind. Bytes count from 0.
#[derive(Serialize)]
struct Region {
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    byte: usize,
    end_byte: usize,
}

#[derive(Serialize)]
struct Related<'f> {
    message: &'f str,
    #[serde(flatten)]
    place: Region,
}

impl Region {
    fn of(source: &Source, offset: usize) -> Self {
        let token = source.token(offset);
        let (start, end) = (source.place(token.start), source.place(token.end));
        Self {
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            byte: token.start,
            end_byte: token.end,
        }
    }
}

pub(crate) fn print(output: &mut impl Write, reports: &[Report]) -> io::Result<()> {
    for Report { source, findings, .. } in reports {
        for finding in findings {
            let related = finding.related.iter();
            let line = Line {
                file: source.name(),
                level: finding.level().as_str(),
                code: finding.code_name(),
                rule_id: finding.rule.as_deref(),
                problem: &finding.problem,
                cure: &finding.cure,
                place: finding.offset.map(|offset| Region::of(source, offset)),
                related: related.map(|(at, message)| Related { message, place: Region::of(source, *at) }).collect(),
            };
            write_json(output, &line)?;
        }
    }
    Ok(())
}
