//! For people.

use std::io::{self, Write};

use super::model::Report;

pub(super) fn print(output: &mut impl Write, report: &Report, _in_colour: bool) -> io::Result<()> {
    writeln!(output, "{report:#?}")
}
