//! What a line of a chain ends in, and whether it holds.

use data_encoding::BASE64URL_NOPAD;

use super::key::ChainKey;
use super::ladder::{MAC_LEN, Secret, key_at, steps};

/// What an audit line ends in that is part of a chain, as [`JsonLines::chained`](crate::JsonLines::chained) writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link<'a> {
    /// `chain_id`: the number of the chain among those that a sink begins, a dot, and 96 random bits in base64.
    pub chain_id: &'a str,
    /// `chain_seq`: the place of the line in its chain, from 1.
    pub chain_seq: u32,
    /// `chain_lost`: how many places before this one belong to lines that could not be written, or not whole, as the
    /// process says; who has taken it over may say so too.
    pub chain_lost: u32,
    /// What the MAC is of.
    sealed: &'a str,
    mac: [u8; MAC_LEN],
}

impl<'a> Link<'a> {
    /// Reads it from a line as it was written, without its newline; `None` if the line does not end as one of a chain.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Self> {
        let (sealed, mac) = line.strip_suffix("\"}")?.rsplit_once(",\"mac\":\"")?;
        let mac = BASE64URL_NOPAD.decode(mac.as_bytes()).ok()?.try_into().ok()?;
        let (rest, chain_seq) = sealed.rsplit_once(",\"chain_seq\":")?;
        let chain_seq = number(chain_seq)?;
        let (rest, chain_lost) = match rest.rsplit_once(",\"chain_lost\":") {
            Some((rest, lost)) => (rest, number(lost)?),
            None => (rest, 0),
        };
        let (_, chain_id) = rest.strip_suffix('"')?.rsplit_once(",\"chain_id\":\"")?;
        parts(chain_id)?;
        // More can not have been lost than there are places.
        (chain_lost < chain_seq).then_some(Self { chain_id, chain_seq, chain_lost, sealed, mac })
    }
}

/// As it is written: without a sign or a leading zero.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number: &u32| *number > 0 && number.to_string() == text)
}

/// The number of a chain in its sink, and the name that it was given at random.
fn parts(chain_id: &str) -> Option<(u16, &str)> {
    let (number, name) = chain_id.split_once('.')?;
    let is_name = name.len() == 16 && BASE64URL_NOPAD.decode(name.as_bytes()).is_ok();
    let number = number.parse().ok().filter(|parsed: &u16| parsed.to_string() == number)?;
    (is_name && number <= LAST_CHAIN).then_some((number, name))
}

/// The most chains that a sink begins after its first; a reader has to take a step for each.
pub(super) const LAST_CHAIN: u16 = 4095;

/// The key that the chain begins with, and so [each of its lines](super::ladder::Ladder).
pub(super) fn root_of(number_root: &Secret, chain_id: &str) -> Secret {
    number_root.derive(format!("chain {chain_id}").as_bytes())
}

/// Says of lines of one chain whether they hold. In whatever order they come, each is judged by itself.
///
/// ```
/// use egress_guard::chain::{Checker, Link};
/// use egress_guard::{ChainKey, Guard, JsonLines, Policy};
///
/// # let bytes: Vec<u8> = (0..32).collect();
/// # let (reader, writer) = std::io::pipe()?;
/// let key = ChainKey::from_bytes(&bytes)?;
/// let guard = Guard::new(Policy::builder("orders").build()?, JsonLines::new(writer).chained(key));
/// # drop(guard);
/// # let log = std::io::read_to_string(reader)?;
///
/// let key = ChainKey::from_bytes(&bytes)?;
/// let line = log.lines().next().ok_or("no line")?;
/// let link = Link::parse(line).ok_or("no line of a chain")?;
/// let mut checker = Checker::new(&key, link.chain_id).ok_or("no chain's name")?;
/// assert!(checker.holds(&link));
///
/// let forged = line.replace("orders", "others");
/// let link = Link::parse(&forged).ok_or("no line of a chain")?;
/// assert!(!checker.holds(&link));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Checker {
    chain_id: Box<str>,
    root: Secret,
    /// The key of a place, kept as most lines come soon after another.
    last: (u32, Secret),
    /// That of the first place with the same upper bytes.
    block: (u32, Secret),
}

