//! One page that needs nothing else: no script, no request, and no link but to its own parts.

mod flows;
mod glance;
mod heads;
mod ribbons;
mod tables;
mod timeline;
mod words;

use std::fmt;
use std::io::{self, Write};

use askama::Template;
use askama::filters::{Escaper, Html};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use super::model::Report;
use crate::shown::shown;
use flows::Flows;
use glance::Glance;
use tables::{Cell, Section};
use timeline::Chart;

const STYLE: &str = include_str!("../../templates/report/page.css");

/// Prints the page, with so many rows of each table.
pub(super) fn print(output: &mut impl Write, report: &Report, top: usize) -> io::Result<()> {
    let page = Page {
        security: format!(
            "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
            BASE64_STANDARD.encode(Sha256::digest(STYLE))
        ),
        style: STYLE,
        glance: Glance::of(report, top),
        chart: Chart::of(&report.timeline),
        flows: Flows::of(report, top),
        sections: tables::sections(report, top),
        report,
    };
    page.write_into(output)
}

#[derive(Template)]
#[template(path = "report/page.html", whitespace = "minimize")]
struct Page<'a> {
    /// A content security policy: whatever a log brings in runs nothing and asks for nothing.
    security: String,
    style: &'static str,
    glance: Glance<'a>,
    chart: Chart,
    flows: Flows<'a>,
    sections: Vec<Section<'a>>,
    report: &'a Report,
}

/// Escapes every expression of the templates: what could be markup, and what could hide in the text.
#[derive(Clone, Copy)]
struct Shown;

impl Escaper for Shown {
    fn write_escaped_str<W: fmt::Write>(&self, output: W, text: &str) -> fmt::Result {
        Html.write_escaped_str(output, &shown(text))
    }
}
