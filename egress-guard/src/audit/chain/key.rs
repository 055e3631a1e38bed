//! The key of the person who verifies.

use std::env::VarError;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

use super::ladder::{Secret, leaving_no_keys};
use super::link::LAST_CHAIN;

/// A key for [`JsonLines::chained`](crate::audit::JsonLines::chained), of 32 bytes or more that nobody can guess.
///
/// Whoever has it can make lines that hold, so what verifies a log keeps it where the function's own code does not
/// reach. Nothing prints it, and what is derived from it is overwritten when it has been used. The bytes that it is made
/// from are the caller's, and so is what the caller leaves of them in memory.
///
/// ```
/// use egress_guard::{ChainKey, Guard, JsonLines, Policy};
///
/// # fn secret() -> Vec<u8> { (0..32).collect() }
/// let key = ChainKey::from_bytes(&secret())?; // from Secrets Manager, say
/// let guard = Guard::new(Policy::builder("orders").build()?, JsonLines::stdout().chained(key));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ChainKey {
    /// What the first chain of a sink begins with.
    root: Secret,
    /// The same of all its chains, for what verifies many.
    later: OnceLock<Vec<Secret>>,
}

impl ChainKey {
    /// The variable that [`from_env`](Self::from_env) reads.
    pub const VARIABLE: &str = "EGRESS_GUARD_AUDIT_KEY";

    /// A key from its bytes.
    ///
    /// # Errors
    ///
    /// When there are fewer than 32, or they are all the same.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidChainKey> {
        if bytes.len() < LEAST {
            return Err(InvalidChainKey(Kind::Short(bytes.len())));
        }
        if bytes.iter().all(|byte| Some(byte) == bytes.first()) {
            return Err(InvalidChainKey(Kind::Uniform));
        }
        let root = leaving_no_keys(|| Secret::of(bytes, b"egress-guard audit chain 1"));
        Ok(Self { root: root.ok_or(InvalidChainKey(Kind::Short(0)))?, later: OnceLock::new() })
    }

    /// A key from the environment variable `EGRESS_GUARD_AUDIT_KEY`, in hex or base64.
    ///
    /// What can read the function's configuration can read it, and so can all code in the process at any time. Where
    /// that matters, fetch the key from Secrets Manager or Parameter Store while the function starts.
    ///
    /// # Errors
    ///
    /// When it is not set, or no such key.
    pub fn from_env() -> Result<Self, InvalidChainKey> {
        match std::env::var(Self::VARIABLE).map(Zeroizing::new) {
            Ok(text) => text.parse(),
            Err(VarError::NotPresent) => Err(InvalidChainKey(Kind::NotSet)),
            Err(VarError::NotUnicode(_)) => Err(InvalidChainKey(Kind::NoText)),
        }
    }

    pub(super) fn into_root(self) -> Secret {
        self.root
    }

    /// What the chain with this number begins with.
    pub(super) fn root_of(&self, number: u16) -> Option<&Secret> {
        let all = || std::iter::successors(Some(self.root.next()), |root| Some(root.next())).take(LAST_CHAIN.into());
        match number.checked_sub(1) {
            None => Some(&self.root),
            Some(later) => self.later.get_or_init(|| all().collect()).get(usize::from(later)),
        }
    }
}

/// What stands for a key in a text: hex if that is possible, and otherwise base64, of either alphabet, with or without
/// `=`. White space around it is passed over.
impl FromStr for ChainKey {
    type Err = InvalidChainKey;

    fn from_str(text: &str) -> Result<Self, InvalidChainKey> {
        let text = text.trim().as_bytes();
        if text.is_empty() {
            return Err(InvalidChainKey(Kind::Empty));
        }
        let encodings = [&HEXLOWER_PERMISSIVE, &BASE64, &BASE64_NOPAD, &BASE64URL, &BASE64URL_NOPAD];
        let bytes = encodings.into_iter().find_map(|encoding| encoding.decode(text).ok());
        Self::from_bytes(&Zeroizing::new(bytes.ok_or(InvalidChainKey(Kind::NoText))?))
    }
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainKey").finish_non_exhaustive()
    }
}

/// Why there is no key. Nothing of what was given is repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no key for the audit's chain: {0}. `openssl rand -hex 32` makes one")]
pub struct InvalidChainKey(Kind);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Kind {
    #[error("the environment variable `EGRESS_GUARD_AUDIT_KEY` is not set")]
    NotSet,
    #[error("the text is empty, expected 32 bytes or more in hex or base64")]
    Empty,
    #[error("the text is neither hex nor base64, expected 32 bytes or more in one of these")]
    NoText,
    #[error("it has {0} bytes, expected 32 or more")]
    Short(usize),
    #[error("all its bytes are the same")]
    Uniform,
}

const LEAST: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_in_every_notation() {
        let bytes: Vec<u8> = (200..232).collect();
        let expected = ChainKey::from_bytes(&bytes).unwrap().root.derive(b"");
        for text in [
            HEXLOWER_PERMISSIVE.encode(&bytes),
            HEXLOWER_PERMISSIVE.encode(&bytes).to_uppercase(),
            BASE64.encode(&bytes),
            BASE64_NOPAD.encode(&bytes),
            BASE64URL.encode(&bytes),
            format!(" {}\n", BASE64URL_NOPAD.encode(&bytes)),
        ] {
            let key: ChainKey = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(expected.is_mac_of(b"x", &key.root.derive(b"").mac_of(b"x")), "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_said_without_repeating_it() {
        for (text, expected) in [
            ("", "the text is empty"),
            (" \n", "the text is empty"),
            ("hunter2!", "neither hex nor base64"),
            ("00112233", "it has 4 bytes, expected 32 or more"),
            (&"00".repeat(32), "all its bytes are the same"),
            (&"0123456789abcdef".repeat(3), "it has 24 bytes"),
        ] {
            let error = text.parse::<ChainKey>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(error.contains("openssl rand -hex 32") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn nothing_shows_a_key() {
        let key = ChainKey::from_bytes(&(0..32).collect::<Vec<u8>>()).unwrap();
        assert_eq!(format!("{key:?}"), "ChainKey { .. }");
    }
}
