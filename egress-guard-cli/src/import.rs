//! `egress-guard import`: the policy that says what another system's list says.

mod domains;
mod draft;
mod harden_runner;
mod network_firewall;
mod smokescreen;
mod squid;
mod yaml;

use std::error::Error;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use egress_guard::Policy;

use draft::{Draft, Fault, printable};

/// Turn another system's list of allowed destinations into a policy.
///
/// The policy allows nothing that the list does not. What did not carry over stands as a comment at its head, each
/// entry with its line, the reason and what to do about it.
///
/// Exit status: 0 if all of it carried over, 1 if something did not (the policy is written all the same), 2 if the
/// arguments are wrong or the list cannot be read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  egress-guard import --from smokescreen --service orders -o policy.toml acl.yaml
  egress-guard import --from harden-runner .github/workflows/build.yml
  egress-guard import --from squid --name orders < allowed_domains.txt
  aws network-firewall describe-rule-group ... | egress-guard import --from network-firewall -o policy.toml")]
pub(crate) struct Import {
    /// The system that the list is written for
    #[arg(long, value_enum, value_name = "SYSTEM")]
    from: System,
    /// The name of the policy [default: the service's, or the file's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The service whose rule is taken; needed where a Smokescreen ACL has several
    #[arg(long, value_name = "SERVICE")]
    service: Option<String>,
    /// Write the policy to this file, which must not exist yet
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the output file if it exists
    #[arg(long, requires = "output")]
    force: bool,
    /// The list; `-`, or none, reads standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum System {
    /// The ACL of Stripe's proxy, in YAML
    Smokescreen,
    /// The `allowed-endpoints` of step-security/harden-runner, alone or in a workflow
    HardenRunner,
    /// A `dstdomain` list, one entry on a line
    Squid,
    /// A domain list of AWS Network Firewall: one domain on a line, or a rule group in JSON or YAML
    NetworkFirewall,
}

impl Import {
    /// Writes the policy; true if all of the list carried over.
    pub(crate) fn run(&self) -> Result<bool, Box<dyn Error>> {
        if self.service.is_some() && self.from != System::Smokescreen {
            return Err("--service is for Smokescreen ACLs: leave it out, no other list has services".into());
        }
        if let Some(name) = &self.name
            && let Err(error) = Policy::builder(name).build()
        {
            return Err(format!("--name {name:?} cannot be taken: {error}").into());
        }
        let source = Source::read(self.file.as_deref())?;
        let draft = match self.from {
            System::Smokescreen => smokescreen::read(&source.text, self.service.as_deref()),
            System::HardenRunner => harden_runner::read(&source.text),
            System::Squid => squid::read(&source.text),
            System::NetworkFirewall => network_firewall::read(&source.text),
        };
        let draft = draft.map_err(|faults| Unreadable { source: source.to_string(), faults })?.in_order();
        let policy = self.policy(&source, &draft);
        if let Err(error) = Policy::from_toml(&policy) {
            return Err(format!(
                "a fault of this command, please report it: of {source} it made a policy that cannot be used: {error}"
            )
            .into());
        }
        match &self.output {
            Some(path) => self.write(path, &policy)?,
            None => print(&policy)?,
        }
        self.summarize(&source, &draft)?;
        Ok(draft.left.is_empty())
    }

    fn policy(&self, source: &Source, draft: &Draft) -> String {
        let system = self.from.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let mut head = vec![format!("Made from {source} by `egress-guard import --from {system}`.")];
        let left = draft.left.iter().map(ToString::to_string).collect::<Vec<_>>();
        let titles = [("Did not carry over:", &left), ("How the list is understood:", &draft.notes)];
        for (title, lines) in titles.into_iter().filter(|(_, lines)| !lines.is_empty()) {
            head.push(String::new());
            head.push(title.to_owned());
            head.extend(lines.iter().map(|line| format!("- {line}")));
        }
        let comments = head.iter().map(|line| format!("# {}", printable(line)).trim_end().to_owned() + "\n");
        comments.collect::<String>() + "\n" + &draft.to_toml(&self.policy_name(source, draft))
    }

    /// The name that was asked for, or the first that may be one.
    fn policy_name(&self, source: &Source, draft: &Draft) -> String {
        let stem = source.path.as_ref().and_then(|path| path.file_stem()?.to_str());
        let names = [self.name.as_deref(), draft.service.as_deref(), stem];
        let mut names = names.into_iter().flatten();
        names.find(|name| Policy::builder(*name).build().is_ok()).unwrap_or("imported").to_owned()
    }

    fn write(&self, path: &Path, policy: &str) -> Result<(), Box<dyn Error>> {
        let file = if self.force { File::create(path) } else { File::create_new(path) };
        file.and_then(|mut file| file.write_all(policy.as_bytes())).map_err(|error| {
            let cure = match error.kind() {
                io::ErrorKind::AlreadyExists => "; --force replaces it",
                _ => "",
            };
            format!("{} cannot be written: {error}{cure}", path.display()).into()
        })
    }

    /// For the person at the terminal: what must be looked at.
    fn summarize(&self, source: &Source, draft: &Draft) -> io::Result<()> {
        let count = match draft.left.len() {
            0 => return Ok(()),
            1 => "1 entry".to_owned(),
            count => format!("{count} entries"),
        };
        let mut stderr = io::stderr().lock();
        let Some(output) = &self.output else {
            return writeln!(
                stderr,
                "egress-guard: {count} of {source} did not carry over; the policy begins with why"
            );
        };
        let output = output.display();
        writeln!(stderr, "egress-guard: {count} of {source} did not carry over; {output} begins with what to do")?;
        draft.left.iter().try_for_each(|Fault { line, problem, .. }| {
            writeln!(stderr, "  {}", printable(&format!("line {line}: {problem}")))
        })
    }
}

fn print(policy: &str) -> io::Result<()> {
    match io::stdout().lock().write_all(policy.as_bytes()) {
        // Whoever reads has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

/// The list's text, and where it is from.
struct Source {
    path: Option<PathBuf>,
    text: String,
}

impl Source {
    fn read(path: Option<&Path>) -> Result<Self, Box<dyn Error>> {
        let path = path.filter(|path| *path != Path::new("-"));
        let mut source = Self { path: path.map(Path::to_owned), text: String::new() };
        let mut bytes = Vec::new();
        match path {
            Some(path) => fs::read(path).map(|read| bytes = read),
            None => io::stdin().lock().read_to_end(&mut bytes).map(|_| ()),
        }
        .map_err(|error| format!("{source} cannot be read: {error}"))?;
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        source.text = match std::str::from_utf8(text) {
            Ok(text) => text.to_owned(),
            Err(error) => {
                let before = text.iter().take(error.valid_up_to());
                let line = 1 + before.filter(|byte| **byte == b'\n').count();
                return Err(format!("{source} cannot be read: line {line} is not UTF-8: save it as UTF-8").into());
            }
        };
        if source.text.trim().is_empty() {
            return Err(format!("{source} is empty: name the file that has the list").into());
        }
        Ok(source)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => f.write_str(&printable(&path.to_string_lossy())),
            None => f.write_str("standard input"),
        }
    }
}

/// A list that is not what its system would read.
#[derive(Debug)]
struct Unreadable {
    source: String,
    faults: Vec<Fault>,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.faults.len();
        write!(f, "{} cannot be imported, {count} fault{}", self.source, if count == 1 { "" } else { "s" })?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {}", printable(&fault.to_string())))
    }
}

impl Error for Unreadable {}
