//! Path patterns, and the paths that no pattern may judge.

mod glob;

use std::borrow::Cow;
use std::fmt::Display;

use glob::{Fault, Glob, Symbol};

/// The path patterns of one rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathSet(Vec<Glob>);

/// No server takes a longer path, and no list in braces needs to be longer.
const LONGEST: usize = 8192;

impl PathSet {
    /// Whether one of the patterns matches a path that is not [ambiguous](is_ambiguous).
    pub(crate) fn matches(&self, path: &str) -> bool {
        let path = comparable(path);
        self.0.iter().any(|glob| glob.matches(&path))
    }

    /// Adds a pattern, or says what is wrong with it and what to write instead.
    pub(super) fn add(&mut self, pattern: &str) -> Result<(), (String, String)> {
        let shown = pattern.escape_debug();
        if !pattern.starts_with('/') {
            let cure = match pattern {
                "*" | "**" => "remove `paths`: without it every path is meant".to_owned(),
                url if url.contains("://") => "write the path alone, as in \"/v1/**\"".to_owned(),
                path => format!("write \"/{}\"", percent_encode(path)),
            };
            return Err((format!("path `{shown}` does not begin with `/`"), cure));
        }
        // Every path is sent percent-encoded, so a pattern that is not could never match.
        let encoded = percent_encode(pattern);
        if encoded != pattern {
            return Err((format!("path `{shown}` is not percent-encoded"), format!("write \"{encoded}\"")));
        }
        let escaped = escape_percent_signs(pattern);
        if escaped != pattern {
            return Err((format!("path `{shown}` has a `%` that is no escape"), format!("write \"{escaped}\"")));
        }
        if is_ambiguous(pattern) || pattern.split('/').any(|segment| segment == "." || segment == "..") {
            let as_in = resolved(pattern).map(|path| format!(", as in \"{path}\"")).unwrap_or_default();
            return Err((
                format!(
                    "path `{shown}` can never match: dot segments, `//`, `;`, `\\` and escapes of these are denied"
                ),
                format!("write the path as the server resolves it{as_in}"),
            ));
        }
        if let Some(fault) = misunderstood(pattern) {
            return Err(fault);
        }
        if pattern.len() > LONGEST {
            let problem = format!("path `{shown}` has more than {LONGEST} characters");
            return Err((problem, "make several patterns of it".to_owned()));
        }
        let glob = Glob::new(&symbols(pattern)).map_err(|fault| {
            let cure = match fault {
                Fault::Separator => return could_match_a_separator(&shown),
                Fault::UnclosedClass => "close the class with `]`, or write `[[]` for the character itself",
                Fault::UnclosedGroup => "close the group with `}`, or write `[{]` for the character itself",
                Fault::UnopenedGroup => "open the group with `{`, or write `[}]` for the character itself",
                Fault::BackwardRange => "write the range from the lower to the higher character, as in [a-z]",
            };
            (format!("path `{shown}` is no valid pattern"), cure.to_owned())
        })?;
        self.0.push(glob);
        Ok(())
    }
}

/// A pattern that matches this path and no other, where one can be written.
pub(crate) fn path_pattern_for(path: &str) -> Option<String> {
    // A path of stars from outside must not become a pattern for everything.
    let pattern = path_pattern(path);
    PathSet::default().add(&pattern).is_ok().then_some(pattern)
}

/// The path as a pattern, every character for itself.
pub(crate) fn path_pattern(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for character in path.chars() {
        match character {
            '?' | '*' | '[' | ']' | '{' | '}' => out.extend(['[', character, ']']),
            _ => out.push(character),
        }
    }
    out
}

fn could_match_a_separator(shown: &impl Display) -> (String, String) {
    let problem = format!("path `{shown}` has a character class that could match `/`");
    (problem, "list the characters, as in [abc]".to_owned())
}

