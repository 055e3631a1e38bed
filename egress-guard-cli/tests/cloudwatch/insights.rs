//! Queries of CloudWatch Logs Insights: read, and held against the audit schema and the documented commands and functions.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html>. What this project has no use for
//! is refused.

use std::collections::BTreeSet;

use serde_json::Value;
use winnow::ascii::{digit1, float, multispace0};
use winnow::combinator::{alt, delimited, not, opt, peek, preceded, separated, terminated};
use winnow::error::ContextError;
use winnow::prelude::*;
use winnow::token::{one_of, take_while};

use crate::fields::{self, Kind};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    Filter(Expression),
    /// Expressions and what they are called.
    Fields(Vec<Named>),
    Stats {
        aggregates: Vec<Named>,
        by: Vec<Named>,
    },
    /// Fields, and whether the largest comes first.
    Sort(Vec<(String, bool)>),
    Limit(usize),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named {
    pub(crate) expression: Expression,
    alias: Option<String>,
}

impl Named {
    pub(crate) fn name(&self) -> &str {
        match (&self.alias, &self.expression) {
            (Some(alias), _) => alias,
            (None, Expression::Field(name)) => name,
            (None, _) => "",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    Field(String),
    Literal(Value),
    /// A time, in seconds.
    Duration(u64),
    Call(String, Vec<Self>),
    Operation(Box<Self>, String, Box<Self>),
}

/// Functions, and how many arguments they take.
const FUNCTIONS: &[(&str, usize, usize)] =
    &[("concat", 2, 9), ("floor", 1, 1), ("strcontains", 2, 2), ("ispresent", 1, 1), ("bin", 1, 1)];
const AGGREGATES: &[(&str, usize, usize)] = &[
    ("avg", 1, 1),
    ("count", 1, 1),
    ("count_distinct", 1, 1),
    ("earliest", 1, 1),
    ("latest", 1, 1),
    ("max", 1, 1),
    ("min", 1, 1),
    ("sum", 1, 1),
];

const MAX_QUERY: usize = 10_000;
const MAX_ROWS: usize = 10_000;

/// Reads a query, and holds it against the audit schema.
pub(crate) fn parse(text: &str) -> Result<Vec<Command>, String> {
    if text.len() > MAX_QUERY {
        return Err(format!("{} characters are more than {MAX_QUERY}", text.len()));
    }
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let text = lines.collect::<Vec<_>>().join("\n");
    let query = delimited(multispace0, separated(1.., command, spaced("|")), multispace0);
    let commands: Vec<Command> = { query }.parse(text.as_str()).map_err(|error| format!("cannot be read: {error}"))?;
    check(&commands)?;
    Ok(commands)
}

fn spaced<'a>(token: &'static str) -> impl Parser<&'a str, &'a str, ContextError> {
    delimited(multispace0, token, multispace0)
}

fn word<'a>(word: &'static str) -> impl Parser<&'a str, (), ContextError> {
    delimited(multispace0, (word, not(one_of(|c: char| c.is_ascii_alphanumeric() || c == '_'))), multispace0).void()
}

fn name(input: &mut &str) -> winnow::Result<String> {
    let rest = take_while(0.., |c: char| c.is_ascii_alphanumeric() || c == '_');
    (opt('@'), one_of(|c: char| c.is_ascii_alphabetic() || c == '_'), rest).take().map(str::to_owned).parse_next(input)
}

fn command(input: &mut &str) -> winnow::Result<Command> {
    let comma = || spaced(",");
    let sorted = (name, opt(alt((word("desc").value(true), word("asc").value(false)))));
    alt((
        preceded(word("filter"), expression).map(Command::Filter),
        preceded(word("fields"), separated(1.., named, comma())).map(Command::Fields),
        preceded(
            word("stats"),
            (separated(1.., named, comma()), opt(preceded(word("by"), separated(1.., named, comma())))),
        )
        .map(|(aggregates, by): (_, Option<_>)| Command::Stats { aggregates, by: by.unwrap_or_default() }),
        preceded(word("sort"), separated(1.., sorted.map(|(name, desc)| (name, desc.unwrap_or_default())), comma()))
            .map(Command::Sort),
        preceded(word("limit"), digit1.try_map(str::parse)).map(Command::Limit),
    ))
    .parse_next(input)
}

