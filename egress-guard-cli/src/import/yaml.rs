//! YAML, and so JSON, as a tree in which every node knows its line.

use std::collections::HashSet;

use saphyr::{MarkedYaml, ScalarStyle, YamlData, YamlLoader};
use saphyr_parser::{Event, Parser, ScanError, SpannedEventReceiver};

use super::draft::{Fault, excerpt};

/// No list is nested like that, and the stack is not endless.
const DEEPEST: usize = 64;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) node: Node,
}

#[derive(Debug)]
pub(super) enum Value {
    Null,
    /// A scalar of any type, as it is written.
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// What only another program could fill in, such as `!Ref`.
    Tagged(String),
}

/// Reads the only document of a text.
pub(super) fn parse(text: &str) -> Result<Node, Vec<Fault>> {
    let mut documents = load(text)?.into_iter();
    let Some(first) = documents.next() else {
        return Err(vec![Fault::new(1, "there is nothing but comments", "name the file that has the list")]);
    };
    if let Some(second) = documents.next() {
        let problem = "a second document begins";
        return Err(vec![Fault::new(second.span.start.line(), problem, "split the file, and import each alone")]);
    }
    node(first).map_err(|fault| vec![fault])
}

fn load(text: &str) -> Result<Vec<MarkedYaml<'_>>, Vec<Fault>> {
    let last = text.lines().count().max(1);
    let syntax = |error: &ScanError| {
        let problem = format!("this cannot be read as YAML or JSON: {}", error.info());
        vec![Fault::new(error.marker().line().min(last), problem, "mend the syntax (https://yaml.org)")]
    };
    let mut loader = YamlLoader::default();
    // Scalars stay as they are written: `1.10` is no number in a list of hosts.
    loader.early_parse(false);
    let mut depth = 0_usize;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| syntax(&error))?;
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
            Event::MappingEnd | Event::SequenceEnd => depth -= 1,
            _ => {}
        }
        if depth > DEEPEST {
            let problem = format!("this is nested more than {DEEPEST} deep");
            return Err(vec![Fault::new(span.start.line(), problem, "name the file that has the list")]);
        }
        loader.on_event(event, span);
    }
    match loader.error() {
        Some(error) => Err(syntax(error)),
        None => Ok(loader.into_documents()),
    }
}

fn node(yaml: MarkedYaml<'_>) -> Result<Node, Fault> {
    let line = yaml.span.start.line();
    let value = match yaml.data {
        YamlData::Sequence(items) => Value::List(items.into_iter().map(node).collect::<Result<_, _>>()?),
        YamlData::Mapping(entries) => {
            let mut keys = HashSet::with_capacity(entries.len());
            let mut map = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                let line = key.span.start.line();
                let YamlData::Representation(key, ..) = key.data else {
                    return Err(Fault::new(line, "a key is not a plain text", "write a name before the colon"));
                };
                let key = key.into_owned();
                if !keys.insert(key.clone()) {
                    let problem = format!("the key `{}` stands twice in one mapping", excerpt(&key));
                    return Err(Fault::new(line, problem, "keep one of the two"));
                }
                map.push(Entry { line, key, node: node(value)? });
            }
            Value::Map(map)
        }
        YamlData::Representation(_, _, Some(tag)) if !tag.is_yaml_core_schema() => Value::Tagged(tag.to_string()),
        YamlData::Representation(text, ScalarStyle::Plain, None)
            if matches!(&*text, "" | "~" | "null" | "Null" | "NULL") =>
        {
            Value::Null
        }
        YamlData::Representation(text, ..) => Value::Text(text.into_owned()),
        YamlData::Tagged(tag, _) => Value::Tagged(tag.to_string()),
        YamlData::Value(_) | YamlData::Alias(_) | YamlData::BadValue => {
            return Err(Fault::new(line, "an alias stands within what it repeats", "write out what is meant"));
        }
    };
    Ok(Node { line, value })
}

impl Node {
    pub(super) fn entries(&self, what: &str) -> Result<&[Entry], Fault> {
        match &self.value {
            Value::Map(entries) => Ok(entries),
            _ => Err(self.is_not("a mapping of keys to values", what)),
        }
    }

