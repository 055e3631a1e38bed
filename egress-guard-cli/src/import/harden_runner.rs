//! step-security/harden-runner: `allowed-endpoints`, alone or in a workflow.

use egress_guard::Effect;

use super::draft::{Draft, Fault, Head, PUBLIC_ONLY, REPORT_FIRST, excerpt, leading_dot};
use super::yaml::{self, Entry, Value};

pub(super) fn read(text: &str) -> Result<Draft, Vec<Fault>> {
    let mut draft = Draft::default();
    let code = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let words = if code.clone().any(|line| line.contains("allowed-endpoints")) {
        in_workflow(&mut draft, text)?
    } else {
        bare_list(text)?
    };
    let mut assumed = Assumed::default();
    for (line, word) in words {
        assumed.endpoint(&mut draft, line, &word);
    }
    assumed.tell(&mut draft.notes);
    draft.notes.extend(
        ["The list knows ports and no protocols: 443 is taken for https, and 80 for http.", PUBLIC_ONLY]
            .map(str::to_owned),
    );
    Ok(draft)
}

/// Words of the list with their lines.
type Words = Vec<(usize, String)>;

fn bare_list(text: &str) -> Result<Words, Vec<Fault>> {
    let mut words = Words::new();
    for (index, line) in text.lines().enumerate() {
        let code = line.split_whitespace().take_while(|word| !word.starts_with('#'));
        words.extend(code.map(|word| (index + 1, word.to_owned())));
    }
    let cure = "name a list of host:port, or a workflow in which a step has `allowed-endpoints`";
    if let Some((line, _)) = words.iter().find(|(_, word)| word.ends_with(':') || word == "-") {
        return Err(vec![Fault::new(*line, "this is YAML without `allowed-endpoints`", cure)]);
    }
    if words.is_empty() {
        return Err(vec![Fault::new(1, "the list has no endpoint", cure)]);
    }
    Ok(words)
}

fn in_workflow(draft: &mut Draft, text: &str) -> Result<Words, Vec<Fault>> {
    let root = yaml::parse(text)?;
    let (mut words, mut lines, mut faults) = (Words::new(), Vec::new(), Vec::new());
    root.each_map(&mut |entries| {
        let Some(list) = entries.iter().find(|entry| entry.key == "allowed-endpoints") else { return };
        match &list.node.value {
            // An input of that name is declared here, without a list.
            Value::Map(_) => return,
            Value::Null => {}
            _ => match list.node.text("`allowed-endpoints`") {
                Ok(endpoints) => words.extend(placed(text, list.node.line, endpoints)),
                Err(fault) => faults.push(fault),
            },
        }
        lines.push(list.line.to_string());
        beside(draft, entries);
    });
    if !faults.is_empty() {
        return Err(faults);
    }
    if lines.is_empty() {
        let cure = "name a workflow in which a step has `allowed-endpoints` with a list";
        return Err(vec![Fault::new(root.line, "there is no list of `allowed-endpoints`", cure)]);
    }
    if lines.len() > 1 {
        let lines = lines.join(", ");
        draft.notes.push(format!("The lists on lines {lines} are put together: what any of these jobs may reach."));
    }
    Ok(without_what_is_filled_in(draft, words))
}

/// The words of a value, each with its own line where the file has them as they are: in a block scalar.
fn placed(text: &str, first: usize, value: &str) -> Words {
    let words: Vec<&str> = value.split_whitespace().collect();
    let numbered = text.lines().enumerate().skip(first.saturating_sub(1));
    let in_file = numbered.flat_map(|(index, line)| line.split_whitespace().map(move |word| (index + 1, word)));
    let in_file: Vec<_> = in_file.take(words.len()).collect();
    let same = in_file.iter().map(|(_, word)| word).eq(&words);
    let place = |(index, word): (usize, &str)| {
        let line = in_file.get(index).filter(|_| same).map_or(first, |(line, _)| *line);
        (line, word.to_owned())
    };
    words.into_iter().enumerate().map(place).collect()
}

/// What else the step says of its egress.
fn beside(draft: &mut Draft, entries: &[Entry]) {
    for Entry { line, key, node } in entries {
        let value = match &node.value {
            Value::Text(text) => text.as_str(),
            _ => continue,
        };
        match key.as_str() {
            "egress-policy" if value != "block" => draft.left.push(Fault::new(
                *line,
                format!("with `egress-policy: {}` the step may let everything pass and only record it", excerpt(value)),
                REPORT_FIRST,
            )),
            "policy" => draft.left.push(Fault::new(
                *line,
                format!("the endpoints of the stored policy `{}` are not in this file", excerpt(value)),
                "import them from where they are kept",
            )),
            "use-policy-store" if value == "true" => draft.left.push(Fault::new(
                *line,
                "the endpoints of the policy store are not in this file",
                "import them from where they are kept",
            )),
            _ => {}
        }
    }
}