fn named(input: &mut &str) -> winnow::Result<Named> {
    (sum, opt(preceded(word("as"), name))).map(|(expression, alias)| Named { expression, alias }).parse_next(input)
}

/// Conditions are joined by `and` alone.
fn expression(input: &mut &str) -> winnow::Result<Expression> {
    let conditions: Vec<Expression> = separated(1.., comparison, word("and")).parse_next(input)?;
    Ok(joined(conditions, "and"))
}

fn joined(terms: Vec<Expression>, operator: &str) -> Expression {
    let join = |left, right| Expression::Operation(Box::new(left), operator.to_owned(), Box::new(right));
    terms.into_iter().reduce(join).unwrap()
}

fn comparison(input: &mut &str) -> winnow::Result<Expression> {
    let operator = delimited(multispace0, alt(("!=", "<=", ">=", "=", "<", ">")), multispace0);
    let (left, compared) = (sum, opt((operator, sum))).parse_next(input)?;
    Ok(match compared {
        None => left,
        Some((operator, right)) => joined(vec![left, right], operator),
    })
}

fn sum(input: &mut &str) -> winnow::Result<Expression> {
    operations(product, &["+", "-"], input)
}

fn product(input: &mut &str) -> winnow::Result<Expression> {
    operations(atom, &["*", "/"], input)
}

fn operations(
    mut term: impl FnMut(&mut &str) -> winnow::Result<Expression>,
    operators: &'static [&'static str],
    input: &mut &str,
) -> winnow::Result<Expression> {
    let mut left = term.parse_next(input)?;
    loop {
        let operator = |input: &mut &str| {
            multispace0.parse_next(input)?;
            let operator = one_of(['+', '-', '*', '/']).parse_next(input)?;
            multispace0.parse_next(input)?;
            Ok::<_, ContextError>(operator.to_string())
        };
        let next = opt(terminated(peek(operator), ())).parse_next(input)?;
        let Some(next) = next.filter(|next| operators.contains(&next.as_str())) else { return Ok(left) };
        (multispace0, next.as_str(), multispace0).void().parse_next(input)?;
        left = joined(vec![left, term.parse_next(input)?], &next);
    }
}

fn atom(input: &mut &str) -> winnow::Result<Expression> {
    let duration = (digit1.try_map(str::parse::<u64>), one_of(['m', 'h', 'd'])).map(|(number, unit)| {
        Expression::Duration(
            number
                * if unit == 'm' {
                    60
                } else if unit == 'h' {
                    3600
                } else {
                    86400
                },
        )
    });
    let text = delimited('"', take_while(0.., |c| c != '"' && c != '\\'), '"');
    let arguments = separated(1.., alt((spaced("*").map(|_| Expression::Field("*".to_owned())), sum)), spaced(","));
    alt((
        delimited(spaced("("), sum, spaced(")")),
        text.map(|text: &str| Expression::Literal(text.into())),
        duration,
        float.map(|number: f64| Expression::Literal(number.into())),
        (name, delimited(('(', multispace0), arguments, (multispace0, ')')))
            .map(|(name, arguments)| Expression::Call(name, arguments)),
        name.map(Expression::Field),
    ))
    .parse_next(input)
}

