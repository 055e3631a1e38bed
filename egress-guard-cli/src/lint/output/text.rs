//! For people: each finding with its line, as compilers show it, and a summary.

use std::io::{self, Write};

use annotate_snippets::{AnnotationKind, Group, Level as Style, Origin, Renderer, Snippet};

use super::super::Report;
use super::super::code::Level;
use super::super::finding::Finding;
use super::super::source::Source;
use super::count;
use crate::output::is_printable;
use crate::shown::shown;

/// Bytes of a line that are still worth showing: a file without line breaks says nothing to a reader.
const LONG_LINE: usize = 1000;

pub(crate) fn print(output: &mut impl Write, reports: &[Report], in_colour: bool) -> io::Result<()> {
    let renderer = if in_colour { Renderer::styled() } else { Renderer::plain() };
    for Report { source, findings, .. } in reports {
        for finding in findings {
            writeln!(output, "{}\n", renderer.render(&[group(source, finding)]))?;
        }
    }
    writeln!(output, "{}", summary(reports))
}

fn group<'f>(source: &Source, finding: &Finding) -> Group<'f> {
    let style = match finding.level() {
        Level::Fault => Style::ERROR.with_name(Level::Fault.as_str()),
        Level::Warning => Style::WARNING,
        Level::Note => Style::NOTE,
    };
    let title = style.primary_title(shown(&finding.problem)).id(finding.code_name());
    let mut group = Group::with_title(title);
    match finding.offset {
        None => group = group.element(Origin::path(shown(&source.name()))),
        Some(offset) => {
            let mut marks = vec![(offset, None)];
            marks.extend(finding.related.iter().map(|(offset, label)| (*offset, Some(label.clone()))));
            while let Some((first, _)) = marks.first() {
                let line = source.place(*first).line;
                let (here, elsewhere) = marks.into_iter().partition(|(offset, _)| source.place(*offset).line == line);
                group = show(group, source, here);
                marks = elsewhere;
            }
        }
    }
    group.element(Style::HELP.message(shown(&finding.cure)))
}

/// Values of one line, with their labels; the one without is what the finding is about.
fn show<'f>(group: Group<'f>, source: &Source, marks: Vec<(usize, Option<String>)>) -> Group<'f> {
    let place = source.place(marks.first().map_or(0, |(offset, _)| *offset));
    let (path, line) = (shown(&source.name()), source.line(place.line));
    if line.len() > LONG_LINE {
        return group.element(Origin::path(path).line(place.line).char_column(place.column));
    }
    let up_to = |end: usize| harmless(source.text.get(line.start..end.min(line.end)).unwrap_or_default());
    let mut snippet = Snippet::source(up_to(line.end)).path(path).line_start(place.line);
    for (offset, label) in marks {
        let span = up_to(offset).len()..up_to(source.token(offset).end).len();
        let kind = if label.is_none() { AnnotationKind::Primary } else { AnnotationKind::Context };
        snippet = snippet.annotation(kind.span(span).label(label));
    }
    group.element(snippet)
}

/// A line of a policy with everything that could steer a terminal replaced, character by character, so that columns stay.
fn harmless(text: &str) -> String {
    let replaced = |character| if is_printable(character) || character == '\t' { character } else { '\u{fffd}' };
    text.chars().map(replaced).collect()
}

fn summary(reports: &[Report]) -> String {
    let number = |count: usize, of: &str| match count {
        0 => format!("no {of}s"),
        1 => format!("1 {of}"),
        count => format!("{count} {of}s"),
    };
    let count = |level| count(reports.iter().flat_map(|report| &report.findings), level);
    let mut summary = format!(
        "{}: {}, {}",
        number(reports.len(), "file"),
        number(count(Level::Fault), "fault"),
        number(count(Level::Warning), "warning")
    );
    if count(Level::Note) > 0 {
        summary.push_str(&format!(", {}", number(count(Level::Note), "note")));
    }
    let left_out: usize = reports.iter().map(|report| report.left_out).sum();
    if left_out > 0 {
        summary.push_str(&format!(", and {left_out} more that --allow leaves out"));
    }
    summary
}
