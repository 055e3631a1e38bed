//! Keys that follow from one another in one direction only.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// How many bytes of HMAC-SHA256 a line carries: half of them, the least that RFC 2104 (section 5) advises, and 22
/// characters instead of 43.
pub(super) const MAC_LEN: usize = 16;

/// A key, overwritten when it is dropped; until then it stays where it is, as what is moved leaves a copy behind.
#[derive(Clone, Default)]
pub(super) struct Secret(Box<Zeroizing<[u8; 32]>>);

impl Secret {
    /// HMAC-SHA256 of a text under a key of any length.
    pub(super) fn of(key: &[u8], text: &[u8]) -> Option<Self> {
        Hmac::<Sha256>::new_from_slice(key).ok().map(|hmac| Self::from(hmac.chain_update(text)))
    }

    /// The key after this one.
    pub(super) fn next(&self) -> Self {
        self.derive(b"next")
    }

    /// The first key of the level below.
    pub(super) fn below(&self) -> Self {
        self.derive(b"below")
    }

    pub(super) fn derive(&self, text: &[u8]) -> Self {
        Self::from(self.hmac().chain_update(text))
    }

    pub(super) fn mac_of(&self, line: &[u8]) -> [u8; MAC_LEN] {
        let whole = self.derive(line);
        let mut mac = [0; MAC_LEN];
        mac.iter_mut().zip(whole.0.iter()).for_each(|(to, from)| *to = *from);
        mac
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Compared in constant time.
    pub(super) fn is_mac_of(&self, line: &[u8], mac: &[u8; MAC_LEN]) -> bool {
        self.hmac().chain_update(line).verify_truncated_left(mac).is_ok()
    }

    fn hmac(&self) -> Hmac<Sha256> {
        // HMAC fills a shorter key up with zeros.
        let mut key = Zeroizing::new([0; 64]);
        key.iter_mut().zip(self.0.iter()).for_each(|(to, from)| *to = *from);
        Hmac::new((&*key).into())
    }
}

impl From<Hmac<Sha256>> for Secret {
    fn from(hmac: Hmac<Sha256>) -> Self {
        let output = hmac.finalize();
        let mut secret = Self::default();
        secret.0.iter_mut().zip(output.as_bytes()).for_each(|(to, from)| *to = *from);
        secret
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Does what needs keys, and overwrites what that leaves of them on the stack, which an idle thread would keep.
pub(super) fn leaving_no_keys<T>(work: impl FnOnce() -> T) -> T {
    /// So that all of it is below this frame, where the next call is too.
    #[inline(never)]
    fn below<T>(work: impl FnOnce() -> T) -> T {
        work()
    }
    #[inline(never)]
    fn overwrite_stack() {
        std::hint::black_box([0_u8; 16 << 10]);
    }
    let done = below(work);
    overwrite_stack();
    done
}

/// The keys of the lines of one chain, each from the one before.
///
/// A place has four bytes, and the keys as many levels: on each a key is followed by the [next](Secret::next) as the byte
/// goes up, and from each the level [below](Secret::below) begins. So a reader finds the key of any place within a
/// thousand steps, and the writer needs to keep no key from which an earlier one follows.
#[derive(Debug)]
pub(super) struct Ladder {
    /// Of each level but the lowest, the key that comes after the one in use.
    after: [Secret; 3],
    line: Secret,
    place: u32,
}

impl Ladder {
    /// Stands at the place 0, which no line has.
    pub(super) fn new(root: Secret) -> Self {
        let mut ladder =
            Self { after: [root, Secret::default(), Secret::default()], line: Secret::default(), place: 0 };
        ladder.descend_from(0);
        ladder
    }

    pub(super) fn place(&self) -> u32 {
        self.place
    }

    pub(super) fn line(&self) -> &Secret {
        &self.line
    }

    /// To the next place; the key of this one is overwritten. False at the last, of four billions.
    pub(super) fn advance(&mut self) -> bool {
        let Some(place) = self.place.checked_add(1) else { return false };
        self.place = place;
        match place.trailing_zeros() {
            24.. => self.descend_from(0),
            16.. => self.descend_from(1),
            8.. => self.descend_from(2),
            _ => self.line = self.line.next(),
        }
        true
    }

    fn descend_from(&mut self, level: usize) {
        let mut lower = self.after.iter_mut().skip(level);
        let Some(first) = lower.next() else { return };
        let mut key = std::mem::take(first);
        *first = key.next();
        for after in lower {
            key = key.below();
            *after = key.next();
        }
        self.line = key.below();
    }
}

/// The key of any place in the chain that begins with this key.
pub(super) fn key_at(root: &Secret, place: u32) -> Secret {
    let [first, rest @ ..] = place.to_be_bytes();
    let key = steps(root.clone(), first);
    rest.into_iter().fold(key, |key, byte| steps(key.below(), byte))
}

/// The key so many places on.
pub(super) fn steps(key: Secret, count: u8) -> Secret {
    (0..count).fold(key, |key, _| key.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Secret {
        Secret::of(b"k", b"root").unwrap()
    }

    #[test]
    fn the_writer_has_the_keys_that_a_reader_finds() {
        let root = root();
        let mut ladder = Ladder::new(root.clone());
        for place in 0..66_000 {
            assert_eq!(ladder.place(), place);
            if place % 5021 == 0 || place % 4096 < 2 || place > 65_530 && place < 65_540 {
                assert_eq!(*ladder.line().bytes(), *key_at(&root, place).bytes(), "{place}");
            }
            ladder.advance();
        }
    }

    #[test]
    fn the_writer_goes_over_to_each_level_as_a_reader_does() {
        let root = root();
        for before in [0x00ff_ffff_u32, 0x0100_ffff, 0x02ff_ffff, u32::MAX - 1] {
            let [first, second, third, _] = before.to_be_bytes();
            // The state in which it would come here, from what a reader knows.
            let top = steps(root.clone(), first);
            let middle = steps(top.below(), second);
            let lower = steps(middle.below(), third);
            let after = [top.next(), middle.next(), lower.next()];
            let mut ladder = Ladder { after, line: key_at(&root, before), place: before };
            for place in before..before.saturating_add(3) {
                assert_eq!(*ladder.line().bytes(), *key_at(&root, place).bytes(), "{place:x}");
                assert_eq!(ladder.advance(), place != u32::MAX);
            }
        }
    }

    #[test]
    fn no_key_that_is_kept_is_one_of_an_earlier_place() {
        let root = root();
        let mut ladder = Ladder::new(root.clone());
        let mut used = vec![*root.bytes()];
        for _ in 0..600 {
            used.push(*ladder.line().bytes());
            ladder.advance();
            let kept =
                [ladder.after.each_ref().map(|key| *key.bytes()).to_vec(), vec![*ladder.line().bytes()]].concat();
            assert!(kept.iter().all(|key| !used.contains(key)));
        }
    }

    #[test]
    fn nothing_shows_a_key() {
        assert_eq!(format!("{:?}", root()), "Secret");
    }
}
