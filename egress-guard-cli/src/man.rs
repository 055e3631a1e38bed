//! `egress-guard man`: manual pages, made of what `--help` says.

use std::error::Error;
use std::path::PathBuf;
use std::{fs, io};

use clap::builder::Resettable;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::{Arguments, output};

/// Print the manual page, or write one for each command into a folder.
///
/// Exit status: 0 if they are written, 2 if the arguments are wrong or one cannot be written.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  egress-guard man | man -l -
  egress-guard man --output /usr/local/share/man/man1")]
pub(crate) struct Manual {
    /// The folder; made if it is missing
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl Manual {
    pub(crate) fn run(&self) -> Result<bool, Box<dyn Error>> {
        let command = root();
        let Some(folder) = &self.output else {
            output::print(&page(&command)?)?;
            return Ok(true);
        };
        let in_folder = |error| format!("cannot write to {}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(in_folder)?;
        for command in [&command].into_iter().chain(command.get_subcommands()) {
            let path = folder.join(format!("{}.1", display_name(command)));
            fs::write(&path, page(command)?).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
        Ok(true)
    }
}

/// The whole command, without `help`: that is what `man` is.
fn root() -> Command {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    command
}

fn display_name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// The page of a part of [`root`].
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let help = Help::of(command);
    let mut page = Vec::new();
    Man::new(command.clone().long_about(help.description).after_help(Resettable::Reset))
        // An empty argument that is not quoted would be none.
        .date("\"\"")
        .source(concat!("egress-guard ", env!("CARGO_PKG_VERSION")))
        .manual("egress-guard")
        .render(&mut page)?;
    let mut rest = Roff::new();
    if let Some(exit_status) = help.exit_status {
        rest.control("SH", ["EXIT STATUS"]).text([roman(exit_status)]);
    }
    for (heading, lines) in help.sections {
        rest.control("SH", [heading.as_str()]).control("nf", []);
        lines.into_iter().for_each(|line| _ = rest.text([roman(line)]));
        rest.control("fi", []);
    }
    if !command.has_subcommands() {
        rest.control("SH", ["SEE ALSO"]).text([bold("egress-guard"), roman("(1)")]);
    }
    rest.to_writer(&mut page)?;
    Ok(page)
}

/// What `--help` says of a command, in the parts that a manual page has.
#[derive(Debug)]
struct Help {
    description: String,
    /// Without `Exit status: ` in front.
    exit_status: Option<String>,
    /// What stands behind the options: headings, such as `EXAMPLES`, and their lines.
    sections: Vec<(String, Vec<String>)>,
}

impl Help {
    fn of(command: &Command) -> Self {
        let about =
            command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string).unwrap_or_default();
        let is_exit_status = |paragraph: &&str| paragraph.starts_with("Exit status: ");
        let (exit_status, description): (Vec<_>, Vec<_>) = about.split("\n\n").partition(is_exit_status);
        let mut sections: Vec<(String, Vec<String>)> = Vec::new();
        for line in command.get_after_help().map(ToString::to_string).unwrap_or_default().lines() {
            match (line.strip_suffix(':').filter(|heading| !heading.starts_with(' ')), sections.last_mut()) {
                (Some(heading), _) => sections.push((heading.to_uppercase(), Vec::new())),
                (None, Some((_, lines))) => lines.push(line.to_owned()),
                (None, None) => sections.push(("NOTES".to_owned(), vec![line.to_owned()])),
            }
        }
        Self {
            description: description.join("\n\n"),
            exit_status: exit_status.first().and_then(|text| text.strip_prefix("Exit status: ")).map(str::to_owned),
            sections,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(page: &[u8]) -> String {
        let page = String::from_utf8(page.to_vec()).unwrap();
        page.replace("\\-", "-").replace("\\*(Aq", "'").replace("\\\\", "\\").replace("\\fB", "").replace("\\fR", "")
    }

    #[test]
    fn every_subcommand_says_what_it_does_how_it_is_called_and_how_it_exits() {
        for command in root().get_subcommands() {
            let (name, help) = (command.get_name(), Help::of(command));
            assert!(
                command.get_about().is_some_and(|about| !about.to_string().is_empty()),
                "{name} has no description"
            );
            let exit_status = help.exit_status.unwrap_or_else(|| panic!("{name} says nothing of its `Exit status: `"));
            assert!(exit_status.starts_with("0 ") && exit_status.contains(" 2 "), "{name}: {exit_status}");
            let examples = help.sections.iter().find(|(heading, _)| heading == "EXAMPLES");
            let (_, lines) = examples.unwrap_or_else(|| panic!("{name} has no `Examples:` in its after_help"));
            assert!(lines.iter().any(|line| line.contains(&format!("egress-guard {name} "))), "{name}: {lines:?}");
        }
    }

    #[test]
    fn a_page_has_all_that_help_says() {
        let root = root();
        for command in [&root].into_iter().chain(root.get_subcommands()) {
            let (name, page) = (display_name(command), text(&page(command).unwrap()));
            let mut rest = page.as_str();
            for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"", "EXAMPLES"] {
                let heading = format!("\n.SH {heading}\n");
                rest =
                    rest.split_once(&heading).unwrap_or_else(|| panic!("{name}: {heading} is not next in\n{page}")).1;
            }
            assert!(page.contains(&format!("\n.TH {name} 1 ")), "{page}");
            let help = Help::of(command);
            let paragraphs = help.description.split("\n\n").map(str::to_owned);
            let lines = help.sections.into_iter().flat_map(|(_, lines)| lines);
            let options = command.get_arguments().filter_map(|option| option.get_long());
            let options = options.map(|option| format!("--{option}"));
            for said in paragraphs.chain(help.exit_status).chain(lines).chain(options) {
                assert!(page.contains(&said), "{name}: {said:?} is not in\n{page}");
            }
        }
    }

    #[test]
    fn the_main_page_leads_to_the_others() {
        let (root, page) = (root(), text(&page(&root()).unwrap()));
        assert!(root.get_subcommands().count() >= 4);
        for command in root.get_subcommands() {
            assert!(page.contains(&format!("egress-guard-{}(1)\n", command.get_name())), "{page}");
        }
        let exit_status = page.split("EXIT STATUS").nth(1).unwrap();
        assert!(["\n0 if", " 1 if", " 2 if"].iter().all(|status| exit_status.contains(status)), "{exit_status}");
    }

    #[test]
    fn what_stands_behind_the_options_is_parted_by_its_headings() {
        let command = Command::new("x")
            .about("a\n\nExit status: 0 always.\n\nb")
            .after_help("c\n\nExamples:\n  d:\n  e\nFiles:\n  f");
        let help = Help::of(&command);
        assert_eq!((help.description.as_str(), help.exit_status.as_deref()), ("a\n\nb", Some("0 always.")));
        let expected = [("NOTES", vec!["c", ""]), ("EXAMPLES", vec!["  d:", "  e"]), ("FILES", vec!["  f"])];
        assert_eq!(
            help.sections,
            expected.map(|(heading, lines)| (heading.to_owned(), lines.into_iter().map(str::to_owned).collect()))
        );
    }
}
