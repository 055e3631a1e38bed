//! Where a policy comes from, and what must be true of its text before it is read.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use minisign_verify::{PublicKey, Signature};
use sha2::{Digest, Sha256};

use crate::policy::{Policy, PolicyError, PolicyFault};

/// A place that a policy is read from, with what its text must fulfil.
///
/// Whatever fails, the place cannot be read, the text has a fault, its hash is not the pinned one, a required signature
/// is missing or wrong, is an error that names the place and the cure. Nothing is ever used in its stead.
///
/// ```no_run
/// use egress_guard::{Policy, PolicySource};
///
/// /// From `minisign -G`; the network's owner keeps the other half.
/// const OWNER: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
///
/// let baseline = PolicySource::baseline_from_env().signed_by(OWNER).load()?;
/// let policy = baseline.narrowed_by(Policy::from_env()?);
/// # Ok::<(), egress_guard::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a source is read by `load`"]
pub struct PolicySource {
    place: Place,
    requirements: Requirements,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    Text { name: String, text: String, signature: Option<String> },
    Environment { variable: &'static str, default: &'static str },
}

impl PolicySource {
    /// The policy of the function, as its environment says:
    ///
    /// 1. the text in `EGRESS_GUARD_POLICY`, TOML or JSON, signed by the text in `EGRESS_GUARD_POLICY_SIGNATURE` (Lambda
    ///    gives all variables of a function 4 KB together);
    /// 2. else the file that `EGRESS_GUARD_POLICY_FILE` names;
    /// 3. else the file `/opt/egress-guard/policy.toml`, where a Lambda layer would put it.
    ///
    /// If `EGRESS_GUARD_POLICY_SHA256` is set, the text must have this hash. A variable that is set and empty is not
    /// passed over: it is an error.
    pub fn from_env() -> Self {
        Self::at(Place::Environment { variable: "EGRESS_GUARD_POLICY", default: "/opt/egress-guard/policy.toml" })
    }

    /// The baseline of the network's owner, from the same places under other names: `EGRESS_GUARD_BASELINE`,
    /// `EGRESS_GUARD_BASELINE_FILE`, `EGRESS_GUARD_BASELINE_SHA256`, `/opt/egress-guard/baseline.toml`.
    pub fn baseline_from_env() -> Self {
        Self::at(Place::Environment { variable: "EGRESS_GUARD_BASELINE", default: "/opt/egress-guard/baseline.toml" })
    }

