//! Host patterns as a policy has them, and names to ask about.

use std::collections::HashSet;

use egress_guard::Destination;
use fastrand::Rng;

use crate::QUERIES;

/// Host patterns: 70 % exact names, 30 % `*.` wildcards, 23 bytes long on average.
#[derive(Debug)]
pub struct Hosts {
    exact: Vec<String>,
    /// What the wildcards stand below, without the `*.`.
    parents: Vec<String>,
    seed: u64,
}

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "every measurement goes through all of them")]
pub enum Query {
    /// A name that is listed.
    Exact,
    /// A name below a listed wildcard.
    Wildcard,
    /// A name that has nothing in common with any that is listed but the top level.
    Miss,
    /// The bare parent of a wildcard, or a listed name with one label more.
    NearMiss,
}

impl Query {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Exact, Self::Wildcard, Self::Miss, Self::NearMiss];

    /// The name, in tables and in criterion's files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact hit",
            Self::Wildcard => "wildcard hit",
            Self::Miss => "miss",
            Self::NearMiss => "near miss",
        }
    }

    /// Whether the answer is yes.
    #[must_use]
    pub const fn is_hit(self) -> bool {
        matches!(self, Self::Exact | Self::Wildcard)
    }
}

impl Hosts {
    /// So many patterns. No wildcard covers another pattern.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let seed = count as u64;
        let mut rng = Rng::with_seed(seed);
        let mut companies = HashSet::new();
        let (mut exact, mut parents) = (Vec::new(), Vec::new());
        while exact.len() + parents.len() < count {
            let company = format!("{}.example", word(&mut rng, 5..=11));
            if !companies.insert(company.clone()) {
                continue;
            }
            let is_wildcard = (exact.len() + parents.len()) % 10 >= 7;
            if is_wildcard {
                let prefixed = rng.u8(..3) == 0;
                parents.push(if prefixed { format!("{}.{company}", word(&mut rng, 3..=8)) } else { company });
            } else {
                let region = if rng.u8(..3) == 0 { format!("{}.", word(&mut rng, 3..=8)) } else { String::new() };
                exact.push(format!("{}.{region}{company}", word(&mut rng, 3..=8)));
            }
        }
        Self { exact, parents, seed }
    }

    /// The patterns as a policy spells them, exact names and wildcards mixed.
    #[must_use]
    pub fn patterns(&self) -> Vec<String> {
        let wildcards = self.parents.iter().map(|parent| format!("*.{parent}"));
        let mut patterns: Vec<String> = self.exact.iter().cloned().chain(wildcards).collect();
        Rng::with_seed(self.seed).shuffle(&mut patterns);
        patterns
    }

    /// Names to ask about.
    #[must_use]
    pub fn names(&self, query: Query) -> Vec<String> {
        let mut rng = Rng::with_seed(self.seed ^ 0x5eed);
        let below = |rng: &mut Rng, name: &str| format!("{}.{name}", word(rng, 3..=8));
        (0..QUERIES)
            .map(|number| {
                let exact = &self.exact[rng.usize(..self.exact.len())];
                let parent = &self.parents[rng.usize(..self.parents.len())];
                match query {
                    Query::Exact => exact.clone(),
                    Query::Wildcard if number % 3 == 0 => {
                        let name = below(&mut rng, parent);
                        below(&mut rng, &name)
                    }
                    Query::Wildcard => below(&mut rng, parent),
                    // The listed companies have eleven letters at most.
                    Query::Miss => format!("{}.{}.example", word(&mut rng, 3..=6), word(&mut rng, 12..=12)),
                    Query::NearMiss if number % 2 == 0 => parent.clone(),
                    Query::NearMiss => below(&mut rng, exact),
                }
            })
            .collect()
    }

    /// The same as whole destinations.
    #[must_use]
    pub fn destinations(&self, query: Query) -> Vec<Destination> {
        let url = |name: String| format!("https://{name}/v1/items/42?expand=all");
        self.names(query).into_iter().map(|name| url(name).parse().unwrap()).collect()
    }
}

fn word(rng: &mut Rng, length: std::ops::RangeInclusive<usize>) -> String {
    (0..rng.usize(length)).map(|_| rng.lowercase()).collect()
}
