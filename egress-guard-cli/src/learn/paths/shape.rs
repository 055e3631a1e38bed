//! The patterns that stand for the paths of an endpoint.
//!
//! 1. Of names beside each other, two or more that look like ids become one `*`, and so do all where there are more names
//!    than a rule may have paths. What their words and extensions have in common stays.
//!    A single one that may be a secret becomes `*` too. First segments stay, unless wildcards are asked for.
//! 2. A name that its sibling `*` stands for anyway, with the same methods, is left out.
//! 3. While there are more patterns than a rule may have paths, the deepest folder with several becomes `**`.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;

use super::{Paths, segment};

/// How much is generalised.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Limits {
    /// How many patterns an endpoint may have.
    pub(in super::super) patterns: usize,
    /// For how many first segments, which may say whose the rest is, as a bucket or a tenant does, one `*` is written; 0 for
    /// none.
    pub(in super::super) first_from: usize,
    /// Whether every path stays as it is.
    pub(in super::super) is_exact: bool,
}

/// How many ids beside each other are needed to see that they vary.
const VARYING: usize = 2;

/// By their names; none stands for a method that is not known.
pub(in super::super) type Methods = BTreeSet<Option<String>>;

#[derive(Clone, Debug, Default)]
pub(in super::super) struct Shape {
    here: Methods,
    below: Methods,
    children: BTreeMap<String, Shape>,
    /// The names that are one pattern, and what lies below them.
    any: Option<(String, Box<Shape>)>,
}

impl Shape {
    /// The shape of the paths of one endpoint, or of several that are taken for one.
    pub(in super::super) fn of(paths: &[&Paths], limits: Limits) -> Self {
        Self::of_ids(paths, limits, VARYING)
    }

    /// The same with a `*` for every id, even where it is the only one: to compare endpoints.
    pub(in super::super) fn with_ids(paths: &Paths, limits: Limits) -> Self {
        Self::of_ids(&[paths], limits, 1)
    }

    fn of_ids(paths: &[&Paths], limits: Limits, least: usize) -> Self {
        let mut shape = Self::generalised(paths, limits, least, true);
        shape.prune();
        while !limits.is_exact && shape.count() > limits.patterns {
            let depth = shape.deepest_folder(0).filter(|depth| *depth > 0);
            let Some(depth) = depth else { break };
            // One after the other only where not all at that depth are needed: there may be many.
            let mut all = shape.clone();
            all.fold_all(depth);
            all.prune();
            if all.count() >= limits.patterns {
                shape = all;
            } else {
                shape.fold(depth);
                shape.prune();
            }
        }
        shape
    }

    fn generalised(paths: &[&Paths], limits: Limits, least: usize, is_first: bool) -> Self {
        let mut names: BTreeMap<&str, Vec<&Paths>> = BTreeMap::new();
        for (name, child) in paths.iter().flat_map(|paths| &paths.children) {
            names.entry(name).or_default().push(child);
        }
        let more: Vec<_> = paths.iter().filter_map(|paths| paths.more.as_deref()).collect();
        let varying: Vec<&str> = if !more.is_empty() {
            names.keys().copied().filter(|name| !name.is_empty()).collect()
        } else if limits.is_exact || is_first && limits.first_from == 0 {
            Vec::new()
        } else {
            let (least, most) = match is_first {
                true => (least.max(limits.first_from), limits.patterns.max(limits.first_from - 1)),
                false => (least, limits.patterns),
            };
            varying(names.keys().copied(), most, least, !is_first)
        };
        let mut common: Option<segment::Common> = None;
        let mut add = |other: &segment::Common| match &mut common {
            Some(common) => common.merge(other),
            None => common = Some(other.clone()),
        };
        let mut one: Vec<&Paths> = Vec::new();
        // What a single secret begins with is a part of it.
        let is_one_secret = varying.len() == 1 && varying.iter().any(|name| segment::is_secret(name));
        for name in varying {
            add(&segment::Common::of(if is_one_secret { "" } else { name }));
            one.extend(names.remove(name).unwrap_or_default());
        }
        for more in more {
            add(&more.common);
            one.push(&more.paths);
        }
        let child = |paths: &[&Paths]| Self::generalised(paths, limits, least, false);
        Self {
            here: methods(paths.iter().flat_map(|paths| paths.here.keys())),
            below: methods(paths.iter().flat_map(|paths| paths.below.keys())),
            children: names.iter().map(|(name, paths)| (segment::literal(name), child(paths))).collect(),
            any: common.map(|common| (common.pattern(), Box::new(child(&one)))),
        }
    }

    /// Leaves out what a wider pattern beside or above it stands for.
    fn prune(&mut self) {
        let below = self.below.clone();
        for child in self.parts_mut() {
            child.prune();
            child.remove(&below);
        }
        if let Some((pattern, any)) = &self.any {
            for (name, child) in &mut self.children {
                if is_matched(pattern, name) {
                    child.remove_all_of(any);
                }
            }
        }
        self.children.retain(|_, child| !child.is_empty());
        self.any.take_if(|(_, any)| any.is_empty());
    }

    /// Removes methods, here and further down.
    fn remove(&mut self, methods: &Methods) {
        if methods.is_empty() {
            return;
        }
        self.here.retain(|method| !methods.contains(method));
        self.below.retain(|method| !methods.contains(method));
        for child in self.parts_mut() {
            child.remove(methods);
        }
        self.children.retain(|_, child| !child.is_empty());
    }