    /// A file: JSON if its name ends in `.json`, TOML otherwise. Its signature stands beside it, under the same name
    /// with `.minisig` behind.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::at(Place::File(path.into()))
    }

    /// A text, TOML or JSON, such as one from `include_str!`; the name stands in errors and in the posture line.
    pub fn text(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self::at(Place::Text { name: name.into(), text: text.into(), signature: None })
    }

    /// A text with its signature, the content of the `.minisig` file.
    pub fn signed_text(name: impl Into<String>, text: impl Into<String>, signature: impl Into<String>) -> Self {
        Self::at(Place::Text { name: name.into(), text: text.into(), signature: Some(signature.into()) })
    }

    fn at(place: Place) -> Self {
        Self { place, requirements: Requirements::default() }
    }

    /// Requires the SHA-256 of the text to be this, in hexadecimal digits.
    pub fn sha256(mut self, digest: impl Into<String>) -> Self {
        self.requirements.digests.push(("the hash given in code".to_owned(), digest.into()));
        self
    }

    /// Requires the text to be signed by the owner of this [minisign](https://jedisct1.github.io/minisign/) public key,
    /// the second line of `minisign.pub`.
    ///
    /// A signature says who wrote a text, not that it is the newest one that they wrote; to keep an older policy from
    /// coming back, pin the hash too.
    pub fn signed_by(mut self, public_key: impl Into<String>) -> Self {
        self.requirements.keys.push((public_key.into(), check_signature));
        self
    }

    /// Reads the policy.
    ///
    /// # Errors
    ///
    /// When the place cannot be read, a requirement is not met, or the text has faults, which are all reported at once.
    pub fn load(&self) -> Result<Policy, PolicyError> {
        self.load_with(|variable| std::env::var_os(variable))
    }

    fn load_with(&self, variable: impl Fn(&str) -> Option<OsString>) -> Result<Policy, PolicyError> {
        match &self.place {
            Place::File(path) => self.requirements.load_file(&path.display().to_string(), path),
            Place::Text { name, text, signature } => {
                let unsigned = || unsigned(name, "give its .minisig file, with `PolicySource::signed_text`");
                self.requirements.accept(name, text.as_bytes(), || signature.clone().ok_or_else(unsigned))
            }
            Place::Environment { variable: name, default } => self.load_environment(name, default, variable),
        }
    }

    fn load_environment(
        &self,
        name: &str,
        default: &str,
        lookup: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Policy, PolicyError> {
        let unicode = |key: &str| match lookup(key).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(failed(key, "the variable is not UTF-8", "set it to text, or remove it")),
        };
        let [file_key, digest_key, signature_key] = ["FILE", "SHA256", "SIGNATURE"].map(|end| format!("{name}_{end}"));
        let mut requirements = self.requirements.clone();
        if let Some(digest) = unicode(&digest_key)? {
            requirements.digests.push((digest_key, digest));
        }
        if let Some(text) = unicode(name)? {
            let cure = format!("set {signature_key} to the content of the .minisig file");
            let signature = || unicode(&signature_key)?.ok_or_else(|| unsigned(name, cure.as_str()));
            return requirements.accept(name, text.as_bytes(), signature);
        }
        match lookup(&file_key) {
            Some(path) if path.is_empty() => Err(failed(
                &file_key,
                "the variable is set and empty",
                "set it to the path of the policy, or remove it",
            )),
            Some(path) => {
                let path = Path::new(&path);
                requirements.load_file(&format!("{} (from {file_key})", path.display()), path)
            }
            None => {
                let source = format!("{default} (neither {name} nor {file_key} is set)");
                requirements.load_file(&source, Path::new(default))
            }
        }
    }
}

impl Policy {
    /// Reads the policy that the environment names; see [`PolicySource::from_env`].
    ///
    /// # Errors
    ///
    /// As [`PolicySource::load`].
    pub fn from_env() -> Result<Self, PolicyError> {
        PolicySource::from_env().load()
    }

    /// Reads a policy file: JSON if its name ends in `.json`, TOML otherwise.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, and as [`from_toml`](Self::from_toml); the message names the file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, PolicyError> {
        PolicySource::file(path.as_ref()).load()
    }
}

/// What must be true of a policy's text before it is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requirements {
    /// Hashes, and where each was stated.
    digests: Vec<(String, String)>,
    /// Keys, each with what verifies its signatures: the code of it is only linked where a key is asked for.
    keys: Vec<(String, Verify)>,
}

/// Checks that a key has signed a text.
type Verify = fn(key: &str, signature: &str, text: &[u8]) -> Result<(), Fault>;

impl Requirements {
    #[cfg(feature = "appconfig")]
    pub(crate) fn require_key(&mut self, public_key: String) {
        self.keys.push((public_key, check_signature));
    }

    fn load_file(&self, source: &str, path: &Path) -> Result<Policy, PolicyError> {
        let text = std::fs::read(path).map_err(|error| {
            let cure = match error.kind() {
                io::ErrorKind::PermissionDenied => "make it readable for the user that the function runs as",
                _ => "ship the policy with the function, and name the place where it stands at run time",
            };
            failed(source, format!("the file cannot be read: {error}"), cure)
        })?;
        let mut signature_path = path.as_os_str().to_owned();
        signature_path.push(".minisig");
        let signature_path = PathBuf::from(signature_path);
        let signature = || {
            std::fs::read_to_string(&signature_path).map_err(|error| {
                let problem =
                    format!("the policy must be signed, and {} cannot be read: {error}", signature_path.display());
                failed(source, problem, "sign it with `minisign -Sm`, and ship the .minisig file beside it")
            })
        };
        let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        self.accept_as(source, &text, signature, if is_json { Policy::from_json } else { Policy::from_toml })
    }

