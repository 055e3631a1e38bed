//! Globs of paths, matched in a time that is bounded by the length of the path times that of the glob.
//!
//! A glob is compiled to a small program of which all states that can be reached are followed at once, byte by byte, so
//! that no pattern is tried a second time from an earlier place. What stands before the first wildcard is only compared.

use smallvec::SmallVec;

/// `*` is any run of characters but `/`, `**` between slashes any number of segments, and at the end any rest; `[a-z]` is
/// one of these characters, and `{a,b}` one of these globs.
#[derive(Clone, Debug)]
pub(super) struct Glob {
    prefix: Box<[u8]>,
    program: Box<[Op]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Op {
    Byte(u8),
    /// Bit n stands for the ASCII character n.
    Class(Box<u128>),
    /// Any number of bytes but `/`.
    Segment,
    /// Any number of bytes.
    Rest,
    /// Goes on at each of these.
    Split(Box<[usize]>),
    Jump(usize),
}

/// One byte of a glob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    /// It may be a part of the language.
    Plain(u8),
    /// It stands for itself.
    Literal(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    UnclosedClass,
    BackwardRange,
    /// A class that could match a separator.
    Separator,
    UnclosedGroup,
    UnopenedGroup,
}

impl Glob {
    pub(super) fn new(symbols: &[Symbol]) -> Result<Self, Fault> {
        let program = Compiler { symbols, at: 0, program: Vec::new(), groups: Vec::new() }.compile()?;
        let literal = |op: &Op| if let Op::Byte(byte) = op { Some(*byte) } else { None };
        let prefix: Box<[u8]> = program.iter().map_while(literal).collect();
        let moved = |to: usize| to - prefix.len();
        let program = program.into_iter().skip(prefix.len()).map(|op| match op {
            Op::Split(branches) => Op::Split(branches.into_iter().map(moved).collect()),
            Op::Jump(to) => Op::Jump(moved(to)),
            op => op,
        });
        Ok(Self { program: program.collect(), prefix })
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        let Some(rest) = path.as_bytes().strip_prefix(&*self.prefix) else { return false };
        match &*self.program {
            [] => rest.is_empty(),
            [Op::Rest] => true,
            program => run(program, rest),
        }
    }
}

fn run(program: &[Op], path: &[u8]) -> bool {
    let (mut now, mut next) = (States::new(program.len()), States::new(program.len()));
    now.reach(program, 0);
    for byte in path {
        for at in now.iter() {
            match program.get(at) {
                Some(Op::Byte(wanted)) if wanted == byte => next.reach(program, at + 1),
                Some(Op::Class(class)) if class_has(**class, *byte) => next.reach(program, at + 1),
                Some(Op::Segment) if *byte != b'/' => next.reach(program, at),
                Some(Op::Rest) => next.reach(program, at),
                _ => {}
            }
        }
        std::mem::swap(&mut now, &mut next);
        next.clear();
        if now.is_empty() {
            return false;
        }
    }
    now.has(program.len())
}

/// A set of places in a program, its end included.
struct States {
    /// Bit n of word w is place 64 w + n.
    words: SmallVec<[u64; 4]>,
    waiting: SmallVec<[usize; 8]>,
}

impl States {
    fn new(length: usize) -> Self {
        Self { words: SmallVec::from_elem(0, length / 64 + 1), waiting: SmallVec::new() }
    }

    fn has(&self, at: usize) -> bool {
        self.words.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    fn clear(&mut self) {
        self.words.fill(0);
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(number, word)| {
            let rest = std::iter::successors(Some(*word), |word| Some(word & word.wrapping_sub(1)));
            rest.take_while(|word| *word != 0).map(move |word| 64 * number + word.trailing_zeros() as usize)
        })
    }

    /// Adds a place, and those that are reached from it without a byte.
    fn reach(&mut self, program: &[Op], at: usize) {
        self.waiting.push(at);
        while let Some(at) = self.waiting.pop() {
            if self.has(at) {
                continue;
            }
            if let Some(word) = self.words.get_mut(at / 64) {
                *word |= 1 << (at % 64);
            }
            match program.get(at) {
                Some(Op::Segment | Op::Rest) => self.waiting.push(at + 1),
                Some(Op::Split(branches)) => self.waiting.extend_from_slice(branches),
                Some(Op::Jump(to)) => self.waiting.push(*to),
                Some(Op::Byte(_) | Op::Class(_)) | None => {}
            }
        }
    }
}

fn class_has(class: u128, byte: u8) -> bool {
    class.checked_shr(byte.into()).unwrap_or(0) & 1 == 1
}

struct Compiler<'s> {
    symbols: &'s [Symbol],
    at: usize,
    program: Vec<Op>,
    groups: Vec<Group>,
}

