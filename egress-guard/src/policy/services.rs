//! AWS services in a rule: the host names that `services`, in `regions`, stand for.
//!
//! What stands beside them narrows: `buckets` to the names of these buckets, `accounts` to names with these account ids,
//! `vpc_endpoints` to the names of these interface endpoints.

mod table;
mod value;

use hashbrown::HashSet;

use super::draft::{BorrowedRule, BorrowedText, Text};
use super::rule::Effect;
use table::{GLOBAL, Parts, Region, Service, Template, region_meant_by};
use value::{check_account, check_bucket, check_endpoint, zone_of};

/// The AWS services that a rule can list, as the AWS CLI calls them.
///
/// ```
/// assert!(egress_guard::draft::aws_services().any(|service| service == "dynamodb"));
/// ```
pub fn aws_services() -> impl Iterator<Item = &'static str> {
    Service::all().map(|service| service.name)
}

/// The AWS regions that a rule can list, `aws-global` and its like among them.
///
/// ```
/// assert!(egress_guard::draft::aws_regions().any(|region| region == "ap-northeast-1"));
/// ```
pub fn aws_regions() -> impl Iterator<Item = &'static str> {
    Region::all().map(|region| region.id)
}

/// Something wrong: where, what, and the cure.
type Fault = (Option<usize>, String, String);

/// Puts the names that a rule's services stand for behind its `hosts`, each at the place of the entry it comes from.
pub(super) fn expand(effect: Effect, draft: &mut BorrowedRule<'_>) -> Vec<Fault> {
    let beside = [&draft.regions, &draft.buckets, &draft.accounts, &draft.vpc_endpoints];
    if draft.services.is_none() && beside.iter().all(|list| list.is_none()) {
        return Vec::new();
    }
    let mut faults = Faults(Vec::new());
    faults.of_keys(draft);
    let keys = Keys {
        services: faults.each(&draft.services, find_service),
        regions: faults.each(&draft.regions, find_region).into_iter().map(|(_, region)| region).collect(),
        buckets: faults.each(&draft.buckets, |text| check_bucket(text, effect).map(|()| zone_of(text))),
        accounts: faults.each(&draft.accounts, check_account),
        endpoints: faults.each(&draft.vpc_endpoints, check_endpoint),
        states_regions: draft.regions.is_some(),
    };
    let mut hosts = if faults.0.is_empty() { keys.hosts(&mut faults) } else { Vec::new() };
    if !faults.0.is_empty() {
        hosts.clear();
    }
    if draft.services.is_some() {
        let hosts_of_rule = draft.hosts.get_or_insert_default();
        hosts_of_rule.extend(hosts);
        // That there are none is no fault of its own.
        draft.unread |= hosts_of_rule.is_empty();
    }
    faults.0
}

fn find_service(name: &str) -> Result<Service, (String, String)> {
    Service::find(name).ok_or_else(|| {
        if name.contains('*') {
            return (format!("service {name:?} is a pattern"), "list the services, as in \"dynamodb\"".to_owned());
        }
        let write = Service::meant_by(name).unwrap_or("dynamodb");
        let cure = format!("write it as the AWS CLI does, as in \"{write}\", or list its names in `hosts`");
        (format!("service {name:?} is unknown"), cure)
    })
}

fn find_region(id: &str) -> Result<Region, (String, String)> {
    Region::find(id).ok_or_else(|| {
        if id.contains('*') {
            return (format!("region {id:?} is a pattern"), "list the regions, as in \"us-east-1\"".to_owned());
        }
        let write = region_meant_by(id).unwrap_or("us-east-1");
        (
            format!("region {id:?} is unknown"),
            format!("write its code, as in \"{write}\", or list its names in `hosts`"),
        )
    })
}

struct Faults(Vec<Fault>);

impl Faults {
    fn push(&mut self, offset: Option<usize>, problem: impl Into<String>, cure: impl Into<String>) {
        self.0.push((offset, problem.into(), cure.into()));
    }

    /// The entries of a list that are what they should be; a fault for each of the others.
    fn each<'d, T>(
        &mut self,
        texts: &'d Option<Vec<BorrowedText<'d>>>,
        parse: impl Fn(&'d str) -> Result<T, (String, String)>,
    ) -> Vec<(&'d BorrowedText<'d>, T)> {
        let mut known = Vec::new();
        for text in texts.iter().flatten() {
            match parse(&text.text) {
                Ok(value) => known.push((text, value)),
                Err((problem, cure)) => self.push(text.offset, problem, cure),
            }
        }
        known
    }

    /// Which keys stand together.
    fn of_keys(&mut self, draft: &BorrowedRule<'_>) {
        let lists = [
            ("services", &draft.services),
            ("regions", &draft.regions),
            ("buckets", &draft.buckets),
            ("accounts", &draft.accounts),
            ("vpc_endpoints", &draft.vpc_endpoints),
        ];
        for (key, list) in lists.iter().filter_map(|(key, list)| Some((*key, list.as_ref()?))) {
            if list.is_empty() && !draft.unread {
                let cure = format!("list something, or remove `{key}`");
                self.push(draft.place(key), format!("`{key}` is empty, so it can never match"), cure);
            }
            if draft.services.is_none() && !draft.unread {
                let cure = "name them, as in services = [\"dynamodb\"]";
                self.push(draft.place(key), format!("`{key}` is stated without `services`"), cure);
            }
        }
        let is_s3 = |service: &BorrowedText<'_>| service.text == "s3";
        let has_s3 = draft.services.as_ref().is_none_or(|list| list.is_empty() || list.iter().any(is_s3));
        if draft.buckets.is_some() && !has_s3 {
            let problem = "`buckets` is stated, and `services` lacks \"s3\"";
            self.push(draft.place("buckets"), problem, "add it, or remove `buckets`");
        }
        if draft.accounts.is_some() && draft.vpc_endpoints.is_some() {
            let problem = "`accounts` and `vpc_endpoints` are both stated, and no name has both";
            self.push(draft.place("accounts"), problem, "make two rules of it");
        }
    }
}

