//! `egress-guard completions`: a shell completes the command's arguments.

use std::error::Error;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{Arguments, output};

/// Print a script that lets a shell complete the arguments of egress-guard.
///
/// Exit status: 0 if it is printed, 2 if the arguments are wrong or it cannot be written.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  egress-guard completions bash > /etc/bash_completion.d/egress-guard
  egress-guard completions zsh > \"${fpath[1]}/_egress-guard\"
  egress-guard completions fish > ~/.config/fish/completions/egress-guard.fish")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> Result<bool, Box<dyn Error>> {
        output::print(&script(self.shell))?;
        Ok(true)
    }
}

fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut script);
    script
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_is_told_every_subcommand() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8(script(*shell)).unwrap();
            let mut words = script.split(|character: char| !character.is_alphanumeric() && character != '-');
            for subcommand in Arguments::command().get_subcommands() {
                let name = subcommand.get_name();
                assert!(words.clone().any(|word| word == name), "{shell}: {name}");
            }
            assert!(words.any(|word| word.ends_with("resolve")), "{shell}");
        }
    }
}