impl Checker {
    /// For the lines with this `chain_id`; `None` if it names no chain.
    #[must_use]
    pub fn new(key: &ChainKey, chain_id: &str) -> Option<Self> {
        let (number, _) = parts(chain_id)?;
        let root = root_of(key.root_of(number)?, chain_id);
        let first = key_at(&root, 0);
        Some(Self { chain_id: chain_id.into(), root, last: (0, first.clone()), block: (0, first) })
    }

    /// Whether a line is one that somebody with the key has written for its place.
    #[must_use]
    pub fn holds(&mut self, link: &Link<'_>) -> bool {
        link.chain_id == &*self.chain_id && self.key_at(link.chain_seq).is_mac_of(link.sealed.as_bytes(), &link.mac)
    }

    fn key_at(&mut self, place: u32) -> &Secret {
        let [.., byte] = place.to_be_bytes();
        let block = place - u32::from(byte);
        if self.block.0 != block {
            self.block = (block, key_at(&self.root, block));
            self.last = self.block.clone();
        } else if place < self.last.0 {
            self.last = self.block.clone();
        }
        let [.., ahead] = (place - self.last.0).to_be_bytes();
        self.last = (place, steps(std::mem::take(&mut self.last.1), ahead));
        &self.last.1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = r#"{"message":"x","chain_id":"3.AAECAwQFBgcICQoL","chain_lost":2,"chain_seq":17,"mac":"AAECAwQFBgcICQoLDA0ODw"}"#;

    #[test]
    fn a_link_is_read_as_it_is_written() {
        let link = Link::parse(LINE).unwrap();
        assert_eq!((link.chain_id, link.chain_seq, link.chain_lost), ("3.AAECAwQFBgcICQoL", 17, 2));
        assert!(LINE.starts_with(link.sealed) && link.sealed.ends_with("\"chain_seq\":17"));
        let link = LINE.replace(",\"chain_lost\":2", "");
        assert_eq!(Link::parse(&link).unwrap().chain_lost, 0);
    }

    #[test]
    fn what_is_not_written_so_is_no_link() {
        for (from, to) in [
            ("\"}", "\" }"),
            ("\"}", "=\"}"),
            ("Dw\"", "D\""),
            ("Dw\"", "D+\""),
            ("\"mac\"", "\"Mac\""),
            (":17", ":017"),
            (":17", ":+17"),
            (":17", ":0"),
            (":17", ":4294967296"),
            (":17", ":1"),
            (":2,", ":x,"),
            ("3.AA", "AA"),
            ("3.AA", "03.AA"),
            ("3.AA", "4096.AA"),
            ("3.AA", "3.A"),
            ("\"chain_id\"", "\"id\""),
        ] {
            let line = LINE.replace(from, to);
            assert_ne!(line, LINE);
            assert_eq!(Link::parse(&line), None, "{line}");
        }
    }

    /// What the Python of `docs/verify.md` gives for the key 00 01 .. 1f.
    #[test]
    fn lines_hold_that_another_program_has_made() {
        let key = ChainKey::from_bytes(&(0..32).collect::<Vec<u8>>()).unwrap();
        let lines: Vec<_> = include_str!("known_answers.txt").lines().collect();
        assert_eq!(lines.len(), 9);
        for line in lines {
            let link = Link::parse(line).unwrap();
            let mut checker = Checker::new(&key, link.chain_id).unwrap();
            assert!(checker.holds(&link), "{line}");
            let mut mac = link.mac;
            mac[15] ^= 1;
            assert!(!checker.holds(&Link { mac, ..link }), "{line}");
        }
    }

    proptest! {
        // A place far off takes a thousand steps.
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_key_of_a_place_is_the_same_from_wherever_it_is_reached(
            places in prop::collection::vec(prop_oneof![0..600_u32, any::<u32>(), 65_500..65_600_u32], 1..8),
        ) {
            let key = ChainKey::from_bytes(&(0..32).collect::<Vec<u8>>()).unwrap();
            let mut checker = Checker::new(&key, "3.AAECAwQFBgcICQoL").unwrap();
            let root = checker.root.clone();
            for place in places {
                let expected = key_at(&root, place).mac_of(b"x");
                prop_assert!(checker.key_at(place).is_mac_of(b"x", &expected));
            }
        }
    }
}
