//! Path patterns, and the paths that no pattern may judge.

use std::borrow::Cow;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// The path patterns of one rule.
#[derive(Clone, Debug)]
pub(crate) struct PathSet(GlobSet);

impl PathSet {
    /// Whether one of the patterns matches a path that is not [ambiguous](is_ambiguous).
    pub(crate) fn matches(&self, path: &str) -> bool {
        self.0.is_match(&*comparable(path))
    }
}

/// Collects the checked patterns of a rule.
#[derive(Debug)]
pub(super) struct PathSetBuilder(GlobSetBuilder);

impl PathSetBuilder {
    pub(super) fn new() -> Self {
        Self(GlobSetBuilder::new())
    }

    /// Adds a pattern, or says what is wrong with it and what to write instead.
    pub(super) fn add(&mut self, pattern: &str) -> Result<(), (String, String)> {
        let shown = pattern.escape_debug();
        if !pattern.starts_with('/') {
            return Err((format!("path `{shown}` does not begin with `/`"), format!("write \"/{shown}\"")));
        }
        // Every path is sent percent-encoded, so a pattern that is not could never match.
        let encoded = percent_encode(pattern);
        if encoded != pattern {
            return Err((format!("path `{shown}` is not percent-encoded"), format!("write \"{encoded}\"")));
        }
        if is_ambiguous(pattern) || pattern.split('/').any(|segment| segment == "." || segment == "..") {
            return Err((
                format!("path `{shown}` can never match: dot segments, `//`, `;`, `\\`, %2e, %2f and %5c are denied"),
                "write the path as the server resolves it".to_owned(),
            ));
        }
        let glob = GlobBuilder::new(&comparable(pattern))
            .literal_separator(true)
            .build()
            .map_err(|error| (format!("path `{shown}` is no valid pattern"), error.kind().to_string()))?;
        self.0.add(glob);
        Ok(())
    }

    pub(super) fn build(&self) -> Result<PathSet, globset::Error> {
        self.0.build().map(PathSet)
    }
}

/// Whether servers differ in where they see a separator or a dot segment in this path.
pub(crate) fn is_ambiguous(path: &str) -> bool {
    path.contains("//")
        || path.contains([';', '\\'])
        || path.split('%').skip(1).any(|rest| {
            // `%252f` becomes `%2f` in a server that decodes twice.
            let code = rest.trim_start_matches("25").get(..2).unwrap_or_default();
            let broken = !rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()) || rest.len() < 2;
            broken || ["2f", "5c", "2e", "00"].iter().any(|separator| code.eq_ignore_ascii_case(separator))
        })
}

/// The path with what RFC 3986 calls equivalent made equal: `%7E` is `~`, `%c3` is `%C3`.
fn comparable(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut pieces = path.split('%');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (code, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        match u8::from_str_radix(code, 16) {
            Ok(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') => out.push(byte.into()),
            _ => {
                out.push('%');
                out.push_str(&code.to_ascii_uppercase());
            }
        }
        out.push_str(rest);
    }
    Cow::Owned(out)
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
        let mut builder = PathSetBuilder::new();
        builder.add(pattern).expect(pattern);
        builder.build().expect(pattern).matches(path)
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
            ("/{a", ""),
            ("/[", ""),
        ];
        for (pattern, cure) in cases {
            let (_, said) = PathSetBuilder::new().add(pattern).expect_err(pattern);
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