/// Takes out expressions, which only a run of the workflow knows, and what is meant for a comment but is none there.
fn without_what_is_filled_in(draft: &mut Draft, words: Words) -> Words {
    let mut rest = Words::new();
    let mut words = words.into_iter().peekable();
    while let Some((line, word)) = words.next() {
        if word.contains("${{") {
            let mut expression = word;
            while !expression.contains("}}") {
                let Some((_, more)) = words.next_if(|(next, _)| *next == line) else { break };
                expression = expression + " " + &more;
            }
            let problem = format!("`{}` is known only when the workflow runs", excerpt(&expression));
            draft.left.push(Fault::new(line, problem, "write out the endpoints that it stands for"));
        } else if word.starts_with('#') {
            while words.next_if(|(next, _)| *next == line).is_some() {}
            let problem = "`#` begins no comment within a list of endpoints, and the rest of the line is left out";
            draft.left.push(Fault::new(line, problem, "move the comment out of the list"));
        } else {
            rest.push((line, word));
        }
    }
    rest
}

/// What the list does not say and had to be assumed.
#[derive(Default)]
struct Assumed {
    no_port: Vec<usize>,
    other_port: Vec<usize>,
    star_within: Vec<usize>,
}

impl Assumed {
    fn endpoint(&mut self, draft: &mut Draft, line: usize, word: &str) {
        let (host, port) = match word.split_once(':') {
            // A URL or an IPv6 address: no such host is taken.
            Some((_, rest)) if rest.contains(':') || rest.starts_with("//") => (word, "443"),
            Some(parts) => parts,
            None => (word, "443"),
        };
        let Some(port) = port.parse::<u16>().ok().filter(|port| *port != 0) else {
            let problem = format!("`{}` names no port from 1 to 65535", excerpt(word));
            draft.left.push(Fault::new(
                line,
                problem,
                "write the host, a colon and the port, as in api.example.com:443",
            ));
            return;
        };
        if host.matches('*').count() > 1 {
            let problem = format!("`{}` has more than one `*`, and harden-runner heeds but the first", excerpt(word));
            draft.left.push(Fault::new(line, problem, "write out the names that it means"));
            return;
        }
        if let Some(fault) = leading_dot(line, host) {
            draft.left.push(fault);
            return;
        }
        let head = match port {
            443 => Head::new(Effect::Allow, &["https"], None),
            80 => Head::new(Effect::Allow, &["http"], None),
            other => Head::new(Effect::Allow, &["https"], Some(other)),
        };
        if !draft.host(&head, line, host) {
            return;
        }
        if !word.contains(':') {
            self.no_port.push(line);
        }
        if ![80, 443].contains(&port) {
            self.other_port.push(line);
        }
        if host.contains('*') && !host.starts_with("*.") {
            self.star_within.push(line);
        }
    }

    fn tell(self, notes: &mut Vec<String>) {
        let all = [
            (self.no_port, "an endpoint without a port means 443, as it does there."),
            (self.other_port, "https is assumed, for the port is neither 443 nor 80. Write \"http\" if that is meant."),
            (self.star_within, "a `*` within a name stays within its label here; there it also reaches over dots."),
        ];
        for (mut lines, note) in all {
            lines.dedup();
            if !lines.is_empty() {
                let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
                notes.push(format!("Line {}: {note}", lines.join(", ")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_its_own_line_where_the_file_has_it_as_it_is() {
        let text = "a: &x >\n  b c\n  d\ne: *x\nf: \"b\n  c d\"\n";
        let cases: &[(&str, usize, &[usize])] =
            &[("a block scalar", 2, &[2, 2, 3]), ("an alias", 4, &[4, 4, 4]), ("a quoted text", 5, &[5, 5, 5])];
        for (name, first, lines) in cases {
            let words = placed(text, *first, "b c d");
            assert_eq!(words.iter().map(|(line, _)| *line).collect::<Vec<_>>(), *lines, "{name}");
            assert_eq!(words.iter().map(|(_, word)| word.as_str()).collect::<Vec<_>>(), ["b", "c", "d"], "{name}");
        }
    }
}
