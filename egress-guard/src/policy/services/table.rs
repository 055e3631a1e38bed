//! The table of AWS endpoints: which names a service has in a region.
//!
//! A line that begins with `@` is a partition: its id; the suffix of its names, that of its dual-stack names, and its home
//! region; its regions. Every other line is a service: its name; what else it is called; its names in most regions; and
//! its names elsewhere, behind the partitions or regions that they are for. A region's own entry comes before that of its
//! partition. `aws-global` and its like are no regions of a partition in this, and have no names with a region.
//!
//! Names are written as templates. `ssm` stands for the four usual ones, `ssm/od` for those with these letters, and what
//! begins with `=` is the template itself: `{r}` is the region, `{g}` the home region, `{s}` and `{d}` are the suffixes,
//! `{a}` is an account, `{b}` a bucket, and `{z}` the zone of a directory bucket.

const TABLE: &str = include_str!("endpoints.txt");

/// An ordinary name, a dual-stack one, and both with FIPS.
const USUAL: [(char, &str); 4] = [('o', ".{r}.{s}"), ('d', ".{r}.{d}"), ('f', "-fips.{r}.{s}"), ('e', "-fips.{r}.{d}")];

/// The region of the names that belong to no region, in the partition of most accounts.
pub(super) const GLOBAL: &str = "aws-global";

#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    pub(super) id: &'static str,
    partition: &'static str,
    pub(super) suffix: &'static str,
    dual_stack_suffix: &'static str,
    pub(super) home: &'static str,
}

impl Region {
    pub(super) fn find(id: &str) -> Option<Self> {
        Self::all().find(|region| region.id == id)
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        let lines = TABLE.lines().skip_while(|line| line.starts_with('#'));
        lines.map_while(|line| line.strip_prefix('@')).flat_map(|line| {
            let mut columns = line.split('\t');
            let partition = columns.next().unwrap_or_default();
            let mut suffixes = columns.next().unwrap_or_default().split(' ');
            let mut suffix = || suffixes.next().unwrap_or_default();
            let (suffix, dual_stack_suffix, home) = (suffix(), suffix(), suffix());
            let regions = columns.next().unwrap_or_default().split(' ');
            regions.map(move |id| Self { id, partition, suffix, dual_stack_suffix, home })
        })
    }

    /// Whether it is no place, but stands for what belongs to no region.
    pub(super) fn is_global(self) -> bool {
        self.id.ends_with("-global")
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Service {
    pub(super) name: &'static str,
    others: &'static str,
    /// The columns with its names.
    names: &'static str,
}

impl Service {
    pub(super) fn find(name: &str) -> Option<Self> {
        Self::all().find(|service| service.name == name)
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        let lines = TABLE.lines().filter(|line| !line.starts_with(['#', '@']));
        lines.filter_map(|line| {
            let mut columns = line.splitn(3, '\t');
            Some(Self { name: columns.next()?, others: columns.next()?, names: columns.next()? })
        })
    }

    /// The service that somebody means who writes it otherwise.
    pub(super) fn meant_by(text: &str) -> Option<&'static str> {
        let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_', ' '], "");
        let text = plain(text);
        let of = |it: Self| it.others.split(',').filter(|name| !name.is_empty()).chain([it.name]);
        let names = || Self::all().flat_map(|it| of(it).map(move |name| (name, it.name)));
        let same = names().find(|(name, _)| plain(name) == text);
        same.or_else(|| nearest(&text, names())).map(|(_, service)| service)
    }

    pub(super) fn templates(self, region: Region) -> impl Iterator<Item = Template> {
        let mut clauses = self.names.split('\t');
        let usual = clauses.next().unwrap_or_default();
        let others = || clauses.clone().filter_map(|clause| clause.split_once(':'));
        let of = |id: &str| others().find(|(ids, _)| ids.split(',').any(|other| other == id));
        let of_partition = || of(region.partition).filter(|_| !region.is_global());
        let (_, tokens) = of(region.id).or_else(of_partition).unwrap_or(("", usual));
        let templates = tokens.split(' ').filter(|token| !token.is_empty()).flat_map(Template::of);
        templates.filter(move |template| !(region.is_global() && template.has("{r}")))
    }

    /// Whether it has the same names wherever it is asked for.
    pub(super) fn is_global(self) -> bool {
        let names = |region: Region| -> Vec<String> {
            self.templates(region).map(|template| template.name(&Parts::of(region))).collect()
        };
        let Some(global) = Region::find(GLOBAL) else { return false };
        let anywhere = names(global);
        let mut regions = Region::all().filter(|region| region.partition == global.partition);
        !anywhere.is_empty()
            && regions.all(|region| {
                let here = names(region);
                anywhere.iter().all(|name| here.contains(name))
            })
    }
}

/// What a template is filled with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'p> {
    pub(super) region: Region,
    pub(super) account: &'p str,
    pub(super) bucket: &'p str,
    pub(super) zone: &'p str,
}

impl Parts<'_> {
    pub(super) fn of(region: Region) -> Self {
        Self { region, account: "", bucket: "", zone: "" }
    }
}

/// A name with places to fill.
#[derive(Clone, Copy, Debug)]
pub(super) struct Template {
    label: &'static str,
    rest: &'static str,
}

impl Template {
    fn of(token: &'static str) -> impl Iterator<Item = Self> {
        let whole = token.strip_prefix('=').map(|rest| Self { label: "", rest });
        let (label, letters) = token.split_once('/').unwrap_or((token, "odfe"));
        let usual = USUAL.iter().filter(move |(letter, _)| letters.contains(*letter));
        let usual = usual.map(move |(_, rest)| Self { label, rest }).filter(move |_| whole.is_none());
        whole.into_iter().chain(usual)
    }

    /// Whether it has such a place.
    pub(super) fn has(self, place: &str) -> bool {
        self.rest.contains(place)
    }

    /// The labels before the region, if it is an ordinary name in a region.
    pub(super) fn before_region(self) -> Option<String> {
        Some(format!("{}{}", self.label, self.rest.strip_suffix(".{r}.{s}")?))
    }

    pub(super) fn name(self, parts: &Parts<'_>) -> String {
        let mut name = self.label.to_owned();
        let mut pieces = self.rest.split('{');
        name.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            let (place, behind) = piece.split_once('}').unwrap_or_default();
            name.push_str(match place {
                "a" => parts.account,
                "b" => parts.bucket,
                "z" => parts.zone,
                "r" => parts.region.id,
                "g" => parts.region.home,
                "d" => parts.region.dual_stack_suffix,
                _ => parts.region.suffix,
            });
            name.push_str(behind);
        }
        name
    }
}

/// The region that somebody means who writes it otherwise.
pub(super) fn region_meant_by(text: &str) -> Option<&'static str> {
    nearest(&text.to_ascii_lowercase(), Region::all().map(|region| (region.id, region.id))).map(|(_, id)| id)
}

fn nearest(
    text: &str,
    names: impl Iterator<Item = (&'static str, &'static str)>,
) -> Option<(&'static str, &'static str)> {
    let similar = names.map(|name| (strsim::jaro_winkler(text, name.0), name));
    let similar = similar.filter(|(similarity, _)| *similarity > 0.85);
    // Of equals the first.
    similar.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, name)| name)
}