/// Forms that mean something else than they seem to, or would match a `/` that they do not show.
fn misunderstood(pattern: &str) -> Option<(String, String)> {
    let fault = |what: &str, cure: &str| Some((format!("path `{}` {what}", pattern.escape_debug()), cure.to_owned()));
    if pattern.contains('?') {
        return fault("has a `?`; rules do not see the query", "write the path alone, and `*` for any characters");
    }
    if pattern.starts_with("/^") || pattern.ends_with(".*$") {
        return fault("looks like a regular expression", "write a glob, as in \"/v1/**\"");
    }
    if pattern.split('/').any(|segment| segment.contains("**") && segment != "**") {
        return fault("has `**` within a segment", "write `**` between slashes, as in \"/v1/**\", or a single `*`");
    }
    for group in pattern.split('{').skip(1) {
        if group.split('}').next().is_some_and(|inside| !inside.contains(',')) {
            return fault("has a group of one", "write `*` for any segment, or a list such as {a,b}");
        }
    }
    for class in pattern.split('[').skip(1) {
        let inside = class.split(']').next().unwrap_or_default();
        let spans_slash = |range: &[u8]| matches!(range, [first, b'-', last] if (*first..=*last).contains(&b'/'));
        if inside.starts_with(['!', '^']) || inside.contains('/') || inside.as_bytes().windows(3).any(spans_slash) {
            return Some(could_match_a_separator(&pattern.escape_debug()));
        }
    }
    None
}

/// Whether servers differ in where they see a separator or a dot segment in this path.
pub(crate) fn is_ambiguous(path: &str) -> bool {
    if has_nothing_to_read_differently(path) {
        return false;
    }
    // Also in what remains of it when some of its escapes are resolved: `%25%32f` is `%252f` is `%2f`.
    has_ambiguous_escape(path) || has_separator_in_doubt(path) || {
        let comparable = comparable(path);
        has_ambiguous_escape(&comparable) || has_separator_in_doubt(&comparable)
    }
}

/// Whether a path has none of what makes one ambiguous, as most have none.
fn has_nothing_to_read_differently(path: &str) -> bool {
    let mut after_slash = false;
    path.bytes().all(|byte| {
        let is_slash = byte == b'/';
        let doubled = std::mem::replace(&mut after_slash, is_slash) && is_slash;
        !doubled && !matches!(byte, b'%' | b';' | b'\\')
    })
}

fn has_separator_in_doubt(path: &str) -> bool {
    path.contains("//") || path.contains([';', '\\'])
}

fn has_ambiguous_escape(path: &str) -> bool {
    path.split('%').skip(1).any(|rest| {
        let code = rest.get(..2).unwrap_or_default();
        let becomes_an_escape = code == "25" && rest.get(2..4).is_some_and(is_hexadecimal);
        let is_separator = ["2f", "5c", "2e", "00"].iter().any(|separator| code.eq_ignore_ascii_case(separator));
        !is_hexadecimal(code) || becomes_an_escape || is_separator
    })
}

/// Whether a text can stand behind the `%` of an escape.
fn is_hexadecimal(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// An ambiguous path as many servers resolve it, if that is not ambiguous any more.
fn resolved(path: &str) -> Option<String> {
    let path = path.replace("%2e", ".").replace("%2E", ".").replace("%2f", "/").replace("%2F", "/");
    let path = path.replace('\\', "/").replace("%5c", "/").replace("%5C", "/");
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let end = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    Some(format!("/{}{end}", segments.join("/"))).filter(|resolved| !is_ambiguous(resolved))
}

/// The path with `%25` for every `%` that begins no escape.
fn escape_percent_signs(path: &str) -> String {
    let mut pieces = path.split('%');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out.push_str(if piece.get(..2).is_some_and(is_hexadecimal) { "%" } else { "%25" });
        out.push_str(piece);
    }
    out
}

/// The path with what servers take for equal made equal: the characters that may stand in a path as they are (RFC
/// 3986, `pchar`) are resolved, but for the dot; other escapes are in upper case.
fn comparable(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut pieces = path.split('%');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (code, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        match resolved_escape(code) {
            Some(byte) => out.push(byte.into()),
            None => {
                out.push('%');
                out.push_str(&code.to_ascii_uppercase());
            }
        }
        out.push_str(rest);
    }
    Cow::Owned(out)
}