    /// Removes what another shape stands for too.
    fn remove_all_of(&mut self, other: &Self) {
        self.here.retain(|method| !other.here.contains(method));
        self.below.retain(|method| !other.below.contains(method));
        for (name, child) in &mut self.children {
            child.remove(&other.below);
            if let Some(same) = other.children.get(name) {
                child.remove_all_of(same);
            }
            if let Some((pattern, any)) = &other.any
                && is_matched(pattern, name)
            {
                child.remove_all_of(any);
            }
        }
        if let Some((pattern, any)) = &mut self.any {
            any.remove(&other.below);
            if let Some((wider, others)) = &other.any
                && (wider == pattern || wider == "*")
            {
                any.remove_all_of(others);
            }
        }
        self.children.retain(|_, child| !child.is_empty());
        self.any.take_if(|(_, any)| any.is_empty());
    }

    fn is_empty(&self) -> bool {
        self.here.is_empty()
            && self.below.is_empty()
            && self.children.values().all(Self::is_empty)
            && self.any.as_ref().is_none_or(|(_, any)| any.is_empty())
    }

    fn parts(&self) -> impl Iterator<Item = (&String, &Self)> {
        self.children.iter().chain(self.any.iter().map(|(pattern, any)| (pattern, &**any)))
    }

    fn parts_mut(&mut self) -> impl Iterator<Item = &mut Self> {
        self.children.values_mut().chain(self.any.as_mut().map(|(_, any)| &mut **any))
    }

    fn count(&self) -> usize {
        let own = usize::from(!self.here.is_empty()) + usize::from(!self.below.is_empty());
        own + self.parts().map(|(_, part)| part.count()).sum::<usize>()
    }

    /// How many patterns stand below it.
    fn count_below(&self) -> usize {
        self.count() - usize::from(!self.here.is_empty())
    }

    /// The depth of the deepest folder that has several patterns.
    fn deepest_folder(&self, depth: usize) -> Option<usize> {
        let deepest = self.parts().filter_map(|(_, part)| part.deepest_folder(depth + 1)).max();
        deepest.or_else(|| (self.count_below() > 1).then_some(depth))
    }

    /// Turns every folder at a depth that has several patterns into `**`.
    fn fold_all(&mut self, depth: usize) {
        if depth > 0 {
            self.parts_mut().for_each(|part| part.fold_all(depth - 1));
        } else if self.count_below() > 1 {
            self.fold(0);
        }
    }

    /// Turns the fullest folder at a depth into `**`.
    fn fold(&mut self, depth: usize) {
        if depth == 0 {
            let folded = std::mem::take(self);
            folded.all_below(&mut self.below);
            self.here = folded.here;
        } else if let Some(part) = self.parts_mut().max_by_key(|part| part.fullest_at(depth - 1)) {
            part.fold(depth - 1);
        }
    }

    fn fullest_at(&self, depth: usize) -> usize {
        match depth {
            0 => self.count_below(),
            depth => self.parts().map(|(_, part)| part.fullest_at(depth - 1)).max().unwrap_or_default(),
        }
    }

    fn all_below(&self, methods: &mut Methods) {
        methods.extend(self.below.iter().cloned());
        for (_, part) in self.parts() {
            methods.extend(part.here.iter().cloned());
            part.all_below(methods);
        }
    }

    /// The patterns, by the methods that are asked of them.
    pub(in super::super) fn patterns(&self) -> BTreeMap<Methods, BTreeSet<String>> {
        let mut patterns = BTreeMap::new();
        self.collect("", &mut patterns);
        patterns
    }

    fn collect(&self, path: &str, patterns: &mut BTreeMap<Methods, BTreeSet<String>>) {
        let mut add = |methods: &Methods, pattern: String| {
            if !methods.is_empty() {
                patterns.entry(methods.clone()).or_default().insert(pattern);
            }
        };
        add(&self.here, path.to_owned());
        add(&self.below, format!("{path}/**"));
        for (name, part) in self.parts() {
            part.collect(&format!("{path}/{name}"), patterns);
        }
    }
}

fn methods<'m>(methods: impl Iterator<Item = &'m Option<Method>>) -> Methods {
    let mut methods: Methods = methods.map(|method| method.as_ref().map(ToString::to_string)).collect();
    // Where some are known, a redirect of which none is had one of them: a rule with methods allows it.
    if methods.len() > 1 {
        methods.remove(&None);
    }
    methods
}

/// The names that are to become one pattern.
fn varying<'n>(
    names: impl Iterator<Item = &'n str> + Clone,
    most: usize,
    least: usize,
    hides_secrets: bool,
) -> Vec<&'n str> {
    let named = names.filter(|name| !name.is_empty());
    if named.clone().count() > most {
        return named.collect();
    }
    let (ids, secrets): (Vec<&str>, Vec<&str>) = (
        named.clone().filter(|name| segment::is_id(name) || segment::is_secret(name)).collect(),
        named.filter(|name| segment::is_secret(name)).collect(),
    );
    match ids.len() >= least {
        true => ids,
        false if hides_secrets => secrets,
        false => Vec::new(),
    }
}

/// Whether a pattern of [`segment::Common`] matches a name.
fn is_matched(pattern: &str, name: &str) -> bool {
    let (prefix, suffix) = pattern.split_once('*').unwrap_or((pattern, ""));
    let rest = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(suffix));
    !name.is_empty() && rest.is_some()
}