    /// Reads a text that may be TOML or JSON, if it meets the requirements. The signature is only asked for if one is
    /// required.
    pub(crate) fn accept(
        &self,
        source: &str,
        text: &[u8],
        signature: impl Fn() -> Result<String, PolicyError>,
    ) -> Result<Policy, PolicyError> {
        // No TOML document begins with a brace.
        let is_json = text.trim_ascii_start().first() == Some(&b'{');
        self.accept_as(source, text, signature, if is_json { Policy::from_json } else { Policy::from_toml })
    }

    fn accept_as(
        &self,
        source: &str,
        text: &[u8],
        signature: impl Fn() -> Result<String, PolicyError>,
        read: fn(&str) -> Result<Policy, PolicyError>,
    ) -> Result<Policy, PolicyError> {
        let digest = sha256(text);
        for (stated_by, pin) in &self.digests {
            check_digest(&digest, stated_by, pin).map_err(|(problem, cure)| failed(source, problem, cure))?;
        }
        for (key, verify) in &self.keys {
            verify(key, &signature()?, text).map_err(|(problem, cure)| failed(source, problem, cure))?;
        }
        let text = std::str::from_utf8(text)
            .map_err(|error| failed(source, format!("the text is not UTF-8: {error}"), "save it as UTF-8"))?;
        match read(text) {
            Ok(policy) => Ok(policy.read_from(source, &digest)),
            Err(error) => Err(error.named(format!("the policy {source}"))),
        }
    }
}

/// The hash of a policy's text, as audit lines carry it.
pub(crate) fn sha256(text: &[u8]) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

type Fault = (String, &'static str);

fn check_digest(digest: &str, stated_by: &str, pin: &str) -> Result<(), Fault> {
    if pin.len() != 64 || !pin.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let problem = format!("{stated_by} is {pin:?}, which is no SHA-256");
        return Err((problem, "write the 64 hexadecimal digits that `sha256sum` prints for the policy"));
    }
    if !pin.eq_ignore_ascii_case(digest) {
        let problem = format!("its SHA-256 is {digest}, and {stated_by} asks for {}", pin.to_ascii_lowercase());
        return Err((problem, "put back the policy that was approved, or approve this one by its hash"));
    }
    Ok(())
}

fn check_signature(key: &str, signature: &str, text: &[u8]) -> Result<(), Fault> {
    let key = match key.trim().lines().count() {
        1 => PublicKey::from_base64(key.trim()),
        _ => PublicKey::decode(key),
    };
    let key = key.map_err(|error| {
        (format!("the public key given in code is none: {error}"), "give the second line of minisign.pub")
    })?;
    let signature = Signature::decode(signature).map_err(|error| {
        (format!("its signature cannot be read: {error}"), "give the whole .minisig file, all four lines")
    })?;
    // The older kind signs the text itself; minisign has made the new kind since 2020.
    let verified = key.verify(text, &signature, false);
    verified.map_err(|error| match error {
        minisign_verify::Error::UnexpectedKeyId => {
            ("it is signed by another key".to_owned(), "sign it with the key whose public half the function has")
        }
        minisign_verify::Error::UnexpectedAlgorithm | minisign_verify::Error::UnsupportedLegacyMode => {
            ("its signature is of the legacy kind".to_owned(), "sign it anew with minisign 0.11 or later, without -l")
        }
        error => (
            format!("its signature does not fit the text: {error}"),
            "put back the text that was signed, or sign this one",
        ),
    })
}

fn failed(source: &str, problem: impl Into<String>, cure: impl Into<String>) -> PolicyError {
    PolicyError::new(format!("the policy {source}"), vec![PolicyFault::new(None, problem, cure)])
}

fn unsigned(source: &str, cure: &str) -> PolicyError {
    failed(source, "the policy must be signed, and no signature is given", cure)
}