    /// The items of a list; a key without a value is an empty one.
    pub(super) fn items(&self, what: &str) -> Result<&[Node], Fault> {
        match &self.value {
            Value::List(items) => Ok(items),
            Value::Null => Ok(&[]),
            _ => Err(self.is_not("a list", what)),
        }
    }

    pub(super) fn text(&self, what: &str) -> Result<&str, Fault> {
        match &self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.is_not("a text", what)),
        }
    }

    pub(super) fn texts(&self, what: &str) -> Result<Vec<(usize, &str)>, Fault> {
        self.items(what)?.iter().map(|item| Ok((item.line, item.text(&format!("an item of {what}"))?))).collect()
    }

    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node),
            _ => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Text(text) => text.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
            Value::Tagged(_) => false,
        }
    }

    fn is_not(&self, expected: &str, what: &str) -> Fault {
        let found = match &self.value {
            Value::Null => "nothing",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Tagged(tag) => return Fault::new(self.line, format!("{what} is given by `{tag}`"), "write it out"),
        };
        Fault::new(self.line, format!("{what} is {found}"), format!("write {expected}"))
    }

    /// Calls `visit` with every mapping of the tree, from the top.
    pub(super) fn each_map<'n>(&'n self, visit: &mut impl FnMut(&'n [Entry])) {
        match &self.value {
            Value::Map(entries) => {
                visit(entries);
                entries.iter().for_each(|entry| entry.node.each_map(visit));
            }
            Value::List(items) => items.iter().for_each(|item| item.each_map(visit)),
            Value::Null | Value::Text(_) | Value::Tagged(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_tree_is_a_fault_with_its_line() {
        let laughs: String =
            (1..30).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(","))).collect();
        let cases = [
            ("an open bracket", "a: 1\nb: [".to_owned(), "line 2"),
            ("a tab for an indent", "a:\n\t- x".to_owned(), "line 2"),
            ("two documents", "a: 1\n---\nb: 2".to_owned(), "line 3: a second document begins"),
            ("JSON, and more", "{\"a\": 1} x".to_owned(), "line 1"),
            ("only comments", "# a\n# b".to_owned(), "nothing but comments"),
            ("a key twice", "a: 1\nb: 2\na: 3".to_owned(), "line 3"),
            ("a key twice, in two spellings", "a: 1\n\"a\": 3".to_owned(), "line 2: the key `a` stands twice"),
            ("a list for a key", "? [a]\n: b".to_owned(), "line 1: a key is not a plain text"),
            ("an alias within itself", "a: &x [*x]".to_owned(), "line 1: an alias stands within what it repeats"),
            ("an unknown alias", "a: *x".to_owned(), "line 1"),
            ("aliases without end", format!("a0: &a0 [x]\n{laughs}"), "alias expansion"),
            ("deep brackets", "[".repeat(100_000), "line 1"),
            ("deep dashes", "- ".repeat(100_000), "line 1: this is nested more than 64 deep"),
            ("deep keys", "? ".repeat(100_000), "line 1: this is nested more than 64 deep"),
            ("half of a JSON character", "{\"a\": \"\\ud83d\"}".to_owned(), "line 1"),
        ];
        for (name, text, expected) in cases {
            let faults = parse(&text).expect_err(name);
            assert!(faults.iter().any(|fault| fault.to_string().contains(expected)), "{name}: {faults:?}");
        }
    }

    #[test]
    fn scalars_stay_as_they_are_written() {
        let root = parse("a: 1.10\nb: yes\nc: 0x7f\nd: ~\ne: '~'\nf: !!str 1\ng: !Ref x\nh: &x y\ni: *x\n").unwrap();
        let read: Vec<_> = root.entries("root").unwrap().iter().map(|entry| entry.node.text("it").ok()).collect();
        assert_eq!(
            read,
            [Some("1.10"), Some("yes"), Some("0x7f"), None, Some("~"), Some("1"), None, Some("y"), Some("y")]
        );
    }
}
