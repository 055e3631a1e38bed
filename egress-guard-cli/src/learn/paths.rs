//! The paths that were asked for on one endpoint, as they were, in bounded memory.

mod segment;
mod shape;

use std::collections::BTreeMap;

use http::Method;

use super::usage::Usage;

pub(super) use segment::{literal, may_hold_a_secret};
pub(super) use shape::{Limits, Methods, Shape};

/// How many names beside each other are told apart. The names beyond are one to the tree, which loses nothing: so many are
/// always generalised.
const BESIDE_EACH_OTHER: usize = 1000;

/// Who asked, by method; none where a redirect was followed by a client that does not say.
pub(super) type Asks = BTreeMap<Option<Method>, Usage>;

/// A tree of segments.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths {
    /// The paths that end here.
    here: Asks,
    /// The paths that go on below, and of which no more is known.
    below: Asks,
    children: BTreeMap<Box<str>, Paths>,
    more: Option<Box<More>>,
}

/// Names beyond those that are told apart.
#[derive(Clone, Debug)]
struct More {
    /// One of them.
    name: Box<str>,
    common: segment::Common,
    paths: Paths,
}

/// There is no room for a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Paths {
    pub(super) fn is_empty(&self) -> bool {
        self.here.is_empty() && self.below.is_empty() && self.children.is_empty()
    }

    /// Adds a path, which begins with `/`. Of one that is longer than shown, what stands before its last `/` is known.
    /// `room` is how many segments, and methods of paths, may yet be new. First segments are always told apart: one may say
    /// whose the rest is.
    pub(super) fn add(
        &mut self,
        (path, is_cut): (&str, bool),
        method: Option<&Method>,
        usage: &Usage,
        room: &mut usize,
    ) -> Result<(), Full> {
        let known = if is_cut { path.rsplit_once('/').map_or("", |(known, _)| known) } else { path };
        let segments: Vec<&str> = known.split('/').skip(1).collect();
        let is_told_apart = |first: &&&str| {
            self.children.len() < BESIDE_EACH_OTHER || self.children.contains_key(**first) || first.is_empty()
        };
        segments.first().filter(is_told_apart).ok_or(Full)?;
        // Each may be new, and so may the method be.
        if *room < segments.len() + 1 {
            // Only what is there already can still be counted.
            let there = segments.iter().try_fold(&*self, |node, segment| node.children.get(*segment));
            let asks = there.map(|node| if is_cut { &node.below } else { &node.here });
            asks.filter(|asks| asks.contains_key(&method.cloned())).ok_or(Full)?;
        }
        let mut node = self;
        for segment in segments {
            node = node.child(segment, room);
        }
        let asks = if is_cut { &mut node.below } else { &mut node.here };
        let usages = asks.entry(method.cloned()).or_insert_with(|| {
            *room = room.saturating_sub(1);
            Usage::default()
        });
        usages.merge(usage);
        Ok(())
    }

    fn child(&mut self, name: &str, room: &mut usize) -> &mut Self {
        if !self.children.contains_key(name) && self.children.len() >= BESIDE_EACH_OTHER && !name.is_empty() {
            let more = self.more.get_or_insert_with(|| {
                *room = room.saturating_sub(1);
                let common = segment::Common::of(name);
                Box::new(More { name: name.into(), common, paths: Self::default() })
            });
            more.common.add(name);
            return &mut more.paths;
        }
        self.children.entry(name.into()).or_insert_with(|| {
            *room = room.saturating_sub(1);
            Self::default()
        })
    }

    /// Forgets what can be stated by a `*` alone, and says how many lines that were.
    pub(super) fn forget_more(&mut self) -> u64 {
        let forgotten = self.more.take().map_or(0, |more| more.paths.count());
        forgotten + self.children.values_mut().map(Self::forget_more).sum::<u64>()
    }

    fn count(&self) -> u64 {
        let mut count = 0;
        self.each(&mut |_, _, usage| count += usage.count);
        count
    }

    /// Calls `visit` with every path that was added, and whether it is cut; of several that are not told apart with one.
    pub(super) fn each<'p>(&'p self, visit: &mut impl FnMut((&str, bool), Option<&'p Method>, &'p Usage)) {
        self.walk(&mut String::new(), visit);
    }

    fn walk<'p>(&'p self, path: &mut String, visit: &mut impl FnMut((&str, bool), Option<&'p Method>, &'p Usage)) {
        for (method, usage) in &self.here {
            visit((path, false), method.as_ref(), usage);
        }
        let length = path.len();
        for (method, usage) in &self.below {
            path.push_str("/-");
            visit((path, true), method.as_ref(), usage);
            path.truncate(length);
        }
        let more = self.more.iter().map(|more| (&more.name, &more.paths));
        for (name, child) in self.children.iter().chain(more) {
            path.push('/');
            path.push_str(name);
            child.walk(path, visit);
            path.truncate(length);
        }
    }
}