/// What a rule says of services, checked.
struct Keys<'d> {
    services: Vec<(&'d BorrowedText<'d>, Service)>,
    regions: Vec<Region>,
    /// With the zones of directory buckets.
    buckets: Vec<(&'d BorrowedText<'d>, Option<&'d str>)>,
    accounts: Vec<(&'d BorrowedText<'d>, ())>,
    endpoints: Vec<(&'d BorrowedText<'d>, ())>,
    states_regions: bool,
}

/// A name, and the bucket that it comes from.
type Name<'d> = (String, Option<&'d BorrowedText<'d>>);

impl<'d> Keys<'d> {
    fn hosts(&self, faults: &mut Faults) -> Vec<BorrowedText<'static>> {
        let (mut hosts, mut known) = (Vec::new(), HashSet::new());
        let global: Vec<Region> = Region::find(GLOBAL).into_iter().collect();
        for (text, service) in &self.services {
            if !self.states_regions && !service.is_global() {
                let problem =
                    format!("service `{}` has names in each region, and `regions` is not stated", service.name);
                faults.push(text.offset, problem, "write those it is used in, as in regions = [\"us-east-1\"]");
                continue;
            }
            for region in if self.states_regions { &self.regions } else { &global } {
                let names = if self.endpoints.is_empty() {
                    self.names(*service, *region)
                } else {
                    self.endpoint_names(*service, *region)
                };
                if names.is_empty() {
                    let (problem, cure) = self.nameless(*service, *region);
                    faults.push(text.offset, problem, cure);
                }
                for (name, bucket) in names {
                    if known.insert(name.clone()) {
                        hosts.push(Text { text: name.into(), offset: bucket.unwrap_or(text).offset });
                    }
                }
            }
        }
        hosts
    }

    fn buckets_of(&self, service: Service) -> &[(&'d BorrowedText<'d>, Option<&'d str>)] {
        if service.name == "s3" { &self.buckets } else { &[] }
    }

    fn names(&self, service: Service, region: Region) -> Vec<Name<'d>> {
        let (mut names, parts) = (Vec::new(), Parts::of(region));
        let buckets = self.buckets_of(service);
        for template in service.templates(region) {
            if template.has("{a}") {
                let accounts = self.accounts.iter().map(|(account, ())| Parts { account: &account.text, ..parts });
                names.extend(accounts.map(|parts| (template.name(&parts), None)));
            } else if template.has("{b}") {
                let fitting = buckets.iter().filter(|(_, zone)| zone.is_some() == template.has("{z}"));
                names.extend(fitting.map(|(bucket, zone)| {
                    let parts = Parts { bucket: &bucket.text, zone: zone.unwrap_or_default(), ..parts };
                    (template.name(&parts), Some(*bucket))
                }));
            } else if buckets.is_empty() && self.accounts.is_empty() {
                names.push((template.name(&parts), None));
            }
        }
        names
    }

    /// An endpoint's own names have its id, characters of Amazon's choice, and perhaps a zone, in one label.
    fn endpoint_names(&self, service: Service, region: Region) -> Vec<Name<'d>> {
        let own = service.templates(region).filter(|template| !template.has("{a}") && !template.has("{b}"));
        let labels = own.filter_map(Template::before_region).filter(|label| match service.name {
            // Its other endpoints are no interface endpoints, or belong to this one.
            "s3" => label == "s3",
            "s3control" => false,
            _ => true,
        });
        let buckets = self.buckets_of(service);
        let mut names = Vec::new();
        for label in labels {
            for (endpoint, ()) in &self.endpoints {
                let name = format!("{}-*.{label}.{}.vpce.{}", endpoint.text, region.id, region.suffix);
                if service.name != "s3" {
                    names.push((name, None));
                } else if buckets.is_empty() {
                    names.push((format!("bucket.{name}"), None));
                } else {
                    names.extend(buckets.iter().map(|(it, _)| (format!("{}.bucket.{name}", it.text), Some(*it))));
                }
            }
        }
        names
    }

    fn nameless(&self, service: Service, region: Region) -> (String, String) {
        let (what, cure) = if !self.endpoints.is_empty() {
            ("no known names at interface endpoints", "list those that the endpoint states in `hosts`")
        } else if !self.accounts.is_empty() {
            ("no names with an account id", "give it a rule without `accounts`")
        } else if region.is_global() {
            ("no names", "give it a rule with the regions it is used in")
        } else {
            ("no names that are known beforehand", "list those that are used in `hosts`")
        };
        (format!("service `{}` has {what} in {}", service.name, region.id), cure.to_owned())
    }
}

#[cfg(test)]
mod tests;
