//! Segments of paths: which are ids, and what several have in common.

/// Whether a segment looks like the id of one thing among many: a number, a date, a UUID, a hash, a token, or one of these
/// behind a word (`order-17`) or before an extension (`17.csv`).
pub(super) fn is_id(segment: &str) -> bool {
    let stem = match segment.rsplit_once('.') {
        Some((stem, extension)) if is_extension(extension) => stem,
        _ => segment,
    };
    is_bare_id(stem)
        || stem.split_once(['-', '_', ':', '=']).is_some_and(|(word, rest)| {
            word.bytes().all(|byte| byte.is_ascii_alphabetic()) && (is_bare_id(rest) || is_token(rest, 8))
        })
}

fn is_bare_id(text: &str) -> bool {
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b"-_.:TZ".contains(&byte));
    let is_hash = text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    has_digit && (is_number || is_hash || is_token(text, 16))
}

/// Whether a segment may be a secret, or hold one: a token, as in `bot17:AAH...`, or a signed one, as `eyJ...`.
pub(super) fn is_secret(segment: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~".contains(&byte);
    let parts = || segment.split(|character: char| !character.is_ascii() || !is_part(character as u8));
    parts().any(|part| {
        let has = |is: fn(&u8) -> bool| part.as_bytes().iter().any(is);
        let is_mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
        part.len() >= 24 && is_mixed
            || part.len() >= 16 && part.starts_with("eyJ")
            || part.split('-').any(|run| is_token(run, 16))
    })
}

/// Whether a pattern of paths holds a segment that may be one.
pub(in super::super) fn may_hold_a_secret(pattern: &str) -> bool {
    pattern.split('/').any(is_secret)
}

/// Letters and digits, without a word's separators.
fn is_token(text: &str, least: usize) -> bool {
    let has = |is: fn(&u8) -> bool| text.as_bytes().iter().any(is);
    text.len() >= least
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_=~".contains(&byte))
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
}

fn is_extension(text: &str) -> bool {
    (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// What segments begin and end with, all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Common {
    prefix: String,
    suffix: String,
    shortest: usize,
}

impl Common {
    pub(super) fn of(segment: &str) -> Self {
        Self { prefix: segment.to_owned(), suffix: segment.to_owned(), shortest: segment.len() }
    }

    pub(super) fn add(&mut self, segment: &str) {
        self.merge(&Self::of(segment));
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let same = |(one, another): &(u8, u8)| one == another;
        let ahead = self.prefix.bytes().zip(other.prefix.bytes()).take_while(same).count();
        let behind = self.suffix.bytes().rev().zip(other.suffix.bytes().rev()).take_while(same).count();
        // Paths are ASCII, and what is not would be cut to nothing.
        self.prefix = self.prefix.get(..ahead).unwrap_or_default().to_owned();
        self.suffix = self.suffix.get(self.suffix.len() - behind..).unwrap_or_default().to_owned();
        self.shortest = self.shortest.min(other.shortest);
    }

    /// The pattern for all of them: `*`, behind the words that all begin with, and before their extension. A digit ends
    /// what is common: a part of a number, or of a date, will change.
    pub(super) fn pattern(&self) -> String {
        let is_separator = |byte: u8| b"-_:=".contains(&byte);
        let words = self.prefix.bytes().take_while(|byte| byte.is_ascii_alphabetic() || is_separator(*byte)).count();
        let words = self.prefix.get(..words).unwrap_or_default();
        let prefix = words.rfind(['-', '_', ':', '=']).and_then(|end| words.get(..=end)).unwrap_or_default();
        let suffix = self.suffix.rsplit_once('.').filter(|(_, extension)| is_extension(extension));
        let suffix = suffix.map_or(String::new(), |(_, extension)| format!(".{extension}"));
        if prefix.len() + suffix.len() > self.shortest {
            return format!("*{suffix}");
        }
        format!("{prefix}*{suffix}")
    }
}

/// The segment as a pattern, every character for itself.
pub(in super::super) fn literal(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    for character in segment.chars() {
        match character {
            '?' | '*' | '[' | ']' | '{' | '}' => out.extend(['[', character, ']']),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_words() {
        for id in [
            "7",
            "004711",
            "2026-11-24",
            "2026-11-24T10:45:59Z",
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "da39a3ee5e6b4b0d",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "cus_9s6XKzkNRiz8i3",
            "order-17",
            "orders-2026-11-24.csv",
            "17.json",
        ] {
            assert!(is_id(id), "{id}");
        }
        for word in [
            "",
            "v1",
            "v1.2",
            "orders",
            "list-orders",
            "oauth2",
            "s3",
            "deadbeef",
            "sha256",
            "charges.json",
            "2fa-setup",
            "%41",
            "list-of-all-orders-in-2026-and-later",
        ] {
            assert!(!is_id(word), "{word}");
        }
    }

    #[test]
    fn what_is_common_is_kept_up_to_the_first_digit() {
        let cases: [(&[&str], &str); 9] = [
            (&["17", "18"], "*"),
            (&["order-17", "order-18"], "order-*"),
            (&["orders-2026-11-23.csv", "orders-2026-11-24.csv"], "orders-*.csv"),
            (&["2026-11-23", "2026-11-24"], "*"),
            (&["17.csv", "18.json"], "*"),
            (&["a.csv", "b.csv"], "*.csv"),
            (&["x-.csv", "x-csv"], "x-*"),
            (&["charge", "charges"], "*"),
            (&["a%2C1", "a%2C2"], "*"),
        ];
        for (names, expected) in cases {
            let mut common = Common::of(names[0]);
            names.iter().for_each(|name| common.add(name));
            assert_eq!(common.pattern(), expected, "{names:?}");
        }
    }
}