/// That fields exist where they are used, that texts are such that a line can have them, and that functions are known.
fn check(commands: &[Command]) -> Result<(), String> {
    // After `stats` only what it gives is left.
    let mut known: Option<BTreeSet<String>> = None;
    let mut more = BTreeSet::new();
    let mut counted = 0;
    for command in commands {
        let scope = Scope { only: known.as_ref(), more: &more };
        match command {
            Command::Filter(condition) => scope.check(condition, false)?,
            Command::Fields(fields) => {
                fields.iter().try_for_each(|field| scope.check(&field.expression, false))?;
                let aliases = fields.iter().filter(|field| field.alias.is_some());
                let aliases: Vec<_> = aliases.map(|field| field.name().to_owned()).collect();
                more.extend(aliases);
            }
            Command::Stats { aggregates, by } => {
                counted += 1;
                by.iter().try_for_each(|group| scope.check(&group.expression, false))?;
                aggregates.iter().try_for_each(|aggregate| scope.check(&aggregate.expression, true))?;
                if let Some(unnamed) = aggregates.iter().chain(by).find(|named| named.name().is_empty()) {
                    return Err(format!("{unnamed:?} has no name: write `as`"));
                }
                let names: Vec<_> = aggregates.iter().chain(by).map(|named| named.name().to_owned()).collect();
                let distinct: BTreeSet<_> = names.iter().cloned().collect();
                if distinct.len() < names.len() {
                    return Err(format!("of {names:?} two are the same"));
                }
                // A name that a field has as well could mean either.
                if let Some(shadow) = aggregates.iter().find(|aggregate| fields::kind(aggregate.name()).is_ok()) {
                    return Err(format!("`{}` is a field of the audit line too", shadow.name()));
                }
                known = Some(distinct);
                more.clear();
            }
            Command::Sort(by) => by.iter().try_for_each(|(name, _)| scope.check_field(name))?,
            Command::Limit(rows) if (1..=MAX_ROWS).contains(rows) => {}
            Command::Limit(rows) => return Err(format!("{rows} rows are none, or more than {MAX_ROWS}")),
        }
    }
    if counted > 2 { Err("more than two `stats`".to_owned()) } else { Ok(()) }
}

struct Scope<'a> {
    only: Option<&'a BTreeSet<String>>,
    more: &'a BTreeSet<String>,
}

impl Scope<'_> {
    fn check_field(&self, name: &str) -> Result<(), String> {
        match self.only {
            _ if self.more.contains(name) => Ok(()),
            Some(only) if only.contains(name) => Ok(()),
            Some(only) => Err(format!("`{name}` is none of {only:?}, which `stats` gives")),
            None if name == "@timestamp" => Ok(()),
            None => fields::kind(name).map(drop),
        }
    }

    /// `aggregates`: every field must be within the call of one.
    fn check(&self, expression: &Expression, aggregates: bool) -> Result<(), String> {
        match expression {
            Expression::Field(name) if aggregates => Err(format!("`{name}` is neither counted nor in `by`")),
            Expression::Field(name) => self.check_field(name),
            Expression::Literal(_) => Ok(()),
            Expression::Duration(_) => Err("a time stands in `bin` alone".to_owned()),
            Expression::Call(name, arguments) => {
                let (list, inside) = if aggregates { (AGGREGATES, false) } else { (FUNCTIONS, aggregates) };
                let found = list.iter().find(|(known, ..)| known == name);
                let (_, least, most) = found.ok_or_else(|| format!("`{name}` is no such function"))?;
                if !(*least..=*most).contains(&arguments.len()) {
                    return Err(format!("`{name}` takes {least} to {most} arguments"));
                }
                match (name.as_str(), &arguments[..]) {
                    ("bin", [Expression::Duration(_)]) => return Ok(()),
                    ("count", [Expression::Field(star)]) if star == "*" => return Ok(()),
                    ("strcontains", [Expression::Field(field), Expression::Literal(Value::String(part))]) => {
                        contained(field, part)?;
                    }
                    ("strcontains", _) => return Err("`strcontains` takes a field and a text".to_owned()),
                    _ => {}
                }
                arguments.iter().try_for_each(|argument| self.check(argument, inside))
            }
            Expression::Operation(left, operator, right) => {
                if let (Expression::Field(field), Expression::Literal(value)) = (&**left, &**right)
                    && self.only.is_none()
                    && !self.more.contains(field)
                {
                    comparable(field, operator, value)?;
                }
                self.check(left, aggregates)?;
                self.check(right, aggregates)
            }
        }
    }
}