/// A `{` that is not closed yet.
struct Group {
    /// Where the program splits.
    split: usize,
    branches: Vec<usize>,
    /// Where each branch ends and jumps behind the group.
    jumps: Vec<usize>,
}

impl Compiler<'_> {
    fn compile(mut self) -> Result<Vec<Op>, Fault> {
        while let Some(symbol) = self.next() {
            match symbol {
                Symbol::Plain(b'*') => self.star(),
                Symbol::Plain(b'[') => self.class()?,
                Symbol::Plain(b'{') => {
                    self.program.push(Op::Split(Box::default()));
                    let start = self.program.len();
                    self.groups.push(Group { split: start - 1, branches: vec![start], jumps: Vec::new() });
                }
                Symbol::Plain(b',') if !self.groups.is_empty() => self.end_branch(),
                Symbol::Plain(b'}') => self.close()?,
                Symbol::Plain(byte) | Symbol::Literal(byte) => self.program.push(Op::Byte(byte)),
            }
        }
        if self.groups.is_empty() { Ok(self.program) } else { Err(Fault::UnclosedGroup) }
    }

    fn next(&mut self) -> Option<Symbol> {
        let symbol = self.peek();
        self.at += 1;
        symbol
    }

    fn peek(&self) -> Option<Symbol> {
        self.symbols.get(self.at).copied()
    }

    fn star(&mut self) {
        const SLASH: Option<Symbol> = Some(Symbol::Plain(b'/'));
        let before = self.at.checked_sub(2).and_then(|at| self.symbols.get(at).copied());
        if before != SLASH || self.peek() != Some(Symbol::Plain(b'*')) {
            self.program.push(Op::Segment);
            return;
        }
        match self.symbols.get(self.at + 1).copied() {
            None => {
                self.at += 1;
                self.program.push(Op::Rest);
            }
            SLASH => {
                self.at += 2;
                let start = self.program.len();
                self.program.extend([Op::Split([start + 1, start + 3].into()), Op::Rest, Op::Byte(b'/')]);
            }
            _ => self.program.push(Op::Segment),
        }
    }

    fn class(&mut self) -> Result<(), Fault> {
        let mut class = 0_u128;
        let mut first = true;
        loop {
            let from = match self.next().ok_or(Fault::UnclosedClass)? {
                Symbol::Plain(b']') if !first => break,
                Symbol::Plain(byte) | Symbol::Literal(byte) => byte,
            };
            first = false;
            let mut to = from;
            // A hyphen at the end is one of the characters.
            while self.peek() == Some(Symbol::Plain(b'-'))
                && let Some(Symbol::Plain(last) | Symbol::Literal(last)) = self.symbols.get(self.at + 1).copied()
                && self.symbols.get(self.at + 1) != Some(&Symbol::Plain(b']'))
            {
                self.at += 2;
                to = last;
                if to < from {
                    return Err(Fault::BackwardRange);
                }
            }
            class |= (from..=to).filter_map(|byte| 1_u128.checked_shl(byte.into())).fold(0, |all, bit| all | bit);
        }
        if class_has(class, b'/') {
            return Err(Fault::Separator);
        }
        self.program.push(Op::Class(Box::new(class)));
        Ok(())
    }

    /// Ends a branch of the innermost group. An empty one is none.
    fn end_branch(&mut self) {
        let Some(group) = self.groups.last_mut() else { return };
        if group.branches.last() == Some(&self.program.len()) {
            return;
        }
        group.jumps.push(self.program.len());
        self.program.push(Op::Jump(0));
        group.branches.push(self.program.len());
    }

    fn close(&mut self) -> Result<(), Fault> {
        self.end_branch();
        let Some(Group { split, mut branches, jumps }) = self.groups.pop() else { return Err(Fault::UnopenedGroup) };
        // Where the next branch would have begun.
        branches.pop();
        if branches.is_empty() {
            self.program.truncate(split);
            return Ok(());
        }
        let end = self.program.len();
        for jump in jumps {
            if let Some(op) = self.program.get_mut(jump) {
                *op = Op::Jump(end);
            }
        }
        if let Some(op) = self.program.get_mut(split) {
            *op = Op::Split(branches.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use globset::GlobBuilder;
    use proptest::prelude::*;

    use super::super::{misunderstood, path_pattern, symbols};
    use super::*;

    fn glob(pattern: &str) -> Result<Glob, Fault> {
        Glob::new(&symbols(pattern))
    }

    fn pattern() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            4 => "[ab]{1,2}",
            2 => Just("*".to_owned()),
            2 => "/|/\\*\\*/|/\\*/|/\\*\\*/\\*\\*/",
            1 => "\\[[]ab,*{-]?[ab,*{}-]{1,3}\\]",
        ];
        let group = leaf.prop_recursive(3, 24, 4, |inner| {
            let branch = prop::collection::vec(inner.clone(), 0..3).prop_map(|parts| parts.concat());
            let group = prop::collection::vec(branch, 2..4).prop_map(|branches| format!("{{{}}}", branches.join(",")));
            prop_oneof![3 => inner, 1 => group]
        });
        (prop::collection::vec(group, 0..6), prop_oneof![3 => Just(""), 1 => Just("/**"), 1 => Just("/**/**")])
            .prop_map(|(parts, end)| format!("/{}{end}", parts.concat()))
    }

    fn path() -> impl Strategy<Value = String> {
        "/[ab,*{}/-]{0,10}"
    }

    /// What globset says of the pattern, and the library of it, where it is no form that is refused before.
    fn compare(pattern: &str, paths: &[String]) -> Result<(), TestCaseError> {
        let own = glob(pattern);
        if misunderstood(pattern).is_some() || matches!(own, Err(Fault::Separator)) {
            return Ok(());
        }
        let theirs = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(false).build();
        prop_assert_eq!(own.is_ok(), theirs.is_ok(), "{} {:?} {:?}", pattern, own, theirs);
        let (Ok(own), Ok(theirs)) = (own, theirs) else { return Ok(()) };
        let theirs = theirs.compile_matcher();
        for path in paths {
            prop_assert_eq!(own.matches(path), theirs.is_match(path), "{} on {}", pattern, path);
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

        #[test]
        fn a_glob_matches_what_globset_matches(pattern in pattern(), paths in prop::collection::vec(path(), 1..20)) {
            compare(&pattern, &paths)?;
        }

        #[test]
        fn any_text_is_read_as_globset_reads_it(
            pattern in "/[ab/*{},\\[\\]-]{0,12}", paths in prop::collection::vec(path(), 1..10),
        ) {
            compare(&pattern, &paths)?;
        }

        #[test]
        fn a_path_as_a_pattern_matches_that_path_alone(path in path(), other in path()) {
            let glob = glob(&path_pattern(&path)).unwrap();
            prop_assert!(glob.matches(&path));
            prop_assert_eq!(glob.matches(&other), path == other);
        }
    }

    #[test]
    fn an_escaped_character_is_no_part_of_the_language() {
        let cases = [
            ("/a%2A", "/a*", true),
            ("/a%2A", "/ab", false),
            ("/%2A%2A", "/a/b", false),
            ("/a%21b]", "/a!b]", true),
            ("/a%21b]", "/axb]", false),
            ("/[%21a]", "/!", true),
            ("/[%21a]", "/b", false),
            ("/{a%2Cb,c}", "/a,b", true),
            ("/{a%2Cb,c}", "/b", false),
            ("/[a%2Dc]", "/b", false),
            ("/[a%2Dc]", "/-", true),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(glob(pattern).unwrap().matches(path), expected, "{pattern} {path}");
        }
        assert_eq!(glob("/[%2B-9]").err(), Some(Fault::Separator));
    }

    /// Each would take longer than the world has existed if wildcards were tried one after the other.
    #[test]
    fn many_wildcards_take_no_longer_than_their_number_times_the_path() {
        let path = format!("/{}", "a".repeat(4000));
        for pattern in ["*a", "{a,a*}", "{*,*a}", "{{a*,a},{*a,b}}"] {
            let pattern = format!("/{}b", pattern.repeat(200));
            assert!(!glob(&pattern).unwrap().matches(&path), "{pattern}");
        }
        let segments = "/a".repeat(2000);
        assert!(!glob(&format!("{}/b", "/**/a".repeat(200))).unwrap().matches(&segments));
        assert!(glob(&format!("{}/a", "/**/a".repeat(200))).unwrap().matches(&segments));
    }

    #[test]
    fn a_deep_nest_of_groups_is_read_without_a_deep_call() {
        let (open, close) = ("{a,".repeat(100_000), "}".repeat(100_000));
        assert!(glob(&format!("/{open}b{close}")).unwrap().matches("/b"));
    }
}