/// The same for a pattern, in which a resolved character is no part of the pattern's language.
fn symbols(pattern: &str) -> Vec<Symbol> {
    let mut symbols = Vec::with_capacity(pattern.len());
    let mut pieces = pattern.split('%');
    symbols.extend(pieces.next().unwrap_or_default().bytes().map(Symbol::Plain));
    for piece in pieces {
        let (code, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        match resolved_escape(code) {
            Some(byte) => symbols.push(Symbol::Literal(byte)),
            None => {
                let written = [b'%'].into_iter().chain(code.bytes());
                symbols.extend(written.map(|byte| Symbol::Literal(byte.to_ascii_uppercase())));
            }
        }
        symbols.extend(rest.bytes().map(Symbol::Plain));
    }
    symbols
}

/// The character that an escape stands for, if it may stand in a path as it is.
fn resolved_escape(code: &str) -> Option<u8> {
    let byte = u8::from_str_radix(code, 16).ok()?;
    (byte.is_ascii_alphanumeric() || b"-_~!$&'()*+,;=:@".contains(&byte)).then_some(byte)
}

fn percent_encode(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    for byte in pattern.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'#' | b'`') {
            out.push(byte.into());
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        let mut set = PathSet::default();
        set.add(pattern).expect(pattern);
        set.matches(path)
    }

    #[test]
    fn stars_do_not_cross_a_slash_and_double_stars_do() {
        let cases = [
            ("/v1/**", "/v1/", true),
            ("/v1/**", "/v1/orders/7", true),
            ("/v1/**", "/v1", false),
            ("/v1/**", "/v1x", false),
            ("/v1/**", "/V1/orders", false),
            ("/v1/*", "/v1/orders", true),
            ("/v1/*", "/v1/orders/7", false),
            ("/v1/*/items", "/v1/7/items", true),
            ("/v1/{a,b}", "/v1/b", true),
            ("/v1", "/v1", true),
            ("/v1", "/v1/", false),
            ("/**", "/", true),
            ("/caf%C3%A9", "/caf%c3%a9", true),
            ("/admin/**", "/%61dmin/x", true),
            ("/~user", "/%7Euser", true),
            ("/v1/*:setIamPolicy", "/v1/x%3AsetIamPolicy", true),
            ("/u/@me", "/u/%40me", true),
            ("/a+b", "/a%2Bb", true),
            ("/a%2Bb", "/a+b", true),
            ("/a%2Ab", "/a*b", true),
            ("/a%2Ab", "/axb", false),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_that_can_never_match_is_refused_with_the_right_form() {
        let cases = [
            ("v1/**", "\"/v1/**\""),
            ("/caf\u{e9}", "\"/caf%C3%A9\""),
            ("/a b", "\"/a%20b\""),
            ("/a/../b", "as the server resolves it"),
            ("/a//b", "as the server resolves it"),
            ("/a%2Fb", "as the server resolves it"),
            ("/a;b", "as the server resolves it"),
            ("/search?q=*", "the path alone"),
            ("/^/v1/.*$", "as in \"/v1/**\""),
            ("/v1**", "as in \"/v1/**\""),
            ("/orders/{id}", "`*` for any segment"),
            ("/a[!x]b", "as in [abc]"),
            ("/a[^x]b", "as in [abc]"),
            ("/a[+-9]b", "as in [abc]"),
            ("/a[x/]b", "as in [abc]"),
            ("/{a", ""),
            ("/[", ""),
        ];
        for (pattern, cure) in cases {
            let (_, said) = PathSet::default().add(pattern).expect_err(pattern);
            assert!(said.contains(cure), "{pattern}: {said}");
        }
    }

    #[test]
    fn paths_that_servers_read_differently_are_ambiguous() {
        for path in [
            "/a%2Fb",
            "/a%2fb",
            "/%2e%2e/b",
            "/a%5cb",
            "/a//b",
            "/a;b/c",
            "/a\\b",
            "/a%252fb",
            "/a%25252Eb",
            "/a%",
            "/a%zz",
            "/%00",
        ] {
            assert!(is_ambiguous(path), "{path}");
        }
        for path in ["/", "/a/b", "/a%20b", "/caf%C3%A9", "/a.b/c..d", "/a:b@c", "/10%25", "/10%25off"] {
            assert!(!is_ambiguous(path), "{path}");
        }
    }
}