/// What is looked for in one of a few words must be one of them, and no part of another.
fn contained(field: &str, part: &str) -> Result<(), String> {
    fields::can_be(field, part)?;
    match fields::kind(field)? {
        Kind::OneOf(values) if values.iter().filter(|value| value.contains(part)).count() > 1 => {
            Err(format!("\"{part}\" is also a part of another `{field}`: {values:?}"))
        }
        _ => Ok(()),
    }
}

fn comparable(field: &str, operator: &str, value: &Value) -> Result<(), String> {
    match (fields::kind(field)?, value) {
        (_, Value::String(text)) if operator == "=" => fields::can_be(field, text),
        (Kind::Number, Value::Number(_)) => Ok(()),
        (kind, value) => Err(format!("`{field}` is {kind:?}, and compared by `{operator}` with {value}")),
    }
}

#[test]
fn a_broken_query_is_found() {
    for (query, why) in [
        ("", "cannot be read"),
        ("filter", "cannot be read"),
        ("filter action = ", "cannot be read"),
        ("filter action = \"denied", "cannot be read"),
        ("filter action = denied\"", "cannot be read"),
        ("filter action == \"denied\"", "cannot be read"),
        ("filter action = \"denied\" || stage = \"name\"", "cannot be read"),
        ("filter action = \"denied\" | ", "cannot be read"),
        ("| filter action = \"denied\"", "cannot be read"),
        ("filter action = \"denied\" stats count(*) as n", "cannot be read"),
        ("where action = \"denied\"", "cannot be read"),
        ("stats count(*) as n by", "cannot be read"),
        ("stats count(* as n by host", "cannot be read"),
        ("stats count(*) as n group by host", "cannot be read"),
        ("sort seq down", "cannot be read"),
        ("limit -1", "cannot be read"),
        ("limit ten", "cannot be read"),
        ("filter actoin = \"denied\"", "no audit line has `actoin`"),
        ("filter action = \"deneid\"", "`action` is never \"deneid\""),
        ("filter event_type = \"decision\"", "`event_type` is never \"decision\""),
        ("filter status = \"500\"", "`status` is no text"),
        ("filter action = 1", "compared by `=` with"),
        ("fields dst_host", "no audit line has `dst_host`"),
        ("sort egress asc", "no audit line has `egress`"),
        ("stats count(*) as n by dst_host", "no audit line has `dst_host`"),
        ("stats count(*) as n by host | sort port", "`port` is none of"),
        ("fields floor(port) as x | stats count(*) as n by host | sort x", "`x` is none of"),
        ("stats count(*) as n by host | filter m > 0", "`m` is none of"),
        ("stats count(*) by host", "has no name"),
        ("stats count(*) as denied_count by host", "is a field of the audit line too"),
        ("stats count(*) as n, sum(port) as n by host", "two are the same"),
        ("stats host as h by port", "`host` is neither counted nor in `by`"),
        ("stats total(port) as n by host", "`total` is no such function"),
        ("stats sum(port, port) as n by host", "takes 1 to 1 arguments"),
        ("stats sum(count(*)) as n by host", "`count` is no such function"),
        ("fields upper(host) as x", "`upper` is no such function"),
        ("stats sum(strcontains(action, \"deny\")) as n", "`action` is never \"deny\""),
        ("fields 1h as x", "a time stands in `bin` alone"),
        ("limit 0", "0 rows"),
        ("limit 100000", "more than 10000"),
        ("stats count(*) as a by host | stats max(a) as b by host | stats max(b) as c by host", "more than two"),
    ] {
        let error = parse(query).expect_err(query);
        assert!(error.contains(why), "{query}: {error}");
    }
    let long = format!("filter host = \"{}\"", "a".repeat(MAX_QUERY));
    assert!(parse(&long).unwrap_err().contains("more than 10000"));
}

#[test]
fn a_part_of_two_words_is_found() {
    assert!(contained("stage", "request").is_ok());
    // No word of the schema is a part of another in the same key; should one come, its queries would count too much.
    for key in ["action", "stage", "event_type", "outcome", "boundary"] {
        let Kind::OneOf(values) = fields::kind(key).unwrap() else { panic!("{key}") };
        for value in &values {
            assert_eq!(contained(key, value), Ok(()), "{key}");
        }
    }
}
